"""The attention head, label by label as in a search."""

import pytest
import torch
from networks import NETWORKS, SIZES, VOCAB, make, make_batch

WITH_ATTENTION = [name for name, model in NETWORKS.items() if "attention" in model]


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_label_by_label_is_teacher_forcing(name: str) -> None:
    """Also with three hypotheses per utterance, reordered, and with utterances dropped on the way."""
    model = make(name).eval()
    batch = make_batch()
    memory, lengths = model.encode(batch.feats, batch.feat_lengths)
    generator = torch.Generator().manual_seed(2)
    steps, beam, kept = 6, 3, torch.tensor([0, 2, 3])
    head = model.attention
    scorer = head.scorer
    rows = torch.arange(len(SIZES)).repeat_interleave(beam)
    state = scorer.select(scorer.init_state(memory, lengths), rows)
    read = torch.full((len(rows), 0), 0)
    tokens = torch.full((len(rows),), head.sos_eos)
    worst = 0.0
    for step in range(steps):
        log_probs, state = scorer.score(state, tokens)
        read = torch.cat([read, tokens[:, None]], 1)
        forced = head.output(head.decoder(memory[rows], lengths[rows].clamp(min=1), read))
        worst = max(worst, (log_probs - forced[:, -1]).abs().max().item())
        # Each new hypothesis goes on from some old one of its utterance.
        choice = torch.randint(beam, (len(rows),), generator=generator)
        choice += beam * torch.arange(len(rows) // beam).repeat_interleave(beam)
        if step == 2:
            choice = choice.view(-1, beam)[kept].flatten()
            rows = rows.view(-1, beam)[kept].flatten()
            state = scorer.select(state, choice, kept)
        else:
            state = scorer.select(state, choice)
        read = read[choice]
        tokens = torch.randint(VOCAB, (len(rows),), generator=generator)
    assert worst < 1e-5


def test_the_prior_is_of_the_labels_and_part_of_no_checkpoint() -> None:
    model = make("blstm")
    prior = model.attention.prior
    assert prior.sum().item() == pytest.approx(1)
    assert prior.argmax().item() == VOCAB  # each of the four sequences ends
    assert "prior" not in " ".join(model.state_dict())


@pytest.mark.parametrize("gradient", [False, True])
def test_a_state_that_was_read_once_can_be_selected_from_and_read_again(gradient: bool) -> None:
    """With a gradient or without; selections of selections are one selection."""
    head = make("transformer").eval().attention
    memory, lengths = torch.randn(2, 7, 8), torch.tensor([7, 4])
    tokens = torch.tensor([1, 2, 3, 4, 5, 1])
    with torch.set_grad_enabled(gradient):
        state = head.scorer.select(head.scorer.init_state(memory, lengths), torch.tensor([0, 0, 0, 1, 1, 1]))
        for _ in range(2):
            _, state = head.scorer.score(state, tokens)
        first, second = torch.tensor([2, 2, 0, 5, 3, 4]), torch.tensor([1, 0, 2, 5, 5, 3])
        picked = head.scorer.select(head.scorer.select(state, first), second)
        found = [head.scorer.score(picked, tokens)[0] for _ in range(2)]
        expected, _ = head.scorer.score(head.scorer.select(state, first[second]), tokens)
        other, _ = head.scorer.score(state, tokens)
    for again in found:
        torch.testing.assert_close(again, expected, rtol=0, atol=1e-6)
    assert not torch.allclose(other, expected, atol=1e-3)
