"""`asr-topdown transcribe`: from sound files to text."""

import argparse
from pathlib import Path

from asr_topdown.bin import options

HELP = "print what is said in sound files"
EXAMPLE = "asr-topdown transcribe exp/a/nodes/0123456789abcdef a.wav b.flac"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of a trained network")
    parser.add_argument("audio", nargs="+", metavar="AUDIO", help="wav, flac or SPHERE files")
    parser.add_argument(
        "--beam", type=int, help="beam search of this width (default: the search of the model's config)"
    )
    options.add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Print `file: text` for each file."""
    import asr_topdown

    recognizer = asr_topdown.load(args.model, device=args.device, beam=args.beam)
    for name, text in zip(args.audio, recognizer.transcribe(args.audio), strict=True):
        print(f"{name}: {text}", flush=True)
