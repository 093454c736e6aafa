"""A lock on a folder among the processes of one machine, which leaves nothing behind."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from asr_topdown.engines.job import say


@contextlib.contextmanager
def alone_in(folder: Path, what: str = "") -> Iterator[None]:
    """Create a folder, and be the only process of this machine in a block about it; wait for another.

    It leaves nothing behind, and knows nothing of other machines; see `lock` for what does.

    Args:
        folder: the folder.
        what: if this takes longer than a moment: its name, to say that it waits.
    """
    with contextlib.ExitStack() as until:
        # Without locks it goes on without; where the folder cannot be made, writing to it says so.
        with contextlib.suppress(ImportError, OSError):
            import fcntl  # not where there is no Unix, and where networks can be used nevertheless

            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
            until.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if what:
                    say(f"{what}: another process has it, waiting")
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def alone_in_all(folders: Iterable[Path]) -> Iterator[None]:
    """`alone_in` several folders; processes take them in one order, so that no two wait for each other."""
    with contextlib.ExitStack() as until:
        for folder in sorted({folder.resolve() for folder in folders}):
            until.enter_context(alone_in(folder))
        yield
