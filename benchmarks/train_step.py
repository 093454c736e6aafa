"""Seconds per training step of every speech model, compared with ESPnet and SpeechBrain.

A batch is 16 utterances of 800 frames x 83 features with 80 labels from a vocabulary of 50; all of equal
length, ragged down to half, or changing: equal in a batch, each batch 4 frames shorter than the last, as in a
training, where nearly every batch has a shape of its own. A step is forward, backward, clipping and the
optimiser's update: Adadelta for the recurrent models, Adam for the Transformers, which have dropout 0.1.
Networks and optimisers are those of `peers/*_worker.py`; `parameters` shows which of them are equal.
SpeechBrain's Transformer has 64 and 32 channels in its front end where ESPnet's and ours have 256:
`transformer_narrow` is ours with 64.

Ours runs in float32 and under bf16 autocast, the peers in float32 (`--peer-precision`). All take turns, step
by step, each in its own process. With more than one thread, other work on the machine distorts times by far
more than its share; one thread and `--clock cpu` are robust. On a GPU in float32, cuDNN's convolutions and
LSTMs use TF32 and the square matrices do not, so shares are meaningful only in bfloat16.

Prints one JSON line per case: `contestants` with the median, minimum and maximum seconds, parameters and
loss; `times_faster`, the seconds of the fastest peer over each of ours; `matrix_gflops`, the rate of products
of square matrices with each library, measured in the same rounds; `share_of_matrix_rate`, ours relative to
the best of them in the same precision (not for changing lengths). With `--matrix-product auto torch`, ours
runs in float32 with each.

    benchmarks/peers.sh
    python benchmarks/train_step.py --threads 2 --lengths equal ragged
    python benchmarks/train_step.py --toolkits ours --models vgg_ctc_attention --profile
"""

import argparse
import json
import statistics
import sys

import torch
from contest import ContestantError, Turn, Worker, Workers, add_arguments, alternate, ratios, summary

from asr_topdown.nn.precision import available

MODELS = ["blstm_ctc", "blstm_ctc_attention", "vgg_ctc_attention", "transformer_ctc_attention"]
MORE = ["transformer_narrow", "conformer_ctc_attention"]
PRECISIONS = ["float32", "bfloat16"]
Rates = dict[str, dict[str, list[float]]]  # precision -> library -> FLOP/s
LENGTHS = ["equal", "ragged", "changing"]
LIBRARIES = ["auto", "torch", "onednn"]
SIZE = {"cpu": 2048, "cuda": 8192}  # of the square matrices


def measure(workers: Workers, model: str, lengths: str, args: argparse.Namespace) -> dict[str, object]:
    """Measure one case with all toolkits that support it."""
    case = {"model": model, "lengths": lengths, "device": args.device}
    built, failed = {}, {}
    for toolkit, worker in workers.items():
        try:
            built[toolkit] = worker("build", **case, scale=args.scale, clock=args.clock)
        except ContestantError as error:
            failed[toolkit] = str(error)
    losses: dict[str, float] = {}
    rates: Rates = {}
    times = alternate(_turns(workers, list(built), losses, rates, args), args)
    times = {name: values for name, values in times.items() if not name.startswith("matrix")}
    contestants = summary(times)
    for name, numbers in contestants.items():
        numbers |= {"parameters": built[name.split()[0]]["parameters"], "loss": round(losses[name], 3)}
    result = {
        **case,
        "threads": args.threads,
        "clock": args.clock,
        "contestants": contestants,
        "times_faster": ratios(times),
    }
    if rates and lengths != "changing":  # each step has another number of operations
        result |= _shares(workers["ours"]("flops"), times, rates)
    if args.profile:
        result["slowest"] = {name: workers["ours"]("profile", precision=name) for name in args.precision}
    return result | ({"failed": failed} if failed else {})


def _turns(
    workers: Workers, toolkits: list[str], losses: dict[str, float], rates: Rates, args: argparse.Namespace
) -> dict[str, Turn]:
    library, *more = args.matrix_product
    turns: dict[str, Turn] = {}
    for toolkit in toolkits:
        for precision in args.precision if toolkit == "ours" else args.peer_precision:
            name = f"{toolkit} {precision}"
            turns[name] = _step(workers[toolkit], name, library, losses)
    if "ours" in toolkits:
        for other in more:
            name = f"ours float32 {other}"
            turns[name] = _step(workers["ours"], name, other, losses)
        for precision in args.precision:
            turns[f"matrix {precision}"] = _product(workers["ours"], precision, SIZE[args.device], rates)
    return turns


def _step(worker: Worker, name: str, library: str, losses: dict[str, float]) -> Turn:
    precision = name.split()[1]

    def turn() -> float:
        answer = worker("step", precision=precision, library=library)
        losses.setdefault(name, answer["loss"])
        return float(answer["seconds"])

    return turn


def _product(worker: Worker, precision: str, size: int, rates: Rates) -> Turn:
    """Return a turn that collects rates; its seconds do not matter."""

    def turn() -> float:
        for library, rate in worker("product", precision=precision, size=size).items():
            rates.setdefault(precision, {}).setdefault(library, []).append(rate)
        return 0.0

    return turn


def _shares(flops: float, times: dict[str, list[float]], rates: Rates) -> dict[str, object]:
    """Return our speed relative to that of matrix products alone, with the best library."""
    medians = {
        precision: {library: statistics.median(values) for library, values in found.items()}
        for precision, found in rates.items()
    }
    shares = {
        precision: flops / statistics.median(times[f"ours {precision}"]) / max(found.values())
        for precision, found in medians.items()
    }
    return {
        "gflop": round(flops / 1e9, 1),
        "matrix_gflops": {
            precision: {library: round(rate / 1e9, 1) for library, rate in found.items()}
            for precision, found in medians.items()
        },
        "share_of_matrix_rate": {precision: round(share, 3) for precision, share in shares.items()},
    }


def main() -> None:
    """Run the chosen cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS + MORE)
    parser.add_argument("--lengths", nargs="+", default=["equal"], choices=LENGTHS)
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, help="of ours (default: all that the device has)"
    )
    parser.add_argument("--peer-precision", nargs="+", default=["float32"], choices=PRECISIONS)
    parser.add_argument(
        "--matrix-product",
        nargs="+",
        default=["auto"],
        choices=LIBRARIES,
        help="run.matrix_product of ours; each after the first is one more contestant, in float32",
    )
    parser.add_argument("--profile", action="store_true", help="name our slowest operations")
    args = parser.parse_args()
    if args.precision is None:
        device = torch.device(args.device)
        args.precision = [kind for kind in PRECISIONS if available(kind, device) == kind]
    with Workers(args.toolkits, threads=args.threads, peers=args.peers) as workers:
        for model in args.models:
            for lengths in args.lengths:
                print(json.dumps(measure(workers, model, lengths, args)), flush=True)


if __name__ == "__main__":
    try:
        main()
    except ContestantError as error:
        sys.exit(f"error: {error}")
