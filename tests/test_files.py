"""Files are complete or absent."""

import errno
import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_topdown import files


def test_a_failure_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    files.write_json(target, {"b": 1, "a": [2]})
    with pytest.raises(TypeError, match="not JSON serializable"):
        files.write_json(target, {"whole": 1, "half": object()})

    def interrupted() -> None:
        with files.written_aside(target) as aside:
            aside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files.read_json(target) == {"a": [2], "b": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    files.write_text(tmp_path / "a", "old")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"cannot write .*/a: No space left on device") as caught:
        files.write_text(tmp_path / "a", "new")
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "a").read_bytes() == b"old"


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    files.write_text(tmp_path / "aside", "")
    assert (tmp_path / "aside").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("text", ["1_000", "1_0.5", "٣", "３", "", "one", "1,5"])
def test_what_only_python_takes_for_a_number_is_none(text: str) -> None:
    assert [files.number(one) for one in ("1000", "-1e-3", " .5")] == [1000, -0.001, 0.5]
    with pytest.raises(ValueError):  # noqa: PT011 - the caller names the line
        files.number(text)


def test_what_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match=r"x\.json: not a JSON file"):
        files.read_json(tmp_path / "x.json")


def test_a_link_is_relative_and_replaced_at_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "nodes" / name).mkdir(parents=True)
        files.link(tmp_path / "nodes" / name, tmp_path / "exp" / "model")
        assert (tmp_path / "exp" / "model").resolve() == tmp_path / "nodes" / name
        assert str((tmp_path / "exp" / "model").readlink()) == f"../nodes/{name}"
    assert [path.name for path in (tmp_path / "exp").iterdir()] == ["model"]
    with pytest.raises(FileExistsError, match="there, and not a symbolic link"):
        files.link(tmp_path / "nodes" / "one", tmp_path / "nodes" / "two")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_read_whatever_wrote_them(end: str, encoding: str, packed: bool, tmp_path: Path) -> None:
    lines = ["é one", "", "two\x0c\x85\u2028 three", "four"]
    content = end.join([*lines, ""]).encode(encoding)
    path = tmp_path / "text"
    path.write_bytes(gzip.compress(content) if packed else content)
    assert files.read_lines(path) == lines


def test_what_is_not_utf8_is_named_or_taken_for_something_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("one\ncaf\u00e9\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.txt:2: not UTF-8 text; ask$"):
        files.read_text(path, hint="; ask")
    assert files.read_lines(path, otherwise="latin-1") == ["one", "caf\u00e9"]
    path.write_bytes("one\ncaf\u00e9\n".encode())
    assert files.read_lines(path, otherwise="latin-1") == ["one", "caf\u00e9"]


@pytest.mark.parametrize("cut", [5, 20, -9, -1])
def test_a_damaged_gzip_file_is_named(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one two three\n" * 50)[:cut])
    with pytest.raises(ValueError, match=r"a\.gz: damaged gzip file"):
        files.read_text(path)


def test_what_a_killed_process_was_writing_is_removed_and_nothing_else(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\nfrom asr_topdown import files\n"
        "with files.written_aside(sys.argv[1]) as aside:\n"
        "    aside.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "a.json"], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".a.json.")
    others = [tmp_path / name for name in (".hidden.tmp", "b.tmp", ".a.json.elsewhere-123.abc.tmp")]
    for other in others:
        other.touch()
    with files.written_aside(tmp_path / "mine"):
        files.remove_leftovers(tmp_path)
        assert not left.exists()
        assert all(other.exists() for other in others)
        assert len(list(tmp_path.glob(".mine.*"))) == 1  # its process lives
    files.remove_leftovers(tmp_path, of_anybody=True)  # for who holds the folder's lock
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden.tmp", "b.tmp", "mine"]


NOT_UTF_8 = os.fsdecode(b"caf\xe9")  # a name of a folder, in Latin-1


def test_json_holds_any_name_of_a_file(tmp_path: Path) -> None:
    value = {"folder": f"/data/{NOT_UTF_8}", "word": "é\U0001f600 \\udce9"}
    files.write_json(tmp_path / NOT_UTF_8 / "a.json", value)
    assert files.read_json(tmp_path / NOT_UTF_8 / "a.json") == value
    assert '"/data/caf\\udce9"' in (tmp_path / NOT_UTF_8 / "a.json").read_text(encoding="utf-8")


def test_a_table_that_would_hold_a_name_that_is_not_utf_8_is_refused_and_a_report_escapes_it(
    tmp_path: Path,
) -> None:
    text = f"a one\nb /data/{NOT_UTF_8}/x.ark:3\n"
    with pytest.raises(
        ValueError, match=r"feats\.scp:2: .* not UTF-8 \(/data/caf\\udce9/x\.ark:3\): rename it$"
    ):
        files.write_text(tmp_path / "feats.scp", text)
    assert not list(tmp_path.iterdir())
    files.write_text(tmp_path / "report.md", text, readers=True)
    assert (tmp_path / "report.md").read_text() == "a one\nb /data/caf\\udce9/x.ark:3\n"


def test_a_folder_that_is_read_only_is_blamed_on_the_file_that_was_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on the temporary one, of which nobody knows."""

    def read_only(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(tmp_path / ".x.host-1.abc.tmp"))

    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    monkeypatch.setattr(Path, "symlink_to", read_only)
    writers: list[Callable[[Path], object]] = [
        lambda path: files.write_text(path, "a"),
        lambda path: files.link(tmp_path, path),
    ]
    for write in writers:
        with pytest.raises(OSError, match="cannot write") as caught:
            write(tmp_path / "wanted")
        assert files.explain(caught.value) == f"cannot write {tmp_path}/wanted: Read-only file system"
    assert list(tmp_path.iterdir()) == []
