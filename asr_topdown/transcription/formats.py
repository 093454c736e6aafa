"""Transcripts as plain text, JSON, ctm (for scoring) and SubRip (subtitles)."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from asr_topdown.files import json_text
from asr_topdown.transcription.transcript import Segment, Transcript, Word

CUE_SECONDS, CUE_LINE, CUE_PAUSE = 6.0, 42, 0.8
"""A subtitle's maximum duration, maximum length of each of its two lines, and longest pause within."""


def text(transcript: Transcript, name: str) -> str:
    """Format as `file: text`."""
    return f"{transcript.source}: {transcript.text}\n"


def as_json(transcript: Transcript, name: str) -> str:
    """Format everything as one line of JSON; a score is null if a search found nothing that is possible."""
    record = {"file": transcript.source, "text": transcript.text, **dataclasses.asdict(transcript)}
    del record["source"]
    for one, segment in zip(record["segments"], transcript.segments, strict=True):
        one["text"] = segment.text
    return json_text(_rounded(record)) + "\n"


def ctm(transcript: Transcript, name: str) -> str:
    """Format as NIST's conversation time marks: lines of `name 1 START DURATION WORD CONFIDENCE`.

    Words without times share their segment equally, with confidence 0.
    """
    key = "_".join(name.split())
    return "".join(
        f"{key} 1 {word.start:.2f} {word.end - word.start:.2f} {word.text} {word.confidence:.3f}\n"
        for word in _timed(transcript)
    )


def srt(transcript: Transcript, name: str) -> str:
    """Format as SubRip: numbered subtitles of one or two lines."""
    cues = _cues(list(_timed(transcript)))
    return "".join(
        f"{number}\n{_clock(cue[0].start)} --> {_clock(cue[-1].end)}\n{_two_lines([w.text for w in cue])}\n\n"
        for number, cue in enumerate(cues, 1)
    )


FORMATS: Mapping[str, tuple[Callable[[Transcript, str], str], str]] = {
    "text": (text, ".txt"),
    "json": (as_json, ".json"),
    "ctm": (ctm, ".ctm"),
    "srt": (srt, ".srt"),
}
"""Name -> function that formats a transcript, given its result's name, and the file's suffix."""


def _timed(transcript: Transcript) -> Iterator[Word]:
    for segment in transcript.segments:
        yield from _shared(segment) if segment.words is None else segment.words


def _shared(segment: Segment) -> Iterator[Word]:
    words = segment.text.split()
    each = (segment.end - segment.start) / max(1, len(words))
    for number, word in enumerate(words):
        start = segment.start + number * each
        yield Word(word, start, start + each, 0.0)


def _cues(words: Sequence[Word]) -> Iterator[list[Word]]:
    cue: list[Word] = []
    for word in words:
        if cue and (
            word.start - cue[-1].end > CUE_PAUSE
            or word.end - cue[0].start > CUE_SECONDS
            or max(map(len, _two_lines([*(one.text for one in cue), word.text]).split("\n"))) > CUE_LINE
        ):
            yield cue
            cue = []
        cue.append(word)
    if cue:
        yield cue


def _two_lines(words: Sequence[str]) -> str:
    """Join words in one line, or in two of about equal length."""
    whole = " ".join(words)
    if len(whole) <= CUE_LINE:
        return whole
    ways = (f"{' '.join(words[:k])}\n{' '.join(words[k:])}" for k in range(1, len(words)))
    return min(ways, key=lambda way: max(map(len, way.split("\n"))), default=whole)


def _clock(seconds: float) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"


def _rounded(value: object) -> object:
    """Round all numbers to three decimals; JSON has no infinity."""
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
