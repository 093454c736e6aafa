"""The search that the paper calls too expensive to run: every M(i, j, ..., r)."""

from dataclasses import dataclass
from typing import Literal

from asr_topdown.schedule.blocks import composition_name, top
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Result, Search, Step, retrained, train_any
from asr_topdown.schedule.seeds import derived_seed
from asr_topdown.schedule.settings import Settings, setting
from asr_topdown.schedule.spec import CLASSIFIER_EPOCH, Spec, Study, check_classifier_epoch


@dataclass(frozen=True)
class ExhaustiveSettings(Settings):
    """All compositions M(i, j, ..., r)."""

    max_retrainings: int = setting(0, "maximum number of successive retrainings; 0 = no limit", ge=0)
    classifier_epoch: int | Literal["same", "lowest_loss"] = setting("same", CLASSIFIER_EPOCH)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_classifier_epoch(self.classifier_epoch)


@dataclass(frozen=True)
class ExhaustivePoint:
    """A composition of the number of blocks, see `GreedyPoint`."""

    composition: tuple[int, ...]

    def text(self) -> str:
        """See `Point`."""
        return composition_name(self.composition)


def exhaustive(study: Study, settings: ExhaustiveSettings) -> Search:
    """Try every cascade M(i, j, ..., r): 2^(n-1) trainings for n blocks.

    M(i, j, ..., r) is retrained from M(i, j + ... + r), so prefixes are shared. A retraining is requested as
    soon as its parent is finished. The r-th retraining has the same seed in all cascades, and all trainings
    of `greedy` are among these.

    Returns:
        Steps by number of retrainings, then by composition; `final` is the best of them, of equal ones the
        first. Accepted are those on the path to `final`.
    """
    outcomes: dict[tuple[int, ...], Outcome] = {}
    wanted: dict[tuple[int, ...], Node] = {(len(study.blocks),): study.joint}
    while wanted:
        finished = yield from train_any(wanted)
        for composition, outcome in finished.items():
            outcomes[composition] = outcome
            del wanted[composition]
            if settings.max_retrainings and len(composition) > settings.max_retrainings:
                continue
            seed = derived_seed(study.seed, "step", len(composition))
            epoch = outcome.epoch_of(settings.classifier_epoch)
            for child in _children(composition):
                frozen = top(study.blocks, sum(child[:-1]))
                wanted[child] = retrained(outcome, init_seed=seed, frozen=frozen, epoch=epoch)
    order = sorted(outcomes, key=lambda composition: (len(composition), composition))
    final = min(order, key=lambda composition: outcomes[composition].error)
    through = {_prefix(final, parts) for parts in range(1, len(final) + 1)}
    steps = []
    for composition in order:
        point = ExhaustivePoint(composition) if len(composition) > 1 else None
        steps.append(Step.of(outcomes[composition], point, accepted=composition in through))
    return Result("exhaustive", study.seed, tuple(steps), outcomes[final].node.id)


def _children(composition: tuple[int, ...]) -> list[tuple[int, ...]]:
    """M(..., r) -> M(..., 1, r-1), M(..., 2, r-2), ..."""
    *frozen, rest = composition
    return [(*frozen, more, rest - more) for more in range(1, rest)]


def _prefix(composition: tuple[int, ...], parts: int) -> tuple[int, ...]:
    """The ancestor of M(`composition`) after `parts` - 1 retrainings."""
    return (*composition[: parts - 1], sum(composition[parts - 1 :]))


SPEC = Spec(
    "exhaustive",
    exhaustive,
    "exhaustive search, best on dev",
    ExhaustiveSettings,
    ExhaustivePoint,
    rows="both",
    every_epoch=lambda settings: settings.classifier_epoch != "same",
)
