"""Downloading corpora: by https, resumable, verified, and complete or absent."""

import errno
import functools
import hashlib
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from asr_topdown import files
from asr_topdown.engines.alone import alone_in
from asr_topdown.progress import progress

_CHUNK = 1 << 16
_PARTIAL, _NOTHING_AFTER = 206, 416  # HTTP status codes
_MD5_DIGITS = 32
_ON_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EIO)


def fetch(url: str, path: Path, checksum: str = "") -> None:
    """Download `url` to `path`, unless it exists.

    A partial download is kept in `path` + `.part`, and the next call resumes it.

    Args:
        url: an https address; http only for this machine.
        path: the target.
        checksum: SHA-256, or MD5 if no other is published, in hexadecimal; the file, old or new, must have
            it. "" = not checked.

    Raises:
        OSError: naming the address, if the download fails or is interrupted, or if it is not https or
            redirects elsewhere; naming the file, if it cannot be written, or if its checksum differs, with
            which it is removed.
    """
    # Imported here because it is slow.
    import urllib.error
    from http.client import HTTPException

    if path.exists():
        _check_sum(path, checksum, url)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        try:
            _receive(url, part)
        except urllib.error.HTTPError as error:
            if error.code != _NOTHING_AFTER:
                raise
            part.unlink(missing_ok=True)  # already complete, or of an older file
            _receive(url, part)
    except (OSError, HTTPException) as error:
        if isinstance(error, OSError) and error.errno in _ON_DISK:
            raise files.cannot_write(part, error) from error
        raise OSError(f"cannot download {url}: {getattr(error, 'reason', None) or error}") from error
    _check_sum(part, checksum, url)
    part.replace(path)


def _check_sum(path: Path, checksum: str, url: str) -> None:
    if not checksum:
        return
    name, algorithm = ("MD5", "md5") if len(checksum) == _MD5_DIGITS else ("SHA-256", "sha256")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != checksum:
        path.unlink()
        raise OSError(f"{path}: removed, since its {name} must be {checksum} ({url}), got {found}")


def _receive(url: str, part: Path) -> None:
    from asr_topdown.corpora import https

    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with https.request(url, headers) as answer:
        resumed = answer.status == _PARTIAL
        have = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        chunks = iter(lambda: answer.read(_CHUNK), b"")
        count = -(-int(length) // _CHUNK) if length else None
        with open(part, "ab" if resumed else "wb") as file:
            for chunk in progress(chunks, part.stem, total=count, unit="chunk"):
                file.write(chunk)
        if total is not None and part.stat().st_size < total:
            raise OSError(f"stopped after {part.stat().st_size} of {total} bytes; run again to resume")


def unpack(archive: Path, folder: Path, check: Callable[[Path], None] | None = None) -> None:
    """Unpack a tar archive to `folder`, which is complete or absent.

    Args:
        archive: the file.
        folder: the target.
        check: raises an OSError if something is missing in the unpacked folder.

    Raises:
        OSError: naming the archive, if it is damaged (it is then removed, to be downloaded again); naming the
            folder, if it cannot be written; from `check`.
    """
    with folder_aside(folder) as aside:
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(aside, filter="data")
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # a full disk, say: the archive is not to blame
            archive.unlink(missing_ok=True)
            raise OSError(f"{archive}: damaged archive, removed ({error})") from error
        if check is not None:
            check(aside)


def holds(count: int, pattern: str) -> Callable[[Path], None]:
    """Make a check for `unpack`: at least `count` files that match `pattern`, at any depth."""

    def check(folder: Path) -> None:
        found = sum(1 for _ in folder.rglob(pattern))
        if found < count:
            raise OSError(f"the download must have {count} files {pattern}, got {found}")

    return check


@contextmanager
def folder_aside(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `folder`; on success it becomes `folder`.

    Raises:
        OSError: naming `folder`, if the disk is full or its parent is not writable.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    files.remove_leftovers(folder.parent)
    aside: Path | None = None
    try:
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=files.prefix_aside(folder), suffix=".tmp"))
        yield aside
        aside.chmod(0o777 & ~files.umask())
        aside.replace(folder)
    except OSError as error:
        if error.errno is None:  # not from the operating system
            raise
        raise files.cannot_write(folder, error) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def first_that_works(what: str, sources: Sequence[Callable[[], None]], advice: str) -> None:
    """Try several sources until one works.

    Raises:
        OSError: one line with each failure's reason, and `advice`; at once, if the fault is this machine's (a
            full disk), which no other source can mend.
    """
    failures = []
    for attempt in sources:
        try:
            return attempt()
        except OSError as error:
            if error.errno is not None:
                raise
            failures.append(" ".join(str(error).split()))
    raise OSError(f"cannot get {what}: {'; '.join(failures)}. {advice}")


def fill(folder: Path, what: str, sources: Sequence[Callable[[], None]], advice: str) -> None:
    """Create `folder`, unless it exists, by the first source that works; one process at a time.

    Args:
        folder: the target, created by a source.
        what: its name, for errors.
        sources: to try in order.
        advice: what to do if none works.

    Raises:
        OSError: as `first_that_works`.
    """
    if folder.exists():
        return
    with alone_in(folder.parent, f"download {folder}"):
        if not folder.exists():  # nor made by a process that had the lock
            first_that_works(what, sources, advice)


def archive(
    folder: Path,
    addresses: Sequence[str],
    what: str,
    advice: str,
    *,
    checksum: str = "",
    check: Callable[[Path], None] | None = None,
) -> None:
    """Fill `folder`, unless it exists, from a .tar.gz at the first of `addresses` that works.

    Args:
        folder: the target.
        addresses: of the same archive.
        what: its name, for errors.
        advice: what to do if none works.
        checksum: of the archive, see `fetch`.
        check: see `unpack`.

    Raises:
        OSError: as `fill`.
    """

    def source(address: str) -> None:
        packed = folder.with_name(f"{folder.name}.tar.gz")
        fetch(address, packed, checksum)
        unpack(packed, folder, check)

    fill(folder, what, [functools.partial(source, address) for address in addresses], advice)
