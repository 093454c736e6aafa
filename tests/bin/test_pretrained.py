"""Pretrained encoders of toy size through all commands, killed and resumed."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from toy_pretrained import save, transformers

import asr_topdown
from asr_topdown.bin.main import main
from asr_topdown.files import read_json
from asr_topdown.schedule.node import Node
from asr_topdown.weights import load_weights

TOYS = ("wav2vec2_base", "wavlm_large", "whisper")
LAYERS = ["frontend", "enc.0", "enc.1", "enc.2", "softmax"]


def settings(name: str, folder: Path) -> dict[str, object]:
    """Frozen layers with dropout are computed in every epoch, others once."""
    dropout = 0.1 if name == "wav2vec2_base" else 0.0
    groups = {"encoder": LAYERS[:-1]}
    if name == "whisper":
        groups = {"low": LAYERS[:2], "high": LAYERS[2:-1]}
    return {
        "features": {"kind": "waveform"},
        "model": {"encoder": [{"kind": "pretrained", "path": str(folder), "dropout": dropout}], "ctc": {}},
        "train": {"epochs": 2, "patience": 0, "utterances_per_batch": 4, "optimizer": {"lr": 0.003}},
        "run": {"checkpoint_minutes": 1e-9},
        "schedule": {
            "search": ["greedy", "depth_sweep"],
            "controls": [],
            "greedy": {"stop_when_worse": False},
            "groups": groups,
            "depth_sweep": {"starts": ["keep"]},
        },
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, write_tones: Callable[..., Path]) -> Path:
    """Data directories of sound at 8 kHz, a vocabulary, and an encoder and a configuration of each kind."""
    root, generator = tmp_path_factory.mktemp("toy"), random.Random(1)
    for part, count in (("train", 12), ("dev", 4)):
        lines = ["id\ttext\tspeaker"]
        for index in range(count):
            letters = "".join(generator.choice("abc") for _ in range(generator.randrange(2, 5)))
            write_tones(root / part / f"{part}{index:02}.wav", letters)
            lines.append(f"{part}{index:02}\t{letters}\ttoy")
        (root / f"{part}.tsv").write_text("\n".join(lines) + "\n")
        sound = ["--audio", str(root / part), "--source", str(root / f"{part}.tsv")]
        assert main(["prepare", "table", *sound, "--out", str(root / "data" / part)]) == 0
    for name in TOYS:
        folder = save(name, root / "encoders" / name)
        (root / f"{name}.yaml").write_text(yaml.safe_dump(settings(name, folder)))
    where = ["--train", str(root / "data" / "train"), "--out", str(root / "tokens.txt")]
    assert main(["tokens", "--config", str(root / f"{TOYS[0]}.yaml"), *where]) == 0
    return root


def options(root: Path, name: str, exp: Path) -> list[str]:
    named = {
        "config": root / f"{name}.yaml", "train": root / "data" / "train", "dev": root / "data" / "dev",
        "tokens": root / "tokens.txt", "exp": exp,
    }  # fmt: skip
    return [word for option, value in named.items() for word in (f"--{option}", str(value))]


def outcomes(exp: Path) -> dict[str, float]:
    """Node -> error, for all finished nodes."""
    return {path.parent.name: read_json(path)["error"] for path in sorted(exp.glob("nodes/*/done.json"))}


@pytest.mark.parametrize("name", TOYS)
def test_from_sound_to_text(
    root: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exp = tmp_path / "exp"
    dev = root / "data" / "dev"
    config = ["--config", str(root / f"{name}.yaml"), "--nj", "1"]
    assert main(["features", str(root / "data" / "train"), str(dev), *config]) == 0
    assert "12 utterances at 8000 Hz are resampled to 16000 Hz" in capsys.readouterr().out
    assert not list(root.glob("data/*/feats*"))
    assert main(["topdown", *options(root, name, exp)]) == 0
    nodes = [Node.from_json(read_json(path)) for path in exp.glob("nodes/*/node.json")]
    # The joint training; the cascade's two steps; the sweep's depths, from both ends.
    frozen = {(node.frozen, node.start) for node in nodes}
    encoder = tuple(sorted(LAYERS[:-1]))
    assert {((), "reinit"), (("softmax",), "reinit"), (encoder, "keep"), (("softmax",), "keep")} <= frozen
    if name == "whisper":
        assert {(("enc.1", "enc.2", "softmax"), "reinit"), (("enc.0", "frontend"), "keep")} <= frozen
    assert len(outcomes(exp)) == len(nodes)
    model = exp / "models" / "joint_seed1"
    saved = (model / "config.yaml").read_text()
    assert str(root) not in saved
    (tmp_path / "out").mkdir()
    assert main(["decode", str(dev), "--model", str(model), "--out", str(tmp_path / "out")]) == 0
    assert main(["decode", str(dev), "--model", str(model), "--out", str(tmp_path / "out")]) == 0
    assert "done already" in capsys.readouterr().out
    decoded = dict(
        line.split(maxsplit=1) if " " in line else (line, "")
        for line in (tmp_path / "out" / "dev" / "text").read_text().splitlines()
    )
    sounds = [str(path) for path in sorted((root / "dev").glob("*.wav"))]
    texts = [found.text for found in asr_topdown.load(model).transcribe(sounds)]
    assert texts == [text.strip() for text in decoded.values()]
    about = read_json(model.resolve() / "about.json")
    assert [layer for layer, _ in about["layers"]] == LAYERS
    assert about["train"]["hours"] > 0


def test_killed_and_resumed(root: Path, tmp_path: Path) -> None:
    whole, killed = (
        ["train", *options(root, "whisper", tmp_path / exp), "--set", "train.epochs=4"]
        for exp in ("whole", "killed")
    )
    assert main(whole) == 0
    command = [sys.executable, "-m", "asr_topdown.bin.main", *killed]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while running.poll() is None and not list(tmp_path.glob("killed/nodes/*/epoch-1.safetensors")):
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    assert not outcomes(tmp_path / "killed")
    assert main(killed) == 0
    assert outcomes(tmp_path / "killed") == outcomes(tmp_path / "whole")
    weights = [path for exp in ("whole", "killed") for path in tmp_path.glob(f"{exp}/nodes/*/epoch-*")]
    assert len(weights) == 2
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_saved_model_needs_no_folder_to_be_trained_on_and_fresh_layers_do(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exp = tmp_path / "exp"
    assert main(["train", *options(root, "wavlm_large", exp), "--set", "train.epochs=1"]) == 0
    (model,) = (exp / "nodes").iterdir()
    moved = tmp_path / "moved"
    model.rename(moved)
    config = yaml.safe_load((moved / "config.yaml").read_text())
    assert "path" not in config["model"]["encoder"][0]
    (tmp_path / "wavlm_large.yaml").write_text(yaml.safe_dump(config))
    where = options(root, "wavlm_large", tmp_path / "exp2")
    where[1] = str(tmp_path / "wavlm_large.yaml")
    assert main(["train", *where, "--init", str(moved), "--freeze", "frontend", "enc.*"]) == 0
    capsys.readouterr()
    assert main(["train", *where]) == 1
    assert "model.encoder.0.path: say where the weights" in capsys.readouterr().err
    assert main(["train", *where, "--init", str(moved), "--fresh", "enc.2"]) == 1
    assert "with which enc.2 begins" in capsys.readouterr().err


def test_a_frozen_encoder_keeps_its_own_weights_and_is_computed_once(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = options(root, "wavlm_large", tmp_path / "exp")
    freeze = ["--freeze", "frontend", "enc.*"]
    assert main(["train", *where, *freeze, "--link", str(tmp_path / "probe")]) == 0
    assert "the 4 lowest layers are frozen: their output is computed once" in capsys.readouterr().err
    (weights,) = (tmp_path / "probe").glob("epoch-*.safetensors")
    own = transformers.WavLMModel.from_pretrained(root / "encoders" / "wavlm_large")
    found = load_weights(weights)["stages.enc.2.block.layer.attention.out_proj.weight"]
    assert torch.equal(found, own.encoder.layers[2].attention.out_proj.weight)
    # Such a network is a source like any other: how many layers of the encoder should be frozen?
    source = ["--set", f"schedule.source={tmp_path / 'probe'}", "--search", "depth_sweep"]
    where = options(root, "wavlm_large", tmp_path / "sweep")
    assert main(["topdown", *where, *source]) == 0
    assert len(outcomes(tmp_path / "sweep")) >= 2
    capsys.readouterr()
    assert main(["train", *where, "--freeze", "softmax"]) == 1
    assert "--freeze: softmax would be frozen at random" in capsys.readouterr().err


def test_layers_above_the_encoder_that_are_called_like_its_own_are_none_of_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    above = {"kind": "transformer", "num_layers": 1, "d_model": 16, "num_heads": 2, "ffn_dim": 8}
    config = yaml.safe_load((root / "wavlm_large.yaml").read_text())
    config["model"]["encoder"].append(above)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "schedule": {}}))
    where = options(root, "wavlm_large", tmp_path / "exp")
    where[1] = str(tmp_path / "config.yaml")
    assert main(["train", *where, "--freeze", "frontend", "enc.*"]) == 1
    assert "--freeze: enc.3 would be frozen at random: say --init MODEL" in capsys.readouterr().err
    assert main(["train", *where, "--freeze", "frontend", "enc.0-2", "--link", str(tmp_path / "made")]) == 0
    # The saved model needs no folder for a new layer that had no weights in it.
    where[1] = str(tmp_path / "made" / "config.yaml")
    assert main(["train", *where, "--init", str(tmp_path / "made"), "--fresh", "enc.3"]) == 0
    assert main(["train", *where, "--init", str(tmp_path / "made"), "--fresh", "enc.2"]) == 1
    assert "say where the weights" in capsys.readouterr().err
