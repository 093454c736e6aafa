"""Fused linear layer, softmax and cross-entropy: the logits of a large vocabulary never all exist at once.

5,600 predictions over 33,278 words are 745 MB of float32 logits, and as much again for their gradient. Here
a few hundred predictions at a time go through the whole chain, gradients included: the logits' gradient
follows directly from the softmax, so nothing is computed twice and nothing large is kept for the backward
pass.
"""

from typing import Any

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 24  # logits at a time: 64 MB in float32


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, *, chunk_elements: int = CHUNK_ELEMENTS
) -> Tensor:
    """Mean of -log softmax(hidden @ weight.T + bias)[target], in nats.

    Matrix products follow the surrounding autocast; softmax and sums are float32.

    Args:
        hidden: (N, D).
        weight: (V, D).
        bias: (V,).
        targets: (N,) classes.
        chunk_elements: maximum number of logits in memory at a time (at least one row).

    Returns:
        scalar, float32.
    """
    rows = max(1, chunk_elements // len(weight))
    train = torch.is_grad_enabled()
    loss: Tensor = _LinearCrossEntropy.apply(hidden, weight, bias, targets, rows, train)
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    """Computes the gradients in the forward pass, for a loss of weight 1; the backward pass scales them."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, rows: int, train: bool
    ) -> Tensor:
        """The mean loss, from `rows` predictions at a time; with `train`, the gradients are kept."""
        dtype = torch.get_autocast_dtype(hidden.device.type)
        dtype = dtype if torch.is_autocast_enabled(hidden.device.type) else hidden.dtype
        # The share of one prediction in a mean over thousands is too small for float16.
        shared = 1 if dtype == torch.float16 else len(hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            matrix = weight.to(dtype)
            grads = [
                torch.zeros(tensor.shape, dtype=torch.float32, device=tensor.device)
                if train and wanted
                else None
                for tensor, wanted in zip((hidden, weight, bias), ctx.needs_input_grad, strict=False)
            ]
            total = torch.zeros((), dtype=torch.float32, device=hidden.device)
            for start in range(0, len(hidden), rows):
                part = slice(start, start + rows)
                total += _chunk(hidden[part].to(dtype), matrix, bias, targets[part], part, grads, shared)
            if shared == 1:
                grads = [None if grad is None else grad.div_(len(hidden)) for grad in grads]
        ctx.save_for_backward(*[grad for grad in grads if grad is not None])
        ctx.dtypes = (hidden.dtype, weight.dtype, bias.dtype)
        return total / len(hidden)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        grads = [
            next(saved).mul(outputs[0]).to(dtype) if wanted else None
            for wanted, dtype in zip(ctx.needs_input_grad, ctx.dtypes, strict=False)
        ]
        return (*grads, None, None, None)


def _chunk(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    part: slice,
    grads: list[Tensor | None],
    count: int,
) -> Tensor:
    """Sum of the losses of some rows; adds to `grads` their part of the mean's gradients over `count`.

    Each exponential is computed once, for the loss and its gradient, not by log_softmax and by softmax.
    """
    logits, labels = (hidden @ weight.T).float().add_(bias), targets[:, None]
    highest, own = logits.amax(1, keepdim=True), logits.gather(1, labels)
    odds = logits.sub_(highest).exp_()
    total = odds.sum(1, keepdim=True)
    loss = (total.log() - (own - highest)).sum()
    hidden_grad, weight_grad, bias_grad = grads
    if hidden_grad is not None or weight_grad is not None or bias_grad is not None:
        slope = odds.mul_(1 / (total * count)).scatter_add_(1, labels, torch.full_like(own, -1 / count))
        if bias_grad is not None:
            bias_grad += slope.sum(0)
        slope = slope.to(weight.dtype)
        if hidden_grad is not None:
            hidden_grad[part] = slope @ weight
        if weight_grad is not None:
            weight_grad += slope.T @ hidden
    return loss
