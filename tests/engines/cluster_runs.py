"""Functions for the tests' jobs, on the cluster and here, in an importable module."""

import os
import time
from pathlib import Path

from toy_data import write_data

from asr_topdown import config as configuration
from asr_topdown.engines import interruption
from asr_topdown.runs.run_node import Experiment, run_node
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.text import Vocabulary
from asr_topdown.train.speech_task import SpeechTask


def toy_experiment(root: Path) -> Experiment:
    """Five epochs of five steps each, in which the network learns."""
    train, dev = write_data(root / "train", 40, 1), write_data(root / "dev", 12, 2)
    tokens = root / "tokens.txt"
    Vocabulary.build(["abc"], "char").save(tokens)
    encoder = {"kind": "blstm", "num_layers": 2, "hidden_size": 8, "dropout": 0.2}
    settings = {
        "features": {"fbank": {"num_mels": 4}},
        "model": {"encoder": [encoder], "ctc": {}},
        "train": {"epochs": 5, "patience": 0, "metric": "loss", "utterances_per_batch": 8},
    }
    return Experiment(configuration.parse(settings), train, dev, tokens)


def train_watched(node: Node, *, experiment: Experiment, store: Store, marks: Path, unlucky: bool) -> Outcome:
    """`run_node` that leaves marks; unlucky, a joint training waits in its second epoch for its fate."""
    tries = marks / f"{node.id}.tries"
    with tries.open("a") as handle:
        handle.write(f"{os.getpid()}\n")
    waits = unlucky and node.parent is None and len(tries.read_text().split()) == 1
    load, steps = SpeechTask.load, marks / f"{node.id}.steps"

    def watched(self, indices, epoch):
        with steps.open("a") as handle:
            handle.write(f"{epoch}-{min(indices)}\n")
        polls = 6000 if waits and len(steps.read_text().split()) >= 8 else 0
        while polls and not interruption.requested():
            time.sleep(0.1)
            polls -= 1
        return load(self, indices, epoch)

    SpeechTask.load = watched
    try:
        return run_node(node, experiment, store)
    finally:
        SpeechTask.load = load


def sleep_and_mark(node: Node, *, root: Path, seconds: float) -> Outcome:
    """A training of so many seconds, under the node's lock; a mark for each that was begun."""
    store = Store(root)
    with store.lock(node) as folder:
        finished = store.outcome(node)
        if finished is not None:
            return finished
        with (folder / "trained").open("a") as marks:
            marks.write(f"{os.getpid()} {time.time()}\n")
        time.sleep(seconds)
        error = int(node.id[:6], 16) / 0xFFFFFF
        outcome = Outcome(node=node, error=error, best_epoch=2, epochs=3, seconds=1.0, metrics={"cer": error})
        store.finish(outcome)
        return outcome
