"""`egs/wsj/run.sh` from stage 0 to 7 on a fake WSJ with all its quirks; a tiny network reads its tones."""

import json
from pathlib import Path

import pytest

from asr_topdown import config, layers
from asr_topdown.build import build_model
from asr_topdown.corpora.fake import wsj as fake
from asr_topdown.features.front_end import front_end_dim

SIZES = {
    "train_si84": (4, 70),
    "train_wsj1": (4, 70),
    "test_dev93": (2, 12),
    "test_eval92": (2, 12),
    "test_eval93": (1, 2),
}
TINY = """
include: [blstm_ctc.yaml]
features: {fbank: {num_mels: 20}, deltas: 0}
model: {layers: 2, cells: 32, projection: 0, stack: 3, subsample: []}
train: {epochs: 8, patience: 8, utterances_per_batch: 8, optimizer: {name: adam, lr: 0.01, plateau: none}}
schedule: {controls: [freeze_lowest]}
"""


@pytest.fixture
def discs(tmp_path: Path) -> fake.FakeWsj:
    return fake.write(tmp_path / "ldc", SIZES, engine="tones", seconds_each=0.05)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_from_discs_to_report(discs, copy, run_recipe):
    recipe = copy / "egs" / "wsj"
    (recipe / "conf" / "tiny.yaml").write_text(TINY)
    options = [
        "--wsj0",
        str(discs.wsj0),
        "--wsj1",
        str(discs.wsj1),
        "--config",
        "conf/tiny.yaml",
        "--tag",
        "tiny",
    ]
    done = run_recipe("wsj", *options)
    assert done.returncode == 0, done.stdout
    assert "this copy differs from the distribution" in done.stdout

    for part in ("test_dev93", "test_eval92"):
        lines = (recipe / "data" / part / "text").read_text().splitlines()
        assert dict(line.split(" ", 1) for line in lines) == discs.texts[part]
    assert "<NOISE> " in (recipe / "data" / "tokens.txt").read_text()

    exp = recipe / "exp" / "tiny"
    results = [json.loads(path.read_text()) for path in (exp / "decode").glob("*/test_eval92/result.json")]
    assert len(results) >= 3  # joint, at least one step down, the lowest layer frozen
    # Guessing gives about 90 %.
    assert min(result["cer"] for result in results) < 0.5
    assert "CER" in (exp / "report" / "report.md").read_text()

    again = run_recipe("wsj", *options)
    assert again.stdout.count("up to date (to do it again") == 7  # all but the score's table

    part = run_recipe("wsj", *options, "--subset", "p20", "--tag", "p20", "--stop-stage", "3")
    assert part.returncode == 0, part.stdout
    assert names(recipe / "data") >= {
        f"train_si284_{p}" for p in ("p05", "p10", "p20", "p40", "p80", "unseen")
    }
    assert len((recipe / "data/train_si284_p20/text").read_text().splitlines()) == 28
    (node,) = (recipe / "exp" / "p20" / "nodes").iterdir()
    assert json.loads((node / "done.json").read_text())["epochs"] >= 1


def test_without_discs_one_line_says_what_is_wanted(copy, run_recipe):
    done = run_recipe("wsj", "--stop-stage", "0")
    assert done.returncode == 1
    assert "prepare: error: where are LDC's discs? name their folders: --wsj0 DIR --wsj1 DIR" in done.stdout


def test_table_2_runs_every_row(copy, run_recipe):
    """With a stand-in for the program: what would be run."""
    command = copy / "bin" / "asr-topdown"
    command.write_text('#!/bin/sh\n[ "$1" != topdown ] || echo "$@" >>calls\n')
    recipe = copy / "egs" / "wsj"
    assert run_recipe("wsj", "--table", "1").returncode == 2
    for name in (
        "tokens.txt",
        *(f"{part}/{file}" for part in ("train_si284", "test_dev93") for file in ("feats.scp", "text")),
    ):
        (recipe / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (recipe / "data" / name).touch()
    lines = (recipe / "conf" / "table2.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    for name, tag, results, *_ in rows:
        assert (recipe / "conf" / f"{name}.yaml").is_file()
        (recipe / "exp" / tag / "results").mkdir(parents=True, exist_ok=True)
        (recipe / "exp" / tag / "results" / f"{results}.json").touch()
    done = run_recipe("wsj", "--table", "2", "--stage", "4", "--stop-stage", "4")
    assert done.returncode == 0, done.stdout
    calls = [line.split() for line in (recipe / "calls").read_text().splitlines()]
    assert len({(tag, results) for _, tag, results, *_ in rows}) == len(calls)
    for call, (name, tag, results, seeds, *source) in zip(calls, rows, strict=True):
        assert f"conf/{name}.yaml" in call
        assert f"exp/{tag}" in call
        assert call[call.index("--results") + 1] == results
        assert f"schedule.seeds=[{seeds}]" in call
        assert [word for word in call if word.startswith("schedule.source=")] == [
            f"schedule.source={one}" for one in source
        ]


@pytest.mark.parametrize(
    ("name", "size", "dropout"),
    [("blstm_ctc", 123, 0.0), ("blstm_ctc_dropout", 123, 0.5), ("blstm_ctc_80mel", 80, 0.0)],
)
def test_the_rows_of_table_2(repository, name, size, dropout):
    row = config.load(repository / "egs" / "wsj" / "conf" / f"{name}.yaml")
    assert front_end_dim(row.features.fbank, row.features.deltas) == size
    assert (row.model.layers, row.model.cells, row.model.dropout) == (4, 320, dropout)
    assert row.train.patience == 5
    assert "freeze_lowest" in row.schedule.controls


TINY_A = """
include: [blstm_ctc_attention.yaml]
features: {fbank: {num_mels: 20, energy: false}, deltas: 0}
model:
  encoder: {layers: 1, cells: 32, projection: 24, stack: 3, subsample: []}
  decoder: {embedding: 8, cells: 24, attention: 16, filters: 2, width: 5}
train: {epochs: 4, patience: 4, utterances_per_batch: 8, optimizer: {name: adam, lr: 0.01, plateau: none}}
schedule: {groups: {network: [blstm.0, decoder]}, controls: []}
decode: {beam: 2}
"""
TINY_B = (
    TINY_A.replace("blstm_ctc_attention.yaml", "vgg_ctc_attention.yaml")
    .replace("stack: 3, subsample: []", "channels: 1")
    .replace("[blstm.0,", "[vgg, blstm.0,")
)


@pytest.mark.slow
def test_softmax_layers_from_the_other_architecture(discs, copy, run_recipe):
    """Rows "A", "B" and "A, softmax layers frozen from B" of Table 2, in small, in one folder."""
    recipe = copy / "egs" / "wsj"
    (recipe / "conf" / "a.yaml").write_text(TINY_A)
    (recipe / "conf" / "b.yaml").write_text(TINY_B)
    for name, results, source in (("b", "B", []), ("a", "A", []), ("a", "A_from_B", ["--source", "B"])):
        done = run_recipe(
            "wsj", "--wsj0", str(discs.wsj0), "--wsj1", str(discs.wsj1), "--config", f"conf/{name}.yaml",
            "--tag", "both", "--results", results, *source, "--stop-stage", "6",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
    exp = recipe / "exp" / "both"
    studies = {
        tag: json.loads((exp / "results" / f"{tag}.json").read_text())["searches"][0]["steps"]
        for tag in ("A", "B", "A_from_B")
    }
    joint, moved = studies["A_from_B"]
    assert joint["node"] == studies["A"][0]["node"]
    node = json.loads((exp / "nodes" / moved["node"] / "node.json").read_text())
    assert (node["parent"]["node"], node["frozen"]) == (studies["B"][0]["node"], ["softmax"])
    assert len(list((exp / "decode").glob("*/test_eval92/result.json"))) == 5
    assert "A_from_B, seed 1: joint against top-down (classifier of B (joint))" in done.stdout


def test_softmax_layers_of_a_fit_b(repository):
    """Table 2 freezes those of one architecture in the other."""
    conf = repository / "egs" / "wsj" / "conf"
    a, b = (
        build_model(config.load(conf / f"{kind}_ctc_attention.yaml"), units=49) for kind in ("blstm", "vgg")
    )
    layers.transplant(a.state_dict(), b, ["softmax"])
    assert layers.fingerprint(a, ["softmax"]) == layers.fingerprint(b, ["softmax"])
