"""SpecAugment (Park et al. 2019): masks over time and frequency, drawn per utterance."""
from dataclasses import dataclass
@dataclass(frozen=True, kw_only=True)
class SpecAugmentOptions:
    freq_masks: int = 2
