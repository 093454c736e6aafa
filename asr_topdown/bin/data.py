"""`asr-topdown data`: new data directories from existing ones."""

import argparse
from collections.abc import Callable, Container, Sequence
from pathlib import Path

from asr_topdown import datadir, files
from asr_topdown.bin import options
from asr_topdown.bin.subcommands import Subparsers, add_subcommand, checked_table
from asr_topdown.corpora import nested, split
from asr_topdown.datadir import DataDir
from asr_topdown.logs import listed

HELP = "make data directories from others: combine, subset, split, nested parts, speed perturbation"
EXAMPLE = """
asr-topdown data combine data/train_a data/train_b --out data/train
asr-topdown data subset data/train --first 500 --out data/train_500
asr-topdown data split data/all --parts train:0.8,dev:0.1,test:0.1 --by speaker --out data
"""

Make = Callable[[argparse.Namespace], Sequence[DataDir]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare a subcommand for each way to make directories from others."""
    changes = parser.add_subparsers(dest="change", required=True, metavar="CHANGE")
    _add_combine(changes)
    _add_subset(changes)
    _add_split(changes)
    _add_nested(changes)
    _add_speed(changes)


def run(args: argparse.Namespace) -> None:
    """Write the new directories, with existing features, and print their sizes."""
    made: Sequence[DataDir] = args.make(args)
    print(checked_table(made, _check))


def _check(part: DataDir) -> None:
    datadir.validate(part.path, need_text=bool(part.text), need_wav=bool(part.wavs))


_FOLDER = "folder for the new data directories"


def _add(
    changes: Subparsers,
    name: str,
    help_: str,
    example: str,
    make: Make,
    *,
    several: bool = False,
    out: str = "the new data directory",
) -> argparse.ArgumentParser:
    parser = add_subcommand(changes, f"data {name}", help_, example)
    number = "+" if several else 1
    parser.add_argument("sources", nargs=number, type=Path, metavar="DIR", help="data directory")
    parser.add_argument("--out", type=options.folder, required=True, metavar="DIR", help=out)
    parser.set_defaults(make=make)
    return parser


def _add_combine(changes: Subparsers) -> None:
    help_ = "combine the utterances of several directories"
    _add(changes, "combine", help_, "data/train_a data/train_b --out data/train", _combine, several=True)


def _combine(args: argparse.Namespace) -> list[DataDir]:
    parts = [datadir.read(source) for source in args.sources]
    bare = [part for part in parts if not part.feats]
    if not bare:
        _tell_of_left_out(*parts)
    elif len(bare) < len(parts):
        print(f"{args.out}: gets no features, because {bare[0].path} has none")
    return _written([datadir.combine(parts, args.out)], args.sources)


def _add_subset(changes: Subparsers) -> None:
    help_ = "select utterances of a directory"
    parser = _add(changes, "subset", help_, "data/train --per-speaker 20 --out data/train_20", _subset)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--utterances", type=Path, metavar="FILE", help="the utterances whose ids begin its lines"
    )
    which.add_argument(
        "--speakers",
        type=Path,
        metavar="FILE",
        help="the utterances of the speakers whose ids begin its lines",
    )
    which.add_argument("--first", type=int, metavar="N", help="the first N utterances, sorted by id")
    which.add_argument("--per-speaker", type=int, metavar="N", help="the first N utterances of each speaker")
    which.add_argument(
        "--random",
        type=int,
        metavar="N",
        help="N random utterances, the same proportion of each speaker's; the 10 are among the 20",
    )
    parser.add_argument("--seed", type=int, help="with --random: of the choice (default: 0)")


def _subset(args: argparse.Namespace) -> list[DataDir]:
    if args.random is None:
        options.refuse(args, ("seed",), "needs --random")
    data = datadir.read(args.sources[0])
    _tell_of_left_out(data)
    return _written([datadir.subset(data, _chosen(data, args), args.out)], args.sources)


def _chosen(data: DataDir, args: argparse.Namespace) -> list[str]:
    """Return the utterances that the options choose.

    Raises:
        ValueError: naming what is not in `data`, or a number that is out of range.
    """
    if args.utterances is not None:
        return _listed(args.utterances, data.utt2spk, f"{data.path} has no utterance")
    spoken = data.spk2utt()
    if args.speakers is not None:
        wanted = _listed(args.speakers, spoken, f"{data.path} has no speaker")
        return [utterance for speaker in wanted for utterance in spoken[speaker]]
    for name, number in (("first", args.first), ("per-speaker", args.per_speaker), ("random", args.random)):
        if number is not None and not 1 <= number <= len(data.utt2spk):
            raise ValueError(f"--{name} {number}: must be 1 to {len(data.utt2spk)}, the size of {data.path}")
    if args.first is not None:
        return data.utterances()[: args.first]
    if args.per_speaker is not None:
        return [utterance for utterances in spoken.values() for utterance in utterances[: args.per_speaker]]
    return nested.joining_order(data.utt2spk, args.seed or 0)[: args.random]


def _listed(path: Path, known: Container[str], unknown: str) -> list[str]:
    """Return the ids that begin the lines of `path`; a ValueError with `unknown` names one not in `known`."""
    ids = []
    for number, line in enumerate(files.read_lines(path), 1):
        if words := line.split(maxsplit=1):
            if words[0] not in known:
                raise ValueError(f"{path}:{number}: {unknown} {words[0]}")
            ids.append(words[0])
    return ids


def _add_split(changes: Subparsers) -> None:
    help_ = "split into directories OUT/train and so on that share no sentence or no speaker"
    example = "data/all --parts train:0.8,dev:0.1,test:0.1 --by speaker --out data"
    parser = _add(changes, "split", help_, example, _split, out=_FOLDER)
    parser.add_argument(
        "--parts", required=True, metavar="NAME:SHARE,...", help="the sets and their proportions"
    )
    parser.add_argument(
        "--by",
        choices=tuple(split.BY),
        default="transcript",
        help="transcript: no sentence in two sets; stratified: the same, with every speaker in each set; "
        "speaker: no speaker in two sets; both: no sentence and no speaker in two sets, leaving some "
        "utterances out (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random split (default: 0)")


def _split(args: argparse.Namespace) -> list[DataDir]:
    division = split.Division(split.parse_parts(args.parts, "--parts"), args.by, args.seed)
    data = datadir.read(args.sources[0])
    _tell_of_left_out(data)
    return _written(split.split(data, division, out=args.out), args.sources)


def _add_nested(changes: Subparsers) -> None:
    help_ = "make nested subsets and the rest, with every speaker in each: OUT/DIR_p05, …, OUT/DIR_unseen"
    example = "data/train_si284 --percent 5 10 20 40 80 --out data"
    parser = _add(changes, "nested", help_, example, _nested, out=_FOLDER)
    parser.add_argument(
        "--percent",
        type=int,
        nargs="+",
        default=nested.PERCENT,
        metavar="P",
        help="sizes of the subsets, in percent of the utterances (default: 5 10 20 40 80)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random choice (default: 0)")


def _nested(args: argparse.Namespace) -> list[DataDir]:
    data = datadir.read(args.sources[0])
    _tell_of_left_out(data)
    made = nested.parts(args.out, source=data, percent=args.percent, seed=args.seed)
    return _written(made, args.sources, statistics=data.path / "cmvn.ark")


def _add_speed(changes: Subparsers) -> None:
    help_ = "copy a directory once per speed (more training data from the same recordings)"
    parser = _add(changes, "speed", help_, "data/train --factors 0.9 1.0 1.1 --out data/train_sp", _speed)
    parser.add_argument(
        "--factors",
        type=float,
        nargs="+",
        default=[0.9, 1.0, 1.1],
        metavar="F",
        help="speed factors (default: 0.9 1.0 1.1)",
    )


def _speed(args: argparse.Namespace) -> list[DataDir]:
    return _written(
        [datadir.speed_perturb(datadir.read(args.sources[0]), args.factors, args.out)], args.sources
    )


def _tell_of_left_out(*sources: DataDir) -> None:
    for data in sources:
        if silent := data.without_features():
            print(f"left out: {len(silent)} utterances of {data.path} without features ({listed(silent)})")


def _written(parts: list[DataDir], sources: Sequence[Path], statistics: Path | None = None) -> list[DataDir]:
    """Write all of `parts`, or none if one would overwrite its source or would not be valid."""
    for part in parts:
        if part.path.resolve() in {source.resolve() for source in sources}:
            raise ValueError(f"{part.path}: is the source itself; name another folder with --out")
        datadir.check(part, need_text=bool(part.text), need_wav=bool(part.wavs))
    datadir.write(*parts, statistics=statistics)
    return parts
