import shutil

import numpy as np
import pytest

from asr_topdown import audio
from asr_topdown.audio import Clip
from asr_topdown.corpora.fake import shorten, speech, sphere

RATE = 16000


def noise(length, level=6000, channels=None, seed=0):
    shape = length if channels is None else (length, channels)
    values = np.random.default_rng(seed).standard_normal(shape) * level
    return np.clip(np.round(values), -32768, 32767).astype(np.int16)


SOUNDS = {
    "noise": noise(2000),
    "loud": noise(1500, 60000),
    "silence": np.zeros(1000, np.int16),
    "extremes": np.array([-32768, 32767] * 300, np.int16),
    "one sample": np.array([-5], np.int16),
    "one block": noise(256),
    "two channels": noise(1000, channels=2),
    "tones": speech.say("some words", engine="tones", rate=RATE),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", SOUNDS)
def test_pcm_comes_back_exactly(tmp_path, name, compressed):
    samples = SOUNDS[name]
    sphere.write(tmp_path / "a.sph", samples, RATE, compressed=compressed)
    for channel, column in enumerate(samples.reshape(len(samples), -1).T):
        read, rate = audio.read(Clip(str(tmp_path / "a.sph"), channel=channel))
        assert rate == RATE
        np.testing.assert_array_equal(read, column.astype(np.float32) / 32768)


@pytest.mark.parametrize("compressed", [False, True])
def test_every_ulaw_code_comes_back(tmp_path, compressed):
    linear = np.unique(np.round(np.linspace(-32768, 32767, 4001)).astype(np.int16))
    stereo = np.stack((linear, linear[::-1]), axis=1)
    path = tmp_path / "a.sph"
    sphere.write(path, stereo, 8000, coding="ulaw", compressed=compressed)
    read, _ = audio.read(Clip(str(path), channel=1))
    # G.711: half a step, which grows with the size that 132 is added to; it clips 644 below the largest
    error = np.abs(32768 * read - linear[::-1])
    assert np.all(error <= (np.abs(linear[::-1].astype(int)) + 132) / 32)
    # what can be written in µ-law is written without loss
    again = np.round(32768 * read).astype(np.int16)
    np.testing.assert_array_equal(sphere.to_ulaw(again), sphere.to_ulaw(linear[::-1]))


def test_all_256_ulaw_codes_survive_shorten(tmp_path):
    codes = np.arange(256, dtype=np.uint8)
    fields = {"sample_count": 256, "sample_rate": 8000, "channel_count": 1, "sample_n_bytes": 1}
    for coding, data in (("ulaw", codes.tobytes()), ("ulaw,embedded-shorten-v2.00", shorten.encode(codes))):
        header = sphere.header({**fields, "sample_byte_format": "1", "sample_coding": coding})
        (tmp_path / coding).write_bytes(header + data)
    plain, packed = (audio.read(Clip(str(path)))[0] for path in sorted(tmp_path.iterdir()))
    np.testing.assert_array_equal(plain, packed)
    assert len(np.unique(plain)) == 255  # two zeros


def test_shorten_compresses_what_is_smooth():
    samples = (8000 * np.sin(np.arange(16000) / 40)).astype(np.int16)
    assert len(shorten.encode(samples)) < 0.35 * samples.nbytes


def test_shorten_refuses_other_types():
    with pytest.raises(ValueError, match="got float64"):
        shorten.encode(np.zeros(3))


def test_the_header_tells_everything():
    text = sphere.encode(
        noise(100, channels=2), 8000, coding="ulaw", compressed=True, fields={"speaker_id": "01i"}
    )
    lines = text[:1024].decode().rstrip().split("\n")
    assert lines[:3] == ["NIST_1A", "   1024", "speaker_id -s3 01i"]
    assert "sample_coding -s27 ulaw,embedded-shorten-v2.00" in lines
    assert "channel_count -i 2" in lines
    assert lines[-1] == "end_head"


def test_speech_is_the_same_each_time_and_differs_between_speakers():
    first, again, other = (speech.say("a word", speaker=s, engine="tones") for s in ("1", "1", "2"))
    np.testing.assert_array_equal(first, again)
    assert len(first) == len(other) == 8 * 0.07 * 16000
    assert np.any(first != other)


def test_each_letter_has_its_own_tone():
    peaks = set()
    for letter in "abcdefghijklmnopqrstuvwxyz":
        sound = speech.say(letter, rate=8000, engine="tones", seconds_each=0.2)
        spectrum = np.abs(np.fft.rfft(sound))
        peaks.add(int(np.argmax(spectrum) * 8000 / len(sound)))
    gaps = np.diff(sorted(peaks))
    assert len(peaks) == 26
    assert gaps.min() > 90
    assert max(peaks) < 3400


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng")
@pytest.mark.parametrize("rate", [8000, 16000])
def test_espeak_speaks(rate):
    spoken = speech.say("seven words are spoken here by somebody", speaker="01i", rate=rate)
    assert spoken.dtype == np.int16
    assert 1.5 < len(spoken) / rate < 6
    assert np.abs(spoken).max() > 3000
    assert len(speech.say("", rate=rate)) > 0
