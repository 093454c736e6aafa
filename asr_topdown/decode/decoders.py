"""Building a decoder from the configuration's section `decode`."""

import importlib
from collections.abc import Callable

from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.result import DecodeResult
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import Vocabulary

Decoder = Callable[[Tensor, Tensor], list[DecodeResult]]
"""(B, T, D) memory, the output of `Recognizer.encode`, and its (B,) lengths -> a result per utterance."""


def build_decoder(model: Recognizer, config: DecodeConfig, vocabulary: Vocabulary) -> Decoder:
    """Build the decoder that `config` names, on the model's device.

    Calls the function `decoder` in this package's module with the method's name.

    Raises:
        ValueError: if the model lacks a head that the decoder reads, or the language model does not fit.
    """
    config.check_heads(tuple(model.heads))
    module = importlib.import_module(f"asr_topdown.decode.{config.method}")
    decoder: Decoder = module.decoder(model, config, vocabulary)
    return decoder


def with_beam(model: Recognizer, config: DecodeConfig, beam: int) -> DecodeConfig:
    """Return `config` with a beam search of this width: its own, or if it is greedy, the model's usual one.

    A label head has no sequences to search and stays greedy.
    """
    method = config.method
    if method == "greedy" and model.label is None:
        usual = {"transducer": "transducer_beam", "ctc": "prefix_beam", "attention": "attention"}
        method = next(usual[head] for head in usual if head in model.heads)
        if {"ctc", "attention"} <= set(model.heads):
            method = "joint_beam"
    return config.model_copy(update={"method": method, "beam": beam, "nbest": min(beam, config.nbest)})
