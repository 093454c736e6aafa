"""lhotse's manifests: `supervisions.jsonl.gz` and `recordings.jsonl.gz`."""

from pathlib import Path
from typing import Any

from asr_topdown.corpora.table.columns import Columns
from asr_topdown.corpora.table.json_lines import Records, read_records
from asr_topdown.corpora.table.rows import Row, Table
from asr_topdown.files import without_hidden

_COLUMNS = Columns(
    ("id", "recording_id", "text", "speaker", "start", "duration", "channel"),
    {"sound": "recording_id"},
    "supervisions",
)


def find(folder: Path) -> list[Path]:
    """Find the supervisions files in a folder."""
    return sorted(without_hidden(folder.glob("*supervisions*.jsonl*")))


def read(supervisions: Path, encoding: str | None) -> Table:
    """Read a file of supervisions, and that of the recordings, whose name differs only in this word.

    Raises:
        ValueError: naming file and line of what is not a supervision, has no recording, or has sound that is
            not in a file, or not as in its file (`transforms`).
        FileNotFoundError: if one of the two files is missing.
    """
    name = supervisions.name.replace("supervisions", "recordings")
    if name == supervisions.name:
        raise ValueError(
            f"{supervisions}: the name must contain `supervisions`, with the same name with `recordings` "
            "next to it; `lhotse cut decompose` makes both from cuts"
        )
    recordings = supervisions.with_name(name)
    if not recordings.is_file():
        raise FileNotFoundError(f"{recordings}: missing; {supervisions} needs it")
    sounds = _sounds(recordings, read_records(recordings, encoding))
    rows = [_row(where, one, sounds) for where, one in read_records(supervisions, encoding).items()]
    return Table(supervisions, rows, f"lhotse, sound files from {recordings.name}", supervisions.parent)


Sounds = dict[str, tuple[str, list[int]]]
"""Recording -> its file and channels."""


def _sounds(path: Path, records: Records) -> Sounds:
    sounds: Sounds = {}
    for where, record in records.items():
        name = str(record.get("id"))
        if name in sounds:
            raise ValueError(f"{where}: duplicate recording {name}")
        sounds[name] = _source(where, name, record)
    return sounds


def _source(where: str, name: str, record: dict[str, Any]) -> tuple[str, list[int]]:
    """Return a recording's file and channels."""
    hint = "lhotse writes such a manifest with `lhotse cut simple` and `save_audios`"
    if record.get("transforms"):
        raise ValueError(
            f"{where}: recording {name} has transforms, which must be in its file instead; {hint}"
        )
    sources = record.get("sources")
    source = sources[0] if isinstance(sources, list) and len(sources) == 1 else None
    if (
        not isinstance(source, dict)
        or source.get("type") != "file"
        or not isinstance(source.get("source"), str)
    ):
        raise ValueError(f"{where}: recording {name} must have one source of type `file`; {hint}")
    channels = source.get("channels", [])
    if not isinstance(channels, list) or any(type(channel) is not int for channel in channels):
        raise ValueError(f"{where}: recording {name}: channels must be a list of numbers, got {channels!r}")
    return source["source"], channels


def _row(where: str, record: dict[str, Any], sounds: Sounds) -> Row:
    recording = str(record.get("recording_id"))
    if recording not in sounds:
        raise ValueError(f"{where}: no recording {recording}")
    for key in ("id", "start", "duration"):
        if record.get(key) is None:
            raise ValueError(f"{where}: must have id, start and duration (no `{key}`)")
    channel = record.get("channel", 0)
    if isinstance(channel, list):
        channel = channel[0] if channel else None
    row = _COLUMNS.row(record | {"channel": channel}, where)
    sound, channels = sounds[recording]
    if len(channels) > 1 and row.channel is None:
        raise ValueError(f"{where}: no `channel`, but recording {recording} has {len(channels)} channels")
    return row._replace(sound=sound, channel=row.channel if len(channels) > 1 else next(iter(channels), None))
