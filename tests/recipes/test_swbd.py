"""`egs/swbd/run.sh` from stage 0 to 7 on fake discs with all quirks; a tiny network reads their tones."""

import json
import re

import pytest

from asr_topdown import config, layers
from asr_topdown.build import build_model
from asr_topdown.corpora.fake import swbd as fake

TINY = """
include: [blstm_ctc_8k.yaml]
features: {fbank: {num_mels: 20}}
model: {encoder: [{kind: blstm, num_layers: 1, hidden_size: 32, stack: 3}], ctc: {}}
train:
  epochs: 8
  patience: 8
  utterances_per_batch: 8
  optimizer: {name: adam, lr: 0.01, plateau: none}
  specaugment: null
schedule: {controls: []}
"""

TINY_TRANSFORMER = """
include: [transformer_ctc_attention.yaml]
features: {fbank: {sample_rate: 8000, num_mels: 20, dither: 0.0}}
text: {vocab_size: 60}
model:
  encoder:
    - {kind: conv2d, channels: 8, output_size: 32}
    - {kind: transformer, num_layers: 1, d_model: 32, num_heads: 2, ffn_dim: 64, dropout: 0.0}
  attention: {num_layers: 1, num_heads: 2, ffn_dim: 64, dropout: 0.0}
train:
  epochs: 6
  grad_accumulation: 1
  utterances_per_batch: 8
  optimizer: {lr: 2}
  lr_schedule: {warmup_steps: 30, dim: 32}
  average: {last: 2}
schedule: {groups: {network: [subsample, enc.0, dec.0]}, controls: []}
decode: {beam: 3}
"""


def test_every_configuration_has_the_features_of_its_sound(repository):
    wide = config.load(repository / "egs/swbd/conf/blstm_ctc.yaml")
    assert (wide.features.fbank.sample_rate, wide.features.fbank.num_mels) == (16000, 80)
    narrow = config.load(repository / "egs/swbd/conf/blstm_ctc_8k.yaml")
    assert (narrow.features.fbank.sample_rate, narrow.features.fbank.num_mels) == (8000, 40)
    assert narrow.model == wide.model


def test_the_transformer_of_table_3(repository):
    """Karita et al. 2019: 12 + 6 blocks of 256, four heads, 2048; as ESPnet trains it."""
    row = config.load(repository / "egs/swbd/conf/transformer_ctc_attention.yaml")
    assert (row.text.unit, row.text.vocab_size) == ("bpe", 2000)
    assert (row.features.fbank.sample_rate, row.features.fbank.num_mels) == (16000, 80)
    (front, encoder), decoder = row.model.encoder, row.model.attention
    assert (front.kind, front.channels, front.output_size) == ("conv2d", 256, 256)
    assert (encoder.num_layers, encoder.d_model, encoder.num_heads, encoder.ffn_dim) == (12, 256, 4, 2048)
    assert (decoder.num_layers, decoder.num_heads, decoder.ffn_dim) == (6, 4, 2048)
    assert row.model.ctc.weight == 0.2
    assert (row.train.grad_accumulation, row.train.epochs, row.train.optimizer.lr) == (8, 100, 5)
    assert row.train.specaugment is not None
    assert (row.decode.method, row.decode.beam) == ("joint_beam", 20)
    names = layers.layer_names(build_model(row, 2000))
    blocks = layers.group_names(names, row.schedule.groups)
    assert blocks == [names[:-1], ("softmax",)]  # M(1, n - 1)


@pytest.fixture
def options(tmp_path):
    discs = fake.write(tmp_path / "ldc", calls=12, engine="tones", seconds_each=0.05)
    return [
        *("--swbd", str(discs.swbd), "--transcripts", str(discs.transcripts)),
        *("--eval2000-speech", str(discs.eval2000_speech)),
        *("--eval2000-transcripts", str(discs.eval2000_transcripts)),
        *("--dev-utterances", "20", "--nj", "1", "--rt03", str(discs.rt03)),
    ]


def tokens(recipe):
    (path,) = (recipe / "data").glob("*/tokens-*/tokens.txt")
    return path


@pytest.mark.slow
def test_from_discs_to_nists_error_rates(options, copy, run_recipe, done_work):
    recipe = copy / "egs" / "swbd"
    (recipe / "conf" / "tiny.yaml").write_text(TINY)
    command = [*options, "--config", "conf/tiny.yaml", "--tag", "tiny", "--rate", "8000"]
    done = run_recipe("swbd", *command)
    assert done.returncode == 0, done.stdout
    assert "warning: these counts are not those of the known copies" in done.stdout

    sizes = {
        part: len((recipe / "data" / "8000" / part / "text").read_text().splitlines())
        for part in ("train", "dev", "eval2000", "rt03")
    }
    assert sizes == {"train": 124, "dev": 20, "eval2000": 44, "rt03": 24}
    assert "<noise>" in tokens(recipe).read_text().split()

    # SWBD, CallHome, all; Fisher, SWBD, all: of each system, by our own scorer.
    rates = [
        float(line.split()[-2]) for line in done.stdout.splitlines() if re.match(r"all +\d+ +\d+ ", line)
    ]
    assert len(rates) >= 4
    assert min(rates) < 60  # guessing gives about 100 %
    assert done.stdout.count("second - first") % 3 == 0
    exp = recipe / "exp" / "tiny"
    assert "CER" in (exp / "report" / "report.md").read_text()
    results = [json.loads(path.read_text()) for path in (exp / "decode").glob("*/eval2000/result.json")]
    assert len(results) == 2  # joint, and one step down

    before = done_work(exp)
    again = run_recipe("swbd", *command)
    assert again.returncode == 0, again.stdout
    assert done_work(exp) == before


@pytest.mark.slow
def test_table_3_in_small(options, copy, run_recipe):
    """Pieces of words, Noam's schedule, an average to decode with, joint search, softmax layers frozen."""
    recipe = copy / "egs" / "swbd"
    (recipe / "conf" / "tiny.yaml").write_text(TINY_TRANSFORMER)
    done = run_recipe("swbd", *options, "--config", "conf/tiny.yaml", "--tag", "tiny", "--rate", "8000")
    assert done.returncode == 0, done.stdout
    exp = recipe / "exp" / "tiny"
    assert tokens(recipe).read_text().startswith("# unit: bpe\n")
    (study,) = json.loads((exp / "results" / "study.json").read_text())["searches"]
    joint, step = study["steps"]
    assert (joint["point"], step["point"]) == (None, {"composition": [1, 1]})
    for role in (joint, step):
        folder = exp / "nodes" / role["node"]
        assert (folder / "average.safetensors").exists()
        assert (folder / "tokens.model").read_bytes() == tokens(recipe).with_suffix(".model").read_bytes()
    node = json.loads((exp / "nodes" / step["node"] / "node.json").read_text())
    assert node["frozen"] == ["softmax"]
    made = [json.loads(path.read_text()) for path in (exp / "decode").glob("*/eval2000/result.json")]
    assert [one["decode"]["method"] for one in made] == ["joint_beam", "joint_beam"]
    assert re.search(r"^all +\d+ +\d+ ", done.stdout, re.MULTILINE)  # as NIST scores


@pytest.mark.slow
def test_upsampled_and_perturbed_features(options, copy, run_recipe):
    recipe = copy / "egs" / "swbd"
    done = run_recipe("swbd", *options, "--speeds", "0.9 1.0", "--subset", "p40", "--stop-stage", "1")
    assert done.returncode == 0, done.stdout
    (train,) = (recipe / "data" / "16000").glob("features-*/train_sp_0.9_1.0")
    text = (train / "text").read_text().splitlines()
    assert len(text) == 2 * 124
    frames = dict(line.split() for line in (train / "utt2num_frames").read_text().splitlines())
    one = next(name for name in frames if name.startswith("sp0.9-"))
    assert int(frames[one]) == pytest.approx(int(frames[one.removeprefix("sp0.9-")]) / 0.9, abs=4)
    features = json.loads((train / "features.json").read_text())
    assert (features["dim"], features["fbank"]["sample_rate"]) == (80, 16000)
    part = train.parent / "parts_5_10_20_40_80" / "train_sp_0.9_1.0_p40" / "text"
    chosen = [line.split()[0] for line in part.read_text().splitlines()]
    plain = {name for name in chosen if not name.startswith("sp0.9-")}
    assert sorted(chosen) == sorted([*plain, *(f"sp0.9-{name}" for name in plain)])
    assert len(plain) == round(0.4 * 124)
