"""Every setting of an experiment, typed and frozen, read from YAML.

A YAML file may list others under `include:` (relative to itself); they are merged first, in order, and the
file's own keys win. `--set section.key=value` wins over all files. An unknown key is an error that gives
its path and the nearest known name.
"""

import difflib
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.config.model import (
    ENCODER_KINDS,
    AwdLstmConfig,
    BlstmCtcConfig,
    CtcAttentionConfig,
    ModelConfig,
    TransducerConfig,
)
from asr_topdown.config.schedule import ScheduleConfig
from asr_topdown.config.section import Section
from asr_topdown.config.train import TrainConfig
from asr_topdown.features.fbank import FbankOptions


class FeaturesConfig(Section):
    """What the network sees of the audio."""

    fbank: FbankOptions = FbankOptions()
    deltas: int = Field(0, ge=0, le=2, description="append first (1) and second (2) time derivatives")
    cmvn: Literal["global", "none"] = "global"


class TextConfig(Section):
    """Units of the output."""

    unit: Literal["char", "word", "bpe", "unigram"] = Field(
        "char", description="bpe and unigram are pieces of words, by SentencePiece"
    )
    vocab_size: int = Field(
        500, ge=4, description="number of pieces, <blank> and <unk> among them; of bpe and unigram only"
    )


class LanguageModelConfig(Section):
    """How the text of a language model is read; of no meaning for other models."""

    batch: int = Field(80, ge=1, description="columns that the training text is cut into")
    dev_batch: int = Field(10, ge=1, description="columns of the dev text")
    test_batch: int = Field(1, ge=1, description="columns of other texts")
    bptt: int = Field(70, ge=1, description="words back in time, on average, that a gradient goes")


class Config(Section):
    """A whole experiment but for its data and its seeds."""

    features: FeaturesConfig = FeaturesConfig()
    text: TextConfig = TextConfig()
    model: ModelConfig = BlstmCtcConfig()
    language_model: LanguageModelConfig = LanguageModelConfig()
    train: TrainConfig = TrainConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    decode: DecodeConfig = DecodeConfig()

    @field_validator("model", mode="before")
    @classmethod
    def _default_kind(cls, values: Any) -> Any:
        return {"kind": "blstm_ctc", **values} if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _metric_fits(self) -> "Config":
        if self.is_language_model and self.train.metric != "loss":
            raise ValueError("a language model is chosen by its loss: set train.metric to loss")
        if self.train.metric == "accuracy" and not isinstance(self.model, CtcAttentionConfig):
            raise ValueError(
                f"train.metric: accuracy is an attention decoder's, and a {self.model.kind} has none"
            )
        return self

    @model_validator(mode="after")
    def _accumulation_fits(self) -> "Config":
        if self.is_language_model and self.train.accumulate > 1:
            raise ValueError("train.accumulate: a language model takes a step with every batch")
        return self

    @model_validator(mode="after")
    def _epochs_are_kept(self) -> "Config":
        if self.schedule.reads_every_epoch and self.train.keep_epochs != "all":
            names = ", ".join(self.schedule.search)
            raise ValueError(f"schedule.search {names} reads earlier epochs: set train.keep_epochs to all")
        return self

    @property
    def is_language_model(self) -> bool:
        """Whether the model is trained on text alone."""
        return isinstance(self.model, AwdLstmConfig)

    def identity(self) -> str:
        """Hash of what decides a trained network, but for what its `Node` says (seed, epochs, schedule).

        Left out as well: the decoder, and what changes the speed but not the result.
        """
        train = {
            "epochs",
            "patience",
            "log_interval",
            "checkpoint_minutes",
            "keep_epochs",
            "threads",
            "cache_frozen",
        }
        kept = self.model_dump(mode="json", exclude={"schedule": True, "decode": True, "train": train})
        if not self.is_language_model:
            del kept["language_model"]
        if isinstance(self.model, TransducerConfig):
            del kept["model"]["loss"]
        if self.train.max_frames is None:  # an option younger than many a trained network
            del kept["train"]["max_frames"]
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def load(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file and apply `section.key=value` overrides.

    Raises:
        ValueError: naming the file, the key's path and, for an unknown key, the nearest known one.
        FileNotFoundError: if the file or one it includes is missing.
    """
    return parse(_read_with_includes(Path(path), ()), overrides, where=str(path))


def parse(values: Mapping[str, Any], overrides: Sequence[str] = (), *, where: str = "config") -> Config:
    """Build a `Config` from plain values, as `load` does from a file."""
    merged = dict(values)
    for override in overrides:
        merged = _merge(merged, _parse_override(override))
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ValueError("\n".join(_explain(problem, where) for problem in error.errors())) from None


def dump(config: Config) -> str:
    """The resolved configuration as YAML that `load` reads back to an equal `Config`."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 floats: `1e-4` is a number, not a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"),
    list("-+0123456789."),
)


def _read_with_includes(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    resolved = path.resolve()
    if resolved in seen:
        raise ValueError(f"{path}: includes itself through {', '.join(map(str, seen))}")
    values = _read_yaml(path)
    includes = values.pop("include", [])
    if isinstance(includes, str) or not isinstance(includes, list):
        raise ValueError(f"{path}: include must be a list of files, got {includes!r}")
    merged: dict[str, Any] = {}
    for name in includes:
        merged = _merge(merged, _read_with_includes(path.parent / name, (*seen, resolved)))
    return _merge(merged, values)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(f"{path}: must hold sections (key: value), got {type(values).__name__}")
    return values


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _parse_override(override: str) -> dict[str, Any]:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ValueError(f"--set {override}: must read section.key=value")
    try:
        value = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"--set {override}: {text!r} is not a YAML value") from error
    nested: Any = value
    for key in reversed(path.split(".")):
        nested = {key: nested}
    assert isinstance(nested, dict)
    return nested


def _explain(problem: Any, where: str) -> str:
    path = [str(part) for part in problem["loc"]]
    if len(path) > 1 and path[0] == "model" and path[1] in _kinds():
        del path[1]  # which model it is, as pydantic names it: no key of the file
    if len(path) > 2 and path[:2] == ["model", "encoder"] and path[2] in ENCODER_KINDS:
        del path[2]  # likewise
    if not path:
        return f"{where}: {problem['msg'].removeprefix('Value error, ')}"
    dotted = ".".join(path)
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        near = difflib.get_close_matches(path[-1], _known_names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{where}: unknown key {dotted}{hint}"
    return f"{where}: {dotted}: {problem['msg']}, got {problem['input']!r}"


def _kinds() -> tuple[str, ...]:
    union = Config.model_fields["model"].annotation
    return tuple(one.model_fields["kind"].default for one in get_args(union))


@functools.cache
def _known_names() -> tuple[str, ...]:
    names: set[str] = set()

    def collect(schema: Any) -> None:
        if isinstance(schema, dict):
            names.update(schema.get("properties", {}))
            for value in schema.values():
                collect(value)
        elif isinstance(schema, list):
            for value in schema:
                collect(value)

    collect(Config.model_json_schema())
    return tuple(sorted(names))
