"""Nested cross-validation of a logistic regression that predicts labels from vectors."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown.probing.regression import fit_path

PENALTIES = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Regularisation penalties to choose from (see `regression.fit_path`)."""


class Fold(NamedTuple):
    """The result for a held-out fold.

    Attributes:
        accuracy: share of correct predictions in it.
        penalty: the regularisation that was best within the other folds.
    """

    accuracy: float
    penalty: float


def chance(labels: Tensor, folds: Tensor) -> list[float]:
    """Return, for each fold, the accuracy of always predicting the most frequent label of the others."""
    found = []
    for fold in range(int(folds.max()) + 1):
        most = labels[folds != fold].bincount().argmax()
        found.append((labels[folds == fold] == most).double().mean().item())
    return found


def cross_validate(
    vectors: Tensor, labels: Tensor, folds: Tensor, penalties: Sequence[float] = PENALTIES
) -> list[Fold]:
    """Test on each fold a classifier fitted to the others, with a penalty chosen within these.

    For the choice, each of them is held out in turn, and the penalty with the best mean accuracy is taken,
    ties the largest. A fit without folds i and j serves for both.

    Args:
        vectors: (N, D) float64.
        labels: (N,) from 0.
        folds: (N,) from 0, at least three.
        penalties: from large to small.

    Raises:
        ValueError: if a fit does not converge.
    """
    count, classes = int(folds.max()) + 1, int(labels.max()) + 1
    inner = torch.zeros(count, len(penalties), dtype=torch.float64)
    for pair in itertools.combinations(range(count), 2):
        rest = (folds != pair[0]) & (folds != pair[1])
        path = fit_path(vectors[rest], labels[rest], classes, penalties)
        for outer, other in (pair, pair[::-1]):
            held = folds == other
            inner[outer] += torch.tensor([one.correct(vectors[held], labels[held]) for one in path])
    found = []
    for fold, chosen in enumerate(inner.argmax(1).tolist()):
        rest, held = folds != fold, folds == fold
        (best,) = fit_path(vectors[rest], labels[rest], classes, [penalties[chosen]])
        found.append(Fold(best.correct(vectors[held], labels[held]), penalties[chosen]))
    return found
