"""Table 1 and Figure 1 of the paper: the classifier of each subset's joint training, and new extractors.

See `epoch_scan` for the terms.
"""

from dataclasses import dataclass

from asr_topdown.schedule.blocks import check_top, top
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import (
    Result,
    Search,
    Step,
    best_step,
    only_best_accepted,
    retrained,
    train_any,
)
from asr_topdown.schedule.seeds import MOST_TRAININGS, retraining_seed
from asr_topdown.schedule.settings import Settings, setting
from asr_topdown.schedule.spec import Spec, Study, Subset


@dataclass(frozen=True)
class SubsetScanSettings(Settings):
    """The classifiers of joint trainings on subsets of the data (Table 1 and Figure 1)."""

    top_blocks: int = setting(2, "number of blocks of the classifier, from the top", ge=1)
    repeats: int = setting(5, "number of extractors per classifier", ge=1, le=MOST_TRAININGS)


@dataclass(frozen=True)
class SubsetScanPoint:
    """A joint training on a subset, or an extractor under its classifier.

    Attributes:
        subset: name of the data.
        utterances: their number.
        percent: their share of the largest subset and the extractors' data together.
        repeat: 0 = the joint training; 1, 2, ... = an extractor, by its initial weights.
    """

    subset: str
    utterances: int
    percent: float
    repeat: int = 0

    def text(self) -> str:
        """See `Point`."""
        if not self.repeat:
            return f"joint, on {self.subset}"
        return f"classifier of {self.subset}, repeat {self.repeat}"


def subset_scan(study: Study, settings: SubsetScanSettings) -> Search:
    """Train on subsets of the data, freeze each classifier, train new extractors (Table 1, Figure 1)."""
    check_top(study.blocks, settings.top_blocks)
    if not study.subsets:
        raise ValueError("subset_scan needs the data of its joint trainings: --joint-data DIR DIR ...")
    outcomes: dict[tuple[str, int], Outcome] = {}
    wanted: dict[tuple[str, int], Node] = {(subset.name, 0): subset.joint for subset in study.subsets}
    repeats = range(1, settings.repeats + 1)
    while wanted:
        finished = yield from train_any(wanted)
        for (name, repeat), outcome in finished.items():
            outcomes[name, repeat] = outcome
            del wanted[name, repeat]
            for number in repeats if not repeat else ():
                wanted[name, number] = retrained(
                    outcome,
                    init_seed=retraining_seed(study.seed, number),
                    frozen=top(study.blocks, settings.top_blocks),
                    like=study.joint,
                )

    def step(subset: Subset, repeat: int) -> Step:
        point = SubsetScanPoint(subset.name, subset.utterances, subset.percent, repeat)
        return Step.of(outcomes[subset.name, repeat], point)

    joints = [step(subset, 0) for subset in study.subsets]
    steps = [step(subset, repeat) for subset in study.subsets for repeat in repeats]
    everything = (*joints, *only_best_accepted(steps))
    return Result("subset_scan", study.seed, everything, best_step(steps).node)


SPEC = Spec(
    "subset_scan",
    subset_scan,
    "the best extractor of the subset scan",
    SubsetScanSettings,
    SubsetScanPoint,
    rows="none",
    against_joint=False,
    reads=frozenset({"joint_data"}),
)
