import math
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown import audio
from asr_topdown.audio import Clip

RATE = 8000
NAN, INF = math.nan, math.inf


def samples16(length: int = 2000, seed: int = 0) -> np.ndarray:
    """Noise that starts and ends softly, 16 bits."""
    noise = np.random.default_rng(seed).standard_normal(length)
    return np.round(6000 * noise * np.hanning(length)).astype(np.int16)


def as_float(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / 32768


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    soundfile.write(path, samples16(), RATE, subtype="PCM_16")
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_sixteen_bits_are_read_exactly(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, samples16(), RATE, subtype="PCM_16")
    samples, rate = audio.read(Clip(str(path)))
    assert (rate, samples.dtype, samples.flags.c_contiguous) == (RATE, np.float32, True)
    np.testing.assert_array_equal(samples, as_float(samples16()))


def test_real_recordings_read_as_by_the_standard_library(fsdd_dir: Path) -> None:
    paths = sorted(fsdd_dir.glob("*.wav"))[::100]
    for path in paths:
        with wave.open(str(path)) as opened:
            expected = np.frombuffer(opened.readframes(opened.getnframes()), "<i2")
            rate = opened.getframerate()
        samples, got = audio.read(Clip(str(path)))
        assert got == rate
        np.testing.assert_array_equal(samples, as_float(expected))


def test_wav_files_in_an_archive_are_read(wav: Path, tmp_path: Path) -> None:
    """As `wav-copy scp:wav.scp ark,scp:x.ark,x.scp` writes them: each behind its key."""
    soundfile.write(tmp_path / "b.wav", samples16(1000, seed=1), RATE, subtype="PCM_16")
    first, second = b"u1 " + wav.read_bytes(), b"u2 " + (tmp_path / "b.wav").read_bytes()
    ark = tmp_path / "x.ark"
    ark.write_bytes(first + second)
    for offset, expected in ((3, samples16()), (len(first) + 3, samples16(1000, seed=1))):
        source = f"{ark}:{offset}"
        remarks: list[str] = []
        samples, rate = audio.read(Clip(source), remark=remarks.append)
        np.testing.assert_array_equal(samples, as_float(expected))
        assert (rate, remarks, audio.num_channels(source)) == (RATE, [], 1)
        assert audio.header_seconds(source) == len(expected) / RATE
        assert audio.file_of(source) == ark
    for offset in (0, 4, 10**6):
        with pytest.raises(ValueError, match=rf"x\.ark:{offset}: no wav file begins there"):
            audio.read(Clip(f"{ark}:{offset}"))
    with pytest.raises(FileNotFoundError, match=r"y\.ark:3: no such file"):
        audio.read(Clip(f"{tmp_path}/y.ark:3"))
    ark.write_bytes(first + second[:-200])
    remarks = []
    assert len(audio.read(Clip(f"{ark}:{len(first) + 3}"), remark=remarks.append)[0]) == 900
    assert remarks == [f"{ark}:{len(first) + 3}: truncated: 1800 of 2000 bytes of sound"]
    ark.rename(tmp_path / "a:3")  # a file whose name looks like a place
    (tmp_path / "a:3").write_bytes(wav.read_bytes())
    assert len(audio.read(Clip(f"{tmp_path}/a:3"))[0]) == 2000


def test_a_stream_of_unknown_length_is_read(wav: Path, tmp_path: Path) -> None:
    data = wav.read_bytes()
    stream = tmp_path / "stream.wav"
    stream.write_bytes(data[:4] + b"\xff\xff\xff\xff" + data[8:40] + b"\xff\xff\xff\xff" + data[44:])
    for source in (str(stream), f"cat {stream} |"):
        np.testing.assert_array_equal(audio.read(Clip(source), pipes=True)[0], as_float(samples16()))


def test_a_pipe_goes_through_the_shell(wav: Path) -> None:
    samples, rate = audio.read(Clip(f"X={wav}; cat $X | cat |"), pipes=True)
    assert rate == RATE
    np.testing.assert_array_equal(samples, as_float(samples16()))


def test_segments_of_one_pipe_run_it_once(wav: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    source = f"echo >> {runs}; cat {wav} |"
    for start in (0.0, 0.05, 0.1):
        samples, _ = audio.read(Clip(source, start=start, end=start + 0.05), pipes=True)
        first = round(start * RATE)
        np.testing.assert_array_equal(samples, as_float(samples16())[first : first + 400])
    assert runs.read_text() == "\n"


@pytest.mark.parametrize(
    ("command", "status", "last"),
    [
        ("echo first >&2; echo the reason >&2; exit 3", 3, "the reason"),
        ("no-such-program-x", 127, "not found"),
        ("exit 2", 2, "no error message"),
    ],
)
def test_a_failing_command_is_told_with_its_last_line(command: str, status: int, last: str) -> None:
    with pytest.raises(OSError, match=f"exit status {status}: .*{last}") as caught:
        audio.read(Clip(f"{command} |"), pipes=True)
    assert str(caught.value).startswith(f"{command} |: ")
    assert "\n" not in str(caught.value)


def test_a_silent_command_is_an_error() -> None:
    with pytest.raises(OSError, match=r"true \|: the command wrote nothing"):
        audio.read(Clip("true |"), pipes=True)


@pytest.mark.parametrize("call", [audio.read, audio.info])
def test_no_command_runs_unless_that_is_asked_for(
    call: Callable[[Clip], object], wav: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "executed"
    for source in (f"touch {trap}; cat {wav} |", f"touch {trap}; cat {wav} |  ", f"| touch {trap}"):
        with pytest.raises(FileNotFoundError, match="no such file") as raised:
            call(Clip(source))
        is_command = source.rstrip().endswith("|")
        assert (
            str(raised.value).endswith("(commands are run by `features` and `align --pipes` only)")
            == is_command
        )
    assert not trap.exists()


def test_a_segment_is_a_slice(wav: Path) -> None:
    whole, _ = audio.read(Clip(str(wav)))
    part, _ = audio.read(Clip(str(wav), start=0.05, end=0.2))
    np.testing.assert_array_equal(part, whole[400:1600])
    rest, _ = audio.read(Clip(str(wav), start=0.2))
    np.testing.assert_array_equal(rest, whole[1600:])


@pytest.mark.parametrize("end", [0.26, 0.35, 0.75])
def test_an_end_behind_the_sound_is_cut_and_told(wav: Path, end: float) -> None:
    clip, told = Clip(str(wav), start=0.1, end=end), list[str]()
    assert len(audio.read(clip, remark=told.append)[0]) == 2000 - 800
    assert told == [f"{wav}: cut a clip that ends at {end:g} s, the sound lasts 0.250 s"]
    assert audio.info(clip) == (RATE, 1200)


def test_remarks_go_to_the_log_where_nobody_else_takes_them(
    wav: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audio.read(Clip(str(wav), end=0.3))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cut a clip" in caplog.text


@pytest.mark.parametrize(
    ("start", "end"),
    [(0.0, 0.76), (0.3, None), (0.25, None), (0.3, 0.4), (9.0, 10.0), (0, 1e308), (1e308, 1.7e308), (0, INF)],
)
def test_a_segment_behind_the_sound_has_no_sound(wav: Path, start: float, end: float | None) -> None:
    with pytest.raises(audio.NoSoundError, match=r"a\.wav: a clip .*lasts 0\.250 s"):
        audio.read(Clip(str(wav), start=start, end=end))


@pytest.mark.parametrize(
    ("start", "end"),
    [(0.1, 0.1), (0.2, 0.1), (-0.1, 0.2), (NAN, 0.1), (0.1, NAN), (-INF, 0.1), (INF, INF), (INF, None)],
)
def test_a_segment_that_cannot_be_is_an_error(wav: Path, start: float, end: float) -> None:
    with pytest.raises(ValueError, match=r"a\.wav: a clip .*lasts 0\.250 s") as caught:
        audio.read(Clip(str(wav), start=start, end=end))
    assert not isinstance(caught.value, audio.NoSoundError)


def test_a_channel_must_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "two.wav"
    stereo = np.stack((samples16(1000, 1), samples16(1000, 2)), axis=1)
    soundfile.write(path, stereo, RATE, subtype="PCM_16")
    for channel in (0, 1):
        samples, _ = audio.read(Clip(str(path), channel=channel))
        np.testing.assert_array_equal(samples, as_float(stereo[:, channel]))
    for call in (audio.read, audio.info):
        with pytest.raises(
            ValueError, match=r"two\.wav: has 2 channels, choose one: .*channel=0.*reco2file_and_channel"
        ):
            call(Clip(str(path)))
        with pytest.raises(ValueError, match=r"two\.wav: the channel must be below 2, got 2"):
            call(Clip(str(path), channel=2))


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.25])
def test_speed_divides_the_duration_and_multiplies_the_pitch(factor: float, tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    tone = 0.5 * np.sin(2 * math.pi * 440 * np.arange(RATE) / RATE)
    soundfile.write(path, tone, RATE, subtype="FLOAT")
    samples, rate = audio.read(Clip(str(path), speed=factor))
    assert rate == RATE
    assert len(samples) == round(RATE / factor)
    expected = 0.5 * np.sin(2 * math.pi * 440 * factor * np.arange(len(samples)) / RATE)
    inner = slice(500, -500)  # the ends ring: there is silence beyond them
    assert np.abs(samples - expected)[inner].max() < 1e-3


@given(st.integers(1, 5000), st.floats(0.5, 2.0))
def test_speed_gives_the_length_that_info_tells(length: int, factor: float) -> None:
    faster = audio.change_speed(np.zeros(length, np.float32), RATE, factor)
    assert len(faster) == round(length / factor)


def test_info_tells_what_read_gives(wav: Path) -> None:
    for clip in (
        Clip(str(wav)),
        Clip(str(wav), start=0.03, end=0.1),
        Clip(str(wav), start=0.03, speed=0.9),
        Clip(f"cat {wav} |", speed=1.1),
    ):
        samples, rate = audio.read(clip, pipes=True)
        assert audio.info(clip, pipes=True) == (rate, len(samples))


def test_resampling_keeps_the_tone() -> None:
    tone = np.sin(2 * math.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
    doubled = audio.resample(tone, RATE, 2 * RATE)
    expected = np.sin(2 * math.pi * 440 * np.arange(2 * RATE) / (2 * RATE))
    assert np.abs(doubled - expected)[1000:-1000].max() < 1e-3
    assert audio.resample(tone, RATE, RATE) is tone


def cut(path: Path, kind: str, keep: int) -> None:
    soundfile.write(path, samples16(), RATE, format=kind, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:keep])


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty file": (lambda path: path.write_bytes(b""), "empty file"),
    "text": (
        lambda path: path.write_text("this is no sound\n" * 9),
        "cannot be decoded: Format not recognised",
    ),
    "wav header only": (lambda path: cut(path, "WAV", 30), "cannot be decoded"),
    "flac header only": (lambda path: cut(path, "FLAC", 100), "cannot be decoded"),
    "no samples": (lambda path: soundfile.write(path, np.zeros(0), RATE, format="WAV"), "has no samples"),
    "NaN": (
        lambda path: soundfile.write(path, np.array([0, np.nan, 0]), RATE, format="WAV", subtype="FLOAT"),
        "not finite",
    ),
    "integers as floats": (
        lambda path: soundfile.write(path, samples16().astype(np.float32), RATE, subtype="FLOAT"),
        r"samples up to \d+, but full scale is 1: store integers",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_that_names_the_file(fault: str, tmp_path: Path) -> None:
    make, message = FAULTS[fault]
    path = tmp_path / "bad.wav"
    make(path)
    with pytest.raises(ValueError, match=rf"bad\.wav: .*{message}") as caught:
        audio.read(Clip(str(path)))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere/x\.wav: no such file"):
        audio.read(Clip("nowhere/x.wav"))


@pytest.mark.parametrize("factor", [1e-300, 5e-324, 1e300, 0.001, 100.0])
def test_factors_that_nobody_means_are_refused(factor: float, wav: Path) -> None:
    for clip in (Clip(str(wav), speed=factor), Clip(str(wav), rate=int(min(factor * RATE, 1e12)) or 1)):
        for call in (audio.read, audio.info):
            with pytest.raises(ValueError, match=r"a\.wav: cannot resample by a factor of"):
                call(clip)
