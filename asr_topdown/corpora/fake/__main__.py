"""`python -m asr_topdown.corpora.fake CORPUS FOLDER`: a fake corpus, to try a recipe."""

import argparse
from pathlib import Path

from asr_topdown.corpora.fake import an4, librispeech, swbd, wsj

FULL_SECONDS = 0.01
"""Duration of a tone with --full, short because of WSJ's 37416 sentences."""


def main() -> None:
    """Write the chosen corpus."""
    parser = argparse.ArgumentParser(prog="python -m asr_topdown.corpora.fake", description=__doc__)
    parser.add_argument("corpus", choices=("wsj", "an4", "swbd", "librispeech"))
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--full",
        action="store_true",
        help="as many utterances as the real corpus, with short sound (wsj, an4)",
    )
    args = parser.parse_args()
    if args.corpus == "wsj":
        made = (
            wsj.write(args.folder, wsj.FULL, engine="tones", seconds_each=FULL_SECONDS)
            if args.full
            else wsj.write(args.folder)
        )
        print(f"asr-topdown prepare wsj --wsj0 {made.wsj0} --wsj1 {made.wsj1} --out data")
    elif args.corpus == "swbd":
        calls = swbd.write(args.folder, calls=40)
        sound = f"--swbd {calls.swbd} --transcripts {calls.transcripts}"
        print(f"asr-topdown prepare swbd {sound} --dev-utterances 40 --out data")
        folders = f"{calls.eval2000_speech} {calls.eval2000_transcripts}"
        print(f"asr-topdown prepare eval2000 --folders {folders} --out data")
        print(f"asr-topdown prepare rt03 --rt03 {calls.rt03} --out data")
    elif args.corpus == "librispeech":
        root = librispeech.write(args.folder)
        print(f"asr-topdown prepare librispeech --librispeech {root} --partial --parts mini --out data/mini")
    else:
        root = an4.write(args.folder, train=948 if args.full else 200, test=130 if args.full else 20)
        print(f"asr-topdown prepare an4 --an4 {root} --out data")


if __name__ == "__main__":
    main()
