"""Settings that another one leaves without effect, such as warm-up steps with a constant learning rate."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from asr_topdown.config.config import Config
from asr_topdown.config.decode import METHODS, DecodeConfig
from asr_topdown.config.model import BlocksConfig, RecognizerConfig, TransformerAttentionConfig
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.schedule.searches import SPECS


class _Choice(NamedTuple):
    setting: str
    values: tuple[str, ...]


_OPTIMIZER, _RATE, _METHOD = "train.optimizer.name", "train.lr_schedule.name", "decode.method"

_KIND = "features.kind"
READ_WITH: Mapping[str, _Choice] = {
    **{
        f"features.fbank.{name}": _Choice(_KIND, ("fbank",))
        for name in FbankOptions.__dataclass_fields__
        if name not in ("sample_rate", "frame_shift_ms")  # by which the length of given frames is known
    },
    "features.waveform.sample_rate": _Choice(_KIND, ("waveform",)),
    "text.vocab_size": _Choice("text.unit", ("bpe", "unigram")),
    "train.optimizer.momentum": _Choice(_OPTIMIZER, ("sgd",)),
    "train.optimizer.betas": _Choice(_OPTIMIZER, ("adam", "adamw")),
    "train.optimizer.rho": _Choice(_OPTIMIZER, ("adadelta",)),
    "train.optimizer.eps": _Choice(_OPTIMIZER, ("adam", "adamw", "adadelta")),
    "train.optimizer.plateau_factor": _Choice("train.optimizer.plateau", ("decay_eps", "decay_lr")),
    "train.lr_schedule.warmup_steps": _Choice(_RATE, ("noam", "warmup")),
    "train.lr_schedule.dim": _Choice(_RATE, ("noam",)),
    "decode.beam": _Choice(_METHOD, tuple(name for name in METHODS if name != "greedy")),
    "decode.max_symbols": _Choice(_METHOD, ("greedy", "transducer_beam")),
    "decode.length_penalty": _Choice(_METHOD, ("joint_beam", "attention", "transducer_beam")),
    "decode.max_length_ratio": _Choice(_METHOD, ("greedy", "joint_beam", "attention")),
    "decode.min_length_ratio": _Choice(_METHOD, ("greedy", "joint_beam", "attention")),
    "decode.pre_beam_size": _Choice(_METHOD, ("joint_beam",)),
}
"""Setting -> the choice that decides whether it is read, and the values with which it is."""


_GREEDY = {"max_symbols": "transducer", "max_length_ratio": "attention", "min_length_ratio": "attention"}
"""Settings of decoding -> the head that greedy decoding must read for them to count."""

_OF_SPEECH = (
    *("features", "text", "decode"),
    *("train.grace_epochs", "train.frames_per_batch", "train.utterances_per_batch", "train.max_frames"),
    *("train.sortagrad_epochs", "train.tempo_perturb", "train.specaugment", "train.compile"),
)
"""Sections and settings that a language model does not read."""


def unread(config: Config, *sections: str) -> list[str]:
    """A line for each setting of these sections that differs from its default and is not read."""
    default = Config()

    def is_set(setting: str) -> bool:
        return setting.partition(".")[0] in sections and config.at(setting) != default.at(setting)

    foreign = [name for name in _OF_SPEECH if config.is_language_model and is_set(name)]
    lines = [f"{name}: has no effect with model.kind: {config.model.kind}" for name in foreign]
    lines += [
        f"{setting}: {config.at(setting)} has no effect with {choice}: {config.at(choice)}; "
        f"it is for {', '.join(values)}"
        for setting, (choice, values) in READ_WITH.items()
        if is_set(setting) and config.at(choice) not in values and setting.partition(".")[0] not in foreign
    ]
    if "model" in sections:
        lines += _of_model(config)
    if "train" in sections:
        lines += _of_training(config)
    if "schedule" in sections:
        lines += _of_schedule(config)
    if "decode" in sections and "decode" not in foreign:
        lines += _of_decoding(config)
    return lines


def _of_model(config: Config) -> Iterator[str]:
    attention = config.model.attention if isinstance(config.model, RecognizerConfig) else None
    if attention is not None and attention.smoothing_prior != "uniform" and not attention.label_smoothing:
        yield (
            f"model.attention.smoothing_prior: {attention.smoothing_prior} has no effect with "
            "model.attention.label_smoothing: 0"
        )


def _of_training(config: Config) -> Iterator[str]:
    optimizer, model = config.train.optimizer, config.model
    if optimizer.plateau_patience and optimizer.plateau == "none" and optimizer.name != "nt_asgd":
        yield (
            f"train.optimizer.plateau_patience: {optimizer.plateau_patience} has no effect with "
            "train.optimizer.plateau: none; it is for decay_eps, decay_lr"
        )
    if config.train.compile and isinstance(model, RecognizerConfig):
        decoder = [model.attention] if model.attention is not None else []
        if not any(
            isinstance(one, (BlocksConfig, TransformerAttentionConfig)) for one in (*model.encoder, *decoder)
        ):
            yield "train.compile: has no effect on a model without blocks of Transformers and the like"


def _of_schedule(config: Config) -> Iterator[str]:
    schedule = config.schedule
    if not schedule.source:
        for name, default in (("source_seed", "same"), ("source_network", "joint")):
            if (value := getattr(schedule, name)) != default:
                yield f"schedule.{name}: {value} has no effect without schedule.source"
    sweep = schedule.settings("depth_sweep")
    if "depth_sweep" in schedule.search and not sweep.rivals and sweep.rival_depths != (0,):
        yield "schedule.depth_sweep.rival_depths: has no effect without schedule.depth_sweep.rivals"
    budget, epochs = schedule.settings("halving").budget, config.train.epochs
    if "halving" in schedule.search and budget >= epochs:
        yield (
            f"schedule.halving.budget: {budget} has no effect with train.epochs: {epochs}: all trainings "
            "then have all epochs from the start"
        )
    for name, spec in SPECS.items():
        chosen = name in (*schedule.search, *schedule.controls)
        if not chosen and schedule.settings(name) != spec.settings():
            yield f"schedule.{name}: has no effect on a study without {name}"


def _of_decoding(config: Config) -> Iterator[str]:
    decode = config.decode
    # With greedy decoding it waits for `--set decode.method=joint_beam`.
    if decode.ctc_weight != DecodeConfig().ctc_weight and decode.method not in ("joint_beam", "greedy"):
        yield (
            f"decode.ctc_weight: {decode.ctc_weight:g} has no effect with {_METHOD}: {decode.method}; "
            "it is for joint_beam"
        )
    if decode.method == "greedy" and "model" in config.model_fields_set:
        read = next(
            (head for head in ("label", "transducer", "ctc", "attention") if head in config.heads), ""
        )
        for name, head in _GREEDY.items():
            if (value := getattr(decode, name)) != getattr(DecodeConfig(), name) and head != read:
                yield (
                    f"decode.{name}: {value} has no effect with {_METHOD}: greedy, which reads model.{read}; "
                    f"it is for model.{head}"
                )
    if decode.lm and not decode.lm_weight:
        yield f"decode.lm: {decode.lm} has no effect with decode.lm_weight: 0"
    # Of one label for an utterance, greedy decoding gives several.
    if decode.nbest > 1 and decode.method == "greedy" and config.text.unit != "label":
        yield f"decode.nbest: {decode.nbest} has no effect with {_METHOD}: greedy, which finds one hypothesis"
