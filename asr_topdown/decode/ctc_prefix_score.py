"""CTC prefix scores of many hypotheses at once (Watanabe et al. 2017, section II-C; Hori et al. 2017).

The score of a prefix g is the log-probability of all label sequences that begin with it. For the first t
frames, let a_t(g) be the probability of all alignments of g and b_t(g) that of those that end in a blank;
then for label c

    reach_t(g, c) = a_{t-1}(g), or b_{t-1}(g) if c is g's last label: all that c may follow at frame t
    score(g c)    = sum over t of reach_t(g, c) p_t(c)
    n_t(g c)      = (n_{t-1}(g c) + reach_t(g, c)) p_t(c)        alignments that end in c
    b_t(g c)      = (b_{t-1}(g c) + n_{t-1}(g c)) p_t(blank)
    end(g)        = a_T(g)

Two things make this fast. A score needs no recursion over frames, so that one matrix product scores all
labels of all hypotheses, and the recursion is computed only for the few that the search keeps. And a
recursion x_t = (x_{t-1} + u_t) p_t is a cumulative sum, x_t = P_t sum_{s <= t} u_s / P_{s-1} with
P_t = p_1 … p_t, which in logarithms is one `logcumsumexp`, without a loop over frames and without overflow.
P_t gets very small, hence float64.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from asr_topdown.decode.result import IMPOSSIBLE
from asr_topdown.nn.lengths import mask

# Replaces a label's log 0: sums of thousands of them still leave a float64 enough digits.
LOWEST = -1e5


@dataclass(frozen=True)
class CtcPrefixState:
    """The state of K hypotheses of each of B utterances; a time index t counts the frames seen, 0 … T.

    Attributes:
        blank: (B, K, T + 1) log b_t.
        total: (B, K, T + 1) log a_t.
        last: (B, K) last label; the blank's id for the empty hypothesis.
    """

    blank: Tensor
    total: Tensor
    last: Tensor


class CtcPrefixScorer:
    """Scores hypotheses of a label-synchronous search with a batch's CTC output, in float64.

    Args:
        log_probs: (B, T, V) natural logarithms, blank 0; padding is ignored.
        lengths: (B,) frames per utterance, 0 allowed.
    """

    def __init__(self, log_probs: Tensor, lengths: Tensor) -> None:
        within = mask(lengths, log_probs.shape[1])[:, :, None]
        rows = log_probs.double().clamp(min=LOWEST).masked_fill(~within, LOWEST).mT
        self.lengths = lengths
        self.sums = torch.nn.functional.pad(rows.cumsum(2), (1, 0))  # (B, V, T + 1): log P_t of each label
        self.probs = rows.exp()  # (B, V, T)
        self.probs[:, 0] = 0.0  # no hypothesis is extended by a blank

    def start(self, beam: int) -> CtcPrefixState:
        """Return `beam` empty hypotheses per utterance."""
        blank = self.sums[:, :1].expand(-1, beam, -1)
        return CtcPrefixState(blank, blank, blank.new_zeros(blank.shape[:2], dtype=torch.long))

    def score(self, state: CtcPrefixState) -> tuple[Tensor, Tensor]:
        """Return each hypothesis's scores with each label appended, (B, K, V), and with the end, (B, K)."""
        after = _log_of_product(state.total[:, :, :-1], self.probs.mT)
        # The hypothesis's last label can follow only a blank.
        own = _log_of_product(state.blank[:, :, None, :-1], self._rows(self.probs, state.last)[:, :, :, None])
        after.scatter_(2, state.last[:, :, None], own[:, :, 0])
        return after, self._end(state)

    def score_some(self, state: CtcPrefixState, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same for `labels` (B, K, C) only: (B, K, C) and (B, K)."""
        own = labels == state.last[:, :, None]
        reach = torch.where(own[:, :, :, None], state.blank[:, :, None, :-1], state.total[:, :, None, :-1])
        probs = self._rows(self.probs, labels.flatten(1)).unflatten(1, labels.shape[1:])
        return _log_of_product(reach[:, :, :, None], probs[..., None])[..., 0, 0], self._end(state)

    def extend(self, state: CtcPrefixState, origin: Tensor, labels: Tensor) -> CtcPrefixState:
        """Return the hypotheses at places `origin` (B, K') with `labels` (B, K') appended."""
        repeats = (labels == state.last.gather(1, origin))[:, :, None]
        reach = torch.where(repeats, self._rows(state.blank, origin), self._rows(state.total, origin))
        label = _scan(reach, self._rows(self.sums, labels))
        blank = _scan(label, self.sums[:, :1])
        return CtcPrefixState(blank, torch.logaddexp(label, blank), labels)

    def select(self, state: CtcPrefixState, utterances: Tensor) -> tuple["CtcPrefixScorer", CtcPrefixState]:
        """Return scorer and state for `utterances` (B',) only."""
        kept = object.__new__(CtcPrefixScorer)
        for name, value in vars(self).items():
            setattr(kept, name, value[utterances])
        parts = (value[utterances] for value in (state.blank, state.total, state.last))
        return kept, CtcPrefixState(*parts)

    def _end(self, state: CtcPrefixState) -> Tensor:
        last = self.lengths[:, None, None].expand(-1, state.total.shape[1], 1)
        return state.total.gather(2, last)[:, :, 0]

    @staticmethod
    def _rows(values: Tensor, index: Tensor) -> Tensor:
        """Gather rows `index` (B, K') of (B, K, T)."""
        return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[2]))


def _log_of_product(logs: Tensor, factors: Tensor) -> Tensor:
    """Compute log(exp(logs) @ factors) without overflow, at least IMPOSSIBLE (also without frames)."""
    if not logs.shape[-1]:
        return logs.new_full((*logs.shape[:-1], factors.shape[-1]), IMPOSSIBLE)
    highest = logs.amax(-1, keepdim=True)
    return ((logs - highest).exp() @ factors).log().add(highest).clamp(min=IMPOSSIBLE)


def _scan(enters: Tensor, sums: Tensor) -> Tensor:
    """Solve x_t = (x_{t-1} + u_t) p_t, x_0 = 0: (B, K, T + 1) log x_t from log u_{t+1} and log P_t."""
    scanned = sums[..., 1:] + (enters - sums)[..., :-1].logcumsumexp(-1)
    return torch.nn.functional.pad(scanned, (1, 0), value=IMPOSSIBLE)
