"""Dropout that is fast on a CPU; masks shared over time, or by a word's occurrences (Merity et al. 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

LEVELS = 65536  # of a random number of 16 bits


class Dropout(nn.Dropout):
    """`nn.Dropout` that draws the mask three times as fast on a CPU.

    There one draw of 64 bits serves four numbers, so that the probability is a multiple of 1/65536 (and
    the scale matches the rounded one); PyTorch's own Bernoulli numbers cost up to a seventh of a
    Transformer's step.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """(…) -> (…)."""
        dropped = round(self.p * LEVELS)
        if inputs.device.type != "cpu" or not self.training or not 0 < dropped < LEVELS:
            return super().forward(inputs)
        count = inputs.numel()
        draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.int16)[:count].view(inputs.shape) >= dropped - LEVELS // 2
        return inputs * kept.to(inputs.dtype).mul_(LEVELS / (LEVELS - dropped))


class LockedDropout(_DropoutNd):
    """Variational dropout: one mask per sequence, the same at all times (Gal and Ghahramani 2016)."""

    def forward(self, frames: Tensor) -> Tensor:
        """(T, B, D) -> (T, B, D); the mask is (1, B, D)."""
        if not self.training or not self.p:
            return frames
        return frames * F.dropout(torch.ones_like(frames[:1]), self.p)


class WordDropout(_DropoutNd):
    """Embedding that drops whole words: rows of the matrix, wherever the word occurs.

    The same mask is drawn as if the whole matrix were masked (`embed_regularize.py` of Merity et al. 2018),
    but only the rows that are looked up are multiplied.
    """

    def forward(self, words: Tensor, weight: Tensor) -> Tensor:
        """Look up (...) word ids in the (V, D) `weight` -> (..., D)."""
        vectors = F.embedding(words, weight)
        if not self.training or not self.p:
            return vectors
        mask = F.dropout(weight.new_ones(len(weight)), self.p)
        return vectors * mask[words].unsqueeze(-1)
