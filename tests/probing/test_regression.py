"""The probe's classifier: its minimum, scikit-learn's result, cross-validation without the test fold."""

import math

import pytest
import torch
import torch.nn.functional as F

from asr_topdown.probing import cross_validation
from asr_topdown.probing.cross_validation import PENALTIES, chance, cross_validate
from asr_topdown.probing.regression import GRADIENT, fit_path


def clusters(count=120, size=6, classes=3, spread=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    means = torch.randn(classes, size, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, size, generator=generator, dtype=torch.float64)
    return 5 + 10 * means[labels] + 10 * spread * noise, labels


@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_every_fit_of_a_path_is_at_its_own_minimum(spread):
    """The objective written out once more; it is strictly convex in the weights, so no start matters."""
    vectors, labels = clusters(spread=spread)
    path = fit_path(vectors, labels, 3, PENALTIES)
    inputs = (vectors - vectors.mean(0)) / vectors.std(0, correction=0)
    lengths = []
    for penalty, found in zip(PENALTIES, path, strict=True):
        weight, bias = found.weight.clone().requires_grad_(), found.bias.clone().requires_grad_()
        loss = F.cross_entropy(inputs @ weight.T + bias, labels) + penalty / 2 * weight.square().sum()
        gradients = torch.autograd.grad(loss, [weight, bias])
        assert max(one.abs().max().item() for one in gradients) <= 10 * GRADIENT
        (alone,) = fit_path(vectors, labels, 3, [penalty])
        assert torch.allclose(alone.weight, found.weight, atol=1e-5 / penalty)
        lengths.append(weight.norm().item())
    assert lengths == sorted(lengths)


def test_the_weights_of_two_classes_solve_their_scalar_equation():
    """Two classes, one number of mean 0 and deviation 1: b = 0, and w0 = -w1 = w solves a scalar equation."""
    vectors = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])
    penalty = 0.1
    (found,) = fit_path(vectors, labels, 2, [penalty])
    low, high = 0.0, 10.0  # the derivative of ln(1 + exp(-2 w)) + penalty w^2 grows with w
    for _ in range(100):
        middle = (low + high) / 2
        slope = -2 / (1 + math.exp(2 * middle)) + 2 * penalty * middle
        low, high = (middle, high) if slope < 0 else (low, middle)
    assert found.weight[:, 0].tolist() == pytest.approx([-low, low], abs=1e-5)
    assert found.bias.tolist() == pytest.approx([0, 0], abs=1e-6)


def test_constant_numbers_and_absent_classes_do_no_harm():
    vectors, labels = clusters()
    vectors = torch.cat([vectors, torch.full((len(vectors), 1), 3.0)], 1)
    (found,) = fit_path(vectors, labels, 4, [0.01])
    assert found.weight.isfinite().all()
    assert not (found.logits(vectors).argmax(1) == 3).any()


def test_as_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    vectors, labels = clusters()
    inputs = (vectors - vectors.mean(0)) / vectors.std(0, correction=0)
    for penalty in (1.0, 0.01):
        (found,) = fit_path(vectors, labels, 3, [penalty])
        other = linear_model.LogisticRegression(C=1 / (penalty * len(vectors)), tol=1e-10, max_iter=10_000)
        other.fit(inputs.numpy(), labels.numpy())
        assert torch.allclose(found.weight, torch.from_numpy(other.coef_), atol=1e-4)


def test_cross_validation_is_the_plain_nested_one(monkeypatch):
    """Each pair of folds is fitted once; written out with a loop in a loop the result is the same."""
    vectors, labels = clusters(spread=1.5)
    folds = torch.arange(len(labels)) // 3 % 4
    penalties = (1.0, 0.1, 0.01)
    calls = []
    real = cross_validation.fit_path

    def counted(*args):
        calls.append(args[0].shape[0])
        return real(*args)

    monkeypatch.setattr(cross_validation, "fit_path", counted)
    found = cross_validate(vectors, labels, folds, penalties)
    assert len(calls) == 6 + 4
    for outer in range(4):
        scores = []
        for penalty in penalties:
            inner = []
            for other in {0, 1, 2, 3} - {outer}:
                rest, held = (folds != outer) & (folds != other), folds == other
                (one,) = real(vectors[rest], labels[rest], 3, [penalty])
                inner.append(one.correct(vectors[held], labels[held]))
            scores.append(sum(inner) / 3)
        best = penalties[scores.index(max(scores))]
        (one,) = real(vectors[folds != outer], labels[folds != outer], 3, [best])
        held = folds == outer
        assert found[outer].penalty == best
        assert found[outer].accuracy == pytest.approx(one.correct(vectors[held], labels[held]))


def test_noise_is_at_chance_and_clusters_are_read():
    vectors, labels = clusters(count=600, spread=0.05)
    folds = torch.arange(600) % 5
    assert all(one.accuracy == 1 for one in cross_validate(vectors, labels, folds))
    shuffled = labels[torch.randperm(600, generator=torch.Generator().manual_seed(1))]
    accuracy = [one.accuracy for one in cross_validate(vectors, shuffled, folds)]
    # 600 guesses of three are right with a standard deviation of 2 %
    assert sum(accuracy) / 5 == pytest.approx(1 / 3, abs=0.08)


def test_chance_knows_only_the_other_folds():
    labels, folds = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 0, 1, 1, 2, 2])
    # Without fold 0, label 1 is most frequent; without 1 and without 2 it is label 0.
    assert chance(labels, folds) == [0.0, 0.5, 0.0]
