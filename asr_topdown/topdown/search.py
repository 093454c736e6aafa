"""Which networks to train next: searches over layer schedules, and the controls they are judged by.

A search is a generator. It yields the nodes that it wants, is sent their outcomes in the same order, and
returns a `Result`. It never trains, reads or writes, so its state need not be saved: a search that is
started again asks for the same nodes, and finished ones answer from disk.

Several searches run side by side under `dispatch.drive`, each waiting for its own nodes only. Whatever two
of them ask for is trained once.

Seeds. The base seed s of a study (0 <= s < 1 000 000) is the joint training's `init_seed`. Every other
training of that seed takes s + 1 000 000 k, with k = i for step i of the greedy search (1 <= i <= 499),
500 + i for the i-th training from scratch, 1001 for freeze-the-lowest and 1501 for keep. So the last six
digits are the base seed, no two base seeds share an `init_seed`, and k = 0 is the joint training's; only the
control "same_init" takes that again, on purpose.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

from asr_topdown.topdown.node import Node, Outcome, Parent

SEED_STRIDE = 1_000_000
_PER_KIND = 500
_KINDS = ("step", "scratch", "freeze_lowest", "keep")

CONTROLS = ("scratch", "freeze_lowest", "keep", "same_init")


@dataclass(frozen=True)
class Step:
    """One training of a search.

    Attributes:
        role: "joint", "step 1", "scratch 1", "freeze_lowest", "keep", ...
        node: the node's id.
        error: its dev error.
        accepted: whether it became the model that the search went on with.
    """

    role: str
    node: str
    error: float
    accepted: bool


@dataclass(frozen=True)
class Result:
    """What a search did.

    Attributes:
        search: "greedy", "scratch", "freeze_lowest", "keep" or "same_init".
        seed: the base seed.
        steps: every training in the order in which it was asked for, the joint one first.
        final: id of the node that the search ended with.
    """

    search: str
    seed: int
    steps: tuple[Step, ...]
    final: str


Search = Generator[list[Node], list[Outcome], Result]


def greedy(joint: Node, blocks: Sequence[tuple[str, ...]], *, frozen_dropout: str = "keep") -> Search:
    """Greedy layer-wise top-down training, Algorithm 1 of Zhang et al. 2021 (arXiv:2102.04697).

    Train all n blocks jointly. For i = 1 ... n-1: freeze the top i blocks of the best model so far,
    re-initialise and retrain the bottom n-i; stop if the dev error grew, else go on from the new model.
    An equal error goes on. Each retraining draws new initial weights (see the seeds above).

    Args:
        joint: the joint training; its `init_seed` is the base seed.
        blocks: the ordered partition of the layer names, input first; a block is frozen as one.
        frozen_dropout: see `Node`.

    Raises:
        ValueError: if `joint` is no joint training, or there are fewer than two blocks or a name twice.
    """
    _check(joint, blocks)
    (best,) = yield [joint]
    steps = [Step("joint", joint.id, best.error, accepted=True)]
    for i in range(1, len(blocks)):
        top = tuple(name for block in blocks[-i:] for name in block)
        seed = derived_seed(joint.init_seed, "step", i)
        node = retrained(best, init_seed=seed, frozen=top, frozen_dropout=frozen_dropout)
        (outcome,) = yield [node]
        worse = outcome.error > best.error
        steps.append(Step(f"step {i}", node.id, outcome.error, accepted=not worse))
        if worse:
            break
        best = outcome
    return Result("greedy", joint.init_seed, tuple(steps), best.node.id)


def scratch(joint: Node, search: Search) -> Search:
    """Control with the same compute: as many trainings from scratch as `search` makes, the best on dev taken.

    `search` is followed, not run twice: its nodes are asked for again, and the i-th training from scratch
    is asked for together with its i-th retraining. The joint training, which `search` has too, is a
    candidate; an accepted step is one that beat all before it, so of equal ones the first is taken.
    """
    _check_joint(joint)
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
        told = yield followed + own
        outcomes = told[: len(followed)]
        for outcome in told[len(followed) :]:
            better = outcome.error < best.error
            best = outcome if better else best
            steps.append(Step(f"scratch {len(steps)}", outcome.node.id, outcome.error, accepted=better))


def freeze_lowest(joint: Node, blocks: Sequence[tuple[str, ...]], *, frozen_dropout: str = "keep") -> Search:
    """Control in the other direction: freeze the lowest block, re-initialise and retrain those above it.

    Raises:
        ValueError: as `greedy`.
    """
    _check(joint, blocks)
    seed = derived_seed(joint.init_seed, "freeze_lowest", 1)

    def node(outcome: Outcome) -> Node:
        return retrained(outcome, init_seed=seed, frozen=blocks[0], frozen_dropout=frozen_dropout)

    return (yield from _one_retraining("freeze_lowest", joint, node))


def keep(joint: Node) -> Search:
    """Control without freezing: train all layers on from the joint weights, with a new optimiser."""
    _check_joint(joint)
    seed = derived_seed(joint.init_seed, "keep", 1)

    def node(outcome: Outcome) -> Node:
        return retrained(outcome, init_seed=seed, start="keep")

    return (yield from _one_retraining("keep", joint, node))


def same_init(joint: Node, blocks: Sequence[tuple[str, ...]], *, frozen_dropout: str = "keep") -> Search:
    """Freeze the top block and retrain the rest from the very weights that the joint training began with.

    The first row of the paper's Table 4; step 1 of `greedy` is the same with other initial weights.

    Raises:
        ValueError: as `greedy`.
    """
    _check(joint, blocks)

    def node(outcome: Outcome) -> Node:
        seed = joint.init_seed
        return retrained(outcome, init_seed=seed, frozen=blocks[-1], frozen_dropout=frozen_dropout)

    return (yield from _one_retraining("same_init", joint, node))


def study(
    joints: Sequence[Node],
    blocks: Sequence[tuple[str, ...]],
    *,
    controls: Sequence[str] = ("scratch", "freeze_lowest", "keep"),
    frozen_dropout: str = "keep",
) -> list[Search]:
    """The greedy search and its controls for every joint training (one per base seed).

    All of them can run side by side: the seeds are independent, the controls of one retraining wait for the
    joint training only, and training i from scratch starts together with step i.

    Raises:
        ValueError: on an unknown control, a base seed that comes twice, or as `greedy`.
    """
    if unknown := [name for name in controls if name not in CONTROLS]:
        raise ValueError(f"no control is called {', '.join(unknown)}; there are {', '.join(CONTROLS)}")
    for joint in joints:
        _check(joint, blocks)
    seeds = [joint.init_seed for joint in joints]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"a seed is listed twice: {', '.join(map(str, seeds))}")

    def search(joint: Node) -> Search:
        return greedy(joint, blocks, frozen_dropout=frozen_dropout)

    searches = [search(joint) for joint in joints]
    make: dict[str, Callable[[Node], Search]] = {
        "scratch": lambda joint: scratch(joint, search(joint)),
        "freeze_lowest": lambda joint: freeze_lowest(joint, blocks, frozen_dropout=frozen_dropout),
        "keep": keep,
        "same_init": lambda joint: same_init(joint, blocks, frozen_dropout=frozen_dropout),
    }
    return searches + [make[name](joint) for joint in joints for name in controls]


def retrained(
    parent: Outcome,
    *,
    init_seed: int,
    frozen: tuple[str, ...] = (),
    start: str = "reinit",
    frozen_dropout: str = "keep",
) -> Node:
    """The node that goes on from the best epoch of `parent`, on the same data with the same patience."""
    source = Parent(experiment=parent.node.experiment, node=parent.node.id, epoch=parent.best_epoch)
    return replace(
        parent.node,
        parent=source,
        frozen=frozen,
        start=start,
        init_seed=init_seed,
        frozen_dropout=frozen_dropout,
    )


def derived_seed(base: int, kind: str, i: int) -> int:
    """`init_seed` of the i-th training of a kind ("step", "scratch", "freeze_lowest", "keep"), i from 1.

    The head of this file says how the numbers are laid out.
    """
    if not 1 <= i < _PER_KIND:
        raise ValueError(f"a search can make at most {_PER_KIND - 1} trainings of one kind")
    return base + SEED_STRIDE * (_PER_KIND * _KINDS.index(kind) + i)


def _one_retraining(name: str, joint: Node, node_of: Callable[[Outcome], Node]) -> Search:
    (first,) = yield [joint]
    node = node_of(first)
    (second,) = yield [node]
    steps = (
        Step("joint", joint.id, first.error, accepted=True),
        Step(name, node.id, second.error, accepted=True),
    )
    return Result(name, joint.init_seed, steps, node.id)


def _check(joint: Node, blocks: Sequence[tuple[str, ...]]) -> None:
    _check_joint(joint)
    names = [name for block in blocks for name in block]
    if len(blocks) < 2 or not all(blocks):
        raise ValueError(f"a top-down search needs at least two blocks of layers, got {list(blocks)}")
    if len(set(names)) < len(names):
        raise ValueError(f"a layer is in two blocks: {list(blocks)}")


def _check_joint(joint: Node) -> None:
    if joint.parent is not None:
        raise ValueError(f"node {joint.id}: a search starts from a joint training, this one has a parent")
    if not 0 <= joint.init_seed < SEED_STRIDE:
        raise ValueError(f"the seed must be from 0 to {SEED_STRIDE - 1}, got {joint.init_seed}")
