"""The protocol of a search: it requests nodes, receives their outcomes, and ends with a result.

A search is a generator of `Request`s. It never trains, reads or writes, so its state need not be saved: a
restarted search requests the same nodes, and finished ones are read from disk. Several searches run
in parallel, each waiting only for its own nodes, and nodes that two of them request are trained once.

A search is written with `train_one`, `train_all` and `train_any`:

    joint = yield from train_one(study.joint)
    second = yield from train_one(retrained(joint, init_seed=…, frozen=…))
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from asr_topdown.schedule.node import Node, Outcome, Parent
from asr_topdown.schedule.tuning import PLAIN


@dataclass(frozen=True)
class Request:
    """Nodes that a search wants trained.

    Attributes:
        nodes: the nodes.
        any: whether the search wants an answer as soon as one of them is finished. It receives all finished
            by then, and requests those that it still wants again; its result must not depend on which comes
            first.
    """

    nodes: tuple[Node, ...]
    any: bool = False


class Point(Protocol):
    """A search's record of one of its trainings: a frozen dataclass of plain values."""

    def text(self) -> str:
        """A short description of the training for a table's row; "" = the search's label suffices."""
        ...


@dataclass(frozen=True)
class Step:
    """One training of a search.

    Attributes:
        node: the node's id.
        error: its dev error, by the study's criterion.
        accepted: whether it became the model with which the search continued.
        point: the training's place in the search space; None = the joint training, from which everything
            starts.
    """

    node: str
    error: float
    accepted: bool
    point: Point | None = None

    @classmethod
    def of(cls, outcome: Outcome, point: Point | None = None, *, accepted: bool = True) -> "Step":
        """The step of `outcome`."""
        return cls(outcome.node.id, outcome.error, accepted, point)


@dataclass(frozen=True)
class Result:
    """The result of a search.

    Attributes:
        search: its name: "greedy", "exhaustive", ...; or a control's, "scratch", "keep", ...
        seed: the base seed.
        steps: every training in the order of requests, the joint one first.
        final: id of the node with which the search ended.
        criterion: the kind of the steps' errors: "error" (decoded) or "loss".
    """

    search: str
    seed: int
    steps: tuple[Step, ...]
    final: str
    criterion: str = "error"


# What is sent for a request: an outcome for each node, None for those that are not finished yet.
Answers = Sequence[Outcome | None]
Search = Generator[Request, Answers, Result]

Key = TypeVar("Key")


def train_one(node: Node) -> Generator[Request, Answers, Outcome]:
    """Request `node` and return its outcome."""
    (outcome,) = yield from train_all([node])
    return outcome


def train_all(nodes: Iterable[Node]) -> Generator[Request, Answers, list[Outcome]]:
    """Request all `nodes` and return their outcomes, in order."""
    answers = yield Request(tuple(nodes))
    outcomes = [outcome for outcome in answers if outcome is not None]
    assert len(outcomes) == len(answers)
    return outcomes


def train_any(wanted: Mapping[Key, Node]) -> Generator[Request, Answers, dict[Key, Outcome]]:
    """Return the outcomes of the finished nodes, as soon as there is one; request the others again."""
    answers = yield Request(tuple(wanted.values()), any=True)
    return {key: outcome for key, outcome in zip(wanted, answers, strict=True) if outcome is not None}


def advance(search: Search, answers: Answers | None = None) -> Request | Result:
    """Start `search`, or send it the answers to its request; return its next request, or its result."""
    try:
        return next(search) if answers is None else search.send(answers)
    except StopIteration as stop:
        result: Result = stop.value
        return result


def adapted(search: Search, *, frozen_dropout: str, criterion: str) -> Search:
    """Wrap `search`, which need not know of these settings.

    Args:
        search: the search.
        frozen_dropout: of every node that it requests, see `Node`.
        criterion: what it receives as an outcome's error: "error", the outcome's own, or "loss".
    """
    stamped: dict[Node, Node] = {}  # a search may ask for hundreds of nodes again and again
    said = advance(search)
    while isinstance(said, Request):
        for node in said.nodes:
            if node not in stamped:
                stamped[node] = replace(node, frozen_dropout=frozen_dropout)
        answers = yield Request(tuple(stamped[node] for node in said.nodes), said.any)
        said = advance(search, [outcome and outcome.judged_by(criterion) for outcome in answers])
    return replace(said, criterion=criterion)


def retrained(
    parent: Outcome,
    *,
    init_seed: int,
    frozen: tuple[str, ...] = (),
    start: str = "reinit",
    fresh: tuple[str, ...] = (),
    epoch: int = 0,
    like: Node | None = None,
    weights: str | None = None,
) -> Node:
    """The node that continues from an epoch of `parent`, by default the best.

    Args:
        parent: source of the frozen and the kept layers.
        init_seed: of the new weights.
        frozen: layers that are not trained.
        start: of the other layers, see `Node`.
        fresh: see `Node`.
        epoch: of the parent; 0 = its best.
        like: source of configuration, data, epochs and patience; None = the parent.
        weights: of the parent, if it is a given model, see `Parent`.
    """
    source = Parent(
        experiment=parent.node.experiment,
        node=parent.node.id,
        epoch=epoch or parent.best_epoch,
        weights=weights,
    )
    return replace(
        like or parent.node,
        parent=source,
        frozen=frozen,
        start=start,
        init_seed=init_seed,
        fresh=fresh,
        lora=0,
        tuning=PLAIN,
    )


def with_any_epochs(node: Node) -> Node:
    """What nodes have in common that differ in the number of epochs only: with more, one training goes on."""
    return replace(node, epochs=1)


def longest(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Without those trainings that were later given more epochs: of equal nodes the longest."""
    found: dict[Node, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda one: one.epochs):
        found[with_any_epochs(outcome.node)] = outcome
    return list(found.values())


def best_step(steps: Sequence[Step]) -> Step:
    """The step with the lowest error, of equal ones the first."""
    return min(steps, key=lambda step: step.error)


def only_best_accepted(steps: Sequence[Step]) -> list[Step]:
    """The steps of a search that continues from none of them and takes the best at the end."""
    best = best_step(steps)
    return [replace(step, accepted=step is best) for step in steps]
