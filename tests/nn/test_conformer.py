"""Masked batch normalisation: the statistics of real frames, with any padding."""

import torch
from torch import nn

from asr_topdown.nn.conformer import MaskedBatchNorm


def test_it_is_batch_norm_over_the_real_frames() -> None:
    torch.manual_seed(0)
    ours, theirs = MaskedBatchNorm(3), nn.BatchNorm1d(3)
    for step in range(3):
        lengths = torch.tensor([7, 4 + step])
        mask = (torch.arange(7) < lengths[:, None])[:, :, None]
        frames = torch.where(mask, torch.randn(2, 7, 3) * 2 + 1, torch.full((), 1e3))
        expected = theirs(frames[mask[:, :, 0]])
        assert torch.allclose(ours(frames, mask)[mask[:, :, 0]], expected, atol=1e-5)
        assert torch.allclose(ours.running_mean, theirs.running_mean, atol=1e-6)
        assert torch.allclose(ours.running_var, theirs.running_var, atol=1e-5)
        assert ours.num_batches_tracked == theirs.num_batches_tracked
    ours.eval(), theirs.eval()
    frames = torch.randn(1, 5, 3)
    mask = torch.ones(1, 5, 1, dtype=torch.bool)
    assert torch.allclose(ours(frames, mask)[0], theirs(frames[0]), atol=1e-6)


def test_gradients_reach_the_frames_through_the_statistics() -> None:
    norm = MaskedBatchNorm(2).double()
    frames = torch.randn(2, 4, 2, dtype=torch.double, requires_grad=True)
    mask = (torch.arange(4) < torch.tensor([4, 2])[:, None])[:, :, None]
    assert torch.autograd.gradcheck(lambda x: norm(x, mask) * mask, (frames,))
