"""From a configuration to objects: the only module that knows both sides."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from asr_topdown.config import Config
from asr_topdown.config.model import (
    BlstmCtcAttentionConfig,
    CtcAttentionConfig,
    TransducerConfig,
    TransformerCtcAttentionConfig,
    VggCtcAttentionConfig,
)
from asr_topdown.features.front_end import front_end_dim
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.models.ctc import BlstmCtc
from asr_topdown.models.ctc_attention import CtcAttention
from asr_topdown.models.model import Model
from asr_topdown.models.transducer import Transducer
from asr_topdown.nn.encoders import BlstmEncoder, Encoder, TransformerEncoder, VggBlstmEncoder
from asr_topdown.nn.lstm_decoder import LstmDecoder
from asr_topdown.nn.predictor import LstmPredictor
from asr_topdown.nn.transformer import TransformerDecoder


def build_model(config: Config, units: int) -> Model:
    """The network of `config` for a vocabulary of `units`, with weights drawn from the global generator."""
    return BUILDERS[config.model.kind](config, units)


def fresh_model(config: Config, units: int, init_seed: int) -> Model:
    """A network with the initial weights of `init_seed`; the global random state is left as it was."""
    # The CPU's generator alone: weights are drawn there, and a GPU need not be touched.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(init_seed)
        return build_model(config, units)


def _blstm_ctc(config: Config, units: int) -> Model:
    return BlstmCtc(_inputs(config), units, **config.model.model_dump(exclude={"kind"}))


def _blstm_ctc_attention(config: Config, units: int) -> Model:
    assert isinstance(config.model, BlstmCtcAttentionConfig)
    encoder = BlstmEncoder(_inputs(config), **config.model.encoder.model_dump())
    return _with_lstm_decoder(encoder, config.model, units)


def _vgg_ctc_attention(config: Config, units: int) -> Model:
    assert isinstance(config.model, VggCtcAttentionConfig)
    encoder = VggBlstmEncoder(_inputs(config), **config.model.encoder.model_dump())
    return _with_lstm_decoder(encoder, config.model, units)


def _with_lstm_decoder(
    encoder: Encoder, model: BlstmCtcAttentionConfig | VggCtcAttentionConfig, units: int
) -> Model:
    decoder = LstmDecoder(units + 1, encoder.outputs, **model.decoder.model_dump())
    return CtcAttention(encoder, decoder, units, **_joint_loss(model))


def _transformer_ctc_attention(config: Config, units: int) -> Model:
    model = config.model
    assert isinstance(model, TransformerCtcAttentionConfig)
    encoder = TransformerEncoder(_inputs(config), **model.encoder.model_dump())
    decoder = TransformerDecoder(units + 1, encoder.outputs, **model.decoder.model_dump())
    return CtcAttention(encoder, decoder, units, norm=True, **_joint_loss(model))


def _transducer(config: Config, units: int) -> Model:
    model = config.model
    assert isinstance(model, TransducerConfig)
    kind = model.encoder.kind
    encoder = ENCODERS[kind](_inputs(config), **model.encoder.model_dump(exclude={"kind"}))
    predictor = LstmPredictor(units, **model.predictor.model_dump())
    settings = model.model_dump(include={"joint", "ctc_weight"})
    return Transducer(
        encoder, predictor, units, norm=kind == "transformer", loss=config.run.transducer_loss, **settings
    )


def _joint_loss(model: CtcAttentionConfig) -> dict[str, Any]:
    return model.model_dump(include=set(CtcAttentionConfig.model_fields))


def _inputs(config: Config) -> int:
    return front_end_dim(config.features.fbank, config.features.deltas)


def _awd_lstm(config: Config, units: int) -> Model:
    return AwdLstm(units, **config.model.model_dump(exclude={"kind"}))


ENCODERS: Mapping[str, Callable[..., Encoder]] = {
    "blstm": BlstmEncoder,
    "vgg": VggBlstmEncoder,
    "transformer": TransformerEncoder,
}
BUILDERS: Mapping[str, Callable[[Config, int], Model]] = {
    "blstm_ctc": _blstm_ctc,
    "blstm_ctc_attention": _blstm_ctc_attention,
    "vgg_ctc_attention": _vgg_ctc_attention,
    "transformer_ctc_attention": _transformer_ctc_attention,
    "transducer": _transducer,
    "awd_lstm": _awd_lstm,
}
