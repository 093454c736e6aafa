"""`egs/yesno/run.sh` from stage 0 to 7 on sixty invented recordings: the toy that fast tests train."""

import json
import random
import shutil

import pytest

from asr_topdown.runs.store import Store

# Two trainings of a few epochs: joint, and everything below the softmax again.
QUICK = ("--set", "train.epochs=6", "--set", "train.optimizer.lr=0.02", "--set", "schedule.controls=[]")
QUICK += ("--set", "schedule.groups={network: [blstm.0, blstm.1]}")


@pytest.fixture
def recordings(tmp_path, write_tones):
    """`0_1_…_1.wav`: eight words, each a tone of its own."""
    draw = random.Random(1)
    names = {"_".join(draw.choices("01", k=8)) for _ in range(60)}
    for name in names:
        words = (symbol for digit in name.split("_") for symbol in {"0": "aa ", "1": "bb "}[digit])
        write_tones(tmp_path / "sounds" / f"{name}.wav", words, seconds_each=0.04)
    return tmp_path / "sounds"


def test_a_corpus_of_ones_own_from_sound_to_report(recordings, copy, run_recipe, done_work):
    options = ["--yesno", str(recordings), "--nj", "1", *QUICK]
    done = run_recipe("yesno", *options)
    assert done.returncode == 0, done.stdout

    recipe = copy / "egs" / "yesno"
    sizes = [
        len((recipe / "data" / part / "text").read_text().splitlines()) for part in ("train", "dev", "test")
    ]
    assert sum(sizes) == len(list(recordings.iterdir()))
    exp = recipe / "exp" / "blstm_ctc"
    (search,) = Store(exp).load_results("study")
    assert (exp / "models" / "joint_seed1").resolve() == (exp / "nodes" / search.steps[0].node).resolve()
    assert (exp / "models" / "final_seed1").resolve() == (exp / "nodes" / search.final).resolve()
    made = [json.loads(path.read_text()) for path in (exp / "decode").glob("*/test/result.json")]
    assert len(made) == len(search.steps) == 2  # joint, and one step down
    assert min(one["wer"] for one in made) < 0.1  # guessing gives about 50 %
    assert "WER" in (exp / "report" / "report.md").read_text()

    before = done_work(exp)
    assert run_recipe("yesno", *options, "--stage", "1", "--stop-stage", "5").returncode == 0
    assert done_work(exp) == before


def test_other_sound_under_the_same_names_is_read(recordings, tmp_path, copy, run_recipe, write_tones):
    """The tables are the same, but not the sound."""
    other = tmp_path / "other"
    for path in recordings.iterdir():
        write_tones(other / path.name, "cc dd", seconds_each=0.3)
    found = []
    for folder in (recordings, other):
        done = run_recipe("yesno", "--yesno", str(folder), "--nj", "1", "--stop-stage", "1")
        assert done.returncode == 0, done.stdout
        (features,) = (copy / "egs" / "yesno" / "data").glob("features-*/train")
        found.append((features / "feats.scp").read_text())
    assert found[0] != found[1]


@pytest.mark.slow
def test_what_has_changed_is_done_again(recordings, copy, run_recipe, done_work):
    """A corrected transcript reaches scores and report; deleted trainings are repeated."""
    options = ["--yesno", str(recordings), "--nj", "1", *QUICK]
    assert run_recipe("yesno", *options).returncode == 0
    recipe = copy / "egs" / "yesno"
    exp = recipe / "exp" / "blstm_ctc"
    kept = (exp / "results" / "test" / "study.txt", exp / "report" / "report.md")
    before = [path.read_text() for path in kept]
    trained = {path: time for path, time in done_work(exp).items() if path.name == "done.json"}
    text = recipe / "data" / "test" / "text"
    text.write_text(text.read_text().replace("YES", "NO"))
    done = run_recipe("yesno", *options)
    assert done.returncode == 0, done.stdout
    assert [path.read_text() for path in kept] != before
    assert kept[0].read_text() != before[0]
    assert kept[1].read_text() != before[1]
    after = done_work(exp)
    assert {path: after[path] for path in trained} == trained

    shutil.rmtree(exp / "nodes")
    assert run_recipe("yesno", *options, "--stage", "3", "--stop-stage", "4").returncode == 0
    assert {path.parent.name for path in done_work(exp) if path.name == "done.json"} == {
        path.parent.name for path in trained
    }


def test_two_front_ends_stand_side_by_side(recordings, copy, run_recipe):
    options = ["--yesno", str(recordings), "--nj", "1", "--stop-stage", "2"]
    for settings in ([], ["--set", "features.fbank.num_mels=23"], ["--set", "text.unit=char"]):
        done = run_recipe("yesno", *options, *settings)
        assert done.returncode == 0, done.stdout
    data = copy / "egs" / "yesno" / "data"
    dims = {json.loads(path.read_text())["dim"] for path in data.glob("features-*/train/features.json")}
    assert dims == {40, 23}
    units = {path.read_text().splitlines()[0] for path in data.glob("tokens-*/tokens.txt")}
    assert units == {"# unit: word", "# unit: char"}


def test_a_download_leaves_the_recordings_and_their_archive(recordings, copy, run_recipe):
    """Also what an earlier, killed unpacking left goes."""
    recipe = copy / "egs" / "yesno"
    archive = "-czf downloads/waves_yesno.tar.gz"
    pack = f"tar -C {recordings.parent} --transform s,^sounds,waves_yesno, {archive} sounds"
    for name, does in (("curl", pack), ("sha256sum", "cat")):
        (copy / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (copy / "bin" / name).chmod(0o755)
    (recipe / "downloads" / "waves_yesno.part" / "waves_yesno").mkdir(parents=True)
    done = run_recipe("yesno", "--stop-stage", "0")
    assert done.returncode == 0, done.stdout
    left = sorted(path.name for path in (recipe / "downloads").iterdir())
    assert left == ["waves_yesno", "waves_yesno.tar.gz"]
    assert len(list((recipe / "downloads" / "waves_yesno").iterdir())) == len(list(recordings.iterdir()))
