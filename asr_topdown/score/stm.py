"""NIST's segment time marks (stm): reference transcripts with times, by file and channel."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from asr_topdown import files

IGNORED = "IGNORE_TIME_SEGMENT_IN_SCORING"
"""Text of a segment that is not scored; the hypothesis there is ignored."""

LABELS = re.compile(r"<[^<>]+>")
"""What the first word of a segment's text is if it is no word."""


class Segment(NamedTuple):
    """A line: times in seconds, in `channel` of `file`; `labels` verbatim (`<o,f0,m>`), or ""."""

    file: str
    channel: str
    speaker: str
    start: float
    end: float
    labels: str
    text: str

    @property
    def scored(self) -> bool:
        """Whether the segment counts; see `IGNORED`."""
        return IGNORED not in self.text.upper()


def read(path: Path | str) -> list[Segment]:
    """Read the segments of a file, in its order, without comments (`;;`).

    A file that is not UTF-8 is read as Latin-1, which NIST uses.

    Raises:
        ValueError: naming file and line, for fewer than five fields, times that are not numbers, or an end
            before the start; naming the file, if it has no segments.
        FileNotFoundError: if the file does not exist.
    """
    path = Path(path)
    segments = []
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        if line.strip() and not line.lstrip().startswith(";;"):
            try:
                segments.append(parse(line))
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from None
    if not segments:
        raise ValueError(f"{path}: holds no segments")
    return segments


def parse(line: str) -> Segment:
    """Parse `file channel speaker start end [<labels>] text`; as in sclite, a first word in `<>` is labels.

    Raises:
        ValueError: for any other form.
    """
    fields = line.split(maxsplit=5)
    if len(fields) < 5:
        raise ValueError(f"must have file, channel, speaker, start and end, got {len(fields)} fields")
    try:
        start, end = files.number(fields[3]), files.number(fields[4])
    except ValueError:
        raise ValueError(f"start {fields[3]!r} and end {fields[4]!r} must be seconds") from None
    if not 0 <= start <= end < math.inf:
        raise ValueError(f"times must be 0 <= start <= end, got {fields[3]} and {fields[4]} s")
    text = fields[5].strip() if len(fields) > 5 else ""
    labels, rest = (*text.split(maxsplit=1), "", "")[:2]
    if LABELS.fullmatch(labels) is None:
        labels, rest = "", text
    file, channel, speaker = fields[:3]
    return Segment(file, channel, speaker, start, end, labels, " ".join(rest.split()))


def write(path: Path | str, segments: Iterable[Segment]) -> None:
    """Write segments sorted by file, channel and start, as sclite requires."""
    lines = [
        " ".join(filter(None, (s.file, s.channel, s.speaker, str(s.start), str(s.end), s.labels, s.text)))
        for s in sorted(segments, key=lambda s: (s.file, s.channel, s.start))
    ]
    files.write_text(path, "".join(f"{line}\n" for line in lines))
