"""Praat's TextGrid in its long text format: intervals in tiers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A labelled interval, in seconds."""

    start: float
    end: float
    label: str


def text_grid(tiers: Mapping[str, Sequence[Interval]], seconds: float) -> str:
    """Format a TextGrid of `seconds` with a tier for each entry.

    Praat requires tiers without gaps and overlaps: gaps are filled with empty intervals, and an interval that
    overlaps the previous one is cut.
    """
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_number(seconds)}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, intervals) in enumerate(tiers.items(), 1):
        covered = list(_covered(sorted(intervals), seconds))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(name)}",
            "        xmin = 0",
            f"        xmax = {_number(seconds)}",
            f"        intervals: size = {len(covered)}",
        ]
        for place, interval in enumerate(covered, 1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {_number(interval.start)}",
                f"            xmax = {_number(interval.end)}",
                f"            text = {_quoted(interval.label)}",
            ]
    return "\n".join(lines) + "\n"


def _covered(intervals: Iterable[Interval], seconds: float) -> Iterable[Interval]:
    at = 0.0
    for start, end, label in intervals:
        start, end = (min(max(round(time, 6), at), seconds) for time in (start, end))
        if end <= start:
            continue
        if start > at:
            yield Interval(at, start, "")
        yield Interval(start, end, label)
        at = end
    if at < seconds:
        yield Interval(at, seconds, "")


def _number(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
