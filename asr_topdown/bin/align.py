"""`asr-topdown align`: the times of the words of known transcripts."""

import argparse
import logging
import sys
import urllib.parse
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown.bin import options
from asr_topdown.bin.decoding import DataSet, data_sets
from asr_topdown.logs import first_of, log_to_stderr

if TYPE_CHECKING:
    from asr_topdown.datadir import DataDir
    from asr_topdown.transcription.forced import Aligned, Aligner

log = logging.getLogger(__name__)

HELP = "align the words of data directories with their audio, by a network's CTC output (forced alignment)"
EXAMPLE = """
asr-topdown align data/test --model exp/a/models/joint_seed1 --out exp/a/align
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the data directories, the model and the folder of the times."""
    parser.add_argument(
        "data", nargs="+", type=Path, metavar="DIR", help="data directories with audio and text"
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="DIR", help="folder of a trained network"
    )
    parser.add_argument(
        "--out",
        type=options.folder,
        required=True,
        metavar="DIR",
        help="writes `ctm`, `scores` (log-probability per frame: low where a transcript does not match) and "
        "`textgrid/RECORDING.TextGrid` to DIR/SET",
    )
    parser.add_argument(
        "--pipes", action="store_true", help="run commands found in wav.scp, as `features` does"
    )
    options.add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Align each data directory; 1 if an utterance could not be aligned."""
    from asr_topdown.decode.model import load_trained
    from asr_topdown.engines.parts import one_thread
    from asr_topdown.transcription.forced import Aligner

    log_to_stderr()
    sources = data_sets(args.data)
    aligner = Aligner(load_trained(args.model, args.device), pipes=args.pipes)
    with one_thread():  # several wait for each other on a busy machine
        failed = sum(_align(aligner, source, args.out) for source in sources)
    return 1 if failed else 0


def _align(aligner: "Aligner", source: DataSet, out: Path) -> int:
    """Write the alignments of one data directory; return how many utterances could not be aligned."""
    from asr_topdown import datadir
    from asr_topdown.progress import progress
    from asr_topdown.transcription.transcript import Failure

    data = datadir.read(source.folder)
    found, failed = [], 0
    for result in progress(aligner.align(data), source.name, total=len(data.utt2spk), unit="utterance"):
        if isinstance(result, Failure):
            failed += 1
            print(f"asr-topdown align: error: {result.reason}", file=sys.stderr, flush=True)
        else:
            found.append(result)
    _write(out / source.name, data, found)
    print(f"{out / source.name}: {len(found)} of {len(data.utt2spk)} utterances")
    return failed


def _write(target: Path, data: "DataDir", found: "Iterable[Aligned]") -> None:
    """Write the tables of a data directory, with times in its recordings."""
    from asr_topdown import files
    from asr_topdown.datadir.lines import table_text
    from asr_topdown.transcription.textgrid import Interval, text_grid

    lines: list[tuple[str, str, float, str]] = []
    tiers: dict[str, dict[str, list[Interval]]] = defaultdict(lambda: defaultdict(list))
    ends: dict[str, float] = defaultdict(float)
    scores: dict[str, str] = {}
    for one in found:
        recording, start, speed = _place(data, one.utterance)
        scores[one.utterance] = f"{one.score:.4f}"
        name, channel = data.sides.get(recording, (recording, "1"))
        for word in one.words:
            length = (word.end - word.start) * speed
            rest = f"{length:.3f} {word.text} {word.confidence:.3f}"
            lines.append((name, channel, start + word.start * speed, rest))
        ends[recording] = max(ends[recording], start + one.seconds * speed)
        for kind, words in (("words", one.words), ("units", one.units)):
            tier = tiers[recording][f"{data.utt2spk[one.utterance]} - {kind}"]
            tier += [Interval(start + w.start * speed, start + w.end * speed, w.text) for w in words]
    ctm = (f"{name} {channel} {begins:.3f} {rest}\n" for name, channel, begins, rest in sorted(lines))
    for place in (target, target / "textgrid"):
        files.remove_leftovers(place)
    names = {recording: _file_name(recording) for recording in tiers}
    with files.written_together() as together:
        for recording, own in tiers.items():
            grid = target / "textgrid" / f"{names[recording]}.TextGrid"
            together.write_text(grid, text_grid(own, ends[recording]))
        together.write_text(target / "scores", table_text(scores))
        together.write_text(target / "ctm", "".join(ctm))
    # People correct these files by hand: none is removed.
    others = {path.stem for path in (target / "textgrid").glob("*.TextGrid")} - set(names.values())
    if others:
        log.warning(
            "%s: left there, and not of recordings aligned now: %s",
            target / "textgrid",
            first_of(sorted(others), 3),
        )


def _file_name(recording: str) -> str:
    """The id itself; `/a` and `../a`, which would lead out of the folder, with their slashes as %2F."""
    leaves = recording.startswith("/") or ".." in recording.split("/")
    return urllib.parse.quote(recording, safe="") if leaves else recording


def _place(data: "DataDir", utterance: str) -> tuple[str, float, float]:
    """Return an utterance's recording, its start there, and its speed factor."""
    start = 0.0 if data.segments is None else data.segments[utterance][1]
    return data.recording(utterance), start, data.speed.get(utterance, 1.0)
