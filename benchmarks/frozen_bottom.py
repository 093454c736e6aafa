"""Seconds and memory per epoch that freezing the lowest layers saves. Prints JSON.

    python benchmarks/frozen_bottom.py [--layers 4] [--hidden-size 320] [--utterances 64]

For each number k of frozen lowest layers of a BLSTM-CTC: an epoch in which they are computed (without
gradient), one in which their output is read from memory, and the cost of computing it once. k = 0 is joint
training. Each measurement has its own process; `megabytes` is its peak memory minus that before training.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

from asr_topdown import layers
from asr_topdown.build import build_recognizer
from asr_topdown.config.model import BlstmConfig, CtcConfig, RecognizerConfig
from asr_topdown.data.batch import SpeechBatch, collate

FRAMES, INPUTS, UNITS, BATCH = 400, 83, 50, 16


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Measure one epoch, in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    encoder = BlstmConfig(num_layers=args.layers, hidden_size=args.hidden_size)
    model = build_recognizer(RecognizerConfig(encoder=(encoder,), ctc=CtcConfig()), "torch", INPUTS, UNITS)
    layers.freeze(model, [f"blstm.{i}" for i in range(args.frozen)], dropout=True)
    batches = [made(seed) for seed in range(args.utterances // BATCH)]
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
    once = 0.0
    if args.cached:
        began = time.perf_counter()
        with torch.no_grad():
            hidden = [model.encode(batch.feats, batch.feat_lengths, stop=args.frozen) for batch in batches]
        once = time.perf_counter() - began
        batches = [
            batch._replace(feats=frames, feat_lengths=lengths, start=args.frozen)
            for batch, (frames, lengths) in zip(batches, hidden, strict=True)
        ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        model.forward_with_loss(batch).loss.backward()
        optimizer.step()
    seconds = time.perf_counter() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": round(seconds, 2), "once": round(once, 2), "megabytes": round(grown / 1024)}


def made(seed: int) -> SpeechBatch:
    """Make a batch of noise."""
    generator = torch.Generator().manual_seed(seed)
    feats = [torch.randn(FRAMES, INPUTS, generator=generator) for _ in range(BATCH)]
    tokens = [torch.randint(1, UNITS, (40,), generator=generator).tolist() for _ in range(BATCH)]
    return collate([str(i) for i in range(BATCH)], feats, tokens)


def main() -> None:
    """Measure everything, or, with --frozen, one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden-size", type=int, default=320)
    parser.add_argument("--utterances", type=int, default=64)
    parser.add_argument("--frozen", type=int)
    parser.add_argument("--cached", action="store_true")
    args = parser.parse_args()
    if args.frozen is not None:
        print(json.dumps(measure(args)))
        return
    rows = []
    for frozen in range(args.layers + 1):
        for cached in (False, True) if frozen else (False,):
            command = [
                sys.executable,
                Path(__file__),
                "--layers",
                args.layers,
                "--hidden-size",
                args.hidden_size,
            ]
            command += ["--utterances", args.utterances, "--frozen", frozen]
            told = subprocess.run(
                [*map(str, command), *(["--cached"] if cached else [])], capture_output=True, text=True
            )
            if told.returncode:
                sys.exit(told.stderr)
            rows.append({"frozen": frozen, "cached": cached, **json.loads(told.stdout)})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
