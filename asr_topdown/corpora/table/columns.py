"""Uses of a table's columns, or a JSON object's keys, by the names in other toolkits."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from asr_topdown import files
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
"""Use -> possible headings in lower case; the first one found counts. `stop` is in samples, and then `start`
too, as in SpeechBrain."""

_HASH, _HASH_LENGTH = re.compile(r"[0-9a-f]{64,}"), 16
_ROOT = re.compile(r"^(\$\w+|\{\w+\})/")  # SpeechBrain's $data_root/ and {data_root}/


class Columns:
    """The columns that are used.

    Args:
        headings: the table's headings.
        wanted: use -> heading, chosen by the user; an empty heading excludes the use.
        where: the table, for messages.

    Raises:
        ValueError: if there is no column for the sound or the text, or a heading is duplicate or unknown.
    """

    def __init__(self, headings: Sequence[str], wanted: Mapping[str, str], where: str) -> None:
        plain = [heading.strip().lower() for heading in headings]
        self._taken: dict[str, str] = {}
        for what, names in NAMES.items():
            if what in wanted:
                names = (wanted[what].strip().lower(),)
                if names[0] and names[0] not in plain:
                    raise ValueError(f"{where}: no column `{wanted[what]}` for the {what}, got {headings}")
            found = [name for name in names if name and name in plain]
            if found and plain.count(found[0]) > 1:
                raise ValueError(f"{where}: duplicate heading `{found[0]}`")
            if found:
                self._taken[what] = headings[plain.index(found[0])]
        if "sound" not in self._taken and "id" in self._taken:
            self._taken["sound"] = self._taken.pop("id")
        if not {"sound", "text"} <= self._taken.keys():
            raise ValueError(
                f"{where}: must have a column for the sound (file, path, file_name, wav, audio_filepath …) "
                f"and one for the text (text, sentence, transcription, wrd …), got {list(headings)}; "
                "--columns sound=…,text=… names them"
            )

    @property
    def in_samples(self) -> bool:
        """Whether times are in samples, not seconds."""
        return "stop" in self._taken

    def described(self) -> str:
        """Describe the columns used, for the user."""
        return ", ".join(f"{what} from `{heading}`" for what, heading in self._taken.items())

    def row(self, record: Mapping[str, object], where: str) -> Row:
        """Convert a record to a row.

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
        if channel is not None and not channel.is_integer():
            raise ValueError(f"{where}: `{self._taken['channel']}` must be a whole number, got {channel:g}")
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
        # A truth value is an int to Python.
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise ValueError(f"{where}: `{heading}` must be a text, got {type(value).__name__}")
        return None if value is None else str(value)

    def _number(self, record: Mapping[str, object], what: str, where: str) -> float | None:
        text = self._word(record, what, where)
        if text is None or not text.strip():
            return None
        try:
            number = files.number(text)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            raise ValueError(f"{where}: `{self._taken[what]}` must be a number of at least 0, got {text!r}")
        return number


def parse(text: str) -> dict[str, str]:
    """Parse `sound=wav,text=wrd`.

    Raises:
        ValueError: naming an item that is not USE=HEADING.
    """
    wanted = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        what, equals, heading = item.partition("=")
        if not equals or what not in NAMES:
            raise ValueError(f"--columns {text}: must be USE=HEADING with {', '.join(NAMES)}, got {item!r}")
        wanted[what] = heading
    return wanted


def keys(records: Iterable[Mapping[str, object]]) -> list[str]:
    """Collect the keys of all records, in the order of their first appearance."""
    return list(dict.fromkeys(key for record in records for key in record))


def _speaker(heading: str | None, name: str | None) -> str | None:
    """Shorten Common Voice's hashes of 128 digits, of which 16 suffice; other names may begin alike."""
    of_client = heading is not None and heading.strip().lower() == "client_id"
    return name[:_HASH_LENGTH] if name and of_client and _HASH.fullmatch(name.strip()) else name
