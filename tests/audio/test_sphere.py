"""NIST SPHERE in all codings, written by the public descriptions and read back exactly."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_topdown import audio
from asr_topdown.audio import Clip
from asr_topdown.corpora.fake import shorten
from asr_topdown.corpora.fake import sphere as fake

RATE = 8000


def samples16(length: int = 2000, seed: int = 0) -> np.ndarray:
    """Noise that starts and ends softly, 16 bits."""
    noise = np.random.default_rng(seed).standard_normal(length)
    return np.round(6000 * noise * np.hanning(length)).astype(np.int16)


def as_float(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / 32768


def sphere(
    data: bytes,
    count: int,
    *,
    coding: str = "pcm",
    order: str = "01",
    channels: int = 1,
    size: int = 1024,
) -> bytes:
    """A SPHERE file as the NIST documentation describes it."""
    fields = {
        "database_id": "test",
        "sample_count": count,
        "sample_rate": RATE,
        "channel_count": channels,
        "sample_n_bytes": len(order),
        "sample_byte_format": order,
        "sample_coding": coding,
    }
    return fake.header(fields, size) + data


def ulaw(codes: np.ndarray) -> np.ndarray:
    """ITU-T G.711 µ-law bytes as 16-bit samples."""
    flipped = ~codes.astype(int) & 0xFF
    size = ((((flipped & 15) << 3) + 132) << ((flipped >> 4) & 7)) - 132
    return np.where(flipped & 128, -size, size).astype(np.int16)


def alaw(codes: np.ndarray) -> np.ndarray:
    """ITU-T G.711 A-law bytes as 16-bit samples."""
    flipped = codes.astype(int) ^ 0x55
    exponent, mantissa = (flipped >> 4) & 7, flipped & 15
    size = np.where(
        exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0)
    )
    return np.where(flipped & 128, size, -size).astype(np.int16)


PCM = samples16(1000)
STEREO = np.stack((samples16(1000, 1), samples16(1000, 2)), axis=1)
CODES = np.random.default_rng(3).integers(0, 256, 1000).astype(np.uint8)
SPHERES = {
    "little endian": (sphere(PCM.astype("<i2").tobytes(), 1000), PCM, None),
    "big endian": (sphere(PCM.astype(">i2").tobytes(), 1000, order="10"), PCM, None),
    "header of 2048": (sphere(PCM.astype("<i2").tobytes(), 1000, size=2048), PCM, None),
    "more behind": (sphere(PCM.astype("<i2").tobytes() + b"xxxx" * 50, 1000), PCM, None),
    "u-law": (sphere(CODES.tobytes(), 1000, coding="ulaw", order="1"), ulaw(CODES), None),
    "mu-law": (sphere(CODES.tobytes(), 1000, coding="mu-law", order="1"), ulaw(CODES), None),
    "A-law": (sphere(CODES.tobytes(), 1000, coding="alaw", order="1"), alaw(CODES), None),
    "second channel": (sphere(STEREO.astype("<i2").tobytes(), 1000, channels=2), STEREO[:, 1], 1),
    "shorten": (
        sphere(shorten.encode(PCM), 1000, coding="pcm,embedded-shorten-v2.00"),
        PCM,
        None,
    ),
    "shorten, second channel": (
        sphere(shorten.encode(STEREO), 1000, coding="pcm,embedded-shorten-v2.00", channels=2),
        STEREO[:, 1],
        1,
    ),
    "shorten u-law": (
        sphere(shorten.encode(CODES), 1000, coding="ulaw,embedded-shorten-v2.00", order="1"),
        ulaw(CODES),
        None,
    ),
}


@pytest.mark.parametrize("name", SPHERES)
def test_sphere_is_read_exactly(name: str, tmp_path: Path) -> None:
    data, expected, channel = SPHERES[name]
    path = tmp_path / "a.sph"
    path.write_bytes(data)
    for source in (str(path), f"cat {path} |"):
        clip = Clip(source, channel=channel)
        samples, rate = audio.read(clip, pipes=True)
        assert rate == RATE
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, as_float(expected))
        assert audio.info(clip, pipes=True) == (RATE, 1000)
    assert audio.header_seconds(str(path)) == 1000 / RATE


@pytest.mark.parametrize("name", ["little endian", "u-law", "second channel", "shorten", "shorten u-law"])
def test_truncated_sphere_is_read_as_far_as_it_goes(name: str, tmp_path: Path) -> None:
    data, expected, channel = SPHERES[name]
    path, told = tmp_path / "cut.sph", list[str]()
    path.write_bytes(data[:-200])
    samples, _ = audio.read(Clip(str(path), channel=channel), remark=told.append)
    assert 500 < len(samples) < 1000
    np.testing.assert_array_equal(samples, as_float(expected)[: len(samples)])
    (line,) = told
    assert line.startswith(f"{path}: truncated: {len(samples)} of 1000 samples")


def test_a_sample_count_that_is_too_large_is_told(tmp_path: Path) -> None:
    path, told = tmp_path / "a.sph", list[str]()
    path.write_bytes(sphere(shorten.encode(PCM), 1234, coding="pcm,embedded-shorten-v2.00"))
    assert len(audio.read(Clip(str(path)), remark=told.append)[0]) == 1000
    assert told == [f"{path}: truncated: 1000 of 1234 samples"]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("count", [5, 499, 500])
def test_a_sample_count_that_is_too_small_is_told(compressed: bool, count: int, tmp_path: Path) -> None:
    """A few samples more may be padding; they are no fault."""
    samples, path, told = samples16(1524), tmp_path / "a.sph", list[str]()
    coding, data = "pcm", samples.astype("<i2").tobytes()
    if compressed:
        coding, data = "pcm,embedded-shorten-v2.00", shorten.encode(samples)
    path.write_bytes(sphere(data, count, coding=coding))
    read, _ = audio.read(Clip(str(path)), remark=told.append)
    np.testing.assert_array_equal(read, as_float(samples)[:count])
    assert told == [f"{path}: its header says {count} samples, 1524 are there"] * (count < 500)


@pytest.mark.parametrize("name", ["little endian", "big endian", "u-law", "shorten", "shorten u-law"])
def test_a_checksum_that_differs_is_told(name: str, tmp_path: Path) -> None:
    data, expected, _ = SPHERES[name]
    stored = CODES if "u-law" in name else expected
    for wrong in (0, 1):
        total = (int(stored.astype(np.int64).sum()) + wrong) & 0xFFFF
        path, told = tmp_path / "a.sph", list[str]()
        path.write_bytes(data.replace(b"end_head\n", b"sample_checksum -i %d\nend_head\n" % total)[:1024])
        header = path.read_bytes().rstrip(b" ").ljust(1024)
        path.write_bytes(header + data[1024:])
        np.testing.assert_array_equal(audio.read(Clip(str(path)), remark=told.append)[0], as_float(expected))
        assert len(told) == wrong
        assert all("differ from the header's sample_checksum" in line for line in told)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"sample_byte_format": "1"}, "2 bytes per sample in the order '1'"),
        ({"sample_byte_format": "0"}, "2 bytes per sample in the order '0'"),
        ({"channel_count": 2, "channels_interleaved": "FALSE"}, "channels_interleaved"),
    ],
)
def test_what_would_be_noise_is_refused(fields: dict[str, int | str], problem: str, tmp_path: Path) -> None:
    """Orders of the wrong length, and channels one after the other."""
    known = {"sample_count": 500, "sample_rate": RATE, "sample_n_bytes": 2, "sample_byte_format": "01"}
    (tmp_path / "a.sph").write_bytes(fake.header(known | fields, 1024) + PCM.tobytes())
    with pytest.raises(ValueError, match=problem):
        audio.read(Clip(str(tmp_path / "a.sph"), channel=0))


def test_sphere_without_an_end_of_header_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.sph"
    path.write_bytes(b"NIST_1A\n   1024\nsample_count -i 7\n")
    with pytest.raises(ValueError, match=r"a\.sph: cannot be decoded: damaged SPHERE header"):
        audio.read(Clip(str(path)))


def test_sph2pipe_reads_what_nothing_else_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wav = tmp_path / "a.wav"
    soundfile.write(wav, samples16(), RATE, subtype="PCM_16")
    path = tmp_path / "old.sph"
    path.write_bytes(sphere(b"ajkg\x00", 2000, coding="pcm,embedded-shorten-v0.90"))
    with pytest.raises(
        ValueError, match=r"old\.sph: cannot be decoded: the shorten version must be 1 or 2, got 0"
    ):
        audio.read(Clip(str(path)))
    program = tmp_path / "bin" / "sph2pipe"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "-f wav -p" ] && [ -f "$4" ] && cat {wav}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    np.testing.assert_array_equal(audio.read(Clip(str(path)))[0], as_float(samples16()))
