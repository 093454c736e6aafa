"""One channel of a stereo file (reco2file_and_channel), and sound resampled (sample_rate)."""

import numpy as np
import pytest
import soundfile

from asr_topdown import audio, datadir
from asr_topdown.datadir import DataDir, Side
from asr_topdown.features.dump import dump
from asr_topdown.features.fbank_options import FbankOptions


@pytest.fixture
def call(tmp_path):
    """A call: half a second of two channels, +0.25 and -0.5, and a directory with a recording for each."""
    wav = tmp_path / "call.wav"
    soundfile.write(wav, np.tile([0.25, -0.5], (4000, 1)), 8000)
    data = DataDir(
        path=tmp_path / "data",
        wavs={"call-A": str(wav), "call-B": str(wav)},
        text={"call-A_1": "one", "call-B_1": "two"},
        utt2spk={"call-A_1": "call-A", "call-B_1": "call-B"},
        segments={"call-A_1": ("call-A", 0.0, 0.25), "call-B_1": ("call-B", 0.1, 0.5)},
        sides={"call-A": Side("call", "A"), "call-B": Side("call", "B")},
    )
    datadir.write(data)
    return data


def test_each_recording_is_its_channel(call):
    datadir.validate(call.path)
    clips = datadir.read(call.path).clips()
    assert (call.path / "reco2file_and_channel").read_text() == "call-A call A\ncall-B call B\n"
    assert [clip.channel for clip in clips.values()] == [0, 1]
    first, rate = audio.read(clips["call-A_1"])
    assert (len(first), rate, first.max()) == (2000, 8000, 0.25)
    second, _ = audio.read(clips["call-B_1"])
    assert (len(second), second.min()) == (3200, -0.5)


def test_kaldi_commands_and_mono_files_have_one_channel(call, tmp_path):
    mono = tmp_path / "mono.wav"
    soundfile.write(mono, np.full(4000, 0.1), 8000)
    changed = dict(call.wavs) | {"call-A": f"cat {mono} |", "call-B": str(mono)}
    clips = DataDir(**{**vars(call), "wavs": changed}).clips()
    assert [clip.channel for clip in clips.values()] == [None, None]
    assert all(
        audio.read(clip, pipes=True)[0].max() == pytest.approx(0.1, abs=1e-4) for clip in clips.values()
    )


def test_without_the_table_a_stereo_file_is_an_error(call):
    (call.path / "reco2file_and_channel").unlink()
    with pytest.raises(ValueError, match="has 2 channels, choose one"):
        audio.read(datadir.read(call.path).clips()["call-A_1"])


@pytest.mark.parametrize(("line", "fields"), [("call-A call", 2), ("call-A call A 1", 4)])
def test_a_line_has_three_fields(call, line, fields):
    (call.path / "reco2file_and_channel").write_text(f"{line}\ncall-B call B\n")
    with pytest.raises(ValueError, match=rf"reco2file_and_channel:1: call-A: needs 3 fields .*has {fields}"):
        datadir.validate(call.path)


def test_subset_combine_and_speed_keep_the_side(call, tmp_path):
    part = datadir.subset(call, ["call-B_1"], tmp_path / "part")
    assert part.sides == {"call-B": Side("call", "B")}
    other = datadir.subset(call, ["call-A_1"], tmp_path / "part")
    assert datadir.combine([part, other], call.path) == call
    fast = datadir.speed_perturb(call, [0.9, 1.0], tmp_path / "fast").clips()
    assert (fast["sp0.9-call-B_1"].channel, fast["sp0.9-call-B_1"].speed) == (1, 0.9)


def test_sound_is_resampled(call, tmp_path):
    wide = DataDir(**{**vars(call), "sample_rate": 16000})
    datadir.write(wide)
    datadir.validate(wide.path)
    clip = datadir.read(wide.path).clips()["call-B_1"]
    samples, rate = audio.read(clip)
    assert (len(samples), rate) == (6400, 16000) == audio.info(clip)[::-1]
    assert samples[1000:-1000] == pytest.approx(-0.5, abs=1e-3)
    done = dump(wide.clips(), wide.path, fbank=FbankOptions(sample_rate=16000))
    assert done.utterances == 2
    with pytest.raises(ValueError, match="different sample_rate files"):
        datadir.combine([wide, call], tmp_path / "both")


def test_upsampled_sound_keeps_its_frequency():
    time = np.arange(8000) / 8000
    wide = audio.resample(np.sin(2 * np.pi * 1000 * time).astype(np.float32), 8000, 16000)
    expected = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    assert len(wide) == 16000
    assert np.abs(wide - expected)[200:-200].max() < 1e-3


def test_a_wrong_rate_is_an_error(call):
    (call.path / "sample_rate").write_text("16 kHz\n")
    with pytest.raises(ValueError, match="sample_rate: needs a whole number above 0, got '16 kHz'"):
        datadir.validate(call.path)


def test_removed_when_it_is_no_longer_wanted(call):
    datadir.write(DataDir(**{**vars(call), "sample_rate": 16000}))
    datadir.write(call)
    assert not (call.path / "sample_rate").exists()


def test_features_keep_their_key_where_nothing_is_resampled(call, tmp_path):
    """The key of features made before there was a rate: they must not be computed again."""
    clips = {"a": audio.Clip(call.wavs["call-A"], 0.0, 0.25, 0)}
    dump(clips, tmp_path / "x", fbank=FbankOptions(sample_rate=8000, num_mels=20))
    assert not dump(clips, tmp_path / "x", fbank=FbankOptions(sample_rate=8000, num_mels=20)).fresh
    resampled = {"a": clips["a"]._replace(rate=8000)}
    assert dump(resampled, tmp_path / "x", fbank=FbankOptions(sample_rate=8000, num_mels=20)).fresh


def test_channels_are_counted_from_the_header(tmp_path):
    fields = b"sample_count -i 8\nsample_rate -i 8000\nchannel_count -i 2\n"
    (tmp_path / "a.sph").write_bytes(b"NIST_1A\n   1024\n" + fields + b"end_head\n")
    assert audio.num_channels(str(tmp_path / "a.sph")) == 2
    with pytest.raises(FileNotFoundError, match=r"nowhere\.wav: no such file"):
        audio.num_channels("nowhere.wav")
    (tmp_path / "b.wav").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"b\.wav: cannot be decoded"):
        audio.num_channels(str(tmp_path / "b.wav"))
