"""Every setting of an experiment except its data and seeds, typed and frozen."""

from collections.abc import Mapping
from typing import Any

from pydantic import field_validator, model_validator

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.config.features import FeaturesConfig
from asr_topdown.config.identity import PRETRAINED, settings_hash
from asr_topdown.config.language_model import LanguageModelConfig
from asr_topdown.config.model import (
    AwdLstmConfig,
    CtcConfig,
    ModelConfig,
    PretrainedConfig,
    RecognizerConfig,
)
from asr_topdown.config.run import RunConfig
from asr_topdown.config.schedule import ScheduleConfig
from asr_topdown.config.section import Section
from asr_topdown.config.text import TextConfig
from asr_topdown.config.train import TrainConfig
from asr_topdown.schedule.tuning import PLAIN


class Config(Section):
    """A whole experiment except its data and seeds."""

    features: FeaturesConfig = FeaturesConfig()
    text: TextConfig = TextConfig()
    model: ModelConfig = RecognizerConfig(ctc=CtcConfig())
    language_model: LanguageModelConfig = LanguageModelConfig()
    train: TrainConfig = TrainConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    decode: DecodeConfig = DecodeConfig()
    run: RunConfig = RunConfig()

    @field_validator("model", mode="before")
    @classmethod
    def _default_kind(cls, values: Any) -> Any:
        return {"kind": "recognizer", **values} if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _metric_fits(self) -> "Config":
        if self.is_language_model and self.train.metric != "loss":
            raise ValueError("a language model is chosen by its loss: set train.metric to loss")
        if self.train.metric == "accuracy" and "attention" not in self.heads:
            raise ValueError("train.metric: accuracy is an attention decoder's, and model.attention is none")
        return self

    @model_validator(mode="after")
    def _labels_fit(self) -> "Config":
        if self.is_language_model:
            return self
        of_unit, metric = self.text.unit == "label", self.train.metric
        if of_unit != ("label" in self.heads) or (of_unit and len(self.heads) > 1):
            raise ValueError(
                "text.unit: label and model.label go together, and without another head; got text.unit: "
                f"{self.text.unit} and model.{' and model.'.join(self.heads) or 'encoder alone'}"
            )
        if (metric == "cer" and of_unit) or (metric == "label_error" and not of_unit):
            able = "label_error or loss" if of_unit else "cer, loss or accuracy"
            unit = self.text.unit
            raise ValueError(f"train.metric: {metric} does not go with text.unit: {unit}: use {able}")
        return self

    @model_validator(mode="after")
    def _decoder_fits(self) -> "Config":
        # A file with a decoder alone (`decode --config`) is for whatever model it is used with.
        if self.heads and "model" in self.model_fields_set:
            self.decode.check_heads(self.heads)
        return self

    @model_validator(mode="after")
    def _sound_fits(self) -> "Config":
        if not isinstance(self.model, RecognizerConfig) or "model" not in self.model_fields_set:
            return self
        first, sound = self.model.encoder[0], self.features.kind == "waveform"
        if isinstance(first, PretrainedConfig) != sound:
            raise ValueError(
                "features.kind: waveform and an encoder that begins with kind: pretrained go together"
            )
        if not isinstance(first, PretrainedConfig):
            return self
        wanted, rate = first.preprocessor.get("sampling_rate", 16000), self.features.sample_rate
        if wanted != rate:
            raise ValueError(
                f"features.waveform.sample_rate is {rate}, and the encoder reads sound of {wanted} Hz"
            )
        if self.train.tempo_perturb or self.train.specaugment is not None:
            raise ValueError(
                "train.tempo_perturb and train.specaugment change features: not with kind: waveform"
            )
        return self

    @model_validator(mode="after")
    def _accumulation_fits(self) -> "Config":
        if self.is_language_model and self.train.grad_accumulation > 1:
            raise ValueError("train.grad_accumulation: a language model takes a step with every batch")
        return self

    @model_validator(mode="after")
    def _text_is_read(self) -> "Config":
        if not self.is_language_model and self.language_model != LanguageModelConfig():
            raise ValueError(f"language_model: a {self.model.kind} does not read text alone")
        return self

    @model_validator(mode="after")
    def _epochs_are_kept(self) -> "Config":
        if (names := self.schedule.reads_every_epoch) and self.run.keep_epochs != "all":
            raise ValueError(f"schedule: {', '.join(names)} reads earlier epochs: set run.keep_epochs to all")
        for name, epoch in self.schedule.latest_epochs.items():
            if epoch > self.train.epochs:
                raise ValueError(
                    f"schedule.{name}: begins with epoch {epoch} of a joint training of {self.train.epochs} "
                    "(train.epochs)"
                )
        return self

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads of a recogniser; () for a language model."""
        if not isinstance(self.model, RecognizerConfig):
            return ()
        heads = ("ctc", "attention", "transducer", "label")
        return tuple(name for name in heads if getattr(self.model, name) is not None)

    @property
    def is_language_model(self) -> bool:
        """Whether the model is trained on text only."""
        return isinstance(self.model, AwdLstmConfig)

    def hash_of(self, *names: str) -> str:
        """16 hex digits for the sections, or settings such as `text.unit`, of these names.

        Raises:
            ValueError: naming one that does not exist.
        """
        return settings_hash({name: self.at(name) for name in names})

    def at(self, name: str) -> Any:
        """The section or setting called `name`, a path with dots; a place in a list is a number from 0.

        Raises:
            ValueError: if there is none.
        """
        value: Any = self
        for key in name.split("."):
            known = _inside(value)
            if key not in known:
                raise ValueError(f"no section or setting is called {name}")
            value = known[key]
        return value

    def identity(self) -> str:
        """Hash of what determines a trained network, except what is in its `Node` (seed, epochs, parent, …).

        Also excluded: search and decoding settings, and `run`, which changes no result.
        """
        names = ("features", "text", "model", "language_model", "train")
        sections = {name: getattr(self, name) for name in names}
        of_node = {"epochs": None, "patience": None, "init": None, "tuning": PLAIN}
        sections["train"] = self.train.model_copy(update=of_node)
        encoder = self.model.encoder if isinstance(self.model, RecognizerConfig) else ()
        begun = any(isinstance(one, PretrainedConfig) and one.weights for one in encoder)
        return settings_hash(sections | ({"pretrained": PRETRAINED} if begun else {}))


def _inside(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple):
        return {str(place): item for place, item in enumerate(value)}
    return vars(value) if hasattr(value, "__dict__") else {}
