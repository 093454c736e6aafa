"""What comes from somebody else is never unpickled, and nothing but wav.scp's commands in `features` is run.

In every file of a model's folder, of an experiment and of a data directory a trap is laid, one after the
other, and the commands that may read it are run. They may fail, with a line; the trap must not go off.
"""

import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import asr_topdown
from asr_topdown.bin.main import main

CONFIG = """
features: {fbank: {sample_rate: 8000, num_mels: 10}}
model: {encoder: [{kind: blstm, num_layers: 1, hidden_size: 4}], ctc: {}}
train: {epochs: 1, patience: 0}
"""
WORDS = {"a-one": "ab", "a-two": "ba", "b-one": "aab", "b-two": "bba"}


@dataclass(frozen=True)
class Place:
    """A toy experiment: its data directories, its model, and a sound file."""

    root: Path
    node: str = ""

    @property
    def model(self) -> Path:
        return self.root / "exp" / "nodes" / self.node

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def experiment(self) -> list[str]:
        options = {"config": "c.yaml", "train": "data/set", "dev": "data/set", "tokens": "data/tokens.txt"}
        options |= {"exp": "exp"}
        return [word for name, path in options.items() for word in (f"--{name}", str(self.root / path))]

    def commands(self) -> dict[str, list[str]]:
        """The commands that read a model or a data directory, after those that make them."""
        folder, config, out = str(self.data / "set"), str(self.root / "c.yaml"), str(self.root / "out")
        sound, model = str(self.root / "sound" / "a-one.wav"), str(self.model)
        return {
            "decode": ["decode", folder, "--model", model, "--out", out],
            "transcribe": ["transcribe", model, sound],
            "train": ["train", "--seed", "1", *self.experiment],
            "validate": ["validate", folder],
            "tokens": ["tokens", "--config", config, "--train", folder, "--out", str(self.root / "t.txt")],
            "score": ["score", folder, str(self.root / "out" / "set")],
            "report": ["report", str(self.root / "exp")],
            "features": ["features", folder, "--config", config, "--nj", "1"],
        }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, write_tones: Callable[..., Path]) -> Place:
    place = Place(tmp_path_factory.mktemp("place"))
    folder = place.data / "set"
    folder.mkdir(parents=True)
    (place.root / "c.yaml").write_text(CONFIG)
    wavs = {name: write_tones(place.root / "sound" / f"{name}.wav", word * 2) for name, word in WORDS.items()}
    (folder / "wav.scp").write_text("".join(f"{name} {path}\n" for name, path in wavs.items()))
    (folder / "text").write_text("".join(f"{name} {word}\n" for name, word in WORDS.items()))
    (folder / "utt2spk").write_text("".join(f"{name} {name[0]}\n" for name in WORDS))
    config = str(place.root / "c.yaml")
    tokens = ["--config", config, "--train", str(folder), "--out", str(place.data / "tokens.txt")]
    assert main(["features", str(folder), "--config", config, "--nj", "1"]) == 0
    assert main(["tokens", *tokens]) == 0
    assert main(["topdown", "--search", "joint", "--workers", "1", *place.experiment]) == 0
    (node,) = (place.root / "exp" / "nodes").iterdir()
    place = Place(place.root, node.name)
    assert main(place.commands()["decode"]) == 0
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """A copy to lay traps in; its tables still name the sound of the original."""
    shutil.copytree(made.root, tmp_path / "place")
    return Place(tmp_path / "place", made.node)


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (self.path, "w"))


def baits(sprung: Path) -> dict[str, bytes]:
    """Files that would make `sprung`, were they opened the wrong way."""
    trap = Trap(sprung)
    plain = pickle.dumps(trap)
    saved, array, archive = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"model": trap}, saved)
    np.save(array, np.array([trap], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("data.pkl", plain)
    return {
        "pickle": plain,
        "kaldiio": b"PKL" + plain,
        "key and pickle": b"global PKL" + plain,
        "torch": saved.getvalue(),
        "old torch": pickle.dumps(0x1950A86A20F9469CFC6C) + plain,
        "numpy": array.getvalue(),
        "zip": archive.getvalue(),
        "yaml": f'train: !!python/object/apply:builtins.open ["{sprung}", "w"]\n'.encode(),
        "command": f"a-one touch {sprung}; cat x |\n".encode(),
    }


def test_traps_do_go_off_when_they_are_opened_the_wrong_way(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    bait = baits(sprung)
    for opened in (
        lambda: pickle.loads(bait["pickle"]),
        lambda: torch.load(io.BytesIO(bait["torch"]), weights_only=False),
        lambda: np.load(io.BytesIO(bait["numpy"]), allow_pickle=True),
    ):
        opened()
        assert sprung.exists()
        sprung.unlink()


READERS = {
    "exp": ("decode", "transcribe", "train", "report"),
    "data": ("validate", "tokens", "train", "decode", "score", "features"),
    "out": ("decode", "score"),
}
BAITS = {
    ".ark": ("pickle", "kaldiio", "key and pickle", "numpy"),
    ".scp": ("kaldiio", "command"),
    ".pt": ("pickle", "torch", "old torch", "zip"),
    ".safetensors": ("pickle", "torch", "old torch", "numpy"),
    ".yaml": ("pickle", "yaml"),
    ".json": ("pickle", "yaml"),
}


@pytest.mark.slow
@pytest.mark.parametrize("part", READERS)
def test_nothing_is_unpickled_or_run(part: str, place: Place, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    files = sorted(path for path in (place.root / part).rglob("*") if path.is_file())
    assert files
    for path in files:
        kept = path.read_bytes()
        for name in BAITS.get(path.suffix, ("pickle", "command")):
            for command in READERS[part]:
                if command == "features" and path.name == "wav.scp":
                    continue  # runs commands: see below
                path.write_bytes(baits(sprung)[name])
                code = main(place.commands()[command])
                assert code in (0, 1), (path, name, command)
                assert not sprung.exists(), (path, name, command)
            path.write_bytes(kept)


def test_a_training_is_not_resumed_from_a_pickle(place: Place, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    (place.model / "done.json").unlink()
    for name in ("pickle", "torch", "old torch", "zip"):
        for state in ("last.pt", "previous.pt"):
            (place.model / state).write_bytes(baits(sprung)[name])
        assert main(place.commands()["train"]) == 1
        assert not sprung.exists()


def test_commands_run_in_features_and_nowhere_else(place: Place, tmp_path: Path) -> None:
    sprung, folder = tmp_path / "sprung", place.data / "set"
    wavs = dict(line.split() for line in (folder / "wav.scp").read_text().splitlines())
    (folder / "wav.scp").write_text(
        "".join(f"{name} touch {sprung}; cat {path} |\n" for name, path in wavs.items())
    )
    commands = place.commands()
    for name in ("validate", "tokens", "train", "decode", "report"):
        assert main(commands[name]) == 0, name
        assert not sprung.exists(), name
    assert main(commands["features"]) == 0
    assert sprung.exists()
    sprung.unlink()
    model = asr_topdown.load(place.model)
    for source in (f"touch {sprung}; cat {wavs['a-one']} |", f"| touch {sprung}"):
        with pytest.raises((ValueError, OSError), match="no such file"):
            model.transcribe([source])
        assert main(["transcribe", str(place.model), source]) == 1
    # Features come from files only.
    feats = (folder / "feats.scp").read_text().splitlines()
    (folder / "feats.scp").write_text("".join(f"{line.split()[0]} touch {sprung} |\n" for line in feats))
    for name in ("validate", "train", "decode"):
        main(commands[name])
        assert not sprung.exists(), name
