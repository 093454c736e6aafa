"""Dropout: its share and scale; masks shared over time, and over all occurrences of a word."""

import pytest
import torch

from asr_topdown.nn.dropout import Dropout, LockedDropout, WordDropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    inputs = torch.ones(101, 1003, requires_grad=True)
    outputs = Dropout(p)(inputs)
    outputs.sum().backward()
    assert (outputs == 0).float().mean().item() == pytest.approx(p, abs=5e-3)
    assert outputs.mean().item() == pytest.approx(1.0, abs=0.02)
    torch.testing.assert_close(inputs.grad, outputs.detach(), rtol=0, atol=0)
    kept = (outputs != 0).float()
    # No number depends on its neighbours, with which it shares a random draw.
    assert torch.corrcoef(torch.stack([kept[:, :-1].flatten(), kept[:, 1:].flatten()]))[0, 1].abs() < 0.01
    assert kept.mean(0).std() < 1.2 * (p * (1 - p) / 101) ** 0.5


def test_dropout_of_nothing_all_and_in_evaluation() -> None:
    inputs = torch.randn(5, 7)
    assert torch.equal(Dropout(0.0)(inputs), inputs)
    assert torch.equal(Dropout(1.0)(inputs), torch.zeros(5, 7))
    assert torch.equal(Dropout(0.5).eval()(inputs), inputs)
    assert Dropout(0.5)(inputs.bfloat16()).dtype == torch.bfloat16


def test_locked_dropout_has_one_mask_at_all_times() -> None:
    torch.manual_seed(0)
    dropped = LockedDropout(0.4)(torch.ones(7, 3, 50))
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert not torch.equal(dropped[:, 0], dropped[:, 1])
    assert set(dropped.unique().tolist()) == {0.0, torch.tensor(1 / 0.6).item()}


def test_locked_dropout_drops_its_share() -> None:
    torch.manual_seed(0)
    share = (LockedDropout(0.65)(torch.ones(1, 100, 100)) == 0).float().mean().item()
    assert abs(share - 0.65) < 0.02  # four standard deviations


def test_a_dropped_word_is_dropped_wherever_it_stands() -> None:
    torch.manual_seed(0)
    words = torch.arange(40).repeat(3, 2).view(6, 40)
    vectors = WordDropout(0.5)(words, torch.ones(40, 4))
    for word in range(40):
        found = vectors[words == word]
        assert torch.equal(found, found[:1, :1].expand_as(found))
    assert 8 < (vectors[0, :, 0] == 0).sum() < 32
    assert set(vectors.unique().tolist()) == {0.0, 2.0}


def test_word_dropout_is_a_masked_matrix() -> None:
    """The published formulation multiplies the whole matrix and then looks up."""
    weight, words = torch.randn(9, 4), torch.tensor([[1, 2], [8, 1]])
    torch.manual_seed(5)
    ours = WordDropout(0.3)(words, weight)
    torch.manual_seed(5)
    mask = torch.nn.functional.dropout(torch.ones(9), 0.3)
    torch.testing.assert_close(ours, (weight * mask[:, None])[words])


def test_no_dropout_in_evaluation() -> None:
    frames, weight = torch.randn(4, 2, 3), torch.randn(5, 3)
    words = torch.tensor([[0, 4]])
    assert torch.equal(LockedDropout(0.5).eval()(frames), frames)
    assert torch.equal(WordDropout(0.5).eval()(words, weight), weight[words])
