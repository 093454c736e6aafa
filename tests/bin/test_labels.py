"""Utterances with one label each, instead of a text, through all commands."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from networks import blstm
from toy_data import write_data

import asr_topdown
from asr_topdown.bin.main import main
from asr_topdown.files import read_json
from asr_topdown.schedule.node import Node

LETTERS = {"letters": "abc", "dim": 6, "frames": 12, "sounding": 9, "noise": 0.5, "shortest": 1, "longest": 1}
SETTINGS = {
    "features": {"kind": "given", "dim": 6},
    "text": {"unit": "label"},
    "model": {"encoder": [blstm(1, 6)], "label": {}},
    "train": {
        "metric": "label_error", "epochs": 3, "patience": 0, "utterances_per_batch": 4,
        "optimizer": {"lr": 0.02},
    },
    "run": {"checkpoint_minutes": 1e-9},
    "schedule": {
        "search": ["greedy", "depth_sweep"], "controls": [], "greedy": {"stop_when_worse": False},
        "depth_sweep": {"starts": ["keep"]},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data directories, a vocabulary and a configuration."""
    root = tmp_path_factory.mktemp("labels")
    for seed, (part, count) in enumerate((("train", 24), ("dev", 9), ("test", 9))):
        write_data(root / part, count, seed, **LETTERS)
    (root / "c.yaml").write_text(yaml.safe_dump(SETTINGS))
    assert main(["tokens", *tokens(root)]) == 0
    return root


def tokens(root: Path) -> list[str]:
    where = ["--train", str(root / "train"), "--out", str(root / "tokens.txt")]
    return ["--config", str(root / "c.yaml"), *where]


def options(root: Path, exp: Path) -> list[str]:
    named = {"train": root / "train", "dev": root / "dev", "tokens": root / "tokens.txt", "exp": exp}
    given = [word for option, value in named.items() for word in (f"--{option}", str(value))]
    return ["--config", str(root / "c.yaml"), *given]


@pytest.fixture(scope="module")
def exp(root: Path) -> Path:
    """The results of `topdown` on them."""
    assert main(["topdown", *options(root, root / "exp")]) == 0
    return root / "exp"


def test_the_vocabulary_is_the_labels(root):
    assert (root / "tokens.txt").read_text().splitlines() == [
        "# unit: label", "<blank> 0", "<unk> 1", "a 2", "b 3", "c 4",
    ]  # fmt: skip


def test_searches_go_over_its_layers(exp):
    frozen = {Node.from_json(read_json(path)).frozen for path in exp.glob("nodes/*/node.json")}
    assert {(), ("softmax",), ("blstm.0",)} == frozen
    done = [read_json(path) for path in exp.glob("nodes/*/done.json")]
    assert all(one["error"] == one["metrics"]["dev_label_error"] for one in done)
    assert min(one["error"] for one in done) == 0
    assert not any("cer" in name or "wer" in name for one in done for name in one["metrics"])


def test_decoded_scored_and_reported(root, exp, capsys):
    assert main(["decode", str(root / "test"), "--exp", str(exp)]) == 0
    assert "label error 0.00 %" in capsys.readouterr().out
    decoded = exp / "decode" / (exp / "models" / "joint_seed1").resolve().name / "test"
    result = read_json(decoded / "result.json")
    assert result.keys() & {"cer", "wer", "label_error"} == {"label_error"}
    texts, said = ((folder / "text").read_text().splitlines() for folder in (decoded, root / "test"))
    wrong = sum(one != other for one, other in zip(texts, said, strict=True))
    assert result["label_error"] == pytest.approx(wrong / 9)

    assert main(["score", str(root / "test"), "--exp", str(exp)]) == 0
    shown = capsys.readouterr().out
    assert "label error" in shown
    assert "WER" not in shown
    assert "CER" not in shown
    scored = ["score", str(root / "test"), str(decoded), "--json", str(root / "score.json")]
    assert main(scored) == 0
    (score,) = json.loads((root / "score.json").read_text())["systems"][0]["scores"]
    assert (score["unit"], score["total"]["errors"]) == ("label", wrong)
    assert main([*scored, "--units", "word"]) == 0  # which is the same number
    (words,) = json.loads((root / "score.json").read_text())["systems"][0]["scores"]
    assert words["total"] == score["total"]

    assert main(["report", str(exp)]) == 0
    page = (exp / "report" / "report.md").read_text()
    assert "test label error %" in page
    assert "WER %" not in page
    assert "CER %" not in page
    card = (exp / "models" / "joint_seed1" / "README.md").read_text()
    assert "label error %" in card


def test_a_sound_gets_one_label_however_long(tmp_path, write_tones):
    """From sound: each letter a tone, of which the network hears little, and labels a long sound."""
    settings = {**SETTINGS, "features": {"fbank": {"sample_rate": 8000, "num_mels": 20}}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    for part, count in (("train", 12), ("dev", 6)):
        lines = ["id\ttext\tspeaker"]
        for index in range(count):
            letter = "abc"[index % 3]
            write_tones(tmp_path / part / f"{part}{index:02}.wav", letter * 5)
            lines.append(f"{part}{index:02}\t{letter}\ttoy")
        (tmp_path / f"{part}.tsv").write_text("\n".join(lines) + "\n")
        sound = ["--audio", str(tmp_path / part), "--source", str(tmp_path / f"{part}.tsv")]
        assert main(["prepare", "table", *sound, "--out", str(tmp_path / "data" / part)]) == 0
    data = [str(tmp_path / "data" / part) for part in ("train", "dev")]
    config = str(tmp_path / "c.yaml")
    assert main(["features", *data, "--config", config, "--nj", "1"]) == 0
    units = str(tmp_path / "tokens.txt")
    assert main(["tokens", "--config", config, "--train", data[0], "--out", units]) == 0
    where = ["--train", data[0], "--dev", data[1], "--tokens", units, "--exp", str(tmp_path / "exp")]
    model = tmp_path / "model"
    assert main(["train", "--config", config, *where, "--link", str(model)]) == 0

    write_tones(tmp_path / "b.wav", "b" * 5)
    samples, rate = soundfile.read(tmp_path / "b.wav")
    soundfile.write(tmp_path / "long.wav", np.tile(samples, 100), rate)  # 40 s
    recognizer = asr_topdown.load(model, nbest=3)
    short, long = recognizer.transcribe([tmp_path / "b.wav", tmp_path / "long.wav"])
    assert (short.text, long.text) == ("b", "b")
    assert (len(long.segments), long.segments[0].words) == (1, None)
    assert {one.text for one in short.segments[0].hypotheses} == {"a", "b", "c"}
    assert sum(np.exp(one.score) for one in short.segments[0].hypotheses) == pytest.approx(1, abs=1e-5)


def test_it_starts_from_a_recogniser_of_text(root, tmp_path, capsys):
    """`--init` with a CTC network's folder: all layers except the softmax are used."""
    text = tmp_path / "text"
    train, dev = (write_data(text / part, 12, 5, **{**LETTERS, "longest": 3}) for part in ("train", "dev"))
    model = {**SETTINGS["model"], "label": None, "ctc": {}}
    settings = {**SETTINGS, "text": {"unit": "char"}, "model": model}
    settings["train"] = {**SETTINGS["train"], "metric": "cer", "epochs": 1}
    (text / "c.yaml").write_text(yaml.safe_dump(settings))
    config, units = str(text / "c.yaml"), str(text / "tokens.txt")
    assert main(["tokens", "--config", config, "--train", str(train), "--out", units]) == 0
    where = ["--train", str(train), "--dev", str(dev), "--tokens", units, "--exp", str(text / "exp")]
    assert main(["train", "--config", config, *where, "--link", str(text / "model")]) == 0
    start = ["--init", str(text / "model"), "--freeze", "blstm.*"]
    assert main(["train", *options(root, tmp_path / "exp"), *start]) == 0
    (node,) = [Node.from_json(read_json(path)) for path in tmp_path.glob("exp/nodes/*/node.json")]
    assert (node.frozen, node.fresh) == (("blstm.0",), ("softmax",))
    assert "dev label error" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("part", "label", "message"),
    [
        ("train", "two words", r"train/text: a label is one word, got 'two words'"),
        ("dev", "other", r"dev/text: 11.1 % of its labels are not in .*tokens\.txt: Unknown: other \(1\)"),
    ],
)
def test_what_is_no_known_label_is_refused(root, tmp_path, capsys, part, label, message):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns("exp"))
    text = copy / part / "text"
    text.write_text(re.sub(r"(?m)^spk-003 .*$", f"spk-003 {label}", text.read_text()))
    assert main(["train", *options(copy, tmp_path / "exp")]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_one_label_is_no_task(root, tmp_path, capsys):
    write_data(tmp_path / "train", 4, 1, **{**LETTERS, "letters": "a"})
    assert main(["tokens", *tokens(root)[:2], "--train", str(tmp_path / "train"), "--out", "none"]) == 1
    assert "text: all labels are a: there is nothing to tell apart" in capsys.readouterr().err
