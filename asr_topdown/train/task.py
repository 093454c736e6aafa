"""What a training run is made of: its batches, the task, and how far it has come."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from asr_topdown.models.model import Model
from asr_topdown.train.distributed import World


class Batch(Protocol):
    """What the loop needs of a batch."""

    @property
    def ids(self) -> tuple[str, ...]: ...

    @property
    def inputs(self) -> tuple[Tensor, ...]: ...

    def to(self, device: torch.device) -> "Batch": ...


@runtime_checkable
class Divisible(Batch, Protocol):
    """A batch that several processes can share: its utterances have nothing to do with each other."""

    def rows(self, which: Sequence[int]) -> Batch: ...


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained on: the loop asks for batches by epoch and for the dev metrics.

    Attributes:
        plan: epoch -> the epoch's batches, as lists of indices; a pure function.
        batch: (indices, epoch) -> the batch.
        evaluate: model -> dev metrics, among them the one that the configuration names.
        lr_scale: indices -> factor on the learning rate for this batch's step.
        after_epoch: called with the epoch's number; raises if something went wrong behind the loop's back.
    """

    plan: Callable[[int], Sequence[Sequence[int]]]
    batch: Callable[[Sequence[int], int], Batch]
    evaluate: Callable[[Model], Mapping[str, float]]
    after_epoch: Callable[[int], None] = lambda epoch: None
    lr_scale: Callable[[Sequence[int]], float] = lambda indices: 1.0


@dataclass
class Progress:
    """Where a training run stands: plain values, saved in every checkpoint.

    `step` counts the optimiser's steps in the whole run, `batches_done` the batches of this epoch, `errors`
    has the dev error of each finished epoch.
    """

    epoch: int = 1
    batches_done: int = 0
    step: int = 0
    errors: list[float] = field(default_factory=list)
    best_epoch: int = 0
    best_error: float = math.inf
    best_metrics: dict[str, float] = field(default_factory=dict)
    bad_epochs: int = 0
    since_decay: int = 0
    loss_sum: float = 0.0
    utterances: int = 0
    seconds: float = 0.0
    finished: bool = False


def weights_of_epoch(folder: Path, epoch: int) -> Path:
    """Where a run keeps the weights of one epoch."""
    return folder / f"epoch-{epoch}.safetensors"


class Reading(NamedTuple):
    """What several steps of training gave, of all processes together: ids and losses side by side."""

    ids: list[str]
    losses: list[float]
    frames: int
    seconds: float

    @property
    def mean(self) -> float:
        """Mean loss."""
        return math.fsum(self.losses) / len(self.losses)

    @property
    def culprits(self) -> list[str]:
        """The utterances whose loss is not a finite number."""
        return [name for name, loss in zip(self.ids, self.losses, strict=True) if not math.isfinite(loss)]


class Window:
    """The losses of the batches since they were last read, left on the device until then."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._frames = 0
        self._losses: list[Tensor] = []
        self._started = time.monotonic()

    def add(self, batch: Batch, losses: Tensor) -> None:
        """Note a batch of this process."""
        self._ids.extend(batch.ids)
        self._frames += batch.inputs[0].shape[0] * batch.inputs[0].shape[1]
        self._losses.append(losses)

    def read(self, world: World) -> Reading:
        """Bring all losses to the host."""
        losses: list[float] = torch.cat(self._losses).tolist() if self._losses else []
        seconds = max(time.monotonic() - self._started, 1e-9)
        parts = world.gather((self._ids, losses, self._frames, seconds))
        return Reading(
            [name for part in parts for name in part[0]],
            [loss for part in parts for loss in part[1]],
            sum(part[2] for part in parts),
            max(part[3] for part in parts),
        )
