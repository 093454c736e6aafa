"""From the section `decode` of a configuration to a search: features in, hypotheses out."""

import functools
from collections.abc import Callable
from dataclasses import fields

from torch import Tensor, nn

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.beam_options import BeamOptions
from asr_topdown.decode.greedy import ctc_greedy
from asr_topdown.decode.joint_beam import joint_beam
from asr_topdown.decode.language_model import load_language_model
from asr_topdown.decode.prefix_beam import ctc_prefix_beam
from asr_topdown.decode.result import DecodeResult
from asr_topdown.decode.scorer import LabelScorer, Scorer
from asr_topdown.decode.transducer_beam import transducer_beam
from asr_topdown.decode.transducer_greedy import MAX_SYMBOLS, transducer_greedy
from asr_topdown.models.ctc_attention import CtcAttention
from asr_topdown.models.transducer import Transducer
from asr_topdown.text import Vocabulary

Search = Callable[[Tensor, Tensor], list[DecodeResult]]
"""(B, T, D) features and (B,) lengths -> a result for each utterance."""
METHODS = {
    "ctc": ("greedy", "prefix_beam", "joint_beam", "attention"),
    "transducer": ("greedy", "transducer_beam"),
}
"""What a model's `forward` gives (its `output_kind`) -> what `decode.method` can be."""
BEAM_METHODS = {"ctc": "prefix_beam", "transducer": "transducer_beam"}
"""The beam search of a model that reads its outputs alone."""


def build_search(model: nn.Module, config: DecodeConfig, vocabulary: Vocabulary) -> Search:
    """The search that `config` names, with `model` on the device that it is on.

    Raises:
        ValueError: for a search that this model cannot do, or a language model that does not fit.
    """
    kind = str(model.output_kind)
    if config.method not in METHODS[kind]:
        able = ", ".join(METHODS[kind])
        raise ValueError(f"decode.method: {config.method} is not for a {kind} model, which can do {able}")
    if config.method == "greedy":
        greedy = greedy_search(model, max_symbols=config.max_symbols)
        return lambda feats, lengths: greedy(*model(feats, lengths))
    if config.method == "prefix_beam":
        return lambda feats, lengths: ctc_prefix_beam(
            *model(feats, lengths), beam=config.beam, nbest=config.nbest
        )
    lm = None
    if config.lm and config.lm_weight:
        lm = load_language_model(config.lm, vocabulary, next(model.parameters()).device)
    if config.method == "transducer_beam":
        return _transducer_search(model, config, lm)
    options = beam_options(config)
    if options.ctc_weight < 1 and not isinstance(model, CtcAttention):
        raise ValueError(
            f"decode.method: {config.method} needs an attention decoder, and this model has none; "
            "use prefix_beam, or joint_beam with a ctc_weight of 1"
        )
    return _label_search(model, options, len(vocabulary), lm)


def greedy_search(model: nn.Module, *, max_symbols: int = MAX_SYMBOLS) -> Search:
    """The greedy search of the outputs that `model` gives for features, (B, T', …), and their lengths."""
    if isinstance(model, Transducer):
        return functools.partial(transducer_greedy, model, max_symbols=max_symbols)
    return ctc_greedy


def beam_options(config: DecodeConfig) -> BeamOptions:
    """The settings of the joint search; attention alone is one with a CTC weight of 0."""
    options = {field.name: getattr(config, field.name) for field in fields(BeamOptions)}
    return BeamOptions(**{**options, "ctc_weight": 0.0} if config.method == "attention" else options)


def with_beam(model: nn.Module, config: DecodeConfig, beam: int) -> DecodeConfig:
    """`config` with a beam search of this width: its own, or if it is greedy the model's usual one."""
    usual = "joint_beam" if isinstance(model, CtcAttention) else BEAM_METHODS[str(model.output_kind)]
    method = usual if config.method == "greedy" else config.method
    return config.model_copy(update={"method": method, "beam": beam, "nbest": min(beam, config.nbest)})


def _transducer_search(model: nn.Module, config: DecodeConfig, lm: LabelScorer | None) -> Search:
    assert isinstance(model, Transducer)
    search = functools.partial(
        transducer_beam,
        model,
        beam=config.beam,
        nbest=config.nbest,
        max_symbols=config.max_symbols,
        lm=lm,
        lm_weight=config.lm_weight,
        length_bonus=config.length_bonus,
    )
    return lambda feats, lengths: search(*model(feats, lengths))


def _label_search(model: nn.Module, options: BeamOptions, units: int, lm: Scorer | None) -> Search:
    """`joint_beam` with an attention decoder, or of a CTC output alone."""

    def search(feats: Tensor, lengths: Tensor) -> list[DecodeResult]:
        if not isinstance(model, CtcAttention):
            log_probs, lengths = model(feats, lengths)
            return joint_beam(
                log_probs, lengths, units=units, options=options, ctc_log_probs=log_probs, lm=lm
            )
        memory, lengths = model.encode(feats, lengths)
        return joint_beam(
            memory,
            lengths,
            units=units,
            options=options,
            ctc_log_probs=model.ctc_log_probs(memory) if options.ctc_weight else None,
            decoder=model.scorer,
            lm=lm,
        )

    return search
