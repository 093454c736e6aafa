"""`egs/yesno/run.sh` from stage 0 to 7 on sixty invented recordings: the toy that fast tests train."""

import json
import random

import pytest

from asr_topdown.runs.store import Store


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
    options = ["--yesno", str(recordings), "--nj", "1", "--set", "schedule.controls=[]"]
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
    assert len(made) == len(search.steps) >= 2  # joint, and at least one step down
    assert min(one["wer"] for one in made) < 0.1  # guessing gives about 50 %
    assert "WER" in (exp / "report" / "report.md").read_text()

    before = done_work(exp)
    assert run_recipe("yesno", *options, "--stage", "1", "--stop-stage", "5").returncode == 0
    assert done_work(exp) == before
