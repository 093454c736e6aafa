import dataclasses
import errno
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_topdown import datadir
from asr_topdown.bin.main import main
from asr_topdown.features import store
from asr_topdown.features.cmvn import Cmvn
from asr_topdown.features.dump import Dumped, dump
from asr_topdown.features.fbank_options import FbankOptions

SOUNDS = {"train": ("one", "two", "three"), "dev": ("four",)}


@pytest.fixture
def data(tmp_path: Path, write_tones: Callable[..., Path]) -> Path:
    """Two data directories and a configuration."""
    for name, words in SOUNDS.items():
        wavs = {f"s-{word}": str(write_tones(tmp_path / "sounds" / f"{word}.wav", word)) for word in words}
        text = {f"s-{word}": word for word in words}
        datadir.write(
            datadir.DataDir(path=tmp_path / name, wavs=wavs, text=text, utt2spk=dict.fromkeys(wavs, "s"))
        )
    (tmp_path / "c.yaml").write_text("features:\n  fbank: {sample_rate: 8000, num_mels: 20}\n  deltas: 1\n")
    return tmp_path


def run(data: Path, *options: str) -> int:
    folders = [str(data / name) for name in SOUNDS]
    return main(["features", *folders, "--config", str(data / "c.yaml"), "--nj", "1", *options])


def test_no_processes_are_one_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, "--nj", "0") == 1
    assert capsys.readouterr().err == "asr-topdown features: error: --nj 0: must be at least 1\n"


def test_the_first_directory_gets_the_statistics(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data) == 0
    for name in SOUNDS:
        datadir.validate(data / name, need_feats=True)
    train = datadir.read(data / "train")
    feats = np.concatenate([store.load(entry, train.path) for entry in train.feats.values()])
    assert feats.shape[1] == 40
    normalised = Cmvn.load(data / "train" / "cmvn.ark").apply(torch.from_numpy(feats)).double()
    assert normalised.mean(0).abs().max() < 1e-4
    assert (normalised.var(0, correction=0) - 1).abs().max() < 1e-4
    assert not (data / "dev" / "cmvn.ark").exists()
    assert "features of 3 utterances" in capsys.readouterr().out


def test_features_that_are_replaced_meanwhile_keep_no_statistics_of_the_earlier_ones(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process wrote features of 20 numbers, and then found the statistics of 40 up to date."""
    wanted, of = FbankOptions(sample_rate=8000, num_mels=20), Cmvn.of

    def other() -> None:
        dump(datadir.read(data / "train").clips(), data / "train", fbank=wanted)

    with ThreadPoolExecutor() as threads:

        def interrupted(matrices: Iterable[np.ndarray]) -> Cmvn:
            found = of(matrices)
            wait([threads.submit(other)], timeout=2)
            return found

        monkeypatch.setattr(Cmvn, "of", interrupted)
        assert run(data) == 0
    train = datadir.read(data / "train")
    assert {store.load(entry, train.path).shape[1] for entry in train.feats.values()} == {20}
    assert not (data / "train" / "cmvn.ark").exists()


@pytest.mark.parametrize(("rate", "shift"), [(8000, 80), (11025, 110), (22050, 220)])
def test_the_hours_are_those_of_frames_of_whole_samples(
    rate: int, shift: int, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ten_hours = Dumped(3, round(36000 * rate / shift), fresh=False)
    monkeypatch.setattr("asr_topdown.features.dump.dump", lambda *_, **__: ten_hours)
    settings = ["--set", f"features.fbank.sample_rate={rate}", "--set", "features.cmvn=none"]
    assert run(data, *settings) == 0
    assert capsys.readouterr().out.count("features of 3 utterances, 10.00 h: up to date") == 2


def test_what_is_up_to_date_is_said_and_kept(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(data)
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*.ark")}
    capsys.readouterr()
    assert run(data) == 0
    assert capsys.readouterr().out.count("up to date") == 3
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*.ark")} == before
    assert run(data, "--set", "features.fbank.num_mels=24") == 0
    assert Cmvn.load(data / "train" / "cmvn.ark").dim == 48


def test_no_statistics_if_none_are_wanted(data: Path) -> None:
    assert run(data, "--set", "features.cmvn=none") == 0
    assert not (data / "train" / "cmvn.ark").exists()


def test_every_culprit_has_a_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, "--set", "features.fbank.sample_rate=16000") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "utterance s-" in line]
    assert len(lines) == sum(map(len, SOUNDS.values()))
    assert lines[0].startswith("asr-topdown features: error: utterance s-")
    assert all("sampling rate is 8000 Hz" in line for line in lines)


def test_a_directory_with_a_bad_recording_does_not_cost_the_others_theirs(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = list(SOUNDS)[:2]
    name, _ = (data / first / "wav.scp").read_text().splitlines()[0].split(maxsplit=1)
    scp = (data / first / "wav.scp").read_text().splitlines()
    (data / first / "wav.scp").write_text("\n".join([f"{name} /nowhere.wav", *scp[1:]]) + "\n")
    assert run(data) == 1
    assert f"error: utterance {name}: /nowhere.wav: no such file" in capsys.readouterr().err
    assert not (data / first / "feats.scp").exists()
    assert (data / second / "feats.scp").exists()


def test_what_is_cut_or_left_out_is_told_and_with_strict_refused(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data / next(iter(SOUNDS))
    names = [line.split()[0] for line in (folder / "wav.scp").read_text().splitlines()]
    (folder / "segments").write_text(
        "".join(f"{name} {name} 0 {9 if n == 0 else 0.2}\n" for n, name in enumerate(names))
    )
    assert run(data) == 0
    shown = capsys.readouterr()
    assert (
        f"warning: {folder}: 1 utterances without sound are left out:\n  utterance {names[0]}: " in shown.err
    )
    assert f"{folder}: features of {len(names) - 1} utterances" in shown.out
    assert run(data) == 0
    assert "left out" in capsys.readouterr().err
    assert run(data, "--strict") == 1
    assert f"error: utterance {names[0]}: " in capsys.readouterr().err


def test_features_of_two_kinds_live_beside_their_source(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --out nothing is written to the source, and neither kind changes the other."""
    (data / "dev" / "stm").write_text("a table that only scoring reads")
    before = {path: path.read_bytes() for name in SOUNDS for path in (data / name).iterdir()}
    for mels in (20, 24):
        assert run(data, "--out", str(data / f"mel{mels}"), "--set", f"features.fbank.num_mels={mels}") == 0
    assert {path: path.read_bytes() for name in SOUNDS for path in (data / name).iterdir()} == before
    for mels in (20, 24):
        assert (data / f"mel{mels}" / "dev" / "stm").exists()
        assert Cmvn.load(data / f"mel{mels}" / "train" / "cmvn.ark").dim == 2 * mels
        for name in SOUNDS:
            datadir.validate(data / f"mel{mels}" / name, need_feats=True)
    capsys.readouterr()
    assert run(data, "--out", str(data / "mel20")) == 0
    assert capsys.readouterr().out.count("up to date") == 3


def test_a_copy_follows_its_source(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data / "out"
    run(data, "--out", str(out))
    (data / "dev" / "text").write_text("s-four for\n")
    (out / "dev" / "segments").write_text("s-four s-four 0 1\n")  # of an earlier preparation
    capsys.readouterr()
    assert run(data, "--out", str(out)) == 0
    assert datadir.read(out / "dev").text == {"s-four": "for"}
    assert not (out / "dev" / "segments").exists()
    assert capsys.readouterr().out.count("up to date") == 3
    (data / "sounds" / "four.wav").write_bytes((data / "sounds" / "one.wav").read_bytes())
    assert run(data, "--out", str(out)) == 0
    assert capsys.readouterr().out.count("up to date") == 2  # train and its statistics
    (data / "dev").rename(data / "old")
    (data / "dev").symlink_to(data / "train")
    assert run(data, "--out", str(out)) == 0
    assert datadir.read(out / "dev").text == datadir.read(data / "train").text  # and not in out/train


def test_a_copy_cut_short_is_no_data_directory(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a source with other transcripts and speed factors, it had the one with the old of the other."""
    out = data / "out"
    assert run(data, "--out", str(out)) == 0
    (data / "dev" / "text").write_text("s-four for\n")
    (data / "dev" / "utt2speed").write_text("s-four 0.9\n")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", full_at(2))
        assert run(data, "--out", str(out)) == 1
    with pytest.raises(FileNotFoundError, match="utt2spk"):
        datadir.read(out / "dev")
    assert run(data, "--out", str(out)) == 0
    copied = datadir.read(out / "dev")
    assert (copied.text, copied.speed) == ({"s-four": "for"}, {"s-four": 0.9})


def full_at(number: int) -> Callable[[Path, Path], None]:
    """A copy function at whose nth call the disk is full."""
    copied: list[Path] = []
    copy = shutil.copyfile

    def copyfile(source: Path, target: Path) -> None:
        copied.append(source)
        if len(copied) >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        copy(source, target)

    return copyfile


def test_damaged_statistics_are_written_again(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They were called up to date, and training refused them."""
    run(data)
    path = data / "train" / "cmvn.ark"
    whole = path.read_bytes()
    for damaged in (b"", whole[:-7]):
        path.write_bytes(damaged)
        capsys.readouterr()
        assert run(data) == 0
        told = capsys.readouterr()
        assert f"warning: {path}: not a file of CMVN statistics (" in told.err
        assert "): written again\n" in told.err
        assert f"{path}: mean and variance of" in told.out
        assert path.read_bytes() == whole


def test_a_copy_removes_no_file_that_it_did_not_write(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = data / "out" / "dev" / "notes.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    assert run(data, "--out", str(data / "out")) == 1
    assert f"{own.parent}: holds notes.txt and is no data directory" in capsys.readouterr().err
    assert [path.name for path in own.parent.iterdir()] == ["notes.txt"]
    own.unlink()
    (own.parent / "text").write_text("s-four fo")  # of a copy that was killed
    assert run(data, "--out", str(data / "out")) == 0
    own.write_text("mine")
    (own.parent / "stm").write_text("of a source that had one")
    assert run(data, "--out", str(data / "out")) == 0
    assert own.read_text() == "mine"
    assert not (own.parent / "stm").exists()


def read_only(*args: object, **kwargs: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_copy_overwrites_no_data_from_elsewhere(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`features A/dev --out data` replaced an unrelated data/dev, features and all, without a word."""
    other = data / "other" / "dev"
    datadir.write(dataclasses.replace(datadir.read(data / "train"), path=other))
    before = {path: path.read_bytes() for path in other.iterdir()}
    assert run(data, "--out", str(data / "other")) == 1
    refusal = f"{other}: holds other data, not copied from {data / 'dev'}; name another folder, or remove it"
    assert refusal in capsys.readouterr().err
    assert {path: path.read_bytes() for path in other.iterdir()} == before
    # The same data, as of an earlier version's copy, or of folders that have been moved, become a copy.
    datadir.write(dataclasses.replace(datadir.read(data / "dev"), path=other))
    assert run(data, "--out", str(data / "other")) == 0
    # So do those that can be read only, without a note of it.
    (other / "copied_from").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.mkstemp", read_only)
        assert run(data, "--out", str(data / "other")) == 0
    assert not (other / "copied_from").exists()
    # What else is written there is no copy.
    datadir.write(dataclasses.replace(datadir.read(data / "train"), path=other))
    assert run(data, "--out", str(data / "other")) == 1
    assert refusal in capsys.readouterr().err


def test_no_file_of_a_killed_process_is_left_over(data: Path, leave_half: Callable[[Path], None]) -> None:
    """What it was writing stayed in the data directories for good: tables, features, statistics."""
    out = data / "out"
    for name in ("train/text", "out/train/text", "out/train/feats.scp", "out/dev/features.json"):
        leave_half(data / name)
    datadir.write(datadir.read(data / "train"))
    assert run(data, "--out", str(out)) == 0
    assert not list(data.rglob(".*.tmp"))
    (out / "train" / "cmvn.ark").unlink()
    leave_half(out / "train" / "cmvn.ark")
    assert run(data, "--out", str(out)) == 0
    assert not list(data.rglob(".*.tmp"))


def test_two_directories_of_one_name_are_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "other").mkdir()
    (data / "dev").rename(data / "other" / "train")
    folders = [str(data / "train"), str(data / "other" / "train")]
    options = ["--config", str(data / "c.yaml"), "--nj", "1", "--out", str(data / "out")]
    assert main(["features", *folders, *options]) == 1
    assert (
        f"{data / 'train'} and {data / 'other' / 'train'} would share the folder" in capsys.readouterr().err
    )
    assert main(["features", folders[0], *options[:-1], str(data)]) == 1
    assert "is the source itself" in capsys.readouterr().err
