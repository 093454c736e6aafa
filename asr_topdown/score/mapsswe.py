"""The matched-pair sentence-segment word error test (MAPSSWE), as NIST's sc_stats does it.

From Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms", ICASSP
1989. The details are those of SCTK (sc_stats version 1.3, min_good = 2), with which the numbers here agree:

* Both systems' alignments with the same reference are read in step, reference word by reference word. A word
  is *good* if both systems have it correct.
* Each utterance is cut into segments. A segment opens with the first error of either system. It closes with
  the second of two good words in a row with nothing inserted between them, or with the end of the utterance.
  What is inserted belongs to the reference word after it, or to the utterance's end.
* x = errors of the first system - errors of the second, in a segment. Segments are taken as independent. With
  the mean m and the standard deviation s (divisor n - 1) of x over n segments, Z = m / (s / sqrt(n)). If both
  systems err equally often, Z is normally distributed for large n: p = P(|N(0, 1)| >= |Z|).
* If all x are equal, Z = 0 and p = 1, as in sc_stats.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from asr_topdown.score.align import Alignment

# Good words that part two segments: sc_stats's fixed value.
BOUNDARY = 2


@dataclass(frozen=True)
class MatchedPairs:
    """Result of the test.

    segments: how many there are.
    first, second: errors of each system, all of which lie in segments.
    mean, deviation: of the differences (first - second) per segment.
    z: positive when the second system errs less.
    p_value: two-tailed.
    """

    segments: int
    first: int
    second: int
    mean: float
    deviation: float
    z: float
    p_value: float


def mapsswe(alignments: Iterable[tuple[Alignment, Alignment]]) -> MatchedPairs:
    """Test whether two systems err equally often.

    Args:
        alignments: for each utterance, the first and the second system's alignment with one reference.

    Raises:
        ValueError: when the two alignments of an utterance have different references.
    """
    found = [segment for first, second in alignments for segment in segments(first, second)]
    differences = [first - second for first, second in found]
    count = len(found)
    mean = sum(differences) / count if count else 0.0
    squares = sum((difference - mean) ** 2 for difference in differences)
    deviation = math.sqrt(squares / (count - 1)) if squares else 0.0
    z = mean / (deviation / math.sqrt(count)) if deviation else 0.0
    return MatchedPairs(
        segments=count,
        first=sum(first for first, _ in found),
        second=sum(second for _, second in found),
        mean=mean,
        deviation=deviation,
        z=z,
        p_value=math.erfc(abs(z) / math.sqrt(2)),
    )


def segments(first: Alignment, second: Alignment) -> list[tuple[int, int]]:
    """Errors (first system's, second system's) in each segment of one utterance."""
    if first.reference != second.reference:
        left, right = " ".join(first.reference), " ".join(second.reference)
        raise ValueError(f"cannot compare alignments with different references: {left!r} and {right!r}")
    found: list[tuple[int, int]] = []
    errors_first = errors_second = 0
    good = BOUNDARY
    for (inserted_first, wrong_first), (inserted_second, wrong_second) in zip(
        _by_reference(first), _by_reference(second), strict=True
    ):
        if inserted_first or inserted_second:
            good = 0
        good = 0 if wrong_first or wrong_second else good + 1
        errors_first += inserted_first + wrong_first
        errors_second += inserted_second + wrong_second
        if good >= BOUNDARY and (errors_first or errors_second):
            found.append((errors_first, errors_second))
            errors_first = errors_second = 0
    if errors_first or errors_second:
        found.append((errors_first, errors_second))
    return found


def _by_reference(alignment: Alignment) -> list[tuple[int, bool]]:
    """(words inserted before it, whether it is wrong) of each reference word and, last, of the end."""
    steps = []
    inserted = 0
    for operation in alignment.operations:
        if operation == "I":
            inserted += 1
        else:
            steps.append((inserted, operation != "C"))
            inserted = 0
    return [*steps, (inserted, False)]
