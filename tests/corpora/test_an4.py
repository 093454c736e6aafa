"""AN4 as distributed: ids, optional tags, counts, the dev set."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from asr_topdown import audio, datadir
from asr_topdown.corpora import an4, download
from asr_topdown.corpora.fake import an4 as fake
from asr_topdown.features import ark, store


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("an4")
    return fake.write(folder, train=120, test=8, engine="tones", seconds_each=0.01)


def test_three_sets(root, tmp_path, capsys):
    train, dev, test = an4.prepare(tmp_path / "data", an4=root.parent)
    assert [len(part.text) for part in (train, dev, test)] == [20, 100, 8]
    assert max(dev.text) < min(train.text)  # the first hundred in byte order
    for part in (train, dev, test):
        datadir.validate(part.path)
        for utterance, speaker in part.utt2spk.items():
            assert utterance.startswith(f"{speaker}-an")
        assert not any("<" in text or "(" in text for text in part.text.values())
    assert not set(test.utt2spk.values()) & (set(train.utt2spk.values()) | set(dev.utt2spk.values()))
    assert audio.read(next(iter(test.clips().values())))[1] == 16000
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert shown[-2:] == [["utterances,", "train", "948", "120"], ["utterances,", "test", "130", "8"]]


def test_the_counts_of_the_distribution(tmp_path, capsys):
    assert an4.UTTERANCES == {"train": 948, "test": 130}
    root = fake.write(tmp_path, speakers=74, engine="tones", seconds_each=0.002)
    parts = an4.prepare(tmp_path / "data", an4=root)
    assert [len(part.text) for part in parts] == [848, 100, 130]
    assert capsys.readouterr().out == ""


def test_an_utterance_s_id_begins_with_its_speaker():
    assert an4.utterance_id("an251-fash-b") == ("fash-an251-b", "fash")
    with pytest.raises(ValueError, match="'an251fash' is not text-speaker-session"):
        an4.utterance_id("an251fash")


def test_tags_are_optional(tmp_path):
    path = tmp_path / "t"
    path.write_text("<s> YES </s> (an251-fash-b)\nNO  WAY (an252-fash-b)\n\nGO </s> (an253-fash-b)\n")
    assert an4.read_transcription(path) == {
        "an251-fash-b": "YES",
        "an252-fash-b": "NO WAY",
        "an253-fash-b": "GO",
    }
    path.write_text("YES an251-fash-b\n")
    with pytest.raises(ValueError, match="t:1: not `<s> TEXT"):
        an4.read_transcription(path)


def test_a_transcript_may_be_repeated_but_not_contradicted(tmp_path):
    path = tmp_path / "t"
    path.write_text("<s> YES </s> (an251-fash-b)\nYES (an251-fash-b)\n")
    assert an4.read_transcription(path) == {"an251-fash-b": "YES"}
    path.write_text("YES (an251-fash-b)\n\nNO (an251-fash-b)\n")
    with pytest.raises(ValueError, match="t:3: an251-fash-b occurs twice, with different transcripts"):
        an4.read_transcription(path)


def test_what_is_missing_is_left_out_and_an_empty_set_is_an_error(tmp_path, capsys):
    root = fake.write(tmp_path, train=110, test=3, engine="tones", seconds_each=0.002)
    first, *others = sorted((root / "wav/an4test_clstk").rglob("*.sph"))
    first.unlink()
    *_, test = an4.prepare(tmp_path / "data", an4=root)
    assert len(test.text) == 2
    assert f"an4 test: left out 1 recordings that are missing or have no transcript ({first.stem})" in (
        capsys.readouterr().out
    )
    for other in others:
        other.unlink()
    with pytest.raises(ValueError, match=r"none of the recordings of an4_test\.fileids is in"):
        an4.prepare(tmp_path / "data", an4=root)


def test_too_few_for_a_dev_set(tmp_path):
    root = fake.write(tmp_path, train=100, test=3, engine="tones", seconds_each=0.002)
    with pytest.raises(ValueError, match="only 100 training utterances, 100 are the dev set"):
        an4.prepare(tmp_path / "data", an4=root)


def test_wrong_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        an4.prepare(tmp_path / "data", an4=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no etc/an4_train\.transcription in it"):
        an4.prepare(tmp_path / "data", an4=tmp_path)


def test_download_and_what_to_do_without(root, tmp_path, monkeypatch):
    asked = []

    def fetch(url, path, checksum):
        asked.append(url)
        assert checksum == an4.SHA256
        if len(asked) == 1:
            raise OSError("cannot download")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w:gz") as tar:
            tar.add(root, "an4")

    monkeypatch.setattr(download, "fetch", fetch)
    parts = an4.prepare(tmp_path / "data")
    assert asked == list(an4.ARCHIVES)
    assert (tmp_path / "downloads/an4_sphere/an4/etc").is_dir()
    assert str(tmp_path / "downloads") in parts[0].wavs[parts[0].utterances()[0]]
    monkeypatch.setattr(download, "fetch", lambda *_: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(OSError, match=r"cannot get AN4: no network; no network\. Download an4_sphere"):
        an4.prepare(tmp_path / "other" / "data")


# ---- features without sound


@pytest.fixture
def given(tmp_path):
    """Kaldi directories of 12 and 3 speakers, with cepstra and relative paths, as distributed."""
    folder, draw = tmp_path / "mfcc", np.random.default_rng(1)
    for part, speakers in (("train", 12), ("test", 3)):
        rows: dict[str, list[str]] = {"text": [], "utt2spk": [], "feats.scp": [], "utt2num_frames": []}
        (folder / part / "feats").mkdir(parents=True)
        with open(folder / part / "feats" / "mfcc13.ark", "wb") as file:
            for speaker in range(speakers):
                for number in range(4):
                    name = f"{part}{speaker:02}-an{number}"
                    frames = int(draw.integers(20, 40))
                    values = draw.standard_normal((frames, 13)).astype(np.float32)
                    rows["feats.scp"].append(f"{name} feats/mfcc13.ark:{ark.save(file, name, values)}")
                    rows["text"].append(f"{name} GO")
                    rows["utt2spk"].append(f"{name} {part}{speaker:02}")
                    rows["utt2num_frames"].append(f"{name} {frames}")
        for name, lines in rows.items():
            (folder / part / name).write_text("\n".join(lines) + "\n")
    return folder


def test_a_dev_set_of_speakers_of_its_own(given, tmp_path, capsys):
    train, dev, test = an4.from_features(tmp_path / "data", given)
    heard = [set(part.utt2spk.values()) for part in (train, dev, test)]
    assert [len(speakers) for speakers in heard] == [12 - an4.DEV_SPEAKERS, an4.DEV_SPEAKERS, 3]
    assert not heard[0] & heard[1]
    assert "warning" in capsys.readouterr().out  # 48 utterances are not 948
    for part in (train, dev, test):
        datadir.validate(part.path)
        for utterance, entry in part.feats.items():
            assert store.load(entry, part.path).shape == (part.num_frames[utterance], 13)
    assert datadir.summarise(train.path).seconds is None


def test_directories_without_features_are_refused(given, tmp_path):
    (given / "test" / "feats.scp").unlink()
    with pytest.raises(ValueError, match=r"test: no feats\.scp, or nothing in it"):
        an4.from_features(tmp_path / "data", given)
    with pytest.raises(FileNotFoundError, match="nowhere/train: not a data directory"):
        an4.from_features(tmp_path / "data", tmp_path / "nowhere")


def test_the_real_cepstra(tmp_path, capsys):
    folder = os.environ.get("ASR_TOPDOWN_AN4_MFCC")
    if not folder:
        pytest.skip("set ASR_TOPDOWN_AN4_MFCC to the folder with AN4's cepstra")
    parts = an4.from_features(tmp_path, Path(folder))
    assert "warning" not in capsys.readouterr().out
    assert [len(set(part.utt2spk.values())) for part in parts] == [65, 9, 10]
    sizes = [len(part.utt2spk) for part in parts]
    assert (sum(sizes[:2]), sizes[2]) == (948, 130)
