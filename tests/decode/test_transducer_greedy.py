"""Greedy transducer search against a loop over one utterance, and what a batch must not change."""

import pytest
import torch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.searches import build_search
from asr_topdown.decode.transducer_greedy import transducer_greedy
from asr_topdown.models.transducer import Transducer
from asr_topdown.nn.encoders import BlstmEncoder
from asr_topdown.nn.predictor import LstmPredictor
from asr_topdown.text import Vocabulary

UNITS = 6


def make_model(seed: int, blank: float = 1.0) -> Transducer:
    """Random weights, large enough for the labels to change what comes next."""
    torch.manual_seed(seed)
    encoder = BlstmEncoder(4, layers=1, cells=4, projection=6)
    predictor = LstmPredictor(UNITS, embedding=5, cells=8, layers=2)
    model = Transducer(encoder, predictor, UNITS, joint=12).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("encoder"):
                parameter.mul_(3.0)
        model.softmax.output.bias[0] += blank
    return model


def random_memory(model: Transducer, *lengths: int) -> tuple[Tensor, Tensor]:
    shape = (len(lengths), max(lengths, default=0), 6)
    return 2 * torch.randn(shape, dtype=torch.float64), torch.tensor(lengths)


def one_by_hand(model: Transducer, memory: Tensor, max_symbols: int) -> tuple[tuple[int, ...], float]:
    """One utterance (T, D): frame by frame, label by label."""
    outputs, state = model.predictor.start(1)
    labels, score = [], 0.0
    for frame in memory:
        for symbol in range(max_symbols + 1):
            log_probs = model.softmax(frame[None], outputs)[0].log_softmax(-1)
            label = int(log_probs.argmax()) if symbol < max_symbols else 0
            score += log_probs[label].item()
            if label == 0:
                break
            labels.append(label)
            outputs, state = model.predictor.step(state, torch.tensor([label]))
    return tuple(labels), score


@pytest.mark.parametrize("max_symbols", [1, 3, 7])
@pytest.mark.parametrize("blank", [-2.0, 1.0, 4.0])
def test_equals_the_loop_over_one_utterance(max_symbols: int, blank: float) -> None:
    found = 0
    for seed in range(3):
        model = make_model(seed, blank)
        memory, lengths = random_memory(model, 20, 7, 0, 1)
        results = transducer_greedy(model, memory, lengths, max_symbols=max_symbols)
        for row, length in enumerate(lengths.tolist()):
            labels, score = one_by_hand(model, memory[row, :length], max_symbols)
            assert results[row].best.ids == labels
            assert results[row].best.score == pytest.approx(score, rel=1e-4, abs=1e-4)
            found += len(labels)
    assert found > 0


def test_padding_and_company_change_nothing() -> None:
    model = make_model(1)
    memory, lengths = random_memory(model, 30, 12, 5)
    plain = transducer_greedy(model, memory, lengths)
    padded = torch.cat([memory, torch.full((3, 9, 6), torch.nan, dtype=torch.float64)], 1)
    padded[1, 12:] = torch.nan
    assert [one.best.ids for one in transducer_greedy(model, padded, lengths)] == [
        one.best.ids for one in plain
    ]
    for row, length in enumerate(lengths.tolist()):
        (alone,) = transducer_greedy(model, memory[row : row + 1, :length], lengths[row : row + 1])
        assert alone.best.ids == plain[row].best.ids


def test_no_frames_give_an_empty_hypothesis() -> None:
    model = make_model(0)
    for memory, lengths in (
        random_memory(model, 0, 0),
        (torch.zeros(2, 3, 6).double(), torch.zeros(2).long()),
    ):
        results = transducer_greedy(model, memory, lengths)
        assert [(one.best.ids, one.best.score) for one in results] == [((), 0.0), ((), 0.0)]


def test_nan_is_named() -> None:
    model = make_model(0)
    memory, lengths = random_memory(model, 6, 5)
    memory[1, 3] = torch.nan
    with pytest.raises(ValueError, match=r"utterance 1 of the batch: .* NaN"):
        transducer_greedy(model, memory, lengths)


def test_the_search_is_chosen_by_the_kind_of_model() -> None:
    model = make_model(0, -2.0)
    vocabulary = Vocabulary.build(["abcd"], "char")
    feats, lengths = torch.randn(2, 6, 4, dtype=torch.float64), torch.tensor([6, 4])
    search = build_search(model, DecodeConfig(method="greedy", max_symbols=2), vocabulary)
    found = search(feats, lengths)
    assert found == transducer_greedy(model, *model(feats, lengths), max_symbols=2)
    assert len(found[0].best.ids) == 12  # the bound, with a blank so unlikely
    with pytest.raises(ValueError, match="prefix_beam is not for a transducer model, which can do greedy"):
        build_search(model, DecodeConfig(method="prefix_beam"), vocabulary)
