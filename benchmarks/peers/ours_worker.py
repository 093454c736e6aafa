"""This project as a contestant; run by the benchmarks in the environment that they run in themselves."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from worker import FEATURES, UNITS, Batch, Contestant, serve

from asr_topdown import config as configuration
from asr_topdown.build import fresh_model
from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.decode.joint_beam import joint_beam
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn import matrix_product
from asr_topdown.nn.quantized import dynamic_int8
from asr_topdown.nn.reuse import keep_memory_and_kernels
from asr_topdown.train.optim import build_optimizer

BLSTM = {"kind": "blstm", "projection_size": 320}
SUBSAMPLED = {**BLSTM, "subsample": [2, 2, 1, 1]}
LSTM = {"ctc": {"weight": 0.3}, "attention": {"kind": "lstm"}}
DECODER = {"ctc": {"weight": 0.3}, "attention": {"kind": "transformer"}}
CONV2D, TRANSFORMER = {"kind": "conv2d"}, {"kind": "transformer"}
NETWORKS: dict[str, dict[str, Any]] = {
    "blstm_ctc": {"encoder": [SUBSAMPLED], "ctc": {}},
    "blstm_ctc_attention": {"encoder": [SUBSAMPLED], **LSTM},
    "vgg_ctc_attention": {"encoder": [{"kind": "vgg"}, BLSTM], **LSTM},
    "transformer_ctc_attention": {"encoder": [CONV2D, TRANSFORMER], **DECODER},
    "transformer_narrow": {"encoder": [{**CONV2D, "channels": 64}, TRANSFORMER], **DECODER},
    "conformer_ctc_attention": {"encoder": [CONV2D, {"kind": "conformer"}], **DECODER},
}


class Ours(Contestant):
    """The networks of the paper and the card; <sos/eos> is a 51st unit of the decoder."""

    def build(self, model: str) -> nn.Module:
        return fresh_model(_config(model), UNITS, 0)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(network, Recognizer)
        return network.forward_with_loss(SpeechBatch(("",) * len(batch[0]), *batch)).loss

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

    def multiplying(self, network: nn.Module, library: str) -> AbstractContextManager[None]:
        return matrix_product.installed(matrix_product.choose(library, network))

    def product(
        self, dtype: torch.dtype, size: int, device: str, clock: Callable[[], float]
    ) -> dict[str, float]:
        """FLOP/s of a product of square matrices by each library, the best of three."""
        return matrix_product.rates(size, dtype, device, repeats=3, clock=clock)

    def in_int8(self, network: nn.Module, device: str) -> nn.Module:
        return dynamic_int8(network, torch.device(device))

    def search(
        self, network: nn.Module, model: str, *, beam: int, ctc_weight: float, tokens: int
    ) -> Callable[[Tensor], list[int]]:
        assert isinstance(network, Recognizer)
        assert network.ctc is not None
        assert network.attention is not None
        ctc, decoder = network.ctc, network.attention.scorer

        def run(feats: Tensor) -> list[int]:
            lengths = torch.full((len(feats),), feats.shape[1], device=feats.device)
            memory, lengths = network.encode(feats, lengths)
            ratio = tokens / memory.shape[1]  # at least and at most so many labels
            config = DecodeConfig(
                method="joint_beam",
                beam=beam,
                ctc_weight=ctc_weight,
                min_length_ratio=ratio,
                max_length_ratio=ratio,
            )
            results = joint_beam(
                memory,
                lengths,
                vocab_size=UNITS,
                config=config,
                ctc_log_probs=ctc.log_probs(memory),
                decoder=decoder,
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
    assert isinstance(network, Recognizer)
    total = 0.0
    for name, stage in network.chain():
        if name.startswith("blstm"):
            weights = sum(value.numel() for key, value in stage.named_parameters() if "weight_" in key)
            total += 6 * weights * float(lengths.sum())
        lengths = stage.output_lengths(lengths)
    return total


if __name__ == "__main__":
    keep_memory_and_kernels()  # as in every training
    serve(Ours())
