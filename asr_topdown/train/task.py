"""The training loop's interface to its data: the batches of each epoch, and dev metrics."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch

from asr_topdown.models.model import Model


class Batch(Protocol):
    """The loop's interface to a batch."""

    @property
    def ids(self) -> tuple[str, ...]:
        """What errors name: the utterances, or the place in a text."""
        ...

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`; from pinned memory, copied without waiting."""
        ...

    def pinned(self, device: torch.device) -> "Batch":
        """The same batch in pinned memory, if `device` copies faster from there."""
        ...


@runtime_checkable
class Divisible(Batch, Protocol):
    """A batch that several processes can share: its utterances are independent."""

    def rows(self, which: Sequence[int]) -> Batch:
        """The batch of only these of its utterances, in this order."""
        ...


class Task(Protocol):
    """The data of a training; all methods except `evaluate` are pure, so that a run can resume anywhere."""

    def epoch(self, number: int) -> Sequence[Sequence[int]]:
        """The batches of an epoch (from 1) in order, each as the indices that `load` takes."""
        ...

    def load(self, indices: Sequence[int], epoch: int) -> Batch:
        """One batch, as the network sees it in this epoch."""
        ...

    def frames(self, indices: Sequence[int]) -> int:
        """A batch's size, for the speed: frames of the utterances without padding, or words."""
        ...

    def lr_scale(self, indices: Sequence[int]) -> float:
        """Factor on the learning rate for this batch's step."""
        ...

    def evaluate(self, model: Model) -> Mapping[str, float]:
        """Dev metrics of `model`, which is in eval mode; "loss" is always among them."""
        ...
