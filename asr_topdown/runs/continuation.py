"""A training that goes on from one that was the same but for a smaller budget of epochs.

The two do the same steps up to where the shorter one stopped, so its checkpoint is the longer one's too: what
comes out is, bit for bit on the CPU, the uninterrupted training.
"""

import os
import shutil
from dataclasses import replace

from asr_topdown.files import written_aside
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node
from asr_topdown.train.checkpoint import CheckpointPair


def continue_from_shorter(node: Node, store: Store) -> None:
    """Begin `node`, whose lock the caller holds, where its longest finished predecessor ended.

    A predecessor has the same fields but fewer `epochs`, and kept its checkpoint. Nothing is done if there is
    none, or if the node has begun already. The outcome's seconds are then those of both.
    """
    target = CheckpointPair(store.node_dir(node))
    if target.newest.exists() or target.previous.exists():
        return
    shorter = (replace(node, epochs=epochs) for epochs in range(node.epochs - 1, 0, -1))
    for before in shorter:
        source = CheckpointPair(store.node_dir(before))
        if source.newest.exists() and store.outcome(before) is not None:
            _copy(source, target)
            return


def _copy(source: CheckpointPair, target: CheckpointPair) -> None:
    """Weights and measurements, and last the checkpoint: a kill in between starts the copying again."""
    folder, into = source.newest.parent, target.newest.parent
    for path in sorted(folder.glob("epoch-*.safetensors")):
        with written_aside(into / path.name) as aside:
            aside.unlink(missing_ok=True)
            try:
                os.link(path, aside)  # never changed in place, so two names may share it
            except OSError:
                shutil.copyfile(path, aside)
    for path, name in ((folder / "metrics.jsonl", "metrics.jsonl"), (source.newest, target.newest.name)):
        with written_aside(into / name) as aside:
            shutil.copyfile(path, aside)
