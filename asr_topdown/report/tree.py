"""The nodes of an experiment as trees, parent to child."""

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from asr_topdown.report.records import Experiment, Training
from asr_topdown.schedule.node import Node
from asr_topdown.schedule.searches import SEARCHES, SPECS, step_name
from asr_topdown.schedule.seeds import base_seed

FROZEN, FRESH, KEPT = "frozen", "new weights", "trained on"


@dataclass(frozen=True)
class Branch:
    """A training and those that started from it.

    Attributes:
        id: of the node.
        training: its record.
        role: its role in the searches; several are joined by "; ", "" if none requested it.
        schedule: M(i, j, ..., r) of the paper, or words if that notation cannot express it.
        cells: what was done with each layer, input first: (name, FROZEN, FRESH or KEPT).
        taken: how the searches continued: "final" (one ended with it), "taken", "not taken", "".
        dev: error as it is shown.
        test: likewise.
        children: by seed of the initial weights.
    """

    id: str
    training: Training
    role: str
    schedule: str
    cells: tuple[tuple[str, str], ...]
    taken: str
    dev: float | None
    test: float | None
    children: tuple["Branch", ...]

    @property
    def seed(self) -> int:
        """The base seed of its study."""
        return base_seed(self.training.node.init_seed)

    @property
    def is_cascade(self) -> bool:
        """Whether `schedule` is in the paper's notation."""
        return self.schedule.startswith("M(")

    def walk(self, depth: int = 0) -> Iterator[tuple[int, "Branch"]]:
        """(depth, branch) of this one and its descendants, parents first."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


def forest(experiment: Experiment) -> list[Branch]:
    """The trees, by seed: their roots are trainings without a parent, or whose parent is not here."""
    trainings = experiment.trainings
    children: dict[str, list[str]] = {}
    roots = []
    for key, training in trainings.items():
        parent = training.node.parent
        if parent is not None and parent.node in trainings:
            children.setdefault(parent.node, []).append(key)
        else:
            roots.append(key)
    roles, taken = _roles(experiment), _taken(experiment)
    dev, test = experiment.dev, experiment.test
    schedules: dict[str, tuple[int, ...] | None] = {}

    def order(key: str) -> tuple[int, int, str]:
        seed = trainings[key].node.init_seed
        return base_seed(seed), seed, key

    def branch(key: str) -> Branch:
        """The training and, below it, those that start from it."""
        training = trainings[key]
        composition = _composition(key, trainings, schedules)
        return Branch(
            id=key,
            training=training,
            role="; ".join(roles.get(key, ())),
            schedule=f"M({', '.join(map(str, composition))})" if composition else _in_words(training.node),
            cells=layer_cells(training),
            taken=taken.get(key, ""),
            dev=dev.get(key),
            test=test.get(key),
            children=tuple(branch(child) for child in sorted(children.get(key, ()), key=order)),
        )

    return [branch(key) for key in sorted(roots, key=order)]


def foremost(roots: Sequence[Branch], most: int) -> set[str]:
    """All ids; above `most` trainings, those of the roots, the searches' final ones, and the best on dev."""
    every = [branch for root in roots for _, branch in root.walk()]
    if len(every) <= most:
        return {branch.id for branch in every}
    best = sorted(every, key=lambda branch: math.inf if branch.dev is None else branch.dev)[:most]
    ends = [branch for branch in every if branch.taken == "final"]
    return {branch.id for branch in (*roots, *ends, *best)}


def pruned(roots: Iterable[Branch], kept: Container[str]) -> list[Branch]:
    """The trees with the trainings `kept` and their ancestors."""
    branches = []
    for root in roots:
        children = tuple(pruned(root.children, kept))
        if children or root.id in kept:
            branches.append(replace(root, children=children))
    return branches


def layer_cells(training: Training) -> tuple[tuple[str, str], ...]:
    """What was done with each layer, input first; for an unknown network, only the frozen ones."""
    node = training.node
    names = training.layers if set(node.frozen) <= set(training.layers) else node.frozen
    new = names if node.start == "reinit" else node.fresh
    return tuple((name, FROZEN if name in node.frozen else FRESH if name in new else KEPT) for name in names)


def _composition(
    key: str, trainings: Mapping[str, Training], known: dict[str, tuple[int, ...] | None]
) -> tuple[int, ...] | None:
    """(i, j, ..., r) of a cascade from the top, counted in layers; None if the training is not one."""
    if key not in known:
        known[key] = None
        training = trainings[key]
        node, layers = training.node, training.layers
        count = len(node.frozen)
        is_top = bool(layers) and set(layers[len(layers) - count :]) == set(node.frozen)
        if node.parent is None:
            known[key] = (len(layers),) if layers and not count else None
        elif is_top and count and node.start == "reinit" and node.parent.node in trainings:
            before = _composition(node.parent.node, trainings, known)
            last = count - sum(before[:-1]) if before else 0
            if before and last > 0 and sum(before) == len(layers):
                known[key] = (*before[:-1], last, len(layers) - count)
    return known[key]


def _in_words(node: Node) -> str:
    frozen = f"{', '.join(node.frozen) or 'nothing'} frozen"
    how = [node.tuning.text()] if node.tuning else []
    how += [f"LoRA of rank {node.lora}"] if node.lora else []
    start = [] if node.start == "reinit" else [f"start: {node.start}"]
    return ", ".join([frozen, *start, *how])


def _roles(experiment: Experiment) -> dict[str, list[str]]:
    roles: dict[str, list[str]] = {}
    for results in experiment.studies.values():
        for result in sorted(results, key=lambda result: result.seed):
            for step in result.steps:
                known = roles.setdefault(step.node, [])
                name = step_name(result.search, step)
                if name not in known:
                    known.append(name)
    return roles


def _taken(experiment: Experiment) -> dict[str, str]:
    """How the first search that requested a node continued with it; a control has no choice to make."""
    taken: dict[str, str] = {}
    results = [result for found in experiment.studies.values() for result in found]
    for result in results:
        for step in result.steps[1:] if SPECS[result.search].stepwise and result.search in SEARCHES else ():
            taken.setdefault(step.node, "taken" if step.accepted else "not taken")
    for result in results:
        if result.search in SEARCHES:
            taken[result.final] = "final"
    return taken
