"""`asr-topdown probe`: how well labels can be predicted from each layer of a trained network."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asr_topdown.bin import options

if TYPE_CHECKING:
    from asr_topdown.probing.layer_outputs import Pooled
    from asr_topdown.report.probing import Probed

HELP = "measure how well a label can be read from each layer of a network (logistic regression)"
EXAMPLE = """
asr-topdown probe data/train data/dev --model exp/a/models/joint_seed1 --out probed
asr-topdown probe data/train --model exp/a/models/joint_seed1 --target speaker --layers 'blstm.*' --out probed
asr-topdown probe data/train --model exp/a/models/final_seed1 --target accents.txt --folds 10 --out probed
"""
TEXT, SPEAKER, UTTERANCE = "text", "speaker", "utterance"


class _Task(NamedTuple):
    """Label and test fold of each utterance, in the order of `ids`."""

    ids: Sequence[str]
    labels: Sequence[str]
    folds: Sequence[int]
    by: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the data, the model, what is read from its layers, and how that is tested."""
    parser.add_argument("data", nargs="+", type=Path, metavar="DIR", help="data directories with features")
    parser.add_argument(
        "--model", type=Path, required=True, metavar="DIR", help="folder of a trained network"
    )
    parser.add_argument(
        "--out",
        type=options.folder,
        required=True,
        metavar="DIR",
        help="gets probe.json, probe.csv and probe.png",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        default=["*"],
        metavar="LAYERS",
        help="names, ranges (blstm.0-2), globs (enc.*), bottom:3, top:1 (default: all)",
    )
    parser.add_argument(
        "--target",
        default=TEXT,
        metavar="WHAT",
        help="the label of an utterance: its whole text, its speaker, or its label in a file of "
        "lines `UTTERANCE LABEL`",
    )
    parser.add_argument(
        "--by",
        metavar="WHAT",
        help="groups that folds keep together: speaker, text or a file, as with --target; or utterance: no "
        "groups (default: speaker; with --target speaker, utterance)",
    )
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="at least 3")
    parser.add_argument(
        "--deviations", action="store_true", help="also use standard deviations over the frames"
    )
    options.add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Print and write the accuracy of each layer."""
    from asr_topdown.decode.model import load_trained
    from asr_topdown.engines.parts import one_thread
    from asr_topdown.logs import log_to_stderr
    from asr_topdown.probing import layer_outputs
    from asr_topdown.report import markdown
    from asr_topdown.report.probing import write_probe
    from asr_topdown.schedule import layer_patterns

    log_to_stderr()
    model = load_trained(args.model, args.device)
    known = layer_outputs.readable_layers(model.network)
    layers = layer_patterns.match(known, args.layers, what="--layers")
    data = layer_outputs.read(model, args.data)
    task = _task(args, [one.id for part in data for one in part.utterances])
    with one_thread():
        pooled = layer_outputs.pooled(model, data, layers, deviations=args.deviations)
        probed = _probe(args, task, pooled)
    print(markdown.table(write_probe(probed, args.out)))
    print(f"{args.out}: probe.json, probe.csv, probe.png")


def _task(args: argparse.Namespace, ids: Sequence[str]) -> _Task:
    """Return the labels and the folds."""
    from asr_topdown import datadir
    from asr_topdown.probing import folds

    by = args.by or (UTTERANCE if args.target == SPEAKER else SPEAKER)
    for folder in args.data if by in (SPEAKER, UTTERANCE) else ():
        if (folder / "utt2speed").exists():
            datadir.read(folder).check_unperturbed(f"--by {by}")
    labels = _values(args.data, args.target, "--target", ids)
    groups = _values(args.data, by, "--by", ids)
    if by == UTTERANCE:
        of_fold = folds.stratified(ids, labels, args.folds)
    else:
        of_fold = folds.grouped(groups, args.folds, "speakers" if by == SPEAKER else f"groups (--by {by})")
    folds.check_labels(labels, of_fold, groups, by)
    return _Task(ids, labels, of_fold, by)


def _probe(args: argparse.Namespace, task: _Task, pooled: "Pooled") -> "Probed":
    """Fit and test on every layer's vectors."""
    import torch

    from asr_topdown.decode.model import content_hash
    from asr_topdown.probing.cross_validation import PENALTIES, chance, cross_validate
    from asr_topdown.progress import progress
    from asr_topdown.report.probing import Probed

    names = sorted(set(task.labels))
    known = {name: (names.index(label), fold) for name, label, fold in zip(*task[:3], strict=True)}
    numbers, folds = torch.tensor([known[name] for name in pooled.ids]).unbind(1)
    settings = {
        "model": str(args.model),
        "content": content_hash(args.model),
        "data": [str(folder) for folder in args.data],
        "utterances": len(task.ids),
        "target": args.target,
        "labels": names,
        "by": task.by,
        "deviations": args.deviations,
        "penalties": list(PENALTIES),
    }
    layers = progress(pooled.vectors.items(), "probe", unit="layer", delay=5)
    return Probed(
        settings=settings,
        title=f"{args.target}, {len(names)} labels; {args.folds} folds by {task.by}",
        sizes={name: vectors.shape[1] for name, vectors in pooled.vectors.items()},
        folds={name: cross_validate(vectors, numbers, folds) for name, vectors in layers},
        chance=chance(numbers, folds),
    )


def _values(folders: Sequence[Path], what: str, option: str, ids: Sequence[str]) -> list[str]:
    """Return each utterance's text, speaker, id, or value in a file.

    Raises:
        ValueError, FileNotFoundError: naming the file, or an utterance that it does not have.
    """
    from asr_topdown import datadir

    if what == UTTERANCE:
        return list(ids)
    table = {TEXT: "text", SPEAKER: "utt2spk"}.get(what)
    paths = [Path(what)] if table is None else [folder / table for folder in folders]
    if table is None and not paths[0].is_file():
        raise FileNotFoundError(f"{option} {what}: must be {TEXT}, {SPEAKER} or a file")
    read = datadir.read_transcripts if table == "text" else datadir.read_table
    found = {name: " ".join(value.split()) for path in paths for name, value in read(path).items()}
    for name in ids:
        if not found.get(name):
            raise ValueError(f"{', '.join(map(str, paths))}: says nothing of {name}")
    return [found[name] for name in ids]
