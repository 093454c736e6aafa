"""What the contestants of a benchmark share: the data, the step, and the pipe that tells them when to run.

A contestant is a program in an environment of its own that calls `serve`. This file needs only PyTorch.
"""

import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

BATCH, FRAMES, FEATURES, LABELS, UNITS = 16, 800, 83, 80, 50
MODELS = ("blstm_ctc", "blstm_ctc_attention", "vgg_ctc_attention", "transformer_ctc_attention")
# A score that no label that goes on can be worse than: whoever has it on <eos> runs to the length asked for.
NEVER = -1e4
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class Contestant(Protocol):
    """A toolkit: how it builds a network of `MODELS`, what it trains it with, how it searches."""

    def build(self, model: str) -> nn.Module:
        """With fresh weights, on the CPU."""
        ...

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """What one minimises on (features (B, T, D), lengths (B,), labels (B, L), lengths (B,))."""
        ...

    def optimizer(self, model: str, network: nn.Module) -> torch.optim.Optimizer:
        """Over the network's parameters."""
        ...

    def multiplying(self, network: nn.Module, library: str) -> contextlib.AbstractContextManager[None]:
        """A context in which a CPU's float32 matrix products go to this library, auto to the faster one."""
        return contextlib.nullcontext()

    def in_int8(self, network: nn.Module, device: str) -> nn.Module:
        """A copy that multiplies in int8; asked of ours only."""
        raise NotImplementedError

    def search(
        self, network: nn.Module, model: str, *, beam: int, ctc_weight: float, tokens: int
    ) -> Callable[[Tensor], list[int]]:
        """Joint beam search that runs for `tokens` labels: features (B, T, D) -> the best ones' lengths."""
        ...


def serve(contestant: Contestant) -> None:
    """Answer each JSON line {"call": method of `_Worker`, …arguments} with another, until there are no more.

    The answers go to the file whose number is the program's argument: libraries print what they like.
    """
    answers = os.fdopen(int(sys.argv[1]), "w")
    worker = _Worker(contestant)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"is": getattr(worker, order.pop("call"))(**order)}
        except Exception as error:  # whatever it is, the other side must hear of it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


class _Worker:
    """One contestant with the network that it holds."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant

    def build(self, model: str, device: str, lengths: str, scale: float, clock: str) -> dict[str, Any]:
        """Make the network and the batch; says how many numbers it learns."""
        torch.manual_seed(0)
        self.model, self.device, self.clock = model, device, clock
        self.network = self.contestant.build(model).to(device)
        self.optimizer = self.contestant.optimizer(model, self.network)
        self.batch, self.lengths = speech_batch(lengths, device, scale), lengths
        learnt = sum(value.numel() for value in self.network.parameters() if value.requires_grad)
        return {"parameters": learnt, "torch": torch.__version__, "threads": torch.get_num_threads()}

    def step(self, precision: str, library: str = "auto") -> dict[str, float]:
        """Forward, backward, clipping, update: seconds, and the loss before it."""
        self.network.train()
        losses: list[Tensor] = []
        if self.lengths == "changing":
            self.batch = next_batch(self.batch)
        with self.contestant.multiplying(self.network, library if precision == "float32" else "torch"):
            seconds = timed(lambda: losses.append(self._step(precision)), self.device, self.clock)
        return {"seconds": seconds, "loss": float(losses[0])}

    def _step(self, precision: str) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = self.contestant.loss(self.network, self.batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        return loss.detach()

    def flops(self) -> float:
        """Of a step; asked of ours only."""
        return self.contestant.flops(self.network, self.batch)

    def profile(self, precision: str, count: int = 8) -> list[str]:
        """The operations in which a step spends most of its time: share, name, calls."""
        with torch.profiler.profile() as profile:
            self._step(precision)
        on_gpu = self.device == "cuda"
        rows = [
            (row.self_device_time_total if on_gpu else row.self_cpu_time_total, row.key, row.count)
            for row in profile.key_averages()
        ]
        total = sum(seconds for seconds, _, _ in rows)
        return [
            f"{time / total:.0%} {name} x{calls}" for time, name, calls in sorted(rows)[: -count - 1 : -1]
        ]

    def product(self, precision: str, size: int) -> dict[str, float]:
        """FLOP/s of a product of square matrices by each library; asked of ours only."""
        return self.contestant.product(getattr(torch, precision), size, self.device, CLOCKS[self.clock])

    def prepare_search(self, beam: int, ctc_weight: float, tokens: int, int8: bool) -> None:
        """For the network that was built, and on request for a copy of it in int8."""
        networks = {"float32": self.network.eval()}
        if int8:
            networks["int8"] = self.contestant.in_int8(self.network, self.device)
        self.searches = {
            precision: self.contestant.search(
                network, self.model, beam=beam, ctc_weight=ctc_weight, tokens=tokens
            )
            for precision, network in networks.items()
        }

    def decode(self, utterances: int, precision: str) -> dict[str, Any]:
        """The first of the batch's utterances together, encoder included: seconds, labels of the best."""
        feats = self.batch[0][:utterances]
        search = self.searches.get(precision, self.searches["float32"])
        lengths: list[list[int]] = []

        def run() -> None:
            with torch.no_grad(), torch.autocast(
                self.device, torch.bfloat16, enabled=precision == "bfloat16"
            ):  # fmt: skip
                lengths.append(search(feats))

        return {"seconds": timed(run, self.device, self.clock), "tokens": lengths[0]}


def timed(call: Callable[[], Any], device: str, clock: str = "wall") -> float:
    """Seconds that it takes, until the device has finished: on the wall, or of the processor ("cpu")."""
    finish = torch.cuda.synchronize if device == "cuda" else lambda: None
    now = CLOCKS[clock]
    finish()
    started = now()
    call()
    finish()
    return now() - started


def speech_batch(lengths: str, device: str, scale: float = 1.0) -> Batch:
    """Features, their lengths, labels, theirs: "ragged" from all falling evenly to half; else equal.

    `scale` shortens the utterances, for a trial.
    """
    torch.manual_seed(0)
    frames, labels = int(FRAMES * scale), int(LABELS * scale)
    shares = torch.linspace(1.0, 0.5 if lengths == "ragged" else 1.0, BATCH)
    return (
        torch.randn(BATCH, frames, FEATURES).to(device),
        (shares * frames).long().to(device),
        torch.randint(1, UNITS - 1, (BATCH, labels)).to(device),
        (shares * labels).long().to(device),
    )


def next_batch(batch: Batch, frames: int = 4) -> Batch:
    """A batch like another, whose utterances are so many frames shorter."""
    feats, lengths, *labels = batch
    return feats[:, :-frames].contiguous(), lengths - frames, *labels


def torch_optimizer(model: str, network: nn.Module) -> torch.optim.Optimizer:
    """As ESPnet's and SpeechBrain's recipes make it: PyTorch's class as it stands."""
    if model.startswith("transformer"):
        return torch.optim.Adam(network.parameters(), lr=1e-4)
    return torch.optim.Adadelta(network.parameters(), eps=1e-8)
