"""Sinusoidal positions (Vaswani et al. 2017, section 3.5)."""

import math

import torch
from torch import Tensor, nn

from asr_topdown.nn.dropout import Dropout


class ScaledPositions(nn.Module):
    """x -> dropout(sqrt(D) x + positions), independent of the length of the batch.

    The table is computed on demand and is not part of a checkpoint.

    Args:
        d_model: D, even.
        dropout: on the sum.

    Raises:
        ValueError: if `d_model` is odd.
    """

    def __init__(self, *, d_model: int, dropout: float) -> None:
        super().__init__()
        if d_model % 2:
            raise ValueError(f"the size of a frame with sinusoidal positions must be even, got {d_model}")
        self.d_model = d_model
        self.dropout = Dropout(dropout)
        self._table = torch.empty(0, d_model)

    def forward(self, frames: Tensor, first: int = 0) -> Tensor:
        """(B, T, D) frames, at positions from `first` on -> (B, T, D)."""
        end = first + frames.shape[1]
        if len(self._table) < end or self._table.device != frames.device:
            self._table = sinusoids(max(end, 2 * len(self._table)), self.d_model, frames.device)
        placed: Tensor = self.dropout(frames * math.sqrt(self.d_model) + self._table[first:end])
        return placed


class InputLayer(nn.Module):
    """The input of a stack's first block: a linear layer if sizes differ, and positions.

    Args:
        input_size: size of an input frame.
        d_model: size of a frame in the blocks, even.
        dropout: on the sum of frame and position.
    """

    def __init__(self, *, input_size: int, d_model: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, d_model) if input_size != d_model else nn.Identity()
        self.positions = ScaledPositions(d_model=d_model, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, input_size) -> (B, T, d_model)."""
        out: Tensor = self.positions(self.linear(x))
        return out


def sinusoids(size: int, dim: int, device: torch.device | None = None) -> Tensor:
    """(size, dim): sines of decreasing frequency at even indices, the cosines at odd ones."""
    rates = torch.exp(torch.arange(0, dim, 2, device=device) * (-math.log(10000.0) / dim))
    angles = torch.arange(size, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
