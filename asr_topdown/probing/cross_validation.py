"""How well labels can be read from vectors: nested cross-validation of a logistic regression."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown.probing.regression import fit_path

PENALTIES = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Of `regression.fit_path`, from which the training folds choose."""


class Fold(NamedTuple):
    """What was found where a fold was left out.

    Attributes:
        accuracy: share of right answers in it, a fraction.
        penalty: the regularisation that did best within the other folds.
    """

    accuracy: float
    penalty: float


def chance(labels: Tensor, folds: Tensor) -> list[float]:
    """For each fold, the accuracy of always saying the label that is most frequent in the others."""
    found = []
    for fold in range(int(folds.max()) + 1):
        most = labels[folds != fold].bincount().argmax()
        found.append((labels[folds == fold] == most).double().mean().item())
    return found


def cross_validate(
    vectors: Tensor, labels: Tensor, folds: Tensor, penalties: Sequence[float] = PENALTIES
) -> list[Fold]:
    """Test on each fold what was fitted to the others, with the regularisation that these choose.

    For that each of them is left out once more, and the penalty with the best mean accuracy is taken, of
    equal ones the largest. A fit without folds i and j serves both ways round.

    Args:
        vectors: (N, D) float64.
        labels: (N,) from 0.
        folds: (N,) from 0, at least three.
        penalties: from large to small.

    Raises:
        ValueError: if a fit does not end.
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
