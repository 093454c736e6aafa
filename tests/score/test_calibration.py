"""Calibration of CTC outputs, against a restatement frame by frame and bin by bin."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.score.align import align
from asr_topdown.score.calibration import calibrate, expected_calibration_error, greedy_paths


def restated(sure: list[float], right: list[bool], bins: int) -> float:
    """Guo et al. 2017, equations 2 to 5: sum over bins of |B| / n x |acc(B) - conf(B)|."""
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        members = [place for place, one in enumerate(sure) if low < one <= high or (one == 0 and number == 0)]
        if members:
            accuracy = sum(right[place] for place in members) / len(members)
            confidence = sum(sure[place] for place in members) / len(members)
            total += len(members) / len(sure) * abs(accuracy - confidence)
    return total


# Sixteenths and 4 or 8 bins: values on the borders of bins are exact.
answers = st.lists(st.tuples(st.integers(0, 16), st.booleans()), min_size=1, max_size=60)


@given(answers, st.sampled_from([4, 8]))
def test_the_error_is_that_of_the_definition(found: list[tuple[int, bool]], bins: int) -> None:
    sure, right = [one / 16 for one, _ in found], [one for _, one in found]
    assert expected_calibration_error(sure, right, bins) == pytest.approx(restated(sure, right, bins))


def test_the_calibration_error_is_the_one_computed_by_hand() -> None:
    """Bin 0.9 to 1: 0.95 on average, two of four right; bin 0.6 to 0.7: 0.65, one of one right."""
    sure, right = [0.92, 0.94, 0.96, 0.98, 0.65], [True, False, True, False, True]
    assert expected_calibration_error(sure, right, 10) == pytest.approx(0.8 * 0.45 + 0.2 * 0.35)
    assert math.isnan(expected_calibration_error([], []))


def log_probs_of(*utterances: list[list[float]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded with frames that are sure of unit 1."""
    longest = max(map(len, utterances))
    padded = [[*frames, *[[0.0, 1.0, 0.0]] * (longest - len(frames))] for frames in utterances]
    return torch.tensor(padded).clamp_min(1e-30).log(), torch.tensor([len(frames) for frames in utterances])


def test_a_path_by_hand() -> None:
    """Units 1 1 - 1 2 2 2: repeats merge, a blank between keeps them apart; the second utterance is empty."""
    one = [0.2, 0.8, 0.0], [0.4, 0.6, 0.0], [1.0, 0.0, 0.0], [0.1, 0.9, 0.0]
    two = [0.0, 0.3, 0.7], [0.25, 0.25, 0.5], [0.0, 0.1, 0.9]
    first, second = greedy_paths(*log_probs_of([*one, *two], []))
    assert first.units == (1, 1, 2)
    assert first.confidences == pytest.approx((0.7, 0.9, 0.7))
    assert (first.frames, first.unit_frames) == (7, 6)
    entropy = -sum(p * math.log(p) for frame in (*one, *two) for p in frame if p)
    assert first.entropy == pytest.approx(entropy, rel=1e-5)
    assert first.unit_entropy == pytest.approx(entropy, rel=1e-5)  # the blank's frame is certain: none
    assert (second.units, second.frames, second.entropy) == ((), 0, 0.0)
    found = calibrate([(first, [1, 2]), (second, [2])])
    # Against 1 2 one of the two 1s is inserted, and wrong.
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.confidence == pytest.approx((0.7 + 0.9 + 0.7) / 3)
    assert found.frame_entropy == pytest.approx(entropy / 7, rel=1e-5)
    assert found.unit_entropy == pytest.approx(entropy / 6, rel=1e-5)


def test_paths_and_calibration_equal_a_restatement() -> None:
    generator = np.random.default_rng(1)
    log_probs = torch.log_softmax(torch.tensor(generator.normal(0, 3, (6, 40, 5))).float(), 2)
    lengths = torch.tensor([40, 31, 1, 0, 17, 40])
    references = [generator.integers(1, 5, 12).tolist() for _ in lengths]
    sure: list[float] = []
    right: list[bool] = []
    entropies: list[float] = []
    paths = greedy_paths(log_probs, lengths)
    for row, (length, path) in enumerate(zip(lengths.tolist(), paths, strict=True)):
        frames = log_probs[row, :length].double().exp().tolist()
        entropies += [-sum(p * math.log(p) for p in frame) for frame in frames]
        best = [max(range(5), key=frame.__getitem__) for frame in frames]
        units, place = [], 0
        for unit, run in itertools.groupby(best):
            count = len(list(run))
            if unit != 0:
                units.append(unit)
                sure.append(sum(frame[unit] for frame in frames[place : place + count]) / count)
            place += count
        assert path.units == tuple(units)
        steps = align([*map(str, references[row])], [*map(str, units)]).operations
        right += [step == "C" for step in steps if step != "D"]
    found = calibrate(zip(paths, references, strict=True))
    assert found.error == pytest.approx(restated(sure, right, 15), abs=1e-6)
    assert found.accuracy == sum(right) / len(right)
    assert found.frame_entropy == pytest.approx(sum(entropies) / len(entropies), rel=1e-5)


def test_a_calibrated_network_has_no_error_and_a_sharpened_one_has() -> None:
    """Units drawn from the posteriors themselves; then the same with logits three times as large."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(20, 400, 6, generator=generator)
    logits[:, 1::2, 0] = 100.0  # every other frame is a blank, so that each frame is a unit of its own
    logits[:, ::2, 0] = -100.0
    probabilities = logits.softmax(2)
    drawn = torch.multinomial(probabilities.view(-1, 6), 1, generator=generator).view(20, 400)[:, ::2]
    lengths = torch.full((20,), 400)
    errors = []
    for scale in (1, 3):
        paths = greedy_paths((scale * logits).log_softmax(2), lengths)
        sure = [one for path in paths for one in path.confidences]
        # Frame by frame, since an alignment would find more units right than there are.
        right = [
            a == b
            for path, row in zip(paths, drawn.tolist(), strict=True)
            for a, b in zip(path.units, row, strict=True)
        ]
        errors.append(expected_calibration_error(sure, right))
    assert errors[0] < 0.03
    assert errors[1] > 0.2


def test_of_nothing_there_is_no_calibration() -> None:
    """Frames without a unit have an entropy; no frames have none."""
    (silent,) = greedy_paths(*log_probs_of([[0.9, 0.1, 0.0]]))
    found = calibrate([(silent, [1])]).to_json()
    assert found["frame_entropy"] == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1))
    assert [key for key, value in found.items() if value is None] == [
        "confidence", "accuracy", "unit_entropy", "expected_calibration_error"
    ]  # fmt: skip
    assert set(calibrate([]).to_json().values()) == {None}
