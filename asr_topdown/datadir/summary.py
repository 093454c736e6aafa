"""Summaries of data directories."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from asr_topdown.datadir.directory import DataDir, read


@dataclass(frozen=True)
class Summary:
    """The size of a data directory; `seconds` is None if unknown from headers (pipes)."""

    path: Path
    utterances: int
    speakers: int
    seconds: float | None
    words: int
    characters: int


def summarise(path: Path | str) -> Summary:
    """Count what a data directory holds. Characters include the spaces between words."""
    data = read(path)
    seconds = durations(data)
    return Summary(
        path=data.path,
        utterances=len(data.utt2spk),
        speakers=len(set(data.utt2spk.values())),
        seconds=None if None in seconds.values() else sum(s for s in seconds.values() if s is not None),
        words=sum(len(transcript.split()) for transcript in data.text.values()),
        characters=sum(map(len, data.text.values())),
    )


def durations(data: DataDir) -> dict[str, float | None]:
    """Utterance -> seconds, from segments or the headers of audio files; None if unknown from both."""
    seconds: dict[str, float | None] = {}
    for utterance in data.utterances():
        recording, start, end = utterance, 0.0, None
        if data.segments is not None and utterance in data.segments:
            recording, start, end = data.segments[utterance]
        if end is None:
            end = _header_seconds(data.wavs.get(recording, "|"))
        length = None if end is None else max(0.0, end - start)
        seconds[utterance] = None if length is None else length / data.speed.get(utterance, 1.0)
    return seconds


def table(summaries: Iterable[Summary]) -> str:
    """Summaries as an aligned table, one line each under a heading."""
    rows = [("directory", "utterances", "speakers", "hours", "words", "characters")]
    for s in summaries:
        hours = "?" if s.seconds is None else f"{s.seconds / 3600:.3f}"
        rows.append((str(s.path), str(s.utterances), str(s.speakers), hours, str(s.words), str(s.characters)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_aligned(row, widths) for row in rows)


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join([first.strip().ljust(widths[0]), *others])


def _header_seconds(source: str) -> float | None:
    from asr_topdown.audio import header_seconds, is_command

    return None if is_command(source) else header_seconds(source)
