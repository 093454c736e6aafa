"""`egs/librispeech/run.sh` on a fake LibriSpeech; a tiny network reads its tones."""

import json

import pytest

from asr_topdown import config, layers
from asr_topdown.build import build_model
from asr_topdown.corpora.fake import librispeech as fake
from asr_topdown.features.front_end import front_end_dim

TINY = """
include: [blstm_ctc.yaml]
features: {fbank: {num_mels: 20}}
model: {encoder: [{kind: blstm, num_layers: 1, hidden_size: 32, stack: 3}]}
train: {epochs: 8, patience: 8, utterances_per_batch: 8, optimizer: {lr: 0.01}}
schedule: {controls: []}
"""
SIZES = {"train-clean-5": 110, "dev-clean-2": 16, "test-clean": 10, "test-other": 10}
ROWS = ("blstm_ctc", "blstm_ctc_dropout", "blstm_ctc_attention", "vgg_ctc_attention", "conformer_ctc",
        "transformer_ctc_attention")  # fmt: skip


@pytest.fixture
def corpus(tmp_path):
    return fake.write(tmp_path / "slr", SIZES, engine="tones", seconds_each=0.05)


@pytest.mark.slow
def test_from_archives_to_report(corpus, copy, run_recipe, done_work):
    recipe = copy / "egs" / "librispeech"
    (recipe / "conf" / "mini" / "tiny.yaml").write_text(TINY)
    options = ["--librispeech", str(corpus), "--parts", "mini", "--partial", "1", "--nj", "1"]
    options += ["--config", "conf/mini/tiny.yaml"]
    done = run_recipe("librispeech", *options)
    assert done.returncode == 0, done.stdout
    exp = recipe / "exp" / "tiny_mini"
    for part in ("test_clean", "test_other"):
        made = [json.loads(path.read_text()) for path in (exp / "decode").glob(f"*/{part}/result.json")]
        assert len(made) == 2  # joint, and one step down
        assert min(one["cer"] for one in made) < 0.4  # guessing gives about 80 %
        assert (exp / "results" / part).is_dir()
    assert "CER" in (exp / "report" / "report.md").read_text()
    before = done_work(exp)
    assert run_recipe("librispeech", *options).returncode == 0
    assert done_work(exp) == before
    pieces = run_recipe(
        "librispeech", *options, "--set", "text.unit=bpe", "--set", "text.vocab_size=32", "--tag", "bpe",
        "--stage", "2", "--stop-stage", "2",
    )  # fmt: skip
    assert pieces.returncode == 0, pieces.stdout
    units = [path.read_text().splitlines() for path in (recipe / "data" / "mini").glob("tokens-*/tokens.txt")]
    assert ["<blank> 0" in lines for lines in units] == [True, True]
    assert ["# unit: bpe", 33] in [[lines[0], len(lines)] for lines in units]


def test_what_there_is_not_is_refused(copy, run_recipe):
    for options, message in (
        (["--parts", "50"], "--parts 50: must be mini, 100, 460 or 960"),
        (["--table", "1"], "--table 1: of the paper's tables, this recipe has Table 2"),
    ):
        done = run_recipe("librispeech", *options)
        assert (done.returncode, message in done.stdout) == (2, True), done.stdout


STAND_IN = """#!/bin/sh
case $1 in
    config) echo 0123 ;;
    topdown) echo "$@" >>calls ;;
esac
"""


@pytest.mark.parametrize(("parts", "conf"), [("mini", "conf/mini"), ("100", "conf"), ("960", "conf")])
def test_table_2_runs_every_row_in_one_folder(parts, conf, copy, run_recipe, repository):
    (copy / "bin" / "asr-topdown").write_text(STAND_IN)
    recipe = copy / "egs" / "librispeech"
    dev = "dev_clean_2" if parts == "mini" else "dev_clean"
    for name in ("train", dev):
        (recipe / "data" / parts / "features-0123" / name).mkdir(parents=True)
    (recipe / "data" / parts / "tokens-0123").mkdir()
    (recipe / "data" / parts / "tokens-0123" / "tokens.txt").touch()
    done = run_recipe("librispeech", "--parts", parts, "--table", "2", "--stage", "4", "--stop-stage", "4")
    assert done.returncode == 0, done.stdout
    calls = [line.split() for line in (recipe / "calls").read_text().splitlines()]
    table = repository / "egs" / "librispeech" / "conf" / "table2.txt"
    rows = [line.split() for line in table.read_text().splitlines() if not line.startswith("#")]
    assert {name for name, *_ in rows} == set(ROWS)
    for call, (name, results, seeds, *source) in zip(calls, rows, strict=True):
        words = " ".join(call)
        assert f"--config {conf}/{name}.yaml " in words
        assert f"--exp exp/table2_{parts} " in words
        assert f"--results {results}" in words
        assert f"--dev data/{parts}/features-0123/{dev} " in words
        assert f"schedule.seeds=[{seeds}]" in call
        assert [word for word in call if word.startswith("schedule.source=")] == [
            f"schedule.source={one}" for one in source
        ]


@pytest.mark.parametrize("folder", [".", "mini"])
def test_every_row_can_be_built_and_cut_into_blocks(folder, repository):
    conf = repository / "egs" / "librispeech" / "conf" / folder
    models = {}
    for name in ROWS:
        row = config.load(conf / f"{name}.yaml")
        size = front_end_dim(row.features.fbank, row.features.deltas)
        assert size == (123 if folder == "." and "former" not in name else 80)
        models[name] = build_model(row, 30)
        names = {part.name for part in models[name].layers()}
        grouped = [layer for group in row.schedule.groups.values() for layer in group]
        assert len(grouped) == len(set(grouped))
        assert set(grouped) <= names
        if grouped:
            assert names - set(grouped) == {"softmax"}
    a, b = models["blstm_ctc_attention"], models["vgg_ctc_attention"]
    layers.transplant(a.state_dict(), b, ["softmax"])
    assert layers.fingerprint(a, ["softmax"]) == layers.fingerprint(b, ["softmax"])


@pytest.mark.parametrize(("name", "size"), [("blstm_ctc_bpe", 500), ("mini/blstm_ctc_bpe", 200)])
def test_pieces_of_words(name, size, repository):
    row = config.load(repository / "egs" / "librispeech" / "conf" / f"{name}.yaml")
    assert (row.text.unit, row.text.vocab_size) == ("bpe", size)
