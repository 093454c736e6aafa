"""Both dimensions at once: how much is frozen, and of which epoch; by successive halving.

All combinations are begun with a small budget of epochs, those that lead on dev are continued with a larger
one, and so on to the full budget (Jamieson and Talwalkar 2016, arXiv:1502.07943). A continued training is a
node with more `epochs`; `run.run_node` takes up the shorter one where it stopped, so that nothing is trained
twice and the result is that of an uninterrupted training.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from asr_topdown.schedule.cascades import named
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import (
    Blocks,
    Result,
    Search,
    Step,
    check_blocks,
    derived_seed,
    retrained,
    top,
)


@dataclass(frozen=True)
class _Model:
    """A trained cascade: M(*composition), and the epochs p at which its parents were taken."""

    outcome: Outcome
    composition: tuple[int, ...]
    epochs: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    node: Node
    composition: tuple[int, ...]
    epochs: tuple[int, ...]


def halving(
    joint: Node,
    blocks: Blocks,
    *,
    budget: int = 2,
    factor: int = 2,
    every: int = 1,
    levels: int = 0,
    frozen_dropout: str = "keep",
) -> Search:
    """Search compositions and epochs: M^p(i, j, ..., r), one retraining after the other.

    A level tries all (i, p): freeze i blocks more of the best model so far, in its state at epoch p, and
    retrain the rest. Of m trainings of `budget` epochs the best m / `factor` go on to `budget` x `factor`
    epochs, and so on; what reaches the full number of epochs is compared with the best model so far, and the
    next level starts from the winner; the search ends when there is none, as Algorithm 1 does.
    The weights of every epoch must have been kept.

    Args:
        joint: the joint training; its `init_seed` is the base seed, its `epochs` the full budget.
        blocks: see `greedy`.
        budget: epochs of the first rung.
        factor: by which the budget grows and the number of trainings falls, from 2.
        every: only epochs `every`, 2 x `every`, ... of the parent, and its best.
        levels: at most so many retrainings one after the other; 0 = any number.
        frozen_dropout: see `Node`.

    Returns:
        Steps by level, rung and place within it; accepted are those that went on to the next rung, or won.

    Raises:
        ValueError: as `greedy`, or if the budgets do not grow.
    """
    check_blocks(joint, blocks)
    if budget < 1 or factor < 2:
        raise ValueError(f"halving: a budget of {budget} epochs, times {factor} at each rung, does not grow")
    (first,) = yield [joint]
    best = _Model(first, (len(blocks),))
    steps = [Step("joint", joint.id, first.error, accepted=True, point=_point(best.composition, (), 0, 0))]
    while best.composition[-1] > 1 and (not levels or len(best.composition) <= levels):
        candidates = list(_candidates(best, joint, blocks, every, frozen_dropout))
        for rung, epochs in enumerate(_budgets(budget, factor, joint.epochs), 1):
            nodes = [replace(candidate.node, epochs=epochs) for candidate in candidates]
            outcomes = yield nodes
            order = sorted(range(len(nodes)), key=lambda i: (outcomes[i].error, i))
            last = epochs == joint.epochs
            kept = order[: 1 if last else math.ceil(len(nodes) / factor)]
            won = outcomes[order[0]].error <= best.outcome.error
            for i, (candidate, outcome) in enumerate(zip(candidates, outcomes, strict=True)):
                role = f"{named(candidate.composition)} p {candidate.epochs[-1]}, {epochs} epochs"
                point = _point(candidate.composition, candidate.epochs, epochs, rung)
                accepted = i in kept and (won or not last)
                steps.append(Step(role, outcome.node.id, outcome.error, accepted, point))
            candidates, outcomes = [candidates[i] for i in kept], [outcomes[i] for i in kept]
        if not won:
            break
        best = _Model(outcomes[0], candidates[0].composition, candidates[0].epochs)
    return Result("halving", joint.init_seed, tuple(steps), best.outcome.node.id)


def _candidates(
    best: _Model, joint: Node, blocks: Blocks, every: int, frozen_dropout: str
) -> Iterator[_Candidate]:
    *frozen, rest = best.composition
    seed = derived_seed(joint.init_seed, "step", len(best.composition))
    parent = best.outcome
    epochs = sorted({*range(every, parent.epochs + 1, every), parent.best_epoch})
    for more in range(1, rest):
        layers = top(blocks, sum(frozen) + more)
        for p in epochs:
            node = retrained(
                parent, init_seed=seed, frozen=layers, frozen_dropout=frozen_dropout, epoch=p, like=joint
            )
            yield _Candidate(node, (*frozen, more, rest - more), (*best.epochs, p))


def _budgets(first: int, factor: int, full: int) -> Iterator[int]:
    """`first`, `first` x `factor`, ... below `full`, and `full`."""
    while first < full:
        yield first
        first *= factor
    yield full


def _point(
    composition: tuple[int, ...], epochs: tuple[int, ...], budget: int, rung: int
) -> dict[str, int | list[int]]:
    return {"composition": list(composition), "p": list(epochs), "budget": budget, "rung": rung}
