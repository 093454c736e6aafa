"""The loop of Algorithm 1 (Zhang et al. 2021, arXiv:2102.04697), from the top or from the bottom."""

from collections.abc import Callable

from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Point, Result, Search, Step, train_one
from asr_topdown.schedule.spec import Study


def algorithm_1(
    name: str,
    study: Study,
    node_of: Callable[[Outcome, int, int], Node],
    point_of: Callable[[tuple[int, ...]], Point],
    *,
    stop_when_worse: bool = True,
) -> Search:
    """Retrain the best model so far with i = 1, 2, ... blocks frozen, as long as the dev error does not grow.

    An equal error counts as no growth.

    Args:
        name: of the search.
        study: the joint training, and the n blocks: i goes to n - 1.
        node_of: (best model so far, i, number of this retraining in the cascade) -> the node to train.
        point_of: the frozen blocks after each retraining of the cascade, the last of which is i -> the
            step's record.
        stop_when_worse: whether a worse model ends the search; otherwise one more block of the best is
            frozen.
    """
    best = yield from train_one(study.joint)
    cuts: tuple[int, ...] = ()
    steps = [Step.of(best)]
    for i in range(1, len(study.blocks)):
        outcome = yield from train_one(node_of(best, i, len(cuts) + 1))
        worse = outcome.error > best.error
        steps.append(Step.of(outcome, point_of((*cuts, i)), accepted=not worse))
        if not worse:
            best, cuts = outcome, (*cuts, i)
        elif stop_when_worse:
            break
    return Result(name, study.seed, tuple(steps), best.node.id)
