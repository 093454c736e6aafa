"""Figure 2 of the paper: the classifier of each epoch of the joint training, and new extractors for it.

The classifier is the top blocks, the extractor everything below. A classifier is frozen, and an extractor
is trained for it from new weights, on data that the classifier has not seen. In repeat R of a seed, all
extractors start from the same weights, so that classifiers are compared like with like.
"""

from dataclasses import dataclass, replace

from asr_topdown.schedule.blocks import check_top, top
from asr_topdown.schedule.node import Node
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
class EpochScanSettings(Settings):
    """The classifier of each epoch of the joint training (Figure 2); needs run.keep_epochs: all."""

    top_blocks: int = setting(2, "number of blocks of the classifier, from the top", ge=1)
    joint_epochs: int = setting(
        0, "epochs of the joint training, without early stopping; 0 = as in train", ge=0
    )
    epoch_stride: int = setting(1, "try only every k-th epoch", ge=1)
    repeats: int = setting(1, "number of extractors per classifier", ge=1, le=MOST_TRAININGS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.joint_epochs < self.epoch_stride:
            raise ValueError(
                f"epoch_stride: must be at most joint_epochs, {self.joint_epochs}, got {self.epoch_stride}"
            )


@dataclass(frozen=True)
class EpochScanPoint:
    """An extractor.

    Attributes:
        epoch: of the joint training whose classifier is frozen.
        repeat: 1, 2, ...: its initial weights.
    """

    epoch: int
    repeat: int

    def text(self) -> str:
        """See `Point`."""
        return f"classifier of epoch {self.epoch}, repeat {self.repeat}"


def joint_training(study: Study, settings: EpochScanSettings) -> Node:
    """The source of the classifiers: joint training on the last subset, if any, or on the study's data."""
    joint = study.subsets[-1].joint if study.subsets else study.joint
    return replace(joint, epochs=settings.joint_epochs, patience=0) if settings.joint_epochs else joint


def epoch_scan(study: Study, settings: EpochScanSettings) -> Search:
    """Freeze the classifier of each epoch of the joint training, train new extractors below it (Figure 2).

    The weights of every epoch must have been kept.

    Raises:
        ValueError: if the joint training ended before the first epoch to try.
    """
    check_top(study.blocks, settings.top_blocks)
    joint = yield from train_one(joint_training(study, settings))
    points = [
        EpochScanPoint(epoch, repeat)
        for epoch in range(settings.epoch_stride, joint.epochs + 1, settings.epoch_stride)
        for repeat in range(1, settings.repeats + 1)
    ]
    if not points:
        raise ValueError(
            f"schedule.epoch_scan.epoch_stride: is {settings.epoch_stride}, and the joint training of seed "
            f"{study.seed} ended after epoch {joint.epochs}"
        )
    nodes = [
        retrained(
            joint,
            init_seed=retraining_seed(study.seed, point.repeat),
            frozen=top(study.blocks, settings.top_blocks),
            epoch=point.epoch,
            like=study.joint,
        )
        for point in points
    ]
    outcomes = yield from train_all(nodes)
    steps = [Step.of(outcome, point) for point, outcome in zip(points, outcomes, strict=True)]
    everything = (Step.of(joint), *only_best_accepted(steps))
    return Result("epoch_scan", study.seed, everything, best_step(steps).node)


SPEC = Spec(
    "epoch_scan",
    epoch_scan,
    "the best extractor of the epoch scan",
    EpochScanSettings,
    EpochScanPoint,
    rows="none",
    against_joint=False,
    every_epoch=lambda _: True,
    latest_epoch=lambda settings, _: 0 if settings.joint_epochs else settings.epoch_stride,
    reads=frozenset({"joint_data"}),
)
