"""Sound that a network reads directly: its record, its hash, and reading."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch

from asr_topdown import datadir
from asr_topdown.audio import Clip
from asr_topdown.config.features import FeaturesConfig
from asr_topdown.config.train import TrainConfig
from asr_topdown.data import inputs
from asr_topdown.features import waveforms
from asr_topdown.text import Vocabulary
from asr_topdown.train.speech_task import SpeechTask

SOUND = FeaturesConfig.of_sound(16000)


def write(path: Path, count: int, rate: int = 16000, seed: int = 0) -> np.ndarray:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(count)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return samples.astype(np.float32)


def write_data(root: Path, rates: dict[str, int]) -> Path:
    folder = root / "data"
    folder.mkdir()
    for number, (name, rate) in enumerate(rates.items()):
        write(root / f"{name}.wav", 4000 + 100 * number, rate, number)
    tables = {
        "wav.scp": {name: root / f"{name}.wav" for name in rates},
        "text": dict.fromkeys(rates, "ab"),
        "utt2spk": dict.fromkeys(rates, "spk"),
        "spk2utt": {"spk": " ".join(rates)},
    }
    for name, table in tables.items():
        (folder / name).write_text("".join(f"{key} {value}\n" for key, value in table.items()))
    return folder


def test_lengths_and_samples_are_those_of_the_sound_resampled_by_soxr(tmp_path: Path, caplog) -> None:
    folder = write_data(tmp_path, {"a": 16000, "b": 8000, "c": 22050})
    found = inputs.sound_of(folder, SOUND)
    assert dict(found.samples) == {"a": 4000, "b": 8200, "c": round(4200 * 16000 / 22050)}
    assert dict(found.resampled) == {"8000": 1, "22050": 1}
    for _ in range(2):
        data = inputs.read_utterances(folder, Vocabulary.build(["ab"], "char"), SOUND, None)
    assert data.frames == [25, 51, 19]
    assert data.input_lengths == [4000, 8200, 3048]
    wanted = soxr.resample(soundfile.read(tmp_path / "b.wav", dtype="float32")[0], 8000, 16000)
    assert torch.equal(data.load(1)[:, 0], torch.from_numpy(wanted))
    batch = data.batch([0, 2])
    assert batch.feats.shape == (2, 4000, 1)
    assert batch.feat_lengths.tolist() == [4000, 3048]
    vocabulary = Vocabulary.build(["ab"], "char")
    assert SpeechTask(data, data, vocabulary, TrainConfig(), seed=1).frames([0, 2]) == 25 + 19
    assert sum("resampled to 16000 Hz" in line for line in caplog.messages) == 1


def test_the_hash_is_of_the_sound_and_of_no_path(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = (write_data(tmp_path / name, {"a": 16000, "b": 8000}) for name in ("one", "two"))
    assert inputs.features_hash(one, SOUND) == inputs.features_hash(two, SOUND)
    assert inputs.content_hash(one, SOUND) == inputs.content_hash(two, SOUND)
    assert inputs.features_hash(one, SOUND) != inputs.features_hash(one, FeaturesConfig.of_sound(8000))
    (two / "text").write_text("a ab\nb ba\n")
    assert inputs.features_hash(one, SOUND) == inputs.features_hash(two, SOUND)
    assert inputs.content_hash(one, SOUND) != inputs.content_hash(two, SOUND)
    before = inputs.features_hash(one, SOUND)
    samples, _ = soundfile.read(tmp_path / "one" / "a.wav", dtype="float32")
    samples[17] += 1e-4
    soundfile.write(tmp_path / "one" / "a.wav", samples, 16000, subtype="FLOAT")
    assert inputs.features_hash(one, SOUND) != before


def test_sound_is_looked_through_once_by_as_many_processes_as_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_data(tmp_path, {"a": 16000, "b": 8000, "c": 16000})
    clips = datadir.read(folder).clips()
    alone = waveforms.examine(clips, folder, 16000)
    kept = json.loads((folder / waveforms.RECORD).read_text())
    monkeypatch.setattr(waveforms, "run_parts", None)
    assert waveforms.examine(clips, folder, 16000) == alone
    monkeypatch.undo()
    (folder / waveforms.RECORD).unlink()
    assert waveforms.examine(clips, folder, 16000, nj=2) == alone
    assert json.loads((folder / waveforms.RECORD).read_text()) == kept
    (folder / waveforms.RECORD).write_text("{damaged")
    assert waveforms.examine(clips, folder, 16000) == alone


def test_segments_of_one_recording_by_several_threads(tmp_path: Path) -> None:
    samples = 0.1 * np.random.default_rng(1).standard_normal(64000)
    soundfile.write(tmp_path / "long.flac", samples, 16000, subtype="PCM_16")
    whole, _ = soundfile.read(tmp_path / "long.flac", dtype="float32")
    clips = [Clip(str(tmp_path / "long.flac"), start=0.1 * i, end=0.1 * i + 0.3) for i in range(30)] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda clip: waveforms.load(clip, 16000), clips))
    for clip, one in zip(clips, found, strict=True):
        first, last = round(clip.start * 16000), round(clip.end * 16000)
        assert torch.equal(one[:, 0], torch.from_numpy(whole[first:last]))


def test_what_is_behind_its_recording_is_left_out_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = write_data(tmp_path, {"a": 16000, "b": 16000})
    (folder / "segments").write_text("a a 0.0 0.1\nb b 3.0 4.0\n")
    found = inputs.sound_of(folder, SOUND)
    assert list(found.samples) == ["a"]
    assert inputs.left_out(folder, SOUND) == {"b"}
    data = inputs.read_utterances(folder, Vocabulary.build(["ab"], "char"), SOUND, None)
    assert [one.id for one in data.utterances] == ["a"]
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"utterance a: .*a\.wav: cannot be decoded"):
        inputs.sound_of(folder, SOUND)
    (folder / "wav.scp").write_text(f"a cat {tmp_path}/a.wav |\nb {tmp_path}/b.wav\n")
    with pytest.raises(ValueError, match=r"wav\.scp: cat .*: a command, which would be run in every epoch"):
        inputs.sound_of(folder, SOUND)


def test_a_file_that_was_changed_while_it_is_trained_on_is_named(tmp_path: Path) -> None:
    folder = write_data(tmp_path, {"a": 16000})
    data = inputs.read_utterances(folder, Vocabulary.build(["ab"], "char"), SOUND, None)
    write(tmp_path / "a.wav", 3999)
    with pytest.raises(ValueError, match=r"a: .*a\.wav has 3999 samples now, and had 4000"):
        data.load(0)
