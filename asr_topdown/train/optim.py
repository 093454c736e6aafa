"""Optimisers over the trainable parameters, and their reaction to a plateau."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn

from asr_topdown.config.train import OptimizerConfig
from asr_topdown.train.layerwise import trained_parameters
from asr_topdown.train.nt_asgd import NtAsgd

Parameters: TypeAlias = Sequence[nn.Parameter] | Sequence[dict[str, Any]]


def build_optimizer(
    model: nn.Module, config: OptimizerConfig, rates: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """A new optimiser over the parameters that require a gradient; frozen ones are absent from it.

    Args:
        model: layers already frozen.
        config: its settings.
        rates: factors on the learning rate, by layer; layers that are not listed have the full rate. With
            them the optimiser has one group per layer, the topmost first; without, one group for all.

    Raises:
        ValueError: if every parameter is frozen.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError("every layer is frozen: nothing to train")
    if not rates:
        return _BUILDERS[config.name](parameters, config)
    by_layer = reversed(trained_parameters(model).items())
    groups = [{"params": own, "lr": config.lr * rates.get(name, 1.0)} for name, own in by_layer]
    return _BUILDERS[config.name](groups, config)


def _sgd(parameters: Parameters, config: OptimizerConfig) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        fused=_on_gpu(parameters) or None,
    )


def _on_gpu(parameters: Parameters) -> bool:
    first = parameters[0]
    one: torch.Tensor = first["params"][0] if isinstance(first, dict) else first
    return one.is_cuda


def _adam(
    parameters: Parameters,
    config: OptimizerConfig,
    kind: type[torch.optim.Adam] = torch.optim.Adam,
) -> torch.optim.Optimizer:
    return kind(
        parameters,
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        weight_decay=config.weight_decay,
        fused=True,
    )


def _adamw(parameters: Parameters, config: OptimizerConfig) -> torch.optim.Optimizer:
    return _adam(parameters, config, torch.optim.AdamW)


def _adadelta(parameters: Parameters, config: OptimizerConfig) -> torch.optim.Optimizer:
    return torch.optim.Adadelta(
        parameters, lr=config.lr, rho=config.rho, eps=config.eps, weight_decay=config.weight_decay
    )


def _nt_asgd(parameters: Parameters, config: OptimizerConfig) -> torch.optim.Optimizer:
    return NtAsgd(parameters, lr=config.lr, weight_decay=config.weight_decay)


_BUILDERS = {"nt_asgd": _nt_asgd, "sgd": _sgd, "adam": _adam, "adamw": _adamw, "adadelta": _adadelta}


def decay(optimizer: torch.optim.Optimizer, config: OptimizerConfig) -> str:
    """Adapt the optimiser when the dev error no longer falls, and return a description.

    `decay_eps` multiplies AdaDelta's eps by the factor, as ESPnet v1 does after returning to the
    best weights (Watanabe et al. 2018); `decay_lr` multiplies the learning rate; NT-ASGD starts to average.
    """
    if isinstance(optimizer, NtAsgd):
        optimizer.begin_averaging()
        return "the weights are averaged from now on"
    key = "eps" if config.plateau == "decay_eps" else "lr"
    for group in optimizer.param_groups:
        group[key] *= config.plateau_factor
    return f"{key} {optimizer.param_groups[0][key]:.3g}"


@contextlib.contextmanager
def averaged_weights(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """A context in which the model has the weights to evaluate and save: averages, if there are any."""
    with optimizer.averaged() if isinstance(optimizer, NtAsgd) else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def scaled_lr(optimizer: torch.optim.Optimizer, scale: float) -> Iterator[None]:
    """A context in which the learning rate is multiplied by `scale`."""
    before = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * scale
    yield
    for group, lr in zip(optimizer.param_groups, before, strict=True):
        group["lr"] = lr


def describe_state(optimizer: torch.optim.Optimizer, model: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    """Name and shape of each parameter in the optimiser's order.

    `load_state_dict` matches by position and silently loads another layer's state, so a checkpoint
    carries this list and resuming compares it.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return [(names[id(parameter)], tuple(parameter.shape)) for parameter in parameters]


def check_state(
    saved: Sequence[tuple[str, Sequence[int]]], optimizer: torch.optim.Optimizer, model: nn.Module
) -> None:
    """Compare the result of `describe_state` when a checkpoint was written with the current one.

    Raises:
        ValueError: if they differ.
    """
    there = [(name, tuple(shape)) for name, shape in saved]
    here = describe_state(optimizer, model)
    if there != here:
        differing = next((pair for pair in zip(there, here, strict=False) if pair[0] != pair[1]), None)
        raise ValueError(
            f"made for {len(there)} trainable tensors, here are {len(here)}; first difference: {differing}"
        )
