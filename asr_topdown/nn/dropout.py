"""Dropout with masks that are shared: over time, or by all occurrences of a word (Merity et al. 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.dropout import _DropoutNd


class LockedDropout(_DropoutNd):
    """Variational dropout: one mask for a sequence, the same at all times (Gal and Ghahramani 2016)."""

    def forward(self, frames: Tensor) -> Tensor:
        """(T, B, D) -> (T, B, D); the mask is (1, B, D)."""
        if not self.training or not self.p:
            return frames
        return frames * F.dropout(torch.ones_like(frames[:1]), self.p)


class WordDropout(_DropoutNd):
    """Embedding that drops whole words: rows of the matrix, at all places where the word stands.

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
