"""Cost of large data and large studies, simulated at two sizes to show the growth. Prints JSON.

    python benchmarks/scale.py data --count 100000      # utterances of 12 s: 10,000 hours are 3,000,000
    python benchmarks/scale.py replay --count 16384     # finished trainings that answer from disk
    python benchmarks/scale.py report --count 4096      # trainings on the page of a report

Each is done at half of `--count` and at all of it. `growth` is 1 where twice as much costs twice as
much. Seconds are of the processor. Trainings are those of the exhaustive search: a power of two.
"""

import argparse
import contextlib
import io
import json
import os
import random
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.sampler import epoch_batches
from asr_topdown.report.page import write_report
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.searches import of_studies
from asr_topdown.schedule.spec import Study
from asr_topdown.study.driver import drive
from asr_topdown.text import Vocabulary

Numbers = dict[str, float]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LAYERS = 13


def data(count: int, folder: Path) -> Numbers:
    """Measure the index in bytes, and the seconds until the first batch's utterances are known."""
    write_index(folder, count)
    vocabulary = Vocabulary(("<blank>", "<unk>", "<space>", *LETTERS), "char")
    began = time.process_time()
    dataset = SpeechDataset.read(folder, vocabulary, None)
    kept, _ = dataset.keep_trainable(lambda frames: frames // 2)
    plan = epoch_batches(kept.frames, frames_per_batch=12000, utterances_per_batch=32, seed=1, epoch=2)
    seconds = time.process_time() - began
    assert sum(map(len, plan)) == count
    del dataset, kept, plan
    tracemalloc.start()
    dataset = SpeechDataset.read(folder, vocabulary, None)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(dataset) == count
    return {"seconds to the first batch": seconds, "bytes": held, "bytes while reading": peak}


def write_index(folder: Path, count: int) -> None:
    """Write the tables of a data directory without features: 33 words in 12 s."""
    chance = random.Random(1)
    words = ["".join(chance.choices(LETTERS, k=chance.randint(2, 8))) for _ in range(2000)]
    ids = [f"speaker{number // 100:06}-{number:08}" for number in range(count)]
    for table, value in (
        ("text", lambda number: " ".join(chance.choices(words, k=33))),
        ("feats.scp", lambda number: f"data/train/data/feats.{number // 1000}.ark:{number * 100}"),
        ("utt2num_frames", lambda number: chance.randint(700, 1700)),
    ):
        with (folder / table).open("w", encoding="utf-8") as file:
            file.writelines(f"{name} {value(number)}\n" for number, name in enumerate(ids))


def replay(count: int, folder: Path) -> Numbers:
    """Measure the seconds of running a study whose trainings are all finished."""
    store = Store(folder)
    drive([_exhaustive(count)], finished_by(store), store=store)

    def refuse(node: Node) -> "Future[Outcome]":
        raise AssertionError(f"{node.id} is finished")

    began = time.process_time()
    (result,) = drive([_exhaustive(count)], refuse, store=store)
    seconds = time.process_time() - began
    assert len(result.steps) == count
    return {"seconds": seconds}


def report(count: int, folder: Path) -> Numbers:
    """Measure the seconds of writing the report, and the bytes of its page."""
    store = Store(folder)
    results = drive([_exhaustive(count)], finished_by(store, epochs=20), store=store)
    store.save_results("study", results)
    began = time.process_time()
    write_report(folder)
    seconds = time.process_time() - began
    return {"seconds": seconds, "bytes": (folder / "report" / "report.html").stat().st_size}


def finished_by(store: Store, epochs: int = 0) -> Callable[[Node], "Future[Outcome]"]:
    """Pretends to train: writes the node as finished, with a curve of a number of epochs."""

    def train(node: Node) -> "Future[Outcome]":
        error = int(node.id[:6], 16) / 0xFFFFFF
        outcome = Outcome(
            node=node, error=error, best_epoch=2, epochs=20, seconds=1.0, metrics={"dev_cer": error}
        )
        store.finish(outcome)
        if epochs:
            _write_training(store.node_dir(node), epochs)
        future: Future[Outcome] = Future()
        future.set_result(outcome)
        return future

    return train


def _write_training(folder: Path, epochs: int) -> None:
    lines = []
    for epoch in range(1, epochs + 1):
        values = {"train_loss": 200.123 / epoch, "dev_loss": 30.123 / epoch, "dev_cer": 1.0123 / epoch}
        record = {"kind": "epoch", "epoch": epoch, "step": 20 * epoch, **values, "best": True, "seconds": 9.0}
        lines.append(json.dumps(record) + "\n")
    (folder / "metrics.jsonl").write_text("".join(lines))
    (folder / "config.yaml").write_text("model: {encoder: [{kind: blstm}], ctc: {}}\nrun: {}\n")
    layers = [[f"blstm.{number}", 100] for number in range(LAYERS)]
    sizes = {"name": "train", "utterances": 40, "words": 80, "hours": 0.05}
    about = {"layers": layers, "train": sizes, "dev": sizes, "machine": "made up"}
    (folder / "about.json").write_text(json.dumps(about))


def _exhaustive(count: int):  # type: ignore[no-untyped-def]
    blocks = [(f"blstm.{number}",) for number in range(count.bit_length())]
    joint = Node(experiment="e", train_set="t", init_seed=1, epochs=20, patience=5)
    (search,) = of_studies([Study(joint, blocks)], searches=["exhaustive"])
    return search


WHAT: dict[str, Callable[[int, Path], Numbers]] = {"data": data, "replay": replay, "report": report}


def measured(what: str, count: int) -> Numbers:
    """Run one of `WHAT` in its own folder, silently."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        return WHAT[what](count, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--count", type=int, required=True)
    args = parser.parse_args()
    os.fsync = lambda handle: None  # only reading is measured
    half, whole = (measured(args.what, count) for count in (args.count // 2, args.count))
    print(
        json.dumps(
            {
                "what": args.what,
                "count": args.count,
                **whole,
                "each": {name: value / args.count for name, value in whole.items()},
                "growth": {name: round(whole[name] / half[name] / 2, 2) for name in whole},
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
