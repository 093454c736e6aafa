"""From a configuration and its data to the searches of a study."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from asr_topdown import datadir, layers
from asr_topdown.logs import listed, warn_once
from asr_topdown.runs import lora
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.parents import check_kind, check_parent, say_other_settings, settings_taken
from asr_topdown.runs.store import Store
from asr_topdown.schedule import searches
from asr_topdown.schedule.protocol import Search
from asr_topdown.schedule.spec import Input, Source, Study, Subset
from asr_topdown.study.sources import sources_of


def searches_of(
    experiment: Experiment,
    store: Store,
    *,
    names: Sequence[str] = (),
    joint_data: Sequence[Path] = (),
    parts: Sequence[Path] = (),
    source_store: Store | None = None,
) -> list[Search]:
    """The searches of `experiment`'s configuration, with their controls, for each seed.

    Args:
        experiment: the configuration, and the data that networks are retrained on.
        store: where its networks are.
        names: of `SEARCHES`, to run instead of the configuration's, without controls; ("joint",) trains only
            the networks with which those start.
        joint_data: for `subset_scan`, the data of its joint trainings, from small to large; for `epoch_scan`,
            the last of them is its joint training's. () = `experiment`'s.
        parts: for `depth_sweep`, subsets of `experiment`'s training data, on each of which it is repeated.
        source_store: where the study `schedule.source` is; None = in `store`. If that is a model's folder,
            `store` must know it (`sources.models_of`).

    Raises:
        ValueError, FileNotFoundError: naming what is incompatible or missing.
    """
    chosen = experiment.config.schedule
    _check(experiment, names, joint_data, parts)
    for folder in store.models.values():
        check_kind(experiment, folder)
    sources: dict[int, Source] = {}
    if chosen.source:
        where = source_store or store
        sources = sources_of(where, chosen.source, chosen.source_network, chosen.seeds, chosen.source_seed)
    blocks = layers.group_names(experiment.layer_names(), chosen.groups)
    studies = [
        Study(
            experiment.joint(seed),
            blocks,
            source=sources.get(seed),
            subsets=tuple(_subsets(experiment, joint_data, seed)),
            parts=tuple(_parts(experiment, parts, seed)),
        )
        for seed in chosen.seeds
    ]
    return searches.of_studies(
        studies,
        searches=names or chosen.search,
        controls=() if names else chosen.controls,
        begin_with=chosen.search,
        settings=chosen.settings,
        frozen_dropout=chosen.frozen_dropout,
        criterion=chosen.criterion,
    )


def check_first(asked: Sequence[Search], experiment: Experiment, store: Store) -> None:
    """Check the searches' first requests; the searches are consumed.

    Settings in which a source's network differs are reported.

    Raises:
        ValueError: raised by a search; or naming a layer that does not match its parent.
    """
    taking = [node for node in searches.first_nodes(asked) if node.parent is not None]
    model = experiment.fresh_model(0) if taking else None
    others: dict[str, tuple[Path, set[str]]] = {}
    for node in taking:
        assert model is not None
        assert node.parent is not None
        check_parent(node, experiment, store, model)
        if (source := node.parent.experiment) != node.experiment:
            _, sections = others.setdefault(source, (store.parent_dir(node.parent.node), set()))
            # Not those of what stays behind: a transplant's source is another network on purpose.
            sections.update(settings_taken(node, model))
    for folder, sections in others.values():
        say_other_settings(experiment, folder, sections)


def _check(
    experiment: Experiment, names: Sequence[str], joint_data: Sequence[Path], parts: Sequence[Path]
) -> None:
    """Refuse options that do not apply."""
    if experiment.config.train.tuning:
        raise ValueError("train.tuning is for `train`; a study's are schedule.depth_sweep.rivals")
    if experiment.config.train.init is not None:
        raise ValueError(
            "train.init: a study's joint trainings start from scratch; what its layers come from is "
            "schedule.source, and train.init is for `train`"
        )
    of_config, source = experiment.config.schedule.search, experiment.config.schedule.source
    chosen = {*names, *(of_config if not names or "joint" in names else ())}
    if joint_data:
        _check_read("--joint-data", "joint_data", chosen)
    if parts:
        _check_read("--parts", "parts", chosen)
    if source:  # of the configuration, whose searches --search may leave out
        _check_read(f"schedule.source: {source}", "source", {*names, *of_config})
    if not experiment.config.is_language_model:
        _say_seen(experiment.train, joint_data)
    for option, data in (("--joint-data", joint_data), ("--parts", parts)):
        _check_apart(option, data, [one.name for one in data])
    sweep = experiment.config.schedule.settings("depth_sweep")
    if sweep.lora and "depth_sweep" in (names or of_config):
        # Of a study without a source, these are requested only after the joint trainings.
        frozen = [name for name in experiment.layer_names() if name not in (sweep.fresh or ())]
        averaged = experiment.config.train.average is not None
        lora.check(experiment.fresh_model(0), frozen, averaged=averaged)


def _check_read(said: str, given: Input, chosen: Collection[str]) -> None:
    """Refuse an input that no search of `chosen` reads."""
    readers = [spec.name for spec in searches.SEARCHES.values() if given in spec.reads]
    if not {*readers} & {*chosen}:
        raise ValueError(f"{said} is for {' and '.join(readers)}, no search of this study")


def _say_seen(train: Path, joint_data: Sequence[Path]) -> None:
    """Warn of utterances that a classifier was trained on, and that extractors are trained on below it."""
    own = datadir.read_transcripts(train / "text").items() if joint_data else ()
    for data in joint_data:
        if shared := len(datadir.read_transcripts(data / "text").items() & own):
            warn_once(
                f"--joint-data {data}: {shared} of its utterances are in --train {train}, too: "
                "its classifier saw what extractors are trained on (`data nested` writes what is unseen)"
            )


def _check_apart(option: str, data: Sequence[Path], marks: Sequence[str]) -> None:
    """Refuse two directories of equal `marks`, by which searches or reports tell them apart."""
    first: dict[str, Path] = {}
    for one, mark in zip(data, marks, strict=True):
        if mark in first:
            raise ValueError(
                f"{option}: {first[mark]} and {one} are both {mark}, by which results are told apart"
            )
        first[mark] = one


def _subsets(rest: Experiment, joint_data: Sequence[Path], seed: int) -> list[Subset]:
    counts = [_utterances(data) for data in joint_data]
    everything = max(counts, default=0) + _utterances(rest.train)
    return _shares(rest, "--joint-data", joint_data, seed, everything)


def _parts(whole: Experiment, parts: Sequence[Path], seed: int) -> list[Subset]:
    """Sort from small to large.

    Raises:
        ValueError: if one is not smaller than the whole, or has other utterances.
    """
    everything = _utterances(whole.train)
    for part in parts:
        if (count := _utterances(part)) >= everything:
            raise ValueError(
                f"--parts {part}: {count} utterances are no part of {everything}, all in {whole.train}"
            )
        if part.is_dir() and (others := _ids(part) - _ids(whole.train)):
            raise ValueError(
                f"--parts {part}: no part of {whole.train}, which has not {len(others)} of its {count} "
                f"utterances ({listed(sorted(others))})"
            )
    return sorted(_shares(whole, "--parts", parts, seed, everything), key=lambda part: part.utterances)


def _shares(
    experiment: Experiment, option: str, data: Sequence[Path], seed: int, everything: int
) -> list[Subset]:
    counts = [_utterances(one) for one in data]
    shares = [round(100 * count / everything, 2) for count in counts]
    _check_apart(option, data, [f"{share:.3g} % of the data" for share in shares])
    return [
        Subset(one.name, count, share, replace(experiment, train=one).joint(seed))
        for one, count, share in zip(data, counts, shares, strict=True)
    ]


def _ids(data: Path) -> set[str]:
    return {*datadir.read_table(data / "text")}


def _utterances(data: Path) -> int:
    with (data / "text" if data.is_dir() else data).open("rb") as lines:
        return sum(1 for line in lines if line.strip())
