"""Errors of `asr-topdown train`: one line that names the culprit, before any work if possible."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import networks
import pytest
import torch
import yaml
from toy_data import write_data

from asr_topdown import config
from asr_topdown.bin import main
from asr_topdown.runs.experiment import Experiment
from asr_topdown.text import Vocabulary
from asr_topdown.train.checkpoint import CheckpointPair

SETTINGS = {
    "features": {"fbank": {"num_mels": 4}},
    "model": networks.blstm_ctc(1, 8),
    "train": {"epochs": 2, "patience": 0, "metric": "loss"},
    "run": {"checkpoint_minutes": 1e-9},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_data(tmp_path / "train", 12, 1)
    write_data(tmp_path / "dev", 4, 2)
    Vocabulary.build(["abc"], "char").save(tmp_path / "tokens.txt")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(SETTINGS))
    return tmp_path


def arguments(data: Path, *more: str) -> list[str]:
    files = {"config": "config.yaml", "train": "train", "dev": "dev", "tokens": "tokens.txt", "exp": "exp"}
    return ["train", *(f"--{key}={data / name}" for key, name in files.items()), *more]


def limited(limit: str, size: int, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run the command in its own process with limits on memory and file size, in bytes."""
    program = (
        "import resource, sys\nimport torch\nfrom asr_topdown.bin.main import main\n"
        "from asr_topdown.runs.run_node import run_node\n"
        f"resource.setrlimit(resource.{limit}, ({size}, {size}))\nsys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def errors(said: str) -> list[str]:
    return [line for line in said.splitlines() if "error" in line or "Traceback" in line]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("banana", "--device banana: must be cpu, cuda or cuda:N"),
        ("cuda:x", "--device cuda:x: must be cpu, cuda or cuda:N"),
        ("cuda", "--device cuda: there is no usable GPU here ("),
        ("cuda:3", "--device cuda:3: there is no usable GPU here ("),
    ],
)
def test_a_device_that_is_not_there(
    data: Path, device: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert main.main(arguments(data, "--device", device)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"asr-topdown train: error: {message}")
    assert said.count("\n") == 1
    assert not (data / "exp").exists()


def faults(said: str) -> list[str]:
    """The lines on stderr without the warning that these data have features of which nothing is known."""
    return [line for line in said.splitlines() if "features made elsewhere" not in line]


def test_more_gpus_than_there_are(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert main.main(["topdown", *arguments(data, "--gpus", "4")[1:]]) == 1
    assert faults(capsys.readouterr().err) == ["asr-topdown topdown: error: --gpus 4: there are 2 GPUs"]
    assert not list(data.glob("exp/nodes/*"))


def test_a_network_that_does_not_fit_into_the_memory(data: Path) -> None:
    (data / "config.yaml").write_text(yaml.safe_dump({**SETTINGS, "model": networks.blstm_ctc(1, 100_000)}))
    done = limited("RLIMIT_AS", 8 << 30, arguments(data))
    assert done.returncode == 1
    (said,) = faults(done.stderr)
    assert said.startswith("asr-topdown train: error: not enough memory for this network, batch or data (")


def test_a_dev_set_that_is_trained_on_is_told(data: Path) -> None:
    settings, files = config.load(data / "config.yaml"), (data / "train", data / "tokens.txt")
    assert Experiment(settings, files[0], data / "dev", files[1], "cpu").check() == []
    (told,) = Experiment(settings, files[0], files[0], files[1], "cpu").check()
    assert told.startswith(
        f"{files[0]}: 12 of 12 utterances are in {files[0]}, too, with the same transcripts"
    )


def test_a_training_that_diverges_names_a_dev_utterance(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = ["train.optimizer.lr=1e38", "train.optimizer.name=sgd", "train.grad_clip=.inf"]
    vain = "train.lr_schedule.warmup_steps=9"
    assert main.main(arguments(data, *(f"--set={one}" for one in (*rates, vain)))) == 1
    err = capsys.readouterr().err
    assert err.count("warmup_steps: 9 has no effect with train.lr_schedule.name: constant") == 1
    said = errors(err)
    assert len(said) == 1
    assert re.search(
        r"error: dev set: utterance \S*\d: its log-probabilities hold NaN: .* lower train\.opt", said[0]
    )


def test_a_disk_that_is_full(data: Path) -> None:
    done = limited("RLIMIT_FSIZE", 20_000, arguments(data))
    assert done.returncode == 1
    (line,) = errors(done.stderr)
    assert line.startswith("asr-topdown train: error: cannot write ")
    assert "/exp/nodes/" in line
    assert line.endswith(": File too large")
    assert not list(data.glob("exp/**/.*.tmp"))


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"best_epoch": "1"}', "not JSON"])
def test_a_damaged_outcome_is_named_by_train_and_decode(
    data: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(arguments(data)) == 0
    (node,) = data.glob("exp/nodes/*")
    (node / "done.json").write_text(content)
    for command in (
        arguments(data),
        ["decode", str(data / "dev"), f"--model={node}", f"--out={data / 'out'}"],
    ):
        capsys.readouterr()
        assert main.main(command) == 1
        (line,) = errors(capsys.readouterr().err)
        assert f"{node / 'done.json'}: " in line


def test_at_the_end_it_says_how_to_see_the_curves(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(arguments(data)) == 0
    (node,) = data.glob("exp/nodes/*")
    assert f" its curves: tensorboard --logdir {node}\n" in capsys.readouterr().err
    assert list((node / "tb").glob("events.*"))


@pytest.mark.usefixtures("heard_hangups")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end_it_saves_and_says_so(data: Path, how: signal.Signals) -> None:
    """`test_kills.py` tests that it resumes exactly."""
    long = {**SETTINGS, "train": {**SETTINGS["train"], "epochs": 400}, "run": {"checkpoint_minutes": 60}}
    (data / "config.yaml").write_text(yaml.safe_dump(long))
    command = [sys.executable, "-m", "asr_topdown.bin.main", *arguments(data)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stderr:
            if "epoch 2/400" in line:
                running.send_signal(how)
                break
        said = running.stderr.read().splitlines()
    assert running.returncode == 128 + how
    assert "asked to end: saved in epoch " in said[-2]
    end = f"asr-topdown train: asked to end by {how.name}; the same command goes on from what is saved"
    assert said[-1] == end
    (checkpoint,) = data.glob("exp/nodes/*/last.pt")
    saved = CheckpointPair(checkpoint.parent).load()[0]["progress"]["epoch"]
    assert f"asked to end: saved in epoch {saved}, " in said[-2]


def test_a_dev_set_without_a_loss_is_found_before_the_first_epoch(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{line.split()[0]} {'ab' * 40}" for line in (data / "dev" / "text").read_text().splitlines()]
    (data / "dev" / "text").write_text("\n".join(lines) + "\n")
    assert main.main(arguments(data)) == 1
    (line,) = errors(capsys.readouterr().err)
    assert f"{data / 'dev'}: the dev set has no loss, since no utterance can be aligned (spk-000: " in line
    assert not list(data.glob("exp/nodes/*/metrics.jsonl"))


# --- several processes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "more", "message"),
    [
        ("train", ["--dev", "/nonexistent"], "/nonexistent"),
        ("train", ["--set", "train.epoch=1"], "train.epochs"),
        ("train", ["--link", "config.yaml"], "config.yaml: there, and not a symbolic link"),
        ("train", ["--init", "/nonexistent"], "/nonexistent"),
        ("topdown", ["--dev", "/nonexistent"], "/nonexistent"),
        ("topdown", ["--workers", "3"], "--workers 3: with --ddp one network is trained at a time"),
    ],
)
def test_what_is_wrong_is_said_before_several_processes_start(
    command: str,
    more: list[str],
    message: str,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(data)
    monkeypatch.setattr(os, "execv", lambda *words: pytest.fail(f"{words} started"))
    assert main.main([command, *arguments(data, "--ddp", "2", *more)[1:]]) == 1
    (said,) = faults(capsys.readouterr().err)
    assert said.startswith(f"asr-topdown {command}: error: ")
    assert message in said


def test_several_processes_are_started_when_all_is_right(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class StartedError(Exception):
        pass

    def start(program: str, words: list[str]) -> None:
        assert words[:5] == [program, "-m", "asr_topdown.train.launch", "--standalone", "--nproc-per-node=2"]
        assert words[5:] == ["-m", "asr_topdown.bin.main", *arguments(data, "--ddp", "2")]
        raise StartedError

    monkeypatch.setattr(os, "execv", start)
    with pytest.raises(StartedError):
        main.main(arguments(data, "--ddp", "2"))
