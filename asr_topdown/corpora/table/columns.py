"""Which column of a table, or key of a JSON object, is what: the names that toolkits use."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from asr_topdown.corpora.table.rows import Row

NAMES: Mapping[str, Sequence[str]] = {
    "sound": (
        *("file", "path", "file_name", "filename", "wav", "wav_filename", "audio_filepath", "audio_file"),
        *("audio_path", "audio", "sound"),
    ),
    "text": ("text", "transcript", "transcription", "sentence", "wrd", "words"),
    "speaker": ("speaker", "speaker_id", "spk_id", "spk", "client_id"),
    "id": ("id", "utt_id", "utterance_id", "utt"),
    "start": ("start", "offset"),
    "end": ("end",),
    "stop": ("stop",),
    "duration": ("duration",),
    "channel": ("channel",),
}
"""What a column can be -> the headings that say so, in lower case, the first that is there wins. `stop`
counts samples, and `start` does beside it, as in SpeechBrain."""

_SPEAKER_LENGTH = 16
_ROOT = re.compile(r"^(\$\w+|\{\w+\})/")  # SpeechBrain's $data_root/ and {data_root}/


class Columns:
    """The columns that are used, by what they are.

    Args:
        headings: those of the table.
        wanted: what -> heading, the user's own choice, which comes first; an empty heading leaves it out.
        where: the table, for messages.

    Raises:
        ValueError: if there is no column for the sound or the text, or a heading stands twice or is unknown.
    """

    def __init__(self, headings: Sequence[str], wanted: Mapping[str, str], where: str) -> None:
        plain = [heading.strip().lower() for heading in headings]
        self._taken: dict[str, str] = {}
        for what, names in NAMES.items():
            if what in wanted:
                names = (wanted[what].strip().lower(),)
                if names[0] and names[0] not in plain:
                    raise ValueError(f"{where}: no column `{wanted[what]}` for the {what}, has {headings}")
            found = [name for name in names if name and name in plain]
            if found and plain.count(found[0]) > 1:
                raise ValueError(f"{where}: the heading `{found[0]}` stands there twice")
            if found:
                self._taken[what] = headings[plain.index(found[0])]
        if "sound" not in self._taken and "id" in self._taken:
            self._taken["sound"] = self._taken.pop("id")
        if not {"sound", "text"} <= self._taken.keys():
            raise ValueError(
                f"{where}: needs a column for the sound (file, path, file_name, wav, audio_filepath …) and "
                f"one for the text (text, sentence, transcription, wrd …), has {list(headings)}; "
                "--columns sound=…,text=… names them"
            )

    @property
    def in_samples(self) -> bool:
        """Whether the table counts samples, not seconds."""
        return "stop" in self._taken

    def described(self) -> str:
        """What was taken for what, as people read it."""
        return ", ".join(f"{what} from `{heading}`" for what, heading in self._taken.items())

    def row(self, record: Mapping[str, object], where: str) -> Row:
        """The utterance that a record of the table describes.

        Raises:
            ValueError: naming the place and the column that is missing or not a number.
        """
        sound, text = (self._word(record, what, where) for what in ("sound", "text"))
        if sound is None:
            raise ValueError(f"{where}: no `{self._taken['sound']}`")
        start = self._number(record, "start", where) or 0.0
        end = self._number(record, "stop" if self.in_samples else "end", where)
        duration = self._number(record, "duration", where)
        if end is None and duration is not None and not self.in_samples:
            end = start + duration
        channel = self._number(record, "channel", where)
        return Row(
            where,
            _ROOT.sub("", sound.strip(), count=1),
            text or "",
            (self._word(record, "id", where) or "").strip(),
            _speaker(self._taken.get("speaker"), self._word(record, "speaker", where)),
            start,
            end,
            None if channel is None else int(channel),
        )

    def _word(self, record: Mapping[str, object], what: str, where: str) -> str | None:
        heading = self._taken.get(what)
        value = record.get(heading) if heading else None
        if value is not None and not isinstance(value, str | int | float):
            raise ValueError(f"{where}: `{heading}` is {type(value).__name__}, not a text")
        return None if value is None else str(value)

    def _number(self, record: Mapping[str, object], what: str, where: str) -> float | None:
        text = self._word(record, what, where)
        if text is None or not text.strip():
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            raise ValueError(f"{where}: `{self._taken[what]}` must be a number from 0 on, got {text!r}")
        return number


def parse(text: str) -> dict[str, str]:
    """`sound=wav,text=wrd` as a mapping.

    Raises:
        ValueError: naming what is no column's use.
    """
    wanted = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        what, equals, heading = item.partition("=")
        if not equals or what not in NAMES:
            raise ValueError(f"--columns {text}: {item!r} is not USE=HEADING; uses are {', '.join(NAMES)}")
        wanted[what] = heading
    return wanted


def keys(records: Iterable[Mapping[str, object]]) -> list[str]:
    """The keys of all records, each once, in the order of their first appearance."""
    return list(dict.fromkeys(key for record in records for key in record))


def _speaker(heading: str | None, name: str | None) -> str | None:
    """Common Voice's are hashes of 128 digits, of which 16 tell any two apart."""
    return name[:_SPEAKER_LENGTH] if name and heading and heading.strip().lower() == "client_id" else name
