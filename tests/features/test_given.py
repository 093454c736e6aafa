"""Given features of data directories: derivatives, dimension, and records."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_topdown import config, datadir
from asr_topdown.bin.main import main
from asr_topdown.build import build_model
from asr_topdown.datadir import DataDir
from asr_topdown.features import ark, store
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.features.deltas import add_deltas

DIM, LENGTHS = 5, {"a-1": 9, "a-2": 14, "b-1": 6}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A data directory as written by Kaldi: features, no sound, relative paths."""
    folder, draw = tmp_path / "train", np.random.default_rng(1)
    (folder / "feats").mkdir(parents=True)
    feats = {}
    with open(folder / "feats" / "raw.ark", "wb") as file:
        for name, length in LENGTHS.items():
            values = draw.standard_normal((length, DIM)).astype(np.float32)
            feats[name] = f"feats/raw.ark:{ark.save(file, name, values)}"
    utt2spk = {name: name[0] for name in feats}
    text = dict.fromkeys(feats, "x")
    datadir.write(DataDir(path=folder, wavs={}, text=text, utt2spk=utt2spk, feats=feats))
    (tmp_path / "c.yaml").write_text(f"features: {{kind: given, dim: {DIM}, deltas: 1}}\n")
    return folder


def run(source: Path, *options: str) -> int:
    root = source.parent
    return main(
        ["features", str(source), "--config", str(root / "c.yaml"), "--out", str(root / "out"), *options]
    )


def test_a_check_of_the_sound_is_refused_where_none_is_read(source, capsys):
    assert run(source, "--strict") == 1
    message = "--strict is for sound, which features.kind: given does not read"
    assert capsys.readouterr().err == f"asr-topdown features: error: {message}\n"


def test_derivatives_are_appended_and_nothing_else_changes(source, capsys):
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    assert run(source) == 0
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before
    out = source.parent / "out" / "train"
    datadir.validate(out, need_feats=True)
    made, given = datadir.read(out), datadir.read(source)
    assert made.num_frames == LENGTHS
    for name, entry in made.feats.items():
        raw = torch.tensor(store.load(given.feats[name], source))
        assert torch.equal(torch.tensor(store.load(entry, out)), add_deltas(raw, 1))
    assert Cmvn.load(out / "cmvn.ark").dim == 2 * DIM
    settings = config.load(source.parent / "c.yaml")
    assert settings.features.size == 2 * DIM
    model = build_model(settings, 4)
    assert model.encode(torch.zeros(1, 12, 2 * DIM), torch.tensor([12]))[0].isfinite().all()


def test_what_is_up_to_date_is_kept_and_what_changed_is_not(source, capsys):
    run(source)
    out = source.parent / "out" / "train"
    before = (out / "feats.scp").read_text()
    capsys.readouterr()
    assert run(source) == 0
    assert capsys.readouterr().out.count("up to date") == 2
    with open(source / "feats" / "raw.ark", "r+b") as file:
        file.seek(30)
        file.write(b"\x00\x00\x00\x40")
    assert run(source) == 0
    assert (out / "feats.scp").read_text() != before
    assert len(list((out / "feats").glob("*.ark"))) == 1
    assert run(source, "--set", "features.deltas=2") == 0
    assert Cmvn.load(out / "cmvn.ark").dim == 3 * DIM


def test_another_dimension_is_named(source, capsys):
    assert run(source, "--set", "features.dim=13") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{source / 'feats.scp'}: utterance a-1: " in line
    assert line.endswith(": has 5 numbers a frame, not 13")
    assert not (source.parent / "out" / "train" / "feats.scp").exists()


def test_a_number_that_is_not_finite_is_named(source, capsys):
    place = datadir.read(source).feats["a-2"]
    with open(source / "feats" / "raw.ark", "r+b") as file:
        file.seek(int(place.rpartition(":")[2]) + 15 + 4)  # behind the header, the second number
        file.write(np.array(np.nan, "<f4").tobytes())
    assert run(source) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{source / 'feats.scp'}: utterance a-2: " in line
    assert line.endswith("has numbers that are not finite (NaN or infinity)")
    assert not (source.parent / "out" / "train" / "feats.scp").exists()


def test_an_archive_that_is_gone_is_named(source, capsys):
    (source / "feats" / "raw.ark").unlink()
    assert run(source) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith(f"{source / 'feats.scp'}: utterance a-1: feats/raw.ark: no such file")


def test_archives_that_are_replaced_with_their_times_are_read_anew(source):
    run(source)
    archive = source / "feats" / "raw.ark"
    before, times = (source.parent / "out" / "train" / "feats.scp").read_text(), archive.stat()
    archive.write_bytes(archive.read_bytes()[:30] + b"\x00\x00\x00\x40" + archive.read_bytes()[34:])
    os.utime(archive, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert run(source) == 0
    assert (source.parent / "out" / "train" / "feats.scp").read_text() != before


def test_tables_that_were_changed_are_written_again(source):
    run(source)
    path = source.parent / "out" / "train" / "utt2num_frames"
    whole = path.read_text()
    path.write_text(whole.replace("9", "8", 1))
    assert run(source) == 0
    assert path.read_text() == whole


def test_an_archive_of_another_program_is_where_its_entry_says(source, tmp_path):
    """Not in a folder that has the same name."""
    archive = source / "feats" / "raw.ark"
    entry = f"{archive}:{datadir.read(source).feats['a-1'].rpartition(':')[2]}"
    other = tmp_path / "other"
    for folder in (other / "train", other / "dev"):
        (folder / "feats").mkdir(parents=True)
        (folder / "feats" / "raw.ark").write_bytes(archive.read_bytes()[:-4] + bytes(4))
        assert store.locate(entry, folder) == entry


def test_lost_lengths_are_written_again(source):
    run(source)
    out = source.parent / "out" / "train"
    (out / "utt2num_frames").unlink()
    assert run(source) == 0
    assert datadir.read(out).num_frames == LENGTHS


def test_a_directory_without_features_is_named(source, capsys):
    (source / "feats.scp").unlink()
    assert run(source) == 1
    assert f"{source / 'feats.scp'}: missing or empty" in capsys.readouterr().err


def test_the_source_is_never_written_to(source, capsys):
    assert main(["features", str(source), "--config", str(source.parent / "c.yaml")]) == 1
    assert "given features are not overwritten" in capsys.readouterr().err


@pytest.mark.parametrize("settings", ["{kind: given}", "{dim: 13}"])
def test_a_dimension_belongs_to_given_features(settings, tmp_path):
    (tmp_path / "c.yaml").write_text(f"features: {settings}\n")
    with pytest.raises(ValueError, match="kind: given needs dim"):
        config.load(tmp_path / "c.yaml")


def test_given_features_and_filter_banks_are_not_taken_for_each_other(source, write_tones):
    """Both of ten numbers a frame, with a derivative."""
    run(source)
    out = source.parent / "out" / "train"
    given = config.load(source.parent / "c.yaml").features
    datadir.check_features(out, given.fbank, given.deltas, given.dim)
    banks = config.load(source.parent / "c.yaml", ["features.kind=fbank", "features.dim=0"]).features
    with pytest.raises(ValueError, match="features of 10 dimensions on disk, 160 in the configuration"):
        datadir.check_features(out, banks.fbank, banks.deltas, banks.dim)
    wav = write_tones(source.parent / "a.wav", "abc", rate=8000)
    sound = DataDir(path=source.parent / "sound", wavs={"a": str(wav)}, text={"a": "x"}, utt2spk={"a": "a"})
    datadir.write(sound)
    (source.parent / "b.yaml").write_text(
        f"features: {{fbank: {{sample_rate: 8000, num_mels: {DIM}, low_freq: 100}}, deltas: 1}}\n"
    )
    assert main(["features", str(sound.path), "--config", str(source.parent / "b.yaml"), "--nj", "1"]) == 0
    with pytest.raises(ValueError, match=r"features\.kind fbank on disk, given in the configuration"):
        datadir.check_features(sound.path, given.fbank, given.deltas, given.dim)
