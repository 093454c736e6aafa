"""What is not the same for all layers of a network in a training: rates, when they are trained, penalties."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from asr_topdown import layers

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Layerwise:
    """Name of a layer -> what holds for it; a layer that is not there is trained as usual.

    Attributes:
        rates: factor on the learning rate.
        from_epoch: it is not trained before this epoch, from 1.
        from_step: it is not trained before this step of the optimiser, from 1.
        towards_start: alpha of the penalty alpha / 2 |w - w0|^2, w0 being its weights before the training.
        towards_zero: beta of the penalty beta / 2 |w|^2.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    from_epoch: Mapping[str, int] = field(default_factory=dict)
    from_step: Mapping[str, int] = field(default_factory=dict)
    towards_start: Mapping[str, float] = field(default_factory=dict)
    towards_zero: Mapping[str, float] = field(default_factory=dict)

    def held(self, epoch: int, step: int) -> frozenset[str]:
        """The layers that are not trained yet in this step of this epoch."""
        early = {name for name, first in self.from_epoch.items() if epoch < first}
        return frozenset(early | {name for name, first in self.from_step.items() if step < first})


def trained_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Layer -> its parameters that require a gradient, each once; layers without any are left out."""
    found: dict[str, list[nn.Parameter]] = {}
    for name, tensors in layers.tensors_by_layer(model).items():
        own = {
            id(one): one for one in tensors.values() if isinstance(one, nn.Parameter) and one.requires_grad
        }
        if own:
            found[name] = list(own.values())
    return found


class Holding:
    """Keeps layers as they are until their time has come: weights, statistics of normalisation, and all.

    A layer that is held requires no gradient, so that nothing is computed for it; but of several processes
    each computes all gradients, because DDP waits for them, and those of held layers are dropped. The
    optimiser passes over what has none, so a layer's own state begins when it is trained. Dropout stays.

    Args:
        model: layers already frozen.
        plan: says when.
        alone: whether one process trains it.
    """

    def __init__(self, model: nn.Module, plan: Layerwise, *, alone: bool) -> None:
        self._plan = plan
        self._alone = alone
        wanted = {*plan.from_epoch, *plan.from_step}
        self._parameters = {name: own for name, own in trained_parameters(model).items() if name in wanted}
        self._norms = {
            layer.name: [
                part
                for module in layer.modules
                for part in module.modules()
                if isinstance(part, nn.modules.batchnorm._BatchNorm)
            ]
            for layer in layers.layers_of(model)
            if layer.name in wanted
        }
        self._held: frozenset[str] | None = None

    def start_epoch(self) -> None:
        """To be called after `model.train()`, which sets all of the model to train."""
        self._held = None

    def apply(self, epoch: int, step: int) -> None:
        """Hold what must be held in this step; to be called before its forward pass."""
        held = self._plan.held(epoch, step)
        if held == self._held:
            return
        if self._held is not None and (free := sorted(self._held - held)):
            log.info("trained from step %d on: %s", step, ", ".join(free))
        self._held = held
        for name, own in self._parameters.items():
            for parameter in own if self._alone else ():
                parameter.requires_grad_(name not in held)
            for norm in self._norms[name]:
                norm.train(name not in held)

    def drop_gradients(self) -> None:
        """Of held layers; to be called after the backward pass."""
        for name in self._held or ():
            for parameter in self._parameters.get(name, ()):
                parameter.grad = None


class Penalties:
    """Quadratic penalties, as what they add to the gradient.

    Args:
        model: on its device, with the weights that the training begins with.
        plan: says how strong.
    """

    def __init__(self, model: nn.Module, plan: Layerwise) -> None:
        self._terms: list[tuple[nn.Parameter, Tensor | None, float]] = []
        for name, own in trained_parameters(model).items():
            for strength, to_start in ((plan.towards_start, True), (plan.towards_zero, False)):
                if factor := strength.get(name, 0.0):
                    self._terms += [(one, one.detach().clone() if to_start else None, factor) for one in own]

    @torch.no_grad()
    def add_gradients(self) -> None:
        """To what has a gradient: alpha (w - w0), or beta w."""
        for parameter, start, factor in self._terms:
            if parameter.grad is not None:
                slope = parameter if start is None else parameter - start
                parameter.grad.add_(slope, alpha=factor)
