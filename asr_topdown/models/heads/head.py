"""What a recogniser asks of a head: labels' losses from the encoder's output, and layers to freeze."""

import abc
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from asr_topdown.layers import Layer


class HeadOutput(NamedTuple):
    """What a head gives for a batch.

    Attributes:
        losses: (B,) nats, float32; infinite where the labels have no alignment.
        correct: (B,) labels, the end of the sequence included, that are predicted right after the true ones;
            None where labels are not predicted one by one.
        labels: (B,) how many there are.
    """

    losses: Tensor
    correct: Tensor | None = None
    labels: Tensor | None = None


class Head(nn.Module, abc.ABC):
    """What turns the memory, the encoder's output, into labels.

    Attributes:
        reads_host_lengths: whether `loss` wants both lengths on the CPU.
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

    @abc.abstractmethod
    def layers(self) -> tuple[Layer, ...]:
        """Its layers between the encoder and the layer `softmax`, input first."""

    @property
    @abc.abstractmethod
    def output_layer(self) -> nn.Module:
        """Its part of the layer `softmax`."""

    @abc.abstractmethod
    def frames_needed(self, tokens: Sequence[int]) -> int:
        """Fewest frames of memory to train on `tokens`."""
