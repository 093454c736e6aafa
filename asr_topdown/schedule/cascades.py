"""Searches over the compositions of a network: how many blocks each retraining freezes, from the top."""

from collections.abc import Sequence

from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import (
    Blocks,
    Result,
    Search,
    Soonest,
    Step,
    check_blocks,
    derived_seed,
    retrained,
    top,
)


def greedy(joint: Node, blocks: Blocks, *, frozen_dropout: str = "keep", go_on: bool = False) -> Search:
    """Greedy layer-wise top-down training, Algorithm 1 of Zhang et al. 2021 (arXiv:2102.04697).

    Train all n blocks jointly. For i = 1 ... n-1: freeze the top i blocks of the best model so far,
    re-initialise and retrain the bottom n-i; stop if the dev error grew, else go on from the new model.
    An equal error goes on. The r-th model of the cascade has the seed of the r-th retraining.

    Args:
        joint: the joint training; its `init_seed` is the base seed.
        blocks: the ordered partition of the layer names, input first; a block is frozen as one.
        frozen_dropout: see `Node`.
        go_on: after a worse step do not stop, but freeze a block more of the best model so far.

    Raises:
        ValueError: if `joint` is no joint training, or there are fewer than two blocks or a name twice.
    """
    check_blocks(joint, blocks)
    (best,) = yield [joint]
    n = len(blocks)
    composition: tuple[int, ...] = (n,)
    steps = [Step("joint", joint.id, best.error, accepted=True, point=composition_point(composition))]
    for i in range(1, n):
        seed = derived_seed(joint.init_seed, "step", len(composition))
        node = retrained(best, init_seed=seed, frozen=top(blocks, i), frozen_dropout=frozen_dropout)
        (outcome,) = yield [node]
        worse = outcome.error > best.error
        tried = (*composition[:-1], i - sum(composition[:-1]), n - i)
        point = composition_point(tried)
        steps.append(Step(f"step {i}", node.id, outcome.error, accepted=not worse, point=point))
        if not worse:
            best, composition = outcome, tried
        elif not go_on:
            break
    return Result("greedy", joint.init_seed, tuple(steps), best.node.id)


def exhaustive(joint: Node, blocks: Blocks, *, frozen_dropout: str = "keep", most: int = 0) -> Search:
    """All compositions of n: every M(i, j, ..., r), the search that the paper calls too expensive to run.

    M(i, j, ..., r) is retrained from M(i, j + ... + r), so prefixes are shared and n blocks take 2^(n-1)
    trainings. A retraining is asked for as soon as its parent is finished. The r-th retraining of a cascade
    has one seed in all cascades, and whatever `greedy` trains is among these.

    Args:
        joint: the joint training; its `init_seed` is the base seed.
        blocks: see `greedy`.
        frozen_dropout: see `Node`.
        most: at most so many retrainings one after the other; 0 = any number.

    Returns:
        Steps in the order of the number of retrainings, then of the compositions; `final` is the best of
        them, of equal ones the first. Accepted are those that `final` was reached through.

    Raises:
        ValueError: as `greedy`.
    """
    check_blocks(joint, blocks)
    outcomes: dict[tuple[int, ...], Outcome] = {}
    wanted: dict[tuple[int, ...], Node] = {(len(blocks),): joint}
    while wanted:
        told = yield Soonest(wanted.values())
        finished = {outcome.node.id: outcome for outcome in told}
        for composition, node in list(wanted.items()):
            if node.id not in finished:
                continue
            outcomes[composition] = finished[node.id]
            del wanted[composition]
            if most and len(composition) > most:
                continue
            seed = derived_seed(joint.init_seed, "step", len(composition))
            for child in _children(composition):
                frozen = top(blocks, sum(child[:-1]))
                wanted[child] = retrained(
                    outcomes[composition], init_seed=seed, frozen=frozen, frozen_dropout=frozen_dropout
                )
    order = sorted(outcomes, key=lambda composition: (len(composition), composition))
    final = min(order, key=lambda composition: outcomes[composition].error)
    through = {_prefix(final, parts) for parts in range(1, len(final) + 1)}
    steps = tuple(
        Step(
            named(composition),
            outcomes[composition].node.id,
            outcomes[composition].error,
            accepted=composition in through,
            point=composition_point(composition),
        )
        for composition in order
    )
    return Result("exhaustive", joint.init_seed, steps, outcomes[final].node.id)


def composition_point(composition: Sequence[int]) -> dict[str, list[int]]:
    """What a step says of M(i, j, ..., r): {"composition": [i, j, ..., r]}."""
    return {"composition": list(composition)}


def _children(composition: tuple[int, ...]) -> list[tuple[int, ...]]:
    """M(..., r) -> M(..., 1, r-1), M(..., 2, r-2), ..."""
    *frozen, rest = composition
    return [(*frozen, more, rest - more) for more in range(1, rest)]


def _prefix(composition: tuple[int, ...], parts: int) -> tuple[int, ...]:
    """The model that M(`composition`) was after `parts` - 1 retrainings."""
    return (*composition[: parts - 1], sum(composition[parts - 1 :]))


def named(composition: Sequence[int]) -> str:
    """What a model is called: "joint", or as in the paper "M(1, 4)"."""
    return "joint" if len(composition) == 1 else f"M({', '.join(map(str, composition))})"
