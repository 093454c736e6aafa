"""From a configuration and its data to the searches of a study."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from asr_topdown import config as configuration
from asr_topdown import layers
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.run_node import run_node
from asr_topdown.runs.store import Store
from asr_topdown.schedule import search
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.search import Blocks, Search, Subset
from asr_topdown.study.sources import source_outcomes


def searches_of(
    experiment: Experiment,
    store: Store,
    *,
    joint_data: Sequence[Path] = (),
    source_store: Store | None = None,
) -> list[Search]:
    """The searches that `experiment`'s configuration names, with their controls, for each seed.

    Args:
        experiment: the configuration, and the data that networks are retrained on.
        store: where its networks are.
        joint_data: of `subset_scan`, the data of its joint trainings, from small to large; of `epoch_scan`,
            the last of them is its joint training's. None = `experiment`'s.
        source_store: where the study `schedule.source` is; None = in `store`.

    Raises:
        ValueError, FileNotFoundError: naming what does not fit together or is not there.
    """
    chosen = experiment.config.schedule
    blocks = layers.group_names(experiment.layer_names(), chosen.groups)
    sources: dict[int, Outcome] = {}
    if "transplant" in chosen.search and not chosen.source:
        raise ValueError("search transplant needs schedule.source, the tag of another study's results")
    if chosen.source:
        where = source_store or store
        sources = source_outcomes(where, chosen.source, chosen.source_network, chosen.seeds)
        if "depth_sweep" in chosen.search:
            for outcome in sources.values():
                _check_features(experiment, where, outcome.node.id)
    make = _makers(experiment, blocks, sources, joint_data)
    return search.study(
        [experiment.joint(seed) for seed in chosen.seeds],
        blocks,
        searches=[make[name] for name in chosen.search],
        controls=chosen.controls,
        frozen_dropout=chosen.frozen_dropout,
        best_of=chosen.best_of,
    )


def run_one_of(node: Node, experiments: Sequence[Experiment], store: Store) -> Outcome:
    """`run_node` with the one of `experiments` that the node belongs to.

    Raises:
        ValueError: as `run_node`, or if it belongs to none.
    """
    for experiment in experiments:
        if (experiment.id, experiment.train_set) == (node.experiment, node.train_set):
            return run_node(node, experiment, store)
    raise ValueError(f"node {node.id} belongs to another configuration or other data than given")


def _makers(
    experiment: Experiment, blocks: Blocks, sources: dict[int, Outcome], joint_data: Sequence[Path]
) -> dict[str, Callable[[Node], Search]]:
    chosen = experiment.config.schedule
    names: dict[str, Any] = {"name": f"{chosen.source} ({chosen.source_network})" if chosen.source else ""}
    how: dict[str, Any] = {"frozen_dropout": chosen.frozen_dropout}
    over = [replace(experiment, train=data) for data in joint_data]

    def epoch_scan(joint: Node) -> Search:
        scan = chosen.epoch_scan
        first = over[-1].joint(joint.init_seed) if over else joint
        if scan.joint_epochs:
            first = replace(first, epochs=scan.joint_epochs, patience=0)
        options = scan.model_dump(exclude={"joint_epochs"})
        return search.epoch_scan(first, blocks, joint, **options, **how)

    def subset_scan(joint: Node) -> Search:
        subsets = _subsets(experiment, over, joint.init_seed)
        return search.subset_scan(subsets, blocks, joint, **chosen.subset_scan.model_dump(), **how)

    def depth_sweep(joint: Node) -> Search:
        sweep, source = chosen.depth_sweep, sources.get(joint.init_seed)
        fresh = blocks[-1] if source else ()
        if sweep.fresh is not None:
            known = [name for block in blocks for name in block]
            fresh = layers.select(known, sweep.fresh, what="depth_sweep.fresh")
        return search.depth_sweep(
            joint, blocks, starts=sweep.starts, source=source, fresh=fresh, lora=sweep.lora, **names, **how
        )

    return {
        "greedy": partial(search.greedy, blocks=blocks, **chosen.greedy.model_dump(), **how),
        "exhaustive": partial(search.exhaustive, blocks=blocks, **chosen.exhaustive.model_dump(), **how),
        "halving": partial(search.halving, blocks=blocks, **chosen.halving.model_dump(), **how),
        "transplant": lambda joint: search.transplant(
            joint, blocks, sources[joint.init_seed], **names, **how
        ),
        "epoch_scan": epoch_scan,
        "subset_scan": subset_scan,
        "depth_sweep": depth_sweep,
    }


def _subsets(rest: Experiment, over: Sequence[Experiment], seed: int) -> list[Subset]:
    if not over:
        raise ValueError("subset_scan needs the data of its joint trainings: --joint-data DIR DIR ...")
    counts = [_utterances(experiment.train) for experiment in over]
    everything = max(counts) + _utterances(rest.train)
    return [
        Subset(one.train.name, count, round(100 * count / everything, 2), one.joint(seed))
        for one, count in zip(over, counts, strict=True)
    ]


def _utterances(data: Path) -> int:
    with (data / "text" if data.is_dir() else data).open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def _check_features(experiment: Experiment, store: Store, node_id: str) -> None:
    """Layers near the input mean something only over the features that they were trained on."""
    path = store.node_dir(node_id) / "config.yaml"
    theirs = _flat(configuration.load(path).features.model_dump(mode="json"))
    for key, value in _flat(experiment.config.features.model_dump(mode="json")).items():
        if theirs.get(key) != value:
            raise ValueError(
                f"{path}: its features are not this configuration's: {key} is {theirs.get(key)} there "
                f"and {value} here; layers cannot be exchanged"
            )


def _flat(values: dict[str, object], prefix: str = "features") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}.{key}"))
        else:
            flat[f"{prefix}.{key}"] = value
    return flat
