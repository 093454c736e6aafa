"""The exhaustive search of toy nodes: no worker idle, and each node read once in a replay."""

import os
import random
from concurrent.futures import Future

import pytest
from fake_runs import searches

from asr_topdown.files import read_json
from asr_topdown.runs import store as store_module
from asr_topdown.runs.store import Store
from asr_topdown.schedule.blocks import top
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import retrained
from asr_topdown.schedule.seeds import derived_seed
from asr_topdown.study import driver

BLOCKS = [(f"blstm.{i}",) for i in range(4)] + [("softmax",)]


def joint(seed=1):
    return Node(experiment="e", train_set="t", init_seed=seed, epochs=50, patience=5)


def toy_outcome(node, seconds=1.0):
    error = int(node.id[:6], 16) / 0xFFFFFF
    return Outcome(
        node=node, error=error, best_epoch=2, epochs=3, seconds=seconds, metrics={"dev_cer": error}
    )


class Clockwork:
    """An engine of `workers` in made-up time: `wait` lets the clock run until a training is over."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.now = 0.0
        self.queue: list[tuple[Future, Node]] = []
        self.running: list[tuple[float, Future, Node]] = []
        self.finished: list[Node] = []
        self.idle_while_ready = 0.0

    def submit(self, node: Node) -> "Future[Outcome]":
        future: Future[Outcome] = Future()
        self.queue.append((future, node))
        return future

    def wait(self, futures, timeout, return_when):
        while self.queue and len(self.running) < self.workers:
            future, node = self.queue.pop(0)
            self.running.append((self.now + random.Random(node.id).uniform(1, 10), future, node))
        self.running.sort(key=lambda run: run[0])
        end, future, node = self.running.pop(0)
        started = {one.id for one in self.finished} | {one.id for _, _, one in self.running} | {node.id}
        if len(self.running) + 1 < self.workers and self._ready() - started:
            self.idle_while_ready += end - self.now
        self.now = end
        self.finished.append(node)
        future.set_result(toy_outcome(node))
        return {future}, set(futures) - {future}

    def _ready(self) -> set[str]:
        """Every node of the search whose parent is finished, found without the search."""
        return {joint().id} | {child.id for parent in self.finished for child in children(parent)}


def children(parent: Node) -> list[Node]:
    """The retrainings of a cascade, restated: freeze one block more, two more, ..."""
    depth = 1 if parent.parent is None else parent.init_seed // 1_000_000 + 1
    seed = derived_seed(1, "step", depth)
    return [
        retrained(toy_outcome(parent), init_seed=seed, frozen=top(BLOCKS, count))
        for count in range(len(parent.frozen) + 1, len(BLOCKS))
    ]


@pytest.mark.parametrize("workers", [1, 4])
def test_no_worker_is_idle_while_a_node_is_ready(monkeypatch, workers):
    clockwork = Clockwork(workers)
    monkeypatch.setattr(driver, "wait", clockwork.wait)
    (result,) = driver.drive(searches([joint()], BLOCKS, "exhaustive"), clockwork.submit)
    assert len(result.steps) == len(clockwork.finished) == 16
    assert clockwork.idle_while_ready == 0
    work = sum(random.Random(node.id).uniform(1, 10) for node in clockwork.finished)
    if workers == 1:
        assert clockwork.now == pytest.approx(work)
    else:
        assert clockwork.now < 0.6 * work  # the first training is alone, and so is the longest chain's end


def done(value) -> Future:
    future: Future = Future()
    future.set_result(value)
    return future


def test_each_of_a_thousand_finished_nodes_is_read_once(tmp_path, monkeypatch, capsys):
    """node.json and done.json of each: what a replay costs grows with the number of nodes, and no faster."""
    blocks = [(f"layer.{i}",) for i in range(11)]
    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)  # a thousand real ones would take half a minute

        def train(node):
            store.finish(toy_outcome(node))
            return done(toy_outcome(node))

        (first,) = driver.drive(searches([joint()], blocks, "exhaustive"), train, store=store)
    assert len(first.steps) == 1024
    read = []
    monkeypatch.setattr(store_module, "read_json", lambda path: read.append(path) or read_json(path))
    (again,) = driver.drive(searches([joint()], blocks, "exhaustive"), refuse, store=store)
    assert len(read) == len(set(read)) == 2 * 1024
    assert again == first
    assert capsys.readouterr().err.count("from disk") == 1024


def refuse(node):
    raise AssertionError(f"{node.id} is finished")
