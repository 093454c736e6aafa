"""How a search talks: it asks for nodes, is told their outcomes, and ends with a result.

A search is a generator of `Request`s. It never trains, reads or writes, so its state need not be saved: a
search that is started again asks for the same nodes, and finished ones answer from disk. Several searches run
side by side, each waiting for its own nodes only, and whatever two of them ask for is trained once.

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
    """Nodes that a search wants to be trained.

    Attributes:
        nodes: the nodes.
        any: whether the search wants to hear as soon as one of them is finished. It is told of all that are
            by then, and asks again for those that it still wants; its result must not depend on which comes
            first.
    """

    nodes: tuple[Node, ...]
    any: bool = False


class Point(Protocol):
    """What a search says of one of its trainings: a frozen dataclass of plain values."""

    def text(self) -> str:
        """The training in a few words, for a table's row; "" = the search's label says it all."""
        ...


@dataclass(frozen=True)
class Step:
    """One training of a search.

    Attributes:
        node: the node's id.
        error: its dev error, by the study's criterion.
        accepted: whether it became the model that the search went on with.
        point: where in its search's space the training lies; None = it is the joint training that all starts
            from.
    """

    node: str
    error: float
    accepted: bool
    point: Point | None = None

    @classmethod
    def of(cls, outcome: Outcome, point: Point | None = None, *, accepted: bool = True) -> "Step":
        """The step that `outcome` came of."""
        return cls(outcome.node.id, outcome.error, accepted, point)


@dataclass(frozen=True)
class Result:
    """What a search did.

    Attributes:
        search: its name: "greedy", "exhaustive", ...; or a control's, "scratch", "keep", ...
        seed: the base seed.
        steps: every training in the order in which it was asked for, the joint one first.
        final: id of the node that the search ended with.
        criterion: what the errors of the steps are: "error" (decoded) or "loss".
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
    """What comes of training `node`."""
    (outcome,) = yield from train_all([node])
    return outcome


def train_all(nodes: Iterable[Node]) -> Generator[Request, Answers, list[Outcome]]:
    """What comes of training all `nodes`, in their order."""
    answers = yield Request(tuple(nodes))
    outcomes = [outcome for outcome in answers if outcome is not None]
    assert len(outcomes) == len(answers)
    return outcomes


def train_any(wanted: Mapping[Key, Node]) -> Generator[Request, Answers, dict[Key, Outcome]]:
    """What came of those that are finished, as soon as one is; ask again for the others."""
    answers = yield Request(tuple(wanted.values()), any=True)
    return {key: outcome for key, outcome in zip(wanted, answers, strict=True) if outcome is not None}


def advance(search: Search, answers: Answers | None = None) -> Request | Result:
    """Start `search`, or tell it the answers to its request: its next request, or its result."""
    try:
        return next(search) if answers is None else search.send(answers)
    except StopIteration as stop:
        result: Result = stop.value
        return result


def adapted(search: Search, *, frozen_dropout: str, criterion: str) -> Search:
    """`search`, which need not know of either.

    Args:
        search: the search.
        frozen_dropout: of every node that it asks for, see `Node`.
        criterion: what it is told as an outcome's error: "error", which is the outcome's own, or "loss".
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
    """The node that goes on from an epoch of `parent`, the best if none is given.

    Args:
        parent: what the frozen and the kept layers come from.
        init_seed: of the new weights.
        frozen: layers that are not trained.
        start: of the other layers, see `Node`.
        fresh: see `Node`.
        epoch: of the parent; 0 = its best.
        like: where configuration, data, epochs and patience come from; None = from the parent.
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


def best_of(steps: Sequence[Step]) -> Step:
    """The step with the smallest error, of equal ones the first."""
    return min(steps, key=lambda step: step.error)


def only_best_accepted(steps: Sequence[Step]) -> list[Step]:
    """The steps of a search that goes on with nothing but takes the best in the end."""
    best = best_of(steps)
    return [replace(step, accepted=step is best) for step in steps]
