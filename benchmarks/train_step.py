"""Seconds per training step of the BLSTM-CTC, beside the same network written the usual way.

The network: 16 x 800 frames x 83 features, four BLSTM layers of 320 cells with projections of 320, time / 4
after two layers, 80 labels from a vocabulary of 50 (ESPnet's WSJ recipe in shape). The usual way is a packed
bidirectional `nn.LSTM` per layer. Both get the same weights and must give the same loss.

Printed: one JSON line per case with seconds (median of the repeats), the ratio usual/ours, and the share of
the machine's matrix-product rate, measured in the same run between the cases.

    python benchmarks/train_step.py --threads 1 2 --lengths equal ragged --precision float32 bfloat16
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr_topdown.losses import ctc_loss
from asr_topdown.models.ctc import BlstmCtc

BATCH, FRAMES, FEATURES, CELLS, LABELS, UNITS = 16, 800, 83, 320, 80, 50
SUBSAMPLE = (2, 2, 1, 1)


class PackedCtc(nn.Module):
    """The same network with packed bidirectional layers, and the weights of `twin`."""

    def __init__(self, twin: BlstmCtc) -> None:
        super().__init__()
        self.lstms = nn.ModuleList()
        for layer in twin.blstm:
            lstm = nn.LSTM(layer.forwards.input_size, CELLS, batch_first=True, bidirectional=True)
            with torch.no_grad():
                for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
                    getattr(lstm, name).copy_(getattr(layer.forwards, name))
                    getattr(lstm, f"{name}_reverse").copy_(getattr(layer.backwards, name))
            self.lstms.append(lstm)
        self.projections = nn.ModuleList(layer.projection for layer in twin.blstm)
        self.softmax = twin.softmax

    def loss(self, feats: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
        """Mean CTC loss."""
        hidden = feats
        for index, (lstm, projection) in enumerate(zip(self.lstms, self.projections, strict=True)):
            packed = pack_padded_sequence(hidden, lengths, batch_first=True)
            hidden, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True)
            hidden = projection(hidden)
            if index < len(self.lstms) - 1:
                hidden = torch.tanh(hidden)
            hidden = hidden[:, :: SUBSAMPLE[index]]
            lengths = -(-lengths // SUBSAMPLE[index])
        log_probs = self.softmax(hidden).float().log_softmax(-1)
        return ctc_loss(log_probs, lengths, tokens, token_lengths).mean()


def make_batch(kind: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random features and labels; ragged lengths fall evenly from all to half."""
    shares = torch.linspace(1.0, 1.0 if kind == "equal" else 0.5, BATCH)
    lengths, token_lengths = (shares * FRAMES).long(), (shares * LABELS).long()
    return (
        torch.randn(BATCH, FRAMES, FEATURES),
        lengths,
        torch.randint(1, UNITS, (BATCH, LABELS)),
        token_lengths,
    )


def step_flops(model: BlstmCtc, lengths: Tensor) -> float:
    """Multiply-adds x 2 of forward and backward (twice the forward) on real frames: the matrix products."""
    total = 0.0
    for layer in model.blstm:
        weights = sum(p.numel() for name, p in layer.named_parameters() if "weight" in name)
        total += 2 * weights * float(lengths.sum())
        lengths = layer.output_length(lengths)
    return 3 * (total + 2 * model.softmax.weight.numel() * float(lengths.sum()))


def matrix_rate(precision: str, size: int = 2048, repeats: int = 5) -> float:
    """FLOP/s of a square matrix product, the best of the repeats."""
    a, b = (torch.randn(size, size, dtype=getattr(torch, precision)) for _ in range(2))
    best = min(_seconds(lambda: a @ b) for _ in range(repeats + 1))
    return 2 * size**3 / best


def training_step(model: nn.Module, batch: tuple[Tensor, ...], precision: str) -> Callable[[], float]:
    """One forward, backward, clip and Adadelta update; returns the loss."""
    optimizer = torch.optim.Adadelta(model.parameters(), eps=1e-8)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = model.loss(*batch)
        total = loss if isinstance(loss, Tensor) else loss.total
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return float(total.detach())

    return step


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measure(kind: str, precision: str, threads: int, repeats: int, usual_repeats: int) -> dict[str, object]:
    """One case: ours and the usual way, alternating."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    ours = BlstmCtc(FEATURES, UNITS, layers=4, cells=CELLS, projection=CELLS, subsample=SUBSAMPLE)
    usual = PackedCtc(ours)
    batch = make_batch(kind)
    with torch.no_grad():
        gap = abs(float(ours.loss(*batch).total - usual.loss(*batch)))
    assert gap < 1e-3, f"the two networks differ: {gap}"
    flops = step_flops(ours, batch[1])
    step, usual_step = training_step(ours, batch, precision), training_step(usual, batch, precision)
    step()
    if kind == "equal":  # a ragged packed step takes so long that a first one is no colder than the next
        usual_step()
        usual_repeats = repeats
    times, usual_times = [], []
    for index in range(max(repeats, usual_repeats)):
        if index < usual_repeats:
            usual_times.append(_seconds(usual_step))
        if index < repeats:
            times.append(_seconds(step))
    rate = matrix_rate(precision)
    seconds, usual_seconds = statistics.median(times), statistics.median(usual_times)
    return {
        "lengths": kind,
        "precision": precision,
        "threads": threads,
        "seconds": round(seconds, 3),
        "range": [round(min(times), 3), round(max(times), 3)],
        "usual_seconds": round(usual_seconds, 3),
        "times_faster": round(usual_seconds / seconds, 2),
        "gflops": round(flops / seconds / 1e9, 1),
        "matrix_gflops": round(rate / 1e9, 1),
        "share_of_matrix_rate": round(flops / seconds / rate, 3),
        "parameters": sum(p.numel() for p in ours.parameters()),
    }


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--lengths", nargs="+", default=["equal", "ragged"], choices=["equal", "ragged"])
    parser.add_argument(
        "--precision", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"]
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--usual-repeats",
        type=int,
        default=1,
        help="on ragged lengths, where packing can take a minute a step",
    )
    args = parser.parse_args()
    for threads in args.threads:
        for precision in args.precision:
            for kind in args.lengths:
                result = measure(kind, precision, threads, args.repeats, args.usual_repeats)
                print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
