"""Transducer beam search, frame by frame, vectorised over utterances and beam.

Time-synchronous decoding (Saon et al. 2020, "Alignment-length synchronous decoding for RNN transducer",
section 2.2): in each frame a hypothesis emits 0, 1, … `max_symbols` labels, the best `beam` of each number
are kept, and then a blank ends the frame. Hypotheses with the same labels and different alignments are then
merged, adding their probabilities. So a wide enough beam sums over all alignments with at most `max_symbols`
labels per frame.

Equal hypotheses are found by a key of 62 bits, two polynomials of the labels modulo two primes: two different
sequences of n labels share it with a probability of about (n / 2 ** 31) ** 2.

Labels are not stored with the hypotheses: each frame keeps backpointers, from which the labels of the final
hypotheses are read. Nothing is sent to the host before that.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.decoders import Decoder
from asr_topdown.decode.language_model import configured_language_model
from asr_topdown.decode.result import (
    BLANK,
    IMPOSSIBLE,
    DecodeResult,
    Hypothesis,
    check_scores,
    longest_first,
)
from asr_topdown.decode.scorer import LabelScorer
from asr_topdown.models.heads.transducer import TransducerHead
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.nn.predictor import PredictorState
from asr_topdown.nn.transfer import to_device
from asr_topdown.text import Vocabulary

PRIMES = (2_147_483_647, 2_147_483_629)
FACTORS = (1_103_515_245, 1_664_525_017)


def decoder(model: Recognizer, config: DecodeConfig, vocabulary: Vocabulary) -> Decoder:
    """`decode.method: transducer_beam`."""
    head = model.transducer
    assert head is not None
    lm = configured_language_model(config, vocabulary, model.device)
    return lambda memory, lengths: transducer_beam(head, memory, lengths, config=config, lm=lm)


class Rows(NamedTuple):
    """The states of N = B x K hypotheses, which depend on their labels alone."""

    outputs: Tensor  # (N, H) of the predictor
    state: PredictorState
    lm_log_probs: Tensor | None  # (N, V + 1) of the next label, by the language model
    lm_state: Any


class Level(NamedTuple):
    """Hypotheses that have emitted equally many labels in this frame."""

    score: Tensor  # (B, K); IMPOSSIBLE where there is no hypothesis
    key: Tensor  # (B, K, 2) the two polynomials
    rows: Rows


class Note(NamedTuple):
    """A frame's backpointers."""

    kept: Tensor  # (B, K) level x K + place of the hypotheses kept
    origins: list[Tensor]  # of levels 1, 2, …: (B, K) places in the previous level
    labels: list[Tensor]  # likewise: (B, K) the labels appended


@torch.no_grad()
def transducer_beam(
    head: TransducerHead,
    memory: Tensor,
    lengths: Tensor,
    *,
    config: DecodeConfig,
    lm: LabelScorer | None = None,
) -> list[DecodeResult]:
    """Decode each utterance into its most probable label sequences.

    Args:
        head: a transducer in eval mode.
        memory: (B, T, D) encoder output.
        lengths: (B,) frames per utterance, 0 allowed (an empty hypothesis).
        config: settings of the search; `beam` hypotheses are kept after each frame and each label.
        lm: a language model for shallow fusion: its log-probabilities of the labels and of the end are added.

    Returns:
        Per utterance, hypotheses with different labels, best first; a score is the natural logarithm of the
        sequence's probability, summed over the alignments within the beam, plus the other terms.

    Raises:
        NotANumberError: if an utterance's log-probabilities hold NaN.
    """
    search = _Search(head, config, lm if config.lm_weight else None)
    return check_scores(longest_first(search.run, memory, lengths.tolist()))


class _Search:
    """One batch of utterances in order of falling length."""

    def __init__(self, head: TransducerHead, config: DecodeConfig, lm: LabelScorer | None) -> None:
        self.predictor, self.joiner = head.predictor, head.joiner
        self.config, self.beam = config, config.beam
        self.lm = lm
        self.sos_eos = self.joiner.output.out_features
        # Copied once, since on a GPU the host waits for each copy.
        device = self.predictor.embedding.weight.device
        self.factors, self.primes = (to_device(torch.tensor(two), device) for two in (FACTORS, PRIMES))

    def run(self, memory: Tensor, lengths: list[int]) -> list[DecodeResult]:
        """Search the batch; return results in its order."""
        level, notes = self._start(memory), []
        done: list[Tensor] = []  # final scores of ended utterances, the shortest first
        for time in range(max(lengths, default=0)):
            active = sum(length > time for length in lengths)
            if active < len(level.score):
                done.append(self._final(level)[active:])
                level = self._keep_first(level, active)
            level, note = self._frame(level, memory[:active, time])
            notes.append(note)
        done.append(self._final(level))
        score, place = torch.cat(done[::-1]).sort(dim=1, descending=True, stable=True)
        nbest = self.config.nbest
        return _results(score[:, :nbest], _read_back(notes, place[:, :nbest]))

    def _start(self, memory: Tensor) -> Level:
        """Return the empty hypothesis and `beam` - 1 impossible ones."""
        batch = len(memory)
        dtype = torch.float64 if memory.dtype == torch.float64 else torch.float32
        score = torch.full((batch, self.beam), IMPOSSIBLE, dtype=dtype, device=memory.device)
        score[:, 0] = 0.0
        key = torch.zeros(batch, self.beam, 2, dtype=torch.long, device=memory.device)
        rows = batch * self.beam
        lm_state = lm_log_probs = None
        if self.lm is not None:
            ones = torch.ones(batch, dtype=torch.long, device=memory.device)
            lm_state = self.lm.init_state(memory, ones)
            widen = torch.arange(batch, device=memory.device).repeat_interleave(self.beam)
            lm_state = self.lm.select(lm_state, widen)
            lm_log_probs, lm_state = self.lm.score(lm_state, torch.full_like(widen, self.sos_eos))
        return Level(score, key, Rows(*self.predictor.start(rows), lm_log_probs, lm_state))

    def _frame(self, level: Level, memory: Tensor) -> tuple[Level, Note]:
        """Process one frame, (B, D)."""
        levels, ended = [level], []
        origins, labels = [], []
        for symbols in range(self.config.max_symbols + 1):
            outputs = level.rows.outputs.unflatten(0, level.score.shape)
            log_probs = self.joiner(memory[:, None], outputs).to(level.score.dtype).log_softmax(-1)
            ended.append(level.score + log_probs[..., BLANK])
            if symbols == self.config.max_symbols:
                break
            level, origin, label = self._grow(level, log_probs[..., BLANK + 1 :])
            levels.append(level)
            origins.append(origin)
            labels.append(label)
        key = torch.cat([one.key for one in levels], 1)
        score, kept = _merge(torch.cat(ended, 1), key).topk(self.beam, dim=1)
        chosen = self._choose(levels, kept)
        return Level(score, key.gather(1, kept[..., None].expand(-1, -1, 2)), chosen), Note(
            kept, origins, labels
        )

    def _grow(self, level: Level, log_probs: Tensor) -> tuple[Level, Tensor, Tensor]:
        """Append a label by (B, K, V - 1) log-probabilities; return the best, their origins and labels."""
        grown = level.score[..., None] + log_probs + self.config.length_penalty
        if level.rows.lm_log_probs is not None:
            expected = level.rows.lm_log_probs[:, BLANK + 1 : self.sos_eos].unflatten(0, level.score.shape)
            grown = grown + self.config.lm_weight * expected
        choices = log_probs.shape[-1]
        score, pick = grown.flatten(1).topk(self.beam, dim=1)
        origin, label = pick // choices, pick % choices + BLANK + 1
        key = level.key.gather(1, origin[..., None].expand(-1, -1, 2))
        key = (key * self.factors + label[..., None]) % self.primes
        rows = self._step(self._select(level.rows, _flat(origin, self.beam)), label.flatten())
        return Level(score, key, rows), origin, label

    def _step(self, rows: Rows, label: Tensor) -> Rows:
        outputs, state = self.predictor.step(rows.state, label)
        if self.lm is None:
            return Rows(outputs, state, None, None)
        return Rows(outputs, state, *self.lm.score(rows.lm_state, label))

    def _select(self, rows: Rows, index: Tensor) -> Rows:
        outputs = rows.outputs[index]
        state = PredictorState(*(part[:, index] for part in rows.state))
        if self.lm is None or rows.lm_log_probs is None:
            return Rows(outputs, state, None, None)
        return Rows(outputs, state, rows.lm_log_probs[index], self.lm.select(rows.lm_state, index))

    def _choose(self, levels: list[Level], kept: Tensor) -> Rows:
        """Return the states of the hypotheses `kept` (B, K), level x K + place."""
        batch = len(kept)
        offset = torch.arange(batch, device=kept.device)[:, None] * self.beam
        index = (kept // self.beam * (batch * self.beam) + offset + kept % self.beam).flatten()
        every = [level.rows for level in levels]
        outputs = torch.cat([rows.outputs for rows in every])
        states = zip(*(rows.state for rows in every), strict=True)
        state = PredictorState(*(torch.cat(parts, 1) for parts in states))
        expected = lm_state = None
        if self.lm is not None:
            expected = torch.cat([rows.lm_log_probs for rows in every if rows.lm_log_probs is not None])
            lm_state = self.lm.join([rows.lm_state for rows in every])
        return self._select(Rows(outputs, state, expected, lm_state), index)

    def _keep_first(self, level: Level, active: int) -> Level:
        """Keep only the first `active` utterances, which have not ended."""
        index = torch.arange(active * self.beam, device=level.score.device)
        return Level(level.score[:active], level.key[:active], self._select(level.rows, index))

    def _final(self, level: Level) -> Tensor:
        """Return (B, K) scores, with the language model's score of the end."""
        if level.rows.lm_log_probs is None:
            return level.score
        return level.score + self.config.lm_weight * level.rows.lm_log_probs[:, self.sos_eos].view_as(
            level.score
        )


def _flat(origin: Tensor, beam: int) -> Tensor:
    """Convert (B, K) places to (B x K,) rows."""
    return (origin + torch.arange(len(origin), device=origin.device)[:, None] * beam).flatten()


def _merge(score: Tensor, key: Tensor) -> Tensor:
    """Give the first of equal hypotheses the sum of their probabilities; (B, M) scores."""
    possible = ~(score <= IMPOSSIBLE / 2)  # true for NaN, so that it is reported
    same = (key[:, :, None] == key[:, None, :]).all(-1) & possible[:, :, None] & possible[:, None, :]
    summed = score[:, None, :].masked_fill(~same, IMPOSSIBLE).logsumexp(-1)
    first = ~same.tril(-1).any(-1)
    return torch.where(possible & first, summed, IMPOSSIBLE)


def _read_back(notes: list[Note], place: Tensor) -> Tensor:
    """Return the labels of the hypotheses at `place` (B, n) of the last beam: (B, n, L), 0 for no label."""
    batch, nbest = place.shape
    place, said = place.clone(), []
    for note in reversed(notes):
        active, beam = note.kept.shape
        kept = note.kept.gather(1, place[:active])
        level, at = kept // beam, kept % beam
        for number in range(len(note.labels), 0, -1):
            column = place.new_zeros(batch, nbest)
            there = level >= number
            column[:active] = note.labels[number - 1].gather(1, at).where(there, 0)
            said.append(column)
            at = note.origins[number - 1].gather(1, at).where(there, at)
        place[:active] = at
    return torch.stack(said[::-1], -1) if said else place.new_zeros(batch, nbest, 0)


def _results(score: Tensor, labels: Tensor) -> list[DecodeResult]:
    results = []
    for scores, sequences in zip(score.tolist(), labels.tolist(), strict=True):
        found = [
            Hypothesis(tuple(unit for unit in ids if unit), value)
            for value, ids in zip(scores, sequences, strict=True)
            if not value <= IMPOSSIBLE / 2
        ]
        results.append(DecodeResult(tuple(found) or (Hypothesis((), float("-inf")),)))
    return results
