"""Connectionist temporal classification: a unit or a blank per frame (Graves et al. 2006)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.losses import ctc_frames_needed, ctc_loss, overconfidence
from asr_topdown.models.heads.head import Head, HeadOutput
from asr_topdown.nn.lengths import mask
from asr_topdown.nn.transfer import to_device


class CtcHead(Head):
    """Linear -> log-softmax.

    Args:
        memory_size: size of a frame of memory.
        vocab_size: size V of the vocabulary; unit 0 is the blank.
        label_smoothing: weight s of `overconfidence` in the training loss, with 1 - s for CTC;
            the evaluation loss is CTC's alone.
    """

    # PyTorch's loss does, and on a GPU would fetch them.
    reads_host_lengths = True

    def __init__(self, *, memory_size: int, vocab_size: int, label_smoothing: float) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.output = nn.Linear(memory_size, vocab_size)

    def log_probs(self, memory: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, V) in float32."""
        return F.log_softmax(self.output(memory).float(), dim=-1)

    def loss(self, memory: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> HeadOutput:
        """As `Head`."""
        log_probs = self.log_probs(memory)
        losses = ctc_loss(log_probs, lengths, tokens, token_lengths)
        if self.label_smoothing and self.training:
            frames = mask(to_device(lengths, memory.device), memory.shape[1])
            sure = overconfidence(log_probs, frames)
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * sure
        return HeadOutput(losses)

    @property
    def output_layer(self) -> nn.Linear:
        """As `Head`."""
        return self.output

    def frames_needed(self, tokens: Sequence[int]) -> int:
        """One per unit, and one per blank between equal adjacent units."""
        return ctc_frames_needed(tokens)
