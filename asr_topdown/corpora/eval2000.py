"""`eval2000`: the 2000 Hub-5 English evaluation, 20 calls of Switchboard and 20 of CallHome.

The sound is LDC2002S09, the transcripts are LDC2002T43. The data directory also gets `stm`, `glm` and `pem`,
for NIST's scoring.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown import datadir, files
from asr_topdown.corpora import calls, counts, hub5
from asr_topdown.corpora.counts import Count
from asr_topdown.datadir import DataDir
from asr_topdown.score import stm

if TYPE_CHECKING:
    from asr_topdown.score.hub5 import Hub5Score

STM, GLM, PEM = "hub5e00.english.000405.stm", "en20000405_hub5.glm", "hub5e_00.pem"
CALLS = 40
SEGMENTS = {"sw_": 1831, "en_": 2628}
WORDS = {"sw_": 21395, "en_": 21594}
"""Of Switchboard and CallHome (ESPnet's RESULTS). The number of words depends slightly on the hypothesis,
which chooses between alternatives."""


def prepare(out: Path, *, folders: Sequence[Path], sample_rate: int | None = None) -> list[DataDir]:
    """Write the data directory `out/eval2000`.

    Args:
        out: folder for the data directory.
        folders: the unpacked LDC2002S09 (or its hub5e_00) and LDC2002T43, or a folder with both.
        sample_rate: rate in Hz to which the sound is resampled when read; None = unchanged, 8 kHz.

    Raises:
        OSError: if the sound, the stm, the glm or the pem is missing.
        ValueError: naming file and line of what cannot be read; if pem and stm differ in their segments, or
            no segment is scored.
    """
    from asr_topdown.score.hub5 import GlmRules, score

    paths = {name: calls.find_file(folders, name) for name in (STM, GLM, PEM)}
    sounds = calls.find_calls(paths[PEM].parent)
    lines = [hub5.repaired(line) for line in files.read_lines(paths[STM], otherwise="latin-1")]
    segments = stm.read(paths[STM])
    segments = [segment._replace(text=hub5.repaired(segment.text)) for segment in segments]
    text = hub5.transcripts(segments, paths[STM])
    if not text:
        raise ValueError(f"{paths[STM]}: no segment in it is scored")
    # Segments that are not scored limit the padding too, as in Kaldi.
    spans = calls.padded(_read_pem(paths[PEM]), hub5.PADDING)
    _compare(paths[PEM], set(spans), {hub5.name_of(segment) for segment in segments})
    data = calls.data_dir(out / "eval2000", sounds, spans, text, sample_rate=sample_rate)
    _check_counts(len(sounds), score(segments, [], GlmRules.read(paths[GLM])))
    datadir.write(data)
    hub5.write_references(data.path, lines, {"glm": paths[GLM], "pem": paths[PEM]})
    return [data]


def _read_pem(path: Path) -> dict[str, tuple[str, float, float]]:
    """Read utterance -> side, start and end from lines `file side unknown_speaker start end`."""
    segments = {}
    for number, line in enumerate(files.read_lines(path, otherwise="latin-1"), 1):
        if ";;" in line or not line.strip():
            continue
        try:
            segment = stm.parse(line)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        segments[hub5.name_of(segment)] = (hub5.side_of(segment), segment.start, segment.end)
    return segments


def _compare(pem: Path, marked: set[str], transcribed: set[str]) -> None:
    for names, there, missing in ((marked - transcribed, "pem", "stm"), (transcribed - marked, "stm", "pem")):
        if names:
            raise ValueError(
                f"{pem}: {len(names)} segments of the {there} are not in the {missing}: {min(names)}"
            )


def _check_counts(num_calls: int, unheard: "Hub5Score") -> None:
    """Compare with the known counts; words are counted against an empty hypothesis."""
    from asr_topdown.score.hub5 import Hub5Score

    known = [Count("calls", (CALLS,), num_calls)]
    parts = unheard.parts()
    for name, prefix in (("SWBD", "sw_"), ("CallHome", "en_")):
        part = parts.get(name, Hub5Score(()))
        known.append(Count(f"segments, {name}", (SEGMENTS[prefix],), len(part.segments)))
        known.append(Count(f"words, {name} (about)", (WORDS[prefix],), part.total.reference, 0.01))
    counts.warn_of_others(known)
