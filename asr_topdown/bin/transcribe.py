"""`asr-topdown transcribe`: from sound files to text."""

import argparse
import contextlib
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_topdown.bin import options
from asr_topdown.logs import log_to_stderr, print_above

if TYPE_CHECKING:
    from asr_topdown.transcription.transcript import Failure, Transcript

HELP = "transcribe audio files, optionally with times"
EXAMPLE = """
asr-topdown transcribe exp/a/models/joint_seed1 a.wav b.mp3
asr-topdown transcribe exp/a/models/joint_seed1 recordings --format srt --out subtitles
find /calls -name '*.flac' | asr-topdown transcribe exp/a/models/joint_seed1 - --format json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the model, the sound files, and how their texts are written."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of a trained network")
    parser.add_argument(
        "audio",
        nargs="+",
        metavar="AUDIO",
        help="audio files (wav, flac, mp3, ogg, opus, SPHERE …), folders of them, quoted patterns, or - to "
        "read names from standard input; other sampling rates are resampled",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "ctm", "srt"),
        default="text",
        help="text: FILE: TEXT; json: one line per file, with times, confidences and hypotheses; ctm: "
        "NIST's, one line per word; srt: subtitles (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=options.folder,
        metavar="DIR",
        help="write one file per audio file there instead of to standard output",
    )
    _add_settings(parser)
    options.add_device(parser)
    options.add_nj(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare what `asr_topdown.load` has arguments for too."""
    parser.add_argument(
        "--beam",
        type=int,
        metavar="N",
        help="beam search of this width (default: the model's configuration)",
    )
    parser.add_argument("--nbest", type=int, metavar="N", help="with --format json: number of hypotheses")
    parser.add_argument(
        "--precision",
        metavar="NAME",
        help="of the network's matrix products: float32, bfloat16 or, on the CPU, int8 (default: the "
        "model's configuration)",
    )
    parser.add_argument(
        "--channel",
        type=int,
        metavar="N",
        help="channel of files with several, counted from 0 (default: mix them)",
    )
    parser.add_argument(
        "--longest",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="longer audio is cut where it is quietest, unless the model gives a whole recording one label "
        "(default: %(default)g)",
    )


def run(args: argparse.Namespace) -> int:
    """Print or write the transcripts, file by file; return 1 if a file could not be read."""
    from asr_topdown import files
    from asr_topdown.progress import progress
    from asr_topdown.transcription import names
    from asr_topdown.transcription.formats import FORMATS
    from asr_topdown.transcription.settings import check_settings
    from asr_topdown.transcription.transcript import Failure

    settings = {name: getattr(args, name) for name in ("beam", "nbest", "precision", "channel", "longest")}
    with options.as_options():
        check_settings(**settings)
    if args.format != "json":
        options.refuse(args, ("nbest",), "needs --format json")
    log_to_stderr()
    sounds = names.expand(args.audio, sys.stdin if "-" in args.audio else ())
    write, suffix = FORMATS[args.format]
    if args.format == "srt" and args.out is None and len(sounds) > 1:
        raise ValueError(f"--format srt: subtitles of {len(sounds)} files need --out DIR")
    results_of = names.result_names(sounds)
    if args.out:
        _check_out(sounds, [args.out / f"{name}{suffix}" for name in results_of])
        files.remove_leftovers(args.out)
    failed = 0
    with contextlib.closing(_results(args, settings, sounds)) as found:
        results = zip(results_of, found, strict=True)
        if len(sounds) > 1 and (args.out or not sys.stdout.isatty()):
            results = progress(results, "transcribe", total=len(sounds), unit="file")
        for name, result in results:
            if isinstance(result, Failure):
                failed += 1
                print_above(f"asr-topdown transcribe: error: {result.reason}", sys.stderr)
            elif args.out:
                files.write_text(args.out / f"{name}{suffix}", write(result, name))
            else:
                print(write(result, name), end="", flush=True)
    if failed and len(sounds) > 1:
        print(f"asr-topdown transcribe: {failed} of {len(sounds)} files failed", file=sys.stderr)
    return 1 if failed else 0


def _check_out(sounds: Sequence[str], targets: Sequence[Path]) -> None:
    """Refuse to overwrite a text next to its sound, since it may be its transcript (`prepare table`)."""
    for sound, target in zip(sounds, targets, strict=True):
        beside = Path(sound).parent.resolve() == target.parent.resolve()
        if beside and target.suffix == ".txt" and target.exists():
            raise ValueError(
                f"{target}: there already next to its sound, and may be its transcript; choose another --out"
            )


def _results(
    args: argparse.Namespace, settings: dict[str, Any], sounds: Sequence[str]
) -> "Generator[Transcript | Failure, None, None]":
    from asr_topdown.transcription import side_by_side

    request = side_by_side.Request(args.model, {"device": args.device, **settings})
    seconds = sum(map(side_by_side.size_of, sounds)) / side_by_side.BYTES_PER_SECOND
    return side_by_side.transcripts(request, sounds, options.processes(args, seconds))
