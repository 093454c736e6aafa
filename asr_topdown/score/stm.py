"""NIST's segment time marks (stm): what was said when, on which channel of which file."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from asr_topdown import files

IGNORED = "IGNORE_TIME_SEGMENT_IN_SCORING"
"""Text of a segment that is not scored, nor what a system found there."""


class Segment(NamedTuple):
    """One line: seconds in `channel` of `file`; `labels` as they stand (`<o,f0,m>`), or ""."""

    file: str
    channel: str
    speaker: str
    start: float
    end: float
    labels: str
    text: str

    @property
    def scored(self) -> bool:
        return IGNORED not in self.text.upper()


def read(path: Path | str) -> list[Segment]:
    """The segments of a file, in its order; comments (`;;`) are left out.

    A file that is not UTF-8 is Latin-1, as NIST's are.

    Raises:
        ValueError: naming file and line, if one has fewer than five fields, times that are no numbers, or an
            end that is before its start; naming the file, if there is no segment in it.
        FileNotFoundError: if there is no such file.
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
    """`file channel speaker start end [<labels>] text`; as in sclite, what begins a text in `<>` is labels.

    Raises:
        ValueError: if it is anything else.
    """
    fields = line.split(maxsplit=5)
    if len(fields) < 5:
        raise ValueError(f"needs file, channel, speaker, start and end, has {len(fields)} fields")
    try:
        start, end = float(fields[3]), float(fields[4])
    except ValueError:
        raise ValueError(f"start {fields[3]!r} and end {fields[4]!r} must be seconds") from None
    if not 0 <= start <= end < math.inf:
        raise ValueError(f"a segment from {fields[3]} to {fields[4]} s")
    text = fields[5].strip() if len(fields) > 5 else ""
    labels, _, rest = text.partition(" ")
    if re.fullmatch(r"<[^<>]+>", labels) is None:
        labels, rest = "", text
    file, channel, speaker = fields[:3]
    return Segment(file, channel, speaker, start, end, labels, " ".join(rest.split()))


def write(path: Path | str, segments: Iterable[Segment]) -> None:
    """Write a file that `read` reads back, sorted as sclite wants it: by file, channel and start."""
    lines = [
        " ".join(filter(None, (s.file, s.channel, s.speaker, str(s.start), str(s.end), s.labels, s.text)))
        for s in sorted(segments, key=lambda s: (s.file, s.channel, s.start))
    ]
    files.write_text(path, "".join(f"{line}\n" for line in lines))
