"""The label-synchronous beam search of `decode.joint_beam`, which says what it looks for and when it ends."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.ctc_prefix_score import CtcPrefixScorer, CtcPrefixState
from asr_topdown.decode.host_flags import HostFlags
from asr_topdown.decode.result import IMPOSSIBLE, DecodeResult, Hypothesis
from asr_topdown.decode.scorer import Scorer
from asr_topdown.nn.transfer import to_device

# A hypothesis with less is none. The weight of an impossible part may be small.
POSSIBLE = IMPOSSIBLE * 1e-10
END_LENGTHS, END_DISTANCE = 3, -10.0


class Beam(NamedTuple):
    """The K growing hypotheses of each of B utterances; N = B x K rows side by side for the scorers."""

    score: Tensor  # (B, K) float64; IMPOSSIBLE where there is no hypothesis
    summed: Tensor  # (B, K) what the scorers and the penalty have given so far, without CTC; likewise
    last: Tensor  # (B, K) last label
    ctc: CtcPrefixState | None
    states: list[Any]  # of the scorers


class Finished(NamedTuple):
    """The best finished hypotheses of each of B utterances."""

    score: Tensor  # (B, nbest) float64 with one penalty too many, best first; IMPOSSIBLE where there is none
    where: Tensor  # (B, nbest) labels x K + place in the beam of that many labels
    recent: Tensor  # (B, 3) the best score of each of the last lengths


class LabelSearch:
    """The search in one batch; a row is an utterance that is still in it."""

    def __init__(
        self,
        memory: Tensor,
        lengths: Tensor,
        counts: Sequence[int],
        vocab_size: int,
        config: DecodeConfig,
        ctc: CtcPrefixScorer | None,
        scorers: Sequence[tuple[Scorer, float]],
    ) -> None:
        self.end, self.config, self.ctc, self.scorers = vocab_size, config, ctc, scorers
        self.results: dict[int, DecodeResult] = {}
        self.rows = list(range(len(counts)))  # which utterances they are
        self.device = lengths.device
        limits = [length_limits(config, count) for count in counts]
        self.shortest, self.longest = to_device(torch.tensor(limits), self.device).unbind(1)
        self.no_end_before = max(shortest for shortest, _ in limits)
        self.some_end_at = min(longest for _, longest in limits)
        self.all_end_at = max(longest for _, longest in limits)
        self.trail: list[Tensor] = []  # per label: (B, K) place in the beam before x (V + 1) + label
        self.beam, self.finished = self._start(memory, lengths)

    def run(self) -> list[DecodeResult]:
        """Search to the end."""
        flags = HostFlags(self.device)
        for length in range(self.all_end_at + 1):
            over = flags.read(self._grow(length))
            if over is not None and _worth_leaving(over):
                flags = HostFlags(self.device)
                self._leave(over)
                if not self.rows:
                    break
        else:
            self._leave([True] * len(self.rows))
        return [self.results[row] for row in sorted(self.results)]

    def _start(self, memory: Tensor, lengths: Tensor) -> tuple[Beam, Finished]:
        """One empty hypothesis, and room for all others."""
        size = batch, beam = len(memory), self.config.beam
        score = torch.full(size, IMPOSSIBLE, dtype=torch.float64, device=self.device)
        none = score[:, :1].clone()
        score[:, 0] = 0.0
        last = torch.full(size, self.end, device=self.device)
        widened = torch.arange(batch, device=self.device).repeat_interleave(beam)
        states = [scorer.select(scorer.init_state(memory, lengths), widened) for scorer, _ in self.scorers]
        finished = none.expand(-1, self.config.nbest)
        return (
            Beam(score, score, last, self.ctc.start(beam) if self.ctc else None, states),
            Finished(finished, torch.zeros_like(finished, dtype=torch.long), none.expand(-1, END_LENGTHS)),
        )

    def _grow(self, length: int) -> Tensor:
        """From hypotheses of `length` labels to those of one more and to finished ones; (B,) who is done."""
        summed, states = self._next_labels()
        total, summed, labels = self._with_ctc(summed)
        self._keep_to_limits(total, length)
        score, pick = total.flatten(1).topk(self.config.beam, dim=1)
        origin = pick // total.shape[2]
        label = pick % total.shape[2] if labels is None else labels.flatten(1).gather(1, pick)
        ends = label == self.end
        self._finish(score.masked_fill(~ends, IMPOSSIBLE), origin, length)
        score = score.masked_fill(ends, IMPOSSIBLE)
        over = self._is_over(score, length)
        gone = (score < POSSIBLE) | over[:, None]
        self.trail.append(origin * (self.end + 1) + label)
        rows = (origin + torch.arange(0, gone.numel(), gone.shape[1], device=self.device)[:, None]).flatten()
        self.beam = Beam(
            score.masked_fill(gone, IMPOSSIBLE),
            summed.flatten(1).gather(1, pick).masked_fill(gone, IMPOSSIBLE),
            label,
            self._extend_ctc(origin, label),
            [scorer.select(state, rows) for (scorer, _), state in zip(self.scorers, states, strict=True)],
        )
        return over

    def _next_labels(self) -> tuple[Tensor, list[Any]]:
        """(B, K, V + 1) sums of all scores but CTC's with each label appended, and the scorers' states."""
        summed = self.beam.summed[:, :, None].repeat(1, 1, self.end + 1)
        states = []
        for (scorer, weight), state in zip(self.scorers, self.beam.states, strict=True):
            log_probs, state = scorer.score(state, self.beam.last.flatten())
            summed.add_(log_probs.view_as(summed), alpha=weight)
            states.append(state)
        if self.config.length_penalty:
            summed += self.config.length_penalty
        summed[:, :, 0] = IMPOSSIBLE
        return summed, states

    def _with_ctc(self, summed: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(B, K, C + 1) scores with CTC and sums without, of C labels and the end; which, if not all."""
        if self.ctc is None:
            return summed, summed, None
        assert self.beam.ctc is not None
        labels = None
        if 0 < self.config.pre_beam_size < self.end and self.scorers:
            best, labels = summed[:, :, :-1].topk(self.config.pre_beam_size, dim=2)
            after, end = self.ctc.score_some(self.beam.ctc, labels)
            labels = torch.nn.functional.pad(labels, (0, 1), value=self.end)
            summed = torch.cat([best, summed[:, :, -1:]], 2)
        else:
            after, end = self.ctc.score(self.beam.ctc)
        ctc = torch.cat([after, end[:, :, None]], 2)
        return summed.add(ctc, alpha=self.config.ctc_weight), summed, labels

    def _keep_to_limits(self, total: Tensor, length: int) -> None:
        """No end before the fewest labels, nothing but the end after the most."""
        if length < self.no_end_before:
            total[:, :, -1].masked_fill_((length < self.shortest)[:, None], IMPOSSIBLE)
        if length >= self.some_end_at:
            total[:, :, :-1].masked_fill_((length >= self.longest)[:, None, None], IMPOSSIBLE)

    def _extend_ctc(self, origin: Tensor, label: Tensor) -> CtcPrefixState | None:
        if self.ctc is None or self.beam.ctc is None:
            return None
        return self.ctc.extend(self.beam.ctc, origin, label.clamp(max=self.end - 1))

    def _finish(self, score: Tensor, origin: Tensor, length: int) -> None:
        """Take in finished hypotheses of `length` labels: (B, K) scores, and their places in the beam."""
        old = self.finished
        best, pick = torch.cat([old.score, score], 1).topk(self.config.nbest, dim=1)
        where = torch.cat([old.where, origin + length * self.config.beam], 1).gather(1, pick)
        recent = torch.cat([old.recent[:, 1:], score.amax(1, keepdim=True)], 1)
        self.finished = Finished(best, where, recent)

    def _is_over(self, score: Tensor, length: int) -> Tensor:
        """(B,) which utterances are done, by the rules above; (B, K) scores of the hypotheses that go on."""
        best, recent = self.finished.score, self.finished.recent
        hope = score.amax(1)
        penalty, more = self.config.length_penalty, (self.longest - length - 1).clamp(min=0)
        if penalty:  # at least the end's, at most also that of every label that there is room for
            hope = hope + penalty * (1 + more if penalty > 0 else 1)
        worse = (recent > POSSIBLE) & (recent < best[:, :1] + END_DISTANCE)
        return (hope <= best[:, -1].clamp(min=POSSIBLE)) | worse.all(1)

    def _leave(self, over: Sequence[bool]) -> None:
        """Note the results of the rows that are done, and go on with the others."""
        trail = torch.stack(self.trail)
        out, stay = (
            to_device(torch.tensor([row for row, one in enumerate(over) if one is is_out]), self.device)
            for is_out in (True, False)
        )
        finished = Finished(*(part[out] for part in self.finished))
        found = _trace(trail[:, out], finished, self.end + 1, self.config.length_penalty)
        self.results.update(
            zip((row for row, one in zip(self.rows, over, strict=True) if one), found, strict=True)
        )
        self.rows = [row for row, one in zip(self.rows, over, strict=True) if not one]
        if not self.rows:
            return
        self.shortest, self.longest = self.shortest[stay], self.longest[stay]
        self.trail = list(trail[:, stay].unbind())
        self.finished = Finished(*(part[stay] for part in self.finished))
        beam, places = self.beam, torch.arange(self.config.beam, device=self.device)
        rows = (stay[:, None] * self.config.beam + places).flatten()
        states = [
            scorer.select(state, rows, stay)
            for (scorer, _), state in zip(self.scorers, beam.states, strict=True)
        ]
        ctc = beam.ctc
        if self.ctc is not None and ctc is not None:
            self.ctc, ctc = self.ctc.select(ctc, stay)
        self.beam = Beam(beam.score[stay], beam.summed[stay], beam.last[stay], ctc, states)


def length_limits(config: DecodeConfig, frames: int) -> tuple[int, int]:
    """Fewest and most labels of an utterance of `frames` encoder frames; with CTC never more than these."""
    longest = round(config.max_length_ratio * frames) if config.max_length_ratio else frames
    longest = max(longest, min(frames, 1))
    if config.ctc_weight:
        longest = min(longest, frames)
    return min(round(config.min_length_ratio * frames), longest), longest


def _worth_leaving(over: Sequence[bool]) -> bool:
    """Whether a quarter is done: to take them out copies the states of all others."""
    return 4 * sum(over) >= len(over)


def _trace(trail: Tensor, finished: Finished, width: int, penalty: float) -> list[DecodeResult]:
    """From (L, B, K) places and labels, and where B utterances' hypotheses ended, to these."""
    codes = trail.cpu().numpy()
    results = []
    for row, (scores, ends) in enumerate(zip(finished.score.tolist(), finished.where.tolist(), strict=True)):
        found = []
        for score, end in zip(scores, ends, strict=True):
            length, place = divmod(end, codes.shape[2])
            ids: list[int] = []
            for step in reversed(range(length)):
                place, label = divmod(int(codes[step, row, place]), width)
                ids.append(label)
            if score > POSSIBLE:
                found.append(Hypothesis(tuple(reversed(ids)), score - penalty))
        results.append(DecodeResult(tuple(found) or (Hypothesis((), float("-inf")),)))
    return results
