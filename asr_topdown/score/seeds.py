"""Compare two ways of training, each run with several seeds, on one test set.

Such a difference is uncertain for two reasons: other seeds would give other networks, and another test set
would hold other utterances. All seeds are tested on the same utterances, so that more seeds do not average
the second away. Let d[s, u] be what utterance u contributes to the difference of seed s (the two networks of
a seed are a pair), with S seeds and N utterances. The variance of the mean difference has two parts, which
are estimated as in a two-way analysis of variance:

    V_S  variance of the seeds' differences / S
    V_U  variance of the utterances' mean differences / N
    V_E  variance of what is left of d without its means over seeds and over utterances, / (S N);
         it is in V_S and in V_U, so V_U - V_E is what the choice of utterances adds to V_S

The confidence interval is the mean difference plus or minus

    h = max( sqrt( t(S-1)^2 V_S + t(N-1)^2 max(V_U - V_E, 0) ),  t(N-1) sqrt(V_U) )

where t(f) is Student's quantile with f degrees of freedom at the interval's level. The first term is
Banerjee's bound (Sankhya A 23, 1961): with two estimated variances this interval covers the mean at least as
often as it says, whichever of the two is the larger. (A t-test whose degrees of freedom follow Satterthwaite
is not safe with three seeds: up to 8 % false alarms at 0.05, 3.6 % at 0.01.) The second term takes the
networks as given; it guards the first on small test sets, where the seeds can agree by accident.
p is one minus the largest level at which the interval leaves zero out. `docs/statistics.md` shows how often
it is wrong, and what it detects.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asr_topdown.score import student
from asr_topdown.score.significance import block_sums

Floats = NDArray[np.float64]
# Maps each seed's error rate to what is compared: np.exp makes perplexities of nats per word.
Measure = Callable[[Floats], Floats]

# With fewer seeds than this there is no p-value and no interval.
MIN_SEEDS = 3
_SMALLEST_P = 1e-9


@dataclass(frozen=True)
class SeedDifference:
    """Error of a first system minus that of a second.

    Attributes:
        difference: of the means over the seeds; positive: the second system errs less.
        interval: its confidence interval; None with fewer than `MIN_SEEDS` seeds or two utterances (blocks).
        p_value: two-sided, of the same estimate as the interval; None where that is.
        seeds: how many pairs there are.
    """

    difference: float
    interval: tuple[float, float] | None
    p_value: float | None
    seeds: int


@dataclass(frozen=True)
class Spread:
    """Mean differences and their estimated variance by source: arrays of one shape, or single numbers.

    Attributes:
        difference: mean over seeds.
        seeds: V_S.
        utterances: V_U.
        residual: V_E.
        shape: (S, N), how many seeds and utterances (or blocks) there are.
    """

    difference: Floats
    seeds: Floats
    utterances: Floats
    residual: Floats
    shape: tuple[int, int]

    def half_width(self, level: float = 0.95) -> Floats:
        """Half the width of the confidence interval."""
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
        measure: what is compared of each seed's error rate instead of the rate itself.
        blocks: (N,) utterances with equal values, one speaker's for example, count as one: then the
            interval says what other speakers would give.
        level: of confidence.

    Raises:
        ValueError: when there is no reference unit.
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
    # What each utterance adds to the difference of each seed; the sum over utterances is zero.
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
    """Two-sided p of a single difference: one minus the largest level whose interval leaves zero out."""
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


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values for being many (Holm, Scandinavian Journal of Statistics 6, 1979); None stays None.

    The chance that any true null hypothesis among them has a corrected p below a level is at most that level.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        corrected[place] = largest
    return corrected


def _changes(errors: Floats, references: Floats, measure: Measure | None) -> tuple[Floats, Floats]:
    """(..., S) each seed's measure, and (..., S, N) how much each utterance raises it.

    The infinitesimal jackknife: to first order an utterance moves a ratio of sums by (errors - rate *
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
    """Sample variance over the last axis; 0 of a single value."""
    return values.var(-1, ddof=1) if values.shape[-1] > 1 else np.zeros(values.shape[:-1])


@lru_cache(maxsize=1024)
def _quantile(area: float, freedom: int) -> float:
    return student.quantile(area, freedom)
