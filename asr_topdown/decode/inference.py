"""A network that recognises: from features to results, in the precision that `decode:` names."""

from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.dataset import say_once
from asr_topdown.decode.decoders import build_decoder
from asr_topdown.decode.result import DecodeResult
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn.precision import autocast, slowness
from asr_topdown.nn.quantized import dynamic_int8
from asr_topdown.text import Vocabulary


class Inferred(NamedTuple):
    """What was found in a batch.

    Attributes:
        results: for each utterance.
        lengths: (B,) frames of the memory.
        ctc_log_probs: (B, T, V) float32, what the CTC head says; None without one.
    """

    results: list[DecodeResult]
    lengths: Tensor
    ctc_log_probs: Tensor | None


class Inference:
    """Encoder, decoder and CTC's output, one after the other.

    Matrix products and LSTMs are computed as `decode.precision` says; scores, log-softmax and a language
    model stay in float32 at least.

    Args:
        model: in eval mode; it is not changed.
        config: how to decode.
        vocabulary: the units that the network puts out.

    Raises:
        ValueError: for a decoder that this model has not the heads for, a language model that does not fit,
            or int8 on another device than a CPU.
    """

    def __init__(self, model: Recognizer, config: DecodeConfig, vocabulary: Vocabulary) -> None:
        self.device = model.device
        self._precision = config.precision
        if remark := slowness(config.precision, self.device, "decode.precision"):
            say_once(remark)
        if config.precision == "int8":
            model = dynamic_int8(model, self.device)
        self._network = model
        self._decode = build_decoder(model, config, vocabulary)

    @torch.no_grad()
    def __call__(self, feats: Tensor, lengths: Tensor, start: int, host_lengths: Tensor) -> Inferred:
        """Recognise a batch.

        Args:
            feats: (B, T, D), or for `start` > 0 what stage `start` - 1 of the encoder gave.
            lengths: (B,) frames.
            start: the first stage.
            host_lengths: `lengths` on the CPU.
        """
        with autocast(self._precision, self.device):
            memory, lengths = self._network.encode(feats, lengths, start, host_lengths=host_lengths)
            results = self._decode(memory, lengths)
            ctc = self._network.ctc
            return Inferred(results, lengths, None if ctc is None else ctc.log_probs(memory))
