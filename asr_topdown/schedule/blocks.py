"""The blocks of layers that a schedule freezes or retrains as one, input first."""

from collections.abc import Sequence

from asr_topdown.schedule.node import Node
from asr_topdown.schedule.seeds import SEED_STRIDE

Blocks = Sequence[tuple[str, ...]]


def top(blocks: Blocks, count: int) -> tuple[str, ...]:
    """The layers of the `count` blocks nearest the output."""
    return tuple(name for block in blocks[len(blocks) - count :] for name in block)


def bottom(blocks: Blocks, count: int) -> tuple[str, ...]:
    """The layers of the `count` blocks nearest the input."""
    return tuple(name for block in blocks[:count] for name in block)


def composition_name(composition: Sequence[int]) -> str:
    """The name of a cascade's model: "joint", or as in the paper "M(1, 4)"."""
    return "joint" if len(composition) == 1 else f"M({', '.join(map(str, composition))})"


def check(joint: Node, blocks: Blocks) -> None:
    """Raise ValueError unless a search can start from `joint` with these blocks."""
    if not joint.is_joint:
        what = "frozen layers" if joint.frozen else "a parent"
        raise ValueError(f"node {joint.id}: a search starts from a joint training, this one has {what}")
    if not 0 <= joint.init_seed < SEED_STRIDE:
        raise ValueError(f"the seed must be from 0 to {SEED_STRIDE - 1}, got {joint.init_seed}")
    names = [name for block in blocks for name in block]
    if len(blocks) < 2 or not all(blocks):
        raise ValueError(f"a schedule needs at least two blocks of layers, got {list(blocks)}")
    if len(set(names)) < len(names):
        raise ValueError(f"a layer is in two blocks: {list(blocks)}")


def check_top(blocks: Blocks, count: int) -> None:
    """Raise ValueError unless `count` blocks can be frozen from the top with something left to train."""
    if not 1 <= count < len(blocks):
        raise ValueError(f"top_blocks can be 1 to {len(blocks) - 1} of {len(blocks)} blocks, got {count}")
