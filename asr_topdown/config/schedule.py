"""The settings of layer schedules: what `schedule:` may hold in an experiment's YAML."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, create_model, field_validator

from asr_topdown.config.section import Section
from asr_topdown.schedule.searches import CONTROLS, SEARCHES, SPECS
from asr_topdown.schedule.spec import Spec

if TYPE_CHECKING:
    SearchName: TypeAlias = str
    ControlName: TypeAlias = str
else:
    SearchName, ControlName = Literal[tuple(SEARCHES)], Literal[tuple(CONTROLS)]


class _Schedule(Section):
    """The layer schedule: which networks are trained from which, and how they are selected."""

    search: tuple[SearchName, ...] = Field(("greedy",), description="one search, or several in one study")
    controls: tuple[ControlName, ...] = Field(
        ("scratch", "freeze_lowest", "keep"), description="controls to compare the first search with"
    )
    criterion: Literal["error", "loss"] = Field(
        "error",
        description="what decides: the error of the decoded dev set, or the dev loss; both are recorded",
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (1,), min_length=1, description="one whole search per seed"
    )
    groups: Mapping[str, tuple[str, ...]] = Field({}, description="adjacent layers to treat as one")
    frozen_dropout: Literal["keep", "off"] = Field(
        "keep", description="whether dropout stays active in frozen layers"
    )
    source: str = Field(
        "",
        description="transplant, depth_sweep: source of the layers: the tag of a study (of another "
        "configuration or corpus), or the folder of a model, or a link to one",
    )
    source_seed: Annotated[int, Field(ge=0)] | Literal["same", "next"] = Field(
        "same",
        description="with a study as the source: each seed takes the network of the same seed, of the next "
        "one in schedule.seeds (the last takes the first's), or of the given seed",
    )
    source_network: Literal["joint", "final"] = Field(
        "joint",
        description="with a study as the source: its joint training, or the result of its first search",
    )

    @field_validator("search", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        if value == [] or value == ():
            raise ValueError("needs at least one")
        return (value,) if isinstance(value, str) else value

    def settings(self, name: str) -> Any:
        """The settings of the search or control `name`: `schedule.NAME`, or its defaults if it has none."""
        return getattr(self, name, None) or SPECS[name].settings()

    @property
    def reads_every_epoch(self) -> tuple[str, ...]:
        """The searches and controls that need parents at epochs other than their best."""
        return tuple(spec.name for spec in self._chosen() if spec.every_epoch(self.settings(spec.name)))

    @property
    def latest_epochs(self) -> dict[str, int]:
        """Searches and controls -> the latest epoch of the joint training that their settings name."""
        named = {
            spec.name: spec.latest_epoch(self.settings(spec.name), self.source) for spec in self._chosen()
        }
        return {name: epoch for name, epoch in named.items() if epoch}

    @property
    def continues(self) -> bool:
        """Whether a finished training may be continued with a larger budget."""
        return any(spec.continues for spec in self._chosen())

    def _chosen(self) -> Iterable[Spec]:
        return (SPECS[name] for name in (*self.search, *self.controls))


def _sections() -> dict[str, Any]:
    """One section per search and control that has settings."""
    with_settings = (spec for spec in SPECS.values() if spec.settings().__dataclass_fields__)
    return {spec.name: (spec.settings, spec.settings()) for spec in with_settings}


if TYPE_CHECKING:
    ScheduleConfig = _Schedule
else:
    ScheduleConfig = create_model(
        "ScheduleConfig", __base__=_Schedule, __doc__=_Schedule.__doc__, **_sections()
    )
