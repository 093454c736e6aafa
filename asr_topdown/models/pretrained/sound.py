"""The preprocessing of a pretrained encoder's `preprocessor_config.json`, for a padded batch of audio.

It is computed in float32 whatever the precision of the network, and without a gradient.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from asr_topdown.features.fbank import fbank
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.nn.lengths import mask

_NORMALISING = 1e-7
"""Added to a variance."""


def normalised(samples: Tensor, lengths: Tensor) -> Tensor:
    """(B, N) samples with mean 0 and variance 1 within each utterance, and 0 after it."""
    real = mask(lengths, samples.shape[1])
    return _standardised(samples[..., None], real, spare=0)[..., 0]


def zeroed(samples: Tensor, lengths: Tensor) -> Tensor:
    """(B, N) samples, 0 after the end of each utterance."""
    return samples.masked_fill(~mask(lengths, samples.shape[1]), 0.0)


def flag(settings: Mapping[str, Any], key: str, default: bool) -> bool:
    """A switch of preprocessor_config.json.

    Raises:
        ValueError: naming it, if it is neither true nor false.
    """
    if not isinstance(value := settings.get(key, default), bool):
        raise ValueError(f"preprocessor.{key}: must be true or false, got {value!r}")
    return value


def _whole(settings: Mapping[str, Any], key: str, default: int) -> int:
    """A number of preprocessor_config.json, at least 1."""
    value = settings.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"preprocessor.{key}: must be a whole number above 0, got {value!r}")
    return value


class StackedFbank:
    """Kaldi's log mel energies, normalised per utterance and dimension, with adjacent frames joined.

    The input of Wav2Vec2-BERT.

    Args:
        settings: preprocessor_config.json.

    Raises:
        ValueError: if the filters do not match the sampling rate, or a setting is no number.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.stride = _whole(settings, "stride", 2)
        rate = _whole(settings, "sampling_rate", 16000)
        self.options = FbankOptions(num_mels=_whole(settings, "num_mel_bins", 80), sample_rate=rate)
        self.size = self.stride * self.options.dim
        self.least = self.options.length + (self.stride - 1) * self.options.shift

    def __call__(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) samples, at least `least` -> (B, T, size), (B,) lengths."""
        with torch.autocast(samples.device.type, enabled=False):
            frames = torch.stack([fbank(row, self.options) for row in samples.float()])
        counts = self._counts(lengths)
        frames = _standardised(frames, mask(counts, frames.shape[1]), spare=1)
        whole = frames.shape[1] // self.stride
        return frames[:, : whole * self.stride].reshape(len(frames), whole, self.size), counts // self.stride

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """T for (B,) numbers of samples."""
        return self._counts(lengths) // self.stride

    def _counts(self, lengths: Tensor) -> Tensor:
        return ((lengths - self.options.length) // self.options.shift + 1).clamp(min=0)


class LogMel(nn.Module):
    """Whisper's log mel energies of 30 s windows (Radford et al. 2023), each like a separate utterance.

    Args:
        settings: preprocessor_config.json.

    Raises:
        ValueError: if it requires added noise, or a setting is no number.
    """

    filters: Tensor

    def __init__(self, *, settings: Mapping[str, Any]) -> None:
        super().__init__()
        if settings.get("dither"):
            raise ValueError("preprocessor.dither: is not supported")
        self.n_fft, self.hop = _whole(settings, "n_fft", 400), _whole(settings, "hop_length", 160)
        self.rate = _whole(settings, "sampling_rate", 16000)
        self.size = _whole(settings, "feature_size", 80)
        self.window = _whole(settings, "chunk_length", 30) * self.rate
        self.register_buffer(
            "filters", slaney_bank(self.size, self.n_fft, self.rate).float(), persistent=False
        )

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """(B, N) samples -> (B x W, size, frames in a window): W windows of each."""
        samples = zeroed(samples.float(), lengths)
        count = -(-samples.shape[1] // self.window)
        padded = torch.nn.functional.pad(samples, (0, count * self.window - samples.shape[1]))
        with torch.autocast(samples.device.type, enabled=False):
            hann = torch.hann_window(self.n_fft, device=samples.device)
            spectrum = torch.stft(
                padded.reshape(-1, self.window), self.n_fft, self.hop, window=hann, return_complex=True
            )
            power = spectrum[..., :-1].abs().square()
            log = (self.filters.T @ power).clamp(min=1e-10).log10()
        loudest = log.amax((1, 2), keepdim=True)
        return (torch.maximum(log, loudest - 8.0) + 4.0) / 4.0


def slaney_bank(num_mels: int, n_fft: int, rate: int) -> Tensor:
    """(n_fft / 2 + 1, num_mels) triangles of equal area, on Slaney's mel scale, from 0 to 8000 Hz.

    Slaney's scale (Auditory Toolbox, 1998) is linear below 1000 Hz, 15 steps there, and logarithmic above,
    27 steps to 6400 Hz.
    """
    step = math.log(6.4) / 27
    top = 15 + math.log(8000 / 1000) / step
    mels = torch.linspace(0, top, num_mels + 2, dtype=torch.float64)
    edges = torch.where(mels < 15, mels * 200 / 3, 1000 * ((mels - 15) * step).exp())
    freqs = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)[:, None]
    rising = (freqs - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - freqs) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0) * (2 / (edges[2:] - edges[:-2]))


def _standardised(frames: Tensor, real: Tensor, *, spare: int) -> Tensor:
    """(B, T, D) with mean 0 and variance 1 over the real frames, 0 elsewhere; with `spare` 1 the variance is
    divided by one less than T.
    """
    frames, count = frames.float(), real.sum(1)[:, None, None]
    kept = real[..., None]
    mean = (frames * kept).sum(1, keepdim=True) / count.clamp(min=1)
    centred = (frames - mean) * kept
    variance = centred.square().sum(1, keepdim=True) / (count - spare).clamp(min=1)
    return centred / (variance + _NORMALISING).sqrt()
