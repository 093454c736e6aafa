"""The attention loss: label smoothing by hand and by PyTorch, its gradient, the prior."""

import math

import pytest
import torch
import torch.nn.functional as F

from asr_topdown.losses import label_loss, overconfidence, unit_prior

TARGETS = torch.tensor([[2, 0, 1], [3, 3, 0]])
MASK = torch.tensor([[True, True, True], [True, False, False]])


def log_probs(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).to(dtype).log_softmax(-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_uniform_smoothing_is_pytorchs_summed_over_an_utterance(smoothing: float) -> None:
    ours = label_loss(log_probs(), TARGETS, MASK, smoothing=smoothing, prior=None)
    each = F.cross_entropy(log_probs().transpose(1, 2), TARGETS, reduction="none", label_smoothing=smoothing)
    assert torch.allclose(ours, (each * MASK).sum(1))


def test_unigram_smoothing_by_hand() -> None:
    """One label, probabilities 1/2 and 1/4, prior 3/4 and 1/4, a fifth of the label given away."""
    probabilities = torch.tensor([[[0.5, 0.25, 0.25]]])
    prior = torch.tensor([0.75, 0.25, 0.0])
    loss = label_loss(
        probabilities.log(), torch.tensor([[1]]), torch.tensor([[True]]), smoothing=0.2, prior=prior
    )
    expected = 0.8 * math.log(4) + 0.2 * (0.75 * math.log(2) + 0.25 * math.log(4))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_the_gradient_is_probability_minus_smoothed_target() -> None:
    logits = torch.randn(2, 3, 4, requires_grad=True)
    prior = torch.tensor([0.1, 0.2, 0.3, 0.4])
    label_loss(logits.log_softmax(-1), TARGETS, MASK, smoothing=0.3, prior=prior).sum().backward()
    target = 0.7 * F.one_hot(TARGETS, 4) + 0.3 * prior
    assert torch.allclose(logits.grad, (logits.softmax(-1) - target) * MASK[..., None], atol=1e-6)


def test_the_loss_is_float32_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        loss = label_loss(log_probs(torch.bfloat16), TARGETS, MASK, smoothing=0.1, prior=None)
    assert loss.dtype == torch.float32


def test_prior_counts_units_and_ends() -> None:
    """Two sequences, one `end` each, and one added to each of the five counts."""
    prior = unit_prior([[2, 2, 3], [2]], vocab_size=5, end=4)
    assert torch.allclose(prior, torch.tensor([1.0, 1, 4, 2, 3]) / 11)


def test_overconfidence_is_the_divergence_from_uniform_over_the_real_frames() -> None:
    uniform = torch.full((4,), 0.25).expand_as(log_probs()).log()
    each = F.kl_div(uniform, log_probs(), reduction="none", log_target=True).sum(-1)  # KL(P || U)
    assert torch.allclose(overconfidence(log_probs(), MASK), (each * MASK).sum(1))
    assert torch.allclose(overconfidence(uniform, MASK), torch.zeros(2), atol=1e-6)
    certain = torch.tensor([1.0, 1e-30, 1e-30, 1e-30]).log().expand(2, 3, 4)
    assert torch.allclose(overconfidence(certain, MASK), math.log(4) * MASK.sum(1))
