"""One way to show progress, a bar on a terminal and a line now and then in a log file; and durations."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")


def duration(seconds: float) -> str:
    """As a person says it: "45 s", "16.8 min", "2.3 h"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def progress(
    items: Iterable[T], what: str, *, total: int | None = None, unit: str = "it", delay: float = 0.0
) -> "tqdm[T]":
    """Iterate over `items` and show how many are done, the rate and the time left.

    On a terminal the bar is redrawn every 0.2 s. Elsewhere (a log, CI) a line every 15 s is enough,
    since each redraw stays in the file. What is done within `delay` seconds shows nothing.
    """
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    return tqdm(
        items,
        desc=what,
        total=total,
        unit=unit,
        mininterval=0.2 if terminal else 15.0,
        dynamic_ncols=terminal,
        ascii=not terminal,
        leave=True,
        delay=delay,
    )
