"""Options that several commands share."""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown.engines.devices import visible_gpus
from asr_topdown.files import printable

if TYPE_CHECKING:
    from asr_topdown.config import Config
    from asr_topdown.runs.experiment import Experiment

log = logging.getLogger(__name__)


def positive(text: str) -> float:
    """Parse a number above 0 that is not infinite."""
    if not 0 < (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text}")
    return value


def count(text: str) -> int:
    """Parse a whole number of at least 1."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def path(text: str) -> Path:
    """Parse a path. An empty one, what `"$UNSET"` is in a shell, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text)


def folder(text: str) -> Path:
    """Parse the path of a folder that exists or can be created, in UTF-8: tables and safetensors need it."""
    wanted = path(text)
    there = next((str(one) for one in (wanted, *wanted.parents) if os.path.lexists(one)), "")
    if there and not os.path.exists(there):
        raise argparse.ArgumentTypeError(f"{there} is a link that leads nowhere")
    if there and not os.path.isdir(there):
        raise argparse.ArgumentTypeError(f"{there} is not a folder")
    try:
        check_name(wanted)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return wanted


def check_name(folder: Path) -> None:
    """Refuse a folder whose files could not be named in a table.

    Raises:
        ValueError: naming it.
    """
    text = str(folder)
    if printable(text) != text:
        raise ValueError(f"the name of the folder {printable(text)} is not UTF-8")
    if "\n" in text or "\r" in text:
        raise ValueError(f"the name of the folder {text!r} holds a line break")


def seed(text: str) -> int:
    """Parse a seed, within the limits of those in a configuration."""
    if not 0 <= (value := int(text)) < 2**31:
        raise argparse.ArgumentTypeError(f"must be from 0 to {2**31 - 1}, got {text}")
    return value


def add_config(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """`--config` and `--set`."""
    parser.add_argument(
        "--config", type=Path, required=required, metavar="FILE", help="the experiment's YAML"
    )
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """`--set`."""
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override a setting of the YAML; may be given several times",
    )


def read_config(args: argparse.Namespace) -> "Config":
    """Read the configuration of `add_config`'s options."""
    from asr_topdown import config as configuration

    return configuration.load(args.config, args.overrides)


def read_speech_config(args: argparse.Namespace) -> "Config":
    """Read the configuration of `add_config`'s options.

    Raises:
        ValueError: if it is a language model's.
    """
    config = read_config(args)
    if config.is_language_model:
        raise ValueError(
            f"{args.config}: a language model's, which reads text alone, made by `prepare lm-text` or "
            "`prepare wikitext2`"
        )
    return config


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument(
        "--device", default="cpu", metavar="NAME", help="cpu, cuda or cuda:N (default: %(default)s)"
    )


def refuse(args: argparse.Namespace, names: Sequence[str], why: str) -> None:
    """Raise ValueError, naming the option, if one of `names` was given, even as 0: it would be ignored."""
    for name in names:
        if (value := getattr(args, name)) or type(value) is int:
            raise ValueError(f"--{name.replace('_', '-')} {why}")


SECONDS_PER_PROCESS = 240.0
"""Of sound, for which one more process is worth starting: that costs some 2 s (torch is imported, the network
is read), in which four layers of 320 BLSTM cells decode about half of it."""


@contextlib.contextmanager
def as_options() -> Iterator[None]:
    """Within it, a complaint about an argument of the same name as an option becomes one about the option."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"--{error}") from None


def add_nj(parser: argparse.ArgumentParser) -> None:
    """`--nj`."""
    parser.add_argument(
        "--nj",
        type=int,
        metavar="N",
        help="number of parallel processes, each with one thread, which does not change the result; default: "
        f"the number of CPUs, but at most one per {SECONDS_PER_PROCESS / 60:g} minutes of audio; 1 on a GPU "
        "or a cluster",
    )


def processes(args: argparse.Namespace, seconds: float) -> int:
    """Return the number of processes of `--nj` for `seconds` of sound.

    Raises:
        ValueError: if it is less than 1.
    """
    if args.nj is None:
        here = args.device == "cpu" and getattr(args, "engine", "local") == "local"
        most = len(os.sched_getaffinity(0)) if here else 1
        return max(1, min(most, int(seconds / SECONDS_PER_PROCESS)))
    check_nj(args)
    return int(args.nj)


def check_nj(args: argparse.Namespace) -> None:
    """Raise ValueError if `--nj` is less than 1."""
    if args.nj < 1:
        raise ValueError(f"--nj {args.nj}: must be at least 1")


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Add a training's options: `--config --set --train --dev --tokens --exp --device`."""
    add_config(parser)
    parser.add_argument("--train", type=Path, required=True, metavar="DIR", help="data directory to train on")
    parser.add_argument(
        "--dev",
        type=Path,
        required=True,
        metavar="DIR",
        help="data directory on which the best epoch is chosen",
    )
    parser.add_argument(
        "--tokens", type=Path, required=True, metavar="FILE", help="from `asr-topdown tokens`"
    )
    parser.add_argument("--exp", type=folder, required=True, metavar="DIR", help="experiment folder")
    add_device(parser)


def check_experiments(args: argparse.Namespace, experiments: "Sequence[Experiment]", *more: str) -> None:
    """Before training, reject units of another language, and log what is doubtful in data and settings.

    Those of the schedule are looked at if `more` names it.
    """
    from asr_topdown.config.unread import unread

    remarks = unread(experiments[0].config, "features", "text", "model", "train", "decode", *more)
    remarks += [remark for experiment in experiments for remark in experiment.check()]
    if not _starts_ddp(args):  # whose processes will log it
        for remark in dict.fromkeys(remarks):
            log.warning(remark)


def add_ddp(parser: argparse.ArgumentParser) -> None:
    """`--ddp`."""
    parser.add_argument(
        "--ddp",
        type=int,
        default=1,
        metavar="N",
        help="train each network with N processes, each on its own GPU (or, with --device cpu, "
        "none): this command restarts itself under torchrun (default: %(default)s)",
    )


def check_ddp(args: argparse.Namespace) -> None:
    """Reject a number of processes that `start_ddp` could not start."""
    if args.ddp < 1:
        raise ValueError(f"--ddp {args.ddp}: must be at least 1")
    if not _starts_ddp(args):
        return
    if args.engine != "local":
        raise ValueError(f"--ddp {args.ddp} is for this machine, not for --engine {args.engine}")
    if args.device not in ("cuda", "cpu"):
        raise ValueError(f"--device {args.device}: several processes cannot share it, say cuda")
    if args.device == "cuda" and args.ddp > visible_gpus():
        raise ValueError(f"--ddp {args.ddp}: there are {visible_gpus()} GPUs")
    if (getattr(args, "workers", None) or 1) > 1:
        raise ValueError(f"--workers {args.workers}: with --ddp one network is trained at a time")


def _starts_ddp(args: argparse.Namespace) -> bool:
    return args.ddp > 1 and "LOCAL_RANK" not in os.environ


def start_ddp(args: argparse.Namespace) -> None:
    """Replace this process by torchrun with `--ddp` processes of this command, unless already done.

    What a user can do wrong is checked before, so that it is said once and not by every process.
    """
    if not _starts_ddp(args):
        return
    launcher = ["-m", "asr_topdown.train.launch", "--standalone", f"--nproc-per-node={args.ddp}"]
    sys.stdout.flush()
    os.execv(  # noqa: S606 - no shell is wanted
        sys.executable, [sys.executable, *launcher, "-m", "asr_topdown.bin.main", *args.command_line]
    )
