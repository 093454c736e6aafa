"""Processor seconds per epoch that keeping a frozen pretrained encoder's output saves. Prints JSON.

    python benchmarks/frozen_pretrained.py [--utterances 8] [--seconds 4] [--frozen 0 6 12]

A wav2vec 2.0 encoder of base size (12 layers, 95 M parameters; random weights, which do not affect speed)
under a linear CTC output, or with two BLSTM layers in between, on noise, one thread. For each number of
frozen lowest layers (above the frontend, which is frozen too): an epoch in which they are computed, without
gradient; one in which their output is read from memory; one in which it is read from disk in float16; and the
cost of computing it once.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.build import fresh_model
from asr_topdown.data.dataset import SpeechDataset, Utterance
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.runs import frozen_prefix
from asr_topdown.schedule.node import Node

RATE, UNITS, BATCH = 16000, 32, 4
PREPROCESSOR = {"sampling_rate": RATE, "do_normalize": True}
ABOVE = {
    "linear": [],
    "blstm": [{"kind": "blstm", "num_layers": 2, "hidden_size": 320, "projection_size": 320}],
}


class Noise(SpeechDataset):
    """Utterances of noise, with samples drawn on demand."""

    def __init__(self, count: int, seconds: float) -> None:
        generator = torch.Generator().manual_seed(0)
        self.samples = round(seconds * RATE)
        tokens = [tuple(torch.randint(1, UNITS, (40,), generator=generator).tolist()) for _ in range(count)]
        utterances = [Utterance(f"{i:04}", "", round(100 * seconds), one) for i, one in enumerate(tokens)]
        super().__init__(Path(), utterances, None)

    def load(self, index: int) -> Tensor:
        return 0.1 * torch.randn(self.samples, 1, generator=torch.Generator().manual_seed(index))


def config_of(above: str, keep: str) -> configuration.Config:
    """The experiment; `keep` is where a frozen part's output is kept."""
    encoder = {
        "kind": "pretrained", "architecture": {"model_type": "wav2vec2"}, "preprocessor": PREPROCESSOR,
    }  # fmt: skip
    room = {"computed": (0.0, 0.0), "memory": (8.0, 0.0), "disk": (1e-9, 8.0)}[keep]
    return configuration.parse(
        {
            "features": {"kind": "waveform"},
            "model": {"encoder": [encoder, *ABOVE[above]], "ctc": {}},
            "train": {"frozen_precision": "float16" if keep == "disk" else "as_computed"},
            "run": {"cache_frozen": room[0], "cache_frozen_disk": room[1]},
        }
    )


def epoch(model: Recognizer, data: SpeechDataset) -> float:
    """Measure the processor seconds of a training epoch."""
    optimizer = torch.optim.Adam([one for one in model.parameters() if one.requires_grad])
    began = time.process_time()
    for first in range(0, len(data), BATCH):
        optimizer.zero_grad(set_to_none=True)
        batch = data.batch(range(first, min(first + BATCH, len(data))))
        model.forward_with_loss(batch).loss.backward()
        optimizer.step()
    return round(time.process_time() - began, 3)


def measure(above: str, frozen: int, keep: str, data: SpeechDataset) -> dict[str, object]:
    """Measure an epoch with the `frozen` lowest layers frozen."""
    config = config_of(above, keep)
    model = fresh_model(config, UNITS, init_seed=0)
    assert isinstance(model, Recognizer)
    names = ("frontend", *(f"enc.{layer}" for layer in range(frozen))) if frozen else ()
    layers.freeze(model, names, dropout=False)
    node = Node(experiment="speed", train_set="noise", init_seed=0, epochs=1, patience=0, frozen=names)
    with tempfile.TemporaryDirectory() as folder:
        once = 0.0
        if keep != "computed":
            began = time.process_time()
            nothing = Noise(1, 0.1)
            data, _ = frozen_prefix.compute_once(
                model, node, config, data, nothing, torch.device("cpu"), Path(folder)
            )
            once = time.process_time() - began
        return {
            "above": above, "frozen": frozen, "keep": keep, "seconds": epoch(model, data),
            "once": round(once, 2),
        }  # fmt: skip


def main() -> None:
    """Measure all cases, printing each row when it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--utterances", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--frozen", type=int, nargs="+", default=[0, 6, 12])
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = Noise(args.utterances, args.seconds)
    for above in ABOVE:
        for frozen in args.frozen:
            for keep in ("computed", "memory", "disk") if frozen else ("computed",):
                print(json.dumps(measure(above, frozen, keep, data)), flush=True)


if __name__ == "__main__":
    main()
