"""From what searches did to the systems that a table compares: one node per seed each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_topdown.schedule.search import Result, Step

JOINT = "joint"
SCRATCH = "from scratch, best of 1 + k"
TOP_DOWN = "top-down"
EXHAUSTIVE = "exhaustive search, best on dev"
HALVING = "search over layers and epochs, best on dev"
_NAMES = {
    "greedy": TOP_DOWN,
    "exhaustive": EXHAUSTIVE,
    "halving": HALVING,
    "transplant": "",  # named by its source
    "scratch": SCRATCH,
    "freeze_lowest": "lowest layer frozen, upper ones retrained",
    "keep": "nothing frozen, trained on",
    "same_init": "top frozen, the joint training's initial weights",
    "best_of": "from scratch, best of k",
    "freeze_keep": "top frozen, the rest trained on",
    "random_top": "a random top frozen, the rest trained",
    "freeze_up": "Algorithm 1 from the bottom up",
    "bottom_up": "lower layers kept, those above re-initialised, nothing frozen",
    "depth_sweep": "the best of the depth sweep",
}
# Systems with a name of their own; the others are called by what a search says of a training.
NAMED = frozenset([JOINT, *_NAMES.values()])
_SCANS = ("epoch_scan", "subset_scan")
# Of these each training is a row, not only the one that they ended with.
_ALL_ROLES = ("exhaustive", "depth_sweep")


@dataclass(frozen=True)
class System:
    """One row of the table.

    Attributes:
        name: what it is called.
        nodes: base seed -> node id.
        rejected: seeds for which the search did not go on from this node.
    """

    name: str
    nodes: Mapping[int, str]
    rejected: frozenset[int] = frozenset()


def systems(results: Sequence[Result]) -> list[System]:
    """Joint training, each step of the top-down search, where it ended, and then the controls.

    Scans (`report.scans`) train on other data than the joint training did: they have no row here.
    """
    results = [result for result in results if result.search not in _SCANS]
    if not results:
        return []
    joint = {result.seed: result.steps[0].node for result in results}
    rows = [System(JOINT, dict(sorted(joint.items())))]
    rows.extend(_greedy_steps(results))
    rows.extend(_by_role([result for result in results if result.search in _ALL_ROLES]))
    names = {_name(result): result.search for result in results}
    for name in sorted(names, key=lambda name: _rank(names[name])):
        final = {result.seed: result.final for result in results if _name(result) == name}
        rows.append(System(name, dict(sorted(final.items()))))
    return rows


def _name(result: Result) -> str:
    if result.search == "transplant":
        return f"classifier frozen from {result.steps[-1].point['source']}, the rest trained"
    return _NAMES.get(result.search, result.search)


def _rank(search: str) -> int:
    """The place of a search's row: those of `_NAMES` in its order, then the others as they come."""
    return [*_NAMES].index(search) if search in _NAMES else len(_NAMES)


def errors_so_far(result: Result, error_of: Mapping[str, float]) -> list[float]:
    """The error of the model that the search would have given after 0, 1, ... retrainings.

    Args:
        result: of a search whose accepted steps replace the model one after the other.
        error_of: node id -> error.
    """
    errors: list[float] = []
    for step in result.steps:
        errors.append(error_of[step.node] if step.accepted else errors[-1])
    return errors


def _by_role(results: Sequence[Result]) -> list[System]:
    """A row for each role that the trainings have besides the joint one."""
    found: dict[str, dict[int, str]] = {}
    for result in sorted(results, key=lambda result: result.seed):
        for step in result.steps[1:]:
            found.setdefault(step.role, {}).setdefault(result.seed, step.node)
    return [System(role, nodes) for role, nodes in found.items()]


def _greedy_steps(results: Sequence[Result]) -> list[System]:
    by_role: dict[str, dict[int, Step]] = {}
    for result in sorted(results, key=lambda result: result.seed):
        if result.search == "greedy":
            for step in result.steps[1:]:
                by_role.setdefault(step.role, {})[result.seed] = step
    # Steps are numbered from 1 without gaps; a longer search of a later seed adds the later ones.
    roles = sorted(by_role, key=lambda role: int(role.rpartition(" ")[2]))
    return [
        System(
            role,
            {seed: step.node for seed, step in by_role[role].items()},
            frozenset(seed for seed, step in by_role[role].items() if not step.accepted),
        )
        for role in roles
    ]
