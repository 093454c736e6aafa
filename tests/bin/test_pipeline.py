"""All commands in order on a toy corpus, and their error messages.

Each letter is a tone, so that a tiny network learns to read in seconds.
"""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import asr_topdown
from asr_topdown.bin.main import main
from asr_topdown.train.metrics import read_metrics

CONFIG = """
features: {fbank: {sample_rate: 8000, num_mels: 20}}
model: {encoder: [{kind: blstm, num_layers: 1, hidden_size: 24, stack: 2}], ctc: {}}
train: {epochs: 14, patience: 0, utterances_per_batch: 8, optimizer: {lr: 0.02}}
"""


@dataclass(frozen=True)
class Toy:
    """A folder in which all commands have run."""

    root: Path
    model: Path

    @property
    def experiment(self) -> list[str]:
        data = self.root / "data"
        options = {"train": data / "train", "dev": data / "dev", "tokens": data / "tokens.txt"}
        options |= {"config": self.root / "c.yaml", "exp": self.root / "exp"}
        return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def write_corpus(root: Path, write_tones: Callable[..., Path]) -> None:
    generator = random.Random(1)
    for part, count in (("train", 60), ("dev", 12)):
        lines = ["id\ttext\tspeaker"]
        for index in range(count):
            letters = "".join(generator.choice("abc") for _ in range(generator.randrange(2, 6)))
            write_tones(root / part / f"{part}{index:02}.wav", letters)
            lines.append(f"{part}{index:02}\t{letters}\ttoy")
        (root / f"{part}.tsv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory, write_tones: Callable[..., Path]) -> Toy:
    root = tmp_path_factory.mktemp("toy")
    write_corpus(root, write_tones)
    (root / "c.yaml").write_text(CONFIG)
    data, config = root / "data", str(root / "c.yaml")
    for part in ("train", "dev"):
        sound = ["--audio", str(root / part), "--source", str(root / f"{part}.tsv")]
        assert main(["prepare", "table", *sound, "--out", str(data / part)]) == 0
    assert main(["validate", str(data / "train"), str(data / "dev")]) == 0
    assert main(["features", str(data / "train"), str(data / "dev"), "--config", config, "--nj", "1"]) == 0
    tokens = str(data / "tokens.txt")
    assert main(["tokens", "--config", config, "--train", str(data / "train"), "--out", tokens]) == 0
    toy = Toy(root, Path())
    assert main(["train", *toy.experiment, "--seed", "1"]) == 0
    (model,) = (root / "exp" / "nodes").iterdir()
    return Toy(root, model)


def test_the_toy_is_learnt(toy: Toy, tmp_path: Path) -> None:
    assert (
        main(["decode", str(toy.root / "data" / "dev"), "--model", str(toy.model), "--out", str(tmp_path)])
        == 0
    )
    result = json.loads((tmp_path / "dev" / "result.json").read_text())
    assert result["cer"] < 0.05
    assert result["real_time_factor"] > 0
    assert main(["score", str(toy.root / "data" / "dev"), str(tmp_path / "dev" / "text")]) == 0


def test_transcribe_says_what_decode_says(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dev = toy.root / "data" / "dev"
    main(["decode", str(dev), "--model", str(toy.model), "--out", str(tmp_path)])
    decoded = dict(line.split(maxsplit=1) for line in (tmp_path / "dev" / "text").read_text().splitlines())
    sounds = [str(path) for path in sorted((toy.root / "dev").glob("*.wav"))]
    texts = [found.text for found in asr_topdown.load(toy.model).transcribe(sounds)]
    assert texts == list(decoded.values())
    capsys.readouterr()
    assert main(["transcribe", str(toy.model), *sounds[:2]]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{sounds[i]}: {texts[i]}" for i in range(2)]
    assert asr_topdown.load(toy.model, beam=5).transcribe(sounds[0])[0].text == texts[0]


def test_train_again_answers_from_disk(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *toy.experiment, "--seed", "1"]) == 0
    assert str(toy.model) in capsys.readouterr().out


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the only line of a failing command."""
    capsys.readouterr()
    assert main(arguments) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture
def broken(toy: Toy, tmp_path: Path) -> Toy:
    """A copy to break."""
    root = tmp_path / "toy"
    shutil.copytree(toy.root, root)
    return Toy(root, root / toy.model.relative_to(toy.root))


def test_corrupt_wav(broken: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    train = broken.root / "data" / "train"
    sound = broken.root / "train03.wav"
    sound.write_bytes(b"RIFF not a sound")
    lines = (train / "wav.scp").read_text().splitlines()
    lines[3] = f"{lines[3].split()[0]} {sound}"
    (train / "wav.scp").write_text("\n".join(lines) + "\n")
    error = error_of(["features", str(train), "--config", str(broken.root / "c.yaml"), "--nj", "1"], capsys)
    assert str(sound) in error


@pytest.mark.parametrize(
    ("edit", "culprit"),
    [
        (lambda lines: [lines[0].split()[0], *lines[1:]], "text:1"),  # empty transcript
        (lambda lines: [lines[0], *lines], "text:2"),  # duplicate id
        (lambda lines: [lines[1], lines[0], *lines[2:]], "text:2"),  # unsorted
    ],
    ids=["empty transcript", "duplicate id", "unsorted"],
)
def test_bad_text_files(
    edit: Callable[[list[str]], list[str]], culprit: str, broken: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    text = broken.root / "data" / "dev" / "text"
    text.write_text("\n".join(edit(text.read_text().splitlines())) + "\n")
    assert main(["validate", str(text.parent)]) == 1
    assert f"{text.parent}/{culprit}" in capsys.readouterr().out


def test_missing_features(broken: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    dev = broken.root / "data" / "dev"
    shutil.rmtree(dev / "feats")
    lines = (dev / "feats.scp").read_text().splitlines()
    (dev / "feats.scp").write_text("".join(f"{line.split()[0]} gone/feats.1.ark:7\n" for line in lines))
    error = error_of(["train", *broken.experiment, "--seed", "2"], capsys)
    assert "gone/feats.1.ark" in error


def test_features_of_one_utterance_missing(broken: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    scp = broken.root / "data" / "dev" / "feats.scp"
    lines = scp.read_text().splitlines()
    scp.write_text("\n".join(lines[1:]) + "\n")
    assert lines[0].split()[0] in error_of(["train", *broken.experiment, "--seed", "2"], capsys)


def test_unknown_key(broken: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(["train", *broken.experiment, "--set", "train.epoch=3"], capsys)
    assert "unknown key train.epoch; did you mean train.epochs?" in error


def test_truncated_weights(broken: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    (weights,) = broken.model.glob("epoch-*.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])
    sound = str(broken.root / "dev" / "dev00.wav")
    assert f"{weights}: truncated or corrupt weights" in error_of(
        ["transcribe", str(broken.model), sound], capsys
    )


def test_truncated_checkpoints(broken: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    (broken.model / "done.json").unlink()
    (broken.model / "last.pt").write_bytes(b"PK\x03\x04")
    error = error_of(["train", *broken.experiment, "--seed", "1"], capsys)
    assert f"{broken.model / 'last.pt'}: truncated or corrupt checkpoint" in error


def test_transcribe_refuses_a_folder_without_a_finished_model(
    broken: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "not a finished model" in error_of(["transcribe", str(broken.root), "a.wav"], capsys)


def test_too_short_a_sound(
    broken: Toy, capsys: pytest.CaptureFixture[str], write_tones: Callable[..., Path]
) -> None:
    blip = write_tones(broken.root / "blip.wav", "a", seconds_each=0.01)
    assert str(blip) in error_of(["transcribe", str(broken.model), str(blip)], capsys)


# --- several processes --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_by_two_processes_is_that_of_one(toy: Toy, tmp_path: Path) -> None:
    """`--ddp 2` through torchrun: the same nodes with the same errors, written once."""
    settings = ["--set", "train.epochs=2", "--set", "schedule.controls=[]", "--set", "schedule.seeds=[3]"]
    options = [*toy.experiment[:-2], *settings]  # but for --exp
    studies = []
    for name, ddp in (("one", "1"), ("two", "2")):
        command = [sys.executable, "-m", "asr_topdown.bin.main", "topdown", *options, "--workers", "1"]
        command += ["--exp", str(tmp_path / name), "--ddp", ddp]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("saved to") == 1
        assert done.stdout.count("tensorboard --logdir") == 1
        studies.append(json.loads((tmp_path / name / "results" / "study.json").read_text())["searches"])
        for node in (tmp_path / name / "nodes").iterdir():
            assert {path.name for path in node.iterdir()} >= {"config.yaml", "tokens.txt", "done.json"}
            assert not (node / "last.pt").exists()
    (one,), (two,) = studies
    assert [step["point"] for step in one["steps"]] == [step["point"] for step in two["steps"]]
    assert one["steps"][0]["node"] == two["steps"][0]["node"]  # how many train it is no part of its name
    curves = [
        [
            record["train_loss"]
            for record in read_metrics(tmp_path / name / "nodes" / one["steps"][0]["node"] / "metrics.jsonl")
            if record["kind"] == "epoch"
        ]
        for name in ("one", "two")
    ]
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ddp", "0"], "--ddp 0: must be at least 1"),
        (["--ddp", "3", "--device", "cuda"], "--ddp 3: there are 2 GPUs"),
    ],
)
def test_impossible_numbers_of_processes(
    options: list[str],
    message: str,
    toy: Toy,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert message in error_of(["train", *toy.experiment, *options], capsys)
