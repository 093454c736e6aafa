"""Patterns for layers: exact names, ranges, globs, a number from the bottom or the top."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence

_RANGE = re.compile(r"(?P<stem>.*?)(?P<first>[0-9]+)-(?P<last>[0-9]+)")
_END = re.compile(r"(?P<end>bottom|top):(?P<count>[0-9]+)")


def match(known: Sequence[str], patterns: Iterable[str], *, what: str = "layers") -> tuple[str, ...]:
    """The layers that match any of `patterns`, in the order of `known`.

    Args:
        known: the network's layers, input first.
        patterns: each an exact name; `blstm.0-2`, from blstm.0 to blstm.2; `bottom:3` or `top:1`, this many
            from the input or the output; or a glob with `*`, `?` or `[...]`. Commas separate several.
        what: start of the error message.

    Raises:
        ValueError: if a pattern matches nothing, or a layer of a range does not exist: a misspelt freeze is
            never silent.
    """
    parts = [part.strip() for pattern in patterns for part in pattern.split(",")]
    found = {name for part in parts for name in _matching(known, part, what)}
    return tuple(name for name in known if name in found)


def assign(known: Sequence[str], values: Mapping[str, float], *, what: str) -> dict[str, float]:
    """Layer -> its value, from patterns with a value each, whose order does not matter.

    Raises:
        ValueError: as `match`, or if two patterns match the same layer.
    """
    pattern_of: dict[str, str] = {}
    for pattern in values:
        for name in match(known, [pattern], what=what):
            if (first := pattern_of.setdefault(name, pattern)) != pattern:
                raise ValueError(f"{what}: {first!r} and {pattern!r} both match {name}: name it once")
    return {name: values[pattern] for name, pattern in pattern_of.items()}


def _matching(known: Sequence[str], pattern: str, what: str) -> Sequence[str]:
    """The layers that match one pattern."""
    if pattern in known:
        return [pattern]
    there = f"the layers are {', '.join(known)}"
    if end := _END.fullmatch(pattern):
        count = int(end["count"])
        if not 1 <= count <= len(known):
            raise ValueError(f"{what}: {pattern}: must be from 1 to {len(known)}; {there}")
        return known[:count] if end["end"] == "bottom" else known[-count:]
    if span := _RANGE.fullmatch(pattern):
        first, last = int(span["first"]), int(span["last"])
        if last < first:
            raise ValueError(f"{what}: {pattern}: the range runs backwards")
        for number in range(first, last + 1):
            if (name := f"{span['stem']}{number}") not in known:
                raise ValueError(f"{what}: {pattern}: no layer is called {name}; {there}")
        return [f"{span['stem']}{number}" for number in range(first, last + 1)]
    matching = [name for name in known if fnmatch.fnmatchcase(name, pattern)]
    if not matching:
        raise ValueError(f"{what}: no layer matches {pattern!r}; {there}")
    return matching
