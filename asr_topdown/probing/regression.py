"""L2-regularised multinomial logistic regression, fitted to convergence in float64."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

GRADIENT = 1e-6
"""A fit ends when no component of the gradient is larger."""
_MOST_STEPS = 5000


@dataclass(frozen=True)
class Regression:
    """A fitted classifier of vectors.

    Attributes:
        weight: (K, D), for standardised vectors.
        bias: (K,), not regularised.
        mean: (D,) of the training vectors.
        scale: (D,) their standard deviation; 1 where that is 0.
        gradient: largest component of the objective's final gradient.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    scale: Tensor
    gradient: float

    def logits(self, vectors: Tensor) -> Tensor:
        """Compute (N, K) logits of (N, D) vectors."""
        return F.linear((vectors - self.mean) / self.scale, self.weight, self.bias)

    def correct(self, vectors: Tensor, labels: Tensor) -> float:
        """Return the share of correct predictions."""
        return (self.logits(vectors).argmax(1) == labels).double().mean().item()


def fit_path(vectors: Tensor, labels: Tensor, classes: int, penalties: Sequence[float]) -> list[Regression]:
    """Fit for each penalty in turn, starting each fit from the previous one.

    The objective is the mean cross-entropy + penalty / 2 x the squared norm of the weights, for standardised
    vectors: scikit-learn's with C = 1 / (penalty x N). It has one minimum, which L-BFGS finds.

    Args:
        vectors: (N, D) float64.
        labels: (N,) from 0.
        classes: K; a class without examples gets nearly no probability.
        penalties: above 0; fastest from large to small.

    Raises:
        ValueError: naming the penalty, if the fit does not converge.
    """
    mean, scale = vectors.mean(0), vectors.std(0, correction=0)
    scale = torch.where(scale > 0, scale, 1.0)
    inputs = (vectors - mean) / scale
    weight = torch.zeros(classes, vectors.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    found = []
    for penalty in penalties:
        gradient = _minimise(inputs, labels, weight, bias, penalty)
        found.append(Regression(weight.detach().clone(), bias.detach().clone(), mean, scale, gradient))
    return found


def _minimise(inputs: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, penalty: float) -> float:
    """Move the parameters to the minimum; return the largest component of the gradient there."""

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(inputs, weight, bias), labels)
        value = value + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_MOST_STEPS,
        max_eval=2 * _MOST_STEPS,
        tolerance_grad=GRADIENT,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )
    with torch.enable_grad():
        optimizer.step(loss)
        loss()
    assert weight.grad is not None
    assert bias.grad is not None
    gradient = max(weight.grad.abs().max().item(), bias.grad.abs().max().item())
    if not gradient <= 10 * GRADIENT:
        raise ValueError(f"logistic regression, penalty {penalty:g}: the gradient is still {gradient:.1e}")
    return gradient
