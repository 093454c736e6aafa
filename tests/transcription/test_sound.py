"""Sound of any kind as mono at one rate."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr_topdown.transcription.sound import SoundReader, check_several, is_source

RATE = 8000


def tone(rate, seconds, frequency=440.0):
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def read(source, **options):
    return np.concatenate(list(SoundReader(RATE, **options).read(source)))


@pytest.fixture
def file(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(RATE, 2.5), RATE, subtype="FLOAT")
    return tmp_path / "a.wav"


def test_paths_open_files_and_arrays_are_the_same_sound(file):
    wanted = tone(RATE, 2.5)
    assert np.array_equal(read(file), wanted)
    assert np.array_equal(read(str(file)), wanted)
    with open(file, "rb") as opened:
        assert np.array_equal(read(opened), wanted)
    assert np.array_equal(read(io.BytesIO(file.read_bytes())), wanted)
    assert np.array_equal(read((wanted, RATE)), wanted)
    assert np.array_equal(read((wanted[:, None].tolist(), RATE)), wanted)
    integers = np.round(wanted * 32768).astype(np.int16)
    assert np.array_equal(read((integers, RATE)), integers / np.float32(32768))
    assert np.array_equal(read((integers.astype(np.int32) * 65536, RATE)), integers / np.float32(32768))
    unsigned = np.round(wanted * 128 + 128).astype(np.uint8)  # as in a WAV file of 8 bits
    assert np.abs(read((unsigned, RATE)) - wanted).max() <= 1 / 128


@pytest.mark.parametrize("block", [0.25, 1.0, 2.5, 30.0])
def test_blocks_make_no_difference(file, block):
    assert np.array_equal(read(file, block=block), tone(RATE, 2.5))


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
@pytest.mark.parametrize("block", [0.25, 30.0])
def test_another_rate_is_resampled(tmp_path, caplog, rate, block):
    soundfile.write(tmp_path / "a.wav", tone(rate, 2.5), rate, subtype="FLOAT")
    found = read(tmp_path / "a.wav", block=block)
    assert len(found) == pytest.approx(2.5 * RATE, abs=1)
    middle = slice(1000, -1000)
    assert np.abs(found[middle] - tone(RATE, 2.5)[: len(found)][middle]).max() < 2e-3
    assert caplog.messages == [
        f"{tmp_path}/a.wav: {rate} Hz, resampled to the model's {RATE} Hz (like all such sounds)"
    ]


def test_channels_are_mixed_or_chosen(tmp_path, caplog):
    left, right = tone(RATE, 1.0), tone(RATE, 1.0, 700.0)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    reader = SoundReader(RATE)
    for _ in range(2):
        assert np.concatenate(list(reader.read(tmp_path / "a.wav"))) == pytest.approx(
            (left + right) / 2, abs=1e-7
        )
    assert caplog.messages == [f"{tmp_path}/a.wav: 2 channels, mixed into one (like all such sounds)"]
    assert np.array_equal(read(tmp_path / "a.wav", channel=1), right)
    assert np.array_equal(read((np.stack([left, right], 1), RATE), channel=0), left)
    with pytest.raises(ValueError, match=r"a\.wav: the channel must be below 2, got 2"):
        read(tmp_path / "a.wav", channel=2)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (([], RATE), r"array: samples must be .* got \(0, 1\)"),
        ((np.zeros((2, 2, 2)), RATE), "array: samples must be"),
        (
            (tone(RATE, 1.0)[None], RATE),
            r"\(n, channels\), got \(1, 8000\), more channels .*: transpose them",
        ),
        (([[0.0], [0.0, 0.0]], RATE), "array: samples must be an array of numbers"),
        *(
            (
                (np.zeros(9), rate),
                f"array: the sampling rate must be a whole number of Hz above 0, got {rate}",
            )
            for rate in (0, -8000, 44100.7, np.nan, np.inf, None, True)
        ),
        ((np.zeros(9), "8000"), r"array: samples must come with their rate: \(samples, rate\)"),
        ((np.zeros(9), RATE // 65), "array: 123 Hz, and the model's rate is 8000 Hz: cannot resample"),
        (
            (np.zeros(9, np.int64), RATE),
            "array: samples must be floats in .* or int16, int32, uint8, got int64",
        ),
        (([0, 1000, -1000], RATE), "array: samples must be floats .*got int64"),
        (np.zeros(9), r"a sound must be a path, an open file or \(samples, rate\), got ndarray"),
        ((RATE, np.zeros(9)), r"array: samples must come with their rate: \(samples, rate\)"),
        ((np.array([0.0, np.nan]), RATE), "array: has samples that are not finite"),
        ((np.array([0.0, 30000.0]), RATE), "array: has float samples up to 30000, but full scale is 1"),
        (io.BytesIO(b"no sound"), "file object: cannot be decoded"),
        (io.BytesIO(b""), "file object: empty"),
        (io.StringIO("a.wav"), "file object: must be opened in binary mode"),
        (None, r"a sound must be .*, got NoneType"),
    ],
)
def test_what_is_no_sound_is_named(source, problem):
    with pytest.raises(ValueError, match=problem):
        read(source)


def test_a_rate_of_any_type_and_samples_of_any_library():
    samples = tone(RATE, 0.1)
    rates = (8000.0, np.int64(RATE), np.float32(RATE), np.array(RATE), torch.tensor(RATE))
    for source in ((samples, rate) for rate in rates):
        assert is_source(source)
        assert np.array_equal(read(source), samples)
    tensor = torch.from_numpy(samples)
    for given in (tensor, tensor.double(), tensor.clone().requires_grad_(), samples.astype(">f4")):
        assert np.array_equal(read((given, RATE)), samples)
    assert read((tensor.bfloat16(), RATE)) == pytest.approx(samples, abs=2e-3)
    assert np.array_equal(
        read(((samples * 32768).astype(">i2"), RATE)), read((tensor.mul(32768).short(), RATE))
    )


def test_what_is_one_sound_and_what_are_several():
    samples = tone(RATE, 0.1)
    for one in ("a.wav", Path("a.wav"), io.BytesIO(), (samples, None), (torch.zeros(9), RATE), ([0.0], RATE)):
        assert is_source(one)
    for several in (("a.wav", "b.wav"), [(samples, RATE)], [Path("a.wav")], (io.BytesIO(), io.BytesIO())):
        assert not is_source(several)
        check_several(several)
    for wrong in (samples, torch.zeros(9), b"RIFF", None, 3):
        with pytest.raises(ValueError, match=r"sounds must be a path, an open file or \(samples, rate\), or"):
            check_several(wrong)


def test_nothing_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for source in ("touch x; cat a.wav |", "touch x |"):
        with pytest.raises((FileNotFoundError, ValueError)):
            read(source)
    assert not (tmp_path / "x").exists()


def test_what_is_wrong_with_a_file_and_does_not_matter_is_logged(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    soundfile.write(tmp_path / "a.wav", tone(RATE, 1.0), RATE)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-4000])
    assert len(read(tmp_path / "a.wav")) == RATE - 2000
    (line,) = caplog.messages
    assert line.startswith(f"{tmp_path}/a.wav: ")
