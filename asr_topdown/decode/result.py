"""Results of decoding, and the checks that no log-probability is NaN."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_topdown.nn.transfer import to_device
from asr_topdown.score.calibration import GreedyPath

BLANK = 0
"""The id of the blank."""
IMPOSSIBLE = -1e30
"""Replaces log 0: lower than any score, and finite, so that the difference of two of them is not NaN."""


@dataclass(frozen=True)
class Hypothesis:
    """A label sequence and its score, a natural logarithm; higher is better."""

    ids: tuple[int, ...]
    score: float


@dataclass(frozen=True)
class DecodeResult:
    """The result for one utterance.

    Attributes:
        hypotheses: best first; never empty.
        ctc_path: the CTC head's greedy path, with any decoder; None without a CTC head.
    """

    hypotheses: tuple[Hypothesis, ...]
    ctc_path: GreedyPath | None = None

    @property
    def best(self) -> Hypothesis:
        """The hypothesis of the highest score."""
        return self.hypotheses[0]


class NotANumberError(ValueError):
    """The log-probabilities of an utterance hold NaN, as of a network whose training diverged.

    Args:
        row: of the utterance in its batch.
        name: the utterance.
    """

    def __init__(self, row: int, name: str = "") -> None:
        super().__init__(f"utterance {name or f'{row} of the batch'}: its log-probabilities hold NaN")
        self.row = row


@contextlib.contextmanager
def naming(ids: Sequence[str]) -> Iterator[None]:
    """Within it, a `NotANumberError` has the utterance's id."""
    try:
        yield
    except NotANumberError as error:
        raise NotANumberError(error.row, ids[error.row]) from None


def check_scores(results: Sequence[DecodeResult]) -> list[DecodeResult]:
    """Return a batch's results.

    Raises:
        NotANumberError: if the best score of an utterance is NaN.
    """
    for row, result in enumerate(results):
        if math.isnan(result.best.score):
            raise NotANumberError(row)
    return list(results)


def check_ctc_input(log_probs: Tensor, lengths: Tensor) -> list[int]:
    """Check the shapes of (B, T, V) CTC log-probabilities; return the lengths in frames.

    Raises:
        NotANumberError: if a frame within its length holds NaN.
    """
    batch, frames, _ = log_probs.shape
    assert lengths.shape == (batch,), f"{batch} utterances but lengths of shape {tuple(lengths.shape)}"
    counts: list[int] = lengths.tolist()
    assert all(0 <= count <= frames for count in counts), f"lengths {counts} do not fit {frames} frames"
    within = torch.arange(frames, device=log_probs.device) < lengths.to(log_probs.device)[:, None]
    broken = (log_probs.isnan().any(2) & within).any(1)
    if broken.any():
        raise NotANumberError(int(broken.nonzero()[0]))
    return counts


def longest_first(
    search: Callable[[Tensor, list[int]], list[DecodeResult]], inputs: Tensor, counts: Sequence[int]
) -> list[DecodeResult]:
    """Search (B, T, …) inputs in order of falling length; return the results in the order of `inputs`.

    Within `search`, the utterances that have not ended are thus always the first rows.
    """
    order = sorted(range(len(counts)), key=lambda row: -counts[row])
    rows = to_device(torch.tensor(order, dtype=torch.long), inputs.device)
    results = search(inputs[rows], [counts[row] for row in order])
    return [result for _, result in sorted(zip(order, results, strict=True), key=lambda pair: pair[0])]
