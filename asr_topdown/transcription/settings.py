"""The limits of the arguments of `asr_topdown.load`, which are also options of `transcribe`."""

import math
from numbers import Integral, Real

from asr_topdown.config.decode import PRECISIONS

SHORTEST = 1.0
"""Seconds; a sound is not cut into shorter pieces."""


def check_settings(
    *,
    beam: object = None,
    nbest: object = None,
    precision: object = None,
    channel: object = None,
    longest: object = SHORTEST,
) -> None:
    """Check the arguments of `asr_topdown.load`, without reading a model.

    Raises:
        ValueError: naming the first that is wrong.
    """
    for name, value in (("beam", beam), ("nbest", nbest), ("channel", channel)):
        if value is not None and not isinstance(value, Integral):
            raise ValueError(f"{name} {value!r}: must be a whole number")
    for name, value in (("beam", beam), ("nbest", nbest)):
        if isinstance(value, Integral) and value < 1:
            raise ValueError(f"{name} {value}: must be at least 1")
    if isinstance(channel, Integral) and channel < 0:
        raise ValueError(f"channel {channel}: channels are counted from 0")
    if not isinstance(longest, Real) or not SHORTEST <= float(longest) < math.inf:
        raise ValueError(f"longest {longest}: must be a number of seconds, at least {SHORTEST:g}")
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r}: must be one of {', '.join(PRECISIONS)}")
