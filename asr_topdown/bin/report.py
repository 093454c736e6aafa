"""`asr-topdown report`: tables with statistics, figures and the tree of trainings of an experiment folder."""

import argparse
from collections import defaultdict

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
    from asr_topdown.report.records import Experiment

    experiments = [collect(exp, args.set_name) for exp in args.exp]
    by_tag: dict[str, list[Experiment]] = defaultdict(list)
    for experiment in experiments:
        for tag in experiment.studies:
            by_tag[tag].append(experiment.of_study(tag))
    shared = {tag: studies for tag, studies in by_tag.items() if len(studies) > 1}
    shared = shared or {"study": [one for studies in by_tag.values() for one in studies]}
    parts: list[Part] = []
    shown: list[str] = []
    for tag, studies in shared.items():
        name = "data-size" if tag == "study" or len(shared) < 2 else f"data-size-{tag}"
        if grown := over_data(studies, name):
            heading = [Heading(2, f"Study `{tag}`", name)] if len(shared) > 1 else []
            parts += [*heading, *grown]
            shown += [*(f"{one.text}\n" for one in heading), markdown.table(grown[0])]
    if not parts:
        folders = ", ".join(map(str, args.exp))
        raise ValueError(
            f"{folders}: no studies of one model on two amounts of data that have been decoded on the same "
            f"{args.set_name}"
        )
    markdown.write(experiments[0], parts, args.over_data)
    print("\n".join(shown))
