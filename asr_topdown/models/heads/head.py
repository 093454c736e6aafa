"""A recogniser's interface to a head: the labels' losses given the encoder's output, and its layers."""

import abc
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from asr_topdown.layers import Layer


class HeadOutput(NamedTuple):
    """A head's output for a batch.

    Attributes:
        losses: (B,) nats, float32; infinite where the labels have no alignment.
        correct: (B,) labels, including the end of the sequence, predicted correctly with teacher forcing;
            None if labels are not predicted one by one.
        labels: (B,) their number.
    """

    losses: Tensor
    correct: Tensor | None = None
    labels: Tensor | None = None


class Head(nn.Module, abc.ABC):
    """Turns the memory, the encoder's output, into labels.

    Attributes:
        reads_host_lengths: whether `loss` needs both lengths on the CPU.
    """

    reads_host_lengths: ClassVar[bool] = False

    @abc.abstractmethod
    def loss(self, memory: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> HeadOutput:
        """Compute the loss of each utterance.

        Args:
            memory: (B, T, D).
            lengths: (B,) its frames, 0 for an utterance that is too short for the encoder.
            tokens: (B, L) units; the padding may hold anything.
            token_lengths: (B,).
        """

    def layers(self) -> tuple[Layer, ...]:
        """Its layers between the encoder and the layer `softmax`, input first; by default none."""
        return ()

    @property
    @abc.abstractmethod
    def output_layer(self) -> nn.Module:
        """Its part of the layer `softmax`."""

    @abc.abstractmethod
    def frames_needed(self, tokens: Sequence[int]) -> int:
        """Minimum frames of memory to train on `tokens`."""
