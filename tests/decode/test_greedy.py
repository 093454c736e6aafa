"""Greedy CTC decoding against a label-by-label restatement, and its independence of padding and batch."""

import itertools

import pytest
import torch
from networks import make, make_batch

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.decoders import build_decoder
from asr_topdown.decode.greedy import ctc_greedy
from asr_topdown.decode.result import DecodeResult, Hypothesis
from asr_topdown.text import Vocabulary


def frames_of(labels: list[int], units: int = 5) -> torch.Tensor:
    """(1, T, V) log-probabilities whose best label of each frame is the given one."""
    logits = torch.zeros(1, len(labels), units)
    logits[0, range(len(labels)), labels] = 4.0
    return logits.log_softmax(2)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([0, 1, 1, 0, 1, 2, 2], (1, 1, 2)),
        ([3, 3, 3], (3,)),
        ([0, 0, 0], ()),
        ([1, 0, 1, 1, 0, 0, 2], (1, 1, 2)),
        ([4, 4, 0, 4], (4, 4)),
    ],
)
def test_repeats_merge_and_blanks_go(path: list[int], expected: tuple[int, ...]) -> None:
    result = ctc_greedy(frames_of(path), torch.tensor([len(path)]))
    assert [one.best.ids for one in result] == [expected]


def test_score_is_the_best_alignments_log_probability() -> None:
    log_probs = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]]]).log()
    best = ctc_greedy(log_probs, torch.tensor([3]))[0].best
    assert best.ids == (1, 2)
    assert best.score == pytest.approx(float(torch.tensor(0.5 * 0.6 * 0.6).log()), abs=1e-6)


def test_equals_a_loop_over_frames() -> None:
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(20, 60, 6, generator=generator).log_softmax(2)
    lengths = torch.randint(0, 61, (20,), generator=generator)
    results = ctc_greedy(log_probs, lengths)
    for row, length, result in zip(log_probs, lengths.tolist(), results, strict=True):
        path = row[:length].argmax(1).tolist()
        assert result.best.ids == tuple(label for label, _ in itertools.groupby(path) if label != 0)
        assert result.best.score == pytest.approx(float(row[:length].max(1).values.sum()), abs=1e-4)


def test_batched_equals_one_by_one_and_padding_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    log_probs = torch.randn(8, 50, 7, generator=generator).log_softmax(2)
    lengths = torch.tensor([50, 31, 0, 1, 17, 33, 49, 8])
    batched = ctc_greedy(log_probs, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = ctc_greedy(log_probs[row : row + 1, :length], lengths[row : row + 1])
        assert alone == [batched[row]]
    padded = torch.cat([log_probs, torch.full((8, 9, 7), torch.nan)], 1)
    padded[1, 31:] = torch.nan
    assert ctc_greedy(padded, lengths) == batched


def test_no_frames_give_an_empty_hypothesis() -> None:
    empty = DecodeResult((Hypothesis((), 0.0),))
    assert ctc_greedy(torch.zeros(2, 0, 4), torch.tensor([0, 0])) == [empty, empty]
    assert ctc_greedy(torch.zeros(0, 5, 4), torch.zeros(0, dtype=torch.long)) == []


def test_nan_is_reported_with_its_row() -> None:
    log_probs = torch.zeros(3, 4, 5)
    log_probs[1, 2, 3] = torch.nan
    with pytest.raises(ValueError, match="utterance 1 of the batch"):
        ctc_greedy(log_probs, torch.tensor([4, 4, 4]))


def test_a_penalty_of_beam_searches_changes_no_score() -> None:
    """As `config.unread` says of `decode.length_penalty`, also with an attention decoder."""
    model, batch = make("attention").eval(), make_batch()
    vocabulary = Vocabulary(("<blank>", "<unk>", *"abcd"), "char")
    with torch.no_grad():
        memory = model.encode(batch.feats, batch.feat_lengths)
        plain, penalised = (
            build_decoder(model, DecodeConfig(length_penalty=penalty), vocabulary)(*memory)
            for penalty in (0.0, 2.0)
        )
    assert sum(len(one.best.ids) for one in plain) > 10
    assert penalised == plain
