"""Linear CKA: invariances, its value by another formula, and unequal frame rates."""

import numpy as np
import pytest
import torch

from asr_topdown.probing.cka import LinearCka, aligned
from asr_topdown.probing.layer_outputs import Frames, pool

N = 40


def cka(*pairs):
    sums = LinearCka([pairs[0][0].shape[1]], [pairs[0][1].shape[1]])
    for x, y in pairs:
        sums.add([x], [y])
    return sums.result().item()


def random(size, seed, count=N):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_gram_matrices(x, y):
    """Centred Gram matrices: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), equation 3 of the paper."""
    centre = np.eye(len(x)) - 1 / len(x)
    k, l_ = (centre @ (one @ one.T) @ centre for one in (np.asarray(x), np.asarray(y)))
    return np.sum(k * l_) / np.sqrt(np.sum(k * k) * np.sum(l_ * l_))


def test_a_layer_is_like_itself():
    x = random(5, 0)
    assert cka((x, x)) == pytest.approx(1)


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_value_by_gram_matrices(shift):
    x, y = random(5, 0) + shift, random(7, 1)
    y[:, :3] += x[:, :3] - shift
    expected = by_gram_matrices(x - shift, y)
    assert 0.1 < expected < 0.9
    assert cka((x, y)) == pytest.approx(expected, abs=1e-8)
    assert cka((y, x)) == pytest.approx(expected, abs=1e-8)


def test_neither_rotation_nor_scale_nor_shift_matters_and_other_linear_maps_do():
    x, y = random(6, 2), random(4, 3)
    y += x[:, :4]
    plain = cka((x, y))
    rotation, _ = torch.linalg.qr(random(6, 4, 6))
    assert cka((x @ rotation, y)) == pytest.approx(plain)
    assert cka((-3 * x + 100, y / 7)) == pytest.approx(plain)
    stretched = x * torch.tensor([10.0, 1, 1, 1, 1, 1], dtype=torch.float64)
    assert abs(cka((stretched, y)) - plain) > 0.01


def test_independent_layers_are_unlike_with_many_frames():
    assert cka((random(3, 5, 20_000), random(3, 6, 20_000))) < 0.001


def test_in_batches_it_is_the_same_for_all_pairs_of_layers():
    first, second = [random(3, 7), random(5, 8)], [random(4, 9), random(2, 10), random(6, 11)]
    second[0][:, :3] += first[0]
    sums = LinearCka([3, 5], [4, 2, 6])
    for rows in (slice(0, 1), slice(1, 17), slice(17, N)):
        sums.add([one[rows] for one in first], [one[rows] for one in second])
    assert sums.count == N
    result = sums.result()
    for i, x in enumerate(first):
        for j, y in enumerate(second):
            assert result[i, j].item() == pytest.approx(by_gram_matrices(x, y), abs=1e-8)


def test_a_constant_layer_is_like_nothing():
    assert np.isnan(cka((torch.ones(N, 2), random(3, 0))))


def test_frames_are_averaged_down_to_those_of_the_slowest_layer():
    fine = torch.arange(16.0).reshape(1, 8, 2).repeat(2, 1, 1)
    coarse = torch.tensor([[[1.0], [2.0], [9.0]], [[3.0], [9.0], [9.0]]])
    lengths = torch.tensor([8, 4]), torch.tensor([2, 1])
    (first,), (second,) = aligned([Frames(fine, lengths[0])], [Frames(coarse, lengths[1])])
    assert second[:, 0].tolist() == [1, 2, 3]
    expected = [fine[0, :4].mean(0), fine[0, 4:].mean(0), fine[1, :4].mean(0)]
    assert torch.allclose(first, torch.stack(expected).double())


def test_pooling_sees_no_padding():
    values = torch.full((2, 5, 3), 77.0)
    values[0], values[1, :2] = random(3, 1, 5).float(), random(3, 2, 2).float()
    found = pool(Frames(values, torch.tensor([5, 2])), deviations=True)
    for row, size in enumerate((5, 2)):
        own = values[row, :size].double()
        assert torch.allclose(found[row, :3], own.mean(0))
        assert torch.allclose(found[row, 3:], own.std(0, correction=0))
