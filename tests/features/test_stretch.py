"""Time stretching keeps the content and changes the duration."""

import torch

from asr_topdown.features.stretch import draw_factor, stretch_time


def test_factor_one_changes_nothing() -> None:
    feats = torch.randn(2, 9, 3)
    same, lengths = stretch_time(feats, torch.tensor([9, 4]), 1.0)
    assert torch.allclose(same, feats)
    assert lengths.tolist() == [9, 4]


def test_a_ramp_stays_a_ramp() -> None:
    ramp = torch.arange(20.0).reshape(1, 20, 1)
    slow, lengths = stretch_time(ramp, torch.tensor([20]), 1.5)
    assert lengths.tolist() == [30]
    steps = slow[0, 2:-2, 0].diff()
    assert torch.allclose(steps, torch.full_like(steps, 1 / 1.5), atol=1e-5)


def test_lengths_never_exceed_the_frames_and_stay_positive() -> None:
    generator = torch.Generator().manual_seed(0)
    for time in range(1, 40):
        factor = draw_factor(0.3, generator)
        assert 0.7 <= factor <= 1.3
        feats, lengths = stretch_time(torch.zeros(2, time, 1), torch.tensor([time, 1]), factor)
        assert 1 <= lengths.min() <= lengths.max() <= feats.shape[1]
