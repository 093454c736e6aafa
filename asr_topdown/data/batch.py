"""A padded batch of utterances."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class SpeechBatch(NamedTuple):
    """Utterances side by side, padded with zeros.

    Attributes:
        ids: utterance ids.
        feats: (B, T, D) float32.
        feat_lengths: (B,) frames.
        tokens: (B, L) unit ids.
        token_lengths: (B,).
    """

    ids: tuple[str, ...]
    feats: Tensor
    feat_lengths: Tensor
    tokens: Tensor
    token_lengths: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What `model.loss` takes."""
        return self.feats, self.feat_lengths, self.tokens, self.token_lengths

    def to(self, device: torch.device) -> "SpeechBatch":
        """The same batch on another device."""
        return SpeechBatch(self.ids, *(tensor.to(device, non_blocking=True) for tensor in self.inputs))

    def rows(self, which: Sequence[int]) -> "SpeechBatch":
        """Some of the utterances, padded no further than they need."""
        feats, frames, tokens, units = (tensor[list(which)] for tensor in self.inputs)
        return SpeechBatch(
            tuple(self.ids[row] for row in which),
            feats[:, : int(frames.max())],
            frames,
            tokens[:, : int(units.max())],
            units,
        )


def collate(ids: Sequence[str], feats: Sequence[Tensor], tokens: Sequence[Sequence[int]]) -> SpeechBatch:
    """Pad a list of (T_i, D) features and of token sequences into one batch."""
    targets = [torch.tensor(units, dtype=torch.long) for units in tokens]
    return SpeechBatch(
        ids=tuple(ids),
        feats=pad_sequence(list(feats), batch_first=True),
        feat_lengths=torch.tensor([len(item) for item in feats]),
        tokens=pad_sequence(targets, batch_first=True),
        token_lengths=torch.tensor([len(item) for item in targets]),
    )
