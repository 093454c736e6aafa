"""`egs/wikitext2/run.sh` from stage 0 to 7 on a toy text; a tiny network learns it."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

TINY = """
include: [../../../conf/schedules/freeze_top.yaml]
model: {kind: awd_lstm, embedding_size: 8, hidden_size: 10, num_layers: 3, input_dropout: 0.1}
language_model: {batch: 4, dev_batch: 2, bptt: 12}
train:
  epochs: 3
  patience: 0
  metric: loss
  grad_clip: 0.25
  optimizer: {name: nt_asgd, lr: 10, plateau_patience: 1}
"""


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder as WikiText-2 comes: three texts; one word is rare."""
    draw, folder = random.Random(1), tmp_path / "texts"
    folder.mkdir()
    for part, lines in (("train", 120), ("valid", 40), ("test", 40)):
        rows = [" " + " ".join(draw.choices("abcdefg", k=8)) + " \n" for _ in range(lines)]
        (folder / f"wiki.{part}.tokens").write_text(" \n = Title = \n" + "".join(rows) + " rare \n")
    return folder


@pytest.mark.slow
def test_from_texts_to_report(
    texts: Path, copy: Path, run_recipe: Callable, done_work: Callable[[Path], dict[Path, int]]
) -> None:
    recipe = copy / "egs" / "wikitext2"
    (recipe / "conf" / "tiny.yaml").write_text(TINY)
    options = ["--wikitext2", str(texts), "--config", "conf/tiny.yaml", "--tag", "tiny", "--nj", "1"]
    options += ["--share", "1", "--min-count", "2", "--seeds", "1,2"]
    done = run_recipe("wikitext2", *options)
    assert done.returncode == 0, done.stdout

    data = recipe / "data" / "share1-min2"
    assert "rare" not in (data / "words.txt").read_text().split()
    exp = recipe / "exp" / "tiny"
    searches = json.loads((exp / "results" / "study.json").read_text())["searches"]
    assert [one["search"] for one in searches] == ["freeze_top", "freeze_top"]
    nodes = [path for path in (exp / "nodes").iterdir() if (path / "done.json").exists()]
    assert len(nodes) == 8  # one baseline and three retrainings for each of two seeds, as in Table 4
    for node in nodes:
        result = json.loads((exp / "decode" / node.name / "test" / "result.json").read_text())
        assert 1 < result["ppl"] < 14  # eleven words
    report = (exp / "report" / "report.md").read_text()
    assert "top frozen, the rest retrained from the same initial weights" in report
    assert "test perplexity" in report
    assert "Missing" not in report
    assert (exp / "report" / "curves-study-seed1.png").exists()
    table = report[report.index("| system") : report.index("[`systems-study.csv`]")]
    assert table.strip() in done.stdout

    before = done_work(exp)
    again = run_recipe("wikitext2", *options)
    assert again.returncode == 0, again.stdout
    assert done_work(exp) == before


@pytest.mark.slow
def test_slices_go_on_where_the_last_one_stopped(texts: Path, copy: Path, run_recipe: Callable) -> None:
    recipe = copy / "egs" / "wikitext2"
    (recipe / "conf" / "tiny.yaml").write_text(TINY)
    options = ["--wikitext2", str(texts), "--config", "conf/tiny.yaml", "--device", "cpu"]
    options += ["--precision", "float32", "--epochs", "2"]
    first = run_recipe("wikitext2", *options, "--seconds", "1", script="local/gpu_slice.sh")
    assert first.returncode == 0, first.stdout
    assert "call it again to go on (2 epochs of each training)" in first.stdout
    rest = run_recipe("wikitext2", *options, "--seconds", "1000", script="local/gpu_slice.sh")
    assert rest.returncode == 0, rest.stdout
    exp = recipe / "exp" / "awd_lstm_slices"
    (search,) = json.loads((exp / "results" / "study.json").read_text())["searches"]
    assert [step["point"] for step in search["steps"]] == [None, {"repeat": 1}]
    assert "test perplexity" in (exp / "report" / "report.md").read_text()
