"""The building blocks of an encoder: stages, one after another."""

import abc
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn


class Stage(nn.Module, abc.ABC):
    """One layer of an encoder, frozen or retrained as a unit.

    Attributes:
        name: of its layers.
        numbered: whether they are numbered even if there is only one: `blstm.0`, but `vgg`.
        prenorm: whether the heads read its output through a layer norm if it is the topmost stage: that of
            pre-norm blocks is a running sum. A stage above it reads it as it is.
        reads_host_lengths: whether `forward` also takes the lengths on the CPU, as a third argument, so
            that they need not be fetched from a GPU.
        output_size: size D' of an output frame.
        window: frames per window in which the next stage works, whatever the utterance's length: the output
            is whole windows, all of which the next stage reads; lengths are the utterances' own. 0 = none.
        published: whether its initial weights are a published network's, not random.
    """

    name: ClassVar[str]
    numbered: ClassVar[bool] = True
    prenorm: ClassVar[bool] = False
    reads_host_lengths: ClassVar[bool] = False
    output_size: int
    window: int = 0
    published: bool = False

    @abc.abstractmethod
    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) frames, (B,) lengths -> (B, T', D'), (B,) lengths.

        The padding of `x` may hold any finite numbers: no frame within its utterance's length depends on it,
        so that a batch gives the same as its utterances alone.
        """

    @abc.abstractmethod
    def output_lengths(self, lengths: Tensor) -> Tensor:
        """T' for T; 0 if T is too short for the stage."""


def stage_names(stages: Sequence[Stage]) -> tuple[str, ...]:
    """The layers' names: `vgg`, `blstm.0`, `blstm.1`, …, counted through the whole chain."""
    count, seen = Counter(stage.name for stage in stages), Counter[str]()
    names = []
    for stage in stages:
        plain = count[stage.name] == 1 and not stage.numbered
        names.append(stage.name if plain else f"{stage.name}.{seen[stage.name]}")
        seen[stage.name] += 1
    return tuple(names)
