"""`asr-topdown topdown`: joint training, top-down retraining and its controls, for every seed."""

import argparse
import contextlib
import dataclasses
import functools
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_topdown.bin import engine_options, options
from asr_topdown.schedule.searches import CONTROLS, SEARCHES, SPECS, step_name

if TYPE_CHECKING:
    from asr_topdown.config import Config
    from asr_topdown.runs.experiment import Experiment
    from asr_topdown.runs.store import Store
    from asr_topdown.schedule.node import Node, Outcome
    from asr_topdown.schedule.protocol import Result, Search
    from asr_topdown.study.driver import Submit
    from asr_topdown.train.distributed import World

HELP = "train top-down (Algorithm 1) with its controls, and save the outcome of each training"
EXAMPLE = """
asr-topdown topdown --config conf/blstm_ctc.yaml --train data/train --dev data/dev \\
    --tokens data/tokens.txt --exp exp/a --workers 2 --set 'schedule.seeds=[1,2,3]'
asr-topdown topdown … --device cuda --ddp 4
asr-topdown topdown … --device cuda --engine slurm --slurm partition=gpu,gpus=1,time=4:00:00 --workers 8
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the data, the study, and where its trainings run."""
    options.add_experiment(parser)
    engine_options.add_engine(parser, "trainings")
    options.add_ddp(parser)
    parser.add_argument(
        "--search",
        nargs="+",
        choices=SEARCHES,
        default=[],
        metavar="NAME",
        help="run these instead of schedule.search, without controls; joint: only the joint trainings of all "
        "seeds, with which the study begins",
    )
    for title, specs in (
        ("searches (schedule.search)", SEARCHES),
        ("controls (schedule.controls)", CONTROLS),
    ):
        lines = "\n".join(f"{spec.name:<15} {spec.help}" for spec in specs.values())
        parser.add_argument_group(title, lines)
    parser.add_argument("--results", default="study", metavar="TAG", help="write EXP/results/TAG.json")
    parser.add_argument(
        "--dry-run", action="store_true", help="train nothing: list the trainings and estimate their time"
    )
    parser.add_argument(
        "--seconds-per-epoch",
        type=options.positive,
        metavar="S",
        help="with --dry-run: seconds per epoch (default: as in the finished trainings)",
    )
    _add_data(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    """Declare the data and networks of single searches."""
    parser.add_argument(
        "--joint-data",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="training data of the joint trainings of subset_scan (all of these) and epoch_scan (the last "
        "one); retrainings then use --train",
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="subsets of --train from `asr-topdown data nested`, on each of which depth_sweep is repeated",
    )
    parser.add_argument(
        "--source-exp",
        type=options.folder,
        metavar="DIR",
        help="experiment folder with the study schedule.source, from another recipe (default: EXP)",
    )


def run(args: argparse.Namespace) -> None:
    """Run the study; finished trainings are read from disk, so it can be stopped and restarted."""
    from asr_topdown.files import command
    from asr_topdown.logs import log_to_stderr
    from asr_topdown.runs.experiment import Experiment
    from asr_topdown.runs.store import check_tag
    from asr_topdown.study import links
    from asr_topdown.study.build import check_first, searches_of

    # Trainings set up their own logs; before them, only problems are shown.
    log_to_stderr(logging.WARNING)
    check_tag(args.results)
    options.check_ddp(args)
    if not args.dry_run:
        options.refuse(args, ("seconds_per_epoch",), "needs --dry-run")
    config = _config(args)
    if args.source_exp and not config.schedule.source:
        raise ValueError(f"--source-exp {args.source_exp}: there is no schedule.source to look for in it")
    experiment = Experiment(config, args.train, args.dev, args.tokens, args.device)
    store, source_store = _stores(args, experiment)
    links.check(store, args.results)
    make = functools.partial(
        searches_of,
        experiment,
        store,
        names=args.search,
        joint_data=args.joint_data,
        parts=args.parts,
        source_store=source_store,
    )
    check_first(make(), experiment, store)
    others = [dataclasses.replace(experiment, train=data) for data in (*args.joint_data, *args.parts)]
    experiments = [experiment, *others]
    options.check_experiments(args, experiments, "schedule")
    if args.dry_run:
        workers = _workers(args, config.run.threads)
        continued_to = config.train.epochs if config.schedule.continues else 0
        print(_forecast(make, store, args.seconds_per_epoch, workers, continued_to))
        return
    results = _drive(args, make, experiments, store)
    if results is None:
        return
    _save(args, store.save_results, results)
    for result in results:
        print(_line(result))
    for path in links.link_models(store, args.results, results):
        print(path)
    print(f"curves of all trainings: {command('tensorboard', '--logdir', store.root / 'nodes')}")


def _config(args: argparse.Namespace) -> "Config":
    """Read the configuration, with the searches of --search beside its own: trainings keep what they need."""
    from asr_topdown import config as configuration

    config = options.read_config(args)
    more = [name for name in args.search if name not in ("joint", *config.schedule.search)]
    if not more:
        return config
    searches = ", ".join([*config.schedule.search, *more])
    return configuration.load(args.config, [*args.overrides, f"schedule.search=[{searches}]"])


def _stores(args: argparse.Namespace, experiment: "Experiment") -> "tuple[Store, Store]":
    """Return the study's store, and that in which its `schedule.source` is."""
    from asr_topdown.runs.dev_error import decoder_of
    from asr_topdown.runs.store import Store
    from asr_topdown.study.sources import models_of

    source_store = Store(args.source_exp or args.exp)
    models = models_of(experiment.config.schedule, source_store)
    sources = [args.source_exp] if args.source_exp else []
    return Store(args.exp, sources, models=models, decoder=decoder_of(experiment)), source_store


def _drive(
    args: argparse.Namespace,
    searches: "Callable[[], Sequence[Search]]",
    experiments: "Sequence[Experiment]",
    store: "Store",
) -> "list[Result] | None":
    """Train what the searches request, and return their results; None in all processes of --ddp but one."""
    from asr_topdown.study import driver, ranks
    from asr_topdown.study.worker import train_node
    from asr_topdown.train import distributed

    options.start_ddp(args)
    train = functools.partial(train_node, experiments=experiments, store=store)
    with distributed.join(args.device) as world:
        if not world.leads:
            ranks.run_worker(train, world)
            return None
        with _engine(args, experiments[0].config.run.threads, train, store, world) as submit:
            try:
                return driver.drive(searches(), submit, store=store)
            except driver.SearchError as error:
                _save(args, store.save_unfinished, error.results)
                raise


def _save(
    args: argparse.Namespace,
    save: "Callable[[str, Sequence[Result]], Path | None]",
    results: "Sequence[Result]",
) -> None:
    """Write the results of the searches; not of joint trainings alone, which later studies find on disk."""
    if args.search == ["joint"]:
        return
    if (path := save(args.results, results)) is not None:
        print(f"saved to {path}")
    else:
        print(
            f"no results saved: what finished is not all that an earlier {args.results}.json has, or nothing"
        )


@contextlib.contextmanager
def _engine(
    args: argparse.Namespace,
    threads: int,
    train: "Callable[[Node], Outcome]",
    store: "Store",
    world: "World",
) -> "Iterator[Submit]":
    """Open the engine for the trainings: with --ddp all processes together, else by the options."""
    from asr_topdown.engines import engine_config
    from asr_topdown.study import driver, ranks

    wanted = engine_options.read_engine(args, threads=threads)
    if world.alone:
        with engine_config.open_engine(wanted) as engine:
            yield driver.submitter(engine, train, store=store)
        return
    if (args.workers or 1) > 1:  # torchrun was started by hand
        raise ValueError(f"--workers {args.workers}: with torchrun one network is trained at a time")
    with ranks.run_rank0(train, world) as submit:
        yield submit


def _workers(args: argparse.Namespace, threads: int) -> float:
    """Return how many networks `_engine` trains at a time; infinity on a cluster without --workers."""
    wanted = engine_options.read_engine(args, threads=threads)
    if args.ddp > 1:
        return 1
    return max(1, wanted.local_workers) if wanted.engine == "local" else wanted.workers or math.inf


def _forecast(
    searches: "Callable[[], Sequence[Search]]",
    store: "Store",
    seconds_per_epoch: float | None,
    workers: float,
    continued_to: int,
) -> str:
    """Format the output of `--dry-run`."""
    from asr_topdown.progress import duration
    from asr_topdown.report.words import count
    from asr_topdown.study.forecast import forecast

    told = forecast(
        searches, store, seconds_per_epoch=seconds_per_epoch, workers=workers, continued_to=continued_to
    )
    lines = [
        f"{one.node.id}  finished: dev error {one.error:.4f}, {one.epochs} epochs, {one.seconds:.0f} s"
        f"  {one.node.describe()}"
        for one in told.finished
    ]
    lines += [f"{one.node.id}  to decode again: {one.node.describe()}" for one in told.stale]
    lines += [f"{node.id}  to train: {node.epochs} epochs at most  {node.describe()}" for node in told.ready]
    more = f"{told.least}" if told.least == told.most else f"{told.least} to {told.most}"
    if continued_to and told.most:  # they depend on which of many win, and from which epoch
        more = f"about {more}"
    done, ready = len(told.finished) + len(told.stale), len(told.ready)
    lines.append(f"{done + ready} trainings known: {done} finished, {ready} to do; {more} more will follow")
    if told.seconds is None or told.seconds_per_epoch is None:
        lines.append("time: nothing is finished yet to tell by; give --seconds-per-epoch")
    else:
        low, high = map(duration, told.seconds)
        span = low if low == high else f"{low} to {high}"
        where = "with no limit on workers" if math.isinf(workers) else f"on {count(int(workers), 'worker')}"
        lines.append(f"time: {span} {where}, at {told.seconds_per_epoch:.2f} s an epoch")
    return "\n".join(lines)


def _line(result: "Result") -> str:
    stepwise = SPECS[result.search].stepwise
    steps = []
    for step in result.steps:
        worse = " (worse)" if stepwise and not step.accepted else ""
        steps.append(f"{step_name(result.search, step)} {step.error:.4f}{worse}")
    return f"seed {result.seed}, {result.search}: {' → '.join(steps)}"
