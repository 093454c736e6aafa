"""Sound from files, NIST SPHERE, segments and pipes, as float32 mono.

Wav, flac and whatever else libsndfile knows are read by soundfile, and so is SPHERE that holds PCM, µ-law or
A-law. SPHERE compressed with shorten (all of WSJ) is decoded by desphere, fast where desphere-native is
installed; an external sph2pipe is the last resort.
"""

import contextlib
import functools
import io
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

END_TOLERANCE = 0.1
"""Seconds by which a segment may end beyond its recording: transcribers round. It is cut there."""

_SPHERE = b"NIST_1A"
_SPHERE_HEADER = 1 << 16  # bytes: far more than any header has

_STREAM_BYTES = 0x7FFF0000
"""A wav header written before the length was known promises at least so many bytes."""


class Clip(NamedTuple):
    """Where an utterance's sound is.

    Attributes:
        source: a file, or a shell command that ends in `|` and writes a sound file to its output (Kaldi).
        start, end: seconds in the source, at its own speed; end None = up to its end.
        channel: 0 is the first; None = the source must have one channel only.
        speed: how many times faster it is played, and so higher (sox speed, Kaldi's perturbation).
        rate: Hz, to which it is resampled; None = as it is.
    """

    source: str
    start: float = 0.0
    end: float | None = None
    channel: int | None = None
    speed: float = 1.0
    rate: int | None = None


def read(clip: Clip) -> tuple[np.ndarray, int]:
    """Samples, float32 in [-1, 1], shape (n,), and their rate in Hz.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if a command fails; the line holds the command and the last line of its error output.
        ValueError: naming the source, if it is empty, damaged, truncated or in an unknown format, holds NaN,
            has several channels and none is chosen, or ends before the clip does.
    """
    try:
        with _open(clip) as sound:
            first, last = _span(clip, sound)
            sound.seek(first)
            channels = sound.read(last - first, dtype="float32", always_2d=True)
            rate: int = sound.samplerate
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{clip.source}: cannot be decoded: {error.error_string}") from error
    if len(channels) < last - first:
        raise ValueError(f"{clip.source}: truncated: {len(channels)} samples instead of {last - first}")
    samples = np.ascontiguousarray(channels[:, _channel(clip, channels.shape[1])])
    if not np.isfinite(samples).all():
        raise ValueError(f"{clip.source}: holds samples that are not finite (NaN or infinity)")
    wanted = clip.rate or rate
    return resample(change_speed(samples, rate, clip.speed), rate, wanted), wanted


def info(clip: Clip) -> tuple[int, int]:
    """Rate in Hz and number of samples that `read` would give, without decoding (but for pipes and shorten).

    Raises:
        as `read`, but for damage that only decoding shows.
    """
    with _open(clip) as sound:
        first, last = _span(clip, sound)
        _channel(clip, sound.channels)
        rate = clip.rate or sound.samplerate
        return rate, _length_at(sound.samplerate / rate, _length_at(clip.speed, last - first))


def num_channels(source: str) -> int:
    """How many channels a sound file has, from its header.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the source, if it has no header that can be read.
    """
    if not Path(source).is_file():
        raise FileNotFoundError(f"{source}: no such file")
    with open(source, "rb") as file:
        head = file.read(_SPHERE_HEADER)
    if head.startswith(_SPHERE):
        return _sphere_field(head, "channel_count") or 1
    try:
        return int(soundfile.info(source).channels)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{source}: cannot be decoded: {error.error_string}") from error


def header_seconds(source: str) -> float | None:
    """How long a sound file lasts, as its header says; None if it has none that can be read."""
    try:
        with open(source, "rb") as file:
            head = file.read(_SPHERE_HEADER)
        if head.startswith(_SPHERE):
            count, rate = _sphere_field(head, "sample_count"), _sphere_field(head, "sample_rate")
            return count / rate if count and rate else None
        found = soundfile.info(source)
        return float(found.frames) / float(found.samplerate)
    except (OSError, soundfile.LibsndfileError):
        return None


def change_speed(samples: np.ndarray, rate: int, factor: float) -> np.ndarray:
    """Play `factor` times faster: the duration is divided, the pitch multiplied by it (sox speed)."""
    if factor == 1.0:
        return samples
    if not 0 < factor < math.inf:
        raise ValueError(f"a speed factor must be positive, got {factor}")
    return _resampled(samples, rate * factor, rate, _length_at(factor, len(samples)))


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """The same sound at another sampling rate."""
    if rate == new_rate:
        return samples
    return _resampled(samples, rate, new_rate, _length_at(rate / new_rate, len(samples)))


def _resampled(samples: np.ndarray, rate: float, new_rate: float, length: int) -> np.ndarray:
    changed = soxr.resample(samples, rate, new_rate)
    # The resampler rounds the length in its own way: half a sample at most.
    return np.pad(changed[:length], (0, max(0, length - len(changed))))


def _length_at(speed: float, num_samples: int) -> int:
    return num_samples if speed == 1.0 else round(num_samples / speed)


def _span(clip: Clip, sound: soundfile.SoundFile) -> tuple[int, int]:
    """First sample of the clip and the one after its last."""
    rate, duration = sound.samplerate, sound.frames / sound.samplerate
    if sound.frames == 0:
        raise ValueError(f"{clip.source}: holds no samples")
    first = round(clip.start * rate)
    last = sound.frames if clip.end is None else round(clip.end * rate)
    if last > sound.frames + END_TOLERANCE * rate:
        raise ValueError(f"{clip.source}: a clip ends at {clip.end:g} s, the sound lasts {duration:.3f} s")
    last = min(last, sound.frames)
    if not 0 <= first < last:
        until = "" if clip.end is None else f" and ends at {clip.end:g} s"
        raise ValueError(
            f"{clip.source}: a clip starts at {clip.start:g} s{until}, the sound lasts {duration:.3f} s"
        )
    return first, last


def _channel(clip: Clip, channels: int) -> int:
    if clip.channel is None and channels > 1:
        raise ValueError(
            f"{clip.source}: has {channels} channels, choose one: Clip(..., channel=0) is the first; in a "
            "data directory write `recording file A` (or B) to reco2file_and_channel"
        )
    if clip.channel is not None and not 0 <= clip.channel < channels:
        raise ValueError(f"{clip.source}: no channel {clip.channel}, it has {channels} (counted from 0)")
    return clip.channel or 0


def _open(clip: Clip) -> soundfile.SoundFile:
    """The whole source, ready to seek and read.

    Raises:
        as `read`, for what shows without decoding.
    """
    source = clip.source.strip()
    # Segments follow one another in the same recording: do not decode it anew for each.
    whole = clip.end is None and clip.start == 0
    if source.endswith("|"):
        data = _output(source) if whole else _recent_output(source)
        if data.startswith(_SPHERE):
            return _open_sphere(data, source)
        return _open_sound(io.BytesIO(data), source)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"{source}: no such file")
    with open(path, "rb") as start:
        magic = start.read(len(_SPHERE))
    if not magic:
        raise ValueError(f"{source}: empty file")
    return _open_sphere(path, source) if magic == _SPHERE else _open_sound(path, source)


def _open_sound(file: Path | io.BytesIO, source: str) -> soundfile.SoundFile:
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{source}: cannot be decoded: {error.error_string}") from error
    # libsndfile takes a wav that is shorter than its header says as if it were whole; its log knows.
    promised = re.search(r"^data\s*: (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE)
    if promised:
        said, found = int(promised[1]), int(promised[2])
        if found < said < _STREAM_BYTES:
            raise ValueError(f"{source}: truncated: {found} bytes of sound, its header promises {said}")
    return sound


def _open_sphere(file: Path | bytes, source: str) -> soundfile.SoundFile:
    count = _sample_count(file, source)
    # libsndfile knows neither shorten nor 32 bits, and takes what follows the samples for samples.
    with contextlib.suppress(soundfile.LibsndfileError):
        sound = soundfile.SoundFile(file if isinstance(file, Path) else io.BytesIO(file))
        if sound.frames == count:
            return sound
        sound.close()
    if isinstance(file, Path):
        state = file.stat()
        wav = _recent_wav(file, (state.st_mtime_ns, state.st_size))
    else:
        wav = _sphere_to_wav(file, source)
    sound = _open_sound(io.BytesIO(wav), source)
    if sound.frames != count:
        raise ValueError(f"{source}: truncated: {sound.frames} samples, its header promises {count}")
    return sound


def _sample_count(file: Path | bytes, source: str) -> int:
    """Samples per channel, from the header."""
    with open(file, "rb") if isinstance(file, Path) else io.BytesIO(file) as opened:
        head = opened.read(_SPHERE_HEADER)
    count = _sphere_field(head, "sample_count")
    if count is None or b"end_head" not in head:
        raise ValueError(f"{source}: damaged SPHERE header (no sample_count or no end_head)")
    return count


def _sphere_field(head: bytes, name: str) -> int | None:
    """A whole number of the header."""
    pattern = rf"^{name}\s+-i\s+(\d+)\s*$".encode()
    found = re.search(pattern, head.split(b"end_head")[0], re.MULTILINE)
    return int(found[1]) if found else None


@functools.lru_cache(maxsize=1)
def _recent_wav(path: Path, state: tuple[int, int]) -> bytes:
    """The file decoded; `state`, its time and size, tells when it has changed."""
    return _sphere_to_wav(path.read_bytes(), str(path), path)


def _sphere_to_wav(data: bytes, source: str, path: Path | None = None) -> bytes:
    """Decode SPHERE of any coding; sph2pipe can only help with what lies in a file at `path`."""
    import desphere

    try:
        return desphere.transcode_bytes(data)
    # A damaged stream can break the pure-Python decoder anywhere.
    except Exception as error:
        if path is not None and shutil.which("sph2pipe"):
            return _command_output(["sph2pipe", "-f", "wav", "-p", str(path)], f"sph2pipe {path}")
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{source}: cannot be decoded: {reason}") from error


@functools.lru_cache(maxsize=1)
def _recent_output(source: str) -> bytes:
    return _output(source)


def _output(source: str) -> bytes:
    """What a `command |` writes."""
    return _command_output(["/bin/sh", "-c", source[:-1]], source)


def _command_output(command: list[str], name: str) -> bytes:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it wrote no error message"]
        raise OSError(f"{name}: the command failed with exit status {done.returncode}: {lines[-1].strip()}")
    if not done.stdout:
        raise OSError(f"{name}: the command wrote nothing")
    return done.stdout
