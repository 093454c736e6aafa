"""`asr-topdown validate`: checks data directories, and prints their sizes."""

import argparse
from pathlib import Path

from asr_topdown import datadir
from asr_topdown.files import explain
from asr_topdown.logs import listed

HELP = "check Kaldi data directories, and print how much they hold"
EXAMPLE = """
asr-topdown validate data/train data/dev data/test
asr-topdown validate --fix data/mine     # sort, drop duplicates and incomplete utterances; keeps a backup
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the directories, and what they may lack."""
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="Kaldi data directory")
    parser.add_argument("--no-text", action="store_true", help="text may be missing")
    parser.add_argument("--no-wav", action="store_true", help="wav.scp may be missing")
    parser.add_argument("--feats", action="store_true", help="feats.scp and utt2num_frames must exist")
    parser.add_argument("--fix", action="store_true", help="first repair what can be repaired")


def run(args: argparse.Namespace) -> int:
    """Print the errors, and a table of the valid directories; return 1 if any is invalid."""
    broken = 0
    summaries = []
    for path in args.directories:
        try:
            if args.fix:
                _fix(path)
            datadir.validate(
                path, need_text=not args.no_text, need_feats=args.feats, need_wav=not args.no_wav
            )
        except (ValueError, OSError) as error:
            print(explain(error))
            broken += 1
        else:
            summaries.append(datadir.summarise(path))
    if summaries:
        print(datadir.table(summaries))
    return 1 if broken else 0


def _fix(path: Path) -> None:
    kept, dropped = datadir.fix(path)
    shown = f": {listed(dropped)}" if dropped else ""
    print(f"{path}: kept {kept} utterances, dropped {len(dropped)}{shown}")
