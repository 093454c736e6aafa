"""Searches whose driver and workers are killed at random times, and workers that are never idle."""

import functools
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr_topdown.engines.local import Processes
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node
from asr_topdown.study.driver import drive, local

HERE = Path(__file__).parent
LAYERS, NODES, WORKERS = 5, 16, 4
JOINT = Node(experiment="e", train_set="t", init_seed=1, epochs=50, patience=5)

DRIVER = f"""
import functools, pathlib, sys
sys.path.insert(0, {str(HERE)!r})
import fake_runs
from asr_topdown.study.driver import drive, local
from asr_topdown.schedule.node import Node
from asr_topdown.runs.store import Store
joint = {JOINT!r}
root = pathlib.Path(sys.argv[1])
store = Store(root)
run = functools.partial(fake_runs.train_in_epochs, root=root, seconds=0.6)
with local(run, {WORKERS}, store=store, retries=9) as submit:
    print(drive(fake_runs.compositions(joint, {LAYERS}), submit, store=store))
"""


@pytest.fixture
def runs(monkeypatch):
    """The module of fake training runs; on sys.path, so that worker processes find it too."""
    monkeypatch.syspath_prepend(str(HERE))
    import fake_runs

    return fake_runs


def children(pid):
    """Processes that train, as /proc tells."""
    pids = [
        child
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in _read(task).decode().split()
    ]
    return [int(pid) for pid in pids if b"spawn_main" in _read(Path(f"/proc/{pid}/cmdline"))]


def _read(path):
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def marks(root, name):
    return {path.parent.name: path.read_text().split() for path in root.glob(f"nodes/*/{name}")}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_driver_and_half_the_workers_killed_at_random_times(runs, tmp_path):
    with local(runs.instant, 0) as submit:
        expected = drive(runs.compositions(JOINT, LAYERS), submit)
    rng, store, finished, kills = random.Random(5), Store(tmp_path), {}, 0

    def start():
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", DRIVER, tmp_path], stdout=pipe, stderr=pipe, text=True)

    rounds = 0
    while len(finished) < NODES - 4 and rounds < 40:
        rounds += 1
        driver = start()
        deadline = time.monotonic() + 30  # from its first worker on, random times count
        while not children(driver.pid) and driver.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.2, 3.0))
        workers = children(driver.pid)
        for pid in rng.sample(workers, len(workers) // 2):
            os.kill(pid, signal.SIGKILL)
            kills += 1
        time.sleep(rng.uniform(0.0, 1.0))
        driver.kill()
        driver.communicate()
        kills += 1
        time.sleep(0.5)
        finished = {path.parent.name: path.stat().st_mtime_ns for path in tmp_path.glob("nodes/*/done.json")}
        epochs = {name: marks(tmp_path, "epochs")[name] for name in finished}
    answer, errors = start().communicate(timeout=120)
    assert answer.strip() == str(expected), errors
    assert rounds > 1
    assert len(store.nodes()) == NODES
    # What was finished at the last kill has not been touched since.
    for name, when in finished.items():
        assert (store.node_dir(name) / "done.json").stat().st_mtime_ns == when
        assert marks(tmp_path, "epochs")[name] == epochs[name]
    assert all(len(mark) == 1 for mark in marks(tmp_path, "finished").values())
    # And what was not went on from its last epoch: each kill costs each worker one epoch at most.
    begun = marks(tmp_path, "epochs")
    assert all(epochs == sorted(epochs) and set(epochs) == {"1", "2", "3"} for epochs in begun.values())
    lost = sum(len(epochs) for epochs in begun.values()) - 3 * NODES
    assert lost <= rounds * WORKERS + kills


def test_no_worker_is_idle_while_a_node_is_ready(runs, tmp_path, monkeypatch):
    """Four workers; a node is ready from when the last outcome that its search waited for is there."""
    ready, began, ended = {}, {}, {}
    submit_job, run_job = Processes.submit, Processes._in_process

    def submitted(self, job):
        ready[job.name] = time.monotonic()
        return submit_job(self, job)

    def timed(self, job, *rest):
        began[job.name] = time.monotonic()
        try:
            return run_job(self, job, *rest)
        finally:
            ended[job.name] = time.monotonic()

    monkeypatch.setattr(Processes, "submit", submitted)
    monkeypatch.setattr(Processes, "_in_process", timed)
    store = Store(tmp_path)
    run = functools.partial(runs.train_in_epochs, root=tmp_path, seconds=0.3)
    with local(run, WORKERS, store=store) as submit:
        drive(runs.compositions(JOINT, LAYERS), submit, store=store)
    assert len(began) == NODES

    def at(when, since, until):
        return sum(since[name] <= when < until[name] for name in began)

    moments = sorted([*ready.values(), *began.values(), *ended.values()])
    idle = sum(
        after - moment
        for moment, after in itertools.pairwise(moments)
        if at(moment, ready, began) and at(moment, began, ended) < WORKERS
    )
    assert idle < 0.05 * (moments[-1] - moments[0])
    assert max(at(moment, began, ended) for moment in moments) == WORKERS
    # A node is ready at once when its parent is done: nothing waits for a whole generation.
    parents = {f"node {node.id} ({node.describe()})": node.parent for node in store.nodes()}
    names = {node.id: f"node {node.id} ({node.describe()})" for node in store.nodes()}
    delays = [ready[name] - ended[names[parent.node]] for name, parent in parents.items() if parent]
    assert len(delays) == NODES - 1
    assert sorted(delays)[len(delays) // 2] < 0.2
