"""The sizes of a directory."""

from pathlib import Path

import pytest

from asr_topdown import datadir
from asr_topdown.datadir import DataDir


def test_a_summary_counts_what_the_segments_cut_out(make):
    cut = datadir.summarise(make("segments"))
    assert (cut.utterances, cut.speakers, cut.words, cut.characters) == (3, 2, 4, 3 + 9 + 4)
    assert cut.seconds == pytest.approx(0.8)


def test_durations_come_from_headers_or_are_unknown(make, tmp_path):
    folder = make("plain")
    data = datadir.read(folder)
    assert datadir.durations(data) == {"ann-1": 0.5, "ann-2": None, "bob-1": 0.5}
    assert datadir.summarise(folder).seconds is None  # a command's output has no header to look at
    assert set(datadir.durations(DataDir(path=folder, wavs={}, text={}, utt2spk=data.utt2spk)).values()) == {
        None
    }
    whole = datadir.subset(data, ["ann-1"], tmp_path / "whole")
    faster = datadir.speed_perturb(whole, [2.0], tmp_path / "faster")
    assert datadir.durations(faster) == {"sp2-ann-1": 0.25}
    lines = datadir.table(
        [datadir.summarise(folder), datadir.Summary(Path("b"), 1, 1, 3600.0, 2, 3)]
    ).splitlines()
    assert lines[0].split() == ["directory", "utterances", "speakers", "hours", "words", "characters"]
    assert lines[1].split()[1:] == ["3", "2", "?", "4", "16"]
    assert lines[2].split() == ["b", "1", "1", "1.000", "2", "3"]
    assert len({len(line) for line in lines}) == 1
