"""Shared dropout masks: over time, and over all occurrences of a word."""

import torch

from asr_topdown.nn.dropout import LockedDropout, WordDropout


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
