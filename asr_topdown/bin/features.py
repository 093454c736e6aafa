"""`asr-topdown features`: filter-bank features and their global mean and variance."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown.bin import engine_options, options

if TYPE_CHECKING:
    from asr_topdown.config.features import FeaturesConfig
    from asr_topdown.engines.job import Engine

HELP = "compute the features of data directories, and the mean and variance of the first one"
EXAMPLE = """
asr-topdown features data/train data/dev data/test --config conf/blstm_ctc.yaml --nj 4
asr-topdown features data/train data/dev --config conf/blstm_ctc.yaml --out data/fbank40
asr-topdown features data/train --config conf/blstm_ctc.yaml --nj 32 --engine slurm --slurm partition=cpu
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the data directories, and where and by how many processes their features are made."""
    parser.add_argument(
        "dirs",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="data directories; cmvn.ark is written into the first, the training set",
    )
    options.add_config(parser)
    parser.add_argument(
        "--out",
        type=options.folder,
        metavar="DIR",
        help="leave the data directories unchanged: copy their tables to DIR/NAME, and write features there",
    )
    parser.add_argument(
        "--nj",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="number of processes, each with one thread (default: the number of CPUs)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse what is otherwise cut, left out or read with a warning: segments after the end of "
        "their recording or shorter than a frame, truncated files, wrong checksums",
    )
    engine_options.add_engine(parser, "processes", spread=False)


def run(args: argparse.Namespace) -> None:
    """Write the features of each directory, then the statistics of the first."""
    settings = options.read_speech_config(args).features
    if settings.kind == "given":
        options.refuse(args, ("strict",), "is for sound, which features.kind: given does not read")
    options.check_nj(args)
    if args.out is None and settings.kind != "waveform":
        for folder in args.dirs:
            options.check_name(folder)
    folders = args.dirs if args.out is None else _copies(args.dirs, args.out)
    faults: dict[Path, str] = {}
    with engine_options.engine_elsewhere(args) as engine:
        for source, folder in zip(args.dirs, folders, strict=True):
            try:
                _dump(source, folder, settings, args, engine)
            except ValueError as error:  # a failing directory does not stop the others
                faults[folder] = str(error)
    if settings.cmvn == "global" and folders[0] not in faults:
        _write_cmvn(folders[0])
    if faults:
        raise ValueError("\n".join(faults.values()))


def _copies(sources: Sequence[Path], out: Path) -> list[Path]:
    """Copy the data directories without features into `out`, under their own names."""
    from asr_topdown import datadir, files

    named: dict[str, Path] = {}
    for source in sources:
        name = files.name_of(source)
        if (other := named.setdefault(name, source)) is not source:
            raise ValueError(f"--out {out}: {other} and {source} would share the folder {out / name}")
    for name, source in named.items():
        datadir.copy_tables(source, out / name)
    return [out / name for name in named]


def _dump(
    source: Path,
    folder: Path,
    settings: "FeaturesConfig",
    args: argparse.Namespace,
    engine: "Engine | None",
) -> None:
    """Write features of a data directory, from its sound or from the features in `source`."""
    from asr_topdown import datadir
    from asr_topdown.features.dump import dump
    from asr_topdown.features.given import take_over

    begin = time.monotonic()
    if settings.kind == "waveform":
        _examine(folder, settings, args)
        return
    if settings.kind == "given":
        if source == folder:
            raise ValueError(f"{source}: given features are not overwritten; choose a folder with --out DIR")
        feats = datadir.read(source).feats
        dumped = take_over(feats, source, folder, dim=settings.dim, deltas=settings.deltas)
    else:
        dumped = dump(
            datadir.read(folder).clips(),
            folder,
            fbank=settings.fbank,
            deltas=settings.deltas,
            nj=args.nj,
            engine=engine,
            strict=args.strict,
        )
    _warn(folder, "remarks on the sound", dumped.remarks)
    left_out = [f"utterance {utterance}: {reason}" for utterance, reason in dumped.dropped.items()]
    _warn(folder, "utterances without sound are left out", left_out)
    hours = dumped.frames * settings.frame_seconds / 3600
    done = f"done in {time.monotonic() - begin:.1f} s" if dumped.fresh else "up to date"
    print(f"{folder}: features of {dumped.utterances} utterances, {hours:.2f} h: {done}")


def _examine(folder: Path, settings: "FeaturesConfig", args: argparse.Namespace) -> None:
    """Read all sound once, keeping only durations and hashes."""
    from asr_topdown.data import inputs

    begin = time.monotonic()
    found = inputs.sound_of(folder, settings, args.nj)
    dropped = [f"utterance {utterance}: {reason}" for utterance, reason in found.dropped.items()]
    if args.strict and (dropped or found.remarks):
        raise ValueError("\n".join([*dropped, *found.remarks]))
    _warn(folder, "remarks on the sound", found.remarks)
    _warn(folder, "utterances without sound are left out", dropped)
    for rate, count in found.resampled.items():
        print(
            f"{folder}: {count} utterances at {rate} Hz are resampled to {settings.sample_rate} Hz when read"
        )
    hours = sum(found.samples.values()) * settings.step_seconds / 3600
    print(
        f"{folder}: sound of {len(found.samples)} utterances, {hours:.2f} h, which training reads as it is: "
        f"looked through in {time.monotonic() - begin:.1f} s"
    )


def _warn(folder: Path, what: str, lines: Sequence[str]) -> None:
    """Print the number of lines and the first ones on stderr."""
    from asr_topdown.logs import shortened

    if lines:
        print(f"warning: {folder}: {len(lines)} {what}:", file=sys.stderr)
        print("\n".join(f"  {line}" for line in shortened(lines)), file=sys.stderr)


def _write_cmvn(folder: Path) -> None:
    from asr_topdown import datadir, files
    from asr_topdown.engines.lock import LOCK, held
    from asr_topdown.features import store
    from asr_topdown.features.cmvn import Cmvn
    from asr_topdown.progress import progress

    target = folder / "cmvn.ark"
    if target.is_file():  # `dump` removes it when it writes other features
        try:
            Cmvn.load(target)
        except ValueError as error:  # cut by a crash of the machine
            print(f"warning: {error}: written again", file=sys.stderr)
        else:
            print(f"{target}: up to date")
            return
    with held(folder / LOCK, f"features {folder}"):  # nor may other features be written meanwhile
        files.remove_leftovers(folder)
        entries = datadir.read(folder).feats.values()
        cmvn = Cmvn.of(store.load(entry, folder) for entry in progress(entries, f"cmvn {folder}", unit="utt"))
        cmvn.save(target)
    print(f"{target}: mean and variance of {cmvn.frames:.0f} frames of {cmvn.dim} numbers")
