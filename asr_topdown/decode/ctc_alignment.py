"""The best CTC alignment of given labels with a network's frames (Viterbi)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from asr_topdown.losses import ctc_frames_needed

_CELLS = 1 << 26  # maximum frames x states for one backtrace in memory; beyond it, rows are computed twice


class Span(NamedTuple):
    """A label's frames.

    Attributes:
        label: its id.
        start, end: its first frame, and the frame after its last.
        confidence: mean of the label's probability over its frames, in [0, 1].
    """

    label: int
    start: int
    end: int
    confidence: float


class CtcAlignment(NamedTuple):
    """The most probable alignment of a label sequence: its log-probability, and each label's frames."""

    score: float
    spans: tuple[Span, ...]


def ctc_align(log_probs: np.ndarray, labels: Sequence[int], blank: int = 0) -> CtcAlignment:
    """Return the most probable CTC alignment of `labels` (Graves et al. 2006, with a maximum for the sum).

    Args:
        log_probs: (T, V) natural logarithms.
        labels: ids, without blanks.
        blank: the id of the CTC blank.

    Raises:
        ValueError: if there are too few frames, no alignment has a probability above 0, or a value is NaN.
    """
    needed = ctc_frames_needed(labels)
    if len(log_probs) < needed:
        raise ValueError(f"{len(log_probs)} frames are too few for {len(labels)} labels, which need {needed}")
    values = np.asarray(log_probs, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("the log-probabilities hold NaN")
    states = np.full(2 * len(labels) + 1, blank)
    states[1::2] = labels
    score, path = _best_path(values, states)
    if score == -math.inf:
        raise ValueError("no alignment has a probability above 0")
    spans = []
    for number, label in enumerate(labels):
        frames = np.flatnonzero(path == 2 * number + 1)
        start, end = int(frames[0]), int(frames[-1]) + 1
        spans.append(Span(label, start, end, float(np.exp(values[start:end, label]).mean())))
    return CtcAlignment(score, tuple(spans))


def _best_path(values: np.ndarray, states: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the best path's log-probability and its state in each frame, (T,).

    A long path keeps only every sqrt(T)-th row of scores, and computes the rows between them again.
    """
    frames, size = len(values), len(states)
    if not frames:
        return 0.0, np.empty(0, dtype=int)
    # The blank between two different labels may be skipped.
    skip = np.zeros(size, dtype=bool)
    skip[3::2] = states[3::2] != states[1:-2:2]
    start = np.full(size, -np.inf)
    start[:2] = values[0, states[:2]]
    every = frames if frames * size <= _CELLS else math.isqrt(frames) + 1
    kept = [start]
    for first in range(0, frames - 1, every):
        kept.append(
            _forward(values, states, skip, kept[-1], range(first + 1, min(first + every, frames - 1) + 1))[0]
        )
    last = kept.pop()
    state = size - 1 if size == 1 or last[-1] > last[-2] else size - 2
    score = float(last[state])
    path = np.empty(frames, dtype=int)
    path[-1] = state
    for number in reversed(range(len(kept))):
        block = range(number * every + 1, min((number + 1) * every, frames - 1) + 1)
        _, steps = _forward(values, states, skip, kept[number], block)
        for row in reversed(range(len(block))):
            state -= int(steps[row, state])
            path[block[row] - 1] = state
    return score, path


def _forward(
    values: np.ndarray, states: np.ndarray, skip: np.ndarray, scores: np.ndarray, frames: range
) -> tuple[np.ndarray, np.ndarray]:
    """Advance the states' scores over `frames`; return them and each step's jump back, 0 to 2 states."""
    size = len(states)
    steps = np.zeros((len(frames), size), dtype=np.int8)
    came = np.full((3, size), -np.inf)
    for row, frame in enumerate(frames):
        came[0] = scores
        came[1, 1:] = scores[:-1]
        came[2, 2:] = np.where(skip[2:], scores[:-2], -np.inf)
        steps[row] = came.argmax(0)
        scores = came.max(0) + values[frame, states]
    return scores, steps
