"""Padded batches: masks, and sequences reversed within their own length."""

from typing import Any

import torch
from torch import Tensor


def mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, size) booleans, true on real frames and false on padding."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def reversal(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, size) time indices that reverse each sequence within its own length.

    Padding stays in place, so gathering twice with the same indices is the identity.
    """
    time = torch.arange(size, device=lengths.device)
    backwards = lengths[:, None] - 1 - time
    return torch.where(backwards >= 0, backwards, time)


def reverse_time(sequence: Tensor, index: Tensor) -> Tensor:
    """(B, T, D) with its frames in the order of `reversal`'s (B, T) index."""
    return _ReverseTime.apply(sequence, index)


class _ReverseTime(torch.autograd.Function):
    """Copy whole frames, in the forward and backward pass.

    The reversal is its own inverse, so the gradient is reversed by the same index; autograd's own gradient
    of a gather would accumulate single numbers, slowly, and on a GPU in nondeterministic order.
    """

    @staticmethod
    def forward(ctx: Any, sequence: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return _take_frames(sequence, index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return _take_frames(gradient, index), None


def _take_frames(sequence: Tensor, index: Tensor) -> Tensor:
    batch, time, _ = sequence.shape
    rows = index + time * torch.arange(batch, device=index.device)[:, None]
    return sequence.reshape(batch * time, -1).index_select(0, rows.flatten()).view_as(sequence)
