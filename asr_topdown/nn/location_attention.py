"""Location-aware attention (Chorowski et al. 2015, section 2.2), written for a fast loop over the labels."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.nn.lengths import mask

# Chorowski et al. sharpen the softmax over time; ESPnet has used this factor ever since.
SHARPENING = 2.0


@dataclass(frozen=True)
class Memory:
    """Encoder output, with all that attention needs of it and that does not change from label to label.

    N = B x k rows are `k` hypotheses of each of B utterances, an utterance's side by side.

    Attributes:
        frames: (B, T, D) encoder output, zero in the padding.
        keys: (N, T, A) its projection; rows of one utterance are equal.
        bias: (N, T, 1) 0 on real frames, -inf on padding.
        filters: the location filters as they are applied, from `LocationAttention.prepare`.
    """

    frames: Tensor
    keys: Tensor
    bias: Tensor
    filters: Tensor

    def with_rows(self, rows: int, utterances: Tensor | None = None) -> "Memory":
        """The same for `rows` rows, of the `utterances` only if some are given."""
        if utterances is None and rows == len(self.keys):
            return self
        first = torch.arange(0, len(self.keys), len(self.keys) // len(self.frames), device=self.keys.device)
        first = first if utterances is None else first[utterances]
        frames = self.frames if utterances is None else self.frames[utterances]
        rows_each = first.repeat_interleave(rows // len(frames))
        return replace(self, frames=frames, keys=self.keys[rows_each], bias=self.bias[rows_each])


class LocationAttention(nn.Module):
    """Energies g . tanh(memory + query + filtered previous weights), softmax over time.

    Args:
        memory: size D of an encoder frame.
        query: size of the decoder state.
        dim: size A of the space in which they are compared.
        filters: convolution filters over the previous attention weights.
        width: frames to each side that a filter sees (ESPnet's `aconv_filts`; taps = 2 x width + 1).
    """

    def __init__(
        self, memory: int, query: int, *, dim: int = 320, filters: int = 10, width: int = 100
    ) -> None:
        super().__init__()
        self.memory = nn.Linear(memory, dim)
        self.query = nn.Linear(query, dim, bias=False)
        self.filters = nn.Conv1d(1, filters, 2 * width + 1, padding=width, bias=False)
        self.location = nn.Linear(filters, dim, bias=False)
        self.energy = nn.Linear(dim, 1, bias=False)  # a bias would cancel in the softmax
        self.width = width

    def prepare(self, frames: Tensor, lengths: Tensor) -> tuple[Memory, Tensor]:
        """(B, T, D), (B,) lengths >= 1 -> what the loop needs, and the first weights (B, T), all alike."""
        real = mask(lengths, frames.shape[1])
        exact = torch.promote_types(frames.dtype, torch.float32)
        bias = torch.zeros(real.shape, dtype=exact, device=frames.device).masked_fill_(~real, -torch.inf)
        frames = frames.masked_fill(~real[:, :, None], 0.0)
        filters = self._toeplitz(frames.shape[1]) if self._as_matrix(frames.shape[1]) else self.filters.weight
        memory = Memory(frames, self.memory(frames), bias[:, :, None], filters)
        return memory, real.to(exact) / lengths[:, None]

    def forward(self, memory: Memory, query: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """One label.

        Args:
            memory: from `prepare`.
            query: (N, A), the decoder state times `self.query`'s weight.
            previous: (N, T) weights of the label before.

        Returns:
            (N, D) context and (N, T) weights; exactly zero on padding.
        """
        rows, time = previous.shape
        # The query rides along as one more filter whose output is 1: one fused product instead of two sums.
        mixing = torch.cat(
            [self.location.weight.t().expand(rows, -1, -1), query[:, None].to(memory.keys.dtype)], 1
        )
        hidden = torch.baddbmm(memory.keys, self._filtered(previous, memory.filters), mixing).tanh_()
        energy = torch.baddbmm(memory.bias, hidden, (SHARPENING * self.energy.weight).t().expand(rows, -1, 1))
        weights = energy.view(rows, time).softmax(dim=-1)
        utterances, _, size = memory.frames.shape
        context = torch.bmm(weights.view(utterances, -1, time), memory.frames)
        return context.view(rows, size), weights

    def _filtered(self, weights: Tensor, filters: Tensor) -> Tensor:
        """(N, T) -> (N, T, filters + 1), the last of them 1."""
        rows, time = weights.shape
        if filters.dim() == 2:
            filtered = (weights @ filters).view(rows, time, -1)
        else:
            filtered = F.conv1d(weights[:, None], filters, padding=self.width).transpose(1, 2)
        return torch.cat([filtered, filtered.new_ones(rows, time, 1)], -1)

    def _as_matrix(self, time: int) -> bool:
        """Whether the filters are applied as one matrix product over all frames.

        That is three times as fast as `conv1d` on a CPU, forward and backward, as long as a filter sees most
        of the utterance anyway.
        """
        return time <= 4 * self.width

    def _toeplitz(self, time: int) -> Tensor:
        """(T, T x filters): row i is what a weight of 1 on frame i adds to each frame and filter."""
        steps = torch.arange(time, device=self.filters.weight.device)
        taps = steps[:, None] - steps + self.width
        inside = (taps >= 0) & (taps <= 2 * self.width)
        matrix = self.filters.weight[:, 0, taps.clamp(0, 2 * self.width)] * inside
        return matrix.permute(1, 2, 0).reshape(time, -1)
