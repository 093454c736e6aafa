"""Kaldi's matrices, read as by kaldiio, and errors."""

import pickle
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.features import ark

RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.standard_normal((50, 7)).astype(np.float32) * 5
VALUES = {
    "matrix": MATRIX,
    "double": MATRIX.astype(np.float64),
    "one row": MATRIX[:1],
    "one column": MATRIX[:, :1],
    "vector": MATRIX[0],
    "double vector": MATRIX[0].astype(np.float64),
}


def places(scp: Path) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in scp.read_text().splitlines())


def write(folder: Path, **how: object) -> tuple[Path, dict[str, str]]:
    """What kaldiio writes: an ark and where each matrix is in it."""
    path, scp = folder / "x.ark", folder / "x.scp"
    kept = {k: v for k, v in VALUES.items() if v.ndim == 2} if "compression_method" in how else VALUES
    kaldiio.save_ark(str(path), {key.replace(" ", "-"): v for key, v in kept.items()}, scp=str(scp), **how)
    return path, places(scp)


# 1 and 2 have quartiles for each column, 3 and 4 are 16 bits, 5 to 7 are 8.
FORMATS = [{}, {"text": True}, *({"compression_method": method} for method in range(1, 8))]


@pytest.mark.parametrize("how", FORMATS, ids=str)
def test_every_format_of_kaldi_is_read_as_by_kaldiio(how: dict[str, object], tmp_path: Path) -> None:
    path, scp = write(tmp_path, **how)
    expected = dict(kaldiio.load_ark(str(path)))
    whole = dict(ark.load_archive(path))
    assert list(whole) == list(expected) == list(scp)
    for key, place in scp.items():
        values = ark.load(place)
        assert values.dtype in (np.float32, np.float64)
        np.testing.assert_array_equal(values, whole[key])
        np.testing.assert_allclose(values, expected[key], rtol=2e-6, atol=4e-6)


def test_compression_keeps_what_its_bits_can_hold(tmp_path: Path) -> None:
    extent = MATRIX.max() - MATRIX.min()
    for method, step in ((3, extent / 65535), (5, extent / 255)):
        _, scp = write(tmp_path, compression_method=method)
        assert np.abs(ark.load(scp["matrix"]) - MATRIX).max() <= 0.51 * step


def test_ranges_are_read_as_far_as_kaldi_reads_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of segments whose times are rounded, the last rows may not be there; `:` is all rows."""
    path, scp = write(tmp_path)
    np.testing.assert_array_equal(ark.load(f"{scp['matrix']}[:,0:2]"), MATRIX[:, :3])
    assert not caplog.messages
    for last in (50, 52):
        np.testing.assert_array_equal(ark.load(f"{scp['matrix']}[48:{last}]"), MATRIX[48:])
        told = f"{path}: ranges of rows that end up to 3 rows behind a matrix are cut"
        assert caplog.messages[-1] == told


def test_ranges_include_both_ends(tmp_path: Path) -> None:
    path, scp = write(tmp_path)
    for ranges, expected in (("2:4", MATRIX[2:5]), ("2:4,1:1", MATRIX[2:5, 1:2]), (",0:2", MATRIX[:, :3])):
        place = f"{scp['matrix']}[{ranges}]"
        np.testing.assert_array_equal(ark.load(place), expected)
        np.testing.assert_array_equal(kaldiio.load_mat(place), expected)
    for ranges in ("48:53", "50:51", "0:1,6:7", "3:2", "1", "0:1,0:1,0:1", "0:1,7:7", "::"):
        with pytest.raises(ValueError, match=rf"{path.name}:\d+\[.*range"):
            ark.load(f"{scp['matrix']}[{ranges}]")


def test_kaldiio_reads_what_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "x.ark"
    with open(path, "wb") as file:
        offsets = {key: ark.save(file, key, values) for key, values in VALUES.items() if " " not in key}
    for key, offset in offsets.items():
        loaded = kaldiio.load_mat(f"{path}:{offset}")
        assert loaded.dtype == VALUES[key].dtype
        np.testing.assert_array_equal(loaded, VALUES[key])
    assert [key for key, _ in kaldiio.load_ark(str(path))] == list(offsets)


def test_a_file_of_one_matrix_needs_no_key(tmp_path: Path) -> None:
    path = tmp_path / "cmvn"
    kaldiio.save_mat(str(path), VALUES["double"])
    np.testing.assert_array_equal(ark.load(str(path)), VALUES["double"])
    assert [key for key, _ in ark.load_archive(path)] == [""]
    path.write_text(" [\n  1 2\n  3 4 ]\n")
    np.testing.assert_array_equal(ark.load(str(path)), [[1, 2], [3, 4]])


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (self.path, "w"))


@pytest.mark.parametrize("prefix", [b"", b"PKL", b"key PKL", b"key \0BPKL ", b"AUDIO", b"NPY"])
def test_a_pickle_is_not_opened(prefix: bytes, tmp_path: Path) -> None:
    trap, path = tmp_path / "executed", tmp_path / "x.ark"
    path.write_bytes(prefix + pickle.dumps(Touch(trap)))
    for place in (str(path), f"{path}:4"):
        with pytest.raises(ValueError, match=path.name):
            ark.load(place)
    with pytest.raises(ValueError, match=path.name):
        list(ark.load_archive(path))
    assert not trap.exists()


def test_a_command_is_refused(tmp_path: Path) -> None:
    trap = tmp_path / "executed"
    for entry in (f"touch {trap}; cat x.ark |", f"touch {trap} |  ", f"| touch {trap}"):
        with pytest.raises(ValueError, match="a command"):
            ark.load(entry)
    assert not trap.exists()


DAMAGED = {
    "another type": b"k \0BXM \4\1\0\0\0\4\1\0\0\0aaaa",
    "more than follows": b"k \0BFM \4\1\0\0\0\4\2\0\0\0aaaa",
    "terabytes": b"k \0BFM \4\xff\xff\xff\x7f\4\xff\xff\xff\x7faaaa",
    "fewer than none": b"k \0BFM \4\xff\xff\xff\xff\4\xff\xff\xff\xffaaaa",
    "no length": b"k \0BFM aaaaaaaaaa",
    "a cut header": b"k \0BFM \4\1",
    "half a compressed one": b"k \0BCM \0\0\0\0\0\0\x80?\2\0\0\0\2\0\0\0" + b"a" * 12,
    "unknown compression": b"k \0BCM9 " + b"\0" * 99,
    "no bracket": b"k  [\n 1 2\n 3 4\n",
    "words": b"k  [\n one two ]\n",
    "ragged rows": b"k  [\n 1 2\n 3 ]\n",
    "no key": b"x" * 5000,
    "a key of other bytes": b"\xff\xfe \0BFM \4\1\0\0\0\4\1\0\0\0aaaa",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_one_line_that_names_the_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.ark"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(ValueError, match=r"bad\.ark:0: .+") as caught:
        list(ark.load_archive(path))
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.ark: no such file"):
        ark.load(f"{tmp_path / 'gone.ark'}:7")
    with pytest.raises(FileNotFoundError, match="no such file"):
        ark.load(str(tmp_path))
    (tmp_path / "short.ark").write_bytes(b"k ")
    with pytest.raises(ValueError, match=r"short\.ark:9000: no matrix"):
        ark.load(f"{tmp_path / 'short.ark'}:9000")


@given(st.binary(max_size=80), st.sampled_from([b"", b"k ", b"k \0B", b"k \0BFM \4", b"k \0BCM ", b"k [ 1 "]))
def test_any_bytes_are_a_matrix_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.ark"
    path.write_bytes(head + data)
    try:
        for _, values in ark.load_archive(path):
            assert values.ndim in (1, 2)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
