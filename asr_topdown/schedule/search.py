"""Which networks to train next: searches over layer schedules, and the controls they are judged by.

A search is a generator. It yields the nodes that it wants, is sent their outcomes in the same order, and
returns a `Result`. It never trains, reads or writes, so its state need not be saved: a search that is
started again asks for the same nodes, and finished ones answer from disk.

Several searches run side by side under `dispatch.drive`, each waiting for its own nodes only. Whatever two
of them ask for is trained once. `steps` says which seeds they take.
"""

from collections.abc import Callable, Mapping, Sequence

from asr_topdown.schedule.cascades import exhaustive, greedy
from asr_topdown.schedule.controls import (
    best_of_scratch,
    bottom_up,
    freeze_keep,
    freeze_lowest,
    freeze_up,
    keep,
    random_top,
    same_init,
    scratch,
)
from asr_topdown.schedule.halving import halving
from asr_topdown.schedule.node import Node
from asr_topdown.schedule.protocol import (
    SEED_STRIDE,
    Blocks,
    Result,
    Search,
    Soonest,
    Step,
    check_blocks,
    derived_seed,
    retrained,
)
from asr_topdown.schedule.scans import Subset, epoch_scan, subset_scan
from asr_topdown.schedule.transfer import depth_sweep, transplant

__all__ = [
    "CONTROLS",
    "SEED_STRIDE",
    "Blocks",
    "Result",
    "Search",
    "Soonest",
    "Step",
    "Subset",
    "best_of_scratch",
    "bottom_up",
    "depth_sweep",
    "derived_seed",
    "epoch_scan",
    "exhaustive",
    "freeze_keep",
    "freeze_lowest",
    "freeze_up",
    "greedy",
    "halving",
    "keep",
    "random_top",
    "retrained",
    "same_init",
    "scratch",
    "study",
    "subset_scan",
    "transplant",
]

CONTROLS = (
    "scratch",
    "best_of",
    "freeze_lowest",
    "keep",
    "same_init",
    "freeze_keep",
    "random_top",
    "freeze_up",
    "bottom_up",
)


def study(
    joints: Sequence[Node],
    blocks: Blocks,
    *,
    searches: Sequence[Callable[[Node], Search]] = (),
    controls: Sequence[str] = ("scratch", "freeze_lowest", "keep"),
    frozen_dropout: str = "keep",
    best_of: int = 2,
) -> list[Search]:
    """The searches and their controls for every joint training (one per base seed).

    All of them can run side by side: the seeds are independent, the controls of one retraining wait for the
    joint training only, and training i from scratch starts together with the first search's i-th retraining.

    Args:
        joints: the joint trainings.
        blocks: see `greedy`.
        searches: each from a joint training to a search over it; none = the greedy one.
        controls: of `CONTROLS`; "scratch" follows the first of the searches.
        frozen_dropout: see `Node`.
        best_of: how many trainings the control of this name makes.

    Raises:
        ValueError: on an unknown control, a base seed that comes twice, or as the searches.
    """
    if unknown := [name for name in controls if name not in CONTROLS]:
        raise ValueError(f"no control is called {', '.join(unknown)}; there are {', '.join(CONTROLS)}")
    for joint in joints:
        check_blocks(joint, blocks)
    seeds = [joint.init_seed for joint in joints]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"a seed is listed twice: {', '.join(map(str, seeds))}")
    chosen = searches or [lambda joint: greedy(joint, blocks, frozen_dropout=frozen_dropout)]
    make: Mapping[str, Callable[[Node], Search]] = {
        "scratch": lambda joint: scratch(joint, chosen[0](joint)),
        "best_of": lambda joint: best_of_scratch(joint, best_of),
        "freeze_lowest": lambda joint: freeze_lowest(joint, blocks, frozen_dropout=frozen_dropout),
        "keep": keep,
        "same_init": lambda joint: same_init(joint, blocks, frozen_dropout=frozen_dropout),
        "freeze_keep": lambda joint: freeze_keep(joint, blocks, frozen_dropout=frozen_dropout),
        "random_top": lambda joint: random_top(joint, blocks, frozen_dropout=frozen_dropout),
        "freeze_up": lambda joint: freeze_up(joint, blocks, frozen_dropout=frozen_dropout),
        "bottom_up": lambda joint: bottom_up(joint, blocks),
    }
    main = [search(joint) for search in chosen for joint in joints]
    return main + [make[name](joint) for joint in joints for name in controls]
