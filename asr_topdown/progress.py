"""Progress, as a bar on a terminal or occasional lines in a log file; and durations."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")


def duration(seconds: float) -> str:
    """A readable duration: "45 s", "16.8 min", "2.3 h"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def progress(
    items: Iterable[T], what: str, *, total: int | None = None, unit: str = "it", delay: float = 0.0
) -> "tqdm[T]":
    """Iterate over `items` and show how many are done, the rate and the time left.

    On a terminal the bar is redrawn every 0.2 s. Elsewhere (a log, CI) a line is written every 15 s,
    since each redraw stays in the file; its rate is that since the start, because a recent one is updated
    only then, and other lines (`logs.print_above`) draw the bar as well. Work that takes less than `delay`
    seconds shows nothing.
    """
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    return tqdm(
        items,
        desc=what,
        total=total,
        unit=unit,
        mininterval=0.2 if terminal else 15.0,
        smoothing=0.3 if terminal else 0.0,
        dynamic_ncols=terminal,
        ascii=not terminal,
        leave=True,
        delay=delay,
    )
