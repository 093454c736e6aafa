"""`egs/an4/run.sh` from stage 0 to 7 on a fake AN4; a tiny network reads its tones."""

import json

import pytest

from asr_topdown.corpora.fake import an4 as fake

TINY = """
features: {fbank: {sample_rate: 16000, num_mels: 20}}
model: {encoder: [{kind: blstm, num_layers: 1, hidden_size: 32, stack: 3}], ctc: {}}
train: {epochs: 8, patience: 8, utterances_per_batch: 8, optimizer: {lr: 0.01}}
schedule: {controls: []}
"""


@pytest.mark.slow
def test_from_archive_to_report(tmp_path, copy, run_recipe):
    root = fake.write(tmp_path / "corpus", train=170, test=12, engine="tones", seconds_each=0.05)
    recipe = copy / "egs" / "an4"
    (recipe / "conf" / "tiny.yaml").write_text(TINY)
    done = run_recipe("an4", "--an4", str(root), "--config", "conf/tiny.yaml", "--tag", "tiny")
    assert done.returncode == 0, done.stdout

    sizes = [
        len((recipe / "data" / part / "text").read_text().splitlines()) for part in ("train", "dev", "test")
    ]
    assert sizes == [70, 100, 12]
    exp = recipe / "exp" / "tiny"
    results = [json.loads(path.read_text()) for path in (exp / "decode").glob("*/test/result.json")]
    assert len(results) == 2  # joint, and one step down
    assert min(result["cer"] for result in results) < 0.4  # guessing gives about 90 %
    assert "CER" in (exp / "report" / "report.md").read_text()
