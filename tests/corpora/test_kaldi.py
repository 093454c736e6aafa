"""Existing Kaldi directories."""

import numpy as np
import pytest
import soundfile

from asr_topdown import datadir
from asr_topdown.bin.main import main
from asr_topdown.corpora import kaldi


@pytest.fixture
def sounds(tmp_path):
    (tmp_path / "sounds" / "ann").mkdir(parents=True)
    soundfile.write(tmp_path / "sounds" / "ann" / "1.wav", np.full(800, 0.1), 8000)
    return tmp_path / "sounds"


def test_a_kaldi_directory_is_taken_over(tmp_path, sounds, monkeypatch):
    source = tmp_path / "kaldi"
    source.mkdir()
    (source / "own.wav").write_bytes((sounds / "ann" / "1.wav").read_bytes())
    tables = {
        "wav.scp": "r2 cat x |\nr1 sounds/ann/1.wav\nr3 own.wav\n",  # unsorted
        "segments": "b-1 r1 0 0.05\na-1 r2 0 1\nb-2 r3 0.0 0.1\n",
        "text": "b-1 x  y\na-1 z\nb-2 z\n",
        "utt2spk": "a-1 a\nb-1 b\nb-2 b\n",
        "feats.scp": "a-1 gone.ark:1\n",
    }
    for name, content in tables.items():
        (source / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    (data,) = kaldi.prepare(tmp_path / "data", source=source)
    assert data.wavs == {
        "r1": str(sounds / "ann" / "1.wav"),
        "r2": "cat x |",
        "r3": str(source / "own.wav"),
    }
    datadir.validate(data.path)
    assert datadir.read(data.path) == data
    assert data.text["b-1"] == "x y"
    with pytest.raises(ValueError, match="is the source itself"):
        kaldi.prepare(source, source=source)
    with pytest.raises(FileNotFoundError, match="not a data directory"):
        kaldi.prepare(tmp_path / "data", source=tmp_path)


def test_sound_in_archives_is_found(tmp_path, sounds):
    source = tmp_path / "kaldi"
    source.mkdir()
    (source / "own.ark").write_bytes(b"a-1 " + (sounds / "ann" / "1.wav").read_bytes())
    tables = {"wav.scp": "a-1 own.ark:4\n", "text": "a-1 x\n", "utt2spk": "a-1 a\n"}
    for name, content in tables.items():
        (source / name).write_text(content)
    (data,) = kaldi.prepare(tmp_path / "data", source=source)
    assert data.wavs == {"a-1": f"{source / 'own.ark'}:4"}
    datadir.validate(data.path)
    assert datadir.durations(data) == {"a-1": 0.1}
    (source / "own.ark").unlink()
    with pytest.raises(ValueError, match=r"wav\.scp:1: a-1: no such file: .*own\.ark:4"):
        datadir.validate(data.path)


def test_without_speakers_all_other_tables_count(tmp_path):
    """ESPnet's tools need no utt2spk."""
    source = tmp_path / "kaldi"
    source.mkdir()
    soundfile.write(source / "call.wav", np.full((800, 2), 0.1), 8000)
    tables = {
        "wav.scp": "r call.wav\n",
        "segments": "u r 0 0.05\n",
        "text": "u x\n",
        "utt2speed": "u 1.1\n",
        "reco2file_and_channel": "r call B\n",
        "sample_rate": "4000\n",
    }
    for name, content in tables.items():
        (source / name).write_text(content)
    (data,) = kaldi.prepare(tmp_path / "data", source=source)
    assert data.utt2spk == {"u": "u"}
    (clip,) = datadir.read(data.path).clips().values()
    assert (clip.end, clip.speed, clip.channel, clip.rate) == (0.05, 1.1, 1, 4000)


@pytest.mark.parametrize("command", ["kaldi", "table"])
def test_what_would_not_be_valid_is_not_written(command, tmp_path, sounds, capsys):
    """It was written first, over what was there, and refused then."""
    source, out = tmp_path / "kaldi", tmp_path / "data"
    source.mkdir()
    (source / "wav.scp").write_text(f"a-1 {sounds}/ann/1.wav\na-2 {sounds}/ann/1.wav\n")
    (source / "utt2spk").write_text("a-1 a\na-2 a\n")
    (source / "text").write_text("a-1 x\na-2 y\n")
    words = ["prepare", command, "--source", str(source), "--out", str(out)]
    assert main(words) == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    (source / "text").write_text("a-1 z\n")
    assert main(words) == 1
    error = capsys.readouterr().err
    assert f"{out}: not written, for it would not be valid:\n" in error
    assert f"{out}/text: no line for utterance a-2\n" in error
    assert {path: path.read_bytes() for path in out.iterdir()} == before
