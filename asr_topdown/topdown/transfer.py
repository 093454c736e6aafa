"""Layers that come from another experiment's network."""

from asr_topdown.topdown.node import Node, Outcome
from asr_topdown.topdown.steps import Blocks, Result, Search, Step, check_blocks, derived_seed, retrained


def transplant(
    joint: Node, blocks: Blocks, source: Outcome, *, name: str, frozen_dropout: str = "keep"
) -> Search:
    """Freeze the top block (the classifier) of another experiment's network, train the blocks below it.

    The paper's Table 2, "softmax layers frozen from B": `source` may be of another architecture, as long as
    its top layers have the names and shapes of these. The initial weights of what is trained are those of
    the greedy search's step 1, which freezes this experiment's own classifier.

    Args:
        joint: this experiment's joint training, the one to compare with.
        blocks: see `greedy`.
        source: what came of the other experiment's training.
        name: what the other experiment is called in the results.
        frozen_dropout: see `Node`.

    Raises:
        ValueError: as `greedy`.
    """
    check_blocks(joint, blocks)
    node = retrained(
        source,
        init_seed=derived_seed(joint.init_seed, "step", 1),
        frozen=blocks[-1],
        frozen_dropout=frozen_dropout,
        like=joint,
    )
    first, second = yield [joint, node]
    point = {"source": name, "source_node": source.node.id}
    steps = (
        Step("joint", joint.id, first.error, accepted=True),
        Step("transplant", node.id, second.error, accepted=True, point=point),
    )
    return Result("transplant", joint.init_seed, steps, node.id)
