"""What every kind of table comes down to: for each utterance where its sound is, what is said, and by
whom.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from asr_topdown import files


class Row(NamedTuple):
    """One utterance of a table.

    Attributes:
        where: file and line, for messages.
        sound: the sound file as the table calls it: a path or a name, with or without suffix.
        text: what is said, as it stands there.
        utterance: its id; empty if the table gives none.
        speaker: None if the table does not say.
        start, end: seconds in the sound file (samples if the table counts them); end None = up to its end.
        channel: 0 is the first; None = the table does not say.
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
        taken: what was taken for what, for people.
        sounds: the folder below which the sound is looked for, unless the user names one.
        in_samples: whether `start` and `end` count samples.
    """

    path: Path
    rows: list[Row]
    taken: str
    sounds: Path
    in_samples: bool = False


def read_text(path: Path, encoding: str | None = None) -> str:
    """The text of a file, as `files.read_text` reads it.

    Raises:
        ValueError: as there, and if there is no such encoding.
        FileNotFoundError: if there is no such file.
    """
    try:
        return files.read_text(path, encoding, hint="; --encoding says what it is")
    except LookupError:
        raise ValueError(f"--encoding {encoding}: not an encoding that is known") from None
