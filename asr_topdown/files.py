"""Files that are either whole or absent (written aside, fsynced, renamed), and texts as they are found."""

import codecs
import contextlib
import gzip
import json
import os
import re
import secrets
import socket
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def written_aside(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it into place.

    Whatever happens (a kill, a full disk), `path` holds its old content or the whole new one.

    Raises:
        OSError: naming `path`, when the disk is full or the folder cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.{_owner(os.getpid())}."
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".tmp")
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        with open(aside, "rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes files private; what is published gets the permissions of any new file.
        aside.chmod(0o666 & ~umask())
        os.replace(aside, path)
        _fsync_folder(path.parent)
    except Exception as error:
        problem = _system_error(error)
        if problem is None:
            raise
        raise OSError(problem.errno, f"cannot write {path}: {problem.strerror or problem}") from error
    finally:
        aside.unlink(missing_ok=True)


def check_link(path: Path) -> None:
    """Make sure that `link` could make `path`, before what it is to lead to is made.

    Raises:
        FileExistsError: if `path` is there and no link.
    """
    if path.exists() and not path.is_symlink():
        raise FileExistsError(f"{path}: there, and not a symbolic link")


def remove_leftovers(folder: Path, *, of_anybody: bool = False) -> None:
    """Remove what killed processes of this machine were writing into `folder`; `written_aside` says where.

    Args:
        folder: looked through, but not the folders in it.
        of_anybody: remove what any process was writing, because the caller holds the folder's lock.
    """
    for path in folder.glob(".*.*.*.tmp"):
        owner = path.name.split(".")[-3]
        pid = owner.rpartition("-")[2]
        dead = pid.isdecimal() and owner == _owner(int(pid)) and not _is_alive(int(pid))
        if of_anybody or dead:
            path.unlink(missing_ok=True)


def _owner(pid: int) -> str:
    """Names a process among those of several machines; without a dot."""
    return f"{socket.gethostname().replace('.', '_')}-{pid}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _system_error(error: BaseException) -> OSError | None:
    """The operating system's error that `error` is or hides: PyTorch and safetensors wrap a full disk."""
    if isinstance(error, OSError):
        return error
    if found := re.search(r"\(os error (\d+)\)", str(error)):
        return OSError(int(found[1]), os.strerror(int(found[1])))
    behind: BaseException | None = error if isinstance(error, RuntimeError) else None
    while behind is not None and not isinstance(behind, OSError):
        behind = behind.__cause__ or behind.__context__
    return behind


def link(target: Path | str, path: Path | str) -> None:
    """Make `path` a symbolic link to `target`, relative to where it is; an old link is replaced at once.

    Raises:
        FileExistsError: if `path` is there and no link.
        OSError: naming `path`, if it cannot be written.
    """
    path = Path(path)
    check_link(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    new = path.parent / f".{path.name}.{_owner(os.getpid())}.{secrets.token_hex(4)}.tmp"
    new.symlink_to(os.path.relpath(Path(target).resolve(), path.parent.resolve()))
    try:
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` (UTF-8) to `path`, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


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
        encoding: of the text; None: UTF-8, or what a byte-order mark says.
        otherwise: the encoding of a file that is not UTF-8 (`latin-1`, as NIST's are); None: an error.
        hint: ends the message of that error.

    Raises:
        ValueError: naming file and line, if it is encoded in another way; naming the file, if it is damaged.
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
    """The lines of a text, as `read_text` reads it, without line ends: of Unix, Windows or old Macs.

    Other characters at which `str.splitlines` cuts (form feeds, U+2028, U+0085) are part of a line.
    """
    return lines_of(read_text(path, otherwise=otherwise))


def lines_of(text: str) -> list[str]:
    """The lines of a text without line ends; see `read_lines`."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def umask() -> int:
    """The permissions that new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
