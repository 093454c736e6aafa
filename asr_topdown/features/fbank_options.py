"""The settings of the filter bank; without torch, so that a configuration can be read without it."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class FbankOptions:
    """Options of the filter bank, with Kaldi's defaults except for 80 filters and no dither.

    Args:
        sample_rate: of the audio, Hz.
        num_mels: number of triangular filters.
        frame_length_ms, frame_shift_ms: of the analysis window, milliseconds.
        low_freq: lower edge of the first filter, Hz.
        high_freq: upper edge of the last filter, Hz; zero or less is counted from half the sampling rate.
        preemphasis: fraction of each sample that is subtracted from the next.
        window: shape of the analysis window.
        energy: prepend the frame's log energy before pre-emphasis (Kaldi's use_energy).
        dither: standard deviation of noise added to the samples, in 16-bit steps; 0 = none.
        snip_edges: keep only frames entirely within the audio; otherwise one frame per shift, edges mirrored.

    Raises:
        ValueError: naming the option and its value.
    """

    sample_rate: int = 16000
    num_mels: int = 80
    frame_length_ms: float = 25.0
    frame_shift_ms: float = 10.0
    low_freq: float = 20.0
    high_freq: float = 0.0
    preemphasis: float = 0.97
    window: Literal["povey", "hamming", "hanning", "rectangular"] = "povey"
    energy: bool = False
    dither: float = 0.0
    snip_edges: bool = True

    def __post_init__(self) -> None:
        for name in ("frame_length_ms", "frame_shift_ms", "low_freq", "high_freq", "preemphasis", "dither"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, got {getattr(self, name)}")
        self._check_frames()
        self._check_filters()
        if not 0 <= self.preemphasis <= 1:
            raise ValueError(f"preemphasis must lie in [0, 1], got {self.preemphasis}")
        if self.dither < 0:
            raise ValueError(f"dither must not be negative, got {self.dither}")

    def _check_frames(self) -> None:
        if self.sample_rate < 1:
            raise ValueError(f"sample_rate must be positive, got {self.sample_rate}")
        if self.shift < 1 or self.length < 2:
            raise ValueError(
                f"frame_length_ms {self.frame_length_ms} and frame_shift_ms {self.frame_shift_ms} must be "
                f"at least two samples and one sample at {self.sample_rate} Hz"
            )
        if max(self.length, self.shift) > 10 * self.sample_rate:
            raise ValueError(
                f"frame_length_ms {self.frame_length_ms} and frame_shift_ms {self.frame_shift_ms} must be at "
                "most ten seconds"
            )

    def _check_filters(self) -> None:
        if self.num_mels < 1:
            raise ValueError(f"num_mels must be positive, got {self.num_mels}")
        if self.num_mels > self.fft_size:  # far too many; `fbank.mel_bank` tells exactly
            raise ValueError(
                f"num_mels {self.num_mels} is too large: frames of {self.frame_length_ms:g} ms at "
                f"{self.sample_rate} Hz have {self.fft_size // 2} frequencies"
            )
        if not 0 <= self.low_freq < self.top_freq <= self.sample_rate / 2:
            raise ValueError(
                f"low_freq {self.low_freq} and high_freq {self.high_freq} must lie in order between 0 "
                f"and {self.sample_rate / 2} Hz"
            )

    @property
    def length(self) -> int:
        """Samples in a frame."""
        return int(self.sample_rate * 0.001 * self.frame_length_ms)

    @property
    def shift(self) -> int:
        """Samples from one frame to the next."""
        return int(self.sample_rate * 0.001 * self.frame_shift_ms)

    @property
    def fft_size(self) -> int:
        """Samples of a frame including zero padding, a power of two."""
        return 1 << (self.length - 1).bit_length()

    @property
    def top_freq(self) -> float:
        """Upper edge of the last filter, Hz."""
        return self.high_freq if self.high_freq > 0 else self.sample_rate / 2 + self.high_freq

    @property
    def dim(self) -> int:
        """Feature dimension."""
        return self.num_mels + int(self.energy)

    def num_frames(self, num_samples: int) -> int:
        """Number of frames for `num_samples` samples (Kaldi's NumFrames)."""
        if self.snip_edges:
            return max(0, 1 + (num_samples - self.length) // self.shift)
        return (num_samples + self.shift // 2) // self.shift
