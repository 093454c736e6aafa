"""Which networks to train next: searches over layer schedules, and the controls they are judged by.

A search is a generator. It yields the nodes that it wants, is sent their outcomes in the same order, and
returns a `Result`. It never trains, reads or writes, so its state need not be saved: a search that is
started again asks for the same nodes, and finished ones answer from disk.

Several searches run side by side under `dispatch.drive`, each waiting for its own nodes only. Whatever two
of them ask for is trained once. `steps` says which seeds they take.
"""

from collections.abc import Callable, Mapping, Sequence

from asr_topdown.topdown.cascades import greedy
from asr_topdown.topdown.controls import freeze_lowest, keep, same_init, scratch
from asr_topdown.topdown.node import Node, Outcome
from asr_topdown.topdown.steps import (
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
from asr_topdown.topdown.transfer import transplant

__all__ = [
    "CONTROLS",
    "SEARCHES",
    "SEED_STRIDE",
    "Blocks",
    "Result",
    "Search",
    "Soonest",
    "Step",
    "derived_seed",
    "freeze_lowest",
    "greedy",
    "keep",
    "retrained",
    "same_init",
    "scratch",
    "study",
    "transplant",
]

SEARCHES = ("greedy", "transplant")
CONTROLS = ("scratch", "freeze_lowest", "keep", "same_init")


def study(
    joints: Sequence[Node],
    blocks: Blocks,
    *,
    searches: Sequence[str] = ("greedy",),
    controls: Sequence[str] = ("scratch", "freeze_lowest", "keep"),
    frozen_dropout: str = "keep",
    go_on: bool = False,
    sources: Mapping[int, Outcome] | None = None,
    source_name: str = "",
) -> list[Search]:
    """The searches and their controls for every joint training (one per base seed).

    All of them can run side by side: the seeds are independent, the controls of one retraining wait for the
    joint training only, and training i from scratch starts together with the first search's i-th retraining.

    Args:
        joints: the joint trainings.
        blocks: see `greedy`.
        searches: of `SEARCHES`.
        controls: of `CONTROLS`; "scratch" follows the first of the searches.
        frozen_dropout: see `Node`.
        go_on: see `greedy`.
        sources: of `transplant`: base seed -> what came of the other experiment's training.
        source_name: of `transplant`: what the other experiment is called in the results.

    Raises:
        ValueError: on an unknown name, a base seed that comes twice, or as the searches.
    """
    _check_names("search", searches, SEARCHES)
    _check_names("control", controls, CONTROLS)
    for joint in joints:
        check_blocks(joint, blocks)
    seeds = [joint.init_seed for joint in joints]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"a seed is listed twice: {', '.join(map(str, seeds))}")

    def source(joint: Node) -> Outcome:
        assert sources is not None, "transplant needs a source for each seed"
        return sources[joint.init_seed]

    def followed(joint: Node) -> Search:
        return make[searches[0]](joint)

    make: dict[str, Callable[[Node], Search]] = {
        "greedy": lambda joint: greedy(joint, blocks, frozen_dropout=frozen_dropout, go_on=go_on),
        "transplant": lambda joint: transplant(
            joint, blocks, source(joint), name=source_name, frozen_dropout=frozen_dropout
        ),
        "scratch": lambda joint: scratch(joint, followed(joint)),
        "freeze_lowest": lambda joint: freeze_lowest(joint, blocks, frozen_dropout=frozen_dropout),
        "keep": keep,
        "same_init": lambda joint: same_init(joint, blocks, frozen_dropout=frozen_dropout),
    }
    main = [make[name](joint) for name in searches for joint in joints]
    return main + [make[name](joint) for joint in joints for name in controls]


def _check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no {what} is called {', '.join(unknown)}; there are {', '.join(known)}")
