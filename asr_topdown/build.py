"""From a configuration to objects: the only module that knows both sides."""

from typing import Any

import torch
from torch import nn

from asr_topdown.config import BlstmCtcConfig, Config
from asr_topdown.features.front_end import front_end_dim
from asr_topdown.models.ctc import BlstmCtc

MODELS: dict[type[Any], type[nn.Module]] = {BlstmCtcConfig: BlstmCtc}


def build_model(config: Config, units: int) -> nn.Module:
    """The network of `config` for a vocabulary of `units`, with weights drawn from the global generator."""
    settings = config.model.model_dump(exclude={"kind"})
    return MODELS[type(config.model)](front_end_dim(config.features.fbank, config.features.deltas), units, **settings)


def fresh_model(config: Config, units: int, init_seed: int) -> nn.Module:
    """A network with the initial weights of `init_seed`; the global random state is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(init_seed)
        return build_model(config, units)
