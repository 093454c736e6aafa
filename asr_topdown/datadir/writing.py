"""Write data directories so that neither a kill nor a full disk leaves a mixture of old and new tables."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from asr_topdown import files
from asr_topdown.datadir import parsing
from asr_topdown.datadir.directory import DataDir
from asr_topdown.datadir.lines import table_text
from asr_topdown.datadir.transcripts import problem_of, tidy
from asr_topdown.engines.alone import alone_in_all
from asr_topdown.features import content as features

ORIGIN = "copied_from"
"""In a copy: the path to the directory whose tables it has, from the copy's own (`copying`)."""

# What is made from the other tables and is worthless once they change.
DERIVED = (
    ORIGIN,
    *("feats.scp", "utt2num_frames", features.RECORD, features.FOREIGN, "waveforms.json"),
    *("cmvn.ark", "cmvn.scp", "utt2dur", "vad.scp"),
)


def write(*parts: DataDir, statistics: Path | None = None) -> None:
    """Write data directories, sorted, each file atomically.

    Identical files are left alone. If any differs, features and statistics in its directory that are not part
    of the data are removed: they were made from something else.

    Args:
        parts: the directories.
        statistics: a file, copied to each as its cmvn.ark; if it does not exist, none has one.

    Several directories, the sets of one division, are written as one: neither a kill nor another process
    leaves the training set of one division beside the test set of another.

    Raises:
        ValueError: naming the utterance, if an id or a transcript cannot be in Kaldi's tables; naming the
            sampling rate, if it is less than 1.
    """
    for data in parts:
        check_writable(data)
    wanted = {data.path: contents(data) for data in parts}
    with alone_in_all(wanted):
        for path in wanted:
            files.remove_leftovers(path)
        with files.written_together() as together:
            gone = [
                path / name
                for path, tables in wanted.items()
                for name in _write_changed(together, path, tables, statistics)
            ]
            for old in gone:
                old.unlink(missing_ok=True)


def _write_changed(
    together: files.Together, path: Path, tables: Mapping[str, str], statistics: Path | None
) -> list[str]:
    """Write what a folder has not yet; return what has to go before it takes its place.

    Unless the folder has these tables already, that is utt2spk and whatever will not be written again.
    """
    wanted = {name for name, content in tables.items() if content}
    sources = tables.keys() - set(DERIVED)
    # Features made here are kept if these data have none.
    changed = {name for name in wanted | sources if _current(path / name) != tables[name]}
    # Without utt2spk it is no data directory: nobody will take a half-written mixture for one.
    gone = ["utt2spk", *sorted({*sources, *DERIVED} - wanted)] if changed else []
    if statistics is not None and statistics.is_file():
        with together.aside(path / "cmvn.ark") as aside:
            shutil.copyfile(statistics, aside)
    elif statistics is not None:
        gone.append("cmvn.ark")
    for name, content in tables.items():
        if content and name in {*changed, *gone}:
            together.write_text(path / name, content)
    return gone


def contents(data: DataDir) -> dict[str, str]:
    """File -> its content, in the order in which `write` writes them; "" if there is none."""
    segments = {
        u: f"{r} {start} {parsing.TO_THE_END if end is None else end}"
        for u, (r, start, end) in (data.segments or {}).items()
    }
    return {
        "wav.scp": table_text(data.wavs),
        "segments": table_text(segments),
        "text": table_text({utterance: tidy(transcript) for utterance, transcript in data.text.items()}),
        "spk2utt": table_text({speaker: " ".join(spoken) for speaker, spoken in data.spk2utt().items()}),
        "utt2speed": table_text(data.speed),
        "reco2file_and_channel": table_text({r: f"{file} {side}" for r, (file, side) in data.sides.items()}),
        "sample_rate": f"{data.sample_rate}\n" if data.sample_rate is not None else "",
        "feats.scp": table_text(data.feats),
        "utt2num_frames": table_text(data.num_frames),
        # utt2spk comes last, see `write`.
        "utt2spk": table_text(data.utt2spk),
    }


def _current(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace") if path.exists() else ""


def check_writable(data: DataDir) -> None:
    """Check that Kaldi's tables can hold these; raises as `write`."""
    if not data.utt2spk:
        raise ValueError(f"{data.path}: no utterances to write")
    for key in (*data.utt2spk, *data.utt2spk.values(), *data.wavs, *data.text):
        if not key or not key.isprintable() or " " in key:
            raise ValueError(
                f"{data.path}: id {key!r} is empty or holds white space or unprintable characters"
            )
    for recording, source in data.wavs.items():
        if not source or source != source.strip() or "\n" in source or "\r" in source:
            raise ValueError(f"{data.path}: recording {recording}: {source!r} cannot be in wav.scp")
    if data.sample_rate is not None and data.sample_rate < 1:
        raise ValueError(f"{data.path}: sample_rate must be at least 1 Hz, got {data.sample_rate}")
    for utterance, transcript in data.text.items():
        problem = problem_of(transcript)
        if transcript != " ".join(transcript.split()):
            problem = "white space other than one blank between words"
        if problem:
            raise ValueError(f"{data.path}: utterance {utterance}: {problem}")
