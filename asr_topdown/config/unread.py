"""Settings that another one leaves without effect, such as warm-up steps with a constant learning rate."""

from collections.abc import Mapping
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
    "train.optimizer.plateau_factor": _Choice("train.optimizer.plateau", ("decay_eps", "decay_lr")),
    "train.lr_schedule.warmup_steps": _Choice(_RATE, ("noam", "warmup")),
    "train.lr_schedule.dim": _Choice(_RATE, ("noam",)),
    "decode.beam": _Choice(_METHOD, tuple(name for name in METHODS if name != "greedy")),
    "decode.length_penalty": _Choice(_METHOD, ("joint_beam", "attention", "transducer_beam")),
}
"""Setting -> the choice that decides whether it is read, and the values with which it is."""


def unread(config: Config, *sections: str) -> list[str]:
    """A line for each setting of these sections that differs from its default and is not read."""
    default = Config()
    return [
        f"{setting}: {config.at(setting)} has no effect with {choice}: {config.at(choice)}; "
        f"it is for {', '.join(values)}"
        for setting, (choice, values) in READ_WITH.items()
        if setting.partition(".")[0] in sections
        and config.at(setting) != default.at(setting)
        and config.at(choice) not in values
    ]
