"""A lock on a folder that survives crashes and works across machines.

It combines two kinds. The operating system's `flock` is released as soon as its process ends, in any way; but
on a network disk it may be unavailable, or known to one machine only. So the holder also keeps a lease: a
file that names it and whose time it renews. A lease that is no longer renewed, by the clock of the waiting
process (clocks of different machines are never compared), has expired and may be taken over.

    lock     flock; empty, stays
    lease    who holds the folder: machine, process, a random token; gone when nobody does
"""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from asr_topdown.engines.job import say
from asr_topdown.files import cannot_write, write_text

RENEW_SECONDS = 20.0
STALE_SECONDS = 120.0
"""A holder paused for longer loses the lock to another machine, and exits when it resumes."""

LOCK = ".lock"
"""A folder to hold, in one whose other files are people's."""

_SETTLE_SECONDS = 2.0
_POLL_SECONDS = 1.0
_NO_FLOCK = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def held(folder: Path, name: str) -> Iterator[None]:
    """Lock `folder` for this thread; wait, with a message, while another holds it.

    Args:
        folder: created if it does not exist.
        name: for messages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as handle:
        locked = _flock(handle, name)
        with _lease(folder / "lease", name, locked=locked):
            yield


def is_held(folder: Path) -> bool:
    """Whether a process holds `folder`, or was killed while holding it."""
    return (folder / "lease").exists()


def _flock(handle: IO[bytes], name: str) -> bool:
    """Whether this machine's processes are locked out; False if the disk does not support it."""
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: another process has it, waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_FLOCK:
            raise
        return False
    return True


@contextlib.contextmanager
def _lease(path: Path, name: str, *, locked: bool) -> Iterator[None]:
    token = secrets.token_hex(8)
    own = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "boot": boot_id(), "token": token})
    _take(path, own, name, locked=locked)
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(path, own, name, ended), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        if _read(path) == own:
            path.unlink(missing_ok=True)


def _take(path: Path, own: str, name: str, *, locked: bool) -> None:
    """Wait until there is no lease, or only an expired one, and write our own."""
    while True:
        if _create(path, own):
            return
        _wait_until_dead(path, name, locked=locked)
        if _read(path) is None:
            continue
        write_text(path, own)
        # Others may have found it dead too and have written theirs: the last one has it.
        time.sleep(_SETTLE_SECONDS)
        if _read(path) == own:
            return


def _create(path: Path, own: str) -> bool:
    """Write the lease if there is none.

    Raises:
        OSError: naming it, if it cannot be written; none is left then.
    """
    try:
        with path.open("x", encoding="utf-8") as handle:
            handle.write(own)
    except FileExistsError:
        return False
    except OSError as error:
        # Opened, but not written, as on a full disk: an empty one would keep others waiting.
        path.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    return True


def _wait_until_dead(path: Path, name: str, *, locked: bool) -> None:
    """Return when the lease is removed, or has not been renewed for `STALE_SECONDS`."""
    said, seen, since = False, _state(path), time.monotonic()
    while seen is not None:
        # On our own machine flock, if it works, has answered already: its holder is dead.
        if locked and boot_id() and boot_id() in seen[0]:
            return
        if time.monotonic() - since > STALE_SECONDS:
            say(f"{name}: its holder has shown no life for {STALE_SECONDS:.0f} s, taking over ({seen[0]})")
            return
        if not said:
            holder = seen[0] or f"{path} names none: if nobody has it, this ends in {STALE_SECONDS:.0f} s"
            say(f"{name}: another machine has it, waiting ({holder})")
            said = True
        time.sleep(_POLL_SECONDS)
        now = _state(path)
        if now != seen:
            seen, since = now, time.monotonic()


def _renew(path: Path, own: str, name: str, ended: threading.Event) -> None:
    """Renew the lease; if another process has taken it over, exit before doing any harm."""
    while not ended.wait(RENEW_SECONDS):
        try:
            if _read(path) != own:
                say(f"{name}: another process took over while this one was stopped; this one ends")
                os._exit(75)
            os.utime(path)
        except OSError as error:  # a disk that is away for a moment
            say(f"{name}: lease not renewed: {error}")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _state(path: Path) -> tuple[str, int] | None:
    """Content and time of the lease. The file is opened, since NFS shows a stale time without opening."""
    try:
        with path.open(encoding="utf-8") as handle:
            return handle.read(), os.fstat(handle.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None


def boot_id() -> str:
    """A name of this machine and its current boot; "" if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
