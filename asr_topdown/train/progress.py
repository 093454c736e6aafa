"""The progress of a training run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from asr_topdown.train.plateau import DevScore, ranked


@dataclass
class Progress:
    """The progress of a training run, saved in every checkpoint.

    Attributes:
        epoch: the current epoch, from 1.
        batches_done: of this epoch.
        step: optimiser steps in the whole run.
        scores: of each finished epoch.
        best_metrics: the dev metrics of the best epoch, and of the average if there is one.
        loss_sum: sum of this epoch's losses so far.
        utterances: their number.
        epoch_seconds: of this epoch up to the checkpoint in its middle, if there is one.
        seconds: of all finished epochs.
        peak_memory: bytes, of the process or the GPU.
        finished: whether there is nothing left to train.
    """

    epoch: int = 1
    batches_done: int = 0
    step: int = 0
    scores: list[DevScore] = field(default_factory=list)
    best_metrics: dict[str, float] = field(default_factory=dict)
    loss_sum: float = 0.0
    utterances: int = 0
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    peak_memory: int = 0
    finished: bool = False

    @property
    def best_epoch(self) -> int:
        """The epoch with the best score; 0 before the first is finished."""
        return ranked(self.scores)[0] if self.scores else 0

    @property
    def best_score(self) -> DevScore:
        """The score of the best epoch."""
        return self.scores[self.best_epoch - 1]

    @property
    def lowest_loss_epoch(self) -> int:
        """The epoch with the lowest dev loss, of equal ones the first; 0 before the first is finished."""
        return 1 + min(range(len(self.scores)), key=lambda i: self.scores[i].key[1], default=-1)

    def dev_metrics(self) -> dict[str, float]:
        """The dev metrics of the weights used for decoding: the average's, or else the best epoch's."""
        names, found = {"cer": "greedy_cer"}, self.best_metrics
        own = [name for name in found if not name.startswith("average_")]
        return {f"dev_{names.get(name, name)}": found.get(f"average_{name}", found[name]) for name in own}

    def advance(self, *, finished: bool) -> None:
        """Finish an epoch and advance to the next, unless the run is finished."""
        self.finished = finished
        if not finished:
            self.epoch += 1
        self.batches_done = 0
        self.loss_sum, self.utterances, self.epoch_seconds = 0.0, 0, 0.0

    def eta(self, max_epochs: int) -> str:
        """The maximum time for the epochs after this one, in words; "" if it is the last."""
        left = max_epochs - self.epoch
        return f", at most {left * self.seconds / self.epoch / 60:.1f} min to go" if left > 0 else ""

    def state(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "Progress":
        """Rebuild the progress from its `state`."""
        return cls(**{**state, "scores": [DevScore(**score) for score in state["scores"]]})
