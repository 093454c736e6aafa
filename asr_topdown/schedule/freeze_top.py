"""The paper's Table 4: one joint training, its top frozen, several retrainings."""

from dataclasses import dataclass

from asr_topdown.schedule.blocks import check_top, top
from asr_topdown.schedule.protocol import (
    Result,
    Search,
    Step,
    best_step,
    only_best_accepted,
    retrained,
    train_all,
    train_one,
)
from asr_topdown.schedule.seeds import MOST_TRAININGS, retraining_seed
from asr_topdown.schedule.settings import Settings, setting
from asr_topdown.schedule.spec import Spec, Study


@dataclass(frozen=True)
class FreezeTopSettings(Settings):
    """One baseline, several retrainings below its frozen top (Table 4)."""

    top_blocks: int = setting(1, "number of frozen blocks, from the top", ge=1)
    repeats: int = setting(
        3,
        "number of retrainings; the first has the joint training's own initial weights",
        ge=1,
        le=MOST_TRAININGS,
    )


@dataclass(frozen=True)
class FreezeTopPoint:
    """A retraining.

    Attributes:
        repeat: 1 = from the joint training's initial weights; 2, 3, ... = from others.
    """

    repeat: int

    def text(self) -> str:
        """See `Point`."""
        if self.repeat == 1:
            return "top frozen, the rest retrained from the same initial weights"
        return f"top frozen, the rest retrained from other initial weights ({self.repeat - 1})"


def freeze_top(study: Study, settings: FreezeTopSettings) -> Search:
    """Freeze the top once, retrain the rest several times from other initial weights (Table 4).

    The second retraining is step 1 of the greedy search.
    """
    check_top(study.blocks, settings.top_blocks)
    joint = yield from train_one(study.joint)
    seeds = [study.seed, *(retraining_seed(study.seed, number) for number in range(1, settings.repeats))]
    frozen = top(study.blocks, settings.top_blocks)
    outcomes = yield from train_all([retrained(joint, init_seed=seed, frozen=frozen) for seed in seeds])
    steps = [Step.of(outcome, FreezeTopPoint(number)) for number, outcome in enumerate(outcomes, 1)]
    everything = (Step.of(joint), *only_best_accepted(steps))
    return Result("freeze_top", study.seed, everything, best_step(steps).node)


SPEC = Spec(
    "freeze_top",
    freeze_top,
    "top frozen, the best retraining",
    FreezeTopSettings,
    FreezeTopPoint,
    rows="each",
)
