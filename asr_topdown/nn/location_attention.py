"""Location-aware attention (Chorowski et al. 2015, section 2.2), optimised for the loop over labels."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from asr_topdown.nn.deferred import DeferredWeight, deferred
from asr_topdown.nn.lengths import mask

# Chorowski et al. sharpen the softmax over time; ESPnet has used this factor ever since.
SHARPENING = 2.0


@dataclass(frozen=True)
class Memory:
    """Encoder output, with everything that attention derives from it once for all labels.

    Attributes:
        frames: (B, T, D) encoder output, zero in the padding.
        keys: (B, T, A) its projection, at least float32.
        energy: (A,) weight of the energies.
        tape: of the gradients of `keys` and `energy`.
        bias: (B, T) 0 on real frames, -inf on padding.
        filters: the location filters as one matrix, or None if they are applied as a convolution.
    """

    frames: DeferredWeight
    keys: Tensor
    energy: Tensor
    tape: "_EnergyTape"
    bias: Tensor
    filters: DeferredWeight | None

    def of(self, utterances: Tensor) -> "Memory":
        """The memory of the `utterances` (B',) only."""
        frames = DeferredWeight(self.frames.weight[utterances])
        return replace(self, frames=frames, keys=self.keys[utterances], bias=self.bias[utterances])


class LocationAttention(nn.Module):
    """Energies g . tanh(memory + query + filtered previous weights), softmax over time.

    Args:
        memory_size: size D of an encoder frame.
        query_size: size of the decoder state.
        attention_size: dimension A in which they are compared.
        filters: convolution filters over the previous attention weights.
        width: frames to each side that a filter covers (ESPnet's `aconv_filts`; taps = 2 x width + 1).
    """

    def __init__(
        self, *, memory_size: int, query_size: int, attention_size: int, filters: int, width: int
    ) -> None:
        super().__init__()
        self.memory = nn.Linear(memory_size, attention_size)
        self.query = nn.Linear(query_size, attention_size, bias=False)
        self.filters = nn.Conv1d(1, filters, 2 * width + 1, padding=width, bias=False)
        self.location = nn.Linear(filters, attention_size, bias=False)
        self.energy = nn.Linear(attention_size, 1, bias=False)  # a bias would cancel in the softmax
        self.width = width

    def prepare(self, frames: Tensor, lengths: Tensor) -> tuple[Memory, Tensor]:
        """(B, T, D), (B,) lengths >= 1 -> the memory for the loop, and uniform first weights (B, T)."""
        within = mask(lengths, frames.shape[1])
        exact = torch.promote_types(frames.dtype, torch.float32)
        bias = torch.zeros(within.shape, dtype=exact, device=frames.device).masked_fill_(~within, -torch.inf)
        frames = frames.masked_fill(~within[:, :, None], 0.0)
        tape = _EnergyTape()
        keys, energy = deferred(
            tape.gradients, self.memory(frames).to(exact), SHARPENING * self.energy.weight[0].to(exact)
        )
        filters = (
            DeferredWeight(self._toeplitz(frames.shape[1])) if self._as_matrix(frames.shape[1]) else None
        )
        memory = Memory(DeferredWeight(frames), keys, energy, tape, bias, filters)
        return memory, within.to(exact) / lengths[:, None]

    def forward(self, memory: Memory, query: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """One label of N = B x k hypotheses, k adjacent ones per utterance; k > 1 is for searches.

        Args:
            memory: from `prepare`.
            query: (N, A), the decoder state times `self.query`'s weight.
            previous: (N, T) weights of the previous label.

        Returns:
            (N, D) context and (N, T) weights; exactly zero on padding.
        """
        rows, time = previous.shape
        filtered, location, query = (
            part.to(memory.keys.dtype)
            for part in (self._filtered(previous, memory.filters), self.location.weight, query)
        )
        if rows == len(memory.keys):
            energies = _Energies.apply(memory.keys, memory.energy, filtered, location, query, memory.tape)
        else:
            energies = _search_energies(memory.keys, memory.energy, filtered, location, query)
        weights = (energies.view(len(memory.keys), -1, time) + memory.bias[:, None]).softmax(dim=-1)
        return memory.frames(weights).view(rows, -1), weights.view(rows, time)

    def _filtered(self, weights: Tensor, filters: DeferredWeight | None) -> Tensor:
        """(N, T) -> (N, T, filters)."""
        if filters is not None:
            return filters(weights).view(*weights.shape, -1)
        filtered: Tensor = self.filters(weights[:, None])
        return filtered.transpose(1, 2)

    def _as_matrix(self, time: int) -> bool:
        """Whether the filters are applied as one matrix product over all frames.

        This is three times as fast as `conv1d` on a CPU, forward and backward, if a filter covers most
        of the utterance anyway.
        """
        return time <= 4 * self.width

    def _toeplitz(self, time: int) -> Tensor:
        """(T, T x filters): row i is what a weight of 1 on frame i contributes to each frame and filter."""
        steps = torch.arange(time, device=self.filters.weight.device)
        taps = steps[:, None] - steps + self.width
        inside = (taps >= 0) & (taps <= 2 * self.width)
        matrix = self.filters.weight[:, 0, taps.clamp(0, 2 * self.width)] * inside
        return matrix.permute(1, 2, 0).reshape(time, -1)


class _EnergyTape:
    """Sums over the labels, for the gradients of keys and energy weight; see `_Energies`."""

    def __init__(self) -> None:
        self._sums: tuple[Tensor, Tensor, Tensor] | None = None
        self._scratch: Tensor | None = None

    def note(self, grad: Tensor, hidden: Tensor, weight: Tensor) -> Tensor:
        """Add one label's part; returns the slopes of the sigmoid, valid until the next call."""
        if self._sums is None or self._scratch is None:
            self._scratch = torch.empty_like(hidden)
            self._sums = torch.zeros_like(hidden), torch.zeros_like(weight), weight.detach()
        slopes = torch.addcmul(hidden, hidden, hidden, value=-1, out=self._scratch)
        keys, energy, _ = self._sums
        keys.addcmul_(grad[:, :, None], slopes)
        energy += grad.flatten() @ hidden.flatten(0, 1)
        return slopes

    def gradients(self) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of the keys and of the energy weight; empties the tape."""
        if self._sums is None:
            return None, None
        keys, energy, weight = self._sums
        self._sums = self._scratch = None
        return keys.mul_(4 * weight), 2 * energy


class _Energies(torch.autograd.Function):
    """e = w . tanh(x) up to a constant, x = keys + filtered x location^T + query, in few passes.

    The tensors of size (N, T, A) dominate the cost. tanh(x) is 2 s - 1 with s = sigmoid(2 x), which is six
    times as fast to compute on a CPU, and the -1 adds the same to all energies, which the softmax ignores.
    With q = s (1 - s) and grad = de, d x = 4 w q de: the tape sums it over the labels for the keys, its sum
    over time is the query's gradient, and those of `filtered` and `location` are small products with q.
    """

    @staticmethod
    def forward(
        ctx: Any,
        keys: Tensor,
        energy: Tensor,
        filtered: Tensor,
        location: Tensor,
        query: Tensor,
        tape: _EnergyTape,
    ) -> Tensor:
        """(N, T, A), (A,), (N, T, F), (A, F), (N, A) -> (N, T)."""
        with torch.autocast(keys.device.type, enabled=False):
            filtered, mixing = _with_query(filtered, location, query)
            hidden = torch.baddbmm(keys, filtered, mixing, beta=2, alpha=2).sigmoid_()
            ctx.save_for_backward(hidden, filtered, location, energy)
            ctx.tape = tape
            return hidden @ (2 * energy)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of `filtered`, `location` and `query`; the rest goes to the tape."""
        hidden, filtered, location, energy = ctx.saved_tensors
        slopes = ctx.tape.note(grad, hidden, energy)
        each, weight = grad[:, :, None], 4 * energy
        d_filtered = (slopes @ (weight[:, None] * location)).mul_(each)
        d_mixing = torch.bmm((filtered * each).mT, slopes).mul_(weight)
        return None, None, d_filtered, d_mixing[:, :-1].sum(0).t(), d_mixing[:, -1], None


def _with_query(filtered: Tensor, location: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
    """(N, T, F), (A, F), (N, A) -> (N, T, F + 1), (N, F + 1, A), whose product is their sum.

    The query is treated as one more filter whose output is 1: one fused product instead of two sums.
    """
    rows, time, _ = filtered.shape
    mixing = torch.cat([location.t().expand(rows, -1, -1), query[:, None]], 1)
    return torch.cat([filtered, filtered.new_ones(rows, time, 1)], 2), mixing


def _search_energies(
    keys: Tensor, energy: Tensor, filtered: Tensor, location: Tensor, query: Tensor
) -> Tensor:
    """The result of `_Energies` for N = B x k rows over keys (B, T, A), without gradients: (N, T).

    On a CPU this goes utterance by utterance, so that intermediate results stay in its cache.
    """
    with torch.autocast(keys.device.type, enabled=False):
        filtered, mixing = _with_query(filtered.detach(), location.detach(), query.detach())
        keys, energy, each = keys.detach(), 2 * energy.detach(), len(query) // len(keys)
        if keys.device.type != "cpu":
            keys = keys.repeat_interleave(each, dim=0)
            return torch.baddbmm(keys, filtered, mixing, beta=2, alpha=2).sigmoid_() @ energy
        return torch.cat(
            [
                torch.baddbmm(one, rows, mix, beta=2, alpha=2).sigmoid_() @ energy
                for one, rows, mix in zip(
                    keys.split(1), filtered.split(each), mixing.split(each), strict=True
                )
            ]
        )
