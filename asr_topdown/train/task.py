"""What a training run is made of: its batches, the task, and how far it has come."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn


class Batch(Protocol):
    """What the loop needs of a batch."""

    @property
    def ids(self) -> tuple[str, ...]: ...

    @property
    def inputs(self) -> tuple[Tensor, ...]: ...

    def to(self, device: torch.device) -> "Batch": ...


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
    evaluate: Callable[[nn.Module], Mapping[str, float]]
    after_epoch: Callable[[int], None] = lambda epoch: None
    lr_scale: Callable[[Sequence[int]], float] = lambda indices: 1.0


@dataclass
class Progress:
    """Where a training run stands: plain values, saved in every checkpoint."""

    epoch: int = 1
    batches_done: int = 0
    step: int = 0
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


class Window:
    """The losses of the steps since they were last read, left on the device until then."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.frames = 0
        self.steps = 0
        self._losses: list[Tensor] = []
        self._started = time.monotonic()

    def add(self, batch: Batch, losses: Tensor) -> None:
        self.ids.extend(batch.ids)
        self.frames += batch.inputs[0].shape[0] * batch.inputs[0].shape[1]
        self.steps += 1
        self._losses.append(losses)

    def losses(self) -> list[float]:
        values: list[float] = torch.cat(self._losses).tolist() if self._losses else []
        return values

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self._started, 1e-9)
