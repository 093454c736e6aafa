"""`asr-topdown report`: a table with statistics and plots for an experiment folder."""

import argparse
from pathlib import Path

HELP = "write a Markdown report with a table, statistics and plots for an experiment folder"
EXAMPLE = """
asr-topdown report exp/a --set-name test
asr-topdown report exp/a_fold0 exp/a_fold1 exp/a_fold2
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "exp",
        type=Path,
        nargs="+",
        metavar="EXP",
        help="experiment folder, finished or not; of several, a table of all too",
    )
    parser.add_argument("--set-name", default="test", metavar="NAME", help="the decoded set to report")


def run(args: argparse.Namespace) -> None:
    """Write EXP/report/report.md and its plots and print its path; of several, print a table over all."""
    from asr_topdown.report import perplexity
    from asr_topdown.report.collect import collect
    from asr_topdown.report.page import write_report
    from asr_topdown.report.pool import pooled_table

    for exp in args.exp:
        write = perplexity.write_language_report if perplexity.is_language_experiment(exp) else write_report
        print(write(exp, args.set_name))
    if len(args.exp) > 1:
        print(pooled_table([collect(exp, args.set_name) for exp in args.exp]))
