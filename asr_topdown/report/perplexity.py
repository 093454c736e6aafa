"""Score a text with all language models of an experiment, and tabulate the results."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from asr_topdown.progress import progress
from asr_topdown.report import markdown
from asr_topdown.report.collect import collect
from asr_topdown.report.systems import systems
from asr_topdown.report.tables import systems_table, trainings_table
from asr_topdown.runs.store import Store


def score_experiment(root: Path, text: Path, device: str = "cpu", tags: Collection[str] | None = None) -> str:
    """Score `text` with every finished model that has not been scored on it, and return the tables.

    On one thread, like decoding: several on a machine with other work wait for each other.

    Args:
        root: the experiment folder.
        text: the text.
        device: where to compute.
        tags: only the models of these studies, and their tables: others in the folder may be of another text.

    Raises:
        FileNotFoundError: if there is no such study, no finished model, or no text.
        ValueError: as `score_text`.
    """
    # Imported here: scoring transcripts needs no torch.
    from asr_topdown.decode.perplexity import score_text
    from asr_topdown.engines.parts import one_thread

    store = Store(root)
    own = {step.node for tag in tags or () for one in store.load_results(tag) for step in one.steps}
    asked = [node for node in store.nodes() if tags is None or node.id in own]
    finished = [node for node in asked if store.outcome(node) is not None]
    if not finished:
        raise FileNotFoundError(f"{root}: no finished model here")
    with one_thread():
        for node in progress(finished, f"score {text.name}", unit="model"):
            target = store.root / "decode" / node.id / text.stem / "result.json"
            score_text(store.node_dir(node), text, target, device)
    experiment = collect(root, text.stem)
    parts = [
        f"## Study `{tag}`\n\n" + markdown.table(systems_table(experiment.of_study(tag), systems(results)))
        for tag, results in experiment.studies.items()
        if tags is None or tag in tags
    ]
    shown = replace(experiment, trainings={node.id: experiment.trainings[node.id] for node in asked})
    trainings = markdown.table(trainings_table(shown, experiment.roles))
    return "\n".join([*parts, "## All trainings\n\n" + trainings])
