"""A tiny network that has learnt to read tones: each letter, and the space between words, is one."""

import random
from pathlib import Path
from typing import NamedTuple

import pytest

from asr_topdown.bin.main import main

RATE, EACH = 8000, 0.1  # Hz, and seconds of each letter

CONFIG = """
features: {fbank: {sample_rate: 8000, num_mels: 20}}
model: {encoder: [{kind: blstm, num_layers: 1, hidden_size: 24, stack: 2}], ctc: {}}
train: {epochs: 16, patience: 0, utterances_per_batch: 8, optimizer: {lr: 0.02}}
"""


class Toy(NamedTuple):
    """A folder with a trained network, the data it was trained on, and a function that writes text as
    sound.
    """

    root: Path
    model: Path
    write: object


@pytest.fixture(scope="session")
def toy(tmp_path_factory, write_tones):
    root = tmp_path_factory.mktemp("transcription")
    drawn = random.Random(1)

    def write(path, text, rate=RATE):
        return write_tones(path, text, rate=rate, seconds_each=EACH)

    for part, count in (("train", 90), ("dev", 12)):
        lines = ["id\ttext\tspeaker"]
        for number in range(count):
            words = ["".join(drawn.choices("abc", k=drawn.randint(1, 4))) for _ in range(drawn.randint(1, 3))]
            write(root / part / f"{part}{number:02}.wav", " ".join(words))
            lines.append(f"{part}{number:02}\t{' '.join(words)}\ttoy")
        (root / f"{part}.tsv").write_text("\n".join(lines) + "\n")
        source = ["--source", str(root / f"{part}.tsv"), "--audio", str(root / part)]
        assert main(["prepare", "table", *source, "--out", str(root / "data" / part)]) == 0
    (root / "c.yaml").write_text(CONFIG)
    data, config = root / "data", ["--config", str(root / "c.yaml")]
    sets = [str(data / "train"), str(data / "dev")]
    assert main(["features", *sets, *config, "--nj", "1"]) == 0
    assert main(["tokens", *config, "--train", sets[0], "--out", str(data / "tokens.txt")]) == 0
    options = [
        "--train",
        sets[0],
        "--dev",
        sets[1],
        "--tokens",
        str(data / "tokens.txt"),
        "--exp",
        str(root / "exp"),
    ]
    assert main(["train", *config, *options, "--seed", "1"]) == 0
    (model,) = (root / "exp" / "nodes").iterdir()
    return Toy(root, model, write)
