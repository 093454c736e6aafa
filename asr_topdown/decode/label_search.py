"""The label-synchronous beam search; `decode.joint_beam` defines its scores and when it ends."""

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

# Hypotheses with lower scores are impossible; far above IMPOSSIBLE, whose weight in a sum may be small.
POSSIBLE = IMPOSSIBLE * 1e-10
END_LENGTHS, END_DISTANCE = 3, -10.0


class Beam(NamedTuple):
    """The K growing hypotheses of each of B utterances; for the scorers N = B x K rows."""

    score: Tensor  # (B, K) float64; IMPOSSIBLE where there is no hypothesis
    summed: Tensor  # (B, K) the scorers' weighted scores and the penalty, without CTC; likewise
    last: Tensor  # (B, K) last label
    ctc: CtcPrefixState | None
    states: list[Any]  # of the scorers


class Finished(NamedTuple):
    """The best finished hypotheses of each of B utterances."""

    score: Tensor  # (B, nbest) float64 with one penalty too many, best first; IMPOSSIBLE where there is none
    where: Tensor  # (B, nbest) number of labels x K + place in the beam at that length
    recent: Tensor  # (B, 3) the best score at each of the last lengths


class LabelSearch:
    """The search in one batch; a row is an utterance that has not left it."""

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
        self.rows = list(range(len(counts)))  # the rows' utterances
        self.device = lengths.device
        limits = [length_limits(config, count) for count in counts]
        self.shortest, self.longest = to_device(torch.tensor(limits), self.device).unbind(1)
        self.no_end_before = max(shortest for shortest, _ in limits)
        self.some_end_at = min(longest for _, longest in limits)
        self.all_end_at = max(longest for _, longest in limits)
        self.trail: list[Tensor] = []  # per label: (B, K) place in the previous beam x (V + 1) + label
        self.beam, self.finished = self._start(memory, lengths)

    def run(self) -> list[DecodeResult]:
        """Search to the end; return the results in the order of the batch."""
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
        """Return a beam with one empty hypothesis per utterance, and no finished ones."""
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
        """Extend the hypotheses of `length` labels by a label or the end; return (B,) which rows are done."""
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
        """Return (B, K, V + 1) sums with each label appended, without CTC, and the scorers' new states."""
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
        """Return (B, K, C + 1) scores with CTC and sums without, of C labels and the end, and the C + 1 ids.

        The ids are None if C = V.
        """
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
        """Forbid the end below the minimum number of labels, and all else at the maximum."""
        if length < self.no_end_before:
            total[:, :, -1].masked_fill_((length < self.shortest)[:, None], IMPOSSIBLE)
        if length >= self.some_end_at:
            total[:, :, :-1].masked_fill_((length >= self.longest)[:, None, None], IMPOSSIBLE)

    def _extend_ctc(self, origin: Tensor, label: Tensor) -> CtcPrefixState | None:
        if self.ctc is None or self.beam.ctc is None:
            return None
        return self.ctc.extend(self.beam.ctc, origin, label.clamp(max=self.end - 1))

    def _finish(self, score: Tensor, origin: Tensor, length: int) -> None:
        """Add finished hypotheses of `length` labels, given their (B, K) scores and places in the beam."""
        old = self.finished
        best, pick = torch.cat([old.score, score], 1).topk(self.config.nbest, dim=1)
        where = torch.cat([old.where, origin + length * self.config.beam], 1).gather(1, pick)
        recent = torch.cat([old.recent[:, 1:], score.amax(1, keepdim=True)], 1)
        self.finished = Finished(best, where, recent)

    def _is_over(self, score: Tensor, length: int) -> Tensor:
        """Return (B,) which rows are done by `joint_beam`'s rules, given the beam's (B, K) scores."""
        best, recent = self.finished.score, self.finished.recent
        hope = score.amax(1)
        penalty, more = self.config.length_penalty, (self.longest - length - 1).clamp(min=0)
        if penalty:  # the end's, and if it is positive also that of every further label
            hope = hope + penalty * (1 + more if penalty > 0 else 1)
        worse = (recent > POSSIBLE) & (recent < best[:, :1] + END_DISTANCE)
        return (hope <= best[:, -1].clamp(min=POSSIBLE)) | worse.all(1)

    def _leave(self, over: Sequence[bool]) -> None:
        """Store the results of the rows that are done, and remove them from the batch."""
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
    """Return the minimum and maximum number of labels for `frames` encoder frames, with CTC at most these."""
    longest = round(config.max_length_ratio * frames) if config.max_length_ratio else frames
    longest = max(longest, min(frames, 1))
    if config.ctc_weight:
        longest = min(longest, frames)
    return min(round(config.min_length_ratio * frames), longest), longest


def _worth_leaving(over: Sequence[bool]) -> bool:
    """Whether at least a quarter is done: removing them copies the states of all others."""
    return 4 * sum(over) >= len(over)


def _trace(trail: Tensor, finished: Finished, width: int, penalty: float) -> list[DecodeResult]:
    """Trace B utterances' finished hypotheses back through the (L, B, K) trail."""
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
            if not score <= POSSIBLE:  # so that NaN is reported
                found.append(Hypothesis(tuple(reversed(ids)), score - penalty))
        results.append(DecodeResult(tuple(found) or (Hypothesis((), float("-inf")),)))
    return results
