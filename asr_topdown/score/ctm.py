"""NIST's conversation time marks (ctm): a system's words with times.

The recipes' decoders give no times. As in ESPnet, the words of a segment share its time equally, which
suffices: a word only has to fall into its segment.
"""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from asr_topdown import files

_ID = re.compile(r"(?P<file>.+)-(?P<channel>[AB])_(?P<start>[0-9]{1,12})-(?P<end>[0-9]{1,12})")

# Optional in hubscr's references, so omitting them from a hypothesis costs nothing (Kaldi, ESPnet).
_HESITATIONS = {"UH", "UM", "EH", "MM", "HM", "AH", "HUH", "HA", "ER", "OOF", "HEE", "ACH", "EEE", "EW"}
_LAUGHTER = re.compile(r"[\[<]?LAUGHTER(-.*)?[\]>]?")
_NOISES = re.compile(r"[\[<]NOISE|LAUGHTER|VOCALIZED-NOISE[\]>]|<UNK>")

# sclite crashes on a brace inside a word, and gives the others a meaning (`*` at the end of a word).
_RESERVED = {
    "{": "<lbrace>",
    "}": "<rbrace>",
    "(": "<lparen>",
    ")": "<rparen>",
    "/": "<slash>",
    "@": "<at>",
    "\\": "<backslash>",
    ";": "<semicolon>",
    "*": "<star>",
}
_MARK = re.compile(r"<(/?)(ALT(?:_BEGIN|_END)?)>", re.IGNORECASE)


class Word(NamedTuple):
    """A line: a word in `channel` of `file`, with `start` and `duration` in seconds."""

    file: str
    channel: str
    start: float
    duration: float
    word: str


class Place(NamedTuple):
    """An utterance's file, channel, and times in centiseconds."""

    file: str
    channel: str
    start: int
    end: int


def place(utterance: str) -> Place:
    """Parse an utterance's id such as `sw_4390-A_000029-000202`.

    The times in `segments` are not used because they may be padded.

    Raises:
        ValueError: naming the utterance, if its id has another form, or its end is before its start.
    """
    found = _ID.fullmatch(utterance)
    if not found or int(found["end"]) < int(found["start"]):
        raise ValueError(f"utterance {utterance}: the id does not tell call, side, start and end")
    return Place(found["file"], found["channel"], int(found["start"]), int(found["end"]))


def from_transcripts(transcripts: Mapping[str, str]) -> list[Word]:
    """Convert transcripts to escaped words in upper case that share the utterance's time equally.

    Durations are whole centiseconds, rounded down; the last word gets the rest.

    Raises:
        ValueError: as in `place`.
    """
    words: list[Word] = []
    for utterance, transcript in sorted(transcripts.items()):
        file, channel, start, end = place(utterance)
        said = [escape(word).upper() for word in transcript.split()]
        step = (end - start) // max(1, len(said))
        for number, word in enumerate(said):
            begin = start + number * step
            length = end - begin if number == len(said) - 1 else step
            words.append(Word(file, channel, begin / 100, length / 100, word))
    return words


def without_noise(words: Iterable[Word]) -> list[Word]:
    """Remove noises, hesitations and partial words (`some-`) from a hypothesis.

    As in Kaldi, whose filter looks for LAUGHTER anywhere in a line, "slaughter" is removed too; see
    `mistaken`.
    """
    return [word for word in words if not _is_noise(word.word.upper())]


def mistaken(words: Iterable[Word]) -> list[str]:
    """List the real words, in upper case, that `without_noise` removes because they contain LAUGHTER."""
    held = (word.word.upper() for word in words)
    return sorted({word for word in held if "LAUGHTER" in word and not _LAUGHTER.fullmatch(word)})


def _is_noise(word: str) -> bool:
    return bool(_NOISES.search(word)) or word in _HESITATIONS or word.endswith("-")


def escape(word: str) -> str:
    """Replace the characters with a meaning in sclite: braces, slashes, `@` and others."""
    escaped = "".join(_RESERVED.get(character, character) for character in word)
    return _MARK.sub(r"<\1escaped_\2>", escaped)


def read(path: Path | str) -> list[Word]:
    """Read the words of a file, in its order, without confidences and comments.

    A file that is not UTF-8 is read as Latin-1, which NIST uses.

    Raises:
        ValueError: naming file and line, if a line is not `file channel start duration word [confidence]`;
            alternatives (`<ALT_BEGIN>`) are not supported.
        FileNotFoundError: if the file does not exist.
    """
    path = Path(path)
    words = []
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        fields = line.split()
        if not fields or fields[0].startswith(";;"):
            continue
        try:
            if len(fields) not in (5, 6):
                raise ValueError
            start, duration = files.number(fields[2]), files.number(fields[3])
            if not (0 <= start < math.inf and 0 <= duration < math.inf):
                raise ValueError
            words.append(Word(fields[0], fields[1], start, duration, fields[4]))
        except ValueError:
            raise ValueError(
                f"{path}:{number}: must have file, channel, start, duration and word, got {line.strip()!r}"
            ) from None
    return words


def write(path: Path | str, words: Iterable[Word]) -> None:
    """Write words sorted by file, channel and start."""
    ordered = sorted(words, key=lambda word: word[:3])
    files.write_text(
        path, "".join(f"{w.file} {w.channel} {w.start:.2f} {w.duration:.2f} {w.word}\n" for w in ordered)
    )
