"""`asr-topdown report`: tables with statistics, figures and the tree of trainings of an experiment folder."""

import argparse
from collections import Counter

from asr_topdown.bin import options

HELP = (
    "write a report (HTML and Markdown) on an experiment: tables, statistics, plots and the tree of trainings"
)
EXAMPLE = """
asr-topdown report exp/a --set-name test
asr-topdown report exp/a_fold0 exp/a_fold1 exp/a_fold2
asr-topdown report exp/a_p25 exp/a_p50 exp/a --over-data results
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the experiments, and the set whose errors are shown."""
    parser.add_argument(
        "exp",
        type=options.folder,
        nargs="+",
        metavar="EXP",
        help="experiment folder, finished or not; several also give a table of all, for each study that they "
        "share",
    )
    parser.add_argument("--set-name", default="test", metavar="NAME", help="the decoded set to report")
    parser.add_argument(
        "--over-data",
        type=options.folder,
        metavar="DIR",
        help="no pages: the experiments are one design on increasing amounts of data; write the searches' "
        "gain over joint training, in each study that several share, to DIR",
    )


def run(args: argparse.Namespace) -> None:
    """Write the page and print its path; for several experiments, also print a table of all."""
    from asr_topdown.report.page import write_report

    if args.over_data is not None:
        _write_over_data(args)
        return
    for exp in args.exp:
        print(write_report(exp, args.set_name).with_suffix(".html"))
    if len(args.exp) > 1:
        print("\nall of them as one experiment; systems and seeds that are not in each are left out\n")
        _print_pooled(args)


def _print_pooled(args: argparse.Namespace) -> None:
    """Print a table of each study that all experiments have.

    Raises:
        ValueError: if there is none; or, after the other tables, as `pooled_table`.
    """
    from asr_topdown.report import markdown
    from asr_topdown.report.collect import collect
    from asr_topdown.report.pool import pooled_table

    experiments = [collect(exp, args.set_name) for exp in args.exp]
    tags = [*experiments[0].studies] or ["study"]
    shared = [tag for tag in tags if all(tag in one.studies for one in experiments)] or tags[:1]
    faults = []
    for tag in shared:
        try:
            table = markdown.table(pooled_table(experiments, tag))
        except ValueError as error:
            faults.append(str(error))
            continue
        print(f"study `{tag}`\n\n{table}\n" if len(shared) > 1 else table)
    if faults:
        raise ValueError("\n".join(faults))


def _write_over_data(args: argparse.Namespace) -> None:
    """Write the gain over the amount of data of each study that two experiments have, or of all as one.

    Raises:
        ValueError: if there is no gain on two amounts of data.
    """
    from asr_topdown.report import markdown
    from asr_topdown.report.collect import collect
    from asr_topdown.report.data_size import over_data
    from asr_topdown.report.document import Heading, Part
    from asr_topdown.report.table import Table

    experiments = [collect(exp, args.set_name) for exp in args.exp]
    having = [(tag, one.of_study(tag)) for one in experiments for tag in one.studies]
    tags = [tag for tag, count in Counter(tag for tag, _ in having).items() if count > 1]
    designs = {tag: [one for other, one in having if other == tag] for tag in tags}
    parts: list[Part] = []
    for tag, studies in (designs or {"study": [one for _, one in having]}).items():
        name = "data-size" if tag == "study" or len(designs) < 2 else f"data-size-{tag}"
        if grown := over_data(studies, name):
            parts += [Heading(2, f"Study `{tag}`", name)] if len(designs) > 1 else []
            parts += grown
    if not parts:
        folders = ", ".join(map(str, args.exp))
        raise ValueError(
            f"{folders}: no studies of one model on two amounts of data that have been decoded on the same "
            f"{args.set_name}"
        )
    markdown.write(experiments[0], parts, args.over_data)
    for part in parts:
        if isinstance(part, Heading):
            print(f"{part.text}\n")
        elif isinstance(part, Table):
            print(markdown.table(part))
