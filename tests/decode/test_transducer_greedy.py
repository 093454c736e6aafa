"""Greedy transducer search against a loop over one utterance, and independence of the batch."""

import pytest
import torch
from networks import make, make_batch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.decoders import build_decoder
from asr_topdown.decode.transducer_greedy import transducer_greedy
from asr_topdown.models.heads.transducer import TransducerHead
from asr_topdown.nn.predictor import LstmPredictor
from asr_topdown.text import Vocabulary

VOCAB = 6


def make_head(seed: int, blank: float = 1.0) -> TransducerHead:
    """Random weights, large enough for the labels to change what comes next."""
    torch.manual_seed(seed)
    predictor = LstmPredictor(vocab_size=VOCAB, embedding_size=5, hidden_size=8, num_layers=2, dropout=0.0)
    head = TransducerHead(
        predictor=predictor, memory_size=6, joiner_size=12, vocab_size=VOCAB, loss_backend="torch"
    )
    with torch.no_grad():
        for parameter in head.double().eval().parameters():
            parameter.mul_(3.0)
        head.joiner.output.bias[0] += blank
    return head


def random_memory(*lengths: int) -> tuple[Tensor, Tensor]:
    shape = (len(lengths), max(lengths, default=0), 6)
    return 2 * torch.randn(shape, dtype=torch.float64), torch.tensor(lengths)


def one_by_hand(head: TransducerHead, memory: Tensor, max_symbols: int) -> tuple[tuple[int, ...], float]:
    """One utterance (T, D): frame by frame, label by label."""
    outputs, state = head.predictor.start(1)
    labels, score = [], 0.0
    for frame in memory:
        for symbol in range(max_symbols + 1):
            log_probs = head.joiner(frame[None], outputs)[0].log_softmax(-1)
            label = int(log_probs.argmax()) if symbol < max_symbols else 0
            score += log_probs[label].item()
            if label == 0:
                break
            labels.append(label)
            outputs, state = head.predictor.step(state, torch.tensor([label]))
    return tuple(labels), score


@pytest.mark.parametrize("max_symbols", [1, 3, 7])
@pytest.mark.parametrize("blank", [-2.0, 1.0, 4.0])
def test_equals_the_loop_over_one_utterance(max_symbols: int, blank: float) -> None:
    found = 0
    for seed in range(3):
        head = make_head(seed, blank)
        memory, lengths = random_memory(20, 7, 0, 1)
        results = transducer_greedy(head, memory, lengths, max_symbols=max_symbols)
        for row, length in enumerate(lengths.tolist()):
            labels, score = one_by_hand(head, memory[row, :length], max_symbols)
            assert results[row].best.ids == labels
            assert results[row].best.score == pytest.approx(score, rel=1e-4, abs=1e-4)
            found += len(labels)
    assert found > 0


def test_padding_and_company_change_nothing() -> None:
    head = make_head(1)
    memory, lengths = random_memory(30, 12, 5)
    plain = transducer_greedy(head, memory, lengths, max_symbols=5)
    padded = torch.cat([memory, torch.full((3, 9, 6), torch.nan, dtype=torch.float64)], 1)
    padded[1, 12:] = torch.nan
    assert [one.best.ids for one in transducer_greedy(head, padded, lengths, max_symbols=5)] == [
        one.best.ids for one in plain
    ]
    for row, length in enumerate(lengths.tolist()):
        (alone,) = transducer_greedy(
            head, memory[row : row + 1, :length], lengths[row : row + 1], max_symbols=5
        )
        assert alone.best.ids == plain[row].best.ids


def test_no_frames_give_an_empty_hypothesis() -> None:
    head = make_head(0)
    for memory, lengths in (
        random_memory(0, 0),
        (torch.zeros(2, 3, 6).double(), torch.zeros(2).long()),
    ):
        results = transducer_greedy(head, memory, lengths, max_symbols=5)
        assert [(one.best.ids, one.best.score) for one in results] == [((), 0.0), ((), 0.0)]


def test_nan_is_named() -> None:
    head = make_head(0)
    memory, lengths = random_memory(6, 5)
    memory[1, 3] = torch.nan
    with pytest.raises(ValueError, match=r"utterance 1 of the batch: .* NaN"):
        transducer_greedy(head, memory, lengths, max_symbols=5)


def test_greedy_is_of_the_transducer_where_there_is_one() -> None:
    model = make("hybrid").eval()
    with torch.no_grad():
        model.transducer.joiner.output.bias[0] -= 9.0  # a blank so unlikely that the bound is reached
    vocabulary = Vocabulary.build(["abcd"], "char")
    batch = make_batch()
    memory, lengths = model.encode(batch.feats, batch.feat_lengths)
    found = build_decoder(model, DecodeConfig(max_symbols=2), vocabulary)(memory, lengths)
    assert found == transducer_greedy(model.transducer, memory, lengths, max_symbols=2)
    assert len(found[0].best.ids) == 2 * lengths[0]
