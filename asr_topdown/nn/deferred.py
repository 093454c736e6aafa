"""Weights used in every step of a loop: their gradients are computed in one product instead of step by step.

By default autograd computes a weight's gradient in each step and accumulates it, which for small steps costs
more than the steps. Here each step's backward pass records its part on a tape, and the weight's own backward
pass, which autograd runs after those of all steps, computes one large product.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Gradients = Callable[[], tuple[Tensor | None, ...]]


def deferred(gradients: Gradients, *weights: Tensor) -> tuple[Tensor, ...]:
    """Return the weights unchanged; after the last use of any, `gradients` provides their gradients.

    `gradients` must not keep a reference to the returned tensors: a cycle through autograd's graph is never
    freed.
    """
    opened: tuple[Tensor, ...] = _Deferred.apply(gradients, *weights)
    return opened


class DeferredWeight:
    """A matrix by which rows are multiplied in every step of a loop.

    Under autocast it is cast once, here.

    Args:
        weight: (I, O), or (B, I, O).
    """

    def __init__(self, weight: Tensor) -> None:
        device = weight.device.type
        if torch.is_autocast_enabled(device):
            weight = weight.to(torch.get_autocast_dtype(device))
        self._tape: list[tuple[Tensor, Tensor]] = []
        tape = self._tape
        (self.weight,) = deferred(lambda: (_product(tape),), weight)

    def __call__(self, rows: Tensor) -> Tensor:
        """(N, I) or (B, k, I) -> rows times the weight."""
        out: Tensor = _Product.apply(rows.to(self.weight.dtype), self.weight, self._tape)
        return out


class _Deferred(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradients: Gradients, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.gradients = gradients
        ctx.set_materialize_grads(False)
        return tuple(weight.view_as(weight) for weight in weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        return (None, *ctx.gradients())


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, tape: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.tape = tape
        return rows @ weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None]:
        rows, weight = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            ctx.tape.append((rows.detach(), grad))
        return grad @ weight.mT if ctx.needs_input_grad[0] else None, None, None


def _product(tape: list[tuple[Tensor, Tensor]]) -> Tensor | None:
    """The sum over the steps of rowsᵀ times gradients; empties the tape."""
    if not tape:
        return None
    rows, grads = zip(*tape, strict=True)
    tape.clear()
    return torch.cat(rows, dim=-2).mT @ torch.cat(grads, dim=-2)
