"""The settings of sound that a network reads as it is; without torch, as all that a configuration holds."""

from dataclasses import dataclass

FRAMES_A_SECOND = 100
"""In which batches and lengths are measured, as if the sound were features: 10 ms each."""


@dataclass(frozen=True, kw_only=True)
class WaveformOptions:
    """What the samples are.

    Args:
        sample_rate: Hz, to which all sound is resampled; what the pretrained encoder wants.

    Raises:
        ValueError: naming the option and its value.
    """

    sample_rate: int = 16000

    def __post_init__(self) -> None:
        if not FRAMES_A_SECOND <= self.sample_rate <= 1_000_000:
            raise ValueError(
                f"sample_rate must lie between {FRAMES_A_SECOND} and 1000000, got {self.sample_rate}"
            )

    def num_frames(self, num_samples: int) -> int:
        """How many frames of 10 ms, at least one, so many samples count as."""
        return max(1, num_samples * FRAMES_A_SECOND // self.sample_rate)
