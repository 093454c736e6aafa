"""Run searches in parallel: pass their nodes to an engine, and each search its outcomes."""

import functools
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Protocol

from asr_topdown.engines.job import Engine, Job, JobError, last_lines, say
from asr_topdown.files import explain
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Answers, Request, Result, Search, Step, advance, train_one

_HEARTBEAT_SECONDS = 30.0

Run = Callable[[Node], Outcome]


class Submit(Protocol):
    """Takes a node, submits its training, and returns a future of its outcome."""

    def __call__(self, node: Node) -> "Future[Outcome]": ...


class NodeError(ChildProcessError):
    """The training of a node failed; the message names the node and says why."""

    def __init__(self, node: Node, problem: str) -> None:
        super().__init__(f"node {node.id} ({node.describe()}): {problem}")


class SearchError(ChildProcessError):
    """Some searches could not finish, because one of their nodes failed or because of its outcome.

    Attributes:
        results: of the searches that finished.
    """

    def __init__(self, message: str, results: list[Result]) -> None:
        super().__init__(message)
        self.results = results


def drive(searches: Sequence[Search], submit: Submit, *, store: Store | None = None) -> list[Result]:
    """Run the searches, each blocked only by its own nodes, and return their results in order.

    A node that several searches request is run once. The results do not depend on the order in which nodes
    finish. Each finished node logs a line to stderr, and from time to time so do the running ones.

    Args:
        searches: the searches.
        submit: the engine.
        store: from which finished nodes are read without calling `submit`, and where the logs are.

    Raises:
        SearchError: at the end, naming each failed node, or saying why a search cannot go on from its
            outcomes; the other searches have finished.
        ValueError: raised by a search before its first request.
    """
    driver = _Driver(searches, submit, store)
    driver.run()
    results = [driver.results[index] for index in sorted(driver.results)]
    if driver.failed:
        lines = dict.fromkeys(str(driver.failed[index]) for index in sorted(driver.failed))
        count = f"{len(driver.failed)} of {len(searches)} searches could not finish"
        raise SearchError("\n".join([f"{count}; all finished nodes are kept", *lines]), results)
    return results


def drive_one(node: Node, submit: Submit, *, store: Store | None = None) -> Outcome:
    """Train a single node, or read it from disk, and report progress.

    Raises:
        SearchError: naming the node, if it failed.
    """
    outcomes: list[Outcome] = []

    def search() -> Search:
        outcomes.append((yield from train_one(node)))
        return Result("joint", node.init_seed, (Step.of(outcomes[0]),), node.id)

    drive([search()], submit, store=store)
    return outcomes[0]


def submitter(engine: Engine, run: Run, *, store: Store | None = None) -> Submit:
    """The `submit` of `drive` that trains the nodes on `engine`.

    Args:
        engine: where to train.
        run: trains a node; picklable (a module's function, or a partial of one).
        store: gives each node the folder of its job, with its log.
    """

    def submit(node: Node) -> "Future[Outcome]":
        name = f"node {node.id} ({node.describe()})"
        return engine.submit(Job(name, functools.partial(run, node), store.node_dir(node) if store else None))

    return submit


class _Driver:
    """The loop behind `drive`."""

    def __init__(self, searches: Sequence[Search], submit: Submit, store: Store | None) -> None:
        self.searches = searches
        self.submit = submit
        self.store = store
        self.results: dict[int, Result] = {}
        self.failed: dict[int, NodeError | ValueError] = {}
        self._wanted: dict[int, Request] = {}
        # The same by node, and what is still to come, so that an answer costs nothing but itself.
        self._missing: dict[int, set[str]] = {}
        self._waiting: dict[str, list[int]] = {}
        self._to_tell: dict[int, None] = {}  # searches, in order, that have something to hear
        self._answers: dict[str, Outcome | NodeError] = {}
        self._running: dict[Future[Outcome], Node] = {}
        self._backlog: deque[Node] = deque()
        self._known: set[str] = set()
        self._shown: dict[str, str] = {}

    def run(self) -> None:
        """Drive all searches to their end, or until one of their nodes fails."""
        for index in range(len(self.searches)):
            self._advance(index)
        while self._backlog or self._running:
            self._start_all()
            done, _ = wait(self._running, _HEARTBEAT_SECONDS, FIRST_COMPLETED)
            # In the order of submission, so that equal runs print and ask in an equal order.
            for future in [future for future in self._running if future in done]:
                self._settle(future)
            self._tell_all()
            if not done:
                self._show_running()
        assert not self._wanted

    def _start_all(self) -> None:
        """Start the requested nodes, and those that follow.

        Searches receive all answers from disk in one batch: sending them one by one to a search that requests
        thousands again each time would take quadratic time.
        """
        while self._backlog:
            while self._backlog:
                self._start(self._backlog.popleft())
            self._tell_all()

    def _tell_all(self) -> None:
        while self._to_tell:
            index = next(iter(self._to_tell))
            del self._to_tell[index]
            if index in self._wanted:
                self._tell(index)

    def _advance(self, index: int, answers: Answers | None = None) -> None:
        """Send search `index` its outcomes; queue the nodes that it requests next."""
        try:
            said = advance(self.searches[index], answers)
        except ValueError as error:
            if answers is None:
                raise  # before it has trained anything
            self.failed[index] = error
            return
        if isinstance(said, Result):
            self.results[index] = said
            return
        self._wanted[index] = said
        for node in said.nodes:
            if node.id not in self._known:
                self._known.add(node.id)
                self._backlog.append(node)
        self._missing[index] = {node.id for node in said.nodes if node.id not in self._answers}
        for key in self._missing[index]:
            self._waiting.setdefault(key, []).append(index)
        self._tell(index)

    def _tell(self, index: int) -> None:
        """Advance search `index` if the nodes it waits for are finished; end it if one failed."""
        request = self._wanted[index]
        answers = [self._answers.get(node.id) for node in request.nodes]
        outcomes = [answer if isinstance(answer, Outcome) else None for answer in answers]
        failure = next((answer for answer in answers if isinstance(answer, NodeError)), None)
        if failure is not None:
            del self._wanted[index], self._missing[index]
            self.failed[index] = failure
            self.searches[index].close()
        elif any(outcomes) if request.any else None not in outcomes:
            del self._wanted[index], self._missing[index]
            self._advance(index, outcomes)

    def _start(self, node: Node) -> None:
        try:
            outcome = self.store.answer(node) if self.store else None
        except (ValueError, OSError) as error:
            self._answer(node, NodeError(node, explain(error)))
            return
        if outcome is not None:
            self._answer(node, outcome, how="from disk")
            return
        future = self.submit(node)
        self._running[future] = node
        if future.done():
            self._settle(future)

    def _settle(self, future: "Future[Outcome]") -> None:
        node = self._running.pop(future)
        error = future.exception()
        if error is None:
            self._answer(node, future.result())
        elif isinstance(error, JobError):
            self._answer(node, NodeError(node, error.problem))
        else:
            self._answer(node, NodeError(node, f"{type(error).__name__}: {error}"))

    def _answer(self, node: Node, answer: Outcome | NodeError, how: str = "") -> None:
        self._answers[node.id] = answer
        count = f"[{len(self._answers)} of {len(self._known)} known]"
        if isinstance(answer, Outcome):
            end = how or f"{answer.seconds:.0f} s"
            epochs = f"best epoch {answer.best_epoch} of {answer.epochs}"
            say(f"{count} {node.id} {node.describe()}: dev error {answer.error:.4f}, {epochs}, {end}")
        else:
            say(f"{count} failed: {answer}")
        for index in self._waiting.pop(node.id, ()):
            missing = self._missing.get(index, set())
            if node.id not in missing:  # of an earlier request, which did not wait for it
                continue
            missing.remove(node.id)
            if not missing or self._wanted[index].any or isinstance(answer, NodeError):
                self._to_tell[index] = None

    def _show_running(self) -> None:
        """The last log line of each running node that has a new one."""
        if self.store is None:
            return
        for node in self._running.values():
            line = last_lines(self.store.log(node), 1)
            if line and self._shown.get(node.id) != line:
                self._shown[node.id] = line
                say(f"{node.id} {line}")
