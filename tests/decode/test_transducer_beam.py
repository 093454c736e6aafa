"""Transducer beam search against brute force over all alignments, and against a plain restatement."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from networks import make, make_batch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.decoders import build_decoder, with_beam
from asr_topdown.decode.result import DecodeResult
from asr_topdown.decode.transducer_beam import transducer_beam
from asr_topdown.decode.transducer_greedy import transducer_greedy
from asr_topdown.models.heads.transducer import TransducerHead
from asr_topdown.nn.predictor import LstmPredictor
from asr_topdown.text import Vocabulary

Labels = tuple[int, ...]
Scored = list[tuple[Labels, float]]


def make_head(seed: int, vocab_size: int, scale: float = 3.0) -> TransducerHead:
    """Random weights, large enough for the labels to change what comes next."""
    torch.manual_seed(seed)
    predictor = LstmPredictor(
        vocab_size=vocab_size, embedding_size=5, hidden_size=8, num_layers=2, dropout=0.0
    )
    head = TransducerHead(
        predictor=predictor, memory_size=6, joiner_size=12, vocab_size=vocab_size, loss_backend="torch"
    )
    with torch.no_grad():
        for parameter in head.double().eval().parameters():
            parameter.mul_(scale)
        head.joiner.output.bias[0] += 1.0
    return head


def random_memory(*lengths: int) -> tuple[Tensor, Tensor]:
    shape = (len(lengths), max(lengths, default=0), 6)
    return 2 * torch.randn(shape, dtype=torch.float64), torch.tensor(lengths)


class Table:
    """log p(label | labels so far), computed once for each label sequence and frame."""

    def __init__(self, head: TransducerHead, memory: Tensor) -> None:
        self.head, self.memory = head, memory
        self.read = {(): head.predictor.start(1)}
        self.known: dict[tuple[int, Labels], list[float]] = {}

    def __call__(self, frame: int, labels: Labels) -> list[float]:
        if labels not in self.read:
            self(0, labels[:-1])
            state = self.read[labels[:-1]][1]
            self.read[labels] = self.head.predictor.step(state, torch.tensor([labels[-1]]))
        if (frame, labels) not in self.known:
            logits = self.head.joiner(self.memory[frame : frame + 1], self.read[labels][0])
            self.known[frame, labels] = logits[0].log_softmax(-1).tolist()
        return self.known[frame, labels]


class BigramScorer:
    """A language model in which a label's probability depends on the one before: its state is that label."""

    def __init__(self, units: int) -> None:
        self.log_probs = torch.randn(units + 1, units + 1, dtype=torch.float64).log_softmax(-1)

    def init_state(self, memory: Tensor, lengths: Tensor) -> Tensor:
        return torch.full_like(lengths, -1)

    def score(self, state: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.log_probs[tokens], tokens

    def select(self, state: Tensor, rows: Tensor, utterances: Tensor | None = None) -> Tensor:
        return state[rows]

    def join(self, states: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(states))

    def of(self, labels: Labels) -> float:
        """Of a whole sentence."""
        end = len(self.log_probs) - 1
        pairs = zip((end, *labels), (*labels, end), strict=True)
        return sum(float(self.log_probs[pair]) for pair in pairs)


def brute_force(table: Table, frames: int, max_symbols: int) -> dict[Labels, float]:
    """Label sequence -> log-probability, from every alignment with so many labels a frame at most."""
    units = range(1, table.head.joiner.output.out_features)
    sums: dict[Labels, float] = defaultdict(float)

    def go_on(frame: int, symbols: int, labels: Labels, score: float) -> None:
        if frame == frames:
            sums[labels] += math.exp(score)
            return
        log_probs = table(frame, labels)
        go_on(frame + 1, 0, labels, score + log_probs[0])
        if symbols < max_symbols:
            for unit in units:
                go_on(frame, symbols + 1, (*labels, unit), score + log_probs[unit])

    go_on(0, 0, (), 0.0)
    return {labels: math.log(value) for labels, value in sums.items()}


def restated(table: Table, frames: int, beam: int, max_symbols: int) -> Scored:
    """One utterance, hypotheses in dictionaries, probabilities."""
    units = range(1, table.head.joiner.output.out_features)
    hypotheses: dict[Labels, float] = {(): 1.0}
    for frame in range(frames):
        ended: dict[Labels, float] = defaultdict(float)
        level = hypotheses
        for symbols in range(max_symbols + 1):
            grown = {}
            for labels, value in level.items():
                log_probs = table(frame, labels)
                ended[labels] += value * math.exp(log_probs[0])
                for unit in units:
                    grown[*labels, unit] = value * math.exp(log_probs[unit])
            if symbols < max_symbols:
                level = dict(sorted(grown.items(), key=lambda item: -item[1])[:beam])
        hypotheses = dict(sorted(ended.items(), key=lambda item: -item[1])[:beam])
    return [(labels, math.log(value)) for labels, value in hypotheses.items()]


def search(
    head: TransducerHead, memory: Tensor, lengths: Tensor, *, lm: Any = None, **settings: Any
) -> list[DecodeResult]:
    config = DecodeConfig(method="transducer_beam", lm="" if lm is None else "lm", **settings)
    return transducer_beam(head, memory, lengths, config=config, lm=lm)


def decoded(head: TransducerHead, memory: Tensor, **options: Any) -> Scored:
    """The n-best list of one utterance (T, D)."""
    (result,) = search(head, memory[None], torch.tensor([len(memory)]), **options)
    return [(one.ids, one.score) for one in result.hypotheses]


def assert_same(found: Scored, expected: Scored, tolerance: float = 1e-9) -> None:
    assert [ids for ids, _ in found] == [ids for ids, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=tolerance)


@pytest.mark.parametrize(("frames", "units", "max_symbols"), [(3, 3, 2), (2, 4, 2), (4, 3, 1), (1, 3, 5)])
def test_a_wide_beam_equals_brute_force(frames: int, units: int, max_symbols: int) -> None:
    for seed in range(3):
        head = make_head(seed, units, scale=1.0)
        (memory,), _ = random_memory(frames)
        sums = brute_force(Table(head, memory), frames, max_symbols)
        expected = sorted(sums.items(), key=lambda item: -item[1])
        found = decoded(head, memory, beam=len(sums), nbest=len(sums), max_symbols=max_symbols)
        assert_same(found, expected)


@pytest.mark.parametrize("beam", [1, 2, 3, 6])
@pytest.mark.parametrize("max_symbols", [1, 3])
def test_equals_the_restatement_under_pruning(beam: int, max_symbols: int) -> None:
    """Flat distributions over few labels: hypotheses come to the same labels by many ways."""
    for seed in range(3):
        head = make_head(seed, 3, scale=1.0)
        (memory,), _ = random_memory(10)
        expected = restated(Table(head, memory), 10, beam, max_symbols)
        assert_same(decoded(head, memory, beam=beam, nbest=beam, max_symbols=max_symbols), expected)


def test_shallow_fusion_equals_brute_force() -> None:
    torch.manual_seed(5)
    lm = BigramScorer(3)
    head = make_head(1, 3, scale=1.0)
    (memory,), _ = random_memory(3)
    sums = brute_force(Table(head, memory), 3, 2)
    fused = {labels: score + 0.7 * lm.of(labels) + 0.4 * len(labels) for labels, score in sums.items()}
    expected = sorted(fused.items(), key=lambda item: -item[1])
    options = {"lm": lm, "lm_weight": 0.7, "length_penalty": 0.4}
    assert_same(decoded(head, memory, beam=len(sums), nbest=len(sums), max_symbols=2, **options), expected)
    assert [ids for ids, _ in expected[:5]] != sorted(sums, key=lambda ids: -sums[ids])[:5]


@pytest.mark.parametrize("fused", [False, True])
def test_batched_equals_one_by_one(fused: bool) -> None:
    head = make_head(2, 6)
    options = {"lm": BigramScorer(6), "lm_weight": 0.3} if fused else {}
    memory, lengths = random_memory(12, 3, 0, 25, 1, 12)
    batched = search(head, memory, lengths, beam=5, nbest=5, max_symbols=3, **options)
    padded = torch.cat([memory, torch.full((6, 4, 6), torch.nan, dtype=torch.float64)], 1)
    again = search(head, padded, lengths, beam=5, nbest=5, max_symbols=3, **options)
    for row, length in enumerate(lengths.tolist()):
        alone = decoded(head, memory[row, :length], beam=5, nbest=5, max_symbols=3, **options)
        assert_same([(one.ids, one.score) for one in batched[row].hypotheses], alone)
        assert_same([(one.ids, one.score) for one in again[row].hypotheses], alone)


def test_no_frames_give_an_empty_hypothesis() -> None:
    head = make_head(0, 4)
    for result in search(head, *random_memory(0, 0), beam=3, nbest=2):
        assert [(one.ids, one.score) for one in result.hypotheses] == [((), 0.0)]
    memory, lengths = torch.zeros(0, 3, 6).double(), torch.zeros(0, dtype=torch.long)
    assert search(head, memory, lengths, beam=3) == []


def test_sharp_distributions_leave_nothing_to_search_for() -> None:
    head = make_head(3, 6, scale=20.0)
    memory, lengths = random_memory(12, 8)
    greedy = transducer_greedy(head, memory, lengths, max_symbols=3)
    for one, other in zip(search(head, memory, lengths, beam=4, max_symbols=3), greedy, strict=True):
        assert one.best.score >= other.best.score - 1e-4


def test_nan_is_named() -> None:
    head = make_head(0, 4)
    memory, lengths = random_memory(2, 3)
    memory[1, 1] = torch.nan
    with pytest.raises(ValueError, match=r"utterance 1 of the batch: .* NaN"):
        search(head, memory, lengths, beam=4)


def test_the_configuration_chooses_it() -> None:
    model, vocabulary = make("transducer"), Vocabulary.build(["abcd"], "char")
    model.eval()
    batch = make_batch()
    memory, lengths = model.encode(batch.feats, batch.feat_lengths)
    config = DecodeConfig(method="transducer_beam", beam=3, nbest=2, max_symbols=2, length_penalty=0.5)
    expected = transducer_beam(model.transducer, memory, lengths, config=config)
    assert build_decoder(model, config, vocabulary)(memory, lengths) == expected
    assert with_beam(model, DecodeConfig(), 7).method == "transducer_beam"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_what_the_cpu_finds() -> None:
    head = make_head(2, 12)
    memory, lengths = random_memory(30, 12, 0, 7)
    expected = search(head, memory, lengths, beam=8, nbest=8)
    found = search(head.cuda(), memory.cuda(), lengths.cuda(), beam=8, nbest=8)
    for one, other in zip(found, expected, strict=True):
        assert_same([(x.ids, x.score) for x in one.hypotheses], [(x.ids, x.score) for x in other.hypotheses])
