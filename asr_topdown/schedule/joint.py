"""Joint training alone, the start of every schedule."""

from asr_topdown.schedule.protocol import Result, Search, Step, train_all
from asr_topdown.schedule.settings import Settings
from asr_topdown.schedule.spec import Spec, Study


def joint(study: Study, settings: Settings) -> Search:
    """Train all layers jointly and nothing else: the networks with which the study's other searches start."""
    # The study's own first: before it a scan may ask for one on other data.
    nodes = sorted(study.beginnings, key=lambda node: node != study.joint) or [study.joint]
    steps = [Step.of(outcome) for outcome in (yield from train_all(nodes))]
    return Result("joint", study.seed, tuple(steps), steps[0].node)


SPEC = Spec("joint", joint, "joint training", rows="none")
