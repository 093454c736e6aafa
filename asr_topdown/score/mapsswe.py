"""The matched-pair sentence-segment word error test (MAPSSWE), as in NIST's sc_stats.

From Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms", ICASSP
1989. The details follow SCTK (sc_stats version 1.3, min_good = 2), and the numbers agree with it:

* Both systems' alignments with the same reference are read in parallel, by reference word. A word is *good*
  if both systems have it correct.
* Each utterance is cut into segments. A segment starts with the first error of either system. It ends with
  the second of two consecutive good words without an insertion between them, or with the utterance. An
  insertion belongs to the next reference word, or to the utterance's end.
* x = errors of the first system - errors of the second, in a segment. Segments are assumed independent. With
  the mean m and the standard deviation s (divisor n - 1) of x over n segments, Z = m / (s / sqrt(n)). If both
  systems have the same error rate, Z is normally distributed for large n: p = P(|N(0, 1)| >= |Z|).
* If all x are equal, Z = 0 and p = 1, as in sc_stats.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from asr_topdown.score.align import Alignment

# Number of good words between two segments, fixed in sc_stats.
BOUNDARY = 2


@dataclass(frozen=True)
class MatchedPairs:
    """Result of the test.

    segments: number of segments.
    first, second: errors of each system, all of them in segments.
    mean, deviation: of the differences (first - second) per segment.
    z: positive if the second system is better.
    p_value: two-tailed.
    """

    segments: int
    first: int
    second: int
    mean: float
    deviation: float
    z: float
    p_value: float

    def second_minus_first(self) -> tuple[float, float]:
        """Mean and Z as they are shown, like a report's Δ: negative if the second system is better."""
        return 0.0 - self.mean, 0.0 - self.z


def mapsswe(alignments: Iterable[tuple[Alignment, Alignment]]) -> MatchedPairs:
    """Test whether two systems have the same error rate.

    Args:
        alignments: for each utterance, the first and the second system's alignment with its reference.

    Raises:
        ValueError: if the two alignments of an utterance have different references.
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
    """Return the errors (first system's, second system's) in each segment of an utterance."""
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
    """Return (words inserted before it, whether it is wrong) for each reference word, and finally the end."""
    steps = []
    inserted = 0
    for operation in alignment.operations:
        if operation == "I":
            inserted += 1
        else:
            steps.append((inserted, operation != "C"))
            inserted = 0
    return [*steps, (inserted, False)]
