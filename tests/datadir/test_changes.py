"""Subsets, combinations and speed perturbation."""

import dataclasses
import math

import pytest

from asr_topdown import datadir
from asr_topdown.datadir import DataDir


def test_subset_takes_only_what_it_needs(make, tmp_path):
    data = datadir.read(make("segments"))
    part = datadir.subset(data, ["bob-1"], tmp_path / "part")
    assert part.utterances() == ["bob-1"]
    assert list(part.wavs) == ["rec2"]
    datadir.write(part)
    datadir.validate(part.path)
    with pytest.raises(ValueError, match="no utterance zoe"):
        datadir.subset(data, ["zoe", "bob-1"], tmp_path / "part")


def test_subset_keeps_features(make, tmp_path):
    part = datadir.subset(datadir.read(make("features")), ["ann-2"], tmp_path / "part")
    assert part.num_frames == {"ann-2": 48}
    assert list(part.feats) == ["ann-2"]


@pytest.mark.parametrize("files", ["plain", "segments", "features"])
def test_parts_combine_to_the_whole(make, files, tmp_path):
    data = datadir.read(make(files))
    parts = [datadir.subset(data, chosen, tmp_path) for chosen in (["bob-1"], ["ann-1", "ann-2"])]
    assert datadir.combine(parts, data.path) == data


def test_combine_refuses_contradictions(make, tmp_path):
    data = datadir.read(make("plain"))
    with pytest.raises(ValueError, match="occurs in more than one of"):
        datadir.combine([data, data], tmp_path)
    cut = DataDir(path=tmp_path, wavs={}, text={}, utt2spk={}, segments={"x": ("r", 0.0, 1.0)})
    with pytest.raises(ValueError, match=r"has segments and .* has none"):
        datadir.combine([data, cut], tmp_path)
    untold = DataDir(path=tmp_path / "untold", wavs={}, text={}, utt2spk={"x": "x"}, segments=None)
    with pytest.raises(ValueError, match=r"has transcripts and .*untold has none: cannot combine"):
        datadir.combine([data, untold], tmp_path)
    silent = dataclasses.replace(untold, path=tmp_path / "silent", text={"x": "a"})
    with pytest.raises(ValueError, match=r"has recordings and .*silent has none: cannot combine"):
        datadir.combine([data, silent], tmp_path)
    with pytest.raises(ValueError, match="nothing to combine"):
        datadir.combine([], tmp_path)


@pytest.mark.parametrize("files", ["features", "segments"])
def test_speed_perturbation(make, files, tmp_path):
    data = datadir.read(make(files))
    faster = datadir.speed_perturb(data, [0.9, 1.0, 1.1], tmp_path / "sp")
    assert len(faster.utt2spk) == 9
    assert faster.utt2spk["sp0.9-ann-1"] == "sp0.9-ann"
    assert faster.text["sp1.1-bob-1"] == faster.text["bob-1"] == "four"
    assert faster.feats == {}
    clips, plain = faster.clips(), data.clips()
    assert clips["ann-2"] == plain["ann-2"]
    assert clips["sp1.1-ann-2"] == plain["ann-2"]._replace(speed=1.1)
    datadir.write(faster)
    datadir.validate(faster.path)
    assert datadir.read(faster.path) == faster
    with pytest.raises(ValueError, match="perturbed already"):
        datadir.speed_perturb(faster, [0.9], tmp_path)
    with pytest.raises(ValueError, match=r"has no recordings \(wav\.scp\), and features cannot be played"):
        datadir.speed_perturb(dataclasses.replace(data, wavs={}), [0.9], tmp_path)


@pytest.mark.parametrize(
    "factors",
    [[], [0.0], [1.1, 1.1], [-1.0, 1.0], [1.0, math.nan], [math.inf], [0.9, 0.9000001], [1.0, 1.0000001]],
)
def test_speed_factors_must_make_sense(make, factors, tmp_path):
    with pytest.raises(ValueError, match="must be finite, above 0 and differ in the first six digits"):
        datadir.speed_perturb(datadir.read(make("plain")), factors, tmp_path)


def test_what_features_left_out_is_in_no_new_directory(make, tmp_path):
    """Too short for a frame, it has no line in feats.scp; features.json says so."""
    folder = make("features", **{"features.json": '{"dropped": {"ann-1": "too short"}}'})
    for name in ("feats.scp", "utt2num_frames"):
        (folder / name).write_text((folder / name).read_text().partition("\n")[2])
    datadir.validate(folder, need_feats=True)
    data = datadir.read(folder)
    assert data.without_features() == ["ann-1"]
    made = {
        "subset": datadir.subset(data, ["ann-1", "bob-1"], tmp_path / "subset"),
        "combine": datadir.combine([data], tmp_path / "combine"),
    }
    for directory in made.values():
        datadir.write(directory)
        datadir.validate(directory.path, need_feats=True)
    assert made["subset"].utterances() == ["bob-1"]
    assert made["combine"].utterances() == ["ann-2", "bob-1"]
    with pytest.raises(ValueError, match=r"subset: would be empty: .*dir has no features of ann-1"):
        datadir.subset(data, ["ann-1"], tmp_path / "subset")
    faster = datadir.speed_perturb(data, [0.5], tmp_path / "slow")  # long enough for a frame now
    assert len(faster.utt2spk) == 3


def test_features_of_some_parts_only_are_dropped(make, tmp_path):
    data = datadir.read(make("features"))
    parts = [datadir.subset(data, chosen, tmp_path) for chosen in (["bob-1"], ["ann-1", "ann-2"])]
    bare = dataclasses.replace(parts[1], feats={}, num_frames={})
    both = datadir.combine([parts[0], bare], tmp_path / "both")
    assert both == dataclasses.replace(data, path=tmp_path / "both", feats={}, num_frames={})
    datadir.write(both)
    datadir.validate(both.path)
