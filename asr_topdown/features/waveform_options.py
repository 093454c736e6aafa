"""The settings of waveform input; without torch, like all of the configuration."""

from dataclasses import dataclass

FRAMES_A_SECOND = 100
"""Duration of the frames in which batches and lengths are measured, as for features: 10 ms."""


@dataclass(frozen=True, kw_only=True)
class WaveformOptions:
    """The format of the samples.

    Args:
        sample_rate: Hz, to which all audio is resampled; that of the pretrained encoder.

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
        """Number of 10 ms frames, at least one, for this many samples."""
        return max(1, num_samples * FRAMES_A_SECOND // self.sample_rate)
