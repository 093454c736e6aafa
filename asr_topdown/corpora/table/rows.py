"""The rows common to all kinds of tables: an utterance's sound, transcript and speaker."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from asr_topdown import files


class Row(NamedTuple):
    """An utterance of a table.

    Attributes:
        where: file and line, for messages.
        sound: the sound file as in the table: a path or a name, with or without suffix.
        text: the transcript, verbatim.
        utterance: its id; empty if the table has none.
        speaker: None if the table has none.
        start, end: in seconds (or samples, `Table.in_samples`) of the sound file; end None = to its end.
        channel: from 0; None if the table has none.
    """

    where: str
    sound: str
    text: str
    utterance: str = ""
    speaker: str | None = None
    start: float = 0.0
    end: float | None = None
    channel: int | None = None


@dataclass(frozen=True)
class Table:
    """A table that has been read.

    Attributes:
        path: the file or folder.
        rows: its utterances.
        taken: description of the format and the columns used, for the user.
        sounds: the folder with the sound, unless the user names one.
        in_samples: whether `start` and `end` are in samples.
    """

    path: Path
    rows: list[Row]
    taken: str
    sounds: Path
    in_samples: bool = False


def read_text(path: Path, encoding: str | None = None) -> str:
    """Read a file's text with `files.read_text`.

    Raises:
        ValueError: as there, and for an unknown encoding.
        FileNotFoundError: if the file does not exist.
    """
    try:
        return files.read_text(path, encoding, hint="; --encoding says what it is")
    except LookupError:
        raise ValueError(f"--encoding {encoding}: unknown encoding") from None
