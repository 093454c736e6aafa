"""This project as a contestant; run by the benchmarks in the environment that they run in themselves."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from worker import FEATURES, UNITS, Batch, Contestant, serve

from asr_topdown import config as configuration
from asr_topdown.build import fresh_model
from asr_topdown.decode.beam_options import BeamOptions
from asr_topdown.decode.joint_beam import joint_beam
from asr_topdown.models.ctc_attention import CtcAttention
from asr_topdown.train.allocator import keep_freed_memory
from asr_topdown.train.optim import build_optimizer

NETWORKS: dict[str, dict[str, Any]] = {
    "blstm_ctc": {
        "kind": "blstm_ctc", "layers": 4, "cells": 320, "projection": 320, "subsample": [2, 2, 1, 1],
    },
    "blstm_ctc_attention": {"kind": "blstm_ctc_attention", "encoder": {"subsample": [2, 2, 1, 1]}},
    "vgg_ctc_attention": {"kind": "vgg_ctc_attention"},
    "transformer_ctc_attention": {"kind": "transformer_ctc_attention"},
    "transformer_narrow": {"kind": "transformer_ctc_attention", "encoder": {"channels": 64}},
    "conformer_ctc_attention": {"kind": "transformer_ctc_attention", "encoder": {"block": "conformer"}},
}  # fmt: skip


class Ours(Contestant):
    """The networks of the paper and the card; <sos/eos> is a 51st unit of the decoder."""

    def build(self, model: str) -> nn.Module:
        return fresh_model(_config(model), UNITS, 0)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        total: Tensor = network.loss(*batch).total  # type: ignore[operator]
        return total

    def optimizer(self, model: str, network: nn.Module) -> torch.optim.Optimizer:
        return build_optimizer(network, _config(model).train.optimizer)

    def flops(self, network: nn.Module, batch: Batch) -> float:
        """Of forward and backward: matrix products, convolutions, attention, LSTMs.

        All but the LSTMs compute the padding too, so that one utterance tells what the others cost.
        """
        feats, lengths, tokens, token_lengths = batch
        with FlopCounterMode(display=False) as counter:
            self.loss(network, (feats[:1], lengths[:1], tokens[:1], token_lengths[:1])).backward()
        network.zero_grad(set_to_none=True)
        return len(feats) * float(counter.get_total_flops()) + lstm_flops(network, lengths)

    def search(
        self, network: nn.Module, model: str, *, beam: int, ctc_weight: float, tokens: int
    ) -> Callable[[Tensor], list[int]]:
        assert isinstance(network, CtcAttention)

        def run(feats: Tensor) -> list[int]:
            lengths = torch.full((len(feats),), feats.shape[1], device=feats.device)
            memory, lengths = network.encode(feats, lengths)
            ratio = tokens / memory.shape[1]  # at least and at most so many labels
            options = BeamOptions(
                beam=beam, ctc_weight=ctc_weight, min_length_ratio=ratio, max_length_ratio=ratio
            )
            results = joint_beam(
                memory,
                lengths,
                units=UNITS,
                options=options,
                ctc_log_probs=network.ctc_log_probs(memory),
                decoder=network.scorer,
            )
            return [len(result.best.ids) for result in results]

        return run


def _config(model: str) -> configuration.Config:
    optimizer = {"name": "adam", "lr": 1e-4} if "former" in model else {"name": "adadelta", "lr": 1.0}
    return configuration.parse(
        {
            "features": {"fbank": {"num_mels": FEATURES}},
            "model": NETWORKS[model],
            "train": {"optimizer": optimizer},
        }
    )


def lstm_flops(network: nn.Module, lengths: Tensor) -> float:
    """Of the `nn.LSTM`s on real frames, which the counter does not see; backward is twice the forward."""
    encoder: Any = getattr(network, "encoder", network)
    if hasattr(encoder, "vgg"):
        lengths = encoder.vgg.output_length(lengths)
    total = 0.0
    for layer in getattr(encoder, "blstm", ()):
        weights = sum(value.numel() for name, value in layer.named_parameters() if "weight_" in name)
        total += 6 * weights * float(lengths.sum())
        lengths = layer.output_length(lengths)
    return total


if __name__ == "__main__":
    keep_freed_memory()  # as in every training
    serve(Ours())
