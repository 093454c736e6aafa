"""A fake AN4: spelled words and numbers in the form of CMU's archive `an4_sphere.tar.gz`."""

import random
from pathlib import Path

from asr_topdown.corpora.fake import speech, sphere

RATE = 16000
_WORDS = ("A", "B", "C", "D", "E", "F", "G", "H", "ONE", "TWO", "TEN", "YES", "NO")


def write(
    folder: Path,
    *,
    train: int = 948,
    test: int = 130,
    speakers: int = 10,
    seed: int = 0,
    engine: speech.Engine = "auto",
    seconds_each: float = 0.07,
) -> Path:
    """Write `folder/an4/{etc,wav}` and return `folder/an4`.

    Args:
        folder: target folder.
        train: number of utterances.
        test: number of utterances.
        speakers: number of training speakers; the test set has a tenth as many others, at least one.
        seed: of the texts.
        engine: see `speech.say`.
        seconds_each: see `speech.say`.
    """
    root = folder / "an4"
    (root / "etc").mkdir(parents=True, exist_ok=True)
    others = max(1, speakers // 10)
    names = [f"{'fm'[i % 2]}{_letters(i)}" for i in range(speakers + others)]
    sets = {
        "train": ("an4_clstk", train, names[:speakers], "<s> {} </s> ({})"),
        "test": ("an4test_clstk", test, names[speakers:], "{} ({})"),  # no <s>, as in the archive
    }
    for part, (where, count, who, form) in sets.items():
        draw = random.Random(f"{seed} {part}")
        fileids, lines = [], []
        for number in range(count):
            speaker = who[number * len(who) // count]
            text = " ".join(draw.choices(_WORDS, k=draw.randint(2, 6)))
            name = f"an{number}-{speaker}-b"
            sound = speech.say(text, speaker=speaker, rate=RATE, engine=engine, seconds_each=seconds_each)
            sphere.write(root / "wav" / where / speaker / f"{name}.sph", sound, RATE)
            fileids.append(f"{where}/{speaker}/{name}\n")
            lines.append(form.format(text, name) + "\n")
        (root / "etc" / f"an4_{part}.fileids").write_text("".join(fileids))
        (root / "etc" / f"an4_{part}.transcription").write_text("".join(lines))
    return root


def _letters(number: int) -> str:
    return "".join("abcdefghijklmnopqrstuvwxyz"[number // 26**place % 26] for place in (2, 1, 0))
