"""Comparison of two ways of training, each run with several seeds, on one test set.

Such a difference is uncertain for two reasons: other seeds would give other networks, and another test set
would have other utterances. All seeds are tested on the same utterances, so that more seeds do not reduce the
second uncertainty. Let d[s, u] be the contribution of utterance u to the difference of seed s (the two
networks of a seed are a pair), with S seeds and N utterances. The variance of the mean difference has two
parts, which are estimated as in a two-way analysis of variance:

    V_S  variance of the seeds' differences / S
    V_U  variance of the utterances' mean differences / N
    V_E  residual variance of d after subtracting its means over seeds and over utterances, / (S N);
         it is in V_S and in V_U, so V_U - V_E is what the choice of utterances adds to V_S

The confidence interval is the mean difference plus or minus

    h = max( sqrt( t(S-1)^2 V_S + t(N-1)^2 max(V_U - V_E, 0) ),  t(N-1) sqrt(V_U) )

where t(f) is Student's quantile with f degrees of freedom at the interval's level. The first term is
Banerjee's bound (Sankhya A 23, 1961): with two estimated variances this interval has at least its nominal
coverage, whichever of the two is larger. (A t-test with Satterthwaite's degrees of freedom is not safe with
three seeds: up to 8 % false alarms at 0.05, 3.6 % at 0.01.) The second term takes the networks as given; it
protects against small test sets, where the seeds can agree by accident. p is one minus the largest level at
which the interval excludes zero. `docs/statistics.md` gives the rate of false alarms and the power.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from asr_topdown.score import student
from asr_topdown.score.significance import Floats, block_sums

# Maps each seed's error rate to the quantity to compare: np.exp turns nats per word into perplexities.
Measure = Callable[[Floats], Floats]

# With fewer seeds there is no p-value and no interval.
MIN_SEEDS = 3
_SMALLEST_P = 1e-9


@dataclass(frozen=True)
class SeedDifference:
    """Error rate of a first system minus that of a second.

    Attributes:
        difference: of the means over the seeds; positive if the second system is better.
        interval: its confidence interval; None with fewer than `MIN_SEEDS` seeds or two utterances (blocks).
        p_value: two-sided, from the same estimate as the interval; None if that is.
        seeds: number of pairs.
    """

    difference: float
    interval: tuple[float, float] | None
    p_value: float | None
    seeds: int


@dataclass(frozen=True)
class Spread:
    """Mean differences and their estimated variances by source: arrays of one shape, or numbers.

    Attributes:
        difference: mean over seeds.
        seeds: V_S.
        utterances: V_U.
        residual: V_E.
        shape: (S, N), the numbers of seeds and of utterances (or blocks).
    """

    difference: Floats
    seeds: Floats
    utterances: Floats
    residual: Floats
    shape: tuple[int, int]

    def half_width(self, level: float = 0.95) -> Floats:
        """Compute half the width of the confidence interval."""
        seeds, utterances = (_quantile(1 - level, count - 1) for count in self.shape)
        added = np.maximum(self.utterances - self.residual, 0)
        both = np.sqrt(seeds**2 * self.seeds + utterances**2 * added)
        return np.maximum(both, utterances * np.sqrt(self.utterances))


def compare_seeds(
    first: ArrayLike,
    second: ArrayLike,
    references: ArrayLike,
    *,
    measure: Measure | None = None,
    blocks: Sequence[Hashable] | None = None,
    level: float = 0.95,
) -> SeedDifference:
    """Compare two systems by the errors of each seed on each utterance.

    Args:
        first: (S, N) errors; row s of both systems belongs to one seed.
        second: (S, N) errors.
        references: (N,) reference units of each utterance.
        measure: function of each seed's error rate to compare instead of the rate itself.
        blocks: (N,) utterances with equal values count as one; with speakers, the interval allows for the
            choice of speakers.
        level: of confidence.

    Raises:
        ValueError: if there are no reference units.
    """
    rows_first, rows_second = np.atleast_2d(np.asarray(first)), np.atleast_2d(np.asarray(second))
    assert rows_first.shape == rows_second.shape, f"{rows_first.shape} and {rows_second.shape} are not pairs"
    count = len(rows_first)
    sums = block_sums([*rows_first, *rows_second], references, blocks).T
    found = spread(sums[:count], sums[count:-1], sums[-1], measure)
    difference = float(found.difference)
    if count < MIN_SEEDS or found.shape[1] < 2:
        return SeedDifference(difference, None, None, count)
    half = float(found.half_width(level))
    return SeedDifference(difference, (difference - half, difference + half), p_value(found), count)


def spread(first: Floats, second: Floats, references: Floats, measure: Measure | None = None) -> Spread:
    """Estimate the variances of the mean difference.

    Args:
        first: (..., S, N) errors.
        second: (..., S, N) errors.
        references: (..., N) reference units.
        measure: as in `compare_seeds`.
    """
    *_, seeds, utterances = first.shape
    differences, changes = _changes(first, references, measure)
    subtracted, changes_subtracted = _changes(second, references, measure)
    differences, changes = differences - subtracted, changes - changes_subtracted
    # Each utterance's contribution to the difference of each seed; they sum to zero over utterances.
    changes -= changes.mean(-1, keepdims=True)
    mean = changes.mean(-2)
    left = np.square(changes - mean[..., None, :]).sum((-2, -1))
    return Spread(
        difference=differences.mean(-1),
        seeds=_variance(differences) / seeds,
        utterances=np.square(mean).sum(-1) * utterances / max(utterances - 1, 1),
        residual=left * utterances / (max((seeds - 1) * (utterances - 1), 1) * seeds),
        shape=(seeds, utterances),
    )


def p_value(found: Spread) -> float:
    """Return the two-sided p of a difference: one minus the largest level whose interval excludes zero."""
    size = abs(float(found.difference))
    if size <= found.half_width(0.0):
        return 1.0
    if size > found.half_width(1 - _SMALLEST_P):
        return _SMALLEST_P
    low, high = math.log(_SMALLEST_P), 0.0
    for _ in range(50):
        middle = (low + high) / 2
        if size > found.half_width(1 - math.exp(middle)):
            high = middle
        else:
            low = middle
    return math.exp(high)


def holm(p_values: Sequence[float | None], others: int = 0) -> list[float | None]:
    """Correct p-values for multiple testing (Holm, Scand. J. of Statistics 6, 1979); None stays None.

    The probability that any true null hypothesis has a corrected p below a level is at most that level, also
    if these were chosen from more by their data: then `others` is the number of those that were not chosen.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) + others - rank)))
        corrected[place] = largest
    return corrected


def _changes(errors: Floats, references: Floats, measure: Measure | None) -> tuple[Floats, Floats]:
    """Return (..., S) each seed's measure, and (..., S, N) by how much each utterance raises it.

    The infinitesimal jackknife: to first order an utterance changes a ratio of sums by (errors - rate *
    references) / all references.
    """
    total = references.sum(-1)[..., None]
    rates = errors.sum(-1) / total
    moves = (errors - rates[..., None] * references[..., None, :]) / total[..., None]
    if measure is None:
        return rates, moves
    measured = measure(rates)
    return measured, measured[..., None] - measure(rates[..., None] - moves)


def _variance(values: Floats) -> Floats:
    """Compute the sample variance over the last axis; 0 for a single value."""
    return values.var(-1, ddof=1) if values.shape[-1] > 1 else np.zeros(values.shape[:-1])


@lru_cache(maxsize=1024)
def _quantile(area: float, freedom: int) -> float:
    return student.quantile(area, freedom)
