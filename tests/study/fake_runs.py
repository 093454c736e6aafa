"""What worker processes run in the tests: functions of an importable module, so that they can be pickled."""

import dataclasses
import itertools
import os
import signal
import time
from pathlib import Path

from asr_topdown.files import write_text
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome, Parent
from asr_topdown.schedule.search import Result, Search


def outcome(node: Node, error: float | None = None) -> Outcome:
    """An outcome whose error, unless given, is a function of the node alone."""
    if error is None:
        error = int(node.id[:6], 16) / 0xFFFFFF
    return Outcome(node=node, error=error, best_epoch=2, epochs=3, seconds=1.0, metrics={"cer": error})


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


def compositions(joint: Node, layers: int) -> list[Search]:
    """An exhaustive search: the ways to cut `layers` layers into blocks, 2^(layers - 1) nodes in all."""
    names = [f"layer.{index}" for index in range(layers)]
    cuts = itertools.chain.from_iterable(
        itertools.combinations(range(1, layers), count) for count in range(layers)
    )
    return [_composition(joint, [tuple(names[cut:]) for cut in sorted(cut, reverse=True)]) for cut in cuts]


def _composition(joint: Node, tops: list[tuple[str, ...]]) -> Search:
    """Freeze one top after the other, each time the node before is done."""
    (told,) = yield [joint]
    for top in tops:
        node = told.node
        parent = Parent(experiment=node.experiment, node=node.id, epoch=told.best_epoch)
        (told,) = yield [dataclasses.replace(joint, parent=parent, frozen=top)]
    return Result("composition", joint.init_seed, (), told.node.id)


def train_toy(node: Node, root: Path) -> Outcome:
    """`train_once` that takes its time, and says in toy.log when it began and in which process."""
    store = Store(root)
    with store.lock(node) as folder:
        finished = store.outcome(node)
        if finished is not None:
            return finished
        with (folder / "toy.log").open("a") as marks:
            marks.write(f"{os.getpid()} {time.time()}\n")
        time.sleep(0.02 + 0.1 * outcome(node).error)
        store.finish(outcome(node))
        return outcome(node)
