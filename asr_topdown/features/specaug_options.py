"""The settings of SpecAugment; without torch, so that a configuration can be read without it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SpecAugmentOptions:
    """The amount of warping and masking. A width is drawn uniformly from 0 to the maximum, then a position.

    Args:
        freq_masks: number of masks over adjacent feature dimensions (the paper's m_F).
        freq_width: maximum width of each, dimensions (F).
        time_masks: number of masks over adjacent frames (m_T).
        time_width: maximum width of each, frames (T).
        time_ratio: maximum width of a time mask as a fraction of the utterance (p).
        time_warp: a random frame is moved by fewer frames than this (W); 0 = no warping.
        replace_with: value inside a mask: zero (the mean of normalised features) or the utterance's mean.

    Raises:
        ValueError: naming the option and its value.
    """

    freq_masks: int = 2
    freq_width: int = 15
    time_masks: int = 2
    time_width: int = 40
    time_ratio: float = 0.2
    time_warp: int = 0
    replace_with: Literal["zero", "mean"] = "zero"

    def __post_init__(self) -> None:
        for name in ("freq_masks", "freq_width", "time_masks", "time_width", "time_warp"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.time_ratio <= 1:
            raise ValueError(f"time_ratio must lie in [0, 1], got {self.time_ratio}")
