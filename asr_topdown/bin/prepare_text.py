"""`asr-topdown prepare wikitext2` and `lm-text`: text for language models."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown.bin import options
from asr_topdown.bin.subcommands import Subparsers, add_corpus, add_source
from asr_topdown.corpora import wikitext2

if TYPE_CHECKING:
    from asr_topdown.datadir import DataDir


def add_arguments(corpora: Subparsers) -> None:
    """Declare the subcommands."""
    _add_lm_text(corpora)
    help_ = "Wikipedia articles for a language model (WikiText-2): train.txt, valid.txt, test.txt, words.txt"
    parser = add_corpus(corpora, "wikitext2", help_, "--out data --share 0.1 --min-count 5")
    add_source(parser, "wikitext2", "the three texts")
    parser.add_argument(
        "--share", type=float, default=1.0, metavar="S", help="keep this fraction of each text (default: 1)"
    )
    parser.add_argument(
        "--min-count",
        type=options.count,
        default=1,
        metavar="N",
        help="rarer words in the training text become <unk> everywhere (default: 1, none)",
    )
    parser.set_defaults(prepare=_wikitext2)


def _add_lm_text(corpora: Subparsers) -> None:
    help_ = "text in a recogniser's units, to train a language model for it: train.txt, dev.txt, units.txt"
    parser = add_corpus(
        corpora,
        "lm-text",
        help_,
        "--tokens data/tokens.txt --train data/train more.txt --dev data/dev --out data/lm",
    )
    parser.add_argument(
        "--tokens",
        type=Path,
        required=True,
        metavar="FILE",
        help="the recogniser's, from `asr-topdown tokens`",
    )
    for name, use in (("train", "to train on"), ("dev", "that chooses the best epoch")):
        parser.add_argument(
            f"--{name}",
            type=Path,
            nargs="+",
            required=True,
            metavar="TEXT",
            help=f"text {use}: data directories, or files with one sentence per line",
        )
    parser.set_defaults(prepare=_lm_text)


def _lm_text(args: argparse.Namespace) -> "Sequence[DataDir]":
    """Write both texts and the list of units for `asr-topdown train --tokens`; print their sizes."""
    from asr_topdown import files
    from asr_topdown.data.unit_text import text_in_units, unit_vocabulary
    from asr_topdown.text import Vocabulary

    for name in ("train.txt", "dev.txt", "units.txt"):
        files.check_not_read(args.out / name, [args.tokens, *args.train, *args.dev])
    vocabulary = Vocabulary.load(args.tokens)
    words = unit_vocabulary(vocabulary)
    made = {name: text_in_units(getattr(args, name), vocabulary) for name in ("train", "dev")}
    files.remove_leftovers(args.out)
    for name, (text, size) in made.items():
        out = args.out / f"{name}.txt"
        files.write_text(out, text)
        print(
            f"{out}: {size.sentences} sentences, {size.units} units with <eos>, {size.unknown} of them <unk>"
        )
    words.save(args.out / "units.txt")
    print(f"{args.out / 'units.txt'}: {len(words)} {vocabulary.unit} units, <unk> and <eos> among them")
    return []


def _wikitext2(args: argparse.Namespace) -> "Sequence[DataDir]":
    """Write the texts and their vocabulary; print their sizes."""
    from asr_topdown.files import remove_leftovers
    from asr_topdown.text.word_vocabulary import WordVocabulary

    remove_leftovers(args.out)
    texts = wikitext2.prepare(
        args.out,
        wikitext2=args.wikitext2,
        downloads=args.downloads,
        share=args.share,
        min_count=args.min_count,
    )
    words = WordVocabulary.build([text.path for text in texts])
    words.save(args.out / "words.txt")
    for text in texts:
        print(f"{text.path}: {text.lines} lines, {text.words} words with <eos>")
    print(f"{args.out / 'words.txt'}: {len(words)} different words")
    if args.share == 1 and args.min_count <= 1:
        counted = {text.path.stem: text.words for text in texts}
        same = wikitext2.is_official(counted) and len(words) == wikitext2.OFFICIAL_WORDS
        official = f"{wikitext2.OFFICIAL}, {wikitext2.OFFICIAL_WORDS} different"
        print("these are WikiText-2's numbers" if same else f"warning: WikiText-2 has {official}")
    return []
