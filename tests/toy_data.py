"""Invented speech for the tests: data directories with features that are written, not computed."""

import random
from pathlib import Path
from typing import Any

import numpy as np

from asr_topdown import datadir
from asr_topdown.corpora import nested
from asr_topdown.datadir import DataDir
from asr_topdown.features import ark
from asr_topdown.features.cmvn import Cmvn

SLOW = {"letters": "abcd", "dim": 8, "frames": 10, "sounding": 6, "noise": 0.2, "shortest": 3}
"""Speech for `write_data` whose letters are still there at a fourth of the time."""


def write_data(
    folder: Path,
    count: int,
    seed: int,
    *,
    letters: str = "abc",
    dim: int = 4,
    frames: int = 4,
    sounding: int = 3,
    noise: float = 0.3,
    shortest: int = 2,
    longest: int = 5,
) -> Path:
    """Write `count` utterances of random letters, each of which sounds in a dimension of its own.

    Args:
        folder: the data directory, which is made.
        count: utterances.
        seed: of the letters and the noise.
        letters: what is said.
        dim: numbers in a frame.
        frames: of a letter.
        sounding: how many of these are not silent.
        noise: standard deviation of what is added; the sound itself is 2.
        shortest: fewest letters of an utterance.
        longest: most.
    """
    generator, normal = random.Random(seed), np.random.default_rng(seed)
    folder.mkdir(parents=True)
    text, feats = {}, {}
    for index in range(count):
        said = [generator.choice(letters) for _ in range(generator.randrange(shortest, longest + 1))]
        matrix = normal.normal(0, noise, (frames * len(said), dim)).astype(np.float32)
        for position, letter in enumerate(said):
            channel = dim // len(letters) * letters.index(letter)
            matrix[frames * position : frames * position + sounding, channel] += 2
        text[f"spk-{index:03}"], feats[f"spk-{index:03}"] = "".join(said), matrix
    tables = {
        "text": text,
        "utt2num_frames": {name: len(matrix) for name, matrix in feats.items()},
        "utt2spk": dict.fromkeys(text, "spk"),
        "spk2utt": {"spk": " ".join(text)},
        "wav.scp": {name: f"{folder / name}.wav" for name in text},  # there is no sound
    }
    for name, table in tables.items():
        (folder / name).write_text("".join(f"{key} {value}\n" for key, value in table.items()))
    with (folder / "feats.ark").open("wb") as archive:
        places = [
            f"{name} {archive.name}:{ark.save(archive, name, matrix)}\n" for name, matrix in feats.items()
        ]
    (folder / "feats.scp").write_text("".join(places))
    Cmvn.of(feats.values()).save(folder / "cmvn.ark")
    return folder


def write_nested(out: Path, source: Path, **options: Any) -> list[DataDir]:
    """Write the nested parts of a data directory, as `asr-topdown data nested` does."""
    made = nested.parts(out, source=datadir.read(source), **options)
    datadir.write(*made, statistics=source / "cmvn.ark")
    return made
