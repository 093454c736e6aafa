"""`asr-topdown topdown`: joint training, top-down retraining and its controls, for every seed."""

import argparse
import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from asr_topdown.bin import options

if TYPE_CHECKING:
    from asr_topdown.topdown.dispatch import Submit
    from asr_topdown.topdown.node import Node, Outcome
    from asr_topdown.topdown.run import Experiment
    from asr_topdown.topdown.search import Result
    from asr_topdown.topdown.store import Store
    from asr_topdown.train.distributed import World

HELP = "train top-down (Algorithm 1) with its controls, and save what each training gave"
EXAMPLE = """
asr-topdown topdown --config conf/blstm_ctc.yaml --train data/train --dev data/dev \\
    --tokens data/tokens.txt --exp exp/a --workers 2 --set topdown.seeds=[1,2,3]
asr-topdown topdown … --device cuda --ddp 4
asr-topdown topdown … --device cuda --engine slurm --slurm partition=gpu,gpus=1,time=4:00:00 --workers 8
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    options.add_experiment(parser)
    options.add_engine(parser, "trainings")
    options.add_ddp(parser)
    parser.add_argument("--results", default="study", metavar="TAG", help="write EXP/results/TAG.json")


def run(args: argparse.Namespace) -> None:
    """Run the study; finished trainings answer from disk, so it can be stopped and started at will."""
    from asr_topdown import layers
    from asr_topdown.topdown import dispatch, search, together
    from asr_topdown.topdown.run import Experiment
    from asr_topdown.topdown.sources import source_outcomes
    from asr_topdown.topdown.store import Store
    from asr_topdown.train import distributed

    options.start_ddp(args)
    # Every training logs to its own file; here only what goes wrong is shown.
    options.log_to_stderr(logging.WARNING)
    config = options.read_config(args)
    experiment = Experiment(config, args.train, args.dev, args.tokens, args.device)
    blocks = layers.group_names(experiment.layer_names(), config.topdown.groups)
    store, chosen = Store(args.exp), config.topdown
    searches = search.study(
        [experiment.joint(seed) for seed in chosen.seeds],
        blocks,
        searches=chosen.search,
        controls=chosen.controls,
        frozen_dropout=chosen.frozen_dropout,
        go_on=chosen.go_on,
        sources=source_outcomes(store, chosen.source, chosen.source_network, chosen.seeds)
        if chosen.source
        else None,
        source_name=f"{chosen.source} ({chosen.source_network})",
    )
    train = functools.partial(train_node, experiment=experiment, store=store)
    with distributed.join(args.device) as world:
        if not world.leads:
            together.follow(train, world)
            return
        with _engine(args, config.train.threads, train, store, world) as submit:
            try:
                results = dispatch.drive(searches, submit, store=store)
            except dispatch.SearchError as error:
                store.save_results(args.results, error.results)
                raise
    path = store.save_results(args.results, results)
    for result in results:
        print(_line(result))
    print(f"saved to {path}")


@contextlib.contextmanager
def _engine(
    args: argparse.Namespace,
    threads: int,
    train: "Callable[[Node], Outcome]",
    store: "Store",
    world: "World",
) -> "Iterator[Submit]":
    """Where the trainings run: of several processes each in all of them, else where the options say."""
    from asr_topdown.engines import choice
    from asr_topdown.topdown import dispatch, together

    wanted = options.read_engine(args, threads=threads)
    if world.alone:
        with choice.opened(wanted) as engine:
            yield dispatch.on(engine, train, store=store)
        return
    if (args.workers or 1) > 1:
        raise ValueError(f"--workers {args.workers}: with --ddp one network is trained at a time")
    with together.lead(train, world) as submit:
        yield submit


def train_node(node: "Node", *, experiment: "Experiment", store: "Store") -> "Outcome":
    """What a worker does: train one node, logging to its own file."""
    from asr_topdown.topdown.run import run_node

    options.log_to_stderr()
    return run_node(node, experiment, store)


def _line(result: "Result") -> str:
    steps = " → ".join(
        f"{step.role} {step.error:.4f}{'' if step.accepted else ' (worse)'}" for step in result.steps
    )
    return f"seed {result.seed}, {result.search}: {steps}"
