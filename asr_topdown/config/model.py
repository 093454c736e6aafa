"""The settings of a network: what `model:` may hold in an experiment's YAML.

The defaults stand here and nowhere else: the constructors in `nn` and `models` have none, and `build.py`
hands them a section's settings by name. What must fit together is checked where it is used.
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
    stack: Size = Field(1, description="input frames joined into one, and the step between them")
    subsample: tuple[Size, ...] = Field(
        (), description="keep every k-th frame after layer i; missing entries are 1"
    )
    norm: bool = Field(False, description="layer normalisation after each layer")
    dropout: Probability = Field(0.0, description="on the output of each layer")


class VggConfig(Section):
    """Four convolutions and two poolings, time and frequency / 4 (`nn.vgg`)."""

    kind: Literal["vgg"] = "vgg"
    channels: Size = Field(1, description="cut a frame into so many images; features.deltas + 1, or 1")
    filters: tuple[Size, Size] = Field(
        (64, 128), description="of the convolutions in the first block and in the second"
    )


class Conv2dConfig(Section):
    """Two strided convolutions and a linear layer, time / 4 (`nn.conv2d`)."""

    kind: Literal["conv2d"] = "conv2d"
    channels: Size = Field(256, description="of both convolutions")
    output_size: Size = 256


class BlocksConfig(Section):
    """What stacks of blocks with self-attention have in common."""

    num_layers: Size = 12
    d_model: Size = Field(256, description="size of a frame; input of another goes through a linear layer")
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
    kernel_size: Size = Field(31, description="frames that the convolution sees, odd")
    conv_norm: Literal["layer", "batch"] = Field("layer", description="in the convolution module")


class EBranchformerConfig(BlocksConfig):
    """E-Branchformer blocks (`nn.e_branchformer`)."""

    kind: Literal["e_branchformer"] = "e_branchformer"
    ffn_dim: Size = Field(1024, description="size of the feed-forward layers")
    cgmlp_dim: Size = Field(2048, description="size of the gated branch, even")
    kernel_size: Size = Field(31, description="frames that the gate's convolution sees, odd")
    merge_kernel_size: Size = Field(31, description="frames that the merging convolution sees, odd")


class PretrainedConfig(Section):
    """A published encoder that reads sound: wav2vec 2.0 and its like, Whisper's (`models.pretrained`).

    What is read from `path` is written into `architecture`, `preprocessor` and `weights`, which a trained
    model keeps; where it was read is no part of a name.
    """

    kind: Literal["pretrained"] = "pretrained"
    path: str = Field("", exclude=True, description="its folder, or its name on the Hugging Face hub")
    architecture: dict[str, Any] = Field({}, description="what its config.json says; read from path")
    preprocessor: dict[str, Any] = Field(
        {}, description="what its preprocessor_config.json says; read from path"
    )
    weights: str = Field(
        "", description="hash of its weights, read from path; with an architecture alone they are random"
    )
    output: Literal["last", "all"] | tuple[int, ...] = Field(
        "last", description="layers whose outputs are given: 0 is the frontend, 1 the layer enc.0, …"
    )
    mix: Literal["last", "concat", "weighted"] = Field(
        "last", description="last: of one layer; concat: of several side by side; weighted: their sum"
    )
    random: int = Field(0, ge=0, description="so many of the highest layers begin with random weights")
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
        0.0, description="share of the training loss that punishes sure frames (Kim et al. 2018)"
    )


class AttentionHeadConfig(Section):
    """What attention decoders of all kinds have in common (`models.heads.attention`)."""

    weight: HeadWeight = Field(None, description=WEIGHT)
    label_smoothing: Probability = 0.0
    smoothing_prior: Literal["uniform", "unigram"] = Field(
        "uniform", description="what the smoothed-off share is given to: all units alike, or by frequency"
    )


class LstmAttentionConfig(AttentionHeadConfig):
    """An LSTM with location-aware attention (`nn.lstm_decoder`)."""

    kind: Literal["lstm"] = "lstm"
    embedding_size: Size = Field(320, description="of an embedded label")
    hidden_size: Size = 320
    attention_size: Size = Field(320, description="of the space in which state and frames are compared")
    location_filters: Size = Field(10, description="convolution filters over the last label's weights")
    location_width: Size = Field(100, description="frames to each side that a filter sees")
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
    joiner_size: Size = Field(320, description="of the space in which frames and labels meet")


class LabelConfig(Section):
    """One label for a whole utterance, from the mean of its frames (`models.heads.label`)."""

    label_smoothing: Probability = Field(0.0, description="share of the target that all labels get alike")


class RecognizerConfig(Section):
    """A chain of encoder stages and one to three heads (`models.recognizer`); an absent head is none."""

    kind: Literal["recognizer"] = "recognizer"
    encoder: tuple[EncoderConfig, ...] = Field((BlstmConfig(),), min_length=1)
    ctc: CtcConfig | None = None
    attention: AttentionConfig | None = None
    transducer: TransducerConfig | None = None
    label: LabelConfig | None = Field(None, description="with text.unit: label, and without another head")


class AwdLstmConfig(Section):
    """A language model: LSTM layers with dropped weights over words (`models.awd_lstm`)."""

    kind: Literal["awd_lstm"] = "awd_lstm"
    num_layers: Size = 3
    hidden_size: Size = Field(
        1150, description="of each layer but the last, which is as wide as the embedding"
    )
    embedding_size: Size = 400
    tied: bool = Field(True, description="one matrix for the words at the input and at the output")
    embedding_dropout: Probability = Field(0.1, description="of whole words at the input")
    input_dropout: Probability = Field(0.65, description="on the words' vectors")
    hidden_dropout: Probability = Field(0.2, description="on the output of each layer but the last")
    output_dropout: Probability = Field(0.4, description="on the output of the last layer")
    weight_dropout: float = Field(0.5, ge=0.0, le=1.0, description="of the hidden-to-hidden matrices")
    ar_alpha: float = Field(
        2.0, ge=0.0, description="activation regularisation: weight of the last layer's mean square"
    )
    tar_beta: float = Field(
        1.0,
        ge=0.0,
        description="temporal activation regularisation: of its change in time",
    )


# A language model has neither encoder nor heads, and so says what it is; a recogniser need not.
ModelConfig = Annotated[RecognizerConfig | AwdLstmConfig, Field(discriminator="kind")]
