"""Time of a search whose trainings are all finished. Prints JSON.

    python benchmarks/replay.py [--blocks 11]

The exhaustive search over n blocks has 2^(n-1) trainings. They are written as finished, and the search is run
again: it requests each, and each result is read from disk.
"""

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from concurrent.futures import Future

from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Search
from asr_topdown.schedule.searches import of_studies
from asr_topdown.schedule.spec import Study
from asr_topdown.study.driver import drive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--blocks", type=int, default=11)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    joint = Node(experiment="e", train_set="t", init_seed=1, epochs=50, patience=5)
    blocks = [(f"layer.{i}",) for i in range(args.blocks)]

    def searches() -> list[Search]:
        return of_studies([Study(joint, blocks)], searches=["exhaustive"])

    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        os.fsync = lambda handle: None  # only reading is measured

        def train(node: Node) -> "Future[Outcome]":
            error = int(node.id[:6], 16) / 0xFFFFFF
            outcome = Outcome(node=node, error=error, best_epoch=2, epochs=3, seconds=1.0, metrics={})
            store.finish(outcome)
            (store.node_dir(node) / "epoch-2.safetensors").touch()  # gone ones would be told
            future: Future[Outcome] = Future()
            future.set_result(outcome)
            return future

        def refuse(node: Node) -> "Future[Outcome]":
            raise AssertionError(f"{node.id} is finished")

        with contextlib.redirect_stderr(io.StringIO()):
            first = drive(searches(), train, store=store)
            wall, cpu = [], []
            for _ in range(args.repeats):
                began, worked = time.perf_counter(), time.process_time()
                assert drive(searches(), refuse, store=store) == first
                wall.append(time.perf_counter() - began)
                cpu.append(time.process_time() - worked)
    print(json.dumps({"nodes": len(first[0].steps), "seconds": min(wall), "cpu_seconds": min(cpu)}))


if __name__ == "__main__":
    main()
