"""What every kind of table comes down to: for each utterance where its sound is, what is said, and by
whom.
"""

import codecs
import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


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
    """The text of a file, which may be gzip-compressed, without its byte-order mark.

    Args:
        path: the file.
        encoding: of the text; by default UTF-8, or what a byte-order mark says.

    Raises:
        ValueError: naming file and line, if it is encoded in another way; naming the file, if it is damaged.
        FileNotFoundError: if there is no such file.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file ({error})") from None
    if encoding is None:
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "utf-16" if utf16 else "utf-8-sig"
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise ValueError(f"--encoding {encoding}: not an encoding that is known") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        name = encoding.removesuffix("-sig").upper()
        raise ValueError(f"{path}:{line}: not {name} text; --encoding says what it is") from None
