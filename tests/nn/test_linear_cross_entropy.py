"""The fused softmax against PyTorch's own: values, gradients, and what it never allocates."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from asr_topdown.nn.linear_cross_entropy import linear_cross_entropy


def inputs(rows: int = 13, size: int = 5, words: int = 31) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    hidden, weight, bias = (
        torch.randn(*shape, generator=generator).requires_grad_()
        for shape in ((rows, size), (words, size), (words,))
    )
    return hidden, weight, bias, torch.randint(words, (rows,), generator=generator)


@pytest.mark.parametrize("chunk", [1, 31, 4 * 31, 13 * 31, 10**6])
def test_value_and_gradients_for_every_chunk_size(chunk: int) -> None:
    hidden, weight, bias, targets = inputs()
    usual = F.cross_entropy(F.linear(hidden, weight, bias), targets)
    expected = torch.autograd.grad(3 * usual, (hidden, weight, bias))
    loss = linear_cross_entropy(hidden, weight, bias, targets, chunk_elements=chunk)
    torch.testing.assert_close(loss, usual, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(torch.autograd.grad(3 * loss, (hidden, weight, bias)), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_frozen_matrix_gets_no_gradient_but_passes_it_on() -> None:
    hidden, weight, bias, targets = inputs()
    expected = torch.autograd.grad(F.cross_entropy(F.linear(hidden, weight, bias), targets), hidden)[0]
    linear_cross_entropy(hidden, weight.detach(), bias.detach(), targets).backward()
    assert weight.grad is None
    torch.testing.assert_close(hidden.grad, expected)


def test_without_gradients_it_gives_the_value_alone() -> None:
    hidden, weight, bias, targets = inputs()
    with torch.no_grad():
        loss = linear_cross_entropy(hidden, weight, bias, targets)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, F.cross_entropy(F.linear(hidden, weight, bias), targets))


def test_logits_whose_exponentials_vanish_or_overflow() -> None:
    hidden, weight, bias, targets = inputs()
    large = (100 * hidden).detach().requires_grad_()
    logits = F.linear(large, weight, bias)
    assert (logits.gather(1, targets[:, None]) - logits.amax(1, keepdim=True)).min() < -200
    assert logits.max() > 200
    usual = F.cross_entropy(logits, targets)
    loss = linear_cross_entropy(large, weight, bias, targets)
    torch.testing.assert_close(loss, usual)
    for ours, theirs in zip(
        torch.autograd.grad(loss, (large, weight)), torch.autograd.grad(usual, (large, weight)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_half_precision_products_and_float32_softmax() -> None:
    hidden, weight, bias, targets = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(hidden, weight, bias, targets)
    loss.backward()
    usual = F.cross_entropy(F.linear(hidden, weight, bias), targets)
    assert loss.dtype == torch.float32
    assert 0 < abs(loss - usual) < 0.02
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
    expected = torch.autograd.grad(usual, weight)[0]
    assert (weight.grad - expected).norm() < 0.02 * expected.norm()


def test_the_logits_never_exist_at_once() -> None:
    """The largest tensor made in the forward and the backward pass, as the profiler saw it."""
    hidden, weight, bias, targets = inputs(rows=2000, size=8, words=1000)
    with torch.profiler.profile(profile_memory=True) as profile:
        linear_cross_entropy(hidden, weight, bias, targets, chunk_elements=50_000).backward()
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert 0 < largest <= 4 * 50_000 * 2 + 1000  # float32, and the softmax beside the logits
