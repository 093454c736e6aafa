"""Seconds per training step of every speech model, in the paper's sizes.

16 utterances of 800 frames x 83 features, 80 labels from a vocabulary of 50; all as long, or ragged from all
to half (`train_step.py` makes the batch). A step is forward, backward, clipping and the optimiser's update:
Adadelta for the recurrent models, Adam for the Transformers, which have dropout 0.1.

For the recurrent CTC-attention models the same network is timed the usual way beside ours: packed
bidirectional `nn.LSTM`s, and a decoder loop of `nn.LSTMCell`, `conv1d`, `tanh` and `masked_fill` with
autograd's own gradients, with the same weights; both must give the same loss. They alternate, step by step.

Printed: one JSON line per case with seconds (median of the repeats), the ratio usual/ours where there is one,
and the share of the machine's matrix-product rate, measured in the same run. `--profile` names the slowest
operations. `--clock cpu` counts processor time instead of wall time, for a machine that is not quiet.

    python benchmarks/train_models.py --threads 1 2 --lengths equal ragged --precision float32 bfloat16
"""

import argparse
import json
import statistics
import time

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.flop_counter import FlopCounterMode
from train_step import FEATURES, UNITS, make_batch, matrix_rate

from asr_topdown import config as configuration
from asr_topdown.build import fresh_model
from asr_topdown.losses import ctc_loss, label_loss
from asr_topdown.models.ctc_attention import CtcAttention
from asr_topdown.nn.blstm import BlstmStack

MODELS = {
    "blstm_ctc": {
        "kind": "blstm_ctc", "layers": 4, "cells": 320, "projection": 320, "subsample": [2, 2, 1, 1],
    },
    "blstm_ctc_attention": {"kind": "blstm_ctc_attention", "encoder": {"subsample": [2, 2, 1, 1]}},
    "vgg_ctc_attention": {"kind": "vgg_ctc_attention"},
    "transformer_ctc_attention": {"kind": "transformer_ctc_attention"},
    "conformer_ctc_attention": {"kind": "transformer_ctc_attention", "encoder": {"block": "conformer"}},
}  # fmt: skip


class Usual(nn.Module):
    """A recurrent CTC-attention model with the weights of `twin`, written the usual way."""

    def __init__(self, twin: CtcAttention) -> None:
        super().__init__()
        self.twin = twin
        self.stack: BlstmStack = twin.encoder.blstm
        self.lstms = nn.ModuleList()
        for layer in self.stack:
            size = layer.forwards.input_size
            lstm = nn.LSTM(size, layer.forwards.hidden_size, batch_first=True, bidirectional=True)
            with torch.no_grad():
                for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
                    getattr(lstm, name).copy_(getattr(layer.forwards, name))
                    getattr(lstm, f"{name}_reverse").copy_(getattr(layer.backwards, name))
            self.lstms.append(lstm)

    def encode(self, hidden: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Packed layers, over what the VGG front end gives where there is one."""
        if hasattr(self.twin.encoder, "vgg"):
            hidden, lengths = self.twin.encoder.vgg(hidden, lengths)
        for layer, lstm in zip(self.stack, self.lstms, strict=True):
            packed = pack_padded_sequence(hidden, lengths, batch_first=True)
            hidden = layer.projection(pad_packed_sequence(lstm(packed)[0], batch_first=True)[0])
            if layer.squash:
                hidden = torch.tanh(hidden)
            hidden, lengths = hidden[:, :: layer.subsample], -(-lengths // layer.subsample)
        return hidden, lengths

    def decode(self, memory: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """The label loop; keys are computed once, as ESPnet does too."""
        decoder, attention = self.twin.decoder, self.twin.decoder.attention
        padding = torch.arange(memory.shape[1]) >= lengths[:, None]
        keys = attention.memory(memory)
        weights = (~padding).float() / lengths[:, None]
        hidden = cell = memory.new_zeros(len(memory), decoder.outputs)
        outputs = []
        for embedded in decoder.embedding(tokens).unbind(1):
            filtered = attention.location(attention.filters(weights[:, None]).transpose(1, 2))
            energy = attention.energy(torch.tanh(keys + filtered + attention.query(hidden)[:, None]))[..., 0]
            weights = (2.0 * energy.masked_fill(padding, -torch.inf)).softmax(-1)
            context = (weights[:, None] @ memory)[:, 0]
            hidden, cell = decoder.cell(torch.cat([embedded, context], -1), (hidden, cell))
            outputs.append(hidden)
        return torch.stack(outputs, 1)

    def loss(self, feats: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
        """As the twin's."""
        twin = self.twin
        memory, lengths = self.encode(feats, lengths)
        ctc = ctc_loss(twin.ctc_log_probs(memory), lengths, tokens, token_lengths)
        read, predict, real = twin._with_ends(tokens, token_lengths)
        log_probs = twin.softmax.label_log_probs(self.decode(memory, lengths, read))
        attention = label_loss(log_probs, predict, real, smoothing=0.0)
        return (twin.ctc_weight * ctc + (1 - twin.ctc_weight) * attention).mean()


class Step:
    """One training step of a model, timed in its parts."""

    def __init__(self, model: nn.Module, batch: tuple[Tensor, ...], precision: str, optimizer: str) -> None:
        self.model, self.batch, self.precision = model, batch, precision
        make = torch.optim.Adam if optimizer == "adam" else torch.optim.Adadelta
        self.optimizer = make(model.parameters())

    def __call__(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16"):
            loss = self.model.loss(*self.batch)
        (loss if isinstance(loss, Tensor) else loss.total).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()

    def flops(self) -> float:
        """Of matrix products, convolutions and attention; `nn.LSTM` goes uncounted."""
        with FlopCounterMode(display=False) as counter:
            self()
        return float(counter.get_total_flops())


def lstm_flops(model: nn.Module, lengths: Tensor) -> float:
    """Forward and backward (twice the forward) of `nn.LSTM`s, which the counter does not see."""
    encoder = getattr(model, "encoder", model)
    if hasattr(encoder, "vgg"):
        lengths = encoder.vgg.output_length(lengths)
    total = 0.0
    for layer in getattr(encoder, "blstm", ()):
        weights = sum(p.numel() for name, p in layer.named_parameters() if "weight_" in name)
        total += 6 * weights * float(lengths.sum())
        lengths = layer.output_length(lengths)
    return total


def measure(
    name: str, kind: str, precision: str, threads: int, args: argparse.Namespace
) -> dict[str, object]:
    """One case: ours, and the usual way beside it where that is asked for."""
    torch.set_num_threads(threads)
    config = configuration.parse({"features": {"fbank": {"num_mels": FEATURES}}, "model": MODELS[name]})
    model = fresh_model(config, UNITS, 0)
    batch = make_batch(kind)
    optimizer = "adam" if "former" in name else "adadelta"
    step = Step(model, batch, precision, optimizer)
    flops = step.flops() + lstm_flops(model, batch[1])
    contestants = {"ours": step}
    if hasattr(getattr(model, "encoder", None), "blstm") and (kind == "equal" or args.usual_ragged):
        usual = Usual(model)
        with torch.no_grad():
            gap = abs(float(model.loss(*batch).total - usual.loss(*batch)))
        assert gap < 1e-2, f"the two networks differ: {gap}"
        contestants["usual"] = Step(usual, batch, precision, optimizer)
        contestants["usual"]()
    times: dict[str, list[float]] = {who: [] for who in contestants}
    for _ in range(args.repeats):
        for who, contestant in contestants.items():
            times[who].append(seconds(contestant, args.clock))
    rate = matrix_rate(precision)
    ours = statistics.median(times["ours"])
    result = {
        "model": name,
        "lengths": kind,
        "precision": precision,
        "threads": threads,
        "clock": args.clock,
        "seconds": round(ours, 3),
        "range": [round(min(times["ours"]), 3), round(max(times["ours"]), 3)],
        "gflops": round(flops / ours / 1e9, 1),
        "matrix_gflops": round(rate / 1e9, 1),
        "share_of_matrix_rate": round(flops / ours / rate, 3),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    if "usual" in times:
        other = statistics.median(times["usual"])
        result |= {"usual_seconds": round(other, 3), "times_faster": round(other / ours, 2)}
    if args.profile:
        result["slowest"] = slowest(step)
    return result


def slowest(step: Step, count: int = 6) -> list[str]:
    """The operations that a step spends most of its time in."""
    with torch.profiler.profile() as profile:
        step()
    rows = sorted(profile.key_averages(), key=lambda row: row.self_cpu_time_total, reverse=True)
    total = sum(row.self_cpu_time_total for row in rows)
    return [f"{row.key} {row.self_cpu_time_total / total:.0%} x{row.count}" for row in rows[:count]]


def seconds(step: Step, clock: str) -> float:
    """Wall time of one step, or the processor time of all threads."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    started = now()
    step()
    return now() - started


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--lengths", nargs="+", default=["equal"], choices=["equal", "ragged"])
    parser.add_argument("--precision", nargs="+", default=["float32"], choices=["float32", "bfloat16"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", default="wall", choices=["wall", "cpu"])
    parser.add_argument("--usual-ragged", action="store_true", help="where packing can take a minute a step")
    parser.add_argument("--profile", action="store_true", help="name the slowest operations")
    args = parser.parse_args()
    for threads in args.threads:
        for precision in args.precision:
            for kind in args.lengths:
                for name in args.models:
                    print(json.dumps(measure(name, kind, precision, threads, args)), flush=True)


if __name__ == "__main__":
    main()
