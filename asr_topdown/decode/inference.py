"""Recognition of a batch: from features to results, in the configured precision."""

from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.decoders import build_decoder
from asr_topdown.decode.result import DecodeResult
from asr_topdown.logs import warn_once
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn.precision import autocast, set_tf32, slowness
from asr_topdown.nn.quantized import dynamic_int8
from asr_topdown.text import Vocabulary


class Inferred(NamedTuple):
    """A batch's results.

    Attributes:
        results: one per utterance.
        lengths: (B,) in frames of the encoder's output.
        ctc_log_probs: (B, T, V) float32; None without a CTC head.
    """

    results: list[DecodeResult]
    lengths: Tensor
    ctc_log_probs: Tensor | None


class Inference:
    """Runs the encoder and the decoder, and computes the CTC head's output.

    Matrix products and LSTMs use `decode.precision`; scores, log-softmax and a language model stay in at
    least float32, which a GPU does not round (TF32), whatever the training before in this process allowed.

    Args:
        model: in eval mode; it is not changed.
        config: how to decode.
        vocabulary: the network's output units.

    Raises:
        ValueError: if the model lacks a head that the decoder reads, if the language model does not fit, or
            for int8 on a device other than a CPU.
    """

    def __init__(self, model: Recognizer, config: DecodeConfig, vocabulary: Vocabulary) -> None:
        self.device = model.device
        self._precision = config.precision
        if remark := slowness(config.precision, self.device, "decode.precision"):
            warn_once(remark)
        set_tf32("float32", self.device)
        if config.precision == "int8":
            model = dynamic_int8(model, self.device)
        self._network = model
        self._decode = build_decoder(model, config, vocabulary)

    @torch.no_grad()
    def __call__(self, feats: Tensor, lengths: Tensor, start: int, host_lengths: Tensor) -> Inferred:
        """Recognise a batch.

        Args:
            feats: (B, T, D), or for `start` > 0 the output of the encoder's stage `start` - 1.
            lengths: (B,) frames.
            start: the first stage to run.
            host_lengths: `lengths` on the CPU.
        """
        with autocast(self._precision, self.device):
            memory, lengths = self._network.encode(feats, lengths, start, host_lengths=host_lengths)
            results = self._decode(memory, lengths)
            ctc = self._network.ctc
            return Inferred(results, lengths, None if ctc is None else ctc.log_probs(memory))
