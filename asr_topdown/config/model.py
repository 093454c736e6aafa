"""The settings of a network: what `model:` may hold in an experiment's YAML.

Defaults are defined only here: the constructors in `nn` and `models` have none, and `build.py`
passes them a section's settings by name. Compatibility is checked where settings are used.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from asr_topdown import pretrained_folder
from asr_topdown.config.section import Section

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Size = Annotated[int, Field(ge=1)]
HeadWeight = Annotated[float, Field(gt=0.0, le=1.0)] | None
WEIGHT = "of this head's loss; the weights add up to 1, and one head's may be left out"


class BlstmConfig(Section):
    """Bidirectional LSTM layers on top of each other (`nn.blstm`)."""

    kind: Literal["blstm"] = "blstm"
    num_layers: Size = 4
    hidden_size: Size = Field(320, description="of the LSTM in each direction")
    projection_size: int = Field(0, ge=0, description="of the linear layer after each layer; 0 = none")
    stack: Size = Field(1, description="number of input frames stacked into one, and the stride")
    subsample: tuple[Size, ...] = Field(
        (), description="keep every k-th frame after layer i; missing entries are 1"
    )
    norm: bool = Field(False, description="layer normalisation after each layer")
    dropout: Probability = Field(0.0, description="on the output of each layer")


class VggConfig(Section):
    """Four convolutions and two poolings, time and frequency / 4 (`nn.vgg`)."""

    kind: Literal["vgg"] = "vgg"
    channels: Size = Field(
        1, description="number of input channels into which a frame is split: features.deltas + 1, or 1"
    )
    filters: tuple[Size, Size] = Field(
        (64, 128), description="channels of the convolutions in the first and second block"
    )


class Conv2dConfig(Section):
    """Two strided convolutions and a linear layer, time / 4 (`nn.conv2d`)."""

    kind: Literal["conv2d"] = "conv2d"
    channels: Size = Field(256, description="of both convolutions")
    output_size: Size = 256


class BlocksConfig(Section):
    """Settings shared by all stacks of self-attention blocks."""

    num_layers: Size = 12
    d_model: Size = Field(
        256, description="model dimension; input of another size goes through a linear layer"
    )
    num_heads: Size = 4
    ffn_dim: Size = Field(2048, description="size of the feed-forward layers")
    dropout: Probability = 0.1
    attention_dropout: Probability = Field(0.0, description="on the attention weights")


class TransformerConfig(BlocksConfig):
    """Transformer blocks (`nn.transformer`)."""

    kind: Literal["transformer"] = "transformer"


class ConformerConfig(BlocksConfig):
    """Conformer blocks (`nn.conformer`)."""

    kind: Literal["conformer"] = "conformer"
    kernel_size: Size = Field(31, description="kernel size of the convolution in frames, odd")
    conv_norm: Literal["layer", "batch"] = Field(
        "layer", description="normalisation in the convolution module"
    )


class EBranchformerConfig(BlocksConfig):
    """E-Branchformer blocks (`nn.e_branchformer`)."""

    kind: Literal["e_branchformer"] = "e_branchformer"
    ffn_dim: Size = Field(1024, description="size of the feed-forward layers")
    cgmlp_dim: Size = Field(2048, description="size of the gated branch, even")
    kernel_size: Size = Field(31, description="kernel size of the gate's convolution in frames, odd")
    merge_kernel_size: Size = Field(31, description="kernel size of the merging convolution in frames, odd")


class PretrainedConfig(Section):
    """A published speech encoder: wav2vec 2.0 and similar models, Whisper's (`models.pretrained`).

    What is read from `path` is stored in `architecture`, `preprocessor` and `weights`, which a trained
    model keeps; the path itself is not part of a name.
    """

    kind: Literal["pretrained"] = "pretrained"
    path: str = Field("", exclude=True, description="its folder, or its name on the Hugging Face hub")
    architecture: dict[str, Any] = Field({}, description="content of its config.json; read from path")
    preprocessor: dict[str, Any] = Field(
        {}, description="content of its preprocessor_config.json; read from path"
    )
    weights: str = Field(
        "", description="hash of its weights, read from path; with only an architecture they are random"
    )
    output: Literal["last", "all"] | tuple[int, ...] = Field(
        "last", description="layers whose outputs are used: 0 is the frontend, 1 the layer enc.0, …"
    )
    mix: Literal["last", "concat", "weighted"] = Field(
        "last", description="last: one layer; concat: several concatenated; weighted: their weighted sum"
    )
    random: int = Field(
        0, ge=0, description="number of the network's highest layers that start from random weights"
    )
    dropout: Probability = Field(0.0, description="on the output of each layer")

    @model_validator(mode="before")
    @classmethod
    def _read_path(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("path"), str) or not values["path"]:
            return values
        found = pretrained_folder.read(values["path"])
        if values.get("weights", found.weights) != found.weights:
            raise ValueError(
                f"path: {values['path']} holds other weights ({found.weights}) than `weights` says"
            )
        for name in ("architecture", "preprocessor"):
            given, own = values.get(name), getattr(found, name)
            if isinstance(given, dict) and given and given != own:
                other = next(key for key in sorted({*given, *own}) if given.get(key) != own.get(key))
                raise ValueError(
                    f"path: {values['path']} has another {name} than `{name}` says "
                    f"({other}: {own.get(other)!r}, not {given.get(other)!r}): leave one of them out"
                )
        return {**values, **found._asdict()}


EncoderConfig = Annotated[
    BlstmConfig
    | VggConfig
    | Conv2dConfig
    | TransformerConfig
    | ConformerConfig
    | EBranchformerConfig
    | PretrainedConfig,
    Field(discriminator="kind"),
]


class CtcConfig(Section):
    """A CTC output (`models.heads.ctc`)."""

    weight: HeadWeight = Field(None, description=WEIGHT)
    label_smoothing: Probability = Field(
        0.0,
        description="weight in the training loss, not on dev, of a penalty on sure frames (Kim et al. 2018)",
    )


class AttentionHeadConfig(Section):
    """Settings shared by all attention decoders (`models.heads.attention`)."""

    weight: HeadWeight = Field(None, description=WEIGHT)
    label_smoothing: Probability = Field(
        0.0,
        description="probability mass taken from the right unit, also in the dev loss",
    )
    smoothing_prior: Literal["uniform", "unigram"] = Field(
        "uniform", description="how the smoothing mass is distributed over the units: evenly, or by frequency"
    )


class LstmAttentionConfig(AttentionHeadConfig):
    """An LSTM with location-aware attention (`nn.lstm_decoder`)."""

    kind: Literal["lstm"] = "lstm"
    embedding_size: Size = Field(320, description="of an embedded label")
    hidden_size: Size = 320
    attention_size: Size = Field(320, description="dimension in which state and frames are compared")
    location_filters: Size = Field(
        10, description="convolution filters over the last label's attention weights"
    )
    location_width: Size = Field(100, description="frames to each side that a filter covers")
    dropout: Probability = Field(0.0, description="on the embedded labels and the output")


class TransformerAttentionConfig(AttentionHeadConfig):
    """Transformer blocks as wide as the encoder's output (`nn.transformer_decoder`)."""

    kind: Literal["transformer"] = "transformer"
    num_layers: Size = 6
    num_heads: Size = 4
    ffn_dim: Size = Field(2048, description="size of the feed-forward layers")
    dropout: Probability = 0.1
    attention_dropout: Probability = Field(0.0, description="on the attention weights")


AttentionConfig = Annotated[LstmAttentionConfig | TransformerAttentionConfig, Field(discriminator="kind")]


class PredictorConfig(Section):
    """An LSTM over the labels (`nn.predictor`)."""

    embedding_size: Size = Field(320, description="of an embedded label")
    hidden_size: Size = 320
    num_layers: Size = 1
    dropout: Probability = Field(0.0, description="on the embedded labels and each layer's output")


class TransducerConfig(Section):
    """A transducer (`models.heads.transducer`)."""

    weight: HeadWeight = Field(None, description=WEIGHT)
    predictor: PredictorConfig = PredictorConfig()
    joiner_size: Size = Field(320, description="dimension in which frames and labels are combined")


class LabelConfig(Section):
    """One label for a whole utterance, from the mean of its frames (`models.heads.label`)."""

    label_smoothing: Probability = Field(
        0.0, description="probability mass spread evenly over all labels, also in the dev loss"
    )


class RecognizerConfig(Section):
    """A chain of encoder stages and one to three heads (`models.recognizer`); omit a head to leave it out."""

    kind: Literal["recognizer"] = "recognizer"
    encoder: tuple[EncoderConfig, ...] = Field((BlstmConfig(),), min_length=1)
    ctc: CtcConfig | None = None
    attention: AttentionConfig | None = None
    transducer: TransducerConfig | None = None
    label: LabelConfig | None = Field(None, description="requires text.unit: label, and no other head")


class AwdLstmConfig(Section):
    """A language model: LSTM layers with weight dropout over words (`models.awd_lstm`)."""

    kind: Literal["awd_lstm"] = "awd_lstm"
    num_layers: Size = 3
    hidden_size: Size = Field(
        1150, description="of each layer except the last, which is as wide as the embedding"
    )
    embedding_size: Size = 400
    tied: bool = Field(True, description="share one matrix between input and output embeddings")
    embedding_dropout: Probability = Field(0.1, description="of whole words at the input")
    input_dropout: Probability = Field(0.65, description="on the word vectors")
    hidden_dropout: Probability = Field(0.2, description="on the output of each layer except the last")
    output_dropout: Probability = Field(0.4, description="on the output of the last layer")
    weight_dropout: float = Field(0.5, ge=0.0, le=1.0, description="of the hidden-to-hidden matrices")
    ar_alpha: float = Field(
        2.0, ge=0.0, description="activation regularisation: weight of the last layer's mean square"
    )
    tar_beta: float = Field(
        1.0,
        ge=0.0,
        description="temporal activation regularisation: weight of its change over time",
    )


# A language model has neither encoder nor heads, and so says what it is; a recogniser need not.
ModelConfig = Annotated[RecognizerConfig | AwdLstmConfig, Field(discriminator="kind")]
