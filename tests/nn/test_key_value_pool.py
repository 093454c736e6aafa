"""The pool of labels of the Transformer's decoder, against the whole pass without one."""

import pytest
import torch
from torch import Tensor

from asr_topdown.nn import transformer_decoder
from asr_topdown.nn.key_value_pool import MORE_LABELS, living, with_fresh
from asr_topdown.nn.quantized import dynamic_int8
from asr_topdown.nn.transformer_decoder import TransformerDecoder

VOCAB, SIZE = 7, 16


def decoder() -> TransformerDecoder:
    torch.manual_seed(0)
    made = TransformerDecoder(
        vocab_size=VOCAB, memory_size=SIZE, num_layers=2, num_heads=4, ffn_dim=24, dropout=0.1,
        attention_dropout=0.1,
    )  # fmt: skip
    return made.eval()


def worst_of_a_search(network: TransformerDecoder, *, beam: int, steps: int, precision: str) -> float:
    """The largest distance between outputs label by label and those of the whole pass in float32.

    Random labels after random hypotheses of four utterances, of which one goes early and one late.
    """
    generator = torch.Generator().manual_seed(beam)
    frames, lengths = torch.randn(4, 9, SIZE, generator=generator), torch.tensor([9, 4, 1, 7])
    leaving = {3: torch.tensor([0, 1, 3]), 2 * MORE_LABELS: torch.tensor([2, 1])}
    rows = torch.arange(4).repeat_interleave(beam)
    read, tokens, worst = torch.empty(len(rows), 0, dtype=torch.long), torch.zeros_like(rows), 0.0
    state = network.select(network.init_state(frames, lengths), rows)
    for step in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            outputs, state = network.step(state, tokens)
        read = torch.cat([read, tokens[:, None]], 1)
        whole = network(frames[rows], lengths[rows], read)[:, -1]
        worst = max(worst, (outputs - whole).abs().max().item())
        choice = torch.randint(beam, (len(rows) // beam, beam), generator=generator)
        choice += torch.arange(0, len(rows), beam)[:, None]
        utterances = leaving.get(step)
        if utterances is not None:
            choice, rows = choice[utterances], rows.view(-1, beam)[utterances].flatten()
        state = network.select(state, choice.flatten(), utterances)
        read = read[choice.flatten()]
        tokens = torch.randint(VOCAB, (len(rows),), generator=generator)
    return worst


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("drop", [True, False])
@torch.no_grad()
def test_label_by_label_is_the_whole_pass(beam: int, drop: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether labels that no hypothesis needs are dropped, as on a CPU, or not, as on a GPU."""
    if not drop:
        monkeypatch.setattr(transformer_decoder, "_without_the_dead", lambda state: state)
    assert worst_of_a_search(decoder(), beam=beam, steps=4 * MORE_LABELS, precision="float32") < 1e-5


@torch.no_grad()
def test_so_it_is_in_bfloat16_and_int8_but_for_rounding() -> None:
    """Outputs are of size 4."""
    network = decoder()
    assert 1e-4 < worst_of_a_search(network, beam=3, steps=20, precision="bfloat16") < 0.2
    int8 = dynamic_int8(network, torch.device("cpu"))
    assert worst_of_a_search(int8, beam=3, steps=20, precision="int8") < 0.2


@torch.no_grad()
def test_two_continuations_of_one_state_do_not_disturb_each_other() -> None:
    """They share the memory of what both have read, and the second gets its own for what follows."""
    network, frames, lengths = decoder(), torch.randn(2, 5, SIZE), torch.tensor([5, 3])
    state = network.init_state(frames, lengths)
    for _ in range(3):
        _, state = network.step(state, torch.tensor([1, 2]))
    assert state.pools[0].has_room(1)
    _, one = network.step(state, torch.tensor([3, 4]))
    _, other = network.step(state, torch.tensor([5, 6]))
    for labels, after in (
        ([[1, 1, 1, 3, 0], [2, 2, 2, 4, 0]], one),
        ([[1, 1, 1, 5, 0], [2, 2, 2, 6, 0]], other),
    ):
        found, _ = network.step(after, torch.tensor([0, 0]))
        torch.testing.assert_close(found, network(frames, lengths, torch.tensor(labels))[:, -1])


@torch.no_grad()
def test_the_pools_hold_little_more_than_what_hypotheses_need() -> None:
    """Of 5 hypotheses that always go on from the first, 100 labels are needed, not 500."""
    network, beam = decoder(), 5
    state = network.init_state(torch.randn(2, 3, SIZE), torch.tensor([3, 2]))
    state = network.select(state, torch.arange(2).repeat_interleave(beam))
    first = torch.arange(0, 2 * beam, beam).repeat_interleave(beam)
    for _ in range(100):
        _, state = network.step(state, torch.ones(2 * beam, dtype=torch.long))
        state = network.select(state, first)
    assert state.ancestors.shape[2] == state.pools[0].size <= 150 + MORE_LABELS * beam
    assert living(state.ancestors).shape == (2, 100)
    assert torch.equal(state.ancestors.sum(2), torch.full((2, beam), 100))


def test_each_hypothesis_reads_its_own_label_and_the_places_that_none_needs_go() -> None:
    """Two utterances of two hypotheses; the second needs one place less, and keeps another one for it."""
    nothing = torch.empty(2, 2, 0, dtype=torch.bool)
    ancestors = with_fresh(nothing)
    assert torch.equal(ancestors, torch.eye(2, dtype=torch.bool).expand(2, 2, 2))
    second: Tensor = with_fresh(torch.stack([ancestors[0], ancestors[1, [1, 1]]]))
    assert second.int().tolist() == [[[1, 0, 1, 0], [0, 1, 0, 1]], [[0, 1, 1, 0], [0, 1, 0, 1]]]
    assert living(second).tolist() == [[0, 1, 2, 3], [1, 2, 3, 0]]
    assert living(second[1:]).tolist() == [[1, 2, 3]]
