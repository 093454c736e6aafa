"""The settings of each kind of model: what `model:` may hold in an experiment's YAML."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from asr_topdown.config.section import Section


class BlstmStackConfig(Section):
    """Bidirectional LSTM layers on top of each other."""

    layers: int = Field(4, ge=1)
    cells: int = Field(320, ge=1, description="LSTM cells in each direction")
    projection: int = Field(0, ge=0, description="size of the linear layer after each BLSTM layer; 0 = none")
    subsample: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="keep every k-th frame after layer i; missing entries are 1"
    )
    norm: bool = Field(False, description="layer normalisation after each BLSTM layer")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="on the output of each BLSTM layer")

    @model_validator(mode="after")
    def _subsample_fits(self) -> "BlstmStackConfig":
        if len(self.subsample) > self.layers:
            raise ValueError(f"subsample lists {len(self.subsample)} factors for {self.layers} layers")
        return self


class BlstmCtcConfig(BlstmStackConfig):
    """A stack of bidirectional LSTM layers under a CTC output layer."""

    kind: Literal["blstm_ctc"] = "blstm_ctc"
    stack: int = Field(1, ge=1, description="input frames joined into one, and the step between them")


class BlstmEncoderConfig(BlstmStackConfig):
    """Frame stacking, then bidirectional LSTM layers."""

    projection: int = Field(320, ge=0, description="size of the linear layer after each layer; 0 = none")
    stack: int = Field(1, ge=1, description="input frames joined into one, and the step between them")


class VggEncoderConfig(BlstmStackConfig):
    """Four convolutions and two poolings, time and frequency / 4; then bidirectional LSTM layers."""

    projection: int = Field(320, ge=0, description="size of the linear layer after each layer; 0 = none")
    channels: int = Field(1, ge=1, description="cut a frame into so many images; features.deltas + 1, or 1")
    filters: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = Field(
        (64, 128), description="of the convolutions in the first block and in the second"
    )


class TransformerEncoderConfig(Section):
    """Convolutional subsampling, time / 4; then Transformer or Conformer blocks."""

    block: Literal["transformer", "conformer"] = "transformer"
    blocks: int = Field(12, ge=1)
    dim: int = Field(256, ge=2, multiple_of=2, description="size of a frame; the decoder's too")
    heads: int = Field(4, ge=1)
    hidden: int = Field(2048, ge=1, description="size of the feed-forward layers")
    channels: int = Field(0, ge=0, description="of the subsampling convolutions; 0 = dim")
    kernel: int = Field(31, ge=1, description="frames that a Conformer's convolution sees, odd")
    conv_norm: Literal["layer", "batch"] = Field("layer", description="in a Conformer's convolution module")
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    attention_dropout: float = Field(0.0, ge=0.0, lt=1.0, description="on the attention weights")

    @model_validator(mode="after")
    def _divides(self) -> "TransformerEncoderConfig":
        if self.dim % self.heads:
            raise ValueError(f"{self.heads} heads cannot share a dim of {self.dim}")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel}")
        return self


class LstmDecoderConfig(Section):
    """An LSTM with location-aware attention."""

    embedding: int = Field(320, ge=1, description="size of an embedded label")
    cells: int = Field(320, ge=1)
    attention: int = Field(320, ge=1, description="size of the space in which state and frames are compared")
    filters: int = Field(10, ge=1, description="convolution filters over the last label's weights")
    width: int = Field(100, ge=1, description="frames to each side that a filter sees")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="on the embedded labels and the output")


class TransformerDecoderConfig(Section):
    """Transformer blocks of the encoder's `dim`."""

    blocks: int = Field(6, ge=1)
    heads: int = Field(4, ge=1)
    hidden: int = Field(2048, ge=1, description="size of the feed-forward layers")
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    attention_dropout: float = Field(0.0, ge=0.0, lt=1.0, description="on the attention weights")


class CtcAttentionConfig(Section):
    """What all models have in common that train a CTC output and an attention decoder together."""

    ctc_weight: float = Field(0.3, ge=0.0, le=1.0, description="of the CTC loss; the other has the rest")
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0, description="of the attention loss")
    smoothing_prior: Literal["uniform", "unigram"] = Field(
        "uniform", description="what the smoothed-off share is given to: all units alike, or by frequency"
    )


class BlstmCtcAttentionConfig(CtcAttentionConfig):
    """BLSTM CTC-attention (Kim et al. 2017), the paper's "A"."""

    kind: Literal["blstm_ctc_attention"] = "blstm_ctc_attention"
    encoder: BlstmEncoderConfig = BlstmEncoderConfig()
    decoder: LstmDecoderConfig = LstmDecoderConfig()


class VggCtcAttentionConfig(CtcAttentionConfig):
    """VGG-BLSTM CTC-attention (Hori et al. 2017), the paper's "B"."""

    kind: Literal["vgg_ctc_attention"] = "vgg_ctc_attention"
    encoder: VggEncoderConfig = VggEncoderConfig()
    decoder: LstmDecoderConfig = LstmDecoderConfig()


class TransformerCtcAttentionConfig(CtcAttentionConfig):
    """Transformer or Conformer CTC-attention (Karita et al. 2019)."""

    kind: Literal["transformer_ctc_attention"] = "transformer_ctc_attention"
    encoder: TransformerEncoderConfig = TransformerEncoderConfig()
    decoder: TransformerDecoderConfig = TransformerDecoderConfig()

    @model_validator(mode="after")
    def _heads_fit(self) -> "TransformerCtcAttentionConfig":
        if self.encoder.dim % self.decoder.heads:
            raise ValueError(f"{self.decoder.heads} decoder heads cannot share a dim of {self.encoder.dim}")
        return self


class TransducerBlstmConfig(BlstmEncoderConfig):
    """The encoder of `blstm_ctc_attention`."""

    kind: Literal["blstm"] = "blstm"


class TransducerVggConfig(VggEncoderConfig):
    """The encoder of `vgg_ctc_attention`."""

    kind: Literal["vgg"] = "vgg"


class TransducerTransformerConfig(TransformerEncoderConfig):
    """The encoder of `transformer_ctc_attention`; with `block: conformer` a Conformer."""

    kind: Literal["transformer"] = "transformer"


class PredictorConfig(Section):
    """An LSTM over the labels."""

    embedding: int = Field(320, ge=1, description="size of an embedded label")
    cells: int = Field(320, ge=1)
    layers: int = Field(1, ge=1)
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="on the embedded labels and each layer's output")


class TransducerConfig(Section):
    """Transducer (Graves 2012)."""

    kind: Literal["transducer"] = "transducer"
    encoder: Annotated[
        TransducerBlstmConfig | TransducerVggConfig | TransducerTransformerConfig,
        Field(discriminator="kind"),
    ] = TransducerBlstmConfig()
    predictor: PredictorConfig = PredictorConfig()
    joint: int = Field(320, ge=1, description="size of the space in which frames and labels meet")
    ctc_weight: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="of an auxiliary CTC loss on the encoder; the other has the rest",
    )

    @field_validator("encoder", mode="before")
    @classmethod
    def _default_encoder(cls, values: Any) -> Any:
        return {"kind": "blstm", **values} if isinstance(values, Mapping) else values


class AwdLstmConfig(Section):
    """A language model: LSTM layers with dropped weights over words (Merity et al. 2018)."""

    kind: Literal["awd_lstm"] = "awd_lstm"
    layers: int = Field(3, ge=1)
    cells: int = Field(
        1150, ge=1, description="of each layer but the last, which is as wide as the embedding"
    )
    embedding: int = Field(400, ge=1)
    tied: bool = Field(True, description="one matrix for the words at the input and at the output")
    drop_words: float = Field(0.1, ge=0.0, lt=1.0, description="of whole words at the input")
    drop_input: float = Field(0.65, ge=0.0, lt=1.0, description="on the words' vectors")
    drop_between: float = Field(0.2, ge=0.0, lt=1.0, description="on the output of each layer but the last")
    drop_output: float = Field(0.4, ge=0.0, lt=1.0, description="on the output of the last layer")
    drop_weights: float = Field(0.5, ge=0.0, le=1.0, description="of the hidden-to-hidden matrices")
    activation: float = Field(2.0, ge=0.0, description="AR: weight of the last layer's mean square")
    slowness: float = Field(1.0, ge=0.0, description="TAR: weight of the mean square of its change in time")


ModelConfig = Annotated[
    BlstmCtcConfig
    | BlstmCtcAttentionConfig
    | VggCtcAttentionConfig
    | TransformerCtcAttentionConfig
    | TransducerConfig
    | AwdLstmConfig,
    Field(discriminator="kind"),
]
