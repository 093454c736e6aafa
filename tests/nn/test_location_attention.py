"""Location-aware attention and the loop's deferred gradients, against the plain formulas."""

import pytest
import torch

from asr_topdown.nn.deferred import DeferredWeight
from asr_topdown.nn.location_attention import SHARPENING, LocationAttention

LENGTHS = torch.tensor([9, 6, 1])


def by_the_book(
    attention: LocationAttention, frames: torch.Tensor, query: torch.Tensor, previous: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Chorowski et al. 2015, equations 8 and 9, one utterance at a time."""
    contexts, weights = [], []
    for row, length in enumerate(LENGTHS.tolist()):
        memory = frames[row, :length]
        filtered = attention.filters(previous[row : row + 1, :length])[:, :length].t()
        hidden = attention.memory(memory) + attention.query(query[row]) + attention.location(filtered)
        energy = attention.energy(torch.tanh(hidden))[:, 0]
        shares = (SHARPENING * energy).softmax(0)
        contexts.append(shares @ memory)
        weights.append(torch.nn.functional.pad(shares, (0, 9 - length)))
    return torch.stack(contexts), torch.stack(weights)


@pytest.mark.parametrize("width", [2, 8])  # the filters as a convolution, and as one matrix
def test_a_loop_equals_the_formulas_in_values_and_gradients(width: int) -> None:
    torch.manual_seed(0)
    attention = LocationAttention(
        memory_size=5, query_size=4, attention_size=6, filters=3, width=width
    ).double()
    assert attention._as_matrix(9) == (width == 8)
    frames = torch.randn(3, 9, 5, dtype=torch.double, requires_grad=True)
    queries = torch.randn(4, 3, 4, dtype=torch.double, requires_grad=True)
    inputs = (frames, queries, *attention.parameters())
    results = []
    for kind in ("loop", "book"):
        memory, weights = attention.prepare(frames, LENGTHS)
        total = torch.zeros((), dtype=torch.double)
        for step, query in enumerate(queries):
            if kind == "loop":
                context, weights = attention(memory, query @ attention.query.weight.t(), weights)
            else:
                context, weights = by_the_book(attention, frames, query, weights)
            total = total + (step + 1) * (context.square().sum() + weights.square().sum())
        results.append((total, weights, torch.autograd.grad(total, inputs)))
    (ours, our_weights, our_gradients), (theirs, their_weights, their_gradients) = results
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    assert torch.allclose(our_weights, their_weights, atol=1e-12)
    assert our_weights[1, 6:].eq(0).all()
    for ours, theirs in zip(our_gradients, their_gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-10)


def test_two_backward_passes_through_one_loop_add_up() -> None:
    """The tapes are emptied by each."""
    torch.manual_seed(0)
    attention = LocationAttention(memory_size=5, query_size=4, attention_size=6, filters=3, width=4)
    frames = torch.randn(3, 9, 5, requires_grad=True)
    memory, weights = attention.prepare(frames, LENGTHS)
    for _ in range(3):
        context, weights = attention(memory, torch.ones(3, 6), weights)
    context.sum().backward(retain_graph=True)
    once = [
        parameter.grad.clone() for parameter in (frames, attention.energy.weight, attention.memory.weight)
    ]
    context.sum().backward()
    for first, parameter in zip(
        once, (frames, attention.energy.weight, attention.memory.weight), strict=True
    ):
        assert torch.allclose(parameter.grad, 2 * first, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batched", [False, True])
def test_a_deferred_weight_has_the_gradient_of_a_plain_one(batched: bool) -> None:
    torch.manual_seed(0)
    weight = torch.randn(*([2] if batched else []), 3, 3, dtype=torch.double, requires_grad=True)
    start = torch.randn(*([2] if batched else []), 4, 3, dtype=torch.double, requires_grad=True)
    gradients = []
    for times in (DeferredWeight(weight), lambda rows: rows @ weight):
        rows = start
        for _ in range(5):
            rows = torch.tanh(times(rows))
        gradients.append(torch.autograd.grad(rows.square().sum(), (weight, start)))
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


def test_a_deferred_weight_that_is_frozen_passes_gradients_through() -> None:
    weight = torch.randn(3, 3)
    rows = torch.randn(2, 3, requires_grad=True)
    DeferredWeight(weight)(rows).sum().backward()
    assert torch.allclose(rows.grad, weight.sum(1).expand(2, 3))
    assert weight.grad is None
