import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_topdown.audio import Clip, read
from asr_topdown.features.fbank import LOG_FLOOR, fbank, mel_bank
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.features.front_end import front_end, front_end_dim

TOLERANCE = 1e-3

RESOLVED = 20.0
"""Nepers (87 dB) below a frame's strongest filter: what is weaker is rounding noise of a float32 spectrum, in
kaldi-native-fbank, too: over the 3000 recordings of FSDD it lies up to 1.2e-3 from the same in float64."""

NARROW = (
    FbankOptions(sample_rate=8000, num_mels=40),
    FbankOptions(sample_rate=8000, num_mels=40, energy=True),
    FbankOptions(sample_rate=8000, num_mels=23, snip_edges=False),
    FbankOptions(sample_rate=8000, num_mels=36, window="hamming", low_freq=64, high_freq=3800),
)
WIDE = (
    FbankOptions(num_mels=80, high_freq=-400),
    FbankOptions(num_mels=80, energy=True, snip_edges=False, preemphasis=0.9),
    FbankOptions(num_mels=40, window="hanning", frame_length_ms=32, frame_shift_ms=16),
    FbankOptions(num_mels=24, window="rectangular", frame_length_ms=20, frame_shift_ms=12.5),
)


def name(options: FbankOptions) -> str:
    """What differs from the defaults."""
    default = FbankOptions()
    changed = {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}
    return ",".join(f"{k}={v}" for k, v in changed.items() if v != getattr(default, k))


def speech_like(rate: int, seconds: float = 7.0, seed: int = 0) -> np.ndarray:
    """A gliding voice with harmonics up to half the rate, pauses and a noise floor, in 16-bit steps."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(rate * seconds)) / rate
    pitch = 120 + 40 * np.sin(2 * math.pi * 0.7 * time)
    phase = 2 * math.pi * np.cumsum(pitch) / rate
    harmonics = range(1, int(rate / 2 / 160))
    voice = sum(np.sin(k * phase) / k for k in harmonics) * (np.sin(2 * math.pi * 1.3 * time) > -0.3)
    sound = 0.15 * voice + 0.003 * rng.standard_normal(len(time)) + 0.01
    return (np.round(sound * 32768) / 32768).astype(np.float32)


def kaldi(samples: np.ndarray, options: FbankOptions) -> np.ndarray:
    """kaldi-native-fbank's features."""
    knf = pytest.importorskip("kaldi_native_fbank")
    theirs = knf.FbankOptions()
    theirs.frame_opts.samp_freq = options.sample_rate
    theirs.frame_opts.dither = 0.0
    theirs.frame_opts.frame_length_ms = options.frame_length_ms
    theirs.frame_opts.frame_shift_ms = options.frame_shift_ms
    theirs.frame_opts.preemph_coeff = options.preemphasis
    theirs.frame_opts.window_type = options.window
    theirs.frame_opts.snip_edges = options.snip_edges
    theirs.mel_opts.num_bins = options.num_mels
    theirs.mel_opts.low_freq = options.low_freq
    theirs.mel_opts.high_freq = options.high_freq
    theirs.use_energy = options.energy
    theirs.raw_energy = True
    computer = knf.OnlineFbank(theirs)
    computer.accept_waveform(options.sample_rate, samples * 32768)
    computer.input_finished()
    return np.stack([computer.get_frame(index) for index in range(computer.num_frames_ready)])


def restated(samples: np.ndarray, options: FbankOptions) -> np.ndarray:
    """The definition, frame by frame in float64, for `snip_edges`; written without looking at the code."""
    length, shift = round(options.sample_rate * options.frame_length_ms / 1000), options.shift
    rows = []
    for start in range(0, len(samples) - length + 1, shift):
        frame = samples[start : start + length].astype(np.float64) * 32768
        frame = frame - frame.mean()
        energy = [math.log(max(float(frame @ frame), LOG_FLOOR))] if options.energy else []
        frame = frame - options.preemphasis * np.concatenate((frame[:1], frame[:-1]))
        n = np.arange(length)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / (length - 1))
        shapes = {
            "povey": hann**0.85,
            "hanning": hann,
            "hamming": 0.54 - 0.46 * np.cos(2 * np.pi * n / (length - 1)),
            "rectangular": np.ones(length),
        }
        size = 2 ** math.ceil(math.log2(length))
        power = np.abs(np.fft.rfft(frame * shapes[options.window], size)) ** 2
        top = options.high_freq if options.high_freq > 0 else options.sample_rate / 2 + options.high_freq

        def mel(hertz: float) -> float:
            return 1127 * math.log(1 + hertz / 700)

        step = (mel(top) - mel(options.low_freq)) / (options.num_mels + 1)
        row = []
        for index in range(options.num_mels):
            left = mel(options.low_freq) + index * step
            total = 0.0
            for k in range(size // 2):
                place = (mel(k * options.sample_rate / size) - left) / step
                total += power[k] * max(0.0, min(place, 2 - place))
            row.append(math.log(max(total, LOG_FLOOR)))
        rows.append(energy + row)
    return np.array(rows)


def difference(ours: torch.Tensor, theirs: np.ndarray) -> float:
    """Largest, over all that float32 resolves."""
    assert ours.dtype == torch.float32
    assert tuple(ours.shape) == theirs.shape
    error = np.abs(ours.numpy() - theirs)
    resolved = theirs > theirs.max(1, keepdims=True) - RESOLVED
    assert resolved.mean() > 0.99
    assert error.max() < 0.05
    return float(error[resolved].max())


@pytest.mark.parametrize("options", NARROW + WIDE, ids=name)
def test_agrees_with_kaldi_on_generated_sound(options: FbankOptions) -> None:
    samples = speech_like(options.sample_rate)
    assert difference(fbank(torch.from_numpy(samples), options), kaldi(samples, options)) < TOLERANCE


@pytest.mark.parametrize("options", NARROW, ids=name)
def test_agrees_with_kaldi_on_recordings(options: FbankOptions, fsdd_dir: Path) -> None:
    paths = sorted(fsdd_dir.glob("*.wav"))[::75]
    assert len(paths) >= 20
    for path in paths:
        samples, _ = read(Clip(str(path)))
        assert difference(fbank(torch.from_numpy(samples), options), kaldi(samples, options)) < TOLERANCE, (
            path
        )


@pytest.mark.parametrize("options", [o for o in NARROW + WIDE if o.snip_edges], ids=name)
def test_agrees_with_its_definition_in_float64(options: FbankOptions) -> None:
    samples = speech_like(options.sample_rate, seconds=0.4)
    assert difference(fbank(torch.from_numpy(samples), options), restated(samples, options)) < TOLERANCE


def test_a_frame_does_not_depend_on_how_many_there_are() -> None:
    options = FbankOptions(energy=True)
    samples = torch.from_numpy(speech_like(16000, seconds=11.0))  # more than two blocks of frames
    whole = fbank(samples, options)
    for frame in (0, 511, 512, 1023, 1024, len(whole) - 1):
        start = frame * options.shift
        alone = fbank(samples[start : start + options.length], options)
        assert alone.shape == (1, 81)
        assert (alone[0] - whole[frame]).abs().max() < TOLERANCE


@pytest.mark.parametrize("snip_edges", [True, False])
def test_number_of_frames_is_the_documented_one(snip_edges: bool) -> None:
    options = FbankOptions(sample_rate=8000, num_mels=20, snip_edges=snip_edges)
    for num_samples in (200, 279, 280, 281, 439, 440, 1000):
        expected = 1 + (num_samples - 200) // 80 if snip_edges else (num_samples + 40) // 80
        assert options.num_frames(num_samples) == expected
        assert len(fbank(torch.ones(num_samples), options)) == expected


def test_silence_gives_the_floor() -> None:
    feats = fbank(torch.zeros(4000), FbankOptions(energy=True))
    assert torch.equal(feats, torch.full_like(feats, LOG_FLOOR).log())


def test_too_short_a_sound_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"too short for one frame: 199 samples, a frame has 200 \(25 ms"):
        fbank(torch.zeros(199), FbankOptions(sample_rate=8000, num_mels=40))
    with pytest.raises(ValueError, match="too short"):
        fbank(torch.zeros(0), FbankOptions(snip_edges=False))
    with pytest.raises(ValueError, match="one channel"):
        fbank(torch.zeros(2, 8000), FbankOptions())


def test_very_short_sound_is_mirrored_as_often_as_needed() -> None:
    options = FbankOptions(sample_rate=8000, num_mels=20, snip_edges=False)
    samples = speech_like(8000, seconds=0.01)
    assert len(samples) == 80
    assert difference(fbank(torch.from_numpy(samples), options), kaldi(samples, options)) < TOLERANCE


def test_empty_filters_are_an_error_that_names_the_number() -> None:
    for options in (FbankOptions(sample_rate=8000, num_mels=128), FbankOptions(num_mels=300)):
        with pytest.raises(
            ValueError, match=f"num_mels {options.num_mels} is too large for {options.sample_rate} Hz"
        ):
            fbank(torch.zeros(8000), options)


def test_filters_are_triangles_that_overlap_by_half() -> None:
    options = FbankOptions(num_mels=40)
    bank = mel_bank(options, 512)
    assert bank.shape == (40, 256)
    between = bank.sum(0)
    inner = slice(int(bank[0].argmax()) + 1, int(bank[-1].argmax()))
    assert torch.allclose(between[inner], torch.ones_like(between[inner]))


def test_dither_is_reproducible_noise_of_the_given_size() -> None:
    silence = torch.zeros(16000)
    options = FbankOptions(num_mels=40, energy=True, dither=2.0)
    one = fbank(silence, options)
    assert torch.equal(one, fbank(silence, options))
    other = fbank(silence, options, torch.Generator().manual_seed(1))
    assert not torch.equal(one, other)
    # Sum of 400 squares of N(0, 2²) without their mean: 4 · 399.
    assert abs(float(other[:, 0].exp().mean()) / (4 * 399) - 1) < 0.05


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_mels": 0}, "num_mels"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"high_freq": 9000.0}, "high_freq 9000"),
        ({"low_freq": 8000.0}, "low_freq 8000"),
        ({"high_freq": -8000.0}, "high_freq -8000"),
        ({"frame_shift_ms": 0.0}, "frame_shift_ms 0"),
        ({"dither": -1.0}, "dither"),
        ({"preemphasis": 1.5}, "preemphasis"),
    ],
)
def test_options_that_make_no_sense_are_errors(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FbankOptions(**changes)  # type: ignore[arg-type]


def test_front_end_is_fbank_and_deltas() -> None:
    options = FbankOptions(sample_rate=8000, num_mels=40, energy=True)
    samples = speech_like(8000, seconds=1.0)
    feats = front_end(samples, 8000, options, deltas=2)
    assert feats.shape == (98, 123) == (98, front_end_dim(options, 2))
    assert torch.equal(feats[:, :41], fbank(torch.from_numpy(samples), options))
    with pytest.raises(ValueError, match=r"sampling rate is 16000 Hz, features\.fbank\.sample_rate is 8000"):
        front_end(samples, 16000, options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same() -> None:
    for options in NARROW + WIDE:
        samples = torch.from_numpy(speech_like(options.sample_rate))
        assert (fbank(samples.cuda(), options).cpu() - fbank(samples, options)).abs().max() < TOLERANCE
