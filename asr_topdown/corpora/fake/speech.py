"""Sound for fake corpora: speech by espeak-ng if it is installed, otherwise tones.

Each character has its own tone, so that a small network can learn them.
"""

import functools
import hashlib
import io
import shutil
import subprocess
from typing import Literal

import numpy as np
import soundfile

from asr_topdown import audio

Engine = Literal["auto", "espeak", "tones"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SECONDS_EACH = 0.07
_VOICES = ("en-us+m1", "en-us+m3", "en-us+m7", "en-us+f1", "en-us+f2", "en-us+f4")


def say(
    text: str,
    *,
    speaker: str = "",
    rate: int = 16000,
    engine: Engine = "auto",
    seconds_each: float = _SECONDS_EACH,
) -> np.ndarray:
    """Synthesise `text`: int16 (samples,), never empty, deterministic.

    Args:
        text: words; other characters than letters are silence.
        speaker: a name, which determines the voice.
        rate: in Hz.
        engine: `auto` is espeak-ng if it is installed.
        seconds_each: duration of a tone.

    Raises:
        OSError: if espeak-ng is requested and missing, or fails.
    """
    if engine == "espeak" or (engine == "auto" and shutil.which("espeak-ng")):
        return _espeak(text, speaker, rate)
    return _tones(text, speaker, rate, seconds_each)


def _tones(text: str, speaker: str, rate: int, seconds_each: float) -> np.ndarray:
    pieces = [
        _tone(symbol, 0.98 + 0.04 * _share(speaker), rate, seconds_each) for symbol in f" {text.lower()} "
    ]
    sound = np.concatenate(pieces)
    noise = np.random.RandomState(len(sound)).standard_normal(len(sound))
    return np.round(8000 * (sound + 0.01 * noise)).astype(np.int16)


@functools.lru_cache(maxsize=4096)
def _tone(symbol: str, pitch: float, rate: int, seconds: float) -> np.ndarray:
    """Return a sine in the telephone band, 300 to 3400 Hz; adjacent letters have distant frequencies."""
    if symbol not in _LETTERS:
        return np.zeros(round(rate * seconds))
    frequency = 300 + 3000 / len(_LETTERS) * (_LETTERS.index(symbol) * 11 % len(_LETTERS))
    time = np.arange(round(rate * seconds)) / rate
    return np.sin(2 * np.pi * pitch * frequency * time) * np.sqrt(np.hanning(len(time)))


def _espeak(text: str, speaker: str, rate: int) -> np.ndarray:
    voice = _VOICES[int(_share(speaker) * len(_VOICES))]
    pitch, speed = 35 + int(30 * _share(speaker, "pitch")), 150 + int(50 * _share(speaker, "speed"))
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "--stdin", "--stdout"]
    try:
        done = subprocess.run(command, input=text.lower().encode(), capture_output=True, check=True)
    except subprocess.CalledProcessError as error:
        raise OSError(f"espeak-ng failed: {error.stderr.decode(errors='replace').strip()}") from error
    spoken = np.zeros(0, np.float32)
    if done.stdout:  # empty for an empty text
        samples, native = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
        spoken = audio.resample(samples, native, rate)
    spoken = np.pad(spoken, (rate // 10, rate // 10))
    return np.round(np.clip(spoken, -1, 1) * 32767).astype(np.int16)


def _share(*key: str) -> float:
    """Hash a name to a number in [0, 1)."""
    return int.from_bytes(hashlib.sha256(" ".join(key).encode()).digest()[:6], "big") / 2**48
