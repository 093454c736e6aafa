"""Which utterances of Switchboard train a network, and which choose it (Kaldi, ESPnet)."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

DEV_UTTERANCES = 4000
MAX_COPIES = 300
"""So often, about, one transcript may stand in the training set; `uh-huh` does thousands of times."""

FRAMES = (10, 2000)
CHARACTERS = (0, 400)
"""An utterance must have more of these than the first number and fewer than the second; a noise is one."""

_NOISE = re.compile(r"<[^<> ]*>")


def limit_copies(transcripts: Mapping[str, str], most: int = MAX_COPIES) -> list[str]:
    """The utterances that stay, sorted: of a transcript that occurs n >= `most` times about `most` copies.

    Each of these stays with probability most / n, by a generator of its own (Kaldi's remove_dup_utts.sh), so
    that everybody keeps the same.
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
    """Whether an utterance is neither too long nor too short to train on."""
    # As Kaldi frames: windows of 25 ms every 10 ms, none beyond the end.
    frames = 1 + (round(1000 * seconds) - 25) // 10
    characters = len(_NOISE.sub("x", text))
    return FRAMES[0] < frames < FRAMES[1] and CHARACTERS[0] < characters < CHARACTERS[1]
