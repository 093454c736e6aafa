"""CTC prefix beam search against brute force over all alignments, and against a plain restatement."""

import itertools
import math
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from asr_topdown.decode.greedy import ctc_greedy
from asr_topdown.decode.prefix_beam import ctc_prefix_beam

Scored = list[tuple[tuple[int, ...], float]]


def random_log_probs(
    *shape: int, seed: int, sharpness: float = 1.0, dtype: torch.dtype = torch.float64
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (
        (torch.randn(*shape, generator=generator, dtype=torch.float64) * sharpness).log_softmax(-1).to(dtype)
    )


def brute_force(log_probs: Tensor) -> dict[tuple[int, ...], float]:
    """Label sequence -> log-probability, from every alignment of one utterance (T, V)."""
    frames, units = log_probs.shape
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(units), repeat=frames):
        labels = tuple(label for label, _ in itertools.groupby(path) if label != 0)
        sums[labels] += math.exp(sum(float(log_probs[time, label]) for time, label in enumerate(path)))
    return {labels: math.log(value) for labels, value in sums.items()}


def restated(log_probs: Tensor, beam: int) -> Scored:
    """Hannun et al. 2014 (arXiv 1408.2873), one utterance (T, V), prefixes in a dictionary, probabilities."""
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (1.0, 0.0)}
    for frame in log_probs.exp().tolist():
        new: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for prefix, (in_blank, in_label) in beams.items():
            new[prefix][0] += (in_blank + in_label) * frame[0]
            if prefix:
                new[prefix][1] += in_label * frame[prefix[-1]]
            for label, value in enumerate(frame):
                if label != 0:
                    before = in_blank if prefix and prefix[-1] == label else in_blank + in_label
                    new[(*prefix, label)][1] += before * value
        best = sorted(new.items(), key=lambda item: -sum(item[1]))[:beam]
        beams = {prefix: (values[0], values[1]) for prefix, values in best if sum(values) > 0}
    return [(prefix, math.log(sum(values))) for prefix, values in beams.items()]


def decoded(log_probs: Tensor, *, beam: int, nbest: int) -> Scored:
    """The n-best list of one utterance (T, V)."""
    (result,) = ctc_prefix_beam(log_probs[None], torch.tensor([len(log_probs)]), beam=beam, nbest=nbest)
    return [(one.ids, one.score) for one in result.hypotheses]


def assert_same(found: Scored, expected: Scored, tolerance: float) -> None:
    assert [ids for ids, _ in found] == [ids for ids, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=tolerance)


@pytest.mark.parametrize(("frames", "units"), [(1, 2), (4, 3), (6, 3), (5, 4), (7, 2)])
@pytest.mark.parametrize("sharpness", [0.5, 3.0])
def test_a_wide_beam_equals_brute_force(frames: int, units: int, sharpness: float) -> None:
    log_probs = random_log_probs(frames, units, seed=frames * units, sharpness=sharpness)
    expected = sorted(brute_force(log_probs).items(), key=lambda item: -item[1])
    wide = 2 * len(expected)
    assert_same(decoded(log_probs, beam=wide, nbest=wide), expected, 1e-9)
    single = decoded(log_probs.float(), beam=wide, nbest=1)
    assert_same(single, expected[:1], 1e-4)


@pytest.mark.parametrize("beam", [1, 2, 3, 5, 8, 20])
def test_equals_the_restatement_under_pruning(beam: int) -> None:
    """Flat distributions over few labels: prefixes leave the beam, come back, and meet all the time."""
    for seed in range(15):
        log_probs = random_log_probs(40, 4, seed=seed, sharpness=0.7)
        found = decoded(log_probs, beam=beam, nbest=beam)
        assert_same(found, restated(log_probs, beam), 1e-9)


@pytest.mark.parametrize("beam", [4, 16])
def test_equals_the_restatement_on_a_large_vocabulary(beam: int) -> None:
    log_probs = random_log_probs(60, 120, seed=7, sharpness=2.0)
    log_probs[::2, 0] += 4
    log_probs = log_probs.log_softmax(1)
    found = decoded(log_probs, beam=beam, nbest=beam)
    assert_same(found, restated(log_probs, beam), 1e-9)
    assert_same(decoded(log_probs.float(), beam=beam, nbest=1), found[:1], 1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batched_equals_one_by_one_bit_for_bit(dtype: torch.dtype) -> None:
    """16 x 16 values fill whole SIMD registers, 1 x 7 do not: functions that care would differ here."""
    lengths = torch.tensor([150, 150, 131, 0, 1, 117, 33, 149, 8, 150, 90, 91, 92, 93, 94, 150])
    log_probs = random_log_probs(16, 150, 11, seed=3, dtype=dtype)
    for beam in (16, 7):
        batched = ctc_prefix_beam(log_probs, lengths, beam=beam, nbest=beam)
        for row, length in enumerate(lengths.tolist()):
            one, only = log_probs[row : row + 1, :length], lengths[row : row + 1]
            assert ctc_prefix_beam(one, only, beam=beam, nbest=beam) == [batched[row]]


def test_padding_changes_nothing() -> None:
    lengths = torch.tensor([20, 13, 0, 5])
    log_probs = random_log_probs(4, 20, 6, seed=4, dtype=torch.float32)
    plain = ctc_prefix_beam(log_probs, lengths, beam=6, nbest=3)
    padded = torch.cat([log_probs, torch.full((4, 11, 6), torch.nan)], 1)
    padded[1, 13:] = torch.nan
    assert ctc_prefix_beam(padded, lengths, beam=6, nbest=3) == plain


def test_a_beam_of_one_keeps_the_single_best_prefix() -> None:
    """On sharp distributions, without a close second, that is what greedy decoding finds."""
    log_probs = random_log_probs(6, 80, 9, seed=5, sharpness=12.0)
    lengths = torch.tensor([80, 70, 60, 3, 0, 80])
    narrow = ctc_prefix_beam(log_probs, lengths, beam=1)
    for one, best in zip(narrow, ctc_greedy(log_probs, lengths), strict=True):
        assert one.best.ids == best.best.ids
        assert len(one.hypotheses) == 1
        assert one.best.score >= best.best.score - 1e-4  # sums over alignments, the best one among them


def test_repeated_labels_need_a_blank_between_them() -> None:
    sure = torch.tensor([[0.01, 0.98, 0.01]] * 3).double().log()
    assert decoded(sure, beam=8, nbest=1)[0][0] == (1,)
    sure[1] = torch.tensor([0.98, 0.01, 0.01]).double().log()
    assert decoded(sure, beam=8, nbest=1)[0][0] == (1, 1)


def test_sums_over_alignments_where_greedy_takes_the_best_one() -> None:
    """Each frame's best label is the blank (0.6), yet p('a') = 1 - 0.6 * 0.6 = 0.64."""
    log_probs = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).double().log()
    assert ctc_greedy(log_probs[None], torch.tensor([2]))[0].best.ids == ()
    (best, second) = decoded(log_probs, beam=4, nbest=2)
    assert best == ((1,), pytest.approx(math.log(0.64)))
    assert second == ((), pytest.approx(math.log(0.36)))


def test_no_frames_give_an_empty_hypothesis() -> None:
    for result in ctc_prefix_beam(torch.zeros(2, 0, 4), torch.tensor([0, 0]), beam=3, nbest=2):
        assert [(one.ids, one.score) for one in result.hypotheses] == [((), 0.0)]
    assert ctc_prefix_beam(torch.zeros(0, 5, 4), torch.zeros(0, dtype=torch.long), beam=3) == []


def test_impossible_labels_are_never_returned() -> None:
    """One possible path: n-best has one entry, whatever the beam; no possible path: an empty hypothesis."""
    log_probs = torch.full((5, 4), -torch.inf)
    log_probs[range(5), [0, 2, 2, 0, 2]] = 0.0
    assert decoded(log_probs, beam=10, nbest=10) == [((2, 2), 0.0)]
    log_probs[3] = -torch.inf
    assert decoded(log_probs, beam=10, nbest=10) == [((), -math.inf)]


def test_probabilities_sum_to_at_most_one_and_grow_with_the_beam() -> None:
    log_probs = random_log_probs(30, 5, seed=9)
    scores = [decoded(log_probs, beam=beam, nbest=beam) for beam in (1, 4, 16, 64, 256)]
    masses = [sum(math.exp(score) for _, score in found) for found in scores]
    assert all(mass <= 1 + 1e-9 for mass in masses)
    assert masses == sorted(masses)


def test_nan_is_named() -> None:
    log_probs, lengths = torch.zeros(1, 3, 4), torch.tensor([3])
    log_probs[0, 1, 1] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        ctc_prefix_beam(log_probs, lengths, beam=4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_what_the_cpu_finds() -> None:
    lengths = torch.tensor([60, 31, 0, 60])
    log_probs = random_log_probs(4, 60, 30, seed=11, sharpness=2.0)
    expected = ctc_prefix_beam(log_probs, lengths, beam=8, nbest=8)
    found = ctc_prefix_beam(log_probs.cuda(), lengths.cuda(), beam=8, nbest=8)
    for one, other in zip(found, expected, strict=True):
        assert [x.ids for x in one.hypotheses] == [x.ids for x in other.hypotheses]
        assert [x.score for x in one.hypotheses] == pytest.approx([x.score for x in other.hypotheses])
