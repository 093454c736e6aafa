"""Fetching corpora: resumable, and whole or absent."""

import functools
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from asr_topdown.progress import progress

_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 20.0
_PARTIAL, _NOTHING_AFTER = 206, 416  # HTTP status codes


def fetch(url: str, path: Path) -> None:
    """Download `url` to `path`, unless it is there.

    What has arrived waits in `path` + `.part`, so that the next call goes on where this one stopped.

    Raises:
        OSError: naming the address, if it does not answer or stops in the middle.
    """
    # As long as nothing is downloaded, nobody waits for their import.
    import urllib.error
    from http.client import HTTPException

    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        try:
            _receive(url, part)
        except urllib.error.HTTPError as error:
            if error.code != _NOTHING_AFTER:
                raise
            part.unlink(missing_ok=True)  # it is whole already, or of another file than the one there now
            _receive(url, part)
    except (OSError, HTTPException) as error:
        raise OSError(f"cannot download {url}: {getattr(error, 'reason', None) or error}") from error
    part.replace(path)


def _receive(url: str, part: Path) -> None:
    import urllib.request

    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - addresses are our own constants
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
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
            raise OSError(f"stopped after {part.stat().st_size} of {total} bytes; run again to go on")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive to `folder`, which is whole or absent.

    Raises:
        OSError: naming the archive, if it is damaged (it is then removed, for a fresh download).
    """
    with folder_aside(folder) as aside:
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(aside, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            archive.unlink(missing_ok=True)
            raise OSError(f"{archive}: damaged archive, removed ({error})") from error


@contextmanager
def folder_aside(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; on success it becomes `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield aside
        aside.chmod(0o755)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def first_that_works(what: str, sources: Sequence[Callable[[], None]], advice: str) -> None:
    """Try ways to get something until one works.

    Raises:
        OSError: one line with why each failed, and `advice`.
    """
    failures = []
    for attempt in sources:
        try:
            return attempt()
        except OSError as error:
            failures.append(" ".join(str(error).split()))
    raise OSError(f"cannot get {what}: {'; '.join(failures)}. {advice}")


def archive(folder: Path, addresses: Sequence[str], what: str, advice: str) -> None:
    """Fill `folder` from a .tar.gz at the first of `addresses` that works; nothing is done if it is there.

    Raises:
        OSError: as `first_that_works`.
    """

    def source(address: str) -> None:
        packed = folder.with_suffix(".tar.gz")
        fetch(address, packed)
        unpack(packed, folder)

    if not folder.exists():
        first_that_works(what, [functools.partial(source, address) for address in addresses], advice)
