"""Functions for worker processes in the tests, in an importable module so that they can be pickled."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from asr_topdown.engines.engine_config import EngineConfig, open_engine
from asr_topdown.files import write_text
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Result, Search, Step, train_one
from asr_topdown.schedule.searches import of_studies
from asr_topdown.schedule.spec import Study
from asr_topdown.study.driver import Submit, submitter

CONTROLS = ("scratch", "freeze_lowest", "keep")


@contextlib.contextmanager
def local(
    run: Callable[[Node], Outcome], workers: int, *, store: Store | None = None, **settings: int
) -> Iterator[Submit]:
    """This machine as the engine: what `drive` submits to while the block is open."""
    with open_engine(EngineConfig(workers=workers, **{"retries": 0, **settings})) as engine:
        yield submitter(engine, run, store=store)


def searches(
    joints: Sequence[Node],
    blocks: Sequence[tuple[str, ...]],
    *names: str,
    controls: Sequence[str] = (),
) -> list[Search]:
    """The searches called `names` (none: the greedy one with three controls) over each joint training."""
    studies = [Study(joint, blocks) for joint in joints]
    return of_studies(studies, searches=names or ("greedy",), controls=controls if names else CONTROLS)


def one(node: Node) -> Search:
    """The smallest search: one node."""
    trained = yield from train_one(node)
    return Result("joint", node.init_seed, (Step.of(trained),), node.id)


def outcome(node: Node, error: float | None = None) -> Outcome:
    """An outcome whose error, unless given, is a function of the node alone."""
    if error is None:
        error = int(node.id[:6], 16) / 0xFFFFFF
    return Outcome(node=node, error=error, best_epoch=2, epochs=3, seconds=1.0, metrics={"dev_cer": error})


def instant(node: Node) -> Outcome:
    return outcome(node)


def die_on_seed_2(node: Node) -> Outcome:
    print(f"training seed {node.init_seed}", flush=True)
    if node.init_seed == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome(node)


def die_twice(node: Node, root: Path) -> Outcome:
    """Leaves a mark at each try, and is killed in the first two."""
    mark = root / f"{node.init_seed}.tries"
    with mark.open("a") as tries:
        tries.write("x")
    if len(mark.read_text()) <= 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome(node)


def fail_with(node: Node, root: Path) -> Outcome:
    """Leaves a mark at each try, and fails; how, says the seed."""
    with (root / f"{node.init_seed}.tries").open("a") as tries:
        tries.write("x")
    errors = {
        1: ValueError("data/train: utt7 is too short"),
        2: FileNotFoundError(2, "No such file or directory", "data/train/text"),
        3: KeyError("softmax"),
        4: MemoryError("1 GB"),
        5: RuntimeError("CUDA out of memory. Tried to allocate 1 GB"),
        6: RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    }
    raise errors[node.init_seed]


def fail_on_seed_2(node: Node) -> Outcome:
    if node.init_seed == 2:
        raise ValueError("data/train: utt7 is too short")
    return outcome(node)


def bug_on_seed_2(node: Node) -> Outcome:
    if node.init_seed == 2:
        raise KeyError("softmax")
    return outcome(node)


def leave_on_seed_2(node: Node) -> Outcome:
    if node.init_seed == 2:
        os._exit(7)
    return outcome(node)


def log_and_dawdle(node: Node) -> Outcome:
    print("epoch 1/50: dev cer 0.9\n\n\repoch 2:  10%\repoch 2:  60%", flush=True)
    time.sleep(1.0)
    return outcome(node)


def tell_environment(node: Node) -> Outcome:
    names = {"threads": "OMP_NUM_THREADS", "gpu": "CUDA_VISIBLE_DEVICES"}
    metrics = {key: float(os.environ.get(name, "-1")) for key, name in names.items()}
    return Outcome(node=node, error=0.5, best_epoch=1, epochs=1, seconds=0.1, metrics=metrics)


def sleep_long(node: Node, folder: Path) -> Outcome:
    (folder / f"{node.init_seed}.pid").write_text(str(os.getpid()))
    time.sleep(60)
    return outcome(node)


def train_once(node: Node, root: Path) -> Outcome:
    """As `run_node` does it: under the lock, from disk if finished; each true training leaves a mark."""
    store = Store(root)
    with store.lock(node) as folder:
        finished = store.outcome(node)
        if finished is not None:
            return finished
        with (folder / "trained").open("a") as marks:
            marks.write(f"{os.getpid()}\n")
        time.sleep(0.05)
        store.finish(outcome(node))
        return outcome(node)


def train_in_epochs(node: Node, root: Path, seconds: float) -> Outcome:
    """A training of three epochs with a checkpoint after each; every epoch that is begun leaves a mark."""
    store = Store(root)
    with store.lock(node) as folder:
        finished = store.outcome(node)
        if finished is not None:
            return finished
        checkpoint = folder / "checkpoint"
        while (done := int(checkpoint.read_text()) if checkpoint.exists() else 0) < 3:
            with (folder / "epochs").open("a") as marks:
                marks.write(f"{done + 1}\n")
            time.sleep(seconds / 3)
            write_text(checkpoint, str(done + 1))
        store.finish(outcome(node))
        with (folder / "finished").open("a") as marks:
            marks.write(f"{os.getpid()}\n")
        return outcome(node)
