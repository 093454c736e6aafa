"""`egs/swbd/run.sh` from stage 0 to 7 on fake discs with all quirks; a tiny network reads their tones."""

import json
import re

import pytest

from asr_topdown import config
from asr_topdown.corpora.fake import swbd as fake

TINY = """
include: [blstm_ctc_8k.yaml]
features: {fbank: {num_mels: 20}}
model: {layers: 1, cells: 32, projection: 0, stack: 3, subsample: []}
train:
  epochs: 8
  patience: 8
  utterances_per_batch: 8
  optimizer: {name: adam, lr: 0.01, plateau: none}
  specaugment: null
topdown: {controls: []}
"""


def test_every_configuration_has_the_features_of_its_sound(repository):
    wide = config.load(repository / "egs/swbd/conf/blstm_ctc.yaml")
    assert (wide.features.fbank.sample_rate, wide.features.fbank.num_mels) == (16000, 80)
    narrow = config.load(repository / "egs/swbd/conf/blstm_ctc_8k.yaml")
    assert (narrow.features.fbank.sample_rate, narrow.features.fbank.num_mels) == (8000, 40)
    assert narrow.model == wide.model


@pytest.fixture
def options(tmp_path):
    discs = fake.write(tmp_path / "ldc", calls=12, engine="tones", seconds_each=0.05)
    return [
        *("--swbd", str(discs.swbd), "--transcripts", str(discs.transcripts)),
        *("--eval2000-speech", str(discs.eval2000_speech)),
        *("--eval2000-transcripts", str(discs.eval2000_transcripts)),
        *("--dev-utterances", "20", "--nj", "1", "--rt03", str(discs.rt03)),
    ]


@pytest.mark.slow
def test_from_discs_to_nists_error_rates(options, copy, run_recipe):
    recipe = copy / "egs" / "swbd"
    (recipe / "conf" / "tiny.yaml").write_text(TINY)
    command = [*options, "--config", "conf/tiny.yaml", "--tag", "tiny", "--rate", "8000"]
    done = run_recipe("swbd", *command)
    assert done.returncode == 0, done.stdout
    assert "warning: these counts are not those of the known copies" in done.stdout

    sizes = {
        part: len((recipe / "data" / part / "text").read_text().splitlines())
        for part in ("train", "dev", "eval2000", "rt03")
    }
    assert sizes == {"train": 124, "dev": 20, "eval2000": 44, "rt03": 24}
    assert "<noise>" in (recipe / "data" / "tokens.txt").read_text().split()

    # SWBD, CallHome, all; Fisher, SWBD, all: of each system, by our own scorer.
    rates = [
        float(line.split()[-2]) for line in done.stdout.splitlines() if re.match(r"all +\d+ +\d+ ", line)
    ]
    assert len(rates) >= 4
    assert min(rates) < 60  # guessing gives about 100 %
    assert done.stdout.count("first - second") % 3 == 0
    exp = recipe / "exp" / "tiny"
    assert "CER" in (exp / "report" / "report.md").read_text()
    results = [json.loads(path.read_text()) for path in (exp / "decode").glob("*/eval2000/result.json")]
    assert len(results) == 2  # joint, and one step down

    again = run_recipe("swbd", *command)
    assert again.returncode == 0, again.stdout
    assert again.stdout.count("up to date (to do it again") == 9  # all but the two scores


@pytest.mark.slow
def test_upsampled_and_perturbed_features(options, copy, run_recipe):
    recipe = copy / "egs" / "swbd"
    done = run_recipe("swbd", *options, "--speeds", "0.9 1.0", "--stop-stage", "2")
    assert done.returncode == 0, done.stdout
    text = (recipe / "data" / "train_sp" / "text").read_text().splitlines()
    assert len(text) == 2 * 124
    frames = dict(line.split() for line in (recipe / "data/train_sp/utt2num_frames").read_text().splitlines())
    one = next(name for name in frames if name.startswith("sp0.9-"))
    assert int(frames[one]) == pytest.approx(int(frames[one.removeprefix("sp0.9-")]) / 0.9, abs=4)
    features = json.loads((recipe / "data/train_sp/features.json").read_text())
    assert (features["dim"], features["fbank"]["sample_rate"]) == (80, 16000)
