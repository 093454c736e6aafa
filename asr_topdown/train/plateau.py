"""Decisions from the dev errors of a training: the best epoch, when to decay, when to stop.

Pure functions of the scores of all epochs so far, so that a resumed run, or one continued with more
epochs, decides like an uninterrupted one.
"""

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from asr_topdown.config.train import TrainConfig


@dataclass(frozen=True)
class DevScore:
    """The network's score on the dev set after an epoch.

    Attributes:
        error: the selection metric; lower is better.
        loss: dev loss, which breaks ties.
        silent: whether nothing is recognised: the greedy CER is 100 % or more.
    """

    error: float
    loss: float = math.inf
    silent: bool = False

    @classmethod
    def of(cls, metrics: Mapping[str, float], metric: str) -> "DevScore":
        """The score from an epoch's dev `metrics` by `metric` (`train.metric`).

        Accuracy counts as the error 1 - accuracy. A CER above 100 % counts as 100 %: if two outputs are
        entirely wrong, neither is better, so the loss decides.

        Raises:
            ValueError: if the task does not measure it.
        """
        if metric not in metrics:
            raise ValueError(f"train.metric: there is no dev {metric}, only {', '.join(sorted(metrics))}")
        value = metrics[metric]
        error = {"accuracy": 1 - value, "cer": min(value, 1.0)}.get(metric, value)
        return cls(error, metrics["loss"], silent=metrics.get("cer", 0.0) >= 1)

    @property
    def key(self) -> tuple[float, float]:
        """The key for comparing epochs: lower is better; NaN is worst."""
        return _or_infinity(self.error), _or_infinity(self.loss)


class Verdict(enum.Enum):
    """A reaction to an epoch's score."""

    BEST = "the best epoch so far: keep its weights"
    WAIT = "no improvement, go on"
    DECAY = "no improvement: be more careful from now on"
    STOP = "no improvement for too long"


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """The rule for reacting when the dev error no longer falls.

    Attributes:
        patience: epochs without improvement before it stops; 0 = never.
        rule: "decay": DECAY after more than `forgiven` consecutive epochs without improvement.
            "non_monotone": DECAY once, when an error is above the lowest of all earlier ones except the last
            `forgiven` (the trigger of NT-ASGD, Merity et al. 2018, section 4). "none": never.
        forgiven: see `rule`.
        grace: number of first epochs that do not count while the network recognises nothing
            (`DevScore.silent`): a CTC output often starts by emitting only blanks, whatever its loss does.
    """

    patience: int
    rule: Literal["none", "decay", "non_monotone"] = "none"
    forgiven: int = 0
    grace: int = 0

    @classmethod
    def of(cls, config: TrainConfig, patience: int) -> "Plateau":
        """The rule of a configuration."""
        optimizer = config.optimizer
        rule: Literal["none", "decay", "non_monotone"] = "none" if optimizer.plateau == "none" else "decay"
        return cls(
            patience=patience,
            rule="non_monotone" if optimizer.name == "nt_asgd" else rule,
            forgiven=optimizer.plateau_patience,
            grace=config.grace_epochs,
        )

    def verdict(self, scores: Sequence[DevScore]) -> Verdict:
        """The reaction to the last of `scores`, those of all epochs so far."""
        verdict, best = Verdict.WAIT, (math.inf, math.inf)
        waited = since_decay = decays = 0
        for epoch, score in enumerate(scores, 1):
            verdict = Verdict.WAIT
            if score.key < best:
                verdict, best, waited, since_decay = Verdict.BEST, score.key, 0, 0
            elif not self.in_grace(scores[:epoch]):
                waited, since_decay = waited + 1, since_decay + 1
                if self.patience and waited >= self.patience:
                    verdict = Verdict.STOP
                elif self._decays(scores[:epoch], since_decay, decays):
                    verdict, since_decay, decays = Verdict.DECAY, 0, decays + 1
        return verdict

    def in_grace(self, scores: Sequence[DevScore]) -> bool:
        """Whether neither patience nor decay counts the last epoch."""
        return len(scores) <= self.grace and all(score.silent for score in scores)

    def _decays(self, scores: Sequence[DevScore], since_decay: int, decays: int) -> bool:
        if self.rule == "non_monotone":
            *before, last = (score.error for score in scores)
            old = before[: max(len(before) - self.forgiven, 0)]
            return not decays and bool(old) and last > min(old)
        return self.rule == "decay" and since_decay > self.forgiven


def ranked(scores: Sequence[DevScore]) -> list[int]:
    """Epochs, counted from 1, from best to worst; of equal ones the earlier first."""
    return sorted(range(1, len(scores) + 1), key=lambda epoch: (scores[epoch - 1].key, epoch))


def _or_infinity(value: float) -> float:
    return math.inf if math.isnan(value) else value
