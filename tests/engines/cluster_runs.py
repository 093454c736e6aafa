"""What the jobs of the tests run, on the cluster and here: functions of an importable module."""

import dataclasses
import os
import random
import time
from pathlib import Path

import kaldiio
import numpy as np

from asr_topdown import config as configuration
from asr_topdown.engines import interruption
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.runs.run_node import Experiment, run_node
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.text import Vocabulary
from asr_topdown.train.trainer import Trainer

LETTERS = "abc"


def write_data(folder: Path, count: int, seed: int) -> Path:
    """Utterances over three letters, each of which is four frames of its own dimension."""
    generator, noise = random.Random(seed), np.random.default_rng(seed)
    folder.mkdir(parents=True)
    tables: dict[str, list[str]] = {"text": [], "utt2num_frames": [], "utt2spk": []}
    feats = {}
    for index in range(count):
        name = f"spk-{index:03}"
        letters = [generator.choice(LETTERS) for _ in range(generator.randrange(2, 6))]
        matrix = noise.normal(0, 0.3, (4 * len(letters), 4)).astype(np.float32)
        for position, letter in enumerate(letters):
            matrix[4 * position : 4 * position + 3, LETTERS.index(letter)] += 2
        feats[name] = matrix
        for table, value in (("text", "".join(letters)), ("utt2num_frames", len(matrix)), ("utt2spk", "spk")):
            tables[table].append(f"{name} {value}\n")
    kaldiio.save_ark(str(folder / "feats.ark"), feats, scp=str(folder / "feats.scp"))
    for table, lines in tables.items():
        (folder / table).write_text("".join(lines))
    Cmvn.of(feats.values()).save(folder / "cmvn.ark")
    return folder


def toy_experiment(root: Path) -> Experiment:
    """Five epochs of five steps each, in which the network learns."""
    train, dev = write_data(root / "train", 40, 1), write_data(root / "dev", 12, 2)
    tokens = root / "tokens.txt"
    Vocabulary.build([LETTERS], "char").save(tokens)
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
    init = Trainer.__init__

    def watched_init(self, model, task, *args, **kwargs):
        steps = marks / f"{node.id}.steps"

        def batch(indices, epoch):
            with steps.open("a") as handle:
                handle.write(f"{epoch}-{min(indices)}\n")
            polls = 6000 if waits and len(steps.read_text().split()) >= 8 else 0
            while polls and not interruption.requested():
                time.sleep(0.1)
                polls -= 1
            return task.batch(indices, epoch)

        init(self, model, dataclasses.replace(task, batch=batch), *args, **kwargs)

    Trainer.__init__ = watched_init
    try:
        return run_node(node, experiment, store)
    finally:
        Trainer.__init__ = init


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
