"""Kaldi's log mel filter bank, in torch.

The definition is Kaldi's `compute-fbank-feats` (src/feat/feature-window.cc, mel-computations.cc): frames
without their mean, pre-emphasis, a window, the power spectrum, triangular filters on the mel scale, a natural
logarithm. Samples are scaled to the range of 16-bit integers, so log energies are on Kaldi's scale.
"""

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown.audio import NoSoundError
from asr_topdown.features.fbank_options import FbankOptions

INT16_SCALE = 32768.0
"""Kaldi reads 16-bit samples unscaled; ours are in [-1, 1]."""

LOG_FLOOR = torch.finfo(torch.float32).eps
"""Minimum energy before the logarithm, as in Kaldi."""

_BLOCK = 512
"""Frames processed at a time on a CPU: their spectra (1 MB) stay in its cache."""

_MEL_GROUPS = 4
"""The mel matrix is a band: multiplied in this many parts, each over its own frequencies."""


@torch.no_grad()
def fbank(waveform: Tensor, options: FbankOptions, generator: torch.Generator | None = None) -> Tensor:
    """Log mel energies of one utterance.

    Args:
        waveform: (n,) samples in [-1, 1], at `options.sample_rate`.
        options: see `FbankOptions`.
        generator: draws the dither, on the CPU; the default is seeded with 0, so that the result depends
            on the arguments only. Unlike in Kaldi, the noise is drawn per sample, not again in each frame.

    Returns:
        (T, options.dim) float32 on the waveform's device; the energy, if any, comes first.

    Raises:
        NoSoundError: if the audio is too short for one frame.
        ValueError: if a filter would be empty.
    """
    if waveform.dim() != 1:
        raise ValueError(f"fbank takes one channel, shape (n,), got shape {tuple(waveform.shape)}")
    num_frames = options.num_frames(waveform.numel())
    if num_frames < 1:
        raise NoSoundError(
            f"too short for one frame: {waveform.numel()} samples, a frame has "
            f"{options.length} ({options.frame_length_ms:g} ms at {options.sample_rate} Hz)"
        )
    samples = waveform.to(torch.float32) * INT16_SCALE
    if options.dither > 0:
        generator = generator or torch.Generator().manual_seed(0)
        samples += options.dither * torch.randn(samples.numel(), generator=generator).to(samples.device)
    if not options.snip_edges:
        samples = _mirrored(samples, num_frames, options)
    return _log_mels(samples, num_frames, options)


def _log_mels(samples: Tensor, num_frames: int, options: FbankOptions) -> Tensor:
    """Frames, spectra and filters, block by block."""
    tables = _tables(options, samples.device)
    # The mean's share of a pre-emphasised frame is the same for all its samples, mean · (1 - c). So the
    # pre-emphasis can be done once on the signal, where each sample occurs once, not in 2.5 frames.
    emphasised = samples.clone()
    emphasised[1:] -= options.preemphasis * samples[:-1]
    shape, strides = (num_frames, options.length), (options.shift, 1)
    raw_frames, frames = samples.as_strided(shape, strides), emphasised.as_strided(shape, strides)
    features = samples.new_empty(num_frames, options.dim)
    mels = features[:, int(options.energy) :]
    block = min(num_frames, _BLOCK) if samples.device.type == "cpu" else num_frames
    padded = samples.new_zeros(block, tables.fft_size)
    for start in range(0, num_frames, block):
        rows = slice(start, min(start + block, num_frames))
        raw, windowed = raw_frames[rows], padded[: rows.stop - start, : options.length]
        mean = raw.mean(1, keepdim=True)
        if options.energy:
            features[rows, 0] = (raw - mean).square_().sum(1)
        torch.sub(frames[rows], mean * (1 - options.preemphasis), out=windowed)
        # A frame's first sample has none before it: Kaldi takes itself.
        windowed[:, 0] = (raw[:, 0] - mean[:, 0]) * (1 - options.preemphasis)
        windowed *= tables.window
        spectrum = torch.fft.rfft(padded[: rows.stop - start])
        power = spectrum.real.square().add_(spectrum.imag.square())
        for filters, bins, weights in tables.mel_groups:
            mels[rows, filters] = power[:, bins] @ weights
    return features.clamp_(min=LOG_FLOOR).log_()


def _mirrored(samples: Tensor, num_frames: int, options: FbankOptions) -> Tensor:
    """Audio mirrored at both ends, so that frame t is centred on (t + 1/2) shifts."""
    before = options.length // 2 - options.shift // 2
    after = max(0, (num_frames - 1) * options.shift + options.length - before - samples.numel())

    def outside(index: Tensor) -> Tensor:
        index = index.to(samples.device) % (2 * samples.numel())
        return samples[torch.minimum(index, 2 * samples.numel() - 1 - index)]

    right = samples.numel() + torch.arange(after)
    if before < 0:  # a shift longer than the window
        return torch.cat((samples[-before:], outside(right)))
    return torch.cat((outside(torch.arange(-before, 0)), samples, outside(right)))


class _Tables(NamedTuple):
    """Constants that depend only on the options."""

    fft_size: int
    window: Tensor  # (length,)
    mel_groups: tuple[tuple[slice, slice, Tensor], ...]  # filters, frequency bins, (bins, filters) weights


@functools.lru_cache(maxsize=16)
def _tables(options: FbankOptions, device: torch.device) -> _Tables:
    fft_size = options.fft_size
    bank = mel_bank(options, fft_size)
    groups = []
    for group in torch.arange(options.num_mels).chunk(_MEL_GROUPS):
        filters = slice(int(group[0]), int(group[-1]) + 1)
        used = bank[filters].any(0).nonzero()
        bins = slice(int(used.min()), int(used.max()) + 1)
        groups.append((filters, bins, bank[filters, bins].T.contiguous().to(device, torch.float32)))
    return _Tables(fft_size, fbank_window(options).to(device, torch.float32), tuple(groups))


def mel_bank(options: FbankOptions, fft_size: int) -> Tensor:
    """Triangular filters, equally spaced on the mel scale 1127 ln(1 + f / 700).

    Returns:
        (num_mels, fft_size / 2) weights, float64. The bin at half the sampling rate is not used, as in Kaldi.

    Raises:
        ValueError: if a filter lies between two frequency bins, so that it is empty.
    """
    low, high = (1127 * math.log1p(freq / 700) for freq in (options.low_freq, options.top_freq))
    edges = torch.linspace(low, high, options.num_mels + 2, dtype=torch.float64)
    left, centre, right = (edges[i : i + options.num_mels, None] for i in range(3))
    freqs = torch.arange(fft_size // 2, dtype=torch.float64) * options.sample_rate / fft_size
    mels = 1127 * torch.log1p(freqs / 700)
    bank = torch.minimum((mels - left) / (centre - left), (right - mels) / (right - centre)).clamp(min=0)
    empty = [index for index, used in enumerate(bank.any(1).tolist()) if not used]
    if empty:
        raise ValueError(
            f"num_mels {options.num_mels} is too large for {options.sample_rate} Hz and frames of "
            f"{options.frame_length_ms:g} ms: {len(empty)} filters, the first number {empty[0]}, are empty"
        )
    return bank


def fbank_window(options: FbankOptions) -> Tensor:
    """(length,) float64."""
    if options.window == "rectangular":
        return torch.ones(options.length, dtype=torch.float64)
    steps = torch.arange(options.length, dtype=torch.float64)
    cosine = torch.cos(2 * math.pi * steps / (options.length - 1))
    if options.window == "hamming":
        return 0.54 - 0.46 * cosine
    hanning = 0.5 - 0.5 * cosine
    return hanning.pow(0.85) if options.window == "povey" else hanning
