"""What searches are made of: nodes asked for, steps, results, seeds, and the node that goes on from another.

Seeds. The base seed s of a study (0 <= s < 1 000 000) is the joint training's `init_seed`. Every other
training of that seed takes s + 1 000 000 k, with k = 500 j + i for the i-th training (1 <= i <= 499) of kind
j in `KINDS`: k = i for the i-th retraining after the joint training, whatever search asks for it; 500 + i
for the i-th training from scratch, 1001 for freeze-the-lowest, 1501 for keep, and so on. A new kind goes to
the end of `KINDS`, so that the seeds of the others stay. The last six digits are thus the base seed, no two
base seeds share an `init_seed`, and k = 0 is the joint training's; only the control "same_init" takes that
again, on purpose.

Searches that retrain the joint model in several ways (another cut, another epoch, another classifier) give
the first retraining the same initial weights in all of them: they are compared like with like, and what two
searches have in common is trained once. Where a retraining is repeated, repeat 2, 3, ... have a kind of
their own.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from asr_topdown.schedule.node import Node, Outcome, Parent

SEED_STRIDE = 1_000_000
_PER_KIND = 500
KINDS = ("step", "scratch", "freeze_lowest", "keep", "repeat", "random_top", "bottom_up", "freeze_up")

Blocks = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Step:
    """One training of a search.

    Attributes:
        role: "joint", "step 1", "scratch 1", "freeze_lowest", "keep", ...
        node: the node's id.
        error: its dev error.
        accepted: whether it became the model that the search went on with.
        point: where in its search's space the training lies, as plain JSON values; `store` lists the keys.
    """

    role: str
    node: str
    error: float
    accepted: bool
    point: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What a search did.

    Attributes:
        search: its name: "greedy", "exhaustive", ...; or a control's, "scratch", "keep", ...
        seed: the base seed.
        steps: every training in the order in which it was asked for, the joint one first.
        final: id of the node that the search ended with.
    """

    search: str
    seed: int
    steps: tuple[Step, ...]
    final: str


class Soonest(list[Node]):
    """Nodes of which a search wants to hear as soon as one is finished.

    The search is sent the outcomes of those that are finished, in the order of the list, and asks again for
    what it still wants. A plain list is answered when all its nodes are finished. A search that uses this
    must not let its result depend on which comes first.
    """


Search = Generator[list[Node], list[Outcome], Result]


def retrained(
    parent: Outcome,
    *,
    init_seed: int,
    frozen: tuple[str, ...] = (),
    start: str = "reinit",
    frozen_dropout: str = "keep",
    fresh: tuple[str, ...] = (),
    epoch: int = 0,
    like: Node | None = None,
) -> Node:
    """The node that goes on from an epoch of `parent`, the best if none is given.

    Args:
        parent: what the frozen and the kept layers come from.
        init_seed: of the new weights.
        frozen: layers that are not trained.
        start: of the other layers, see `Node`.
        frozen_dropout: see `Node`.
        fresh: see `Node`.
        epoch: of the parent; 0 = its best.
        like: where configuration, data, epochs and patience come from; None = from the parent.
    """
    source = Parent(experiment=parent.node.experiment, node=parent.node.id, epoch=epoch or parent.best_epoch)
    return replace(
        like or parent.node,
        parent=source,
        frozen=frozen,
        start=start,
        init_seed=init_seed,
        frozen_dropout=frozen_dropout,
        fresh=fresh,
        lora=0,
    )


def derived_seed(base: int, kind: str, i: int) -> int:
    """`init_seed` of the i-th training of a kind, i from 1.

    The head of this file says how the numbers are laid out.
    """
    if not 1 <= i < _PER_KIND:
        raise ValueError(f"a search can make at most {_PER_KIND - 1} trainings of one kind")
    return base + SEED_STRIDE * (_PER_KIND * KINDS.index(kind) + i)


def retraining_seed(base: int, repeat: int = 1) -> int:
    """`init_seed` of the first retraining of a network, and of its repeats 2, 3, ... with other seeds."""
    return derived_seed(base, "step", 1) if repeat == 1 else derived_seed(base, "repeat", repeat - 1)


def top(blocks: Blocks, count: int) -> tuple[str, ...]:
    """The layers of the `count` blocks nearest the output."""
    return tuple(name for block in blocks[len(blocks) - count :] for name in block)


def bottom(blocks: Blocks, count: int) -> tuple[str, ...]:
    """The layers of the `count` blocks nearest the input."""
    return tuple(name for block in blocks[:count] for name in block)


def best_of(steps: Sequence[Step]) -> Step:
    """The step with the smallest error, of equal ones the first."""
    return min(steps, key=lambda step: step.error)


def check_blocks(joint: Node, blocks: Blocks) -> None:
    """Raise ValueError unless a top-down search can start from `joint` with these blocks."""
    check_joint(joint)
    names = [name for block in blocks for name in block]
    if len(blocks) < 2 or not all(blocks):
        raise ValueError(f"a top-down search needs at least two blocks of layers, got {list(blocks)}")
    if len(set(names)) < len(names):
        raise ValueError(f"a layer is in two blocks: {list(blocks)}")


def check_joint(joint: Node) -> None:
    """Raise ValueError unless `joint` is a joint training with a base seed."""
    if joint.parent is not None or joint.frozen:
        what = "frozen layers" if joint.frozen else "a parent"
        raise ValueError(f"node {joint.id}: a search starts from a joint training, this one has {what}")
    if not 0 <= joint.init_seed < SEED_STRIDE:
        raise ValueError(f"the seed must be from 0 to {SEED_STRIDE - 1}, got {joint.init_seed}")
