"""Search both dimensions, how much to freeze and from which epoch, by successive halving.

All combinations start with a small budget of epochs, the best on dev continue with a larger one, and so on up
to the full budget (Jamieson and Talwalkar 2016, arXiv:1502.07943). A continued training is a node with more
`epochs`; it resumes the shorter one where that stopped, so that nothing is trained twice and the result is
that of an uninterrupted training.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from asr_topdown.schedule.blocks import composition_name, top
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Result, Search, Step, retrained, train_all, train_one
from asr_topdown.schedule.seeds import derived_seed
from asr_topdown.schedule.settings import Settings, setting
from asr_topdown.schedule.spec import Spec, Study


@dataclass(frozen=True)
class HalvingSettings(Settings):
    """Compositions and epochs together, by successive halving; needs run.keep_epochs: all."""

    budget: int = setting(2, "epochs of the first rung", ge=1)
    factor: int = setting(2, "factor by which the budget grows and the number of trainings falls", ge=2)
    epoch_stride: int = setting(1, "try only every k-th epoch of a parent, and its best", ge=1)
    max_retrainings: int = setting(0, "maximum number of successive retrainings; 0 = no limit", ge=0)


@dataclass(frozen=True)
class HalvingPoint:
    """A retraining with a budget.

    Attributes:
        composition: see `GreedyPoint`.
        parent_epochs: which epoch of its parent each retraining of the cascade started from.
        budget: epochs.
        rung: 1, 2, ...
    """

    composition: tuple[int, ...]
    parent_epochs: tuple[int, ...]
    budget: int
    rung: int

    def text(self) -> str:
        """See `Point`."""
        return (
            f"{composition_name(self.composition)} from epoch {self.parent_epochs[-1]}, {self.budget} epochs"
        )


@dataclass(frozen=True)
class _Model:
    """A trained cascade: M(*composition), and the epochs of its parents."""

    outcome: Outcome
    composition: tuple[int, ...]
    parent_epochs: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    node: Node
    composition: tuple[int, ...]
    parent_epochs: tuple[int, ...]


def halving(study: Study, settings: HalvingSettings) -> Search:
    """Search cuts and epochs together: start all with few epochs, continue with the better half.

    A level tries all (i, p): freeze i more blocks of the best model so far, in its state at epoch p, and
    retrain the rest. Of m trainings of `budget` epochs the best m / `factor` continue to `budget` x `factor`
    epochs, and so on; those that reach the full number of epochs are compared with the best model so far, and
    the next level starts from the winner; like Algorithm 1, the search ends when there is none. The weights
    of every epoch must have been kept.

    Returns:
        Steps by level, rung and place within it; accepted are those that reached the next rung, or won.
    """
    full = study.joint.epochs
    best = _Model((yield from train_one(study.joint)), (len(study.blocks),))
    steps = [Step.of(best.outcome)]
    while best.composition[-1] > 1 and (
        not settings.max_retrainings or len(best.composition) <= settings.max_retrainings
    ):
        candidates = list(_candidates(best, study, settings.epoch_stride))
        for rung, epochs in enumerate(_budgets(settings.budget, settings.factor, full), 1):
            nodes = [replace(candidate.node, epochs=epochs) for candidate in candidates]
            outcomes = yield from train_all(nodes)
            order = sorted(range(len(nodes)), key=lambda i: (outcomes[i].error, i))
            last = epochs == full
            kept = order[: 1 if last else math.ceil(len(nodes) / settings.factor)]
            won = outcomes[order[0]].error <= best.outcome.error
            for i, (candidate, outcome) in enumerate(zip(candidates, outcomes, strict=True)):
                point = HalvingPoint(candidate.composition, candidate.parent_epochs, epochs, rung)
                steps.append(Step.of(outcome, point, accepted=i in kept and (won or not last)))
            candidates, outcomes = [candidates[i] for i in kept], [outcomes[i] for i in kept]
        if not won:
            break
        best = _Model(outcomes[0], candidates[0].composition, candidates[0].parent_epochs)
    return Result("halving", study.seed, tuple(steps), best.outcome.node.id)


def _candidates(best: _Model, study: Study, stride: int) -> Iterator[_Candidate]:
    *frozen, rest = best.composition
    seed = derived_seed(study.seed, "step", len(best.composition))
    parent = best.outcome
    epochs = sorted({*range(stride, parent.epochs + 1, stride), parent.best_epoch})
    for more in range(1, rest):
        layers = top(study.blocks, sum(frozen) + more)
        for epoch in epochs:
            node = retrained(parent, init_seed=seed, frozen=layers, epoch=epoch, like=study.joint)
            yield _Candidate(node, (*frozen, more, rest - more), (*best.parent_epochs, epoch))


def _budgets(first: int, factor: int, full: int) -> Iterator[int]:
    """`first`, `first` x `factor`, ... below `full`, and `full`."""
    while first < full:
        yield first
        first *= factor
    yield full


SPEC = Spec(
    "halving",
    halving,
    "search over layers and epochs, best on dev",
    HalvingSettings,
    HalvingPoint,
    every_epoch=lambda _: True,
    continues=True,
)
