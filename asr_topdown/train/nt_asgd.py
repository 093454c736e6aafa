"""Non-monotonically triggered averaged SGD (Merity et al. 2018, section 4)."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn


class NtAsgd(torch.optim.Optimizer):
    """SGD until `begin_averaging`, then `torch.optim.ASGD` with t0 = 0 and lambd = 0.

    When to start is decided elsewhere (`plateau.Plateau`, rule "non_monotone"). Training continues from the
    raw weights; evaluations and saved weights use the averages (`averaged`). Frozen parameters are not
    included, so they have no average.

    The result equals that of `torch.optim.ASGD`, without reading numbers back from the device in every step.
    That includes an oddity: from the second averaging step on, the learning rate used is the one set for
    the previous step, which matters if it changes from step to step. The published results have it too.

    Args:
        params: the parameters to train.
        lr: learning rate.
        weight_decay: factor on the weight, added to the gradient.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float = 0.0,
    ) -> None:
        defaults: dict[str, Any] = {
            "lr": lr,
            "weight_decay": weight_decay,
            "averaging": False,
            "averaged_steps": 0,
            "last_lr": 0.0,
        }
        super().__init__(params, defaults)

    @property
    def averaging(self) -> bool:
        """Whether it has switched to averaging."""
        return bool(self.param_groups[0]["averaging"])

    def begin_averaging(self) -> None:
        """Average the weights from the next step on."""
        for group in self.param_groups:
            group.update(averaging=True, averaged_steps=0)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            if group["averaging"]:
                self._averaging_step(group)
            else:
                _descend(group, group["lr"])

    def _averaging_step(self, group: dict[str, Any]) -> None:
        _descend(group, group["last_lr"] if group["averaged_steps"] else group["lr"])
        group["last_lr"] = group["lr"]
        share = 1 / max(1, group["averaged_steps"])
        group["averaged_steps"] += 1
        for parameter in group["params"]:
            state = self.state[parameter]
            if "average" not in state:
                state["average"] = torch.empty_like(parameter)
            if share == 1:
                state["average"].copy_(parameter)
            else:
                state["average"].add_(parameter.sub(state["average"]).mul_(share))

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """A context in which the parameters hold their averages, if there are any."""
        own = [parameter for group in self.param_groups for parameter in group["params"]]
        own = [parameter for parameter in own if "average" in self.state[parameter]]
        raw = [parameter.detach().clone() for parameter in own]
        with torch.no_grad():
            for parameter in own:
                parameter.copy_(self.state[parameter]["average"])
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(own, raw, strict=True):
                    parameter.copy_(value)


def _descend(group: dict[str, Any], lr: float) -> None:
    for parameter in group["params"]:
        if parameter.grad is not None:
            slope = parameter.grad
            if group["weight_decay"]:
                slope = slope.add(parameter, alpha=group["weight_decay"])
            parameter.add_(slope, alpha=-lr)
