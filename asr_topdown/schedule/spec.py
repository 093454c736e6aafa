"""The interface of a search to the rest of the program, and its inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from asr_topdown.schedule import blocks as layer_blocks
from asr_topdown.schedule.blocks import Blocks
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Point, Search
from asr_topdown.schedule.settings import Settings


@dataclass(frozen=True)
class Source:
    """A trained network of another study, another corpus or unknown origin, whose layers are transferred.

    Attributes:
        name: its name in the results.
        outcome: the outcome of its training.
        weights: hash of its best epoch's weights if it is a given model's folder, see `Parent`.
    """

    name: str
    outcome: Outcome
    weights: str | None = None


@dataclass(frozen=True)
class Subset:
    """Data other than the study's own, and the joint training on them.

    Attributes:
        name: of the data directory.
        utterances: how many it has.
        percent: its share of the study's own data; for --joint-data, of the study's data and the largest
            together.
        joint: the training.
    """

    name: str
    utterances: int
    percent: float
    joint: Node


@dataclass(frozen=True)
class Study:
    """The inputs of the searches of one base seed.

    Attributes:
        joint: the joint training; its `init_seed` is the base seed.
        blocks: the ordered partition of the layer names, input first; a block is frozen as one.
        others: the joint trainings of the other base seeds.
        source: the network that `schedule.source` names.
        subsets: the data of --joint-data, from small to large.
        parts: of the study's own data (--parts), from small to large.
        first: creates the study's first search again, for controls that follow it; None = there is none.
        beginnings: the joint trainings with which the study's searches start.

    Raises:
        ValueError: if `joint` is not a joint training, or there are fewer than two blocks or a duplicate
            name.
    """

    joint: Node
    blocks: Blocks
    others: tuple[Node, ...] = ()
    source: Source | None = None
    subsets: tuple[Subset, ...] = ()
    parts: tuple[Subset, ...] = ()
    first: Callable[[], Search] | None = None
    beginnings: tuple[Node, ...] = ()

    def __post_init__(self) -> None:
        layer_blocks.check(self.joint, self.blocks)

    @property
    def seed(self) -> int:
        """The base seed."""
        return self.joint.init_seed

    def followed(self) -> Search:
        """Create the study's first search again.

        Raises:
            ValueError: if there is none.
        """
        if self.first is None:
            raise ValueError("this control follows a search, and the study has none")
        return self.first()


# What a setting says that several searches have.
CLASSIFIER_EPOCH = (
    "epoch that the frozen layers are taken from: same (the network's own, best), lowest_loss (on dev) or "
    "a number (of a shorter training, its last); all but same need run.keep_epochs: all"
)


def check_classifier_epoch(epoch: int | str) -> None:
    """Raise ValueError for a number below 1."""
    if isinstance(epoch, int) and epoch < 1:
        raise ValueError(f"classifier_epoch: epochs count from 1, got {epoch}")


def _never(_: Any) -> bool:
    return False


def _none(_: Any, __: str) -> int:
    return 0


@dataclass(frozen=True)
class Only:
    """The only retraining of a control: the control's label suffices."""

    def text(self) -> str:
        """See `Point`."""
        return ""


# Given by `schedule.source`, `--joint-data` and `--parts`.
Input = Literal["source", "joint_data", "parts"]


@dataclass(frozen=True)
class Spec:
    """A search, or a control with which searches are compared.

    Attributes:
        name: `schedule.search: NAME`, or one of `schedule.controls`.
        make: the generator, from its inputs and settings; its docstring's first line is its help.
        label: where it ended, as the row of a table.
        settings: what `schedule.NAME` may hold.
        point: the record of a step.
        rows: its rows in the report: where it ended ("final"), each of its trainings ("each"), both, or none.
        stepwise: whether it proceeds step by step, so that a step that is not accepted was rejected as worse.
        against_joint: whether to compare its final network with joint training on the same data.
        every_epoch: whether, with these settings, it starts from epochs of a parent other than the best.
        latest_epoch: the latest epoch of the joint training that these settings, with this `schedule.source`,
            name; 0 = none, or they follow whatever its last is.
        continues: whether it gives a finished training more epochs.
        reads: which of the study's inputs that a user may give it reads; one that no search reads is refused.
    """

    name: str
    make: Callable[[Study, Any], Search]
    label: str
    settings: type[Settings] = Settings
    point: type[Point] = Only
    rows: Literal["final", "each", "both", "none"] = "final"
    stepwise: bool = False
    against_joint: bool = True
    every_epoch: Callable[[Any], bool] = _never
    latest_epoch: Callable[[Any, str], int] = _none
    continues: bool = False
    reads: frozenset[Input] = frozenset()

    @property
    def help(self) -> str:
        """What it does, in one line."""
        return (self.make.__doc__ or "").strip().partition("\n")[0]
