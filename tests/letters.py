"""A made-up corpus of letters, whose features networks of all kinds learn in a few epochs."""

import random
from pathlib import Path

import kaldiio
import numpy as np

from asr_topdown.features.cmvn import Cmvn

LETTERS = "abcd"
FRAMES = 10  # of a letter; six of sound, so that the letter is still there at a fourth of the time


def write_data(folder: Path, count: int, seed: int) -> Path:
    """Utterances of letters, each of which sounds in a dimension of its own."""
    generator, noise = random.Random(seed), np.random.default_rng(seed)
    folder.mkdir(parents=True)
    text, feats, frames = {}, {}, {}
    for index in range(count):
        name = f"spk-{index:03}"
        letters = [generator.choice(LETTERS) for _ in range(generator.randrange(3, 6))]
        matrix = noise.normal(0, 0.2, (FRAMES * len(letters), 8)).astype(np.float32)
        for position, letter in enumerate(letters):
            matrix[FRAMES * position : FRAMES * position + 6, 2 * LETTERS.index(letter)] += 2
        text[name], feats[name], frames[name] = "".join(letters), matrix, len(matrix)
    kaldiio.save_ark(str(folder / "feats.ark"), feats, scp=str(folder / "feats.scp"))
    for name, table in (("text", text), ("utt2num_frames", frames), ("utt2spk", dict.fromkeys(text, "spk"))):
        (folder / name).write_text("".join(f"{key} {value}\n" for key, value in sorted(table.items())))
    Cmvn.of(feats.values()).save(folder / "cmvn.ark")
    return folder
