"""Global mean and variance normalisation, with statistics in Kaldi's format."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asr_topdown.features import ark
from asr_topdown.files import written_aside

VARIANCE_FLOOR = 1e-8
"""A dimension that never changes becomes zeros, not amplified rounding errors."""

_KEY = "global"


class Cmvn:
    """Sums of features and of their squares, and the resulting normalisation.

    Args:
        stats: (2, D + 1) float64 as in Kaldi: sums, last the number of frames; sums of squares, last 0.

    Raises:
        ValueError: if the statistics have another shape, hold no frame or are not finite.
    """

    def __init__(self, stats: np.ndarray) -> None:
        if stats.ndim != 2 or stats.shape[0] != 2 or stats.shape[1] < 2:
            raise ValueError(f"CMVN statistics must have shape (2, dimensions + 1), got {stats.shape}")
        if not np.isfinite(stats).all():
            raise ValueError("CMVN statistics are not finite")
        if stats[0, -1] <= 0:
            raise ValueError("CMVN statistics hold no frame")
        self.stats = stats.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = self.stats[0, :-1] / self.frames
            variance = np.maximum(self.stats[1, :-1] / self.frames - mean**2, VARIANCE_FLOOR)
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            raise ValueError("CMVN statistics are too large")
        self.mean = torch.from_numpy(mean).float()
        self.scale = torch.from_numpy(variance**-0.5).float()

    @classmethod
    def of(cls, features: Iterable[Tensor | np.ndarray]) -> "Cmvn":
        """Statistics over all frames of all `features`, (T, D) each, summed in float64 in the given order.

        Raises:
            ValueError: if there is no frame, dimensions differ, or a feature is not finite.
        """
        stats: np.ndarray | None = None
        for feats in features:
            values = np.asarray(feats, dtype=np.float64)
            if stats is None:
                stats = np.zeros((2, values.shape[1] + 1))
            if values.shape[1] != stats.shape[1] - 1:
                raise ValueError(f"features have {stats.shape[1] - 1} and {values.shape[1]} dimensions")
            stats[0, :-1] += values.sum(0)
            stats[0, -1] += len(values)
            stats[1, :-1] += np.square(values).sum(0)
        if stats is None:
            raise ValueError("CMVN statistics need at least one frame")
        return cls(stats)

    @property
    def frames(self) -> float:
        """How many frames were counted."""
        return float(self.stats[0, -1])

    @property
    def dim(self) -> int:
        """Dimensions of the features."""
        return self.stats.shape[1] - 1

    def apply(self, feats: Tensor) -> Tensor:
        """Features (..., D) with mean 0 and variance 1 over the counted frames, in float32.

        Raises:
            ValueError: if the number of dimensions differs.
        """
        if feats.shape[-1] != self.dim:
            raise ValueError(f"CMVN statistics of {self.dim} dimensions, features of {feats.shape[-1]}")
        return (feats - self.mean.to(feats.device)).mul_(self.scale.to(feats.device))

    def save(self, path: Path | str) -> None:
        """Write a Kaldi ark with one matrix of doubles under the key `global`, atomically."""
        with written_aside(path) as aside, open(aside, "wb") as file:
            ark.save(file, _KEY, self.stats)

    @classmethod
    def load(cls, path: Path | str) -> "Cmvn":
        """Read the output of `save`, or of Kaldi's compute-cmvn-stats for one speaker.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: naming the file, if it does not hold one matrix of statistics.
        """
        try:
            matrices = [stats for _, stats in ark.load_archive(path)]
            if len(matrices) != 1:
                raise ValueError(
                    f"{path}: must hold the statistics of one set of features, got {len(matrices)}"
                )
            return cls(matrices[0])
        except ValueError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise ValueError(f"{path}: not a file of CMVN statistics ({reason})") from error
