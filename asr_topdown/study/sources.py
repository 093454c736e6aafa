"""Trained networks of another experiment, found by the results that its study saved."""

from collections.abc import Sequence
from typing import Literal

from asr_topdown.runs.store import Store
from asr_topdown.schedule.protocol import Result
from asr_topdown.schedule.spec import Source


def sources_of(
    store: Store, tag: str, network: Literal["joint", "final"], seeds: Sequence[int]
) -> dict[int, Source]:
    """Base seed -> the network of that seed in the study `tag`.

    Args:
        store: where both experiments live.
        tag: of the other study's results.
        network: its joint training, or where its first search (the top-down one) ended.
        seeds: the seeds wanted.

    Raises:
        FileNotFoundError: if there is no such study.
        ValueError: if it has no such seed, or the network is not trained here.
    """
    if tag not in store.tags():
        known = ", ".join(store.tags()) or "none"
        raise FileNotFoundError(
            f"schedule.source: {store.root} has no results/{tag}.json (there are: {known})"
        )
    results = store.load_results(tag)
    return {seed: _source(store, tag, network, seed, results) for seed in seeds}


def _source(store: Store, tag: str, network: str, seed: int, results: Sequence[Result]) -> Source:
    own = [result for result in results if result.seed == seed]
    if not own:
        known = ", ".join(str(known) for known in sorted({result.seed for result in results})) or "none"
        raise ValueError(f"schedule.source: results/{tag}.json has no seed {seed} (there are: {known})")
    node_id = own[0].steps[0].node if network == "joint" else own[0].final
    outcome = store.outcome(store.node(node_id))
    if outcome is None:
        raise ValueError(f"schedule.source: {store.node_dir(node_id)} is not finished")
    return Source(f"{tag} ({network})", outcome)
