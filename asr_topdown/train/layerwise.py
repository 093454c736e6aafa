"""Layer-specific training: learning rates, when layers are trained, and penalties."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from asr_topdown import layers

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Layerwise:
    """Layer name -> its settings; layers that are not listed are trained as usual.

    Attributes:
        rates: factor on the learning rate.
        from_epoch: first epoch in which it is trained, from 1.
        from_step: first optimiser step in which it is trained, from 1.
        towards_start: alpha of the penalty alpha / 2 |w - w0|^2, where w0 are its weights before the
            training.
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
    """Layer -> its parameters that require a gradient, each once; layers without any are omitted."""
    found: dict[str, list[nn.Parameter]] = {}
    for name, tensors in layers.tensors_by_layer(model).items():
        own = {
            id(one): one for one in tensors.values() if isinstance(one, nn.Parameter) and one.requires_grad
        }
        if own:
            found[name] = list(own.values())
    return found


class Holding:
    """Hold layers unchanged until they are due: weights, normalisation statistics and all other state.

    A held layer requires no gradient, so nothing is computed for it. With several processes, however,
    each computes all gradients, because DDP waits for them, and those of held layers are dropped. The
    optimiser skips parameters without a gradient, so a layer's optimiser state is created when it is trained.
    Dropout stays active.

    Args:
        model: with its layers already frozen.
        plan: when each layer is trained.
        alone: whether a single process trains it.
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
        """Call this after `model.train()`, which sets the whole model to training mode."""
        self._held = None

    def apply(self, epoch: int, step: int) -> None:
        """Hold the layers that are not due in this step. Call this before its forward pass."""
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
        """Drop the gradients of held layers. Call this after the backward pass."""
        for name in self._held or ():
            for parameter in self._parameters.get(name, ()):
                parameter.grad = None


class Penalties:
    """Quadratic penalties, added to the gradient.

    Args:
        model: on its device, with its initial weights.
        plan: their strengths.
    """

    def __init__(self, model: nn.Module, plan: Layerwise) -> None:
        self._terms: list[tuple[nn.Parameter, Tensor | None, float]] = []
        for name, own in trained_parameters(model).items():
            for strength, to_start in ((plan.towards_start, True), (plan.towards_zero, False)):
                if factor := strength.get(name, 0.0):
                    self._terms += [(one, one.detach().clone() if to_start else None, factor) for one in own]

    @torch.no_grad()
    def add_gradients(self) -> None:
        """Add alpha (w - w0), or beta w, to each existing gradient."""
        for parameter, start, factor in self._terms:
            if parameter.grad is not None:
                slope = parameter if start is None else parameter - start
                parameter.grad.add_(slope, alpha=factor)
