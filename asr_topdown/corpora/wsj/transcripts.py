"""WSJ's transcripts: `.dot` files, normalised as in Kaldi and ESPnet."""

import functools
import re
from collections.abc import Iterable
from pathlib import Path

from asr_topdown import files
from asr_topdown.corpora import repeated
from asr_topdown.corpora.wsj.tree import Tree

NOISE = "<NOISE>"

_LINE = re.compile(r"(.*)\((\w+)\)")
_SPELLED = {"%PERCENT": "PERCENT", ".POINT": "POINT"}  # in transcripts of November 1993
_NOT_SPOKEN = re.compile(
    r"\[<\w+\]"  # [<door_slam]: during the previous word
    r"|\[\w+>\]"  # [door_slam>]: during the next word
    r"|.*\[\w+/\]"  # [phone_ring/]: begins
    r"|.*\[/\w+\]"  # [/phone_ring]: ends
    r"|~"  # the waveform is truncated
    r"|\.",  # a pause
    re.ASCII,
)
_EVENT = re.compile(r"\[\w+\]", re.ASCII)  # [loud_breath]
_DELETED = re.compile(r"<([\w']+)>", re.ASCII)  # <and>: spoken, though not part of the sentence


class Transcripts:
    """The transcripts of all sessions, read on demand."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def find(self, utterance: str) -> str | None:
        """Return an utterance's transcript verbatim; None if there is none.

        Raises:
            ValueError: naming file and line of what is not a transcript.
        """
        return self._session(utterance[:6]).get(utterance)

    @functools.lru_cache(maxsize=64)  # noqa: B019 - lives as long as one preparation
    def _session(self, session: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in self._tree.dots(f"{session}00"):
            for utterance, text in read_dot(path).items():
                found.setdefault(utterance, text)
        return found


def read_dot(path: Path) -> dict[str, str]:
    """Read utterance -> transcript, verbatim, from the lines `words … (utterance)` of a `.dot` file.

    Raises:
        ValueError: naming file and line of any other line, or of an utterance's second, different transcript.
    """
    texts: dict[str, str] = {}
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"{path}:{number}: not `words (utterance)`: {line.strip()!r}")
        repeated.add(texts, found[2].lower(), found[1].strip(), f"{path}:{number}")
    return texts


def normalise(transcript: str) -> str:
    """Normalise a transcript as Kaldi and ESPnet do: upper case, <NOISE>, no other events, no quoting."""
    words = (_normalise_word(word) for word in transcript.split())
    return " ".join(word for word in words if word is not None)


def _normalise_word(word: str) -> str | None:
    """Normalise a word; None removes it. The order of the rules matters."""
    word = word.upper().replace("\\", "")
    word = _SPELLED.get(word, word)
    if not word or _NOT_SPOKEN.fullmatch(word):
        return None
    if _EVENT.search(word):
        return NOISE
    deleted = _DELETED.fullmatch(word)
    if deleted:
        return deleted[1]
    return "-DASH" if word == "--DASH" else word


def count(transcripts: Iterable[str]) -> tuple[int, int]:
    """Count words and characters as ESPnet does: without <NOISE>, but with the spaces around it."""
    words = characters = 0
    for transcript in transcripts:
        spoken = [word for word in transcript.split() if word != NOISE]
        words += len(spoken)
        characters += sum(map(len, spoken)) + max(0, len(transcript.split()) - 1)
    return words, characters
