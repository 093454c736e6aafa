"""`egs/mboshi/run.sh` on a toy copy of the corpus; a tiny network reads its tones."""

import json
import random

import pytest

from asr_topdown import config
from asr_topdown.build import build_model
from asr_topdown.corpora import mboshi

TINY = """
include: [blstm_ctc.yaml]
features: {fbank: {num_mels: 20}}
model:
  encoder: [{kind: blstm, num_layers: 1, hidden_size: 32, stack: 3}]
  ctc: {}
train: {epochs: 6, patience: 6, utterances_per_batch: 8, optimizer: {lr: 0.01}}
schedule: {controls: []}
"""
ROWS = ("blstm_ctc", "blstm_ctc_dropout", "blstm_ctc_attention", "vgg_ctc_attention", "conformer_ctc")


@pytest.fixture
def corpus(tmp_path, write_tones):
    draw, root = random.Random(1), tmp_path / "full_corpus_newsplit"
    for part, count in (("train", 90), ("dev", 12)):
        for number in range(count):
            name = f"{mboshi.SPEAKERS[number % 3]}_2015_{part}_{number}"
            words = ["".join(draw.choices("aóωώ", k=3)) for _ in range(3)]
            write_tones(root / part / f"{name}.wav", " ".join(words), rate=16000, seconds_each=0.05)
            (root / part / f"{name}.mb.cleaned").write_text(" ".join(words), encoding="utf-8")
    return root.parent


@pytest.mark.slow
def test_from_clone_to_report(corpus, copy, run_recipe):
    recipe = copy / "egs" / "mboshi"
    (recipe / "conf" / "tiny.yaml").write_text(TINY)
    options = ["--mboshi", str(corpus), "--config", "conf/tiny.yaml", "--nj", "1"]
    refused = run_recipe("mboshi", *options)
    assert refused.returncode == 1
    assert "must have 4616 transcripts, got 90" in refused.stdout
    done = run_recipe("mboshi", *options, "--partial", "1")
    assert done.returncode == 0, done.stdout
    exp = recipe / "exp" / "tiny"
    made = [json.loads(path.read_text()) for path in (exp / "decode").glob("*/test/result.json")]
    assert len(made) == 2  # joint, and one step down
    assert min(one["cer"] for one in made) < 0.4  # guessing gives about 80 %
    assert "CER" in (exp / "report" / "report.md").read_text()


@pytest.mark.parametrize("name", ROWS)
def test_every_row_can_be_built_and_cut_into_blocks(name, repository):
    row = config.load(repository / "egs" / "mboshi" / "conf" / f"{name}.yaml")
    names = [layer.name for layer in build_model(row, 34).layers()]
    grouped = [layer for group in row.schedule.groups.values() for layer in group]
    assert set(grouped) <= set(names)
    assert (row.train.patience, row.train.optimizer.plateau_patience) == (5, 1)
    dropout = 0.5 if name == "blstm_ctc_dropout" else 0.0
    if name.startswith("blstm_ctc") and row.model.attention is None:
        assert {stage.dropout for stage in row.model.encoder} == {dropout}
