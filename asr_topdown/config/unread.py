"""Settings that another one leaves without effect, such as warm-up steps with a constant learning rate."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from asr_topdown.config.config import Config
from asr_topdown.config.decode import METHODS


class _Choice(NamedTuple):
    setting: str
    values: tuple[str, ...]


_OPTIMIZER, _RATE, _METHOD = "train.optimizer.name", "train.lr_schedule.name", "decode.method"

READ_WITH: Mapping[str, _Choice] = {
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


def unread(config: Config, *sections: str) -> list[str]:
    """A line for each setting of these sections that differs from its default and is not read."""
    default = Config()
    lines = [
        f"{setting}: {config.at(setting)} has no effect with {choice}: {config.at(choice)}; "
        f"it is for {', '.join(values)}"
        for setting, (choice, values) in READ_WITH.items()
        if setting.partition(".")[0] in sections
        and config.at(setting) != default.at(setting)
        and config.at(choice) not in values
    ]
    return [*lines, *(_of_decoding(config) if "decode" in sections else ())]


def _of_decoding(config: Config) -> Iterator[str]:
    decode = config.decode
    if decode.lm and not decode.lm_weight:
        yield f"decode.lm: {decode.lm} has no effect with decode.lm_weight: 0"
    # Of one label for an utterance, greedy decoding gives several.
    if decode.nbest > 1 and decode.method == "greedy" and config.text.unit != "label":
        yield f"decode.nbest: {decode.nbest} has no effect with {_METHOD}: greedy, which finds one hypothesis"
