"""A model is an ordered list of layers: check the partition, select, transplant, freeze, fingerprint.

Everything that layer-scheduled training does to a network goes through this file. The rules behind it:

* Each tensor of a model, parameter or buffer, belongs to exactly one layer, so that the frozen and the
  reinitialised set are complements of each other and nothing can be forgotten.
* A network is never reinitialised in place. A *fresh* model is built and the frozen layers' tensors are
  transplanted into it, so that custom initialisers, buffers and ties are right.
* Layers are selected by their exact name. A name that matches nothing is an error.
"""

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd


class Layer(NamedTuple):
    """A named part of a model, frozen or retrained as a unit."""

    name: str
    modules: tuple[nn.Module, ...]


@runtime_checkable
class Layered(Protocol):
    """A model that can list its layers, from input to output."""

    def layers(self) -> tuple[Layer, ...]:
        """The layers; every tensor of the model is in exactly one of them."""
        ...


def layer_names(model: Layered) -> tuple[str, ...]:
    """The names of `model`'s layers, input first, output last."""
    return tuple(layer.name for layer in model.layers())


def tensors_by_layer(model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Layer name -> {state-dict key: the live tensor}, for parameters and persistent buffers.

    Raises:
        ValueError: if some tensor belongs to no layer, a tensor's name to two, or two layers share a name.
    """
    owner: dict[str, str] = {}
    groups: dict[str, dict[str, Tensor]] = {}
    prefix_of = {id(module): name for name, module in model.named_modules()}
    for layer in layers_of(model):
        if layer.name in groups:
            raise ValueError(f"two layers are called {layer.name!r}")
        groups[layer.name] = {}
        for module in layer.modules:
            if id(module) not in prefix_of:
                raise ValueError(f"layer {layer.name!r} lists a module that is not part of the model")
            prefix = prefix_of[id(module)]
            for key, tensor in _named_tensors(module, prefix):
                if owner.setdefault(key, layer.name) != layer.name:
                    raise ValueError(f"{key} is in two layers, {owner[key]!r} and {layer.name!r}")
                groups[layer.name][key] = tensor
    homeless = [key for key, _ in _named_tensors(model, "") if key not in owner]
    if homeless:
        raise ValueError(f"these tensors are in no layer: {', '.join(homeless)}")
    return groups


def check_partition(model: nn.Module) -> None:
    """Assert that every tensor, parameter or buffer, and every dropout is in exactly one layer.

    Two layers that share storage (tied weights) are refused too: freezing one would freeze the other.

    Raises:
        ValueError: naming the tensors or modules and the layers concerned.
    """
    _check_random_modules(model)
    storage: dict[int, tuple[str, str]] = {}
    for name, tensors in tensors_by_layer(model).items():
        for key, tensor in tensors.items():
            if tensor.numel() == 0:
                continue
            first, first_key = storage.setdefault(tensor.untyped_storage().data_ptr(), (name, key))
            if first != name:
                raise ValueError(f"layers {first!r} and {name!r} share storage: {first_key} and {key}")


def _check_random_modules(model: nn.Module) -> None:
    owner: dict[int, str] = {}
    for layer in layers_of(model):
        for part in (part for module in layer.modules for part in module.modules()):
            if _can_be_random(part) and owner.setdefault(id(part), layer.name) != layer.name:
                raise ValueError(f"a dropout is in two layers, {owner[id(part)]!r} and {layer.name!r}")
    homeless = [
        name for name, part in model.named_modules() if _can_be_random(part) and id(part) not in owner
    ]
    if homeless:
        raise ValueError(f"these dropouts are in no layer: {', '.join(homeless)}")


def is_random(module: nn.Module) -> bool:
    """Whether the module itself, not its submodules, draws random numbers in training."""
    return (isinstance(module, _DropoutNd) and module.p > 0) or (
        isinstance(module, nn.RNNBase) and module.dropout > 0
    )


def group_names(names: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Divide the ordered layer names into blocks, merging the adjacent layers of a group.

    `group_names(["a", "b", "c"], {"top": ["b", "c"]})` is `[("a",), ("b", "c")]`: which layers a schedule
    freezes or retrains as a unit is part of the experiment, not of the model.

    Raises:
        ValueError: if a group names an unknown layer, is empty, overlaps another or is not contiguous.
    """
    group_of: dict[str, str] = {}
    for group, members in groups.items():
        select(names, members, what=f"schedule.groups.{group}")
        positions = sorted(names.index(member) for member in members)
        if not positions or positions != list(range(positions[0], positions[-1] + 1)):
            raise ValueError(
                f"schedule.groups.{group}: the layers {list(members)} are not neighbours in {list(names)}"
            )
        for member in members:
            if member in group_of:
                raise ValueError(
                    f"schedule.groups: layer {member!r} is in both {group_of[member]!r} and {group!r}"
                )
            group_of[member] = group
    blocks: dict[tuple[str, bool], tuple[str, ...]] = {}
    for name in names:
        key = (group_of.get(name, name), name in group_of)
        blocks[key] = (*blocks.get(key, ()), name)
    return list(blocks.values())


def select(known: Sequence[str], wanted: Iterable[str], *, what: str = "layers") -> tuple[str, ...]:
    """Sort `wanted` in the order of `known`.

    Raises:
        ValueError: if a wanted name matches no layer, so that a misspelt freeze is never silent.
    """
    wanted = list(wanted)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(
            f"{what}: no layer is called {', '.join(unknown)}; the layers are {', '.join(known)}"
        )
    return tuple(name for name in known if name in set(wanted))


def transplant(parent_state: Mapping[str, Tensor], child: nn.Module, names: Iterable[str]) -> None:
    """Load the layers `names`, and nothing else, from `parent_state` into `child`.

    Args:
        parent_state: a state dict. It may come from another architecture, as long as these layers match.
        child: a freshly built model.
        names: layers of `child`.

    Raises:
        ValueError: if a tensor is missing in one of the two or has another shape; both shapes are named.
    """
    names = list(names)
    check_fit({key: tuple(tensor.shape) for key, tensor in parent_state.items()}, child, names)
    groups = tensors_by_layer(child)
    with torch.no_grad():
        for name in select(list(groups), names):
            for key, tensor in groups[name].items():
                tensor.copy_(parent_state[key])


def check_fit(parent: Mapping[str, tuple[int, ...]], child: nn.Module, names: Iterable[str]) -> None:
    """Refuse to transplant the layers `names` if they have other tensors, or other shapes, in the parent.

    What the parent has in other layers, such as another head's output, does not matter.

    Args:
        parent: the shapes of its tensors, by state-dict key.
        child: as in `transplant`.
        names: layers of `child`.

    Raises:
        ValueError: naming the layer and the tensor, with both shapes.
    """
    groups = tensors_by_layer(child)
    prefix_of = {id(module): f"{name}." for name, module in child.named_modules()}
    inside = {layer.name: tuple(prefix_of[id(one)] for one in layer.modules) for layer in layers_of(child)}
    for name in select(list(groups), names):
        for key in parent:
            if key.startswith(inside[name]) and key not in groups[name]:
                raise ValueError(f"layer {name!r}: there is no {key} here, as in the parent")
        for key, tensor in groups[name].items():
            if key not in parent:
                raise ValueError(f"layer {name!r}: the parent has no tensor {key}")
            if parent[key] != tuple(tensor.shape):
                raise ValueError(
                    f"layer {name!r}: {key} is {tuple(tensor.shape)} here and {parent[key]} in the parent"
                )


def freeze(model: nn.Module, names: Iterable[str], *, dropout: bool) -> None:
    """Freeze the layers `names` permanently: no gradient, no updated statistics, dropout as specified.

    The modules stay in train mode (cuDNN refuses the backward pass of an LSTM in eval mode), except that
    frozen batch normalisation stays in eval mode even after `model.train()`.

    Args:
        model: the model, before an optimiser or a DDP wrapper sees it.
        names: the layers to freeze.
        dropout: whether dropout inside frozen layers stays active in training.
    """
    layers = {layer.name: layer for layer in layers_of(model)}
    for name in select(list(layers), names):
        for module in layers[name].modules:
            module.requires_grad_(False)
            for part in module.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    _hold_in_eval(part)
                elif not dropout:
                    _switch_dropout_off(part)


def freeze_all_but_norms_and_biases(model: nn.Module, names: Iterable[str]) -> frozenset[str]:
    """Train only biases, and weights of normalisations, in the layers `names` (BitFit).

    Biases are all parameters named so, including those of relative positions in attention.

    Returns:
        The names of the parameters that are not trained.
    """
    norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm))
        for parameter in module.parameters(recurse=False)
    }
    groups = tensors_by_layer(model)
    still = set()
    for name in select(list(groups), names):
        for key, tensor in groups[name].items():
            is_bias = "bias" in key.rpartition(".")[2]
            if isinstance(tensor, nn.Parameter) and not is_bias and id(tensor) not in norms:
                tensor.requires_grad_(False)
                still.add(key)
    return frozenset(still)


def fingerprint(
    model: nn.Module, names: Iterable[str], *, ignore: str = "", only: Container[str] | None = None
) -> str:
    """SHA-256 over the parameters *and* buffers of the layers `names`, as a hexadecimal string.

    Tensors with `ignore` in their name, if given, are excluded, and so are those not in `only`.
    """
    groups = tensors_by_layer(model)
    digest = hashlib.sha256()
    for name in select(list(groups), names):
        for key, tensor in sorted(groups[name].items()):
            if (ignore and ignore in key) or (only is not None and key not in only):
                continue
            digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(raw.numpy().tobytes())
    return digest.hexdigest()


def layers_of(model: nn.Module) -> tuple[Layer, ...]:
    """The model's layers, input first.

    Raises:
        TypeError: if the model cannot list them.
    """
    if not isinstance(model, Layered):
        raise TypeError(f"{type(model).__name__} has no layers()")
    return model.layers()


def _named_tensors(module: nn.Module, prefix: str) -> Iterable[tuple[str, Tensor]]:
    """The tensors that `state_dict` would save: parameters and persistent buffers, without copying."""
    state = module.state_dict(prefix=f"{prefix}." if prefix else "", keep_vars=True)
    return state.items()


def _hold_in_eval(module: nn.Module) -> None:
    module.eval()
    module.train = lambda mode=True: module  # type: ignore[method-assign]


def _can_be_random(module: nn.Module) -> bool:
    return isinstance(module, (_DropoutNd, nn.RNNBase))


def _switch_dropout_off(module: nn.Module) -> None:
    if isinstance(module, _DropoutNd):
        module.p = 0.0
    elif isinstance(module, nn.RNNBase):
        module.dropout = 0.0
