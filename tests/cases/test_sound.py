"""Sound with a wrong header, sound in rare codings, and a bad file among good ones."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_topdown import audio
from asr_topdown.audio import Clip
from asr_topdown.corpora.fake import shorten, sphere

from .conftest import RATE, Command, data_dir, noise, sound, table


def features_of(path: Path | str, config: Path, command: Command, *more: str) -> tuple[int, str, int]:
    """Exit code, warnings, and frames of a recording."""
    folder = data_dir(config.parent / "set", {"a": path}, text="a one\n")
    said = command("features", folder, "--config", config, "--nj", "1", *more)
    frames = int(table(folder / "utt2num_frames")["a"]) if said.code == 0 else 0
    return said.code, said.err, frames


def longer(path: Path, promised: int) -> Path:
    """A wav whose header gives a wrong length."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 40, promised)
    path.write_bytes(data)
    return path


PROMISES = {
    "the case: 726 bytes more than follow": (16726, "of 16726 bytes of sound"),
    "a gigabyte more": (1 << 30, f"of {1 << 30} bytes of sound"),
    "a length of 0, of a stream": (0, "its header gives no length"),
    "the largest length, of a stream": (0xFFFFFFFF, ""),
}


@pytest.mark.parametrize("name", PROMISES)
def test_a_wrong_length_in_a_wav(name: str, config: Path, tmp_path: Path, command: Command) -> None:
    promised, warning = PROMISES[name]
    path = longer(sound(tmp_path / "a.wav"), promised)
    code, said, frames = features_of(path, config, command)
    assert (code, frames) == (0, 98)
    assert warning in said
    assert ("warning: " in said) == bool(warning)
    if warning:
        assert f"{path}: " in said
        assert features_of(path, config, command, "--strict")[0] == 1


@pytest.mark.parametrize("kind", ["W64", "RF64", "AIFF", "AU", "CAF", "FLAC"])
def test_a_file_that_breaks_off(kind: str, config: Path, tmp_path: Path, command: Command) -> None:
    path = sound(tmp_path / "a.snd", format=kind, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:9000])
    code, said, frames = features_of(path, config, command)
    assert code == 0
    assert 20 < frames < 60
    assert f"warning: {config.parent / 'set'}: 1 remarks on the sound" in said
    assert f"{path}: " in said


CODINGS = {
    "the case: GSM": ("WAV", "GSM610"),
    "IMA ADPCM": ("WAV", "IMA_ADPCM"),
    "A-law": ("WAV", "ALAW"),
    "24 bits": ("WAV", "PCM_24"),
    "opus": ("OGG", "OPUS"),
}


@pytest.mark.parametrize("name", CODINGS)
def test_every_coding_is_read_without_a_warning(
    name: str, config: Path, tmp_path: Path, command: Command
) -> None:
    kind, subtype = CODINGS[name]
    path = sound(tmp_path / "a.snd", format=kind, subtype=subtype)
    code, said, frames = features_of(path, config, command)
    assert (code, "warning" in said) == (0, False)
    assert 98 <= frames <= 102


@pytest.mark.parametrize("scale", [1.0, 100.0, 32768.0])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_integers_stored_as_floats_are_refused(
    scale: float, subtype: str, config: Path, model: Path, tmp_path: Path, command: Command
) -> None:
    """The case has a scale of 32768."""
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(1.0) / 32768 * scale, RATE, subtype=subtype)
    code, said, _ = features_of(path, config, command)
    assert code == int(scale > 1)
    if scale > 1:
        assert f"{path}: has float samples up to" in said
        assert f"{path}: has float samples up to" in command("transcribe", model, path).err


SHIFTED = np.array([8, 5, 5, 7, 18, -6, -8, 14], np.int16)


@pytest.mark.parametrize("block", [4, 8, 16])
@pytest.mark.parametrize("kind", ["the case", "two channels", "means that follow a shift", "u-law"])
def test_shorten_with_bit_shifts(kind: str, block: int, tmp_path: Path) -> None:
    samples = {
        "the case": SHIFTED,
        "two channels": np.stack((np.tile(SHIFTED, 9), 2 * np.tile(SHIFTED, 9)), axis=1),
        "means that follow a shift": np.concatenate(
            [(noise(0.01, n) >> n << n) + (1 << n) for n in range(9)]
        ),
        "u-law": np.concatenate([noise(0.01, n) >> n << n for n in range(9)]),
    }[kind]
    coding, stored = ("ulaw", sphere.to_ulaw(samples)) if kind == "u-law" else ("pcm", samples)
    head = sphere.encode(samples, RATE, coding=coding, compressed=True)[: sphere.HEADER_BYTES]
    path, told = tmp_path / "a.sph", list[str]()
    path.write_bytes(head + shorten.encode(stored, block=block, orders=(0,)))
    (tmp_path / "plain.sph").write_bytes(sphere.encode(samples, RATE, coding=coding))
    for channel in range(samples.ndim):
        clips = [Clip(str(tmp_path / name), channel=channel) for name in ("a.sph", "plain.sph")]
        (compressed, _), (plain, _) = (audio.read(clip, remark=told.append) for clip in clips)
        np.testing.assert_array_equal(compressed, plain)
    assert told == []


BAD = {
    "the case: too short": lambda path: sound(path, 0.01),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no sound\n" * 99),
    "missing": lambda _: None,
    "a command": lambda _: None,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_costs_a_line_only(name: str, model: Path, tmp_path: Path, command: Command) -> None:
    good = [sound(tmp_path / f"good{n}.wav", seed=n) for n in range(2)]
    bad = tmp_path / "bad.wav"
    BAD[name](bad)
    source = f"touch {tmp_path / 'executed'}; cat {good[0]} |" if name == "a command" else str(bad)
    said = command("transcribe", model, good[0], source, good[1])
    assert said.code == 1
    assert [line.split(": ")[0] for line in said.out.splitlines()] == [str(path) for path in good]
    assert source in said.err
    assert not (tmp_path / "executed").exists()
