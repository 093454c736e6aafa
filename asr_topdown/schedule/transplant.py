"""The paper's Table 2, "softmax layers frozen from B": another network's classifier, the rest its own.

With `schedule.source_seed` the classifier is from another seed, which shows whether any good classifier will
do or only that of the study's own joint training.
"""

from dataclasses import dataclass

from asr_topdown.schedule.protocol import Result, Search, Step, retrained, train_all
from asr_topdown.schedule.seeds import retraining_seed
from asr_topdown.schedule.settings import Settings
from asr_topdown.schedule.spec import Spec, Study


@dataclass(frozen=True)
class TransplantPoint:
    """The retraining under the other network's classifier.

    Attributes:
        source: the other network's name.
        source_node: its node.
    """

    source: str
    source_node: str

    def text(self) -> str:
        """See `Point`."""
        return f"classifier frozen from {self.source}, the rest trained"


def transplant(study: Study, settings: Settings) -> Search:
    """Freeze the top block of another study's network (schedule.source), train all blocks below it.

    The source may have another architecture, as long as its top layers have the same names and shapes.
    The initial weights of the trained layers are those of the greedy search's step 1, which freezes the
    network's own classifier.
    """
    if study.source is None:
        raise ValueError(
            "search transplant needs schedule.source: the tag of another study's results, or a model's folder"
        )
    source = study.source
    node = retrained(
        source.outcome,
        init_seed=retraining_seed(study.seed),
        frozen=study.blocks[-1],
        like=study.joint,
        weights=source.weights,
    )
    point = TransplantPoint(source.name, source.outcome.node.id)
    joint, second = yield from train_all([study.joint, node])
    return Result("transplant", study.seed, (Step.of(joint), Step.of(second, point)), second.node.id)


SPEC = Spec(
    "transplant",
    transplant,
    "another network's classifier frozen",
    point=TransplantPoint,
    rows="each",
    reads=frozenset({"source"}),
)
