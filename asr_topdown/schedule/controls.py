"""What a top-down search is judged by: the same compute spent otherwise, other layers frozen, none frozen."""

from collections.abc import Callable
from dataclasses import replace

from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import (
    Blocks,
    Result,
    Search,
    Step,
    bottom,
    check_blocks,
    check_joint,
    derived_seed,
    retrained,
    top,
)


def scratch(joint: Node, search: Search) -> Search:
    """Control with the same compute: as many trainings from scratch as `search` makes, the best on dev taken.

    `search` is followed, not run twice: its nodes are asked for again, and the i-th training from scratch
    is asked for together with its i-th retraining. The joint training, which `search` has too, is a
    candidate; an accepted step is one that beat all before it, so of equal ones the first is taken.
    """
    check_joint(joint)
    (best,) = yield [joint]
    steps = [Step("joint", joint.id, best.error, accepted=True)]
    asked = {joint.id}
    outcomes: list[Outcome] | None = None
    while True:
        try:
            followed = next(search) if outcomes is None else search.send(outcomes)
        except StopIteration:
            return Result("scratch", joint.init_seed, tuple(steps), best.node.id)
        new = {node.id for node in followed} - asked
        asked |= new
        numbers = range(len(steps), len(steps) + len(new))
        own = [replace(joint, init_seed=derived_seed(joint.init_seed, "scratch", i)) for i in numbers]
        told = yield [*followed, *own]
        outcomes = told[: len(followed)]
        for outcome in told[len(followed) :]:
            better = outcome.error < best.error
            best = outcome if better else best
            steps.append(Step(f"scratch {len(steps)}", outcome.node.id, outcome.error, accepted=better))


def best_of_scratch(joint: Node, count: int) -> Search:
    """Control: `count` trainings from scratch, the joint one among them, the best on dev taken.

    Its seeds are those of `scratch`, so what both ask for is trained once.
    """
    check_joint(joint)
    seeds = [derived_seed(joint.init_seed, "scratch", i) for i in range(1, count)]
    best, *others = yield [joint, *(replace(joint, init_seed=seed) for seed in seeds)]
    steps = [Step("joint", joint.id, best.error, accepted=True)]
    for outcome in others:
        better = outcome.error < best.error
        best = outcome if better else best
        steps.append(Step(f"scratch {len(steps)}", outcome.node.id, outcome.error, accepted=better))
    return Result("best_of", joint.init_seed, tuple(steps), best.node.id)


def freeze_lowest(joint: Node, blocks: Blocks, *, frozen_dropout: str = "keep") -> Search:
    """Control in the other direction: freeze the lowest block, re-initialise and retrain those above it.

    Raises:
        ValueError: as `greedy`.
    """
    check_blocks(joint, blocks)
    seed = derived_seed(joint.init_seed, "freeze_lowest", 1)

    def node(outcome: Outcome) -> Node:
        return retrained(outcome, init_seed=seed, frozen=blocks[0], frozen_dropout=frozen_dropout)

    return (yield from _one_retraining("freeze_lowest", joint, node))


def keep(joint: Node) -> Search:
    """Control without freezing: train all layers on from the joint weights, with a new optimiser."""
    check_joint(joint)
    seed = derived_seed(joint.init_seed, "keep", 1)

    def node(outcome: Outcome) -> Node:
        return retrained(outcome, init_seed=seed, start="keep")

    return (yield from _one_retraining("keep", joint, node))


def same_init(joint: Node, blocks: Blocks, *, frozen_dropout: str = "keep") -> Search:
    """Freeze the top block and retrain the rest from the very weights that the joint training began with.

    The first row of the paper's Table 4; step 1 of `greedy` is the same with other initial weights.

    Raises:
        ValueError: as `greedy`.
    """
    check_blocks(joint, blocks)

    def node(outcome: Outcome) -> Node:
        seed = joint.init_seed
        return retrained(outcome, init_seed=seed, frozen=blocks[-1], frozen_dropout=frozen_dropout)

    return (yield from _one_retraining("same_init", joint, node))


def freeze_keep(joint: Node, blocks: Blocks, *, frozen_dropout: str = "keep") -> Search:
    """Control without re-initialising: freeze the top block, train the others on from the joint weights.

    Raises:
        ValueError: as `greedy`.
    """
    check_blocks(joint, blocks)
    seed = derived_seed(joint.init_seed, "step", 1)

    def node(outcome: Outcome) -> Node:
        return retrained(
            outcome, init_seed=seed, frozen=blocks[-1], start="keep", frozen_dropout=frozen_dropout
        )

    return (yield from _one_retraining("freeze_keep", joint, node))


def random_top(joint: Node, blocks: Blocks, *, frozen_dropout: str = "keep") -> Search:
    """Control with an untrained classifier: the top block keeps its initial weights, the others are trained.

    Hoffer et al. 2018 fixed classifiers so; if this does as well, the frozen top need not be a trained one.

    Raises:
        ValueError: as `greedy`.
    """
    check_blocks(joint, blocks)
    seed = derived_seed(joint.init_seed, "random_top", 1)

    def node(_: Outcome) -> Node:
        return replace(joint, init_seed=seed, frozen=blocks[-1], frozen_dropout=frozen_dropout)

    return (yield from _one_retraining("random_top", joint, node))


def freeze_up(joint: Node, blocks: Blocks, *, frozen_dropout: str = "keep") -> Search:
    """Algorithm 1 upside down: freeze the lowest i blocks, re-initialise and retrain those above them.

    Its first step is `freeze_lowest` with another seed.

    Raises:
        ValueError: as `greedy`.
    """

    def node(best: Outcome, kept: tuple[str, ...], above: tuple[str, ...], seed: int) -> Node:
        return retrained(best, init_seed=seed, frozen=kept, frozen_dropout=frozen_dropout)

    return (yield from _upwards("freeze_up", joint, blocks, node))


def bottom_up(joint: Node, blocks: Blocks) -> Search:
    """Layer-wise re-initialisation (Alabdulmohsin et al. 2021, arXiv:2109.00267): nothing is frozen.

    For i = 1 ... n-1: keep the weights of the lowest i blocks of the best model so far, re-initialise those
    above them, and train all; stop when the dev error grew. Their rescaling of the kept weights is left out.

    Raises:
        ValueError: as `greedy`.
    """

    def node(best: Outcome, kept: tuple[str, ...], above: tuple[str, ...], seed: int) -> Node:
        return retrained(best, init_seed=seed, start="keep", fresh=above)

    return (yield from _upwards("bottom_up", joint, blocks, node))


def _upwards(
    name: str,
    joint: Node,
    blocks: Blocks,
    node_of: Callable[[Outcome, tuple[str, ...], tuple[str, ...], int], Node],
) -> Search:
    """The loop of Algorithm 1 with blocks counted from the input."""
    check_blocks(joint, blocks)
    (best,) = yield [joint]
    steps = [Step("joint", joint.id, best.error, accepted=True)]
    for i in range(1, len(blocks)):
        seed = derived_seed(joint.init_seed, name, i)
        (outcome,) = yield [node_of(best, bottom(blocks, i), top(blocks, len(blocks) - i), seed)]
        worse = outcome.error > best.error
        steps.append(Step(f"{name} {i}", outcome.node.id, outcome.error, accepted=not worse))
        if worse:
            break
        best = outcome
    return Result(name, joint.init_seed, tuple(steps), best.node.id)


def _one_retraining(name: str, joint: Node, node_of: Callable[[Outcome], Node]) -> Search:
    (first,) = yield [joint]
    node = node_of(first)
    (second,) = yield [node]
    steps = (
        Step("joint", joint.id, first.error, accepted=True),
        Step(name, node.id, second.error, accepted=True),
    )
    return Result(name, joint.init_seed, steps, node.id)
