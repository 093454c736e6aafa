"""Files that are either complete or absent (written aside, fsynced, renamed), and reading of text files."""

import codecs
import contextlib
import errno
import gzip
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the errors of a full disk."""


@contextlib.contextmanager
def written_aside(path: Path | str, *, mode: int = 0o666) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success fsync it and rename it into place.

    Whatever happens (a kill, a full disk), `path` holds either its old or its complete new content.

    Args:
        path: the file.
        mode: its permissions, of which the umask takes away some.

    Raises:
        OSError: naming `path`, if the disk is full or the folder is not writable.
    """
    with written_together() as together, together.aside(Path(path), mode=mode) as aside:
        yield aside


class Together:
    """Files that belong together; see `written_together`."""

    def __init__(self) -> None:
        self._asides: dict[Path, Path] = {}

    @contextlib.contextmanager
    def aside(self, path: Path, *, mode: int = 0o666) -> Iterator[Path]:
        """Yield a temporary path next to `path`; on success fsync it. For the rest see `written_aside`."""
        with _naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix_aside(path), suffix=".tmp")
            self._asides[path] = Path(name)
            os.close(handle)
            yield self._asides[path]
            with open(name, "rb") as written:
                os.fsync(written.fileno())
            # mkstemp makes files private; what is published gets the permissions of any new file.
            os.chmod(name, mode & ~umask())

    def write_text(self, path: Path, text: str) -> None:
        """As the function `write_text`."""
        content = _encoded(path, text)
        with self.aside(path) as aside:
            aside.write_bytes(content)

    def _put_in_place(self) -> None:
        for path, aside in self._asides.items():
            with _naming(path):
                os.replace(aside, path)
        for folder in {path.parent for path in self._asides}:
            with _naming(folder):
                _fsync_folder(folder)

    def _remove(self) -> None:
        for aside in self._asides.values():
            aside.unlink(missing_ok=True)


@contextlib.contextmanager
def written_together() -> Iterator[Together]:
    """Yield a writer of files that get into their places, in the order of writing, when the block has ended.

    By then all are on disk: if it is full, the old files are still there. An old one that must not be beside
    new ones is removed in the block, after these have been written.
    """
    together = Together()
    try:
        yield together
        together._put_in_place()
    finally:
        together._remove()


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Within it, the operating system's errors are about `path`."""
    try:
        yield
    except Exception as error:
        problem = _system_error(error)
        if problem is None:
            raise
        raise cannot_write(path, problem) from error


def cannot_write(path: Path, problem: OSError) -> OSError:
    """An error that names the file that was wanted, not the temporary one."""
    return OSError(problem.errno, f"cannot write {path}: {problem.strerror or problem}")


def explain(error: BaseException) -> str:
    """Describe `error` for the user: the culprit and the reason, without error numbers."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        text += " (make room and run the same command again: what is finished is kept)"
    return text or type(error).__name__


def require_folder(folder: Path) -> None:
    """Raise a FileNotFoundError unless this is a folder."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")


def name_of(folder: Path) -> str:
    """The name of a folder as it was given, even if that is a link; of `.` and `..` the real one."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


def without_hidden(paths: Iterable[Path]) -> Iterator[Path]:
    """Leave out paths whose names start with a dot: macOS puts `._NAME` beside each file on foreign disks."""
    return (path for path in paths if not path.name.startswith("."))


def check_link(path: Path) -> None:
    """Check that `link` could create `path`, before its target is created.

    Raises:
        FileExistsError: if `path` exists and is not a link.
    """
    if path.exists() and not path.is_symlink():
        raise FileExistsError(f"{path}: there, and not a symbolic link")


def check_not_read(out: Path, read: Iterable[Path]) -> None:
    """Refuse an output that is one of the files that the same command reads, or their folder's `text`.

    Raises:
        ValueError: naming it.
    """
    for path in read:
        source = path / "text" if path.is_dir() else path
        if source.exists() and out.exists() and out.samefile(source):
            raise ValueError(f"{out}: is read by this command, which would overwrite it; name another file")


def remove_leftovers(folder: Path, *, of_anybody: bool = False) -> None:
    """Remove what killed processes of this machine left unfinished in `folder`; see `written_aside`.

    Args:
        folder: to search, without its subfolders.
        of_anybody: remove partial files of any process, because the caller holds the folder's lock.
    """
    for path in folder.glob(".*.*.*.tmp"):
        owner = path.name.split(".")[-3]
        pid = owner.rpartition("-")[2]
        dead = pid.isdecimal() and owner == _owner(int(pid)) and not _is_alive(int(pid))
        if of_anybody or dead:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def prefix_aside(path: Path) -> str:
    """Of the name of what is written next to `path`; from it `remove_leftovers` knows whose it is."""
    return f".{path.name}.{_owner(os.getpid())}."


def _owner(pid: int) -> str:
    """A name for this process that is unique across machines; without a dot."""
    return f"{socket.gethostname().replace('.', '_')}-{pid}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def _system_error(error: BaseException) -> OSError | None:
    """The operating system's error that `error` is or wraps: PyTorch and safetensors wrap a full disk."""
    if isinstance(error, OSError):
        return error
    if found := re.search(r"\(os error (\d+)\)", str(error)):
        return OSError(int(found[1]), os.strerror(int(found[1])))
    behind: BaseException | None = error if isinstance(error, RuntimeError) else None
    while behind is not None and not isinstance(behind, OSError):
        behind = behind.__cause__ or behind.__context__
    return behind


def link(target: Path | str, path: Path | str) -> None:
    """Make `path` a relative symbolic link to `target`; an old link is replaced atomically.

    Raises:
        FileExistsError: if `path` exists and is not a link.
        OSError: naming `path`, if it cannot be written.
    """
    path = Path(path)
    check_link(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    new = path.parent / f"{prefix_aside(path)}{secrets.token_hex(4)}.tmp"
    try:
        new.symlink_to(os.path.relpath(Path(target).resolve(), path.parent.resolve()))
        os.replace(new, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # read-only
            new.unlink(missing_ok=True)


def write_text(path: Path | str, text: str, *, readers: bool = False, mode: int = 0o666) -> None:
    """Write `text` (UTF-8) to `path` atomically.

    Args:
        path: the file.
        text: its content. The name of a file or folder that is not UTF-8 cannot be part of it.
        readers: whether people read it, for whom such a name is written as by `printable`.
        mode: its permissions, as for `written_aside`.

    Raises:
        ValueError: naming the line and the name that is not UTF-8.
        OSError: as `written_aside`.
    """
    content = _encoded(path, printable(text) if readers else text)
    with written_aside(path, mode=mode) as aside:
        aside.write_bytes(content)


def _encoded(path: Path | str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        begin = max(text.rfind(blank, 0, error.start) for blank in " \t\n") + 1
        name, line = printable(text[begin:].split(maxsplit=1)[0]), text.count("\n", 0, begin) + 1
        raise ValueError(f"{path}:{line}: cannot hold a name that is not UTF-8 ({name}): rename it") from None


def printable(text: str) -> str:
    """`text` with the bytes of names that are not UTF-8 as escapes, which in JSON stand for the same name."""
    return text.encode("utf-8", "backslashreplace").decode()


def command(*words: object) -> str:
    """A command for a message, as it can be pasted into a shell: `a b` is quoted."""
    return shlex.join(printable(str(word)) for word in words)


def json_text(value: Any, **options: Any) -> str:
    """`value` as JSON that can be written as UTF-8, whatever names of files are in it."""
    return printable(json.dumps(value, ensure_ascii=False, **options))


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    write_text(path, json_document(value))


def json_document(value: Any) -> str:
    """The content of `write_json`'s file."""
    return json_text(value, indent=2, sort_keys=True) + "\n"


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: naming the file, if it is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a JSON file ({error})") from error


def read_text(
    path: Path | str, encoding: str | None = None, *, otherwise: str | None = None, hint: str = ""
) -> str:
    """The text of a file, which may be gzip-compressed, without its byte-order mark.

    Args:
        path: the file.
        encoding: of the text; None: UTF-8, or as indicated by a byte-order mark.
        otherwise: fallback encoding of a file that is not UTF-8 (`latin-1` for NIST's); None: an error.
        hint: end of that error's message.

    Raises:
        ValueError: naming file and line, if the encoding is wrong; naming the file, if it is damaged.
        FileNotFoundError: if there is no such file.
    """
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file ({error})") from None
    if encoding is None:
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "utf-16" if utf16 else "utf-8-sig"
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if otherwise is not None:
            return content.decode(otherwise)
        line = content[: error.start].count(b"\n") + 1
        name = encoding.removesuffix("-sig").upper()
        raise ValueError(f"{path}:{line}: not {name} text{hint}") from None


def read_lines(path: Path | str, *, otherwise: str | None = None) -> list[str]:
    """The lines of a text file, read as by `read_text`, without line ends (Unix, Windows or old Mac).

    Other characters at which `str.splitlines` splits (form feeds, U+2028, U+0085) are part of a line.
    """
    return lines_of(read_text(path, otherwise=otherwise))


def lines_of(text: str) -> list[str]:
    """The lines of a text without line ends; see `read_lines`."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def number(text: str) -> float:
    """The number in a field of a text file.

    Raises:
        ValueError: if it is none; `1_000` and digits of other scripts, which Python reads, are no numbers.
    """
    if "_" in text or not text.isascii():
        raise ValueError(f"not a number: {text!r}")
    return float(text)


def umask() -> int:
    """The umask."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
