"""`asr-topdown report`: a table with statistics and plots for an experiment folder."""

import argparse
from pathlib import Path

HELP = "write a Markdown report with a table, statistics and plots for an experiment folder"
EXAMPLE = "asr-topdown report exp/a --set-name test"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("exp", type=Path, metavar="EXP", help="experiment folder, finished or not")
    parser.add_argument("--set-name", default="test", metavar="NAME", help="the decoded set to report")


def run(args: argparse.Namespace) -> None:
    """Write EXP/report/report.md and its plots; print its path, and what is missing for a full report."""
    from asr_topdown.report.page import write_report

    print(write_report(args.exp, args.set_name))
