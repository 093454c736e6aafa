"""From a configuration to objects: the only module that knows both sides."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from asr_topdown.config import Config
from asr_topdown.features.front_end import front_end_dim
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.models.ctc import BlstmCtc


def build_model(config: Config, units: int) -> nn.Module:
    """The network of `config` for a vocabulary of `units`, with weights drawn from the global generator."""
    return BUILDERS[config.model.kind](config, units)


def fresh_model(config: Config, units: int, init_seed: int) -> nn.Module:
    """A network with the initial weights of `init_seed`; the global random state is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(init_seed)
        return build_model(config, units)


def _blstm_ctc(config: Config, units: int) -> nn.Module:
    inputs = front_end_dim(config.features.fbank, config.features.deltas)
    return BlstmCtc(inputs, units, **config.model.model_dump(exclude={"kind"}))


def _awd_lstm(config: Config, units: int) -> nn.Module:
    return AwdLstm(units, **config.model.model_dump(exclude={"kind"}))


BUILDERS: Mapping[str, Callable[[Config, int], nn.Module]] = {
    "blstm_ctc": _blstm_ctc,
    "awd_lstm": _awd_lstm,
}
