"""Single recordings: each once, with its label; disjoint speakers for digits only."""

import pytest

from asr_topdown import datadir
from asr_topdown.bin.main import main
from asr_topdown.corpora import fsdd, fsdd_labels

INDICES = 7


@pytest.fixture(scope="module")
def recordings(tmp_path_factory, write_tones):
    folder = tmp_path_factory.mktemp("fsdd") / "recordings"
    for speaker in fsdd.SPEAKERS:
        for digit in range(10):
            for index in range(INDICES):
                write_tones(folder / f"{digit}_{speaker}_{index}.wav", "a", seconds_each=0.05)
    return folder


def prepared(recordings, out, task, fold):
    parts = fsdd_labels.prepare(out, task=task, source=recordings, fold=fold)
    assert [part.path.name for part in parts] == ["train", "dev", "test"]
    ids = [utterance for part in parts for utterance in part.text]
    assert len(ids) == len(set(ids)) == 6 * 10 * INDICES
    for part in parts:
        datadir.validate(part.path)
        for utterance, label in part.text.items():
            speaker, digit, index = utterance.split("-")
            assert part.wavs[utterance].endswith(f"{digit}_{speaker}_{int(index)}.wav")
            assert label == (fsdd.WORDS[int(digit)] if task == "digit" else speaker)
            assert part.utt2spk[utterance] == speaker
    return parts


def test_digits_of_unheard_speakers(recordings, tmp_path):
    train, dev, test = prepared(recordings, tmp_path, "digit", 5)
    assert (set(dev.utt2spk.values()), set(test.utt2spk.values())) == ({"george"}, {"yweweler"})
    assert set(train.text.values()) == set(test.text.values()) == set(fsdd.WORDS)


def test_speakers_by_recordings(recordings, tmp_path):
    """Of seven recordings, 0 and 6 are 0 modulo six; the folds' test sets are a partition."""
    tested = []
    for fold in range(6):
        train, dev, test = prepared(recordings, tmp_path / str(fold), "speaker", fold)
        for part in (train, dev, test):
            assert set(part.text.values()) == set(fsdd.SPEAKERS)
        assert len(test.text) == 6 * 10 * (2 if fold == 0 else 1)
        tested += test.text
    assert len(tested) == len(set(tested)) == 6 * 10 * INDICES


def test_what_does_not_fit_is_said(recordings, tmp_path, capsys):
    few = tmp_path / "few"
    few.mkdir()
    for wav in recordings.glob("*_[0-3].wav"):
        (few / wav.name).symlink_to(wav)
    prepare = ["prepare", "fsdd", "--fsdd", str(few), "--out", str(tmp_path / "data")]
    assert main([*prepare, "--task", "speaker", "--fold", "3"]) == 1
    assert "--fold 3: no recording belongs to dev (by its index % 6)" in capsys.readouterr().err
    assert main([*prepare, "--task", "digit", "--repeats", "2"]) == 1
    assert "--seed and --repeats join recordings, and --task digit does not" in capsys.readouterr().err
    assert main([*prepare, "--task", "digit", "--fold", "6"]) == 1
    assert "--fold 6: must be 0 to 5" in capsys.readouterr().err
