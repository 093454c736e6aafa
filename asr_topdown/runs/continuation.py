"""Continue a training that is the same except for a smaller budget of epochs.

Both take the same steps up to where the shorter one stopped, so they share its checkpoint: the
result is, bit for bit on the CPU, that of the uninterrupted training.
"""

import os
import shutil
from dataclasses import replace

from asr_topdown.files import written_aside
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node
from asr_topdown.train.checkpoint import CheckpointPair


def continue_from_shorter(node: Node, store: Store) -> None:
    """Start `node`, whose lock the caller holds, where its longest finished predecessor ended.

    A predecessor has the same fields but fewer `epochs`, and kept its checkpoint. Nothing is done if there is
    none, or if the node has already started. The outcome's seconds then include both.
    """
    target = CheckpointPair(store.node_dir(node))
    if target.exist:
        return
    shorter = (replace(node, epochs=epochs) for epochs in range(node.epochs - 1, 0, -1))
    for before in shorter:
        source = CheckpointPair(store.node_dir(before))
        if source.newest.exists() and store.outcome(before) is not None:
            _copy(source, target)
            return


def _copy(source: CheckpointPair, target: CheckpointPair) -> None:
    """Copy weights and metrics, and the checkpoint last: after a kill the copying starts again."""
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
