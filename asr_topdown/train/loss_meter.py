"""The losses of training steps, left on the device until they are read."""

import math
import time
from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown.train.distributed import World
from asr_topdown.train.task import Batch


class LossSummary(NamedTuple):
    """The losses of several training steps over all processes: ids and losses in parallel."""

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


class LossMeter:
    """The losses of the batches since the last reading.

    Attributes:
        frames: of these batches, in all processes (`Task.frames`); whoever has them adds them.
    """

    def __init__(self) -> None:
        self._reset()

    def add(self, batch: Batch, losses: Tensor) -> None:
        """Record a batch of this process and its (B,) losses."""
        self._ids.extend(batch.ids)
        self._losses.append(losses)

    def read(self, world: World) -> LossSummary:
        """Copy all losses to the host and reset."""
        losses: list[float] = torch.cat(self._losses).tolist() if self._losses else []
        seconds = max(time.monotonic() - self._started, 1e-9)
        parts = world.gather((self._ids, losses, seconds))
        frames = self.frames
        self._reset()
        return LossSummary(
            [name for part in parts for name in part[0]],
            [loss for part in parts for loss in part[1]],
            frames,
            max(part[2] for part in parts),
        )

    def _reset(self) -> None:
        self._ids: list[str] = []
        self.frames = 0
        self._losses: list[Tensor] = []
        self._started = time.monotonic()
