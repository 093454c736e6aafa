"""Which layers carry over: to the same task, to another network, to another corpus."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import (
    Blocks,
    Result,
    Search,
    Step,
    best_of,
    bottom,
    check_blocks,
    retrained,
    retraining_seed,
    top,
)


def transplant(
    joint: Node, blocks: Blocks, source: Outcome, *, name: str, frozen_dropout: str = "keep"
) -> Search:
    """Freeze the top block (the classifier) of another experiment's network, train the blocks below it.

    The paper's Table 2, "softmax layers frozen from B": `source` may be of another architecture, as long as
    its top layers have the names and shapes of these. The initial weights of what is trained are those of
    the greedy search's step 1, which freezes this experiment's own classifier.

    Args:
        joint: this experiment's joint training, the one to compare with.
        blocks: see `greedy`.
        source: what came of the other experiment's training.
        name: what the other experiment is called in the results.
        frozen_dropout: see `Node`.

    Raises:
        ValueError: as `greedy`.
    """
    check_blocks(joint, blocks)
    node = retrained(
        source,
        init_seed=retraining_seed(joint.init_seed),
        frozen=blocks[-1],
        frozen_dropout=frozen_dropout,
        like=joint,
    )
    first, second = yield [joint, node]
    point = {"source": name, "source_node": source.node.id}
    steps = (
        Step("joint", joint.id, first.error, accepted=True),
        Step("transplant", node.id, second.error, accepted=True, point=point),
    )
    return Result("transplant", joint.init_seed, steps, node.id)


def depth_sweep(
    joint: Node,
    blocks: Blocks,
    *,
    starts: Sequence[str] = ("reinit", "keep"),
    source: Outcome | None = None,
    name: str = "",
    fresh: tuple[str, ...] = (),
    lora: int = 0,
    frozen_dropout: str = "keep",
) -> Search:
    """Freeze the bottom k blocks and retrain or fine-tune those above, for every k; and the top k likewise.

    Without `source` the frozen layers are the joint training's own (how much of a network must be learnt
    again?). With it they come from a network of another corpus, and the layers of `fresh`, whose units are
    other ones there, are always new; the tops, which have them, are then not frozen. Freezing all blocks
    under the top one is the linear probe; freezing nothing (k = 0) is fine-tuning all layers.

    Args:
        joint: this experiment's joint training, the one to compare with.
        blocks: see `greedy`.
        starts: of the layers that are not frozen, "reinit", "keep" or "rewind:p", one arm of the sweep each.
        source: what came of the other training.
        name: what the other experiment is called in the results.
        fresh: layers that are never taken from `source`.
        lora: besides, train adapters of this rank in all layers but `fresh`, which are frozen; 0 = do not.
        frozen_dropout: see `Node`.

    Returns:
        Only the best training is accepted.

    Raises:
        ValueError: as `greedy`.
    """
    check_blocks(joint, blocks)
    if source is None:
        (first,) = yield [joint]
        arms = list(_arms(blocks, starts, fresh, lora))
        outcomes = yield [_arm_node(joint, first, arm, frozen_dropout) for arm in arms]
    else:
        arms = list(_arms(blocks, starts, fresh, lora))
        first, *outcomes = yield [joint, *(_arm_node(joint, source, arm, frozen_dropout) for arm in arms)]
    steps = []
    for arm, outcome in zip(arms, outcomes, strict=True):
        role = f"{arm.side} {arm.count} {arm.name}"
        point = {"side": arm.side, "frozen": arm.count, "start": arm.name, "source": name}
        steps.append(Step(role, outcome.node.id, outcome.error, accepted=False, point=point))
    final = best_of(steps)
    steps = [replace(step, accepted=step is final) for step in steps]
    joint_step = Step("joint", joint.id, first.error, accepted=True)
    return Result("depth_sweep", joint.init_seed, (joint_step, *steps), final.node)


@dataclass(frozen=True)
class _Arm:
    """One training of a sweep: `count` blocks of a `side` frozen."""

    side: str
    count: int
    name: str
    start: str
    frozen: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    lora: int = 0


def _arms(blocks: Blocks, starts: Sequence[str], fresh: tuple[str, ...], lora: int) -> Iterator[_Arm]:
    names = bottom(blocks, len(blocks))
    for start in starts:
        for count in range(1, len(blocks)):
            if frozen := tuple(name for name in bottom(blocks, count) if name not in fresh):
                yield _arm("bottom", count, start, names, frozen, fresh)
        for count in range(1, len(blocks)):
            if not fresh:
                yield _arm("top", count, start, names, top(blocks, count), ())
    yield _arm("none", 0, "keep", names, (), fresh)
    if lora:
        frozen = tuple(name for name in names if name not in fresh)
        where = replace(_arm("bottom", len(blocks), "keep", names, frozen, fresh), name="lora", lora=lora)
        yield where


def _arm(
    side: str, count: int, start: str, names: tuple[str, ...], frozen: tuple[str, ...], fresh: tuple[str, ...]
) -> _Arm:
    """Where all that is not frozen is new anyway, every start is "reinit", and so the same node."""
    if start == "reinit" or set(names) <= {*frozen, *fresh}:
        return _Arm(side, count, start, "reinit", frozen)
    return _Arm(side, count, start, start, frozen, fresh)


def _arm_node(joint: Node, source: Outcome, arm: _Arm, frozen_dropout: str) -> Node:
    node = retrained(
        source,
        init_seed=retraining_seed(joint.init_seed),
        frozen=arm.frozen,
        start=arm.start,
        frozen_dropout=frozen_dropout,
        fresh=arm.fresh,
        like=joint,
    )
    return replace(node, lora=arm.lora)
