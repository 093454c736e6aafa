"""Joint training alone, the start of every schedule."""

from asr_topdown.schedule.protocol import Result, Search, Step, train_all
from asr_topdown.schedule.settings import Settings
from asr_topdown.schedule.spec import Only, Spec, Study


def joint(study: Study, settings: Settings) -> Search:
    """Train all layers jointly and nothing else: the networks with which the study's other searches start.

    Returns:
        Steps; those on other data, with which scans start, have a point: none of them is the study's own.
    """
    # The study's own first: before it a scan may ask for one on other data.
    nodes = sorted(study.beginnings, key=lambda node: node != study.joint) or [study.joint]
    outcomes = yield from train_all(nodes)
    steps = [
        Step.of(outcome, None if node.train_set == study.joint.train_set else Only())
        for node, outcome in zip(nodes, outcomes, strict=True)
    ]
    return Result("joint", study.seed, tuple(steps), steps[0].node)


SPEC = Spec("joint", joint, "joint training", rows="none")
