"""One label per utterance (a digit, a speaker, a language): a softmax over pooled frames."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.losses import label_loss
from asr_topdown.models.heads.head import Head, HeadOutput
from asr_topdown.nn.lengths import mask


class LabelHead(Head):
    """Mean over the frames of an utterance -> linear -> log-softmax.

    Args:
        memory_size: size of a frame of memory.
        vocab_size: size V of the vocabulary, whose first `FIRST` units are not labels.
        label_smoothing: probability mass taken from the label and distributed evenly.
    """

    FIRST = 2
    """`<blank>` and `<unk>` come before the labels, and are never output."""

    def __init__(self, *, memory_size: int, vocab_size: int, label_smoothing: float) -> None:
        super().__init__()
        self.output = nn.Linear(memory_size, vocab_size - self.FIRST)
        self.label_smoothing = label_smoothing

    def log_probs(self, memory: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), (B,) -> (B, V - `FIRST`) in float32; padding may hold any finite values.

        For an utterance without frames they are those of a mean of 0.
        """
        within = mask(lengths, memory.shape[1])[..., None]
        exact = torch.promote_types(memory.dtype, torch.float32)
        mean = memory.masked_fill(~within, 0.0).sum(1, dtype=exact) / lengths.clamp(min=1)[:, None]
        return F.log_softmax(self.output(mean).float(), dim=-1)

    def loss(self, memory: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> HeadOutput:
        """As `Head`; infinite without frames, and if an utterance does not have exactly one known label."""
        first = tokens[:, 0] - self.FIRST
        possible = (token_lengths == 1) & (first >= 0) & (lengths > 0)
        losses = label_loss(
            self.log_probs(memory, lengths)[:, None],
            first.masked_fill(~possible, 0)[:, None],
            possible[:, None],
            smoothing=self.label_smoothing,
            prior=None,
        )
        return HeadOutput(torch.where(possible, losses, torch.inf))

    @property
    def output_layer(self) -> nn.Linear:
        """As `Head`."""
        return self.output

    def frames_needed(self, tokens: Sequence[int]) -> int:
        """One."""
        return 1
