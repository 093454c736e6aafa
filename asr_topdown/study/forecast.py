"""Forecast what a study will train: the known nodes, how many may follow, and how long it may take."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import LOSS, LOWEST_LOSS_EPOCH, Node, Outcome
from asr_topdown.schedule.protocol import Request, Search, advance, with_any_epochs

Answer = Callable[[Node], Outcome | None]


@dataclass(frozen=True)
class Forecast:
    """The forecast.

    Attributes:
        finished: the finished nodes, in the order in which the searches request them.
        stale: trained nodes whose dev set has to be decoded again, since `decode:` has changed.
        ready: the nodes that they request now.
        least: minimum number of trainings that will follow.
        most: maximum number.
        seconds: of training, for `ready` and what follows: minimum and maximum; None if no training is
            finished from which to estimate.
        seconds_per_epoch: used in the estimate.
    """

    finished: tuple[Outcome, ...]
    stale: tuple[Outcome, ...]
    ready: tuple[Node, ...]
    least: int
    most: int
    seconds: tuple[float, float] | None
    seconds_per_epoch: float | None


def forecast(
    searches: Callable[[], Sequence[Search]],
    store: Store,
    *,
    seconds_per_epoch: float | None = None,
    workers: float = 1,
    continued_to: int = 0,
) -> Forecast:
    """Simulate the searches without training anything.

    They are simulated with the finished nodes only, and to their end as if every training were worse, and as
    if every training were better, than all before it. A training that may stop early is assumed to run for
    the mean number of epochs of those that are finished, or for the node's maximum if none is, at the same
    cost per epoch.

    Args:
        searches: creates the study's searches afresh.
        store: where finished nodes are.
        seconds_per_epoch: replaces that of the finished nodes.
        workers: trainings at the same time, of those that do not follow each other; infinity = no limit.
        continued_to: a finished training may be given more epochs, up to this number (`train.epochs`, if
            `schedule.continues`); 0 = none may. How many trainings follow is then an estimate.

    Raises:
        ValueError: as `Store.outcome` and the searches.
    """
    known = _play(searches(), store.answer)
    finished = [outcome for outcome in known.values() if outcome is not None]
    asked = {node: store.outcome(node) for node, answer in known.items() if answer is None}
    stale = [outcome for outcome in asked.values() if outcome is not None]
    ready = [node for node, outcome in asked.items() if outcome is None]
    trained = [*finished, *stale]
    stopping = [one.epochs for one in trained if one.node.patience]
    usual = statistics.fmean(stopping) if stopping else None
    counts, clocks = [], []
    for sign in (1, -1):
        end = _play(searches(), _pretending(store, sign), invented=True)
        counts.append(len(end.keys() - known.keys()))
        clocks.append(_Clock(store, usual, continued_to))
        _play(searches(), _pretending(store, sign, usual), clocks[-1].note, invented=True)
    if seconds_per_epoch is None and trained:
        seconds_per_epoch = sum(one.seconds for one in trained) / sum(one.epochs for one in trained)
    seconds = None
    if seconds_per_epoch is not None:
        epochs = [max(clock.total / workers, clock.longest) for clock in clocks]
        seconds = (min(epochs) * seconds_per_epoch, max(epochs) * seconds_per_epoch)
    return Forecast(
        tuple(finished), tuple(stale), tuple(ready), min(counts), max(counts), seconds, seconds_per_epoch
    )


def _play(
    searches: Sequence[Search],
    answer: Answer,
    note: Callable[[int, Request], None] = lambda *_: None,
    *,
    invented: bool = False,
) -> dict[Node, Outcome | None]:
    """Every node that the searches request -> its outcome, in order, as far as there are answers.

    Each request is passed to `note` with the number of its search. A search that cannot go on from an
    `invented` outcome ends there: what is found may be another.
    """
    known: dict[Node, Outcome | None] = {}
    for number, search in enumerate(searches):
        said = advance(search)
        while isinstance(said, Request):
            note(number, said)
            for node in said.nodes:
                if node not in known:
                    known[node] = answer(node)
            answers = [known[node] for node in said.nodes]
            # A search that takes its nodes' outcomes one by one gets all that are known.
            if None in answers and not (said.any and any(answers)):
                search.close()
                break
            try:
                said = advance(search, answers)
            except ValueError:
                if not invented:
                    raise
                break
    return known


def _pretending(store: Store, sign: int, usual: float | None = None) -> Answer:
    """The outcome of a finished node; any other is worse (sign 1) or better (-1) than its parent.

    Of several that are better, the one wins that leaves most to do: with the fewest frozen layers. It has
    the `usual` number of epochs; without one, for a search that counts epochs, the fewest, or all.
    """
    depths: dict[str, int] = {}

    def answer(node: Node) -> Outcome:
        """The outcome on disk, or else a pretended one."""
        depth = depths.get(node.parent.node, 0) + 1 if node.parent else 0
        depths[node.id] = depth
        epochs = round(_expected(node, usual))
        if usual is None and sign > 0 and node.patience:
            epochs = min(node.epochs, node.patience + 1)
        true = store.outcome(node)
        error = sign * 1e9 * (depth + 1) + len(node.frozen)  # far beyond any that was measured
        return true or Outcome(
            node=node,
            error=error,
            best_epoch=1,
            epochs=epochs,
            seconds=0.0,
            metrics={LOSS: error, LOWEST_LOSS_EPOCH: 1},
        )

    return answer


def _expected(node: Node, usual: float | None) -> float:
    """How many epochs a training is expected to run: without patience, all of them."""
    return node.epochs if usual is None or not node.patience else min(node.epochs, usual)


class _Clock:
    """How many epochs are trained, and after how many each training ends if there are always workers.

    Args:
        store: where finished nodes are, which take no time.
        usual: expected epochs of a training that may stop early; None = its maximum.
        continued_to: nodes that differ only in a budget up to this are one continued training.
    """

    def __init__(self, store: Store, usual: float | None, continued_to: int) -> None:
        self._store = store
        self._usual = usual
        self._continued_to = continued_to
        self._now: dict[int, float] = {}
        self._ends: dict[str, float] = {}
        self._finished: dict[Node, int] = {}  # epochs on disk
        self._trained: dict[Node, tuple[float, float]] = {}  # epochs so far, with those, and their end

    def note(self, number: int, said: Request) -> None:
        """Hear what search `number` requests after all that it requested before."""
        for node in said.nodes:
            if node.id not in self._ends:
                self._ends[node.id] = self._end(node, self._now.get(number, 0.0))
        # A search that takes its outcomes one by one waits for a node's parent only.
        if not said.any:
            self._now[number] = max(self._ends[node.id] for node in said.nodes)

    def _end(self, node: Node, now: float) -> float:
        parent = self._ends.get(node.parent.node, 0.0) if node.parent else 0.0
        same = with_any_epochs(node) if node.epochs <= self._continued_to else node
        if (outcome := self._store.outcome(node)) is not None:
            self._finished[same] = max(outcome.epochs, self._finished.get(same, 0))
            return max(now, parent)
        before, end = self._trained.get(same, (self._finished.get(same, 0), 0.0))
        expected = max(before, _expected(node, self._usual))
        end = max(now, parent, end) + expected - before
        self._trained[same] = expected, end
        return end

    @property
    def total(self) -> float:
        """Epochs of all trainings, without those that are finished."""
        return sum(epochs - self._finished.get(same, 0) for same, (epochs, _) in self._trained.items())

    @property
    def longest(self) -> float:
        """Epochs of trainings that follow each other."""
        return max((end for _, end in self._trained.values()), default=0.0)
