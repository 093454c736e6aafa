"""`python -m asr_topdown.corpora.fake CORPUS FOLDER`: a fake corpus to look at, or to try a recipe on."""

import argparse
from pathlib import Path

from asr_topdown.corpora.fake import an4, wsj

FULL_SECONDS = 0.01
"""Each tone's, with --full: 37416 sentences have to fit on a disk."""


def main() -> None:
    """Write the corpus that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m asr_topdown.corpora.fake", description=__doc__)
    parser.add_argument("corpus", choices=("wsj", "an4"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", action="store_true", help="as many utterances as the real one, tiny sound")
    args = parser.parse_args()
    if args.corpus == "wsj":
        made = wsj.write(args.folder)
        if args.full:
            made = wsj.write(args.folder, wsj.FULL, engine="tones", seconds_each=FULL_SECONDS)
        print(f"asr-topdown prepare wsj --wsj0 {made.wsj0} --wsj1 {made.wsj1} --out data")
    else:
        root = an4.write(args.folder, train=948 if args.full else 200, test=130 if args.full else 20)
        print(f"asr-topdown prepare an4 --an4 {root} --out data")


if __name__ == "__main__":
    main()
