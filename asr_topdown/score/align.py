"""Alignment of a reference and a hypothesis, identical to sclite's, including ties.

sclite (NIST SCTK) finds the alignment with the lowest cost, where an insertion costs 3, a deletion 3, a
substitution 4 and a correct unit 0. It breaks ties, from the end, by preferring a pair (correct or
substituted) to an insertion, and an insertion to a deletion. This matters: alignments with equal costs can
have different numbers of errors, since three substitutions cost as much as two insertions and two deletions.
kaldialign's `sclite_mode` has these costs but breaks ties the other way, so that its counts differ slightly.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_topdown.score.long_align import align_long, fill_diagonal

Units = Sequence[str]

_CORRECT, _SUBSTITUTION, _DELETION, _INSERTION = b"CSDI"
# Maximum number of scores in a batch: 16 MB. A pair that needs more is aligned by `align_long`.
_BATCH_CELLS = 8_000_000


@dataclass(frozen=True)
class Alignment:
    """An alignment of a reference and a hypothesis.

    operations: one letter per step, as in sclite: C (correct), S (substitution), D (deletion: a reference
        unit alone) or I (insertion: a hypothesis unit alone).
    """

    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]
    operations: str

    def pairs(self) -> list[tuple[str | None, str | None]]:
        """Return each step's (reference unit, hypothesis unit), with None for a missing one."""
        left: list[str | None] = list(self.reference)
        right: list[str | None] = list(self.hypothesis)
        for place, operation in enumerate(self.operations):
            if operation == "I":
                left.insert(place, None)
            elif operation == "D":
                right.insert(place, None)
        return list(zip(left, right, strict=True))


def align(reference: Units, hypothesis: Units) -> Alignment:
    """Align two sequences of units as sclite does."""
    return align_all([(reference, hypothesis)])[0]


def align_all(pairs: Iterable[tuple[Units, Units]]) -> list[Alignment]:
    """Align each (reference, hypothesis) in batches, a hundred times faster than one by one.

    Repeated pairs are aligned once.
    """
    units = [(tuple(reference), tuple(hypothesis)) for reference, hypothesis in pairs]
    distinct = list(dict.fromkeys(units))
    known = {pair: "C" * len(pair[0]) for pair in distinct if pair[0] == pair[1]}
    known |= {
        pair: _align_long(*pair) for pair in distinct if pair not in known and _cells(*pair) > _BATCH_CELLS
    }
    # Sorted by length, so that a batch has little padding.
    rest = sorted((pair for pair in distinct if pair not in known), key=lambda pair: [*map(len, pair)])
    start = 0
    while start < len(rest):
        end = _batch_end(rest, start)
        known |= zip(rest[start:end], _operations(rest[start:end]), strict=True)
        start = end
    return [Alignment(*pair, known[pair]) for pair in units]


def _cells(reference: Units, hypothesis: Units) -> int:
    """Return the number of scores that a batch needs for a pair."""
    return (len(reference) + 1) * (len(reference) + len(hypothesis) + 1)


def _batch_end(pairs: Sequence[tuple[Units, Units]], start: int) -> int:
    """Return the end of the batch that starts at `start` and has at most _BATCH_CELLS scores."""
    longest: Units = ()
    for end in range(start, len(pairs)):
        reference, hypothesis = pairs[end]
        longest = max(longest, hypothesis, key=len)
        if end > start and _cells(reference, longest) * (end - start + 1) > _BATCH_CELLS:
            return end
    return len(pairs)


def _operations(batch: Sequence[tuple[Units, Units]]) -> list[str]:
    """Return the operations of each pair's alignment."""
    numbers = _numbers(batch)
    references = _numbered([reference for reference, _ in batch], numbers)
    hypotheses = _numbered([hypothesis for _, hypothesis in batch], numbers)
    rows = np.array([len(reference) for reference, _ in batch])
    columns = np.array([len(hypothesis) for _, hypothesis in batch])
    backwards = _trace(_scores(references, hypotheses), references, hypotheses, rows, columns)
    return [steps[steps > 0].tobytes().decode("ascii") for steps in backwards[::-1].T]


def _align_long(reference: Units, hypothesis: Units) -> str:
    numbers = _numbers([(reference, hypothesis)])
    return align_long(*(_numbered([units], numbers)[:, 0] for units in (reference, hypothesis)))


def _numbers(pairs: Sequence[tuple[Units, Units]]) -> dict[str, int]:
    """Assign an id to each unit that occurs."""
    units = itertools.chain.from_iterable(itertools.chain.from_iterable(pairs))
    return {unit: number for number, unit in enumerate(dict.fromkeys(units))}


def _numbered(sequences: Sequence[Units], numbers: Mapping[str, int]) -> NDArray[np.int32]:
    """Return (longest, N) unit ids, padded with zeros."""
    array = np.zeros((max(map(len, sequences)), len(sequences)), np.int32)
    for column, sequence in enumerate(sequences):
        array[: len(sequence), column] = list(map(numbers.__getitem__, sequence))
    return array


def _scores(references: NDArray[np.int32], hypotheses: NDArray[np.int32]) -> NDArray[Any]:
    """Compute the best scores [i + j, i, pair] of the first i reference and the first j hypothesis units."""
    (rows, pairs), columns = references.shape, len(hypotheses)
    kind = _score_type(min(rows, columns))
    scores = np.zeros((rows + columns + 1, rows + 1, pairs), kind)
    backwards = np.ascontiguousarray(hypotheses[::-1])
    for diagonal in range(2, rows + columns + 1):
        low, high = max(1, diagonal - columns), min(rows, diagonal - 1) + 1
        offset = columns - diagonal
        equal = references[low - 1 : high - 1] == backwards[low + offset : high + offset]
        current, previous, older = scores[diagonal], scores[diagonal - 1], scores[diagonal - 2]
        fill_diagonal(current, previous, older, equal, slice(low, high))
    return scores


def _score_type(shorter: int) -> type[np.signedinteger[Any]]:
    """Return the smallest type for the scores of sequences of which the shorter has this many units."""
    return np.int16 if 3 * shorter <= np.iinfo(np.int16).max else np.int32


def _trace(
    scores: NDArray[Any],
    references: NDArray[np.int32],
    hypotheses: NDArray[np.int32],
    row: NDArray[Any],
    column: NDArray[Any],
) -> NDArray[np.uint8]:
    """Trace back from (`row`, `column`); return (steps, N) ASCII codes of operations, padded with zeros."""
    pairs = np.arange(len(row))
    steps = np.zeros((int((row + column).max()), len(row)), np.uint8)
    for step in steps:
        if not (row.any() or column.any()):
            break
        here = scores[row + column, row, pairs]
        # Before the first unit these indices are negative; `inside` masks such values.
        inside = (row > 0) & (column > 0)
        equal = _at(references, row - 1, pairs) == _at(hypotheses, column - 1, pairs)
        pair = inside & (here == scores[row + column - 2, row - 1, pairs] + 1 + 2 * equal)
        insertion = ~pair & (column > 0) & (here == scores[row + column - 1, row, pairs])
        deletion = ~pair & ~insertion & (row > 0)
        step[pair] = _SUBSTITUTION
        step[pair & equal] = _CORRECT
        step[insertion] = _INSERTION
        step[deletion] = _DELETION
        row = row - (pair | deletion)
        column = column - (pair | insertion)
    return steps


def _at(units: NDArray[np.int32], position: NDArray[Any], pairs: NDArray[Any]) -> NDArray[np.int32]:
    """Return units[position, pairs], or zeros if there are no units."""
    return units[position, pairs] if len(units) else np.zeros(len(pairs), np.int32)
