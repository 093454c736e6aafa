"""Trained networks as the source of a study's layers: another study's, or a model's folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from asr_topdown.config.schedule import ScheduleConfig
from asr_topdown.runs.fine_tuning import source_of
from asr_topdown.runs.store import Store, read_outcome
from asr_topdown.schedule.node import Outcome
from asr_topdown.schedule.protocol import Result
from asr_topdown.schedule.searches import SEARCHES, joint_node
from asr_topdown.schedule.spec import Source
from asr_topdown.weights import weights_hash, weights_of_epoch

SourceSeed = int | Literal["same", "next"]


def model_folder(source: str, store: Store) -> Path | None:
    """The model folder named by `schedule.source`; None if it is the tag of a study in `store`."""
    path = Path(source)
    is_tag = source in store.tags() or ("/" not in source and not (path / "node.json").exists())
    return None if is_tag else path


def models_of(chosen: ScheduleConfig, store: Store) -> dict[str, Path]:
    """The model folders that a store of this schedule must know (`Store.models`).

    Raises:
        ValueError, FileNotFoundError: as `source_of`.
    """
    folder = model_folder(chosen.source, store) if chosen.source else None
    return source_of(folder) if folder else {}


def sources_of(
    store: Store,
    source: str,
    network: Literal["joint", "final"],
    seeds: Sequence[int],
    source_seed: SourceSeed = "same",
) -> dict[int, Source]:
    """Base seed -> the network that its layers come from.

    Args:
        store: where the other study is.
        source: its tag, or the folder of a model, which all seeds then share.
        network: of a study: its joint training, or where its first search (the top-down one) ended.
        seeds: the requested seeds.
        source_seed: of a study: whose network each seed takes, see `schedule.source_seed`.

    Raises:
        FileNotFoundError: if there is no such study.
        ValueError: if it has no such seed, the network is not trained here, or the model is not valid.
    """
    if (folder := model_folder(source, store)) is not None:
        if (network, source_seed) != ("joint", "same"):
            raise ValueError(
                f"schedule.source: {source} is a model: source_network and source_seed are of a study"
            )
        return dict.fromkeys(seeds, _given(folder))
    if source not in store.tags():
        known = ", ".join(store.tags()) or "none"
        raise FileNotFoundError(
            f"schedule.source: {store.root} has no results/{source}.json (there are: {known}), and no "
            f"model's folder is called {source}"
        )
    results = store.load_results(source)
    whose = {"same": "", "next": ", of another seed"}.get(str(source_seed), f", of seed {source_seed}")
    name = f"{source} ({network}{whose})"
    wanted = {seed: _other(seed, seeds, source_seed) for seed in seeds}
    return {
        seed: Source(name, _outcome(store, source, network, other, results)) for seed, other in wanted.items()
    }


def _given(folder: Path) -> Source:
    (own,) = source_of(folder).values()
    outcome = read_outcome(own)
    name = folder.name or own.name
    return Source(name, outcome, weights_hash(weights_of_epoch(own, outcome.best_epoch)))


def _other(seed: int, seeds: Sequence[int], source_seed: SourceSeed) -> int:
    if source_seed == "same":
        return seed
    if source_seed == "next":
        if len(seeds) < 2:
            raise ValueError("schedule.source_seed: next needs at least two seeds (schedule.seeds)")
        return seeds[(seeds.index(seed) + 1) % len(seeds)]
    return source_seed


def _outcome(store: Store, tag: str, network: str, seed: int, results: Sequence[Result]) -> Outcome:
    own = [result for result in results if result.seed == seed]
    if not own:
        known = ", ".join(str(known) for known in sorted({result.seed for result in results})) or "none"
        raise ValueError(f"schedule.source: results/{tag}.json has no seed {seed} (there are: {known})")
    ends = [result.final for result in own if result.search in SEARCHES]
    if not ends and network == "final":
        raise ValueError(
            f"schedule.source: of seed {seed}, results/{tag}.json has controls alone: no search finished"
        )
    node_id = joint_node(own) if network == "joint" else ends[0]
    if node_id is None:
        raise ValueError(
            f"schedule.source: results/{tag}.json has joint trainings on subsets of the data only; name the "
            "folder of a network, or set schedule.source_network to final"
        )
    outcome = store.outcome(store.node(node_id))
    if outcome is None:
        raise ValueError(f"schedule.source: {store.node_dir(node_id)} is not finished")
    return outcome
