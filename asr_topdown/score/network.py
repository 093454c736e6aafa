"""Alignment of a reference and a hypothesis with alternatives, as in sclite.

`{ it is / it has / @ }` are alternatives, with or without blanks around braces and slashes; `@` is the
empty word; `(uh)` is optional; `frag-` is correct if the other word begins with it, `-ment` if it ends with
it (but not `(-ment)`). Costs as in `sclite -D -F`: a correct word 0, a substitution 4, an insertion or
deletion 3, of an optional word 2, of `@` 0.001. Ties as in `align`: a pair before an insertion before a
deletion, the first alternative before the others.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from asr_topdown.score.errors import ErrorCounts

_NOTHING = "@"
_SUBSTITUTION, _WHOLE, _OPTIONAL, _NULL, _TWO_NULLS = 4000, 3000, 2000, 1, 1000  # in thousandths

_PAIR, _INSERTION, _DELETION = range(3)
_MAX_DEPTH = 50


class Arc(NamedTuple):
    """A word of a network, and the arcs that can precede it (0 is the start)."""

    word: str
    optional: bool
    before: tuple[int, ...]


class Network(NamedTuple):
    """Arcs in topological order, and those that can be last."""

    arcs: tuple[Arc, ...]
    ends: tuple[int, ...]


def parse(text: str) -> Network:
    """Parse a text into a network.

    Raises:
        ValueError: if braces do not match.
    """
    arcs = [Arc("", False, ())]
    tokens = _tokens(text)
    position, ends = _parse(tokens, 0, (0,), arcs, depth=0)
    assert position == len(tokens)
    return Network(tuple(arcs), ends)


def _tokens(text: str) -> list[str]:
    """Split a text into words and braces, and inside braces `/`, whether or not blanks separate them."""
    tokens: list[str] = []
    depth = 0
    for piece in re.split("([{}])", text):
        depth += (piece == "{") - (piece == "}")
        tokens += (piece.replace("/", " / ") if depth else piece).split()
    return tokens


def _parse(
    tokens: Sequence[str], position: int, ends: tuple[int, ...], arcs: list[Arc], *, depth: int
) -> tuple[int, tuple[int, ...]]:
    """Read until `}` or `/` of this depth; return the position there and the last arcs."""
    while position < len(tokens):
        word = tokens[position]
        if depth and word in ("}", "/"):
            return position, ends
        if word == "}":
            raise ValueError(f"braces do not match: {' '.join(tokens)!r}")
        if word == "{":
            position, ends = _alternatives(tokens, position + 1, ends, arcs, depth=depth + 1)
        else:
            arcs.append(_arc(word, ends))
            position, ends = position + 1, (len(arcs) - 1,)
    if depth:
        raise ValueError(f"braces do not match: {' '.join(tokens)!r}")
    return position, ends


def _alternatives(
    tokens: Sequence[str], position: int, before: tuple[int, ...], arcs: list[Arc], *, depth: int
) -> tuple[int, tuple[int, ...]]:
    """Read `a b / c }`; return the position after it and the last arcs of all branches."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"braces within braces, more than {_MAX_DEPTH} deep")
    ends: tuple[int, ...] = ()
    while True:
        size = len(arcs)
        position, last = _parse(tokens, position, before, arcs, depth=depth)
        if len(arcs) > size:  # sclite ignores an empty alternative, without even `@`
            ends += last
        position += 1
        if tokens[position - 1] == "}":
            return position, ends or before


def _arc(word: str, before: tuple[int, ...]) -> Arc:
    optional = len(word) > 2 and word[0] == "(" and word[-1] == ")"
    word = word[1:-1] if optional else word
    # sclite removes a star at the end of a word.
    return Arc(word[:-1] if len(word) > 1 and word.endswith("*") else word, optional, before)


def same(left: Arc, right: Arc) -> bool:
    """Whether two words count as equal; fragments as in `sclite -F`."""
    for fragment, other in ((left, right), (right, left)):
        if len(fragment.word) > 1 and fragment.word.startswith("-") and not fragment.optional:
            return other.word.endswith(fragment.word[1:])
        if len(fragment.word) > 1 and fragment.word.endswith("-"):
            return other.word.startswith(fragment.word[:-1])
    return left.word == right.word


def count(reference: str, hypothesis: str) -> ErrorCounts:
    """Align two texts with alternatives and count errors.

    An optional word without counterpart counts as correct, in the hypothesis too; of alternatives only the
    chosen ones count.

    Raises:
        ValueError: if braces do not match.
    """
    left, right = parse(reference), parse(hypothesis)
    steps = _fill(left, right)
    counts = [0, 0, 0, 0]  # correct, substitutions, deletions, insertions
    for step, a, b in _trace(steps, *_last(left, right, steps)):
        kind = _kind(step, left.arcs[a], right.arcs[b])
        if kind is not None:
            counts[kind] += 1
    return ErrorCounts(*counts)


_Cell = tuple[int, int, int, int]  # cost, kind of step, previous cell: reference arc, hypothesis arc
_Cells = list[list[_Cell]]


def _fill(left: Network, right: Network) -> _Cells:
    cells: _Cells = []
    for a, arc in enumerate(left.arcs):
        row: list[_Cell] = []
        cells.append(row)
        for b, other in enumerate(right.arcs):
            row.append(_best(cells, a, b, arc, other) if a or b else (0, _PAIR, -1, -1))
    return cells


def _best(cells: _Cells, a: int, b: int, arc: Arc, other: Arc) -> _Cell:
    """Find the cheapest way to end with reference arc `a` and hypothesis arc `b`."""
    options: list[_Cell] = []
    if a and b:
        cost, x, y = min(
            (cells[x][y][0], i, j) for i, x in enumerate(arc.before) for j, y in enumerate(other.before)
        )
        options.append((cost + _pair_cost(arc, other), _PAIR, arc.before[x], other.before[y]))
    if b:
        cost, y = min((cells[a][y][0], j) for j, y in enumerate(other.before))
        options.append((cost + _single_cost(other), _INSERTION, a, other.before[y]))
    if a:
        cost, x = min((cells[x][b][0], i) for i, x in enumerate(arc.before))
        options.append((cost + _single_cost(arc), _DELETION, arc.before[x], b))
    return min(options, key=lambda option: option[0])


def _pair_cost(arc: Arc, other: Arc) -> int:
    if arc.word == other.word == _NOTHING:
        return _TWO_NULLS
    return 0 if same(arc, other) else _SUBSTITUTION


def _single_cost(arc: Arc) -> int:
    if arc.word == _NOTHING:
        return _NULL
    return _OPTIONAL if arc.optional else _WHOLE


def _last(left: Network, right: Network, cells: _Cells) -> tuple[int, int]:
    return min(((a, b) for a in left.ends for b in right.ends), key=lambda pair: cells[pair[0]][pair[1]][0])


def _trace(cells: _Cells, a: int, b: int) -> list[tuple[int, int, int]]:
    """Return each step's (kind, reference arc, hypothesis arc), backwards."""
    steps = []
    while a or b:
        _, kind, before_a, before_b = cells[a][b]
        steps.append((kind, a, b))
        a, b = before_a, before_b
    return steps


def _kind(step: int, arc: Arc, other: Arc) -> int | None:
    """Classify a step: correct 0, substitution 1, deletion 2, insertion 3, None if only of empty words."""
    if step == _PAIR:
        return None if arc.word == other.word == _NOTHING else int(not same(arc, other))
    alone = arc if step == _DELETION else other
    if alone.word == _NOTHING:
        return None
    if alone.optional:
        return 0
    return 2 if step == _DELETION else 3
