"""The settings of one training run: what `train:` may hold in an experiment's YAML."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from asr_topdown.config.section import Section
from asr_topdown.features.specaug_options import SpecAugmentOptions
from asr_topdown.schedule.tuning import PLAIN, Tuning


class OptimizerConfig(Section):
    """The optimiser and what happens to it when the dev error does not improve."""

    name: Literal["adam", "adamw", "adadelta", "sgd", "nt_asgd"] = "adam"
    lr: float = Field(1e-3, gt=0, description="multiplied by train.lr_schedule; the factor of noam")
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.0, ge=0, lt=1, description="sgd only")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.9, 0.999), description="adam and adamw only"
    )
    rho: float = Field(0.95, ge=0, le=1, description="adadelta only")
    eps: float = Field(1e-8, gt=0)
    plateau: Literal["none", "decay_eps", "decay_lr"] = Field(
        "none",
        description="after an epoch without improvement: decay_lr multiplies the learning rate by "
        "plateau_factor; decay_eps returns to the best weights and multiplies eps (ESPnet v1's AdaDelta)",
    )
    plateau_factor: float = Field(0.01, gt=0, lt=1)
    plateau_patience: int = Field(
        0,
        ge=0,
        description="epochs without improvement that are tolerated first; for nt_asgd, the epochs that its "
        "trigger leaves out",
    )

    @model_validator(mode="after")
    def _one_rule(self) -> "OptimizerConfig":
        if self.name == "nt_asgd" and self.plateau != "none":
            raise ValueError(f"nt_asgd has a rule of its own: plateau must be none, got {self.plateau}")
        if self.name == "sgd" and self.plateau == "decay_eps":
            raise ValueError("sgd has no eps: plateau must be none or decay_lr, got decay_eps")
        return self


class LrScheduleConfig(Section):
    """The factor on the learning rate at each optimiser step."""

    name: Literal["constant", "noam", "warmup"] = Field(
        "constant",
        description="noam: Vaswani et al. 2017 as in ESPnet v1; warmup: the same curve with optimizer.lr as "
        "its peak, as in ESPnet v2",
    )
    warmup_steps: int = Field(25000, ge=1, description="steps during which the rate rises before it falls")
    dim: int = Field(256, ge=1, description="noam only: the model dimension")


class AverageConfig(Section):
    """Which epochs' weights to average after training, for decoding."""

    last: int = Field(0, ge=0, description="average the last N epochs")
    best: int = Field(0, ge=0, description="average the N epochs with the lowest dev error")

    @model_validator(mode="after")
    def _one_of_two(self) -> "AverageConfig":
        if (self.last > 0) == (self.best > 0):
            raise ValueError("average needs either last or best, a number of epochs")
        return self


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class InitConfig(Section):
    """Fine-tuning: the trained model that `train` starts from, and what to do with its layers.

    Layers are selected by names, ranges (blstm.0-2), globs (enc.*), bottom:3 or top:1.
    """

    model: str = Field("", description="the model's folder; `train --init`")
    freeze: tuple[str, ...] = Field(
        (), description="layers that keep the model's weights and are not trained; `train --freeze`"
    )
    fresh: tuple[str, ...] = Field(
        (),
        description="layers to reinitialise; those that depend on the units are always reinitialised if the "
        "units differ from the model's; `train --fresh`",
    )
    keep_cmvn: bool = Field(
        False,
        description="normalise features by the model's mean and variance instead of those of the training "
        "data; `train --keep-cmvn`",
    )

    lora: int = Field(
        0, ge=0, description="rank of the adapters (LoRA) trained in the frozen layers; 0 = none"
    )

    _one_is_a_list = field_validator("freeze", "fresh", mode="before")(_as_list)


class TrainConfig(Section):
    """One training run."""

    epochs: int = Field(50, ge=1)
    patience: int = Field(5, ge=0, description="stop after N epochs without improvement; 0 = never")
    grace_epochs: int = Field(
        20,
        ge=0,
        description="first epochs in which neither patience nor plateau counts until a greedy dev CER falls "
        "below 100 %",
    )
    metric: Literal["cer", "label_error", "loss", "accuracy"] = Field(
        "cer",
        description="dev metric that selects the best epoch and triggers early stopping, with the loss as a "
        "tie-breaker; accuracy is the attention decoder's with teacher forcing, and the error 1 - accuracy; "
        "label_error replaces cer with text.unit: label",
    )
    frames_per_batch: int = Field(
        12000, ge=1, description="maximum input frames per batch, including padding"
    )
    utterances_per_batch: int = Field(32, ge=1, description="maximum utterances per batch")
    max_frames: int | None = Field(
        None, ge=1, description="leave longer utterances out of training: a few can cost more than all others"
    )
    grad_accumulation: int = Field(1, ge=1, description="batches per optimiser step")
    sortagrad_epochs: int = Field(
        0, ge=0, description="first epochs whose batches are sorted from short to long (SortaGrad)"
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    layer_l2: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {},
        description="layers: beta of a penalty beta / 2 |w|^2 on their weights, e.g. {softmax: 1e-3}; "
        "optimizer.weight_decay is for all layers",
    )
    lr_schedule: LrScheduleConfig = LrScheduleConfig()
    grad_clip: float = Field(
        5.0, gt=0, allow_inf_nan=True, description="maximum gradient norm; .inf = no clipping"
    )
    tempo_perturb: float = Field(
        0.0, ge=0, lt=0.5, description="maximum random tempo change of each batch, as a fraction"
    )
    specaugment: SpecAugmentOptions | None = None
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = Field(
        "float32",
        description="of matrix products; softmaxes, losses and weights stay float32. bfloat16 is float32 on "
        "CPUs without it; tf32 (float32 with factors rounded to 10 bits) and float16 (with loss scaling) "
        "are for GPUs",
    )
    compile: bool = Field(
        False,
        description="torch.compile the blocks of Transformers, Conformers and E-Branchformers, which takes "
        "minutes at the start; meant for GPUs",
    )
    frozen_precision: Literal["as_computed", "float16"] = Field(
        "as_computed",
        description="precision of the cached output of frozen lowest layers "
        "(run.cache_frozen); float16 takes half the space and rounds",
    )
    average: AverageConfig | None = Field(
        None,
        description="decode with the average of several epochs' weights, whose dev error searches compare; "
        "retrainings start from the best epoch's",
    )
    init: InitConfig | None = Field(
        None, description="start from the weights of a trained model: fine-tuning, with `train` only"
    )
    tuning: Tuning = Field(
        PLAIN, description="with init: how the transferred layers that are not frozen are trained"
    )
