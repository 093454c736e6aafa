"""Directories are written whole or not at all, and what was made from other tables goes."""

import dataclasses
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asr_topdown import datadir
from asr_topdown.datadir import DataDir
from asr_topdown.engines.alone import alone_in


@pytest.mark.parametrize(
    "changed",
    [
        {"utt2spk": {}},
        {"utt2spk": {"a b": "s"}},
        {"utt2spk": {"a": ""}},
        {"wavs": {"a": ""}},
        {"wavs": {"a": "x\ny"}},
        {"text": {"a": "x\ny"}},
        {"text": {"a": "x  y"}},
        {"text": {"a": "\x07"}},
        {"text": {"a": "</s>"}},
        {"sample_rate": 0},
        {"sample_rate": -8000},
    ],
)
def test_write_refuses_what_cannot_be_read_back(tmp_path, changed):
    tables = {"wavs": {"a": "x"}, "text": {"a": "x"}, "utt2spk": {"a": "a"}, **changed}
    with pytest.raises(ValueError, match=str(tmp_path)):
        datadir.write(DataDir(path=tmp_path / "out", **tables))
    assert not (tmp_path / "out").exists()


def test_writing_the_same_again_touches_nothing(make):
    folder = make("features", **{"cmvn.ark": "statistics"})
    data = datadir.read(folder)
    datadir.write(data)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}
    datadir.write(data)
    plain = DataDir(path=data.path, wavs=data.wavs, text=data.text, utt2spk=data.utt2spk)
    datadir.write(plain)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()} == before


def test_features_of_other_data_are_removed(make):
    folder = make("features", **{"cmvn.ark": "statistics", "features.json": "{}"})
    data = datadir.read(folder)
    datadir.write(
        DataDir(path=folder, wavs=data.wavs, text={**data.text, "ann-1": "x"}, utt2spk=data.utt2spk)
    )
    assert {path.name for path in folder.iterdir()} == {"wav.scp", "text", "utt2spk", "spk2utt"}


def test_statistics_of_other_features_are_removed(make, monkeypatch):
    """A subset made again of features computed anew kept the mean and variance of the old ones."""
    folder = make("features", **{"cmvn.ark": "statistics", "features.json": "{}"})
    data = datadir.read(folder)
    feats = {name: f"new.ark:{place}" for place, name in enumerate(data.feats)}
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="No space left"):
            datadir.write(dataclasses.replace(data, feats=feats))
    with pytest.raises(FileNotFoundError, match="utt2spk"):  # no features with the lengths of others
        datadir.read(folder)
    datadir.write(dataclasses.replace(data, feats=feats))
    assert datadir.read(folder).feats == feats
    assert not {"cmvn.ark", "features.json"} & {path.name for path in folder.iterdir()}


def fail(path, content):
    raise OSError(28, "No space left on device")


def test_two_at_once_do_not_mix_their_tables(make):
    data = datadir.read(make("plain"))
    with ThreadPoolExecutor() as threads:
        with alone_in(data.path):  # as another process that is writing there
            (data.path / "utt2spk").unlink()
            second = threads.submit(datadir.write, data)
            time.sleep(0.2)
            assert not (data.path / "utt2spk").exists()
        second.result()
    assert datadir.read(data.path).utt2spk == data.utt2spk


def test_a_write_cut_short_leaves_no_data_directory(make, monkeypatch):
    folder = make("plain")
    data = datadir.read(folder)
    replace, written = os.replace, []

    def kill_at_the_third(aside, path):
        written.append(path.name)
        if len(written) == 3:
            raise KeyboardInterrupt
        replace(aside, path)

    monkeypatch.setattr(os, "replace", kill_at_the_third)
    changed = {utterance: f"{text} more" for utterance, text in data.text.items()}
    wavs = dict.fromkeys(data.wavs, "other.wav")
    utt2spk = dict.fromkeys(data.utt2spk, "zoe")
    with pytest.raises(KeyboardInterrupt):
        datadir.write(DataDir(path=folder, wavs=wavs, text=changed, utt2spk=utt2spk))
    with pytest.raises(FileNotFoundError, match="utt2spk"):
        datadir.read(folder)


@pytest.mark.parametrize("room", range(5))
def test_a_full_disk_leaves_the_data_that_were_there(make, tmp_path, monkeypatch, room):
    """The old tables, and the features made of them, were gone before there was room for the new ones."""
    data = datadir.read(make("plain"))
    datadir.write(*divided(tmp_path, data, 1), statistics=make("features") / "text")
    (tmp_path / "b" / "feats.scp").write_text("bob-1 of its own\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("?/*")}
    left = room

    def full(handle):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*/[ab]/[a-z2.]+: No space left on device"):
        datadir.write(*divided(tmp_path, data, 2))
    assert {path: path.read_bytes() for path in tmp_path.rglob("?/*")} == before


def test_a_write_cut_short_while_it_removes_tables_leaves_no_data_directory(make, tmp_path, monkeypatch):
    """Speeds could be gone and utt2spk still there: recordings as they are, for their faster copies."""
    data = datadir.read(make("plain"))
    copy = datadir.speed_perturb(data, [0.9], tmp_path / "copy")
    datadir.write(copy)
    unlink, removed = Path.unlink, []

    def kill_after_the_first(path, missing_ok=False):
        unlink(path, missing_ok=missing_ok)
        removed.append(path.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", kill_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        datadir.write(dataclasses.replace(data, path=copy.path))
    assert [name for name in removed if not name.endswith(".tmp")] == ["utt2spk"]


def divided(folder, data, first):
    """Two sets: `first` utterances in `a`, the others in `b`."""
    names = data.utterances()
    parts = {"a": names[:first], "b": names[first:]}
    return [datadir.subset(data, part, folder / name) for name, part in parts.items()]


def test_sets_of_a_division_are_written_as_one(make, tmp_path):
    data = datadir.read(make("plain"))
    datadir.write(*divided(tmp_path, data, 1))
    with ThreadPoolExecutor() as threads:
        with alone_in(tmp_path / "b"):  # as another process that is writing there
            second = threads.submit(datadir.write, *divided(tmp_path, data, 2))
            time.sleep(0.2)
            assert len(datadir.read(tmp_path / "a").utt2spk) == 1
        second.result()
    assert [set(datadir.read(tmp_path / name).utt2spk) for name in "ab"] == [
        set(one.utt2spk) for one in divided(tmp_path, data, 2)
    ]


def test_a_division_cut_short_leaves_no_sets_of_two_divisions(make, tmp_path, monkeypatch):
    data = datadir.read(make("plain"))
    datadir.write(*divided(tmp_path, data, 1))
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        datadir.write(*divided(tmp_path, data, 2))
    for name in "ab":
        with pytest.raises(FileNotFoundError, match="utt2spk"):
            datadir.read(tmp_path / name)
