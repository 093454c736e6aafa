"""Section 3 of the paper: classifiers of different age and training data, and new extractors for each.

The classifier is the top blocks, the extractor all below. A classifier is frozen, and an extractor trained
from new weights for it, on data that the classifier has not seen. In all of a seed's repeats R the extractor
starts from the same weights, so that classifiers are compared like with like.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import (
    Blocks,
    Result,
    Search,
    Soonest,
    Step,
    best_of,
    check_blocks,
    check_joint,
    retrained,
    retraining_seed,
    top,
)


@dataclass(frozen=True)
class Subset:
    """A part of the training data, and the joint training on it.

    Attributes:
        name: of its data directory.
        utterances: how many it has.
        percent: its share of all, of which the extractors' data are the rest.
        joint: the training.
    """

    name: str
    utterances: int
    percent: float
    joint: Node


def epoch_scan(
    joint: Node,
    blocks: Blocks,
    onto: Node,
    *,
    classifier: int = 1,
    every: int = 1,
    repeats: int = 1,
    frozen_dropout: str = "keep",
) -> Search:
    """Figure 2 of the paper: freeze the classifier of each epoch p of the joint training, train an extractor.

    The weights of every epoch must have been kept.

    Args:
        joint: the joint training; its `init_seed` is the base seed.
        blocks: see `greedy`.
        onto: the joint training on the extractors' data: its data, epochs and patience are theirs.
        classifier: how many blocks, from the top.
        every: only epochs `every`, 2 x `every`, ...
        repeats: extractors for each classifier.
        frozen_dropout: see `Node`.

    Raises:
        ValueError: as `greedy`, or if the classifier is the whole network.
    """
    _check(joint, blocks, classifier)
    (first,) = yield [joint]
    points = [(p, repeat) for p in range(every, first.epochs + 1, every) for repeat in range(1, repeats + 1)]
    nodes = [
        _extractor(first, onto, top(blocks, classifier), repeat, frozen_dropout, epoch=p)
        for p, repeat in points
    ]
    outcomes = yield nodes
    steps = [
        Step(f"p {p}", node.id, outcome.error, accepted=False, point={"p": p, "repeat": repeat})
        for (p, repeat), node, outcome in zip(points, nodes, outcomes, strict=True)
    ]
    return _result("epoch_scan", joint, [Step("joint", joint.id, first.error, accepted=True)], steps)


def subset_scan(
    subsets: Sequence[Subset],
    blocks: Blocks,
    onto: Node,
    *,
    classifier: int = 2,
    repeats: int = 5,
    frozen_dropout: str = "keep",
) -> Search:
    """Table 1 and Figure 1 of the paper: the classifier of each subset's joint training, and new extractors.

    Args:
        subsets: what the classifiers are trained on; their joint trainings have the base seed.
        blocks: see `greedy`.
        onto: see `epoch_scan`.
        classifier: see `epoch_scan`.
        repeats: extractors for each classifier.
        frozen_dropout: see `Node`.

    Raises:
        ValueError: as `epoch_scan`, or if there is no subset.
    """
    if not subsets:
        raise ValueError("subset_scan needs the data of at least one joint training")
    for subset in subsets:
        _check(subset.joint, blocks, classifier)
    joints: dict[str, Outcome] = {}
    found: dict[tuple[str, int], Outcome] = {}
    wanted: dict[tuple[str, int], Node] = {(subset.name, 0): subset.joint for subset in subsets}
    while wanted:
        told = yield Soonest(wanted.values())
        finished = {outcome.node.id: outcome for outcome in told}
        for (name, repeat), node in list(wanted.items()):
            if node.id not in finished:
                continue
            del wanted[name, repeat]
            if repeat:
                found[name, repeat] = finished[node.id]
                continue
            joints[name] = finished[node.id]
            for number in range(1, repeats + 1):
                frozen = top(blocks, classifier)
                wanted[name, number] = _extractor(joints[name], onto, frozen, number, frozen_dropout)
    first, steps = [], []
    for subset in subsets:
        where = {"subset": subset.name, "utterances": subset.utterances, "percent": subset.percent}
        role, outcome = f"joint {subset.name}", joints[subset.name]
        first.append(Step(role, outcome.node.id, outcome.error, accepted=True, point=where))
        for repeat in range(1, repeats + 1):
            role, outcome = f"{subset.name} repeat {repeat}", found[subset.name, repeat]
            point = {**where, "repeat": repeat}
            steps.append(Step(role, outcome.node.id, outcome.error, accepted=False, point=point))
    return _result("subset_scan", subsets[0].joint, first, steps)


def _extractor(
    parent: Outcome, onto: Node, frozen: tuple[str, ...], repeat: int, frozen_dropout: str, epoch: int = 0
) -> Node:
    return retrained(
        parent,
        init_seed=retraining_seed(parent.node.init_seed, repeat),
        frozen=frozen,
        frozen_dropout=frozen_dropout,
        epoch=epoch,
        like=onto,
    )


def _result(name: str, joint: Node, first: list[Step], steps: list[Step]) -> Result:
    """The end of a scan is its best training, which alone is accepted besides the joint ones."""
    final = best_of(steps)
    told = [Step(one.role, one.node, one.error, one is final, one.point) for one in steps]
    return Result(name, joint.init_seed, (*first, *told), final.node)


def _check(joint: Node, blocks: Blocks, classifier: int) -> None:
    check_blocks(joint, blocks)
    check_joint(joint)
    if not 1 <= classifier < len(blocks):
        raise ValueError(
            f"a classifier can be 1 to {len(blocks) - 1} blocks of {len(blocks)}, not {classifier}"
        )
