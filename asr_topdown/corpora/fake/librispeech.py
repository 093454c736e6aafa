"""A fake LibriSpeech: invented sentences in the form of openslr.org's archives."""

import random
from collections.abc import Mapping
from pathlib import Path

import soundfile

from asr_topdown.corpora import librispeech
from asr_topdown.corpora.fake import speech

RATE = 16000
SMALL: Mapping[str, int] = {
    "train-clean-5": 160, "train-clean-100": 160, "train-clean-360": 160, "train-other-500": 160,
    **dict.fromkeys(("dev-clean-2", "dev-clean", "dev-other", "test-clean", "test-other"), 16),
}  # fmt: skip
"""Subset -> number of utterances."""

# Few letters, so that a small network learns their tones from few sentences.
_WORDS = (
    *("BAD", "CAB", "FACE", "HEAD", "BADGE", "EACH", "BEACH", "DECADE", "CAFE", "AGE", "HAD", "FED"),
    *("HE'D", "CAGE", "DEAF", "ACE", "ADD", "BAG", "BEAD", "DEAD", "EGG", "FADE"),
)
_PER_CHAPTER, _CHAPTERS = 8, 2


def write(
    folder: Path,
    sizes: Mapping[str, int] = SMALL,
    *,
    seed: int = 0,
    engine: speech.Engine = "auto",
    seconds_each: float = 0.07,
) -> Path:
    """Write `folder/LibriSpeech/SUBSET/READER/CHAPTER/…`, and return `folder/LibriSpeech`.

    Args:
        folder: target folder.
        sizes: subset -> number of utterances; a reader has at most 16, in two chapters of one subset.
        seed: of the texts.
        engine: see `speech.say`.
        seconds_each: see `speech.say`.
    """
    root = folder / "LibriSpeech"
    for place, subset in enumerate(librispeech.SUBSETS, 1):
        draw = random.Random(f"{seed} {subset}")
        lines: dict[Path, list[str]] = {}
        for number in range(sizes.get(subset, 0)):
            chapter, index = divmod(number, _PER_CHAPTER)
            reader = f"{place}{chapter // _CHAPTERS:03}"
            where = root / subset / reader / f"{100 + chapter}"
            where.mkdir(parents=True, exist_ok=True)
            text = " ".join(draw.choices(_WORDS, k=draw.randint(2, 6)))
            name = f"{reader}-{where.name}-{index:04}"
            sound = speech.say(text, speaker=reader, rate=RATE, engine=engine, seconds_each=seconds_each)
            soundfile.write(where / f"{name}.flac", sound, RATE)
            lines.setdefault(where, []).append(f"{name} {text}\n")
        for where, spoken in lines.items():
            (where / f"{where.parent.name}-{where.name}.trans.txt").write_text("".join(spoken))
    return root
