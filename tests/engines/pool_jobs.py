"""Functions for the jobs of the pool's tests, in an importable module so that they can be pickled."""

import os
import time
from pathlib import Path

from asr_topdown.engines import interruption
from asr_topdown.engines.worker import report_progress


def process_id() -> int:
    return os.getpid()


def say(word: str) -> None:
    print(word, flush=True)


def die(how: int) -> None:
    os.kill(os.getpid(), how)


def no_memory() -> None:
    raise RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    )


def meet(folder: Path, count: int) -> int:
    """Wait until `count` such jobs run at the same time."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < count:
        time.sleep(0.01)
    return os.getpid()


def count_to(number: int) -> None:
    for _ in range(number):
        report_progress()


def save_when_asked(folder: Path) -> None:
    """As a training does: goes on until it is asked to end, and saves first."""
    with interruption.deferred():
        (folder / "began").touch()
        while not interruption.requested():
            time.sleep(0.01)
        (folder / "saved").touch()
        interruption.check()


def tidy_up(folder: Path) -> None:
    """As anything else does: ends at once, through its `finally`."""
    (folder / "aside").touch()
    try:
        (folder / "began").touch()
        time.sleep(60)
    finally:
        (folder / "aside").unlink()
