"""Valid transcripts, and reading them in a normal form."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

from asr_topdown.datadir.lines import parse_table
from asr_topdown.logs import warn_once

_MARKS_OF_DIRECTION = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = str.maketrans("", "", f"\u00ad\u200b\u2060\ufeff{_MARKS_OF_DIRECTION}")
"""Soft hyphens, directional marks, byte-order marks, zero-width spaces: not part of the spelling. Joiners
and non-joiners (U+200D, U+200C), which Persian and Hindi need, are part of it."""


def tidy(transcript: str) -> str:
    """Return a transcript in normal form.

    This is Unicode's composed form (NFC), so that equal letters are equal units; with one blank between
    words, whatever the white space; without invisible characters that are not part of the spelling.
    """
    return " ".join(unicodedata.normalize("NFC", transcript).translate(_INVISIBLE).split())


def problem_of(transcript: str) -> str | None:
    """Why a tidy transcript is invalid in a Kaldi `text` file; None if it is valid."""
    for character in transcript:
        if unicodedata.category(character) in ("Cc", "Cs"):
            return f"unprintable character {character!r}"
    reserved = {"<s>", "</s>", "#0"}.intersection(transcript.split())
    return f"reserved word {min(reserved)}" if reserved else None


def parse_transcript(value: str) -> str:
    """A transcript from a table, tidied.

    Raises:
        ValueError: without the location, if it is invalid.
    """
    transcript = tidy(value)
    problem = problem_of(transcript)
    if problem:
        raise ValueError(problem)
    return transcript


def read_transcripts(path: Path | str, parse: Callable[[str], str] = tidy) -> dict[str, str]:
    """Utterance -> tidied transcript, of a Kaldi `text` file.

    Transcripts that were not in Unicode's composed form are reported once per file.

    Raises:
        ValueError: naming file and line, if an utterance occurs twice or `parse` raises ValueError.
        FileNotFoundError: if the file is missing.
    """
    decomposed = 0

    def read(value: str) -> str:
        nonlocal decomposed
        decomposed += not unicodedata.is_normalized("NFC", value)
        return parse(value)

    table = parse_table(path, read)
    if decomposed:
        changed = f"{decomposed} of {len(table)} transcripts are not in Unicode's composed form (NFC)"
        warn_once(f"{path}: {changed}; they are read in it")
    return table
