"""The package's log, lines next to a progress bar, and abbreviation of long lists."""

import functools
import logging
import os
import sys
from collections.abc import Sequence
from typing import TextIO

ONCE = "once"
"""`extra={ONCE: key}`: of several processes' records with the same key only the first is shown."""


class _AboveBar(logging.StreamHandler[TextIO]):
    """Writes lines to what is `sys.stderr` at that time, without interfering with a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print_above(self.format(record), sys.stderr)
        except Exception:
            self.handleError(record)


def print_above(line: str, file: TextIO) -> None:
    """Print a line; a visible progress bar is redrawn below it."""
    tqdm = sys.modules.get("tqdm")
    # Without a bar, its lock is not needed: a worker that ends at once would leave its semaphore behind.
    if tqdm is None or not getattr(tqdm.tqdm, "_instances", ()):
        print(line, file=file, flush=True)
        return
    with tqdm.tqdm.get_lock():
        # Not tqdm's `external_write_mode`, which also draws bars that their `delay` still hides.
        bars = [
            bar
            for bar in tqdm.tqdm._instances
            if not bar.disable and bar.last_print_t >= bar.start_t + bar.delay
        ]
        for bar in bars:
            bar.clear(nolock=True)
        print(line, file=file, flush=True)
        for bar in bars:
            bar.refresh(nolock=True)


@functools.cache
def warn_once(message: str) -> None:
    """Log a warning, once."""
    logging.getLogger(__name__).warning(message, extra={ONCE: message})


def log_to_stderr(level: int = logging.INFO) -> None:
    """Show the package's log on stderr, with the time of day; of several processes, that of rank 0."""
    if os.environ.get("WORLD_SIZE", "1") != "1" and os.environ.get("RANK", "0") != "0":
        level = max(level, logging.ERROR)
    logging.basicConfig(
        level=level,
        handlers=[_AboveBar()],
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        force=True,
    )


def listed(names: Sequence[str], *, separator: str = ", ") -> str:
    """Join the first five names; "..." stands for the others."""
    return separator.join([*names[:5], *["..."] * (len(names) > 5)])


def first_of(items: Sequence[str], most: int) -> str:
    """Join the first `most` items of a list of problems, and say how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def shortened(lines: Sequence[str], most: int = 10) -> list[str]:
    """Keep the first lines of a list of problems, and say how many more there are."""
    more = [f"... and {len(lines) - most} more"] if len(lines) > most else []
    return [*lines[:most], *more]
