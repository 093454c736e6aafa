"""`asr-topdown prepare`: from a corpus as it is distributed to Kaldi data directories."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from asr_topdown import datadir
from asr_topdown.corpora import fsdd, prompts
from asr_topdown.datadir import DataDir

HELP = "Make Kaldi data directories from a corpus."
EXAMPLE = "asr-topdown prepare prompts --out data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    corpora = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS")
    _add_prompts(corpora)
    _add_fsdd(corpora)


def run(args: argparse.Namespace) -> None:
    parts: Sequence[DataDir] = args.prepare(args)
    for part in parts:
        datadir.validate(part.path)
    print(datadir.table(datadir.summarise(part.path) for part in parts))


Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add(corpora: Subparsers, name: str, help_: str, example: str) -> argparse.ArgumentParser:
    parser = corpora.add_parser(
        name,
        help=help_,
        description=help_,
        epilog=f"example:\n  asr-topdown prepare {name} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the data directories go"
    )
    return parser


def _add_downloads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--downloads", type=Path, metavar="DIR", help="where downloads go (default: `downloads` beside --out)"
    )


def _add_prompts(corpora: Subparsers) -> None:
    help_ = "English telephone prompts, one speaker (Asterisk core sounds): train, dev, test"
    parser = _add(corpora, "prompts", help_, "--out data")
    parser.add_argument(
        "--prompts", type=Path, metavar="DIR", help="folder with the sounds (default: download them)"
    )
    _add_downloads(parser)
    parser.add_argument(
        "--max-seconds",
        type=float,
        default=prompts.MAX_SECONDS,
        metavar="S",
        help="leave out longer recordings (default: %(default)g)",
    )
    parser.set_defaults(
        prepare=lambda args: prompts.prepare(
            args.out, prompts=args.prompts, downloads=args.downloads, max_seconds=args.max_seconds
        )
    )


def _add_fsdd(corpora: Subparsers) -> None:
    help_ = "connected digits, six speakers, six folds (Free Spoken Digit Dataset): train, dev, test"
    parser = _add(corpora, "fsdd", help_, "--out data/fold0 --fold 0")
    parser.add_argument(
        "--fsdd", type=Path, metavar="DIR", help="folder with the recordings (default: download them)"
    )
    _add_downloads(parser)
    parser.add_argument(
        "--fold",
        type=int,
        default=0,
        metavar="K",
        help="0 to 5: test on speaker K, dev on the next (default: 0)",
    )
    parser.add_argument("--seed", type=int, default=0, help="joins other recordings (default: 0)")
    parser.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="use each training recording N times (default: 1)"
    )
    parser.set_defaults(
        prepare=lambda args: fsdd.prepare(
            args.out,
            fsdd=args.fsdd,
            downloads=args.downloads,
            fold=args.fold,
            seed=args.seed,
            repeats=args.repeats,
        )
    )
