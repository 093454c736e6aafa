import numpy as np
import pytest
import torch

from asr_topdown.features.deltas import add_deltas


def restated(feats: np.ndarray, order: int, window: int = 2) -> np.ndarray:
    """Kaldi's DeltaFeatures as its source tells it: scales convolved, frames clamped to the ends."""
    scales = [np.ones(1)]
    for _ in range(order):
        previous = scales[-1]
        grown = np.zeros(len(previous) + 2 * window)
        normalizer = 0.0
        for j in range(-window, window + 1):
            normalizer += j * j
            for k in range(len(previous)):
                grown[j + k + window] += j * previous[k]
        scales.append(grown / normalizer)
    rows = []
    for frame in range(len(feats)):
        row = []
        for taps in scales:
            reach = (len(taps) - 1) // 2
            place = np.clip(np.arange(frame - reach, frame + reach + 1), 0, len(feats) - 1)
            row.append(taps @ feats[place])
        rows.append(np.concatenate(row))
    return np.array(rows)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 3, 5, 9, 40])
def test_agrees_with_kaldis_definition(order: int, frames: int) -> None:
    feats = np.random.default_rng(frames).standard_normal((frames, 7))
    ours = add_deltas(torch.from_numpy(feats).float(), order)
    assert ours.shape == (frames, 7 * (order + 1))
    np.testing.assert_allclose(ours.numpy(), restated(feats, order), atol=2e-6)


def test_deltas_of_an_impulse_are_kaldi_s_filters() -> None:
    # Filters by hand: [-2 -1 0 1 2] / 10, and that with itself [4 4 1 -4 -10 -4 1 4 4] / 100.
    impulse = torch.zeros(11, 1)
    impulse[5] = 1.0
    feats = add_deltas(impulse, 2)
    assert torch.equal(feats[:, 0], impulse[:, 0])
    first = torch.tensor([0, 0, 0, 2, 1, 0, -1, -2, 0, 0, 0]) / 10
    second = torch.tensor([0, 4, 4, 1, -4, -10, -4, 1, 4, 4, 0]) / 100
    torch.testing.assert_close(feats[:, 1], first)
    torch.testing.assert_close(feats[:, 2], second)


def test_a_ramp_has_slope_one_and_no_curvature_inside() -> None:
    feats = add_deltas(torch.arange(20.0)[:, None], 2)
    torch.testing.assert_close(feats[4:-4, 1], torch.ones(12))
    torch.testing.assert_close(feats[4:-4, 2], torch.zeros(12), atol=1e-6, rtol=0)
    # At the first frame the past is the frame itself: (1 · 1 + 2 · 2) / 10.
    torch.testing.assert_close(feats[0, 1], torch.tensor(0.5))
