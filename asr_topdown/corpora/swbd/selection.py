"""Selection of Switchboard's training and dev utterances, as in Kaldi and ESPnet."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

DEV_UTTERANCES = 4000
MAX_COPIES = 300
"""Approximate maximum number of copies of a transcript; `uh-huh` occurs thousands of times."""

FRAMES = (10, 2000)
CHARACTERS = (0, 400)
"""Exclusive limits for an utterance's frames and characters; a noise is one character."""

_NOISE = re.compile(r"<[^<> ]*>")


def limit_copies(transcripts: Mapping[str, str], most: int = MAX_COPIES) -> list[str]:
    """Choose the utterances to keep, sorted: about `most` copies of a transcript with n >= `most` copies.

    Each copy is kept with probability most / n, with the generator of Kaldi's remove_dup_utts.sh, so that the
    selection is the same.
    """
    copies = Counter(transcripts.values())
    draw = _generator()
    return [
        utterance
        for utterance, text in sorted(transcripts.items())
        if copies[text] < most or next(draw) < most / copies[text]
    ]


def _generator() -> Iterator[float]:
    state = 0
    while True:
        state = (state + 103349) % 71147
        yield state / 71147


def fits(text: str, seconds: float) -> bool:
    """Whether an utterance is neither too long nor too short for training."""
    # Frames as in Kaldi: windows of 25 ms every 10 ms, none beyond the end.
    frames = 1 + (round(1000 * seconds) - 25) // 10
    characters = len(_NOISE.sub("x", text))
    return FRAMES[0] < frames < FRAMES[1] and CHARACTERS[0] < characters < CHARACTERS[1]
