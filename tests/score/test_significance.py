"""Bootstraps against theory, against simulation, and against kaldialign's."""

import math

import numpy as np
import pytest

from asr_topdown.score.significance import bootstrap_rate, paired_bootstrap


def test_interval_is_as_wide_as_theory_says() -> None:
    """Equal lengths: the rate is a mean of N values, so +- 1.96 standard errors."""
    errors = np.random.default_rng(1).binomial(10, 0.2, size=400)
    references = np.full(400, 10)
    found = bootstrap_rate(errors, references)
    half = 1.959964 * errors.std() / np.sqrt(400) / 10
    assert found.rate == errors.sum() / references.sum()
    assert found.high - found.rate == pytest.approx(half, rel=0.05)
    assert found.rate - found.low == pytest.approx(half, rel=0.05)


def test_rate_is_a_ratio_of_sums_not_a_mean_of_ratios() -> None:
    assert bootstrap_rate([1, 0], [1, 99]).rate == 0.01


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for trial in range(300):
        references = generator.integers(3, 20, size=80)
        errors = generator.binomial(references, 0.25)
        found = bootstrap_rate(errors, references, resamples=400, level=0.9, seed=trial)
        covered += found.low <= 0.25 <= found.high
    assert 0.84 <= covered / 300 <= 0.94  # 0.9 expected; standard error 0.017


def test_agrees_with_kaldialign() -> None:
    kaldialign = pytest.importorskip("kaldialign")
    generator = np.random.default_rng(3)
    references = [generator.integers(0, 50, size=generator.integers(5, 20)).tolist() for _ in range(200)]
    hypotheses = [[unit if generator.random() > 0.2 else 99 for unit in one] for one in references]
    errors = [
        sum(a != b for a, b in zip(*pair, strict=True)) for pair in zip(references, hypotheses, strict=True)
    ]
    expected = kaldialign.bootstrap_wer_ci(references, hypotheses)
    found = bootstrap_rate(errors, [len(one) for one in references])
    assert found.low == pytest.approx(expected["ci95min"], abs=0.002)
    assert found.high == pytest.approx(expected["ci95max"], abs=0.002)


def test_a_seed_decides_the_draws() -> None:
    errors, references = [1, 0, 3, 2], [5, 6, 7, 8]
    assert bootstrap_rate(errors, references, seed=1) == bootstrap_rate(errors, references, seed=1)
    narrow = bootstrap_rate(errors * 25, references * 25, seed=1, level=0.5)
    wide = bootstrap_rate(errors * 25, references * 25, seed=1)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide != bootstrap_rate(errors * 25, references * 25, seed=2)


def test_blocks_are_drawn_together() -> None:
    """Ten copies of each utterance as a speaker: as uncertain as the speakers, not as ten times as many."""
    errors = np.random.default_rng(4).binomial(12, 0.3, size=40)
    references = np.full(40, 12)
    speakers = [f"s{number}" for number in range(40)] * 10
    blocked = bootstrap_rate(np.tile(errors, 10), np.tile(references, 10), blocks=speakers)
    assert blocked == bootstrap_rate(errors, references)
    single = bootstrap_rate(np.tile(errors, 10), np.tile(references, 10))
    assert (blocked.high - blocked.low) / (single.high - single.low) == pytest.approx(np.sqrt(10), rel=0.1)


def test_draws_without_a_reference_are_left_out() -> None:
    """Two utterances, one with an empty reference: a quarter of the draws hold nothing else."""
    found = bootstrap_rate([1, 1], [0, 2], resamples=1000)
    assert found.rate == 1.0
    assert (found.low, found.high) == (0.5, 1.0)


@pytest.mark.parametrize("references", [[], [0, 0]])
def test_no_reference_has_no_rate(references: list[int]) -> None:
    with pytest.raises(ValueError, match="no reference words in"):
        bootstrap_rate([0] * len(references), references)


def test_equal_systems_do_not_differ() -> None:
    errors, references = [1, 0, 3, 2] * 10, [5, 6, 7, 8] * 10
    found = paired_bootstrap(errors, errors, references)
    assert (found.difference, found.low, found.high, found.p_value, found.second_better) == (0, 0, 0, 1, 0)


def test_a_single_block_says_nothing_of_others() -> None:
    """It would be drawn each time, and any difference look certain."""
    rate = bootstrap_rate([2, 1], [10, 10], blocks=["s1", "s1"])
    assert (rate.rate, rate.low, rate.high) == (0.15, 0.0, math.inf)
    found = paired_bootstrap([2], [1], [10])
    assert (found.difference, found.low, found.high, found.p_value) == (0.1, -math.inf, math.inf, 1.0)


def test_pairing_finds_a_difference_that_hides_in_the_spread() -> None:
    """The second system makes one error less in half of the utterances, however hard they are."""
    generator = np.random.default_rng(5)
    references = np.full(300, 20)
    first = generator.integers(1, 20, size=300)
    second = first - generator.integers(0, 2, size=300)
    found = paired_bootstrap(first, second, references)
    assert found.difference == pytest.approx((first - second).sum() / 6000)
    half = 1.959964 * (first - second).std() / np.sqrt(300) / 20
    assert found.high - found.low == pytest.approx(2 * half, rel=0.05)
    assert found.p_value == pytest.approx(2 / 10_001)
    assert found.second_better == 1
    alone = [bootstrap_rate(errors, references) for errors in (first, second)]
    assert alone[0].low < alone[1].high
    swapped = paired_bootstrap(second, first, references)
    assert (swapped.difference, swapped.low, swapped.high) == pytest.approx(
        (-found.difference, -found.high, -found.low), abs=1e-12
    )


def test_each_system_may_have_references_of_its_own() -> None:
    """Of alternatives each is aligned with the best for it: rates are compared as they are, draw by draw."""
    generator = np.random.default_rng(7)
    references = generator.integers(0, 9, size=60)
    others = references + generator.integers(0, 3, size=60)
    first, second = generator.binomial(references, 0.3), generator.binomial(others, 0.3)
    found = paired_bootstrap(first, second, references, second_references=others, resamples=500)
    drawn = np.random.default_rng(0).integers(60, size=(500, 60))
    rates = [
        first[row].sum() / references[row].sum() - second[row].sum() / others[row].sum() for row in drawn
    ]
    assert found.difference == pytest.approx(first.sum() / references.sum() - second.sum() / others.sum())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(rates, [0.025, 0.975])))
    assert found.second_better == np.mean(np.array(rates) > 0)
    same = paired_bootstrap(first, second, references, second_references=references)
    assert same.low == pytest.approx(paired_bootstrap(first, second, references).low)
    with pytest.raises(ValueError, match="no reference words in 2 utterances"):
        paired_bootstrap([1, 0], [0, 0], [2, 3], second_references=[0, 0])


def test_p_values_below_five_percent_come_in_five_percent_of_cases() -> None:
    generator = np.random.default_rng(6)
    small = 0
    for trial in range(300):
        references = generator.integers(5, 15, size=100)
        first, second = generator.binomial(references, 0.2), generator.binomial(references, 0.2)
        found = paired_bootstrap(first, second, references, resamples=400, seed=trial)
        small += found.p_value < 0.05
    assert 0.02 <= small / 300 <= 0.09  # standard error 0.013


def test_many_utterances_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    errors, references = [1, 0, 3, 2] * 25, [5, 6, 7, 8] * 25
    whole = bootstrap_rate(errors, references)
    monkeypatch.setattr("asr_topdown.score.significance._DRAWS_AT_ONCE", 1000)
    assert bootstrap_rate(errors, references) == whole
