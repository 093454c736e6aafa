"""Searches over the compositions of a network: how many blocks each retraining freezes, from the top."""

from collections.abc import Sequence

from asr_topdown.topdown.node import Node
from asr_topdown.topdown.steps import Blocks, Result, Search, Step, check_blocks, derived_seed, retrained, top


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


def composition_point(composition: Sequence[int]) -> dict[str, list[int]]:
    """What a step says of M(i, j, ..., r): {"composition": [i, j, ..., r]}."""
    return {"composition": list(composition)}
