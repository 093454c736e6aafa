"""`rt03`: the telephone speech of the 2003 Rich Transcription evaluation (LDC2007S10), English."""

import re
from pathlib import Path

from asr_topdown import datadir, files
from asr_topdown.corpora import calls, hub5
from asr_topdown.datadir import DataDir
from asr_topdown.score import stm

SOUND = "data/audio/eval03/english/cts"
REFERENCES = "data/references/eval03/english/cts"
GLM = "en20030506.glm"

_GAP = "inter_segment_gap"
_CHANNELS = {"1": "A", "2": "B"}


def prepare(out: Path, *, rt03: Path, sample_rate: int | None = None) -> list[DataDir]:
    """Write the data directory `out/rt03`, with `stm` and `glm`.

    Args:
        out: folder for the data directory.
        rt03: the unpacked LDC2007S10.
        sample_rate: rate in Hz to which the sound is resampled when read; None = unchanged, 8 kHz.

    Raises:
        OSError: if the sound, the references or the glm is missing.
        ValueError: naming file and line of what cannot be read, or if no segment is scored.
    """
    sounds = calls.find_calls(calls.find_folder(rt03, SOUND))
    glm = calls.find_file([rt03], GLM)
    references = calls.find_folder(rt03, REFERENCES)
    listed = files.without_hidden(references.iterdir())
    paths = sorted(path for path in listed if path.suffix.lower() == ".stm")
    if not paths:
        raise FileNotFoundError(f"{references}: no *.stm files in it")
    lines = [line for path in paths for line in _read_lines(path)]
    segments = [stm.parse(line) for line in lines if not line.startswith(";;")]
    text = hub5.transcripts(segments, references)
    if not text:
        raise ValueError(f"{references}: no segment is scored")
    data = calls.data_dir(out / "rt03", sounds, hub5.places(segments), text, sample_rate=sample_rate)
    datadir.write(data)
    hub5.write_references(data.path, lines, {"glm": glm})
    return [data]


def _read_lines(path: Path) -> list[str]:
    """Read the repaired lines of an stm, with channels A and B for 1 and 2, without inter-segment gaps."""
    lines = []
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        if not line.strip() or _GAP in line:
            continue
        if not line.startswith(";;"):
            channel = re.match(r"\S+\s+(\S+)", line)
            if channel is None or channel[1] not in _CHANNELS:
                raise ValueError(f"{path}:{number}: the channel must be 1 or 2: {line.strip()!r}")
            line = f"{line[: channel.start(1)]}{_CHANNELS[channel[1]]}{line[channel.end(1) :]}"
            try:
                stm.parse(line)
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from None
        lines.append(hub5.repaired(line))
    return lines
