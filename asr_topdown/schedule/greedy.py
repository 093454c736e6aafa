"""Greedy layer-wise top-down training: Algorithm 1 of Zhang et al. 2021 (arXiv:2102.04697)."""

import itertools
from dataclasses import dataclass
from typing import Literal

from asr_topdown.schedule.algorithm_1 import algorithm_1
from asr_topdown.schedule.blocks import top
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Search, retrained
from asr_topdown.schedule.seeds import derived_seed
from asr_topdown.schedule.settings import Settings, setting
from asr_topdown.schedule.spec import CLASSIFIER_EPOCH, Spec, Study, check_classifier_epoch


@dataclass(frozen=True)
class GreedySettings(Settings):
    """Algorithm 1 of the paper."""

    stop_when_worse: bool = setting(
        True, "stop after a worse step; false: instead freeze one more block of the best model so far"
    )
    classifier_epoch: int | Literal["same", "lowest_loss"] = setting("same", CLASSIFIER_EPOCH)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_classifier_epoch(self.classifier_epoch)


@dataclass(frozen=True)
class GreedyPoint:
    """A step of the cascade.

    Attributes:
        composition: [i, j, ..., r] of the paper's M(i, j, ..., r), in blocks: all but the last are frozen.
    """

    composition: tuple[int, ...]

    @property
    def frozen(self) -> int:
        """How many blocks are frozen, the step's number in Algorithm 1."""
        return sum(self.composition[:-1])

    def text(self) -> str:
        """See `Point`."""
        return f"step {self.frozen}"


def greedy(study: Study, settings: GreedySettings) -> Search:
    """Freeze the top block, then one more at a time, while the dev error does not grow (Algorithm 1).

    Train all n blocks jointly. For i = 1 ... n-1: freeze the top i blocks of the best model so far,
    reinitialise and retrain the bottom n-i; stop if the dev error grew, else continue from the new model. The
    r-th model of the cascade has the seed of the r-th retraining.
    """
    n = len(study.blocks)

    def node_of(best: Outcome, i: int, number: int) -> Node:
        seed = derived_seed(study.seed, "step", number)
        epoch = best.epoch_of(settings.classifier_epoch)
        return retrained(best, init_seed=seed, frozen=top(study.blocks, i), epoch=epoch)

    def point_of(cuts: tuple[int, ...]) -> GreedyPoint:
        ends = (0, *cuts, n)
        return GreedyPoint(tuple(after - before for before, after in itertools.pairwise(ends)))

    return algorithm_1("greedy", study, node_of, point_of, stop_when_worse=settings.stop_when_worse)


SPEC = Spec(
    "greedy",
    greedy,
    "top-down",
    GreedySettings,
    GreedyPoint,
    rows="both",
    stepwise=True,
    every_epoch=lambda settings: settings.classifier_epoch != "same",
)
