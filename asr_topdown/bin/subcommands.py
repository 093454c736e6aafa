"""What the subcommands of `prepare` and `data` share."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from asr_topdown import datadir
from asr_topdown.bin import options
from asr_topdown.datadir import DataDir
from asr_topdown.engines.alone import alone_in_all

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_subcommand(parsers: Subparsers, command: str, help_: str, example: str) -> argparse.ArgumentParser:
    """Add `command`, such as `data split`.

    Args:
        parsers: of the command that it belongs to.
        command: both words.
        help_: what it does, in a line.
        example: its arguments in an example.
    """
    return parsers.add_parser(
        command.split()[-1],
        help=help_,
        description=help_,
        epilog=f"example:\n  asr-topdown {command} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_corpus(corpora: Subparsers, name: str, help_: str, example: str) -> argparse.ArgumentParser:
    """Add `prepare NAME`, with `--out`; arguments as of `add_subcommand`."""
    parser = add_subcommand(corpora, f"prepare {name}", help_, example)
    parser.add_argument(
        "--out", type=options.folder, required=True, metavar="DIR", help="where to write the data"
    )
    return parser


def add_source(parser: argparse.ArgumentParser, corpus: str, what: str, *, them: str = "them") -> None:
    """`--CORPUS --downloads`, for a corpus that is downloaded unless a folder with `what` is given."""
    parser.add_argument(
        f"--{corpus}", type=Path, metavar="DIR", help=f"folder with {what} (default: download {them})"
    )
    add_downloads(parser)


def add_downloads(parser: argparse.ArgumentParser) -> None:
    """`--downloads`."""
    parser.add_argument(
        "--downloads",
        type=options.folder,
        metavar="DIR",
        help="where to keep downloads (default: `downloads` next to --out)",
    )


def checked_table(made: Sequence[DataDir], check: Callable[[DataDir], None]) -> str:
    """Check each directory that was made, while no other command can write it again; return their table."""
    with alone_in_all(part.path for part in made):
        for part in made:
            check(part)
        return datadir.table(datadir.summarise(part.path) for part in made)
