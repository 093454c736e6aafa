"""Features are named by their settings and the sound, or by their numbers; never by a path or a time."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_topdown.audio import Clip
from asr_topdown.features import ark, content, store
from asr_topdown.features.dump import dump
from asr_topdown.features.fbank_options import FbankOptions

FBANK = FbankOptions(sample_rate=8000, num_mels=20)
WORDS = ("five", "six", "one")


@pytest.fixture
def clips(tmp_path: Path, write_tones: Callable[..., Path]) -> dict[str, Clip]:
    return {f"spk-{word}": Clip(str(write_tones(tmp_path / f"{word}.wav", word))) for word in WORDS}


def feats(folder: Path) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in (folder / "feats.scp").read_text().splitlines())


def name(folder: Path) -> str:
    return content.read(folder, feats(folder)).hash


def made(clips: dict[str, Clip], folder: Path, fbank: FbankOptions = FBANK, **how: int) -> str:
    dump(clips, folder, fbank=fbank, **how)
    return name(folder)


def replace_keeping_times(path: str, samples: np.ndarray) -> None:
    """Another sound of the same length, rate, size and time of writing, as `rsync -t` would leave it."""
    before = os.stat(path)
    soundfile.write(path, samples, 8000, subtype="PCM_16")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = os.stat(path)
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def noise_like(path: str) -> np.ndarray:
    length = soundfile.info(path).frames
    return np.random.default_rng(7).uniform(-0.5, 0.5, length)


def test_the_name_knows_no_path_and_no_number_of_processes(clips: dict[str, Clip], tmp_path: Path) -> None:
    first = made(clips, tmp_path / "a")
    copies = {key: shutil.copy(clip.source, tmp_path / f"{key}.wav") for key, clip in clips.items()}
    elsewhere = {key: Clip(str(path)) for key, path in copies.items()}
    assert made(elsewhere, tmp_path / "b", nj=2) == first
    piped = {key: Clip(f"cat {clip.source} |") for key, clip in clips.items()}
    assert made(piped, tmp_path / "c") == first
    (tmp_path / "a").rename(tmp_path / "moved")
    assert name(tmp_path / "moved") == first


def test_whatever_changes_the_features_changes_the_name(clips: dict[str, Clip], tmp_path: Path) -> None:
    one = clips["spk-one"]
    names = [
        made(clips, tmp_path / "0"),
        made(clips, tmp_path / "1", deltas=1),
        made(clips, tmp_path / "2", FbankOptions(sample_rate=8000, num_mels=20, preemphasis=0.5)),
        made(clips, tmp_path / "3", FbankOptions(sample_rate=8000, num_mels=20, dither=1.0)),
        made({**clips, "spk-one": one._replace(end=0.1)}, tmp_path / "4"),
        made({**clips, "spk-one": one._replace(speed=1.1)}, tmp_path / "5"),
        made({**clips, "spk-six": one}, tmp_path / "6"),
        made({key: clip for key, clip in clips.items() if key != "spk-one"}, tmp_path / "7"),
        made({f"x{key}": clip for key, clip in clips.items()}, tmp_path / "8"),
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("how", ["file", "command", "segments", "link"])
def test_another_sound_of_the_same_size_and_time_is_seen(
    how: str, clips: dict[str, Clip], tmp_path: Path
) -> None:
    wav = clips["spk-one"].source
    if how == "command":
        clips["spk-one"] = Clip(f"cat {wav} |")
    elif how == "segments":
        clips["spk-one-b"] = Clip(wav, start=0.05)
    elif how == "link":
        (tmp_path / "link.wav").symlink_to(wav)
        clips["spk-one"] = Clip(str(tmp_path / "link.wav"))
    folder = tmp_path / "data"
    before = made(clips, folder)
    values = store.load(feats(folder)["spk-one"], folder).copy()
    replace_keeping_times(wav, noise_like(wav))
    assert made(clips, folder) != before
    assert not np.array_equal(store.load(feats(folder)["spk-one"], folder), values)


@pytest.mark.parametrize("how", ["touched", "copied back", "command"])
def test_the_same_sound_keeps_features_and_statistics(
    how: str, clips: dict[str, Clip], tmp_path: Path
) -> None:
    wav, folder = clips["spk-one"].source, tmp_path / "data"
    if how == "command":
        clips["spk-one"] = Clip(f"cat {wav} |")
    before = made(clips, folder)
    (folder / "cmvn.ark").write_bytes(b"of these features")
    kept = {path: path.stat().st_ino for path in (folder / "feats.scp", *(folder / "feats").glob("*.ark"))}
    if how == "touched":
        os.utime(wav)
    else:
        shutil.copy(shutil.copy(wav, tmp_path / "aside.wav"), wav)
    assert dump(clips, folder, fbank=FBANK).fresh  # it had to look
    assert dump(clips, folder, fbank=FBANK).fresh == (how == "command")
    assert name(folder) == before
    now = {path: path.stat().st_ino for path in (folder / "feats.scp", *(folder / "feats").iterdir())}
    assert now == kept
    assert (folder / "cmvn.ark").exists()


def foreign(folder: Path, values: dict[str, np.ndarray], archive: str = "kaldi.ark") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / archive, "wb") as file:
        lines = [
            f"{utterance} {folder}/{archive}:{ark.save(file, utterance, matrix)}\n"
            for utterance, matrix in values.items()
        ]
    (folder / "feats.scp").write_text("".join(lines))
    return folder


MATRICES = {"a": np.ones((3, 2), np.float32), "b": np.arange(8, dtype=np.float32).reshape(4, 2)}


def test_foreign_features_are_named_by_their_numbers(tmp_path: Path) -> None:
    first = name(foreign(tmp_path / "x", MATRICES))
    assert name(foreign(tmp_path / "y", dict(reversed(MATRICES.items())), "other.ark")) == first
    doubles = {key: matrix.astype(np.float64) for key, matrix in MATRICES.items()}
    assert name(foreign(tmp_path / "z", doubles)) == first  # read as float32 all the same
    others = [
        {**MATRICES, "b": MATRICES["b"] + 1},
        {**MATRICES, "b": MATRICES["b"].reshape(2, 4)[:, :2]},
        {"a": MATRICES["a"], "c": MATRICES["b"]},
        {"a": MATRICES["a"]},
    ]
    names = {name(foreign(tmp_path / f"{i}", values)) for i, values in enumerate(others)}
    assert len(names | {first}) == 5
    found = content.read(tmp_path / "x", feats(tmp_path / "x"))
    assert (found.dim, found.settings) == (2, None)


def test_foreign_features_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = foreign(tmp_path / "x", MATRICES)
    first, reads = name(folder), []
    load = store.load
    monkeypatch.setattr(store, "load", lambda *args: (reads.append(args), load(*args))[1])
    assert name(folder) == first
    assert not reads
    archive = folder / "kaldi.ark"
    before = archive.stat()
    archive.write_bytes(archive.read_bytes().replace(np.float32(7).tobytes(), np.float32(9).tobytes()))
    os.utime(archive, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert name(folder) != first
    assert len(reads) == 2


def test_a_list_that_was_changed_by_hand_is_not_what_the_record_says(
    clips: dict[str, Clip], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    before = made(clips, folder)
    lines = (folder / "feats.scp").read_text().splitlines()
    swapped = [f"{lines[0].split()[0]} {lines[1].split()[1]}", *lines[1:]]
    (folder / "feats.scp").write_text("\n".join(swapped) + "\n")
    assert name(folder) != before
    (folder / "feats.scp").write_text("\n".join(lines[1:]) + "\n")
    fewer = content.read(folder, feats(folder))
    assert fewer.hash != before
    assert fewer.settings == content.described(FBANK, 0)  # they are still the archives of this folder


def test_other_dimensions_in_one_list_are_an_error(tmp_path: Path) -> None:
    folder = foreign(tmp_path, {"a": np.ones((3, 2), np.float32), "b": np.ones((3, 4), np.float32)})
    with pytest.raises(ValueError, match=r"features of 2 and of 4 dimensions \(b\)"):
        name(folder)
    with pytest.raises(ValueError, match=r"has no features; run `asr-topdown features .* --config FILE`"):
        content.read(folder, {})


@pytest.mark.parametrize(
    ("wanted", "deltas", "message"),
    [
        ({"low_freq": 300.0}, 0, "features.fbank.low_freq 20.0 on disk, 300.0 in the configuration"),
        ({"preemphasis": 0.5}, 0, "features.fbank.preemphasis 0.97 on disk, 0.5 in the configuration"),
        ({"frame_shift_ms": 5.0}, 0, "features.fbank.frame_shift_ms 10.0 on disk, 5.0 in"),
        ({"num_mels": 30}, 0, "features.fbank.num_mels 20 on disk, 30 in the configuration"),
        ({"window": "hamming"}, 0, "features.fbank.window povey on disk, hamming in the configuration"),
        ({}, 2, "features.deltas 0 on disk, 2 in the configuration"),
        (
            {"snip_edges": False},
            1,
            "snip_edges True on disk, False in the configuration; features.deltas 0 on disk, 1 in the",
        ),
    ],
)
def test_settings_that_differ_are_named_with_both_values(
    wanted: dict[str, object], deltas: int, message: str, clips: dict[str, Clip], tmp_path: Path
) -> None:
    dump(clips, tmp_path / "data", fbank=FBANK)
    subset = tmp_path / "subset"  # of the same archives
    subset.mkdir()
    (subset / "feats.scp").write_text((tmp_path / "data" / "feats.scp").read_text().splitlines()[0] + "\n")
    for folder in (tmp_path / "data", subset):
        content.check(folder, feats(folder), FBANK, 0)
        options = FbankOptions(**{"sample_rate": 8000, "num_mels": 20, **wanted})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=message) as raised:
            content.check(folder, feats(folder), options, deltas)
        assert str(raised.value).startswith(f"{folder}: ")
        assert "\n" not in str(raised.value)


def test_each_part_of_a_combination_has_to_have_the_settings(clips: dict[str, Clip], tmp_path: Path) -> None:
    """Features made with different settings passed, as if nothing were known of any."""
    other = FbankOptions(sample_rate=8000, num_mels=20, low_freq=300.0)
    lines = []
    for part, fbank, word in (("a", FBANK, "one"), ("b", other, "six")):
        dump({f"spk-{word}": clips[f"spk-{word}"]}, tmp_path / part, fbank=fbank)
        lines.append((tmp_path / part / "feats.scp").read_text())
    both = tmp_path / "both"
    both.mkdir()
    (both / "feats.scp").write_text("".join(lines))
    for wanted, message in (
        (FBANK, "features.fbank.low_freq 300.0 on disk, 20.0 in the configuration"),
        (other, "features.fbank.low_freq 20.0 on disk, 300.0 in the configuration"),
    ):
        with pytest.raises(ValueError, match=message) as raised:
            content.check(both, feats(both), wanted, 0)
        assert str(raised.value).startswith(f"{both}: ")


def test_of_foreign_features_the_size_is_compared(tmp_path: Path) -> None:
    folder = foreign(tmp_path, {"a": np.ones((3, 20), np.float32)})
    assert not content.check(folder, feats(folder), FBANK, 0)  # so their settings are not known
    with pytest.raises(ValueError, match=r"features of 20 dimensions on disk, 40 in the configuration"):
        content.check(folder, feats(folder), FBANK, 1)


def test_a_folder_that_cannot_be_written_is_read_all_the_same(tmp_path: Path) -> None:
    folder = foreign(tmp_path / "x", MATRICES)
    first = name(folder)
    (folder / content.FOREIGN).unlink()
    (folder / content.FOREIGN).mkdir()  # whoever the test runs as, this cannot be replaced
    assert name(folder) == first
