"""A transducer (Graves 2012): a predictor reads the labels, a joiner combines its output with each frame.

At frame t, with u labels emitted, the joiner predicts either a move to the next frame (a blank) or the next
label. The loss sums over all alignments of frames and labels (`nn.transducer_loss`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from asr_topdown.layers import Layer
from asr_topdown.models.heads.head import Head, HeadOutput
from asr_topdown.nn.lengths import mask
from asr_topdown.nn.predictor import LstmPredictor
from asr_topdown.nn.transducer_loss import transducer_loss


class Joiner(nn.Module):
    """Turns a frame and a predictor's output into units.

    Args:
        memory_size: size D of a frame of memory.
        predictor_size: size H of a predictor's output.
        joiner_size: dimension in which the two are added.
        vocab_size: size V of the vocabulary.
    """

    def __init__(self, *, memory_size: int, predictor_size: int, joiner_size: int, vocab_size: int) -> None:
        super().__init__()
        self.memory = nn.Linear(memory_size, joiner_size)
        self.predictor = nn.Linear(predictor_size, joiner_size, bias=False)
        self.output = nn.Linear(joiner_size, vocab_size)

    def forward(self, memory: Tensor, outputs: Tensor) -> Tensor:
        """(…, D) frames and (…, H) predictor outputs, broadcast against each other -> (…, V) logits."""
        logits: Tensor = self.output(torch.tanh(self.memory(memory) + self.predictor(outputs)))
        return logits


class TransducerHead(Head):
    """A predictor under a joiner.

    Args:
        predictor: labels to outputs.
        memory_size: size of a frame of memory.
        joiner_size: dimension in which frames and outputs are combined.
        vocab_size: size V of the vocabulary; unit 0 is the blank.
        loss_backend: of `nn.transducer_loss`.
    """

    def __init__(
        self,
        *,
        predictor: LstmPredictor,
        memory_size: int,
        joiner_size: int,
        vocab_size: int,
        loss_backend: str,
    ) -> None:
        super().__init__()
        self.predictor = predictor
        self.joiner = Joiner(
            memory_size=memory_size,
            predictor_size=predictor.output_size,
            joiner_size=joiner_size,
            vocab_size=vocab_size,
        )
        self.loss_backend = loss_backend

    def loss(self, memory: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> HeadOutput:
        """As `Head`."""
        tokens = tokens.masked_fill(~mask(token_lengths, tokens.shape[1]), 0)
        logits = self.joiner(memory[:, :, None], self.predictor(tokens)[:, None])
        return HeadOutput(transducer_loss(logits, tokens, lengths, token_lengths, self.loss_backend))

    def layers(self) -> tuple[Layer, ...]:
        """`predictor`."""
        return (Layer("predictor", (self.predictor,)),)

    @property
    def output_layer(self) -> Joiner:
        """As `Head`."""
        return self.joiner

    def frames_needed(self, tokens: Sequence[int]) -> int:
        """One."""
        return 1
