"""Time that a training waits for its batches, with steps as short as on a fast GPU. Prints JSON.

    python benchmarks/read_ahead.py [--steps 60] [--workers 0 1 2 4] [--milliseconds 20 40 80] [--busy 0.2]

The data are noise in arks on disk, with the shapes of WSJ's batches (30 utterances of 7.8 s, 123 values per
frame, CMVN) and Switchboard's (32 of 5.3 s, 80 values, CMVN, SpecAugment with time warping); the files are in
the system's cache. They are read as in a training. Instead of a step the consumer computes in Python for a
share `--busy` of the time, like a training that launches kernels, and sleeps for the rest.

`loading` is the time per batch without workers; `waiting` the share of time in which the consumer had no
batch.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from asr_topdown.config.train import TrainConfig
from asr_topdown.data.dataset import SpeechDataset, Utterance
from asr_topdown.features import ark
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.features.specaug_options import SpecAugmentOptions
from asr_topdown.nn.reuse import keep_memory_and_kernels
from asr_topdown.text import Vocabulary
from asr_topdown.train.read_ahead import read_ahead
from asr_topdown.train.speech_task import SpeechTask

BATCHES = 8
SPECAUGMENT = SpecAugmentOptions(
    freq_masks=2, freq_width=30, time_masks=2, time_width=40, time_ratio=1.0, time_warp=5
)
SHAPES = {  # utterances, frames, numbers in a frame, masks
    "wsj": (30, 780, 123, None),
    "swbd": (32, 530, 80, SPECAUGMENT),
}


def made(folder: Path, shape: str) -> SpeechTask:
    """Make a task of `BATCHES` batches of noise."""
    utterances, frames, dim, masks = SHAPES[shape]
    generator = np.random.default_rng(0)
    entries, path = [], folder / f"{shape}.ark"
    with path.open("wb") as archive:
        for index in range(utterances * BATCHES):
            matrix = generator.standard_normal((frames, dim), dtype=np.float32)
            place = ark.save(archive, f"u{index}", matrix)
            entries.append(Utterance(f"u{index:04}", f"{path}:{place}", frames, (2,) * 60))
    data = SpeechDataset(folder, entries, Cmvn.of([matrix]))
    config = TrainConfig(utterances_per_batch=utterances, frames_per_batch=10**9, specaugment=masks)
    return SpeechTask(data, data, Vocabulary.build(["a"], "char"), config, seed=1)


def plan(task: SpeechTask, steps: int) -> Iterator[tuple[int, list[int]]]:
    """Return the (epoch, batch) of each step."""
    epoch = 0
    while steps > 0:
        epoch += 1
        batches = [list(batch) for batch in task.epoch(epoch)][:steps]
        yield from ((epoch, batch) for batch in batches)
        steps -= len(batches)


def step(seconds: float, busy: float) -> None:
    """Compute for a while, then sleep."""
    began = time.perf_counter()
    while time.perf_counter() - began < busy * seconds:
        sum(range(200))
    time.sleep(max(0.0, seconds - (time.perf_counter() - began)))


def waiting(task: SpeechTask, *, workers: int, steps: int, seconds: float, busy: float) -> float:
    """Measure the share of time without a batch, except before the first one."""
    items = list(plan(task, steps))
    loaded = read_ahead(lambda item: task.load(item[1], item[0]), items, workers=workers)
    next(loaded)
    idle, began = 0.0, time.perf_counter()
    for _ in range(steps - 1):
        step(seconds, busy)
        asked = time.perf_counter()
        next(loaded)
        idle += time.perf_counter() - asked
    return idle / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--milliseconds", type=int, nargs="+", default=[20, 40, 80])
    parser.add_argument("--busy", type=float, default=0.2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory_and_kernels()  # as a training does
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for shape in SHAPES:
            task = made(Path(folder), shape)
            items = list(plan(task, 2 * BATCHES))
            began = time.perf_counter()
            for epoch, batch in items:
                task.load(batch, epoch)
            loading = (time.perf_counter() - began) / len(items)
            for milliseconds in args.milliseconds:
                for workers in args.workers:
                    share = waiting(
                        task, workers=workers, steps=args.steps, seconds=milliseconds / 1000, busy=args.busy
                    )
                    rows.append({
                        "shape": shape, "loading": round(1000 * loading, 1), "step": milliseconds,
                        "workers": workers, "waiting": round(share, 3),
                    })  # fmt: skip
    print(json.dumps({"cpus": len(os.sched_getaffinity(0)), "busy": args.busy, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
