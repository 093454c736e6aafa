"""`asr-topdown config`: a configuration after merging its files and `--set`."""

import argparse
from pathlib import Path

from asr_topdown.bin import options

HELP = "print a configuration with all its defaults, the files it includes, or a hash of what a stage reads"
EXAMPLE = """
asr-topdown config conf/blstm_ctc.yaml --set train.epochs=20
asr-topdown config conf/blstm_ctc.yaml --section decode decode.beam
asr-topdown config conf/blstm_ctc.yaml --hash features     # changes only if the features do
asr-topdown config conf/blstm_ctc.yaml --files             # included files first
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file, and which part of it is printed."""
    parser.add_argument("config", type=Path, metavar="FILE", help="the experiment's YAML")
    options.add_overrides(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--files", action="store_true", help="print the files that it is made of, one per line")
    what.add_argument(
        "--section",
        nargs="+",
        metavar="NAME",
        help="print only these sections, or the value of a single setting (decode.beam)",
    )
    what.add_argument(
        "--hash",
        nargs="+",
        metavar="NAME",
        help="print a hash of these sections and settings, 16 hexadecimal digits that change only if they do",
    )


def run(args: argparse.Namespace) -> None:
    """Print the names of the files, a hash, some sections, or the whole configuration."""
    from asr_topdown import config as configuration

    config = options.read_config(args)
    if args.files:
        print(*configuration.files(args.config), sep="\n")
    elif args.hash:
        print(config.hash_of(*args.hash))
    elif not args.section:
        print(configuration.dump(config), end="")
    elif len(args.section) == 1:
        print(configuration.dump(config.at(args.section[0])), end="")
    else:
        print(configuration.dump({name: config.at(name) for name in args.section}), end="")
