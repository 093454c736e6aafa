"""An exhaustive search whose driver and workers are killed at random times."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_runs import instant, local, searches

from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node
from asr_topdown.study.driver import drive

HERE = Path(__file__).parent
NODES, WORKERS = 16, 4
BLOCKS = [(f"layer.{index}",) for index in range(5)]
JOINT = Node(experiment="e", train_set="t", init_seed=1, epochs=50, patience=5)

DRIVER = f"""
import functools, pathlib, sys
sys.path.insert(0, {str(HERE)!r})
import fake_runs
from fake_runs import local, searches
from asr_topdown.study.driver import drive
from asr_topdown.schedule.node import Node
from asr_topdown.runs.store import Store
joint = Node.from_json({JOINT.to_json()!r})
root = pathlib.Path(sys.argv[1])
store = Store(root)
run = functools.partial(fake_runs.train_in_epochs, root=root, seconds=0.6)
with local(run, {WORKERS}, store=store, retries=9) as submit:
    print(drive(searches([joint], {BLOCKS!r}, 'exhaustive'), submit, store=store))
"""


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
def test_driver_and_half_the_workers_killed_at_random_times(tmp_path):
    with local(instant, 0) as submit:
        expected = drive(searches([JOINT], BLOCKS, "exhaustive"), submit)
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
