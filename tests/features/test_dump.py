import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
import torch

from asr_topdown import files
from asr_topdown.audio import Clip, read
from asr_topdown.engines import interruption
from asr_topdown.engines.engine_config import EngineConfig, open_engine
from asr_topdown.features import ark, content, store
from asr_topdown.features import dump as dump_module
from asr_topdown.features.dump import dump
from asr_topdown.features.fbank_options import FbankOptions
from asr_topdown.features.front_end import front_end

FBANK = FbankOptions(sample_rate=8000, num_mels=20)


@pytest.fixture
def clips(tmp_path: Path, write_tones: Callable[..., Path]) -> dict[str, Clip]:
    """Seven utterances, not in order."""
    folder = tmp_path / "sounds"
    return {
        f"spk-{word}": Clip(str(write_tones(folder / f"{word}.wav", word)))
        for word in ("seven", "six", "five", "four", "three", "two", "one")
    }


def table(path: Path) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in path.read_text().splitlines())


def contents(folder: Path) -> dict[str, np.ndarray]:
    return {utterance: store.load(entry, folder) for utterance, entry in table(folder / "feats.scp").items()}


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.suffix in (".ark", ".tmp"))


@pytest.mark.parametrize("nj", [1, 3, 50])
def test_dumps_what_the_front_end_gives(nj: int, clips: dict[str, Clip], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dumped = dump(clips, folder, fbank=FBANK, deltas=1, nj=nj)
    scp, frames = table(folder / "feats.scp"), table(folder / "utt2num_frames")
    assert list(scp) == list(frames) == sorted(clips)
    assert len(leftovers(folder)) == min(nj, 7)
    for utterance, clip in clips.items():
        feats = kaldiio.load_mat(scp[utterance])
        assert feats.dtype == np.float32
        np.testing.assert_array_equal(feats, front_end(*read(clip), FBANK, 1).numpy())
        assert len(feats) == int(frames[utterance])
    assert dumped == (7, sum(map(int, frames.values())), True, {}, [])
    # An ark holds its utterances under their ids, for Kaldi's `ark:`.
    names = [key for path in sorted((folder / "feats").iterdir()) for key, _ in kaldiio.load_ark(str(path))]
    assert sorted(names) == sorted(clips)


def test_an_engine_dumps_the_same(clips: dict[str, Clip], tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    dump(clips, here, fbank=FBANK, nj=2)
    with open_engine(EngineConfig(workers=2)) as engine:
        dumped = dump(clips, there, fbank=FBANK, nj=2, engine=engine)
        assert not list(there.glob("feats/jobs"))
        with pytest.raises(ValueError, match=r"^utterance spk-two: gone\.wav: no such file$"):
            dump({**clips, "spk-two": Clip("gone.wav")}, there, fbank=FBANK, nj=2, engine=engine)
    assert dumped.fresh
    assert (there / "utt2num_frames").read_text() == (here / "utt2num_frames").read_text()
    mine, theirs = contents(here), contents(there)
    assert list(mine) == list(theirs)
    assert all(np.array_equal(mine[utterance], theirs[utterance]) for utterance in mine)


def test_dither_does_not_depend_on_the_number_of_processes(clips: dict[str, Clip], tmp_path: Path) -> None:
    noisy = FbankOptions(sample_rate=8000, num_mels=20, dither=1.0)
    for nj in (1, 2):
        dump(clips, tmp_path / str(nj), fbank=noisy, nj=nj)
    one, two = contents(tmp_path / "1"), contents(tmp_path / "2")
    for utterance, feats in one.items():
        np.testing.assert_array_equal(feats, two[utterance])


def test_what_is_there_is_kept_until_something_changes(clips: dict[str, Clip], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = dump(clips, folder, fbank=FBANK)
    (folder / "cmvn.ark").write_bytes(b"of these features")
    arks = leftovers(folder)
    assert dump(clips, folder, fbank=FBANK, nj=2) == (first.utterances, first.frames, False, {}, [])
    assert (folder / "cmvn.ark").exists()
    # other options, a changed recording, another clip, a lost archive: computed again
    assert dump(clips, folder, fbank=FBANK, deltas=1).fresh
    assert not (folder / "cmvn.ark").exists()
    assert set(leftovers(folder)).isdisjoint(arks)  # the old archives are gone
    sound = Path(clips["spk-two"].source)
    later = sound.stat().st_mtime_ns + 10**9
    os.utime(sound, ns=(later, later))
    assert dump(clips, folder, fbank=FBANK, deltas=1).fresh
    assert dump(clips | {"spk-two": Clip(str(sound), end=0.1)}, folder, fbank=FBANK, deltas=1).fresh
    for path in (folder / "feats").iterdir():
        path.unlink()
    assert dump(clips | {"spk-two": Clip(str(sound), end=0.1)}, folder, fbank=FBANK, deltas=1).fresh
    (folder / "features.json").write_text("{}")
    assert dump(clips, folder, fbank=FBANK).fresh


def test_an_archive_of_sound_that_changes_is_read_again(clips: dict[str, Clip], tmp_path: Path) -> None:
    """A place in it is the same for sounds of the same length."""
    archive, folder = tmp_path / "x.ark", tmp_path / "data"
    one, two = (Path(clips[f"spk-{word}"].source).read_bytes() for word in ("one", "two"))
    archive.write_bytes(b"spk-one " + one)
    there = {"spk-one": Clip(f"{archive}:8")}
    assert dump(there, folder, fbank=FBANK).fresh
    before = contents(folder)["spk-one"]
    assert not dump(there, folder, fbank=FBANK).fresh
    archive.write_bytes(b"spk-two " + two)
    assert dump(there, folder, fbank=FBANK).fresh
    assert not np.array_equal(contents(folder)["spk-one"], before)


def test_paths_work_from_the_recipe_and_after_a_move(
    clips: dict[str, Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train = Path("data/train")
    dump(clips, train, fbank=FBANK, nj=2)
    entry = table(train / "feats.scp")["spk-two"]
    assert entry.startswith("data/train/feats/feats.")
    expected = kaldiio.load_mat(entry)
    # A subset has another folder's archives.
    subset = Path("data/some")
    subset.mkdir()
    (subset / "feats.scp").write_text(f"spk-two {entry}\n")
    np.testing.assert_array_equal(store.load(entry, subset), expected)
    Path("data").rename("moved")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for folder in (tmp_path / "moved/train", Path("../moved/some")):
        np.testing.assert_array_equal(store.load(entry, folder), expected)


def test_a_copy_reads_its_own_archives(clips: dict[str, Clip], tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "train", tmp_path / "two" / "train"
    dump(clips, one, fbank=FBANK)
    shutil.copytree(one, two)
    entry = table(two / "feats.scp")["spk-two"]
    assert store.locate(entry, two).startswith(str(two))
    # New features of the original never come in place of the copy's: their archives have other names.
    dump(clips, one, fbank=FBANK, deltas=2)
    assert store.load(entry, two).shape[1] == 20


@pytest.mark.parametrize("table_name", ["feats.scp", "utt2num_frames"])
@pytest.mark.parametrize("change", ["a line is lost", "a number is wrong", "nothing is left"])
def test_tables_that_were_changed_are_written_again(
    change: str, table_name: str, clips: dict[str, Clip], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    dump(clips, folder, fbank=FBANK)
    path = folder / table_name
    whole = path.read_text()
    first, rest = whole.split("\n", 1)
    path.write_text({"a line is lost": rest, "a number is wrong": f"{first}9\n{rest}"}.get(change, ""))
    assert dump(clips, folder, fbank=FBANK).fresh
    assert path.read_text() == whole
    assert not dump(clips, folder, fbank=FBANK).fresh


def test_archives_of_other_programs_stay_in_folders_called_feats(
    clips: dict[str, Clip], tmp_path: Path
) -> None:
    """`feats.scp` is their only index, and they are not in the way."""
    folder = tmp_path / "data"
    (folder / "feats").mkdir(parents=True)
    archive, scp = folder / "feats" / "feats.1.ark", folder / "feats.scp"
    archive.write_bytes(b"another's")
    scp.write_text(f"spk-two {archive}:4\n")
    with pytest.raises(ValueError, match=r"feats\.scp: features made elsewhere are not overwritten"):
        dump(clips, folder, fbank=FBANK)
    scp.unlink()
    dump(clips, folder, fbank=FBANK)
    dump(clips, folder, fbank=FBANK, deltas=1)
    assert archive.read_bytes() == b"another's"
    assert len(list(archive.parent.iterdir())) == 2


def test_missing_and_damaged_archives_are_named(clips: dict[str, Clip], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dump(clips, folder, fbank=FBANK)
    entry = table(folder / "feats.scp")["spk-two"]
    archive = next((folder / "feats").iterdir())
    data = archive.read_bytes()
    for damaged in (data[:200], b"x" * len(data), b""):
        archive.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{archive.name}:\d+: .+"):
            store.load(entry, folder)
    archive.unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"{archive.name}:\d+: no such file; run `asr-topdown features"
    ):
        store.load(entry, folder)


def bad_rate(path: Path) -> str:
    soundfile.write(path, np.zeros(16000), 16000)
    return (
        r".*bad\.wav: sampling rate is 16000 Hz, features\.fbank\.sample_rate is 8000 "
        r"\(a file `sample_rate` with that number in the data directory resamples\)$"
    )


def bad_bytes(path: Path) -> str:
    path.write_bytes(b"no sound")
    return r".*bad\.wav: cannot be decoded"


def bad_samples(path: Path) -> str:
    soundfile.write(path, np.array([0, np.nan, 0]), 8000, subtype="FLOAT")
    return r".*bad\.wav: has samples that are not finite"


def bad_path(path: Path) -> str:
    return r".*bad\.wav: no such file"


@pytest.mark.parametrize("nj", [1, 2])
@pytest.mark.parametrize("fault", [bad_rate, bad_bytes, bad_samples, bad_path])
def test_a_bad_recording_is_named_and_nothing_is_left(
    fault: Callable[[Path], str], nj: int, clips: dict[str, Clip], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.wav"
    message = fault(bad)
    folder = tmp_path / "data"
    with pytest.raises(ValueError, match=rf"^utterance spk-oops:? ?{message}") as caught:
        dump(clips | {"spk-oops": Clip(str(bad))}, folder, fbank=FBANK, nj=nj)
    assert "\n" not in str(caught.value)
    assert not (folder / "feats.scp").exists()
    assert not [name for name in leftovers(folder) if name.endswith(".tmp")]


@pytest.mark.parametrize("nj", [1, 3])
def test_all_culprits_are_named_at_once(nj: int, clips: dict[str, Clip], tmp_path: Path) -> None:
    bad = {f"spk-x{n:02}": Clip(f"nowhere/{n}.wav") for n in range(15)}
    with pytest.raises(ValueError, match="no such file") as caught:
        dump(clips | bad, tmp_path, fbank=FBANK, nj=nj)
    lines = str(caught.value).splitlines()
    assert lines[:10] == [f"utterance spk-x{n:02}: nowhere/{n}.wav: no such file" for n in range(10)]
    assert lines[10:] == ["... and 5 more"]
    assert leftovers(tmp_path) == []


def with_odd_segments(clips: dict[str, Clip]) -> dict[str, Clip]:
    """One that is cut, and three without sound; of spk-two there are 0.24 s."""
    sound = clips["spk-two"].source
    return clips | {
        "spk-a-cut": Clip(sound, start=0.1, end=0.6),
        "spk-b-behind": Clip(sound, start=0.3, end=0.5),
        "spk-c-too-far": Clip(sound, start=0.1, end=2.0),
        "spk-d-short": Clip(sound, start=0.1, end=0.11),
    }


def test_what_kaldi_cuts_is_cut_and_what_it_drops_is_dropped(clips: dict[str, Clip], tmp_path: Path) -> None:
    odd, sound = with_odd_segments(clips), clips["spk-two"].source
    dumped = dump(odd, tmp_path, fbank=FBANK, nj=2)
    assert (dumped.utterances, dumped.fresh) == (8, True)
    assert list(dumped.dropped) == ["spk-b-behind", "spk-c-too-far", "spk-d-short"]
    assert dumped.dropped["spk-b-behind"] == (
        f"{sound}: a clip starts at 0.3 s and ends at 0.5 s, the sound lasts 0.240 s"
    )
    assert dumped.dropped["spk-d-short"].startswith(f"{sound}: too short for one frame: 80 samples")
    assert dumped.remarks == [f"{sound}: cut a clip that ends at 0.6 s, the sound lasts 0.240 s"]
    scp = table(tmp_path / "feats.scp")
    assert scp.keys() == odd.keys() - dumped.dropped.keys()
    expected = front_end(*read(Clip(sound, start=0.1)), FBANK)
    np.testing.assert_array_equal(store.load(scp["spk-a-cut"], tmp_path), expected)
    # What is there already says the same.
    again = dump(odd, tmp_path, fbank=FBANK, nj=2)
    assert again == dumped._replace(fresh=False)
    assert content.left_out(tmp_path) == dict(dumped.dropped)


def test_strict_refuses_what_would_be_cut_or_dropped(clips: dict[str, Clip], tmp_path: Path) -> None:
    odd = with_odd_segments(clips)
    for _ in range(2):  # also where they have been computed
        with pytest.raises(ValueError, match="utterance spk-b-behind") as caught:
            dump(odd, tmp_path, fbank=FBANK, strict=True)
        assert len(str(caught.value).splitlines()) == 4
        dump(odd, tmp_path, fbank=FBANK)
    dump(clips, tmp_path, fbank=FBANK, strict=True)


def test_remarks_on_a_recording_are_made_once(clips: dict[str, Clip], tmp_path: Path) -> None:
    sound = Path(clips["spk-two"].source)
    sound.write_bytes(sound.read_bytes()[:-100])
    whole = {"a": Clip(str(sound))}
    segments = {f"b{n}": Clip(str(sound), end=0.1 + n / 100) for n in range(9)}
    dumped = dump(whole | segments, tmp_path / "data", fbank=FBANK, nj=3)
    assert dumped.remarks == [f"{sound}: truncated: 3740 of 3840 bytes of sound"]


def test_where_nothing_has_sound_there_are_no_features(clips: dict[str, Clip], tmp_path: Path) -> None:
    silent = {name: clip._replace(start=9.0) for name, clip in clips.items()}
    with pytest.raises(ValueError, match=r"no utterance has sound; spk-five: .*starts at 9 s"):
        dump(silent, tmp_path, fbank=FBANK)
    assert leftovers(tmp_path) == []


def test_old_features_outlive_a_failure(clips: dict[str, Clip], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dump(clips, folder, fbank=FBANK)
    before = contents(folder)
    with pytest.raises(ValueError, match="utterance spk-x"):
        dump(clips | {"spk-x": Clip("nowhere.wav")}, folder, fbank=FBANK)
    for utterance, feats in contents(folder).items():
        np.testing.assert_array_equal(feats, before[utterance])


def test_a_full_disk_is_told_once(
    clips: dict[str, Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ark, "save", full)
    folder = tmp_path / "data"
    with pytest.raises(OSError, match=r"cannot write .*\.ark: No space left on device") as caught:
        dump(clips, folder, fbank=FBANK)
    assert caught.value.errno == errno.ENOSPC
    assert leftovers(folder) == []


def test_a_process_that_dies_is_an_error(clips: dict[str, Clip], tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"features .*, part \d of 2: its process was killed by SIGKILL"):
        dump(clips | {"spk-a": Clip("kill -9 $PPID |")}, tmp_path / "data", fbank=FBANK, nj=2)
    assert not (tmp_path / "data" / "feats.scp").exists()


def test_nothing_to_do_is_an_error(clips: dict[str, Clip], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no utterances"):
        dump({}, tmp_path, fbank=FBANK)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        dump(clips, tmp_path, fbank=FBANK, nj=0)


def test_features_made_elsewhere_are_not_overwritten(clips: dict[str, Clip], tmp_path: Path) -> None:
    lines = "".join(
        f"{name} /corpora/mfcc/raw_mfcc_train.1.ark:{place}\n" for place, name in enumerate(clips)
    )
    (tmp_path / "feats.scp").write_text(lines)
    with pytest.raises(ValueError, match=r"feats\.scp: features made elsewhere are not overwritten"):
        dump(clips, tmp_path, fbank=FBANK)
    assert (tmp_path / "feats.scp").read_text() == lines


def test_one_process_leaves_the_number_of_threads_alone(clips: dict[str, Clip], tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        dump(clips, tmp_path / "data", fbank=FBANK)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


SLOW = """
import sys
from asr_topdown.audio import Clip
from asr_topdown.features.dump import dump
from asr_topdown.features.fbank_options import FbankOptions
if __name__ == "__main__":
    sound, pids, folder = sys.argv[1:]
    command = f"echo $PPID >> {pids}; sleep 0.15; cat {sound} |"
    clips = {f"spk-{n:03}": Clip(command) for n in range(int(200))}
    dump(clips, folder, fbank=FbankOptions(sample_rate=8000, num_mels=20), nj=2)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_leaves_nothing_half_written(
    how: signal.Signals, clips: dict[str, Clip], tmp_path: Path, repository: Path
) -> None:
    script, pids, folder = tmp_path / "slow.py", tmp_path / "pids", tmp_path / "data"
    script.write_text(SLOW)
    sound = clips["spk-two"].source
    running = subprocess.Popen(
        [sys.executable, str(script), sound, str(pids), str(folder)],
        env={**os.environ, "PYTHONPATH": str(repository)},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not pids.exists() or len(set(pids.read_text().split())) < 2:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(how)
    assert running.wait(30) != 0
    assert not list(folder.glob("feats.scp"))
    assert not list(folder.rglob("*.ark"))
    # The other processes notice, and remove what they were writing.
    workers = [int(pid) for pid in set(pids.read_text().split())]
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert leftovers(folder) == []
    assert dump(clips, folder, fbank=FBANK).fresh


def test_a_command_is_run_again_after_a_kill_beside_the_last_file(
    clips: dict[str, Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of the attempt stayed, and with it what the command gave then, for ever."""
    sound, write = tmp_path / "sound.wav", files.write_json
    shutil.copyfile(clips["spk-two"].source, sound)
    piped = {"spk-two": Clip(f"cat {sound} |")}

    def killed(path: Path, value: object) -> None:
        write(path, value)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            dump(piped, tmp_path / "data", fbank=FBANK)
    shutil.copyfile(clips["spk-seven"].source, sound)
    assert dump(piped, tmp_path / "data", fbank=FBANK).fresh
    samples, rate = read(Clip(str(sound)))
    feats = front_end(samples, rate, FBANK, 0).numpy()
    np.testing.assert_array_equal(contents(tmp_path / "data")["spk-two"], feats)


@pytest.mark.parametrize(
    ("how", "raised"), [(signal.SIGTERM, interruption.Interrupted), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_request_to_end_beside_the_last_file_leaves_nothing_over(
    how: signal.Signals,
    raised: type[BaseException],
    clips: dict[str, Clip],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dump(clips, tmp_path, fbank=FBANK)
    write = files.write_json

    def asked(path: Path, value: object) -> None:
        write(path, value)
        os.kill(os.getpid(), how)

    monkeypatch.setattr(files, "write_json", asked)
    with interruption.listening(signal.SIGTERM), pytest.raises(raised):
        dump(clips, tmp_path, fbank=FBANK, deltas=1)
    assert len(leftovers(tmp_path)) == 1
    assert not dump(clips, tmp_path, fbank=FBANK, deltas=1).fresh


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("name", ["feats.scp", "utt2num_frames", "features.json"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_tables_that_a_crash_has_cut_are_written_again(
    name: str, share: float, clips: dict[str, Clip], tmp_path: Path
) -> None:
    """They were up to date, for ever."""
    folder = tmp_path / "data"
    dump(clips, folder, fbank=FBANK)
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(before[: int(share * len(before))])
    assert dump(clips, folder, fbank=FBANK).fresh
    assert (folder / name).read_bytes() == before
    assert not dump(clips, folder, fbank=FBANK).fresh


def test_what_another_process_is_writing_is_left_alone(clips: dict[str, Clip], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with files.written_aside(folder / "feats" / "feats.0123456789abcdef.1of1.ark") as aside:
        dump(clips, folder, fbank=FBANK)
        assert aside.exists()


@pytest.mark.parametrize("deltas", [0, 1])
def test_two_at_the_same_time_follow_each_other(
    deltas: int, clips: dict[str, Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal ones compute once; of different ones each removes the other's archives when they are finished."""
    extracted, (begun, go_on) = dump_module._extracted, (threading.Event(), threading.Event())

    def wait(*args: object, **kwargs: object) -> object:
        begun.set()
        assert go_on.wait(60)
        return extracted(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(dump_module, "_extracted", wait)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(dump, clips, tmp_path, fbank=FBANK)
        assert begun.wait(60)
        second = threads.submit(dump, clips, tmp_path, fbank=FBANK, deltas=deltas)
        time.sleep(0.3)
        assert not second.done()
        go_on.set()
        assert (first.result().fresh, second.result().fresh) == (True, deltas == 1)
    found = contents(tmp_path)
    assert list(found) == sorted(clips)
    assert all(feats.shape[1] == (1 + deltas) * FBANK.dim for feats in found.values())
