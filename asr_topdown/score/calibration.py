"""Calibration of a CTC output: expected calibration error, and entropy along the greedy path.

A network is calibrated if 90 % of the units to which it gives a probability of 0.9 are correct. The expected
calibration error sorts the units of the greedy path into bins by confidence and averages, over all units, the
distance between their bin's accuracy and mean confidence (Naeini, Cooper and Hauskrecht, AAAI 2015; Guo,
Pleiss, Sun and Weinberger, ICML 2017, with 15 bins of equal width). A unit's confidence is its mean posterior
over its frames; it is correct if `score.align` pairs it with an equal unit of the transcript.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from asr_topdown.score.align import align_all

BINS = 15


@dataclass(frozen=True)
class GreedyPath:
    """The most probable unit of each frame of an utterance, repeats merged and blanks dropped.

    Attributes:
        units: their ids.
        confidences: each unit's mean posterior over its frames.
        frames: number of frames of the utterance.
        entropy: sum of the frames' entropies, in nats.
        unit_frames: number of frames whose most probable unit is not the blank.
        unit_entropy: sum of these frames' entropies, in nats.
    """

    units: tuple[int, ...]
    confidences: tuple[float, ...]
    frames: int
    entropy: float
    unit_frames: int
    unit_entropy: float


@dataclass(frozen=True)
class Calibration:
    """Calibration over a data set; NaN where there is nothing to average.

    Attributes:
        error: expected calibration error of the units, between 0 and 1.
        confidence: their mean confidence.
        accuracy: share of correct units; below `confidence` the network is overconfident.
        frame_entropy: mean entropy of a frame, in nats.
        unit_entropy: mean entropy of a frame whose most probable unit is not the blank.
    """

    error: float
    confidence: float
    accuracy: float
    frame_entropy: float
    unit_entropy: float

    def to_json(self) -> dict[str, float | None]:
        """Convert to JSON values, null where there is nothing to average."""
        values = {**vars(self), "expected_calibration_error": self.error}
        del values["error"]
        return {name: None if math.isnan(value) else value for name, value in values.items()}


@torch.no_grad()
def greedy_paths(log_probs: Tensor, lengths: Tensor, blank: int = 0) -> list[GreedyPath]:
    """Return the greedy path of each utterance.

    Args:
        log_probs: (B, T, V) normalised natural logarithms; padding is ignored.
        lengths: (B,) frames per utterance.
        blank: the id of the CTC blank.
    """
    values, best = log_probs.float().max(2)
    entropies = -torch.xlogy(log_probs.float().exp(), log_probs.float().exp()).sum(2)
    columns = torch.stack([best.double(), values.double().exp(), entropies.double()]).cpu().numpy()
    return [_path(columns[:, row, :count], blank) for row, count in enumerate(lengths.tolist())]


def _path(columns: NDArray[np.float64], blank: int) -> GreedyPath:
    """Return an utterance's path from (3, T): each frame's most probable unit, its posterior, the entropy."""
    best, posteriors, entropies = columns
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    frames = np.diff(starts, append=len(best))
    sums = np.add.reduceat(posteriors, starts) if len(starts) else posteriors
    spoken = best[starts] != blank
    heard = best != blank
    return GreedyPath(
        units=tuple(best[starts][spoken].astype(int).tolist()),
        confidences=tuple((sums / frames)[spoken].tolist()),
        frames=len(best),
        entropy=float(entropies.sum()),
        unit_frames=int(heard.sum()),
        unit_entropy=float(entropies[heard].sum()),
    )


def calibrate(paths: Iterable[tuple[GreedyPath, Sequence[int]]]) -> Calibration:
    """Compute the calibration over utterances, each with its greedy path and its transcript's units."""
    pairs = list(paths)
    alignments = align_all((list(map(str, units)), list(map(str, path.units))) for path, units in pairs)
    correct = [step == "C" for one in alignments for step in one.operations if step != "D"]
    confidences = [confidence for path, _ in pairs for confidence in path.confidences]
    return Calibration(
        error=expected_calibration_error(confidences, correct),
        confidence=_ratio(sum(confidences), len(confidences)),
        accuracy=_ratio(sum(correct), len(correct)),
        frame_entropy=_ratio(sum(one.entropy for one, _ in pairs), sum(one.frames for one, _ in pairs)),
        unit_entropy=_ratio(
            sum(one.unit_entropy for one, _ in pairs), sum(one.unit_frames for one, _ in pairs)
        ),
    )


def expected_calibration_error(confidences: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """Compute the mean distance between accuracy and confidence over bins of equal width; NaN for N = 0.

    Args:
        confidences: (N,) between 0 and 1; bin k holds those above k / bins, up to (k + 1) / bins.
        correct: (N,) whether each is correct.
        bins: number of bins.
    """
    sure, right = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    if not len(sure):
        return float("nan")
    places = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(places, right - sure, bins)
    return float(np.abs(gaps).sum() / len(sure))


def _ratio(total: float, count: float) -> float:
    return total / count if count else float("nan")
