"""Parsers of the values in a data directory's tables."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from asr_topdown import files
from asr_topdown.datadir.lines import fields

Segment = tuple[str, float, float | None]  # recording, start, end in seconds; None = the recording's end

TO_THE_END = -1
"""The end of a segment, in Kaldi's tables, that goes on to the end of its recording."""


class Side(NamedTuple):
    """One channel of a call, as named in scoring: the file's name, and A or B."""

    file: str
    channel: str


def parse_segment(value: str) -> Segment:
    """`recording start end` of a segments line.

    Raises:
        ValueError: without the location, which the caller knows.
    """
    parts = fields(value)
    if len(parts) == 4:
        raise ValueError(
            f"has a fifth field, {parts[3]!r}: for Kaldi the channel, counted from 0, which is read from "
            "reco2file_and_channel here: give each channel a recording of its own in wav.scp, and a line "
            "`recording file A` (or B) there"
        )
    if len(parts) != 3:
        raise ValueError(f"needs 4 fields (utterance, recording, start, end), has {len(parts) + 1}")
    try:
        start, end = files.number(parts[1]), files.number(parts[2])
    except ValueError:
        raise ValueError(f"start {parts[1]!r} and end {parts[2]!r} must be seconds") from None
    if end == TO_THE_END and 0 <= start < float("inf"):
        return parts[0], start, None
    if not 0 <= start < end < float("inf"):
        raise ValueError(f"segment from {parts[1]} to {parts[2]} s: the end must come after the start")
    return parts[0], start, end


def parse_positive(value: str) -> float:
    """A number above 0."""
    try:
        number = files.number(value)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise ValueError(f"needs a number above 0, got {value!r}")
    return number


def parse_count(value: str) -> int:
    """An integer above 0."""
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise ValueError(f"needs a whole number above 0, got {value!r}")
    return int(value)


def parse_side(value: str) -> Side:
    """`file channel` of a reco2file_and_channel line."""
    parts = fields(value)
    if len(parts) != 2:
        raise ValueError(f"needs 3 fields (recording, file, channel), has {len(parts) + 1}")
    return Side(*parts)


def read_sample_rate(path: Path) -> int | None:
    """The number in a `sample_rate` file; None if there is no such file.

    Raises:
        ValueError: naming the file, if it holds anything else.
    """
    if not path.exists():
        return None
    try:
        return parse_count(files.read_text(path).strip())
    except ValueError as error:
        reason = str(error).removeprefix(f"{path}:").strip()
        raise ValueError(f"{path}: {reason}") from None


def parse_source(value: str) -> str:
    """A location: any non-empty text."""
    if not value:
        raise ValueError("nothing follows it")
    return value


def parse_word(value: str) -> str:
    """A single field."""
    if len(fields(value)) != 1:
        raise ValueError(f"needs exactly 2 fields, has {len(fields(value)) + 1}")
    return value


PARSERS: Mapping[str, Callable[[str], object]] = {
    "utt2spk": parse_word,
    "spk2utt": parse_source,
    "wav.scp": parse_source,
    "segments": parse_segment,
    "utt2speed": parse_positive,
    "feats.scp": parse_source,
    "utt2num_frames": parse_count,
    "utt2dur": parse_positive,
    "reco2dur": parse_positive,
    "utt2uniq": parse_word,
    "utt2lang": parse_word,
    "vad.scp": parse_source,
    "cmvn.scp": parse_source,
    "spk2gender": parse_word,
    "reco2file_and_channel": parse_side,
}
"""For each table but `text`, what its values must be; a ValueError says what is wrong."""
