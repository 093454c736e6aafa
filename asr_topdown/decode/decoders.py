"""From the section `decode` of a configuration to a decoder: memory in, hypotheses out."""

import importlib
from collections.abc import Callable

from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.result import DecodeResult
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import Vocabulary

Decoder = Callable[[Tensor, Tensor], list[DecodeResult]]
"""(B, T, D) memory, what `Recognizer.encode` gives, and its (B,) lengths -> a result for each utterance."""


def build_decoder(model: Recognizer, config: DecodeConfig, vocabulary: Vocabulary) -> Decoder:
    """The decoder that `config` names, with `model` on the device that it is on.

    It is made by the function `decoder` in the module of this package that has the method's name.

    Raises:
        ValueError: for a decoder that reads a head that this model has not, or a language model that does not
            fit.
    """
    config.check_heads(tuple(model.heads))
    module = importlib.import_module(f"asr_topdown.decode.{config.method}")
    decoder: Decoder = module.decoder(model, config, vocabulary)
    return decoder


def with_beam(model: Recognizer, config: DecodeConfig, beam: int) -> DecodeConfig:
    """`config` with a beam search of this width: its own, or if it is greedy the model's usual one.

    Of labels there are no sequences to search: these stay greedy.
    """
    method = config.method
    if method == "greedy" and model.label is None:
        usual = {"transducer": "transducer_beam", "ctc": "prefix_beam", "attention": "attention"}
        method = next(usual[head] for head in usual if head in model.heads)
        if {"ctc", "attention"} <= set(model.heads):
            method = "joint_beam"
    return config.model_copy(update={"method": method, "beam": beam, "nbest": min(beam, config.nbest)})
