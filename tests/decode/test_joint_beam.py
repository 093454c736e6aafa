"""Joint beam search against the enumeration of all texts, one by one against batched, limits and ends."""

import itertools
import math
from typing import Any

import networks
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.decoders import build_decoder
from asr_topdown.decode.joint_beam import joint_beam
from asr_topdown.decode.label_search import length_limits
from asr_topdown.decode.result import DecodeResult, NotANumberError
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import Vocabulary

BLOCKS = {"num_heads": 2, "ffn_dim": 12}
MODELS = {
    "lstm": {
        "encoder": [networks.blstm(1, 6, projection_size=7)],
        "ctc": {"weight": 0.3},
        "attention": networks.LSTM,
    },
    "transformer": {
        "encoder": [
            {"kind": "conv2d", "channels": 8, "output_size": 8},
            {"kind": "transformer", "num_layers": 1, "d_model": 8, **BLOCKS},
        ],
        "ctc": {"weight": 0.3},
        "attention": {"kind": "transformer", "num_layers": 2, **BLOCKS},
    },
}
FEATURES = 8
both_decoders = pytest.mark.parametrize("name", MODELS)


def make(name: str, vocab_size: int) -> Recognizer:
    """A model with weights large enough that hypotheses differ."""
    model = networks.make(MODELS[name], features=FEATURES, vocab_size=vocab_size).eval()
    for layer in (model.ctc.output, model.attention.output.linear):
        nn.init.normal_(layer.weight, std=1.5)
        nn.init.normal_(layer.bias)
    model.attention.output.linear.bias.data[-1] -= 2  # texts of several labels
    return model


class TinyLm(nn.Module):
    """A language model of two lines: the state is a vector of the labels so far."""

    def __init__(self, vocab_size: int, seed: int = 5) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(vocab_size + 1, 6)
        self.output = nn.Linear(6, vocab_size + 1)
        nn.init.normal_(self.output.weight)

    def init_state(self, memory: Tensor, lengths: Tensor) -> Any:
        return torch.zeros(len(lengths), 6, device=lengths.device)

    def score(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        state = torch.tanh(0.7 * state + self.embedding(tokens))
        return self.output(state).log_softmax(-1), state

    def select(self, state: Any, rows: Tensor, utterances: Tensor | None = None) -> Any:
        return state[rows]


def settings(**options: Any) -> DecodeConfig:
    return DecodeConfig(**{"method": "joint_beam", "lm": "lm", **options})


def search(
    model: Recognizer, feats: Tensor, sizes: Tensor, lm: TinyLm | None = None, **options: Any
) -> list[DecodeResult]:
    memory, lengths = model.encode(feats, sizes)
    return joint_beam(
        memory,
        lengths,
        vocab_size=model.attention.sos_eos,
        config=settings(**options),
        ctc_log_probs=model.ctc.log_probs(memory),
        decoder=model.attention.scorer,
        lm=lm,
    )


def forced(scorer: Any, memory: Tensor, lengths: Tensor, texts: Tensor, end: int) -> Tensor:
    """(N,) log-probabilities that a scorer gives to N texts (N, L) of one utterance, with their ends."""
    ends = torch.full((len(texts), 1), end)
    state = scorer.select(scorer.init_state(memory, lengths), torch.zeros(len(texts), dtype=torch.long))
    total = torch.zeros(len(texts))
    for read, predict in itertools.pairwise(torch.cat([ends, texts, ends], 1).t()):
        log_probs, state = scorer.score(state, read)
        total += log_probs.gather(1, predict[:, None])[:, 0]
    return total


@torch.no_grad()
def all_texts(
    model: Recognizer, feats: Tensor, lm: TinyLm, longest: int, ctc_weight: float, lm_weight: float,
    length_penalty: float,
) -> list[tuple[tuple[int, ...], float]]:  # fmt: skip
    """Every text of at most `longest` labels and its score, best first; CTC's by PyTorch's loss."""
    memory, lengths = model.encode(feats, torch.tensor([feats.shape[1]]))
    log_probs = model.ctc.log_probs(memory).double().transpose(0, 1)
    found: list[tuple[tuple[int, ...], float]] = []
    for size in range(longest + 1):
        texts = torch.tensor(
            list(itertools.product(range(1, model.attention.sos_eos), repeat=size)), dtype=torch.long
        )
        scores = length_penalty * size + lm_weight * forced(
            lm, memory, lengths, texts, model.attention.sos_eos
        )
        scores += (1 - ctc_weight) * forced(
            model.attention.scorer, memory, lengths, texts, model.attention.sos_eos
        )
        if ctc_weight:
            many, each = len(texts), torch.full((len(texts),), size)
            scores = scores - ctc_weight * F.ctc_loss(
                log_probs.expand(-1, many, -1), texts, lengths.expand(many), each, reduction="none"
            )
        found.extend(zip(map(tuple, texts.tolist()), scores.tolist(), strict=True))
    return sorted((one for one in found if one[1] > -math.inf), key=lambda one: -one[1])


@both_decoders
@pytest.mark.parametrize("ctc_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("lm_weight", "length_penalty"), [(0.0, 0.0), (0.6, 0.0), (0.6, 1.5), (0.0, -0.7)])
def test_a_wide_beam_finds_the_best_of_all_texts(
    name: str, ctc_weight: float, lm_weight: float, length_penalty: float
) -> None:
    """Three labels, at most three of them: 40 texts. A beam of 60 keeps all, so the n-best list is all."""
    model, lm = make(name, 4), TinyLm(4)
    feats = torch.randn(1, 16 if name == "transformer" else 5, FEATURES)
    options = {"ctc_weight": ctc_weight, "lm_weight": lm_weight, "length_penalty": length_penalty}
    expected = all_texts(model, feats, lm, 3, **options)
    frames = model.encode(feats, torch.tensor([feats.shape[1]]))[1].item()
    (found,) = search(
        model, feats, torch.tensor([feats.shape[1]]), lm, beam=60, nbest=60, max_length_ratio=3 / frames,
        **options,
    )  # fmt: skip
    # Ends far behind the best one may be left out: that is what the end detection is for.
    sure = [text for text, score in expected if score > expected[0][1] - 10]
    assert len(sure) >= 3
    assert [one.ids for one in found.hypotheses[: len(sure)]] == sure
    for one, (text, score) in zip(found.hypotheses, expected, strict=False):
        assert one.ids == text
        assert one.score == pytest.approx(score, abs=1e-4)
    (best,) = search(
        model, feats, torch.tensor([feats.shape[1]]), lm, beam=60, max_length_ratio=3 / frames, **options
    )
    assert best.hypotheses == found.hypotheses[:1]


def ragged(name: str) -> tuple[Tensor, Tensor]:
    sizes = [50, 47, 33, 12, 9, 50, 3] if name == "transformer" else [20, 17, 11, 4, 1, 20, 2]
    generator = torch.Generator().manual_seed(1)
    feats = torch.full((len(sizes), max(sizes) + 2, FEATURES), 77.0)
    for row, size in enumerate(sizes):
        feats[row, :size] = torch.randn(size, FEATURES, generator=generator)
    return feats, torch.tensor(sizes)


@both_decoders
@pytest.mark.parametrize("ctc_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("extra", [{"length_penalty": 3.0}, {"min_length_ratio": 0.5, "pre_beam_size": 4}])
def test_batched_equals_one_by_one(name: str, ctc_weight: float, extra: dict[str, Any]) -> None:
    """Utterances leave the batch at different lengths; one is too short for a Transformer's front end."""
    model, lm = make(name, 9), TinyLm(9)
    feats, sizes = ragged(name)
    options = {"beam": 5, "nbest": 4, "ctc_weight": ctc_weight, "lm_weight": 0.4, **extra}
    batched = search(model, feats, sizes, lm, **options)
    assert len({len(result.best.ids) for result in batched}) >= 3
    for row, size in enumerate(sizes.tolist()):
        (alone,) = search(model, feats[row : row + 1, : max(size, 7)], sizes[row : row + 1], lm, **options)
        assert [one.ids for one in alone.hypotheses] == [one.ids for one in batched[row].hypotheses]
        for one, other in zip(alone.hypotheses, batched[row].hypotheses, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-4)


@both_decoders
def test_order_of_the_nbest_list_and_limits_of_length(name: str) -> None:
    model = make(name, 9)
    feats, sizes = ragged(name)
    frames = model.encode(feats, sizes)[1].tolist()
    for most, least in ((1.0, 0.0), (0.4, 0.0), (1.0, 0.6), (0.5, 0.5), (0.0, 0.0)):
        config = settings(max_length_ratio=most, min_length_ratio=least)
        found = search(model, feats, sizes, beam=6, nbest=6, max_length_ratio=most, min_length_ratio=least)
        for result, count in zip(found, frames, strict=True):
            shortest, longest = length_limits(config, count)
            scores = [one.score for one in result.hypotheses]
            assert scores == sorted(scores, reverse=True)
            assert len({one.ids for one in result.hypotheses}) == len(result.hypotheses)
            assert all(shortest <= len(one.ids) <= longest for one in result.hypotheses)
            assert all(0 < label < 9 for one in result.hypotheses for label in one.ids)
            if not count:
                assert result.best.ids == ()


class Counting:
    """A decoder that says the same wherever it is, and counts how often it is asked.

    Each label but the end has `label`, the end has `end` from the start on.
    """

    def __init__(self, vocab_size: int, end: float) -> None:
        log_probs = torch.full((vocab_size + 1,), (1 - end) / (vocab_size - 1)).log()
        log_probs[0], log_probs[-1] = -math.inf, math.log(end)
        self.log_probs = log_probs
        self.asked = 0

    def init_state(self, memory: Tensor, lengths: Tensor) -> int:
        return 0

    def score(self, state: int, tokens: Tensor) -> tuple[Tensor, int]:
        self.asked += 1
        return self.log_probs.expand(len(tokens), -1), state + 1

    def select(self, state: int, rows: Tensor, utterances: Tensor | None = None) -> int:
        return state


def ask(scorer: Counting, frames: int, **options: Any) -> DecodeResult:
    memory, lengths = torch.zeros(1, frames, 1), torch.tensor([frames])
    config = settings(ctc_weight=0.0, **options)
    (result,) = joint_beam(memory, lengths, vocab_size=4, config=config, decoder=scorer)
    return result


def test_the_search_ends_when_nothing_can_be_better() -> None:
    """An end of probability 0.9: the empty text is best at once, and everything else starts below it."""
    scorer = Counting(4, 0.9)
    assert ask(scorer, 500, beam=3).best.ids == ()
    assert scorer.asked == 1


def test_the_search_ends_when_ends_fall_far_behind() -> None:
    """With a penalty above 0 nothing is sure; where every length is worse, the end detection stops it.

    Each of the three labels has probability 0.1, the end 0.7 and a label a penalty of 1: every length loses
    1.3, and 10 with the eighth. The second after it is the third in a row.
    """
    scorer = Counting(4, 0.7)
    assert ask(scorer, 500, beam=3, length_penalty=1.0).best.ids == ()
    assert scorer.asked == 8 + 3
    # A penalty that pays: every label gains, and the longest text wins.
    scorer = Counting(4, 0.7)
    assert len(ask(scorer, 40, beam=4, length_penalty=3.0).best.ids) == 40
    assert scorer.asked == 41


def test_without_ctc_a_text_may_be_longer_than_the_frames() -> None:
    assert len(ask(Counting(4, 0.01), 7, beam=3, length_penalty=2.0, max_length_ratio=2.0).best.ids) == 14


def test_ctc_alone_needs_no_decoder_and_finds_the_most_probable_text() -> None:
    generator = torch.Generator().manual_seed(3)
    log_probs = (3 * torch.randn(3, 12, 5, generator=generator)).log_softmax(-1)
    lengths = torch.tensor([12, 9, 0])
    config = settings(beam=40, ctc_weight=1.0)
    found = joint_beam(log_probs, lengths, vocab_size=5, config=config, ctc_log_probs=log_probs)
    for row, result in enumerate(found):
        labels = torch.tensor([result.best.ids], dtype=torch.long)
        if lengths[row]:
            loss = F.ctc_loss(
                log_probs[row, : lengths[row], None], labels, lengths[row, None],
                torch.tensor([labels.shape[1]]), reduction="sum",
            )  # fmt: skip
            assert result.best.score == pytest.approx(-loss.item(), abs=1e-4)
        else:
            assert result.best.ids == ()


def test_no_utterances_and_nan() -> None:
    none = torch.zeros(0, 5, 3)
    config = settings(ctc_weight=1.0)
    empty = torch.zeros(0, dtype=torch.long)
    assert joint_beam(none, empty, vocab_size=3, config=config, ctc_log_probs=none) == []
    broken = torch.full((1, 3, 4), torch.nan)
    with pytest.raises(ValueError, match="NaN"):
        joint_beam(broken, torch.tensor([3]), vocab_size=4, config=config, ctc_log_probs=broken)


@both_decoders
@pytest.mark.parametrize("beam", [1, 3, 20])
def test_nan_of_a_decoder_is_named(name: str, beam: int) -> None:
    """Without CTC it was an empty text; a training whose weights had become NaN went on to save them."""
    model = make(name, 5)
    memory, lengths = model.encode(torch.randn(3, 60, FEATURES), torch.tensor([60, 40, 50]))
    memory[1] = torch.nan
    for given in ({}, {"max_length_ratio": 0.3}, {"length_penalty": 1.0}, {"min_length_ratio": 0.2}):
        config = settings(ctc_weight=0.0, beam=beam, **given)
        with pytest.raises(NotANumberError, match=r"utterance 1 of the batch: .* NaN"):
            joint_beam(memory, lengths, vocab_size=5, config=config, decoder=model.attention.scorer)


def test_most_labels_are_a_share_of_the_frames_and_0_is_all_of_them() -> None:
    for ratio, frames, longest in (
        (0.0, 9, 9),
        (1.0, 9, 9),
        (0.5, 9, 4),
        (0.01, 9, 1),
        (2.0, 9, 9),
        (0.0, 0, 0),
    ):
        assert length_limits(settings(max_length_ratio=ratio), frames) == (0, longest)
    assert length_limits(settings(max_length_ratio=2.0, ctc_weight=0.0), 9) == (0, 18)
    assert length_limits(settings(min_length_ratio=0.5), 9) == (4, 9)


@torch.no_grad()
def without_end(model: Recognizer, memory: Tensor, beam: int, longest: int, penalty: float) -> float:
    """A beam search of the attention decoder alone, told in plain Python, that never stops early.

    A text and an end compete with as many labels read, so whoever keeps the best of them at each length need
    not know the penalty; it only decides between texts of different lengths. Returns the best one's score.
    """
    head, scorer = model.attention, model.attention.scorer
    lengths = torch.tensor([memory.shape[1]])
    growing = [(0.0, (), scorer.init_state(memory, lengths))]
    best = -math.inf
    for size in range(longest + 1):
        grown = []
        for score, text, state in growing:
            token = torch.tensor([text[-1] if text else head.sos_eos])
            log_probs, after = scorer.score(state, token)
            for label in range(1, head.sos_eos + 1):
                if label == head.sos_eos or size < longest:
                    grown.append((score + log_probs[0, label].item(), (*text, label), after))
        kept = sorted(grown, key=lambda one: -one[0])[:beam]
        ends = [score for score, text, _ in kept if text[-1] == head.sos_eos]
        best = max([best, *(score + penalty * size for score in ends)])
        growing = [one for one in kept if one[1][-1] != head.sos_eos]
    return best


@pytest.mark.parametrize("penalty", [0.5, 1.5, -0.5])
@pytest.mark.parametrize("beam", [1, 2, 5, 12])
def test_what_a_beam_keeps_does_not_depend_on_the_penalty(penalty: float, beam: int) -> None:
    """Flat distributions of random decoders, where ends are always in doubt."""
    for seed in range(6):
        model = networks.make(MODELS["transformer"], features=FEATURES, vocab_size=5).eval()
        torch.manual_seed(seed)
        for parameter in model.attention.parameters():
            nn.init.normal_(parameter, std=0.5)
        memory, lengths = model.encode(torch.randn(1, 27, FEATURES), torch.tensor([27]))
        config = settings(beam=beam, ctc_weight=0.0, length_penalty=penalty)
        (found,) = joint_beam(memory, lengths, vocab_size=5, config=config, decoder=model.attention.scorer)
        expected = without_end(model, memory, beam, int(lengths), penalty)
        assert found.best.score == pytest.approx(expected, abs=1e-4)


def test_heads_without_weight_may_be_missing() -> None:
    batch, vocabulary = networks.make_batch(), Vocabulary.build(["abcd"], "char")
    for name, method, ctc_weight in (
        ("attention", "attention", 0.3),
        ("attention", "joint_beam", 0.0),
        ("vgg_ctc", "joint_beam", 1.0),
        ("hybrid", "joint_beam", 0.5),
    ):
        model = networks.make(name).eval()
        config = DecodeConfig(method=method, ctc_weight=ctc_weight, beam=4, nbest=2)
        with torch.no_grad():
            memory, lengths = model.encode(batch.feats, batch.feat_lengths)
            found = build_decoder(model, config, vocabulary)(memory, lengths)
        assert len(found) == 4
        assert all(len(result.hypotheses) == 2 for result in found[:3])


@torch.no_grad()
def test_greedy_of_an_attention_decoder_is_its_best_label_each_time() -> None:
    model, vocabulary = networks.make("attention").eval(), Vocabulary.build(["abcd"], "char")
    batch = networks.make_batch()
    memory, lengths = model.encode(batch.feats, batch.feat_lengths)
    found = build_decoder(model, DecodeConfig(nbest=3), vocabulary)(memory, lengths)
    head = model.attention
    for row, result in enumerate(found):
        state, label, text = (
            head.scorer.init_state(memory[row : row + 1], lengths[row : row + 1]),
            head.sos_eos,
            [],
        )
        while len(text) < int(lengths[row]):
            log_probs, state = head.scorer.score(state, torch.tensor([label]))
            label = int(log_probs[0, 1:].argmax()) + 1
            if label == head.sos_eos:
                break
            text.append(label)
        assert list(result.best.ids) == text


@both_decoders
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_what_the_cpu_finds(name: str) -> None:
    model, lm = make(name, 9), TinyLm(9)
    feats, sizes = ragged(name)
    options = {"beam": 5, "nbest": 3, "lm_weight": 0.4}
    expected = search(model, feats, sizes, lm, **options)
    found = search(model.cuda(), feats.cuda(), sizes.cuda(), lm.cuda(), **options)
    for one, other in zip(found, expected, strict=True):
        assert [x.ids for x in one.hypotheses] == [x.ids for x in other.hypotheses]
        assert [x.score for x in one.hypotheses] == pytest.approx(
            [x.score for x in other.hypotheses], abs=1e-3
        )
