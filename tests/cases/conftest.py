"""Fixtures of the cases: sound, data directories, a network, and the command."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from asr_topdown.bin.main import main

CONFIG = """
features: {fbank: {sample_rate: 8000, num_mels: 10}}
model: {encoder: [{kind: blstm, num_layers: 1, hidden_size: 4}], ctc: {}}
train: {epochs: 1, patience: 0}
"""
RATE = 8000


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """A function that runs `asr-topdown` and checks that no input gives a traceback."""
    # The log of an earlier command in this process may still hold that command's captured stderr.
    monkeypatch.setattr(logging, "raiseExceptions", False)

    def run(*arguments: str | Path) -> Said:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        assert code in (0, 1)
        assert "Traceback" not in said.err
        return Said(code, said.out, said.err)

    return run


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """16-bit samples."""
    count = round(seconds * RATE)
    return np.round(3000 * np.random.default_rng(seed).standard_normal(count)).astype(np.int16)


def sound(path: Path, seconds: float = 1.0, seed: int = 0, **how: str) -> Path:
    """A wav file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(seconds, seed), RATE, **how)
    return path


def data_dir(folder: Path, wavs: Mapping[str, Path | str], **tables: str) -> Path:
    """A data directory of recordings that are utterances of one speaker, unless tables are given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wav.scp").write_text("".join(f"{name} {path}\n" for name, path in wavs.items()))
    for name, content in tables.items():
        (folder / name).write_text(content, encoding="utf-8", newline="")
    names = [line.split()[0] for line in tables["text"].removeprefix("\ufeff").splitlines()]
    (folder / "utt2spk").write_text("".join(f"{name} s\n" for name in names))
    return folder


def table(path: Path) -> dict[str, str]:
    """Key -> the rest of its line."""
    lines: Sequence[str] = path.read_text(encoding="utf-8").splitlines()
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network trained for an epoch on noise: it finds text in any sound."""
    root = tmp_path_factory.mktemp("model")
    (root / "c.yaml").write_text(CONFIG)
    wavs = {f"u{n}": sound(root / f"{n}.wav", 0.5, n) for n in range(4)}
    folder = data_dir(root / "set", wavs, text="".join(f"{name} ab\n" for name in wavs))
    options = ["--config", str(root / "c.yaml")]
    tokens, sets = root / "tokens.txt", ["--train", str(folder), "--dev", str(folder)]
    assert main(["features", str(folder), *options, "--nj", "1"]) == 0
    assert main(["tokens", *options, "--train", str(folder), "--out", str(tokens)]) == 0
    train = ["train", *options, *sets, "--tokens", str(tokens), "--exp", str(root / "exp"), "--seed", "1"]
    assert main(train) == 0
    (node,) = (root / "exp" / "nodes").iterdir()
    return node
