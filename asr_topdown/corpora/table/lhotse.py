"""lhotse's manifests: `supervisions.jsonl.gz` and `recordings.jsonl.gz`."""

from pathlib import Path
from typing import Any

from asr_topdown.corpora.table.json_lines import Records, read_records
from asr_topdown.corpora.table.rows import Row, Table


def find(folder: Path) -> list[Path]:
    """Find the supervisions files in a folder."""
    return sorted(folder.glob("*supervisions*.jsonl*"))


def read(supervisions: Path, encoding: str | None) -> Table:
    """Read a file of supervisions, and that of the recordings, whose name differs only in this word.

    Raises:
        ValueError: naming file and line of what is not a supervision, has no recording, or has sound that is
            not in a file.
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
        sources = record.get("sources")
        if not isinstance(sources, list) or len(sources) != 1 or sources[0].get("type") != "file":
            raise ValueError(
                f"{where}: recording {record.get('id')} must have one source of type `file`; "
                "lhotse writes such a manifest with `lhotse cut simple` and `save_audios`"
            )
        sounds[str(record.get("id"))] = str(sources[0].get("source")), list(sources[0].get("channels", [0]))
    return sounds


def _row(where: str, record: dict[str, Any], sounds: Sounds) -> Row:
    recording = str(record.get("recording_id"))
    if recording not in sounds:
        raise ValueError(f"{where}: no recording {recording}")
    sound, channels = sounds[recording]
    try:
        start, duration = float(record["start"]), float(record["duration"])
        utterance = str(record["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: must have id, start and duration ({error})") from None
    channel = record.get("channel", 0)
    channel = channel[0] if isinstance(channel, list) and channel else channel
    speaker = record.get("speaker")
    return Row(
        where,
        sound,
        str(record.get("text") or ""),
        utterance,
        None if speaker is None else str(speaker),
        start,
        start + duration,
        int(channel) if len(channels) > 1 else None,
    )
