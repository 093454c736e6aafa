"""Seconds per training step of the AWD-LSTM, cost of the weight drop, and share of the matrix product rate.

One step reads --batch columns of --bptt words: forward, backward, clipping, SGD. It is timed alternately with
the weight drop and without (a plain LSTM, whose weights cuDNN need not gather again), and compared with
products of large square matrices in the same precision, by the fastest of the machine's libraries. Only
operations of matrix products are counted, 6 for each weight of the LSTMs and the softmax and each word: 0.42
PFLOP for an epoch of WikiText-2. Prints one JSON line.

    python benchmarks/awd_lstm.py --device cuda --precision bfloat16
    python benchmarks/awd_lstm.py --words 4845 --embedding-size 80 --hidden-size 160 --batch 20 --bptt 35

(The last is egs/wikitext2/conf/cpu.yaml.)
"""

import argparse
import json
import statistics
from collections.abc import Callable

import torch

from asr_topdown.config.model import AwdLstmConfig
from asr_topdown.data.language_model import LanguageModelBatch
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.nn.matrix_product import rates, seconds
from asr_topdown.train.nt_asgd import NtAsgd

TRAINING_WORDS = 2_088_628


def training_step(model: AwdLstm, args: argparse.Namespace) -> Callable[[], None]:
    """Make an update on random words, carrying the state over."""
    device = torch.device(args.device)
    words = torch.randint(args.words, (args.bptt + 1, args.batch), device=device)
    optimizer = NtAsgd(model.parameters(), lr=1.0, weight_decay=1.2e-6)
    state: list[tuple[torch.Tensor, ...]] = [()]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=args.precision == "bfloat16"):
            batch = LanguageModelBatch(("rows",), words[:-1], words[1:])
            output = model.forward_with_loss(batch, state[0])
        state[0] = output.hidden_state
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()

    return step


def measure(args: argparse.Namespace) -> dict[str, object]:
    """Measure everything."""
    steps = {}
    for name, drop in (("dropped", 0.5), ("plain", 0.0)):
        torch.manual_seed(0)
        config = AwdLstmConfig(
            embedding_size=args.embedding_size, hidden_size=args.hidden_size, weight_dropout=drop
        )
        model = AwdLstm(vocab_size=args.words, **config.model_dump(exclude={"kind"}))
        steps[name] = training_step(model.to(args.device).train(), args)
        for _ in range(args.warm_up):
            steps[name]()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(args.repeats):
        for name, step in steps.items():
            times[name].append(seconds(step, args.device))
    medians = {name: statistics.median(values) for name, values in times.items()}
    weights = sum(value.numel() for name, value in model.named_parameters() if "weight" in name)
    flops = 6 * weights * args.batch * args.bptt
    size, dtype = (8192 if args.device != "cpu" else 1024), getattr(torch, args.precision)
    found = rates(size, dtype, args.device)
    gpu = args.device != "cpu"
    return {
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "threads": torch.get_num_threads(),
        "precision": args.precision,
        "parameters": sum(value.numel() for value in model.parameters()),
        "step_seconds": medians["dropped"],
        "range": [min(times["dropped"]), max(times["dropped"])],
        "plain_lstm_step_seconds": medians["plain"],
        "weight_drop_share": 1 - medians["plain"] / medians["dropped"],
        "epoch_seconds": medians["dropped"] * args.training_words / (args.batch * args.bptt),
        "epoch_pflop": 6e-15 * weights * args.training_words,
        "tflops": 1e-12 * flops / medians["dropped"],
        "matrix_tflops": {library: 1e-12 * rate for library, rate in found.items()},
        "share_of_matrix_rate": flops / medians["dropped"] / max(found.values()),
        "peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if gpu else None,
    }


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--words", type=int, default=33_278)
    parser.add_argument("--embedding-size", type=int, default=400)
    parser.add_argument("--hidden-size", type=int, default=1150)
    parser.add_argument("--batch", type=int, default=80)
    parser.add_argument("--bptt", type=int, default=70)
    parser.add_argument("--training-words", type=int, default=TRAINING_WORDS)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=10)
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
