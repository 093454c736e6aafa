"""Padded batches: masks, and sequences reversed within their own length."""

import torch
from torch import Tensor


def mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, size) booleans, true on real frames and false on padding."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def reversal(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, size) time indices that reverse each sequence within its own length.

    Padding keeps its place, so gathering twice with the same indices is the identity.
    """
    time = torch.arange(size, device=lengths.device)
    backwards = lengths[:, None] - 1 - time
    return torch.where(backwards >= 0, backwards, time)


def gather_time(sequence: Tensor, index: Tensor) -> Tensor:
    """Pick frames: (B, T, D) and (B, T) -> (B, T, D)."""
    return sequence.gather(1, index[:, :, None].expand(-1, -1, sequence.shape[2]))
