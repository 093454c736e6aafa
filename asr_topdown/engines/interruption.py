"""Requests to stop a process: a training first writes a checkpoint, so that nothing is lost.

A command runs under `listening`, an engine's process calls `listen`. A loop that can save its state at any
step wraps itself in `deferred` and checks `requested` between steps; elsewhere a request acts at once, except
during imports, which an unexpected exception would leave half done: some libraries then retry for ever.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

GRACE_SECONDS = 45
"""Maximum time until a loop's next check; less than Slurm allows (90 s)."""

_RETRY_SECONDS = 0.05

_deferring = 0
_importing = False  # a request is waiting for the end of an import
_asked_by: int | None = None
_listening: tuple[int, ...] = ()


class Interrupted(BaseException):
    """This process was asked to stop. Not an `Exception`, since it is no error and must not be swallowed.

    Attributes:
        signal: that requested it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"asked to end by {signal.Signals(number).name}")
        self.signal = number


def listen(*signals: int) -> None:
    """Treat each of the signals as a request to stop, unless it is ignored. In the main thread only."""
    global _listening, _asked_by
    _asked_by = None
    # What `nohup` ignores stays ignored.
    _listening = tuple(number for number in signals if signal.getsignal(number) != signal.SIG_IGN)
    for number in _listening:
        signal.signal(number, _ask)
    signal.signal(signal.SIGALRM, _remember)


@contextlib.contextmanager
def listening(*signals: int) -> Iterator[None]:
    """A context that listens; in threads other than the main one it does nothing."""
    global _asked_by, _listening
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        with handlers_kept(*signals, signal.SIGALRM):
            listen(*signals)
            try:
                yield
            finally:
                signal.alarm(0)
    finally:
        _asked_by, _listening = None, ()  # what was asked concerned the block that is over


@contextlib.contextmanager
def handlers_kept(*signals: int) -> Iterator[None]:
    """A context after which each signal has its earlier handler again, whatever a library has set in it.

    In threads other than the main one, where handlers cannot be set, it does nothing.
    """
    handlers = {number: signal.getsignal(number) for number in signals}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


def requested() -> bool:
    """Whether this process was asked to stop."""
    return _asked_by is not None


def check() -> None:
    """Raise `Interrupted` if this process was asked to stop. Call this when everything is saved."""
    if _asked_by is not None:
        _end(_asked_by)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """A context in which requests wait for `check`, but no longer than `GRACE_SECONDS`."""
    global _deferring
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """A context of a moment, as the writing of files that belong together: what is asked waits for its end.

    Ctrl-C waits, too; a second one does not.
    """
    asked = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    main = threading.current_thread() is threading.main_thread()
    # Where Ctrl-C is ignored, or a library's own matter, it stays so.
    usual = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with handlers_kept(*[signal.SIGINT] * usual), deferred():
        if usual:
            signal.signal(signal.SIGINT, remember)
        yield
    if asked:
        raise KeyboardInterrupt
    check()


def _ask(number: int, frame: FrameType | None) -> None:
    global _asked_by
    first, _asked_by = _asked_by is None, _asked_by or number
    if not _deferring:
        _end_unless_importing(frame)
    elif first:
        signal.alarm(GRACE_SECONDS)


def _remember(number: int, frame: FrameType | None) -> None:
    """Act on the request if the import is over, or after the grace period."""
    global _importing
    if _importing and _deferring:
        _importing = False
        signal.alarm(GRACE_SECONDS)
    else:
        _end_unless_importing(frame)


def _end_unless_importing(frame: FrameType | None) -> None:
    global _importing
    assert _asked_by is not None
    _importing = False
    while frame is not None and not _importing:
        _importing, frame = frame.f_code.co_filename.startswith("<frozen importlib"), frame.f_back
    if not _importing:
        _end(_asked_by)
    signal.setitimer(signal.ITIMER_REAL, _RETRY_SECONDS)


def _end(number: int) -> NoReturn:
    signal.alarm(0)
    # Asked once is enough: a second request must not break what the first one has begun to tidy up.
    for other in _listening:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)
