"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685) in frozen layers, with the package peft.

A frozen matrix W becomes W + B A with B A of low rank, and only B and A are trained; B starts at zero, so
that training starts from the frozen network. Matrices of `nn.Linear` and `nn.LSTM` that are used by calling
their module are adapted; not those in a module with `reads_weights`, such as the LSTM decoder, which uses the
tensors themselves. The saved network is a plain one, with the products added to the matrices.
"""

import functools
import importlib.util
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from asr_topdown import layers

MARK = "lora_"  # what the names of adapters' tensors have in them, and no others


def check(model: nn.Module, names: Iterable[str], *, averaged: bool) -> None:
    """Refuse adapters in the frozen layers `names` that could not be trained.

    Args:
        model: its network, unadapted.
        names: the frozen layers.
        averaged: whether the weights of several epochs will be averaged.

    Raises:
        ValueError: if peft is not installed, there is nothing to adapt, or weights will be averaged.
    """
    if importlib.util.find_spec("peft") is None:
        raise ValueError("LoRA needs the package peft: pip install 'asr_topdown[lora]'")
    if averaged:
        raise ValueError("LoRA and train.average do not go together")
    _targets(model, set(names))


def adapt(model: nn.Module, names: Iterable[str], *, rank: int, seed: int) -> None:
    """Put adapters of `rank` into the frozen layers `names`, in which only they are trained.

    Afterwards `model.plain_state()` gives the weights without adapters.

    Raises:
        ValueError: if peft is not installed, or there is nothing to adapt.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ValueError(f"LoRA needs the package peft: pip install 'asr_topdown[lora]' ({error})") from None
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    linear, matrices = _targets(model, set(names))
    config = LoraConfig(
        r=rank, lora_alpha=rank, target_modules=linear or None, target_parameters=matrices or None
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(MARK in name or name in trained)
    model.plain_state = functools.partial(_plain_state, model)  # type: ignore[assignment]


def adapted_layers(model: nn.Module) -> tuple[str, ...]:
    """The layers with adapters; a frozen layer without a matrix to adapt, such as a VGG, has none."""
    groups = layers.tensors_by_layer(model)
    return tuple(name for name, tensors in groups.items() if any(MARK in key for key in tensors))


def _targets(model: nn.Module, names: set[str]) -> tuple[list[str], list[str]]:
    """Full names of the linear modules, and of the LSTMs' matrices, in these layers.

    Raises:
        ValueError: if there are none.
    """
    read = [part for part in model.modules() if getattr(part, "reads_weights", False)]
    direct = {id(part) for module in read for part in module.modules()}
    wanted = [layer for layer in layers.layers_of(model) if layer.name in names]
    inside = {id(part) for layer in wanted for module in layer.modules for part in module.modules()} - direct
    linear, matrices = [], []
    for name, module in model.named_modules():
        if id(module) in inside and isinstance(module, nn.Linear):
            linear.append(name)
        elif id(module) in inside and isinstance(module, nn.LSTM):
            weights = [key for key, tensor in module.named_parameters() if tensor.dim() == 2]
            matrices += [f"{name}.{key}" for key in weights]
    if not linear and not matrices:
        said = ", ".join(layer.name for layer in wanted)
        raise ValueError(f"LoRA: {said}: no linear or LSTM matrix that can be adapted")
    return linear, matrices


def _plain_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of the network without adapters that computes the same."""
    state = {
        key.replace(".base_layer", ""): tensor
        for key, tensor in model.state_dict().items()
        if MARK not in key
    }
    with torch.no_grad():
        for key, difference in _differences(model):
            state[key] = state[key] + difference.to(state[key].dtype)
    return state


def _differences(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    from peft.tuners.lora import LoraLayer

    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            matrix = getattr(module, "parameter_name", "weight")
            yield f"{name}.{matrix}".replace(".base_layer", ""), module.get_delta_weight("default")
