"""Cost of a recipe's trainings: measured on this CPU, estimated for a GPU by counting operations.

For a configuration of egs/wsj, egs/librispeech or egs/swbd: one training step on a batch of the size on the
corpus (utterances of the corpus's mean length), measured in processor seconds of one thread; and the floating
point operations of its matrix products, convolutions and LSTMs, forward and backward. From these, per epoch
of the whole corpus: core hours here, and *estimated* hours of a GPU with the given speed on such a network
(`--teraflops`; default 3 for LSTMs, whose steps are sequential, and 10 for Transformers). That speed is an
assumption, not a measurement, and so the estimate depends on it.

Prints one JSON line per configuration.

    python benchmarks/recipe_hours.py egs/wsj/conf/blstm_ctc.yaml egs/swbd/conf/transformer_ctc_attention.yaml
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from asr_topdown import config as configuration
from asr_topdown.build import fresh_model
from asr_topdown.config import Config
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.features.front_end import front_end_dim
from asr_topdown.models.model import Model
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn.reuse import keep_memory_and_kernels
from asr_topdown.train.optim import build_optimizer

sys.path.append(str(Path(__file__).parent / "peers"))
from ours_worker import lstm_flops

RECIPES = Path(__file__).resolve().parent.parent / "egs"


class Corpus(NamedTuple):
    """Sizes of a training set, from its recipe's README."""

    utterances: int
    frames: int
    labels: dict[str, int]  # unit -> labels of the mean utterance
    units: dict[str, int]  # unit -> size of the vocabulary


CORPORA = {
    "wsj": Corpus(37_416, 29_200_000, {"char": 97}, {"char": 49}),
    # train-clean-100; a mean utterance of train-clean-5 is taken to be as long.
    "librispeech": Corpus(28_539, 36_200_000, {"char": 184, "bpe": 65}, {"char": 30, "bpe": 500}),
    "librispeech/mini": Corpus(1_519, 1_930_000, {"char": 184, "bpe": 100}, {"char": 30, "bpe": 200}),
    "swbd": Corpus(193_000, 103_000_000, {"char": 75, "bpe": 23}, {"char": 50, "bpe": 2000}),
}


def make_batch(config: Config, corpus: Corpus) -> SpeechBatch:
    """Make random features and labels for a batch of this configuration, of mean utterances."""
    frames = corpus.frames // corpus.utterances
    size = min(config.train.utterances_per_batch, config.train.frames_per_batch // frames)
    labels = corpus.labels[config.text.unit]
    return SpeechBatch(
        ("",) * size,
        torch.randn(size, frames, front_end_dim(config.features.fbank, config.features.deltas)),
        torch.full((size,), frames),
        torch.randint(1, corpus.units[config.text.unit], (size, labels)),
        torch.full((size,), labels),
    )


def count_flops(model: Model, batch: SpeechBatch) -> float:
    """Count operations, forward and backward, of a batch of equal lengths, from one utterance."""
    with FlopCounterMode(display=False) as counter:
        model.forward_with_loss(batch.rows([0])).loss.backward()
    return len(batch.ids) * float(counter.get_total_flops()) + lstm_flops(model, batch.feat_lengths)


def step_seconds(model: Model, batch: SpeechBatch, optimizer: torch.optim.Optimizer) -> float:
    """Measure the processor time of one training step."""
    started = time.process_time()
    optimizer.zero_grad(set_to_none=True)
    model.forward_with_loss(batch).loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    return time.process_time() - started


def measure(path: Path, repeats: int, teraflops: float | None) -> dict[str, object]:
    """Measure one configuration."""
    config = configuration.load(path)
    teraflops = teraflops or (10.0 if any("former" in stage.kind for stage in config.model.encoder) else 3.0)
    corpus = CORPORA[str(path.resolve().parent.relative_to(RECIPES)).replace("/conf", "")]
    model = fresh_model(config, corpus.units[config.text.unit], 0)
    batch = make_batch(config, corpus)
    if isinstance(model, Recognizer):
        model.set_prior(batch.tokens.tolist())
    optimizer = build_optimizer(model, config.train.optimizer)
    flops = count_flops(model, batch)
    took = statistics.median(step_seconds(model, batch, optimizer) for _ in range(repeats))
    batches = corpus.utterances / len(batch.ids)
    return {
        "configuration": str(path),
        "batch": list(batch.feats.shape),
        "cpu_seconds_per_batch": round(took, 2),
        "cpu_gflops": round(flops / took / 1e9, 1),
        "batches_per_epoch": round(batches),
        "cpu_core_hours_per_epoch": round(batches * took / 3600, 1),
        "teraflop_per_epoch": round(batches * flops / 1e12),
        "assumed_gpu_teraflops": teraflops,
        "estimated_gpu_hours_per_epoch": round(batches * flops / (teraflops * 1e12) / 3600, 3),
    }


def main() -> None:
    """Measure the given configurations."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configurations", nargs="+", type=Path, help="egs/{wsj,librispeech,swbd}/conf/*.yaml")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--teraflops", type=float, help="assumed of the GPU")
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory_and_kernels()  # as in every training
    for path in args.configurations:
        print(json.dumps(measure(path, args.repeats, args.teraflops)), flush=True)


if __name__ == "__main__":
    main()
