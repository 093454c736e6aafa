"""The settings of the searches over layer schedules: what `topdown:` may hold in an experiment's YAML."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from asr_topdown.config.section import Section

SearchName = Literal[
    "greedy", "exhaustive", "halving", "transplant", "epoch_scan", "subset_scan", "depth_sweep"
]
ControlName = Literal[
    "scratch",
    "best_of",
    "freeze_lowest",
    "keep",
    "same_init",
    "freeze_keep",
    "random_top",
    "freeze_up",
    "bottom_up",
]


class GreedyConfig(Section):
    """Algorithm 1 of the paper."""

    go_on: bool = Field(
        False, description="do not stop after a worse step; freeze more of the best model so far"
    )


class ExhaustiveConfig(Section):
    """All compositions M(i, j, ..., r)."""

    most: int = Field(0, ge=0, description="at most so many retrainings one after the other; 0 = any number")


class HalvingConfig(Section):
    """Compositions and epochs at once, by successive halving; needs run.keep_epochs: all."""

    budget: int = Field(2, ge=1, description="epochs of the first rung")
    factor: int = Field(2, ge=2, description="the budget grows by it, the number of trainings falls by it")
    every: int = Field(1, ge=1, description="try only every k-th epoch of a parent, and its best")
    levels: int = Field(
        0, ge=0, description="at most so many retrainings one after the other; 0 = any number"
    )


class EpochScanConfig(Section):
    """The classifier of each epoch of the joint training (Figure 2); needs run.keep_epochs: all."""

    classifier: int = Field(2, ge=1, description="blocks of the classifier, from the top")
    joint_epochs: int = Field(
        0, ge=0, description="the joint training runs for so many, without patience; 0 = as in train"
    )
    every: int = Field(1, ge=1, description="try only every k-th epoch")
    repeats: int = Field(1, ge=1, description="extractors for each classifier")


class SubsetScanConfig(Section):
    """The classifier of joint trainings on parts of the data (Table 1 and Figure 1)."""

    classifier: int = Field(2, ge=1, description="blocks of the classifier, from the top")
    repeats: int = Field(5, ge=1, description="extractors for each classifier")


class DepthSweepConfig(Section):
    """Freeze the bottom k, or the top k, for every k."""

    starts: tuple[str, ...] = Field(
        ("reinit", "keep"), min_length=1, description="of the other layers: reinit, keep or rewind:EPOCH"
    )
    fresh: tuple[str, ...] | None = Field(
        None,
        description="layers never taken over; not said: the top block where there is a source, else none",
    )
    lora: int = Field(0, ge=0, description="rank of the adapters of one more arm; 0 = no such arm")

    @field_validator("starts")
    @classmethod
    def _known_starts(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not re.fullmatch(r"reinit|keep|rewind:(0|[1-9][0-9]*)", value):
                raise ValueError(f"a start is reinit, keep or rewind:EPOCH, not {value!r}")
        return values


class ScheduleConfig(Section):
    """The layer schedule."""

    search: tuple[SearchName, ...] = Field(
        ("greedy",), min_length=1, description="one, or several in one study"
    )
    greedy: GreedyConfig = GreedyConfig()
    exhaustive: ExhaustiveConfig = ExhaustiveConfig()
    halving: HalvingConfig = HalvingConfig()
    epoch_scan: EpochScanConfig = EpochScanConfig()
    subset_scan: SubsetScanConfig = SubsetScanConfig()
    depth_sweep: DepthSweepConfig = DepthSweepConfig()
    source: str = Field(
        "",
        description="transplant, depth_sweep: tag of the study, of another configuration or corpus, that the "
        "layers come from: its network of the same seed",
    )
    source_network: Literal["joint", "final"] = Field(
        "joint", description="of that study: the joint training, or where its first search ended"
    )
    groups: Mapping[str, tuple[str, ...]] = Field({}, description="neighbouring layers that count as one")
    frozen_dropout: Literal["keep", "off"] = "keep"
    controls: tuple[ControlName, ...] = ("scratch", "freeze_lowest", "keep")
    best_of: int = Field(2, ge=2, description="trainings of the control best_of, the joint one among them")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (1,), min_length=1, description="one whole search per seed"
    )

    @field_validator("search", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def reads_every_epoch(self) -> bool:
        """Whether parents are wanted at other epochs than their best."""
        rewinds = "depth_sweep" in self.search and any(
            start.startswith("rewind") for start in self.depth_sweep.starts
        )
        return rewinds or bool({"epoch_scan", "halving"} & {*self.search})

    @property
    def continues(self) -> bool:
        """Whether a finished training may be continued with a larger budget."""
        return "halving" in self.search
