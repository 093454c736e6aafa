"""From a configuration to objects: the only module that knows both sides."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from asr_topdown.config import Config
from asr_topdown.config.model import (
    AttentionConfig,
    AttentionHeadConfig,
    AwdLstmConfig,
    EncoderConfig,
    RecognizerConfig,
    TransducerConfig,
)
from asr_topdown.config.section import Section
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.models.heads.attention import AttentionDecoder, AttentionHead
from asr_topdown.models.heads.ctc import CtcHead
from asr_topdown.models.heads.label import LabelHead
from asr_topdown.models.heads.transducer import TransducerHead
from asr_topdown.models.model import Model
from asr_topdown.models.pretrained import pretrained_stages
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn.block import stack
from asr_topdown.nn.blstm import blstm_stages
from asr_topdown.nn.conformer import ConformerLayer
from asr_topdown.nn.conv2d import conv2d_stages
from asr_topdown.nn.e_branchformer import EBranchformerLayer
from asr_topdown.nn.lstm_decoder import LstmDecoder
from asr_topdown.nn.predictor import LstmPredictor
from asr_topdown.nn.stage import Stage
from asr_topdown.nn.transformer import TransformerLayer
from asr_topdown.nn.transformer_decoder import TransformerDecoder
from asr_topdown.nn.vgg import vgg_stages

# The kind of a section -> what takes its settings by name. A test holds the two sides together.
ENCODERS: Mapping[str, Callable[..., Sequence[Stage]]] = {
    "blstm": blstm_stages,
    "conformer": functools.partial(stack, ConformerLayer),
    "conv2d": conv2d_stages,
    "e_branchformer": functools.partial(stack, EBranchformerLayer),
    "pretrained": pretrained_stages,
    "transformer": functools.partial(stack, TransformerLayer),
    "vgg": vgg_stages,
}
DECODERS: Mapping[str, Callable[..., AttentionDecoder]] = {
    "lstm": LstmDecoder,
    "transformer": TransformerDecoder,
}


def build_model(config: Config, vocab_size: int) -> Model:
    """The network of `config`, with weights drawn from the global generator.

    Raises:
        ValueError: naming the section whose settings are incompatible.
    """
    if isinstance(config.model, AwdLstmConfig):
        return AwdLstm(vocab_size=vocab_size, **_settings(config.model))
    input_size = config.features.size
    return build_recognizer(config.model, config.run.transducer_loss, input_size, vocab_size)


def fresh_model(config: Config, vocab_size: int, init_seed: int) -> Model:
    """A network with the initial weights of `init_seed`; the global random state is unchanged."""
    # The CPU's generator alone: weights are drawn there, and a GPU need not be touched.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(init_seed)
        return build_model(config, vocab_size)


def build_recognizer(
    model: RecognizerConfig, transducer_loss: str, input_size: int, vocab_size: int
) -> Recognizer:
    """The recogniser for features of `input_size`; `transducer_loss` is the back end of `nn.transducer_loss`.

    Raises:
        ValueError: as `build_model`.
    """
    stages = _stages(model.encoder, input_size)
    sizes = {"memory_size": stages[-1].output_size, "vocab_size": vocab_size}
    # What a seed means depends on the order in which weights are drawn: the output layers of CTC and
    # attention come after the decoder.
    transducer = None if model.transducer is None else _transducer(model.transducer, transducer_loss, **sizes)
    decoded = None if model.attention is None else (model.attention, _decoder(model.attention, **sizes))
    ctc = None if model.ctc is None else CtcHead(**sizes, label_smoothing=model.ctc.label_smoothing)
    attention = None if decoded is None else _attention(*decoded, vocab_size)
    label = None if model.label is None else LabelHead(**sizes, **_settings(model.label))
    heads = {"ctc": model.ctc, "attention": model.attention, "transducer": model.transducer}
    weights = {name: head.weight for name, head in heads.items() if head is not None}
    try:
        return Recognizer(
            stages=stages,
            ctc=ctc,
            attention=attention,
            transducer=transducer,
            label=label,
            weights=weights | {"label": None},
        )
    except ValueError as error:
        raise ValueError(f"model: {error}") from None


def _stages(encoder: Sequence[EncoderConfig], input_size: int) -> list[Stage]:
    stages: list[Stage] = []
    for index, section in enumerate(encoder):
        try:
            stages += ENCODERS[section.kind](input_size, **_settings(section))
        except ValueError as error:
            raise ValueError(f"model.encoder.{index} ({section.kind}): {error}") from None
        input_size = stages[-1].output_size
    return stages


def _decoder(section: AttentionConfig, *, memory_size: int, vocab_size: int) -> AttentionDecoder:
    of_the_head = {*AttentionHeadConfig.model_fields, "kind"}
    settings = section.model_dump(exclude=of_the_head)
    try:
        return DECODERS[section.kind](vocab_size=vocab_size + 1, memory_size=memory_size, **settings)
    except ValueError as error:
        raise ValueError(f"model.attention ({section.kind}): {error}") from None


def _attention(section: AttentionConfig, decoder: AttentionDecoder, vocab_size: int) -> AttentionHead:
    return AttentionHead(
        decoder=decoder,
        vocab_size=vocab_size,
        label_smoothing=section.label_smoothing,
        smoothing_prior=section.smoothing_prior,
    )


def _transducer(
    section: TransducerConfig, loss_backend: str, *, memory_size: int, vocab_size: int
) -> TransducerHead:
    return TransducerHead(
        predictor=LstmPredictor(vocab_size=vocab_size, **section.predictor.model_dump()),
        memory_size=memory_size,
        joiner_size=section.joiner_size,
        vocab_size=vocab_size,
        loss_backend=loss_backend,
    )


def _settings(section: Section) -> dict[str, Any]:
    return {name: value for name, value in section if name != "kind"}
