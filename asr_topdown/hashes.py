"""Names of files' contents: hashes, and the cheaper sizes and times."""

import functools
import hashlib
from pathlib import Path


def file_hash(path: Path | str) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def cached_file_hash(path: Path | str) -> str:
    """The same, read again in this process only if the file has changed."""
    return _hash_in_state(Path(path).resolve(), str(state_of(path)))


@functools.lru_cache(maxsize=256)
def _hash_in_state(path: Path, state: str) -> str:
    return file_hash(path)


def state_of(path: Path | str) -> list[int] | None:
    """Size and times of a file, which change with it; None if it does not exist."""
    try:
        state = Path(path).stat()
    except OSError:
        return None
    # The time of the last change of the inode: what is copied with its time of writing has a new one.
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
