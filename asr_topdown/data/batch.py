"""A padded batch of utterances."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr_topdown.nn.transfer import pinned


class SpeechBatch(NamedTuple):
    """Utterances in a batch, padded with zeros.

    Attributes:
        ids: utterance ids.
        feats: (B, T, D) float32: features, or the output of the encoder's stage `start` - 1.
        feat_lengths: (B,) frames.
        tokens: (B, L) unit ids.
        token_lengths: (B,).
        start: the encoder's stage at which the batch enters; 0 with features.
        on_host: both lengths, on the CPU, of a batch that has been moved to another device.
    """

    ids: tuple[str, ...]
    feats: Tensor
    feat_lengths: Tensor
    tokens: Tensor
    token_lengths: Tensor
    start: int = 0
    on_host: tuple[Tensor, Tensor] | None = None

    @property
    def host_lengths(self) -> tuple[Tensor, Tensor]:
        """Frames and units of each utterance, on the CPU."""
        return self.on_host or (self.feat_lengths.cpu(), self.token_lengths.cpu())

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The tensors."""
        return self.feats, self.feat_lengths, self.tokens, self.token_lengths

    def to(self, device: torch.device) -> "SpeechBatch":
        """The same batch on another device."""
        feats, frames, tokens, units = (tensor.to(device, non_blocking=True) for tensor in self.inputs)
        return SpeechBatch(self.ids, feats, frames, tokens, units, self.start, self.host_lengths)

    def pinned(self, device: torch.device) -> "SpeechBatch":
        """The same batch in pinned memory, from which `device` copies asynchronously."""
        feats, frames, tokens, units = (pinned(tensor, device) for tensor in self.inputs)
        return SpeechBatch(self.ids, feats, frames, tokens, units, self.start)

    def rows(self, which: Sequence[int]) -> "SpeechBatch":
        """Some of the utterances, padded no more than necessary (a stage's output, which may be whole
        windows, keeps its padding).
        """
        feats, frames, tokens, units = (tensor[list(which)] for tensor in self.inputs)
        return SpeechBatch(
            tuple(self.ids[row] for row in which),
            feats if self.start else feats[:, : int(frames.max())],
            frames,
            tokens[:, : int(units.max())],
            units,
            self.start,
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
