"""The one list of searches and controls, read by the configuration, the commands and the report.

A new search is a file next to this one with a `SPEC`, and a line below.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from asr_topdown.schedule import (
    controls,
    depth_sweep,
    epoch_scan,
    exhaustive,
    freeze_top,
    greedy,
    halving,
    joint,
    subset_scan,
    transplant,
)
from asr_topdown.schedule.node import Node
from asr_topdown.schedule.protocol import Request, Result, Search, Step, adapted, advance
from asr_topdown.schedule.spec import Spec, Study

SEARCHES = {
    spec.name: spec
    for spec in (
        greedy.SPEC,
        exhaustive.SPEC,
        halving.SPEC,
        freeze_top.SPEC,
        transplant.SPEC,
        epoch_scan.SPEC,
        subset_scan.SPEC,
        depth_sweep.SPEC,
        joint.SPEC,
    )
}
CONTROLS = {spec.name: spec for spec in controls.SPECS}
SPECS: dict[str, Spec] = {**SEARCHES, **CONTROLS}


def step_name(search: str, step: Step) -> str:
    """A short description of a training of the search or control `search`."""
    return (step.point.text() or SPECS[search].label) if step.point else "joint"


def joint_node(results: Sequence[Result]) -> str | None:
    """The joint training among the results of one seed; None if there are only those on subsets of the data.

    If it can be, that of a search that is compared with it: scans may start with one on other data, or of
    another length.
    """
    compared = [result for result in results if SPECS[result.search].against_joint]
    first = (result.steps[0] for result in (*compared, *results))
    return next((step.node for step in first if step.point is None), None)


def of_studies(
    studies: Sequence[Study],
    *,
    searches: Sequence[str] = ("greedy",),
    controls: Sequence[str] = (),
    begin_with: Sequence[str] = (),
    settings: Callable[[str], Any] = lambda name: SPECS[name].settings(),
    frozen_dropout: str = "keep",
    criterion: str = "error",
) -> list[Search]:
    """The searches and their controls for every base seed.

    All of them can run in parallel: the seeds are independent, controls with one retraining wait only for the
    joint training, and training i from scratch starts together with the first search's i-th retraining.

    Args:
        studies: one per base seed; their references to one another (`others`, `first`, `beginnings`) are
            filled in here.
        searches: of `SEARCHES`.
        controls: of `CONTROLS`; those that follow a search follow the first of `searches`.
        begin_with: of `SEARCHES`, those whose joint trainings the search "joint" performs.
        settings: of each search or control, by name.
        frozen_dropout: see `Node`.
        criterion: see `adapted`.

    Raises:
        ValueError: if a base seed, a search or a control occurs twice: its trainings would count twice.
    """
    listed = {"seed": [study.seed for study in studies], "search": searches, "control": controls}
    for what, names in listed.items():
        if len(set(names)) < len(names):
            raise ValueError(f"a {what} is listed twice: {', '.join(map(str, names))}")

    def make(name: str, study: Study) -> Search:
        return SPECS[name].make(study, settings(name))

    def complete(study: Study) -> Study:
        others = tuple(one.joint for one in studies if one is not study)
        own = replace(study, others=others)
        firsts = first_nodes([make(name, own) for name in begin_with if name != "joint"])
        joints = tuple(node for node in firsts if node.is_joint and node.init_seed == study.seed)
        return replace(own, beginnings=joints, first=lambda: make(searches[0], own))

    whole = [complete(study) for study in studies]
    pairs = [(name, study) for name in searches for study in whole]
    pairs += [(name, study) for study in whole for name in controls]
    return [
        adapted(make(name, study), frozen_dropout=frozen_dropout, criterion=criterion)
        for name, study in pairs
    ]


def first_nodes(searches: Sequence[Search]) -> list[Node]:
    """The searches' first requests; the searches are consumed.

    Raises:
        ValueError: raised by a search.
    """
    nodes: dict[Node, None] = {}
    for search in searches:
        said = advance(search)
        if isinstance(said, Request):
            nodes.update(dict.fromkeys(said.nodes))
        search.close()
    return list(nodes)
