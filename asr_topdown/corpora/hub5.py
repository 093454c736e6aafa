"""What eval2000 and RT-03 share: references in NIST's formats, for scoring and as transcripts."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from asr_topdown import files
from asr_topdown.corpora.calls import segment_id, truncated
from asr_topdown.score import stm

PADDING = 0.1
"""Seconds added to eval2000's segments at both ends, as in Kaldi."""

_ASIDE = re.compile(r"<[be]_aside>", re.IGNORECASE)
_HESITATION = re.compile(r"\(%[^()]*\)")
_TAG = re.compile(r"<[^<>]*>")
_ALTERNATIVES = re.compile(r"\{([^{}/]*)[^{}]*\}")


def repaired(line: str) -> str:
    """Remove the errors that hubscr rejects from a line of an stm: `((`, and marks of asides."""
    return _ASIDE.sub("", line.replace("((", "("))


def side_of(segment: stm.Segment) -> str:
    """Return a segment's side, such as `sw_4390-A`."""
    return f"{segment.file.lower()}-{segment.channel}"


def name_of(segment: stm.Segment) -> str:
    """Return a segment's utterance id, such as `sw_4390-A_000029-000202`, with truncated times."""
    return segment_id(side_of(segment), truncated(segment.start), truncated(segment.end))


def clean(text: str) -> str:
    """Convert a reference to a plain lower-case transcript; scoring uses the stm, which keeps NIST's marks.

    Hesitations `(%uh)`, tags `<…>`, parentheses and all alternatives except the first are removed.
    Hesitations stay if nothing else is left. (ESPnet deletes from the first to the last hesitation.)
    """
    text = _TAG.sub(" ", text.lower())
    found = 1
    while found:  # from the inside out
        text, found = _ALTERNATIVES.subn(r" \1 ", text)
    spoken = _HESITATION.sub(" ", text)
    for candidate in (spoken, text):
        words = re.sub(r"[(){}%@]", " ", candidate).split()
        if words:
            return " ".join(words)
    return ""


def transcripts(segments: Iterable[stm.Segment], where: Path) -> dict[str, str]:
    """Return utterance -> plain transcript for the segments that are scored and have words.

    Raises:
        ValueError: naming `where`, the segments' file or folder, and an utterance that occurs there twice.
    """
    texts: dict[str, str] = {}
    for segment in segments:
        if not segment.scored:
            continue
        name = name_of(segment)
        if name in texts:
            raise ValueError(
                f"{where}: {name} occurs twice (two segments from {segment.start} to {segment.end} s)"
            )
        texts[name] = clean(segment.text)
    return {name: text for name, text in texts.items() if text}


def places(segments: Iterable[stm.Segment]) -> dict[str, tuple[str, float, float]]:
    """Return utterance -> side, start and end in seconds, for all segments."""
    return {name_of(s): (side_of(s), s.start, s.end) for s in segments}


def write_references(out: Path, lines: Iterable[str], copies: Mapping[str, Path]) -> None:
    """Write `out/stm` from its (repaired) lines, and copies, name -> source, converted to UTF-8."""
    files.write_text(out / "stm", "".join(f"{line}\n" for line in lines))
    for name, source in copies.items():
        files.write_text(out / name, files.read_text(source, otherwise="latin-1"))
