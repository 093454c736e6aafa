"""Sinusoidal positions (Vaswani et al. 2017, section 3.5)."""

import math

import torch
from torch import Tensor, nn

from asr_topdown.nn.dropout import Dropout


class ScaledPositions(nn.Module):
    """x -> dropout(sqrt(D) x + positions), the same for a frame wherever its batch ends.

    The table is computed when it is needed and has no place in a checkpoint.

    Args:
        dim: D, even.
        dropout: on the sum.
    """

    def __init__(self, dim: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dim = dim
        self.dropout = Dropout(dropout)
        self._table = torch.empty(0, dim)

    def forward(self, frames: Tensor, first: int = 0) -> Tensor:
        """(B, T, D), which stand at the positions `first` and after it -> (B, T, D)."""
        end = first + frames.shape[1]
        if len(self._table) < end or self._table.device != frames.device:
            self._table = sinusoids(max(end, 2 * len(self._table)), self.dim).to(frames.device)
        placed: Tensor = self.dropout(frames * math.sqrt(self.dim) + self._table[first:end])
        return placed


def sinusoids(size: int, dim: int) -> Tensor:
    """(size, dim): sines of falling frequency at even places, the cosines at odd ones."""
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    angles = torch.arange(size)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
