"""Cutting a long sound at quiet places, in bounded memory."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

HOP = 0.01
"""Seconds between possible cuts."""
WINDOW = 0.3
"""Seconds around a possible cut over which its power is averaged."""
SPARE = 1.0
"""Minimum number of seconds after a cut."""


class Piece(NamedTuple):
    """Consecutive samples, and the number of samples before them."""

    start: int
    samples: np.ndarray


def cut(blocks: Iterable[np.ndarray], rate: int, longest: float) -> Iterator[Piece]:
    """Cut a sound into pieces of at most `longest` seconds (the last one: `SPARE` more).

    Each cut is at the quietest place in the last two thirds before that limit, ties the latest.

    Args:
        blocks: the sound, (n,) each.
        rate: in Hz.
        longest: in seconds.
    """
    most, spare = round(longest * rate), round(SPARE * rate)
    waiting = np.empty(0, dtype=np.float32)
    start = 0
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        while len(waiting) > most + spare:
            at = quietest(waiting[:most], rate)
            yield Piece(start, waiting[:at])
            start, waiting = start + at, waiting[at:]
    if len(waiting):
        yield Piece(start, waiting)


def quietest(samples: np.ndarray, rate: int) -> int:
    """Find the middle of the quietest window in the last two thirds of `samples`."""
    hop = max(1, round(HOP * rate))
    hops = len(samples) // hop
    power = np.square(samples[: hops * hop], dtype=np.float64).reshape(hops, hop).mean(1)
    width = min(hops, max(1, round(WINDOW / HOP)))
    # Not by differences of cumulative sums, whose rounding errors would break ties between silent windows.
    smooth = np.convolve(power, np.full(width, 1 / width), "valid")
    first = min(hops // 3, len(smooth) - 1)
    behind = smooth[first:][::-1]
    place = first + len(behind) - 1 - int(behind.argmin())
    return (place + width // 2) * hop
