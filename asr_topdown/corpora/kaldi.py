"""`kaldi`: an existing data directory, copied with absolute paths."""

import dataclasses
from pathlib import Path

from asr_topdown import datadir
from asr_topdown.datadir import DataDir, parsing
from asr_topdown.datadir.lines import parse_table
from asr_topdown.datadir.transcripts import parse_transcript, read_transcripts


def prepare(out: Path, *, source: Path) -> list[DataDir]:
    """Write the recordings, segments, transcripts and speakers of `source` to `out`, sorted.

    Raises:
        FileNotFoundError: if `source` is not a data directory.
        ValueError: as in `read` and `datadir.check`.
    """
    data = read(source, out)
    datadir.check(data)
    datadir.write(data)
    return [data]


def read(source: Path, out: Path) -> DataDir:
    """Read the data directory `source`, to be written at `out`.

    Relative paths in wav.scp are resolved from the current folder, as in Kaldi, or else from `source`.
    Commands stay as they are; features are dropped (`asr-topdown features` computes them). Without utt2spk,
    which ESPnet's tools do not need, each utterance is its own speaker.

    Raises:
        FileNotFoundError: if `source` is not a data directory.
        ValueError: naming file and line of what cannot be read, or if `out` is `source`.
    """
    if out.resolve() == source.resolve():
        raise ValueError(
            f"--out {out}: is the source itself; name another folder, or use `asr-topdown validate`"
        )
    complete = (source / "utt2spk").exists() or not (source / "wav.scp").is_file()
    data = datadir.read(source) if complete else _without_speakers(source)
    wavs = {recording: _absolute(place, source) for recording, place in data.wavs.items()}
    return dataclasses.replace(data, path=out, wavs=wavs, feats={}, num_frames={})


def _without_speakers(source: Path) -> DataDir:
    text = read_transcripts(source / "text", parse_transcript)
    segments, speed, sides = (source / name for name in ("segments", "utt2speed", "reco2file_and_channel"))
    return DataDir(
        path=source,
        wavs=parse_table(source / "wav.scp", parsing.parse_source),
        text=text,
        utt2spk={utterance: utterance for utterance in text},
        segments=parse_table(segments, parsing.parse_segment) if segments.exists() else None,
        speed=parse_table(speed, parsing.parse_positive) if speed.exists() else {},
        sides=parse_table(sides, parsing.parse_side) if sides.exists() else {},
        sample_rate=parsing.read_sample_rate(source / "sample_rate"),
    )


def _absolute(place: str, source: Path) -> str:
    from asr_topdown.audio import file_of, is_command

    if is_command(place) or Path(place).is_absolute():
        return place
    inside = source / place
    is_inside = file_of(str(inside)).exists() and not file_of(place).exists()
    return str((inside if is_inside else Path(place)).resolve())
