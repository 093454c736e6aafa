"""Options of where jobs run: on this machine or on a cluster (`engines`)."""

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from asr_topdown.bin import options
from asr_topdown.engines.devices import visible_gpus

if TYPE_CHECKING:
    from asr_topdown.engines.engine_config import EngineConfig
    from asr_topdown.engines.job import Engine


def add_engine(parser: argparse.ArgumentParser, jobs: str, *, spread: bool = True) -> None:
    """`--engine --slurm --ray --retries` for `jobs`; if they `spread`, also `--workers --gpus`."""
    from asr_topdown.engines.engine_config import ENGINES

    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help=f"where to run the {jobs}: on this machine or on a cluster (default: %(default)s)",
    )
    parser.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="KEY=VALUE,…|FILE",
        help="what each job requests from Slurm: time, gpus, cpus, mem, notice, requeues, poll, setup and "
        "any long option of sbatch; or a YAML file of them (conf/engine/slurm.yaml); may be repeated",
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="a running Ray cluster; without it, --engine ray uses this machine"
    )
    parser.add_argument(
        "--retries",
        type=int,
        default=2,
        metavar="N",
        help="retry a job that was killed or ran out of memory up to N times, from its last checkpoint; "
        "other errors are final (default: %(default)s)",
    )
    if spread:
        _add_workers(parser, jobs)


def _add_workers(parser: argparse.ArgumentParser, jobs: str) -> None:
    """`--workers --gpus`."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help=f"number of {jobs} in parallel; default: on this machine one per GPU, or as many as the CPUs "
        "have threads for; on a cluster no limit",
    )
    parser.add_argument(
        "--gpus",
        type=int,
        metavar="N",
        help="spread the workers over N GPUs of this machine (default: all with --device cuda)",
    )


def read_engine(args: argparse.Namespace, *, threads: int = 1) -> "EngineConfig":
    """Return the engine of `add_engine`'s options; each job has `threads` threads."""
    from asr_topdown.engines import slurm_options
    from asr_topdown.engines.engine_config import EngineConfig

    workers, gpus = getattr(args, "workers", None), getattr(args, "gpus", None)
    for name, value in (("workers", workers), ("gpus", gpus), ("retries", args.retries)):
        if value is not None and value < 0:
            raise ValueError(f"--{name} {value}: must not be negative")
    for name in ("slurm", "ray"):
        if args.engine != name:
            options.refuse(args, (name,), f"needs --engine {name}")
    if gpus and args.engine == "local" and gpus > visible_gpus():
        raise ValueError(f"--gpus {gpus}: there are {visible_gpus()} GPUs")
    if gpus is None:
        here = args.engine == "local" and getattr(args, "device", "") == "cuda"
        gpus = visible_gpus() if here else 0
    return EngineConfig(
        engine=args.engine,
        workers=workers,
        gpus=gpus,
        threads=threads,
        retries=args.retries,
        slurm=slurm_options.parse(args.slurm),
        ray=args.ray or "",
    )


@contextlib.contextmanager
def engine_elsewhere(args: argparse.Namespace) -> "Iterator[Engine | None]":
    """Open the engine of `add_engine`'s options; None for this machine."""
    from asr_topdown.engines.engine_config import open_engine

    chosen = read_engine(args)
    if chosen.engine == "local":
        yield None
        return
    with open_engine(chosen) as engine:
        yield engine
