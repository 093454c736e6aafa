"""Alignment scores by anti-diagonals, and the alignment of two long sequences.

The matrix of scores of 50,000 and 50,000 units would take ten gigabytes. `align_long` keeps three of its
anti-diagonals and, at intervals, two adjacent ones as a checkpoint. The backtrace recomputes the scores
between two checkpoints, but only those that the path can reach: from a cell on diagonal d it climbs at most d
- c rows to diagonal c. So the second pass costs little, and memory grows with the shorter sequence.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[Any]
UnitIds = NDArray[np.int32]


def fill_diagonal(
    current: Scores, previous: Scores, older: Scores, equal: NDArray[np.bool_], rows: slice
) -> None:
    """Compute the best scores on a diagonal from those on the two before it.

    The score of the first i reference units and the first j hypothesis units is (3 i + 3 j - cost) / 2: a
    correct unit scores 3, a substitution 1, an insertion or deletion 0. The cells of a diagonal, which have
    the same i + j, do not depend on each other.

    Args:
        current: (rows, ...) output, with index i, or i minus a constant that is the same for all three.
        previous: (rows, ...) scores for i + j - 1.
        older: (rows, ...) scores for i + j - 2.
        equal: (rows to fill, ...) whether unit i of the reference equals unit j of the hypothesis.
        rows: rows to fill; must not start with 0.
    """
    above = slice(rows.start - 1, rows.stop - 1)
    best = current[rows]
    np.multiply(equal, 2, out=best, dtype=best.dtype)
    best += 1
    best += older[above]
    np.maximum(best, previous[rows], out=best)
    np.maximum(best, previous[above], out=best)


class _Block(NamedTuple):
    """Scores of diagonals from `first` on: values[d - first, i - top] belongs to row i on diagonal d."""

    first: int
    top: int
    values: Scores


class _Pair(NamedTuple):
    """A reference and a hypothesis of unit ids; `backwards` is the hypothesis reversed."""

    reference: UnitIds
    hypothesis: UnitIds
    backwards: UnitIds

    def fill(self, current: Scores, previous: Scores, older: Scores, diagonal: int, top: int = 0) -> None:
        """Fill a diagonal's scores except the first; index i - top belongs to row i."""
        rows, columns = len(self.reference), len(self.hypothesis)
        low, high = max(1, diagonal - columns, top + 1), min(rows, diagonal - 1, top + len(current) - 1) + 1
        if low >= high:
            return
        offset = columns - diagonal
        equal = self.reference[low - 1 : high - 1] == self.backwards[low + offset : high + offset]
        fill_diagonal(current, previous, older, equal, slice(low - top, high - top))


def align_long(reference: UnitIds, hypothesis: UnitIds) -> str:
    """Align two sequences as `score.align` defines it; return the operations, one letter each."""
    pair = _Pair(reference, hypothesis, np.ascontiguousarray(hypothesis[::-1]))
    row, column = len(reference), len(hypothesis)
    # With this distance, the checkpoints and the block between two of them take about the same memory.
    distance = max(2, round((2 * (row + column) * min(row, column)) ** (1 / 3)))
    checkpoints = _checkpoints(pair, distance)
    steps = bytearray()
    while row and column:
        block = _block(pair, checkpoints[(row + column - 2) // distance], row, row + column)
        row, column = _trace(pair, block, row, column, steps)
    steps += b"D" * row + b"I" * column
    return steps[::-1].decode("ascii")


def _checkpoints(pair: _Pair, distance: int) -> list[_Block]:
    """Compute all scores, but keep only diagonals 0 and 1, `distance` and `distance` + 1, and so on."""
    rows, columns = len(pair.reference), len(pair.hypothesis)
    # Cells with i = 0 or j = 0 are never filled: their score is zero.
    ring = np.zeros((3, rows + 1), np.int32)
    found = []
    for diagonal in range(1, rows + columns + 1):
        pair.fill(ring[diagonal % 3], ring[(diagonal - 1) % 3], ring[(diagonal - 2) % 3], diagonal)
        first = diagonal - 1
        if first % distance == 0:
            top = max(0, first - columns)
            found.append(_Block(first, top, ring[[first % 3, diagonal % 3], top : min(rows, diagonal) + 1]))
    return found


def _block(pair: _Pair, start: _Block, row: int, last: int) -> _Block:
    """Compute the scores from a checkpoint to diagonal `last` that a path from `row` there can reach."""
    top = max(start.top, row - (last - start.first))
    values = np.zeros((last - start.first + 1, row - top + 1), np.int32)
    known = start.values[:, top - start.top : row + 1 - start.top]
    values[:2, : known.shape[1]] = known
    for place in range(2, len(values)):
        pair.fill(values[place], values[place - 1], values[place - 2], start.first + place, top)
    return _Block(start.first, top, values)


def _trace(pair: _Pair, block: _Block, row: int, column: int, steps: bytearray) -> tuple[int, int]:
    """Append the operations, backwards, until the path leaves the block or reaches a sequence's start."""
    reference, hypothesis = pair.reference, pair.hypothesis
    while row and column and row + column - 2 >= block.first:
        place, i = row + column - block.first, row - block.top
        here = block.values[place, i]
        equal = reference[row - 1] == hypothesis[column - 1]
        if here == block.values[place - 2, i - 1] + (3 if equal else 1):
            steps += b"C" if equal else b"S"
            row, column = row - 1, column - 1
        elif here == block.values[place - 1, i]:
            steps += b"I"
            column -= 1
        else:
            steps += b"D"
            row -= 1
    return row, column
