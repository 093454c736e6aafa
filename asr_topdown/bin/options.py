"""Options that several commands share."""

import argparse
import logging
import sys
from pathlib import Path

from asr_topdown import config as configuration
from asr_topdown.config import Config


def add_config(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """`--config` and `--set`."""
    parser.add_argument(
        "--config", type=Path, required=required, metavar="FILE", help="the experiment's YAML"
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override a setting of the YAML; may be given several times",
    )


def read_config(args: argparse.Namespace) -> Config:
    """The configuration that `add_config`'s options name."""
    return configuration.load(args.config, args.overrides)


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument(
        "--device", default="cpu", metavar="NAME", help="cpu, cuda or cuda:N (default: %(default)s)"
    )


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """What a training needs: `--config --set --train --dev --tokens --exp --device`."""
    add_config(parser)
    parser.add_argument("--train", type=Path, required=True, metavar="DIR", help="data directory to train on")
    parser.add_argument(
        "--dev", type=Path, required=True, metavar="DIR", help="data directory that chooses the best epoch"
    )
    parser.add_argument(
        "--tokens", type=Path, required=True, metavar="FILE", help="from `asr-topdown tokens`"
    )
    parser.add_argument("--exp", type=Path, required=True, metavar="DIR", help="experiment folder")
    add_device(parser)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Show the package's log on stderr, with the time of day."""
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True
    )
