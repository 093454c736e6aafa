"""SpecAugment (Park et al. 2019): masks over time and frequency, drawn per utterance."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SpecAugmentOptions:
    """Placeholder body follows; the fields are final."""

    freq_masks: int = 2
    freq_width: int = 15
    time_masks: int = 2
    time_width: int = 40
    time_ratio: float = 0.2
    time_warp: int = 0
    replace_with: Literal["zero", "mean"] = "zero"
