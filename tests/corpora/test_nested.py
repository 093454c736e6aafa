"""Nested parts of a training set: sizes, speakers, the same everywhere."""

import dataclasses
import errno
import itertools
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_data import write_nested

from asr_topdown import datadir
from asr_topdown.corpora import nested
from asr_topdown.datadir import DataDir

SPOKEN = {"a": 200, "b": 100, "c": 41, "d": 59}


@pytest.fixture
def source(tmp_path):
    utt2spk = {f"{speaker}{k:03}": speaker for speaker, count in SPOKEN.items() for k in range(count)}
    data = DataDir(
        path=tmp_path / "train",
        wavs=dict.fromkeys(utt2spk, "true |"),
        text=dict.fromkeys(utt2spk, "w"),
        utt2spk=utt2spk,
        feats={utterance: f"x.ark:{k}" for k, utterance in enumerate(utt2spk)},
        num_frames=dict.fromkeys(utt2spk, 9),
    )
    datadir.write(data)
    return data.path


def test_parts_are_nested_and_the_rest_is_unseen(source, tmp_path):
    parts = write_nested(tmp_path, source)
    names = [part.path.name for part in parts]
    assert names == ["train_p05", "train_p10", "train_p20", "train_p40", "train_p80", "train_unseen"]
    assert [len(part.text) for part in parts] == [20, 40, 80, 160, 320, 80]
    members = [set(datadir.read(part.path).text) for part in parts]
    for smaller, larger in itertools.pairwise(members[:5]):
        assert smaller < larger
    assert not members[4] & members[5]
    assert len(members[4] | members[5]) == 400
    assert all(part.feats.keys() == part.text.keys() for part in parts)


def test_copies_at_other_speeds_stay_together(source, tmp_path):
    """With them, each part holds the utterances that it holds without, at every speed."""
    plain = write_nested(tmp_path / "plain", source, percent=[10, 50])
    for factors in ((0.9, 1.0, 1.1), (0.9, 1.1)):
        fast = datadir.speed_perturb(datadir.read(source), factors, tmp_path / "train_sp")
        for part, whole in zip(
            nested.parts(tmp_path / "fast", source=fast, percent=[10, 50]), plain, strict=True
        ):
            prefixes = ["" if factor == 1 else f"sp{factor}-" for factor in factors]
            assert set(part.text) == {prefix + utterance for prefix in prefixes for utterance in whole.text}
            assert set(part.utt2spk.values()) == {prefix + name for prefix in prefixes for name in SPOKEN}


def test_copies_that_cannot_be_told_are_refused(source, tmp_path):
    fast = dataclasses.replace(datadir.read(source), speed={"a007": 0.9})
    said = r"utt2speed: ids of .* must begin with sp0.9-, as `data speed` writes them, got a007 of a"
    with pytest.raises(ValueError, match=said):
        nested.parts(tmp_path, source=fast)


def test_a_link_to_a_directory_has_its_own_name(source, tmp_path):
    """Parts were called by what the link leads to, where no later stage of a recipe looks for them."""
    (tmp_path / "link").symlink_to(source)
    parts = write_nested(tmp_path, tmp_path / "link", percent=[50])
    assert [part.path.name for part in parts] == ["link_p50", "link_unseen"]


def test_every_speaker_has_his_share(source, tmp_path):
    for part, share in zip(write_nested(tmp_path, source), (5, 10, 20, 40, 80, 20), strict=True):
        counts = Counter(part.utt2spk.values())
        for speaker, total in SPOKEN.items():
            assert abs(counts[speaker] - total * share / 100) <= 1.5


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(0, 3))
def test_the_order_is_stratified(counts, seed):
    utt2spk = {f"s{s}-{k}": f"s{s}" for s, count in enumerate(counts) for k in range(count)}
    order = nested.joining_order(utt2spk, seed)
    assert sorted(order) == sorted(utt2spk)
    for share in (0.1, 0.5, 0.9):
        end = round(share * len(order))
        got = Counter(utt2spk[u] for u in order[:end])
        for s, count in enumerate(counts):
            # rounding the end moves it by less than one utterance of each speaker
            assert abs(got[f"s{s}"] - share * count) <= 2


def test_it_is_the_same_on_every_machine_and_differs_between_seeds(source):
    order = nested.joining_order(datadir.read(source).utt2spk, 0)
    assert order[:6] == ["a123", "b052", "a102", "a013", "b030", "a182"]
    assert nested.joining_order(datadir.read(source).utt2spk, 1) != order


def test_normalisation_is_the_source_s(source, tmp_path):
    (source / "cmvn.ark").write_bytes(b"statistics")
    parts = write_nested(tmp_path, source)
    assert all((part.path / "cmvn.ark").read_bytes() == b"statistics" for part in parts)
    (source / "cmvn.ark").unlink()
    write_nested(tmp_path, source)
    assert not any((part.path / "cmvn.ark").exists() for part in parts)


def test_without_the_source_s_normalisation_a_part_is_no_data_directory(source, tmp_path, monkeypatch):
    """Killed between the tables and cmvn.ark, it was one, and `features` gave it statistics of its own."""
    (source / "cmvn.ark").write_bytes(b"statistics")
    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(OSError, match=r"cannot write .*cmvn\.ark: No space left on device"):
        write_nested(tmp_path, source)
    assert not list(tmp_path.glob("train_*/utt2spk"))


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("percent", [[], [0, 5], [5, 100], [10, 5], [5, 5]])
def test_percents_have_to_grow(source, tmp_path, percent):
    with pytest.raises(ValueError, match="must increase, between 1 and 99"):
        write_nested(tmp_path, source, percent=percent)


def test_too_few_utterances(source, tmp_path):
    small = datadir.subset(datadir.read(source), ["a000", "a001"], Path(tmp_path / "small"))
    datadir.write(small)
    with pytest.raises(ValueError, match="small_p01 is empty"):
        nested.parts(tmp_path, source=small, percent=[1, 50])
