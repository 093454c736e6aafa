"""The exhaustive search of toy nodes: no worker idle, killed and started again, replayed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.search import exhaustive
from asr_topdown.study import driver as dispatch

HERE = Path(__file__).parent
BLOCKS = [(f"blstm.{i}",) for i in range(4)] + [("softmax",)]


def joint(seed=1):
    return Node(experiment="e", train_set="t", init_seed=seed, epochs=50, patience=5)


def toy_outcome(node, seconds=1.0):
    error = int(node.id[:6], 16) / 0xFFFFFF
    return Outcome(node=node, error=error, best_epoch=2, epochs=3, seconds=seconds, metrics={"cer": error})


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
    from asr_topdown.schedule.protocol import derived_seed, retrained, top

    depth = 1 if parent.parent is None else parent.init_seed // 1_000_000 + 1
    seed = derived_seed(1, "step", depth)
    return [
        retrained(toy_outcome(parent), init_seed=seed, frozen=top(BLOCKS, count))
        for count in range(len(parent.frozen) + 1, len(BLOCKS))
    ]


@pytest.mark.parametrize("workers", [1, 4])
def test_no_worker_is_idle_while_a_node_is_ready(monkeypatch, workers):
    clockwork = Clockwork(workers)
    monkeypatch.setattr(dispatch, "wait", clockwork.wait)
    (result,) = dispatch.drive([exhaustive(joint(), BLOCKS)], clockwork.submit)
    assert len(result.steps) == len(clockwork.finished) == 16
    assert clockwork.idle_while_ready == 0
    work = sum(random.Random(node.id).uniform(1, 10) for node in clockwork.finished)
    if workers == 1:
        assert clockwork.now == pytest.approx(work)
    else:
        assert clockwork.now < 0.6 * work  # the first training is alone, and so is the longest chain's end


DRIVER = f"""
import functools, sys
sys.path.insert(0, {str(HERE)!r})
import fake_runs
from asr_topdown.study.driver import drive, local
from asr_topdown.schedule.node import Node
from asr_topdown.schedule.search import exhaustive
from asr_topdown.runs.store import Store
joint = Node(experiment='e', train_set='t', init_seed=1, epochs=50, patience=5)
blocks = [(f'blstm.{{i}}',) for i in range(4)] + [('softmax',)]
store = Store(sys.argv[1])
with local(functools.partial(fake_runs.train_toy, root=sys.argv[1]), 4, store=store, retries=2) as submit:
    print(drive([exhaustive(joint, blocks)], submit, store=store))
"""


def workers_of(root: Path) -> set[int]:
    """The processes that have begun a training."""
    lines = [line for path in root.glob("nodes/*/toy.log") for line in path.read_text().splitlines()]
    return {int(line.split()[0]) for line in lines if line}


def kill(pids) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("seed", [0, 1])
def test_driver_and_half_the_workers_killed_at_random_times(tmp_path, seed):
    """Started again: the result of an undisturbed run, nothing that was finished trained again."""
    generator = random.Random(seed)
    (expected,) = dispatch.drive([exhaustive(joint(), BLOCKS)], lambda node: done(toy_outcome(node)))
    command = [sys.executable, "-c", DRIVER, tmp_path]
    kills, out = 0, ""
    while not out:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
            if kills < 4:
                progress = len(list(tmp_path.glob("nodes/*/toy.log")))
                deadline = time.monotonic() + 60
                while len(list(tmp_path.glob("nodes/*/toy.log"))) < min(progress + 2, 16):
                    assert time.monotonic() < deadline, "nothing was begun"
                    time.sleep(0.01)
                time.sleep(generator.uniform(0, 0.1))
                living = [pid for pid in workers_of(tmp_path) if Path(f"/proc/{pid}").exists()]
                kill(generator.sample(sorted(living), len(living) // 2))
                time.sleep(generator.uniform(0, 0.1))
                driver.kill()
                kills += 1
                driver.communicate(timeout=60)
            else:
                out, errors = driver.communicate(timeout=200)
                assert driver.returncode == 0, errors
    assert out.strip() == str([expected])
    assert kills == 4
    store = Store(tmp_path)
    assert len(store.nodes()) == 16
    for node in store.nodes():
        folder = store.node_dir(node)
        finished = (folder / "done.json").stat().st_mtime
        begun = [float(line.split()[1]) for line in (folder / "toy.log").read_text().splitlines()]
        assert all(moment <= finished for moment in begun), "a finished node was trained again"


def done(value) -> Future:
    future: Future = Future()
    future.set_result(value)
    return future


def test_replaying_a_thousand_finished_nodes_takes_no_time(tmp_path, monkeypatch, capsys):
    """1,024 nodes answer from disk in about half a second of an idle machine; here, with room to spare."""
    blocks = [(f"layer.{i}",) for i in range(11)]
    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)  # a thousand real ones would take half a minute

        def train(node):
            store.finish(toy_outcome(node))
            return done(toy_outcome(node))

        (first,) = dispatch.drive([exhaustive(joint(), blocks)], train, store=store)
    assert len(first.steps) == 1024
    began = time.process_time()
    (again,) = dispatch.drive([exhaustive(joint(), blocks)], refuse, store=store)
    assert time.process_time() - began < 5
    assert again == first
    assert capsys.readouterr().err.count("from disk") == 1024


def refuse(node):
    raise AssertionError(f"{node.id} is finished")
