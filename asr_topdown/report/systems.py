"""From search results to the systems that a table compares, each with one node per seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from asr_topdown.schedule.depth_sweep import DepthSweepPoint
from asr_topdown.schedule.protocol import Point, Result
from asr_topdown.schedule.searches import SPECS
from asr_topdown.schedule.spec import Spec

JOINT = "joint"
TOP_DOWN = SPECS["greedy"].label
SCRATCH = SPECS["scratch"].label
# The baselines of comparisons, search or control, and their column names.
BASELINES = {
    "joint": "joint",
    "scratch": "as many trainings from scratch",
    "joint_long": "as many epochs of joint training",
}


@dataclass(frozen=True)
class System:
    """One row of the table.

    Attributes:
        name: what it is called.
        nodes: base seed -> node id.
        search: the search or control that it belongs to.
        point: what the search records of this training; None = where it ended.
        rejected: seeds for which the search did not continue from this node.
    """

    name: str
    nodes: Mapping[int, str]
    search: str = JOINT
    point: Point | None = None
    rejected: frozenset[int] = frozenset()

    @property
    def is_end(self) -> bool:
        """Whether this is where a search or control ended, rather than one training of many."""
        return self.point is None

    @property
    def part(self) -> str:
        """Name of the part of the study's data that it was trained on; "" = all of it."""
        return self.point.part if isinstance(self.point, DepthSweepPoint) else ""

    @property
    def is_joint_on_part(self) -> bool:
        """Whether it is the joint training on a part of the study's data."""
        return isinstance(self.point, DepthSweepPoint) and self.point.start == "scratch"


def baselines(rows: Sequence[System]) -> dict[str, dict[str, System | None]]:
    """Baseline (`BASELINES`, those of the study) -> name of a row -> the row to compare it with, or None.

    Trainings on a part of the data are compared with the joint training on the same part only: all other
    baselines had more data.
    """
    ends = {row.search: row for row in rows if row.is_end}
    on_part = {row.part: row for row in rows if row.is_joint_on_part}
    return {
        search: {
            row.name: (on_part.get(row.part) if search == JOINT else None) if row.part else ends[search]
            for row in rows
        }
        for search in BASELINES
        if search in ends
    }


def systems(results: Sequence[Result]) -> list[System]:
    """The joint training, and the rows of each search or control (`Spec.rows`), in the list's order.

    Trainings on data other than the joint training's have no row here.
    """
    compared = [result for result in results if SPECS[result.search].against_joint]
    results = [result for result in compared if result.steps[0].point is None]
    if not results:
        return []
    by_seed = sorted(results, key=lambda result: result.seed)
    rows = [System(JOINT, {result.seed: result.steps[0].node for result in by_seed})]
    for spec in SPECS.values():
        own = [result for result in by_seed if result.search == spec.name]
        if own and spec.rows in ("each", "both"):
            rows += _each(spec, own)
        if own and spec.rows in ("final", "both"):
            rows.append(System(spec.label, {result.seed: result.final for result in own}, spec.name))
    return list(_named_apart(rows))


def _each(spec: Spec, results: Sequence[Result]) -> list[System]:
    """A row for each training besides the joint one; those with equal records share one."""
    nodes: dict[str, dict[int, str]] = {}
    rejected: dict[str, set[int]] = {}
    points: dict[str, Point] = {}
    # The longest first, so that rows of a single seed come after those of all.
    for result in sorted(results, key=lambda result: -len(result.steps)):
        for step in result.steps:
            if step.point is not None:
                name = step.point.text()
                points.setdefault(name, step.point)
                nodes.setdefault(name, {}).setdefault(result.seed, step.node)
                if spec.stepwise and not step.accepted:
                    rejected.setdefault(name, set()).add(result.seed)
    return [
        System(name, dict(sorted(nodes[name].items())), spec.name, point, frozenset(rejected.get(name, ())))
        for name, point in points.items()
    ]


def _named_apart(rows: Sequence[System]) -> Iterator[System]:
    """The rows; a name that occurs twice has the search's name added."""
    seen: set[str] = set()
    for row in rows:
        name = row.name if row.name not in seen else f"{row.name} ({row.search})"
        seen.add(name)
        yield replace(row, name=name)


def errors_so_far(result: Result, error_of: Mapping[str, float]) -> list[float]:
    """The error of the model that the search would have returned after 0, 1, ... retrainings.

    Args:
        result: of a search whose accepted steps replace the model one after the other.
        error_of: node id -> error.
    """
    errors: list[float] = []
    for step in result.steps:
        errors.append(error_of[step.node] if step.accepted else errors[-1])
    return errors
