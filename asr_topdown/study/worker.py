"""The work of a worker process, wherever an engine runs it."""

from collections.abc import Sequence

from asr_topdown.logs import log_to_stderr
from asr_topdown.runs.experiment import Experiment
from asr_topdown.runs.run_node import run_node
from asr_topdown.runs.store import Store
from asr_topdown.schedule.node import Node, Outcome


def train_node(node: Node, *, experiments: Sequence[Experiment], store: Store) -> Outcome:
    """Train one node with the member of `experiments` to which it belongs, logging to stderr.

    Raises:
        ValueError: as `run_node`, or if it belongs to none.
    """
    log_to_stderr()
    for experiment in experiments:
        if (experiment.id, experiment.train_set) == (node.experiment, node.train_set):
            return run_node(node, experiment, store)
    raise ValueError(f"node {node.id} belongs to another configuration or to other data than these")
