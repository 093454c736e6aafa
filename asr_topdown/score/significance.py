"""Bootstrap confidence intervals and paired bootstrap comparisons of error rates.

An error rate is a ratio of sums, so whole utterances (or all of a speaker's at once) are drawn with
replacement and both sums are recomputed (Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR
performance evaluation", ICASSP 2004). Two systems are scored on the same draws. Intervals are percentile
intervals; with few utterances (or speakers) they are too narrow and p-values too small (`remark`): with
three, two equal systems differ with p < 0.05 in one of five cases. A single one gives an infinite interval
and a p-value of 1.

Differences are the first system minus the second: positive means that the second is better.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
# (draws, columns) sums -> (draws,) values
Statistic = Callable[[Floats], Floats]

_DRAWS_AT_ONCE = 2_000_000
_ENOUGH = 20


@dataclass(frozen=True)
class RateInterval:
    """An error rate (a fraction) and its confidence interval."""

    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class RateDifference:
    """Error rate of a first system minus that of a second, as fractions.

    p_value: two-sided, twice the smaller share of draws on either side of zero (ties count on both). It is
        below 1 - level if the interval excludes zero, but for the rounding of one draw. Its smallest value
        is 2 / (resamples + 1).
    second_better: share of draws in which the second system is better (Bisani and Ney's "probability of
        improvement"; draws without a difference do not count).
    """

    difference: float
    low: float
    high: float
    p_value: float
    second_better: float

    def second_minus_first(self) -> tuple[float, float, float]:
        """Difference and interval as they are shown, like a report's Δ: negative if the second is better."""
        return 0.0 - self.difference, 0.0 - self.high, 0.0 - self.low

    def to_json(self) -> dict[str, float | None]:
        """All numbers, second minus first; None for an infinite end, which JSON does not have."""
        difference, *ends = self.second_minus_first()
        low, high = (end if math.isfinite(end) else None for end in ends)
        return {**vars(self), "difference": difference, "low": low, "high": high}


def bootstrap_rate(
    errors: ArrayLike,
    references: ArrayLike,
    *,
    blocks: Sequence[Hashable] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> RateInterval:
    """Compute the confidence interval of sum(errors) / sum(references).

    Args:
        errors: (N,) errors of each utterance.
        references: (N,) reference units of each utterance.
        blocks: (N,) utterances with equal values are drawn together; None: one by one. With speakers, the
            interval allows for the choice of speakers.
        resamples: number of draws.
        level: of confidence.
        seed: of the draws.

    Raises:
        ValueError: if there are no reference units.
    """
    sums = block_sums([errors], references, blocks)
    rate = float(sums[:, 0].sum() / sums[:, 1].sum())
    if len(sums) < 2:
        return RateInterval(rate, 0.0, math.inf)
    rates = _resample(sums, resamples, seed, lambda drawn: drawn[:, 0] / drawn[:, 1])
    return RateInterval(rate, *_interval(rates, level))


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    references: ArrayLike,
    *,
    second_references: ArrayLike | None = None,
    blocks: Sequence[Hashable] | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> RateDifference:
    """Compare two systems on the same utterances.

    `first` and `second` are the (N,) errors of each. `second_references` are the second system's, if they are
    not those of the first: of alternatives in a reference, each system is aligned with the best for it. The
    other arguments are as in `bootstrap_rate`.

    Raises:
        ValueError: if there are no reference units.
    """
    columns: list[ArrayLike] = [first, second]
    if second_references is not None:
        _check_any(np.asarray(second_references))
        columns.append(second_references)
    sums = block_sums(columns, references, blocks)
    difference = float(_rate_differences(sums.sum(0, keepdims=True))[0])
    if len(sums) < 2:
        return RateDifference(difference, -math.inf, math.inf, 1.0, float(difference > 0))
    return _difference(difference, _resample(sums, resamples, seed, _rate_differences), level)


def _rate_differences(sums: Floats) -> Floats:
    """Return the differences of error rates of (draws, 3 or 4) sums, as `paired_bootstrap` has them."""
    if sums.shape[1] == 3:
        return (sums[:, 0] - sums[:, 1]) / sums[:, 2]
    sums = sums[sums[:, 2] > 0]
    return sums[:, 0] / sums[:, 3] - sums[:, 1] / sums[:, 2]


def remark(drawn_from: int, what: str) -> str:
    """What to know of a bootstrap from `drawn_from` of `what`; "" if they are enough."""
    if drawn_from >= _ENOUGH or drawn_from < 2:
        return ""
    few = f"bootstrap over only {drawn_from} {what}"
    return f"{few}: intervals are too narrow, and p too small, with fewer than {_ENOUGH}"


def block_sums(errors: Sequence[Any], references: ArrayLike, blocks: Sequence[Hashable] | None) -> Floats:
    """Return (blocks, columns) sums of each column of errors and, last, of the references."""
    columns = np.stack([np.asarray(column, np.float64) for column in (*errors, references)], 1)
    _check_any(columns[:, -1])
    if blocks is None:
        return columns
    assert len(blocks) == len(columns), f"{len(blocks)} blocks for {len(columns)} utterances"
    numbers = {block: number for number, block in enumerate(dict.fromkeys(blocks))}
    sums = np.zeros((len(numbers), columns.shape[1]))
    np.add.at(sums, [numbers[block] for block in blocks], columns)
    return sums


def _check_any(references: NDArray[Any]) -> None:
    if not references.sum() > 0:
        raise ValueError(f"no reference words in {len(references)} utterances; there is no error rate")


def _resample(sums: Floats, resamples: int, seed: int, statistic: Statistic) -> Floats:
    """Compute `statistic` of each draw's column sums, except for draws without reference units."""
    generator = np.random.default_rng(seed)
    blocks = len(sums)
    values = []
    for start in range(0, resamples, max(1, _DRAWS_AT_ONCE // blocks)):
        count = min(resamples - start, max(1, _DRAWS_AT_ONCE // blocks))
        chosen = generator.integers(blocks, size=(count, blocks)) + blocks * np.arange(count)[:, None]
        times = np.bincount(chosen.ravel(), minlength=count * blocks).reshape(count, blocks)
        drawn = times @ sums
        values.append(statistic(drawn[drawn[:, -1] > 0]))
    return np.concatenate(values)


def _interval(values: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _difference(observed: float, drawn: Floats, level: float) -> RateDifference:
    below, above = int((drawn <= 0).sum()), int((drawn >= 0).sum())
    return RateDifference(
        observed,
        *_interval(drawn, level),
        p_value=min(1.0, 2 * (min(below, above) + 1) / (len(drawn) + 1)),
        second_better=float((drawn > 0).mean()),
    )
