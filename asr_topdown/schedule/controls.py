"""The controls of a search: the same compute spent differently, other layers frozen, none frozen."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

from asr_topdown.schedule.algorithm_1 import algorithm_1
from asr_topdown.schedule.blocks import bottom, top
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import (
    Answers,
    Request,
    Result,
    Search,
    Step,
    advance,
    longest,
    retrained,
    train_all,
    train_one,
    with_any_epochs,
)
from asr_topdown.schedule.seeds import MOST_TRAININGS, derived_seed, retraining_seed
from asr_topdown.schedule.settings import Settings, setting
from asr_topdown.schedule.spec import Only, Spec, Study


@dataclass(frozen=True)
class ScratchPoint:
    """Another joint training, by its initial weights: 1, 2, ..."""

    number: int

    def text(self) -> str:
        """See `Point`."""
        return f"from scratch again ({self.number})"


@dataclass(frozen=True)
class UpwardsPoint:
    """A step of a cascade from the bottom: how many of the lowest blocks were frozen or kept."""

    blocks: int

    def text(self) -> str:
        """See `Point`."""
        return f"from the bottom, step {self.blocks}"


@dataclass(frozen=True)
class BestOfSettings(Settings):
    """Several trainings from scratch."""

    trainings: int = setting(2, "number of trainings, including the joint one", ge=2, le=MOST_TRAININGS)


@dataclass(frozen=True)
class FreezeKeepSettings(Settings):
    """The top frozen, the rest trained further."""

    epoch: int = setting(
        0, "epoch of the joint training to start from; 0 = its best; others need run.keep_epochs: all", ge=0
    )


def scratch(study: Study, settings: Settings) -> Search:
    """Train from scratch as many times as the study's first search trains, and take the best on dev.

    The i-th training from scratch is requested together with the i-th retraining of the search, which is
    followed, not run twice; one that is given more epochs counts once. The joint training, which both share,
    is a candidate.
    """
    joint = yield from train_one(study.joint)
    _, own = yield from _follow(study, lambda numbers: _from_scratch(study, numbers))
    return _best_from_scratch("scratch", study, [joint, *own])


def best_of(study: Study, settings: BestOfSettings) -> Search:
    """Train a fixed number of times from scratch, and take the best on dev.

    The seeds are those of `scratch`, so trainings that both request run once.
    """
    others = _from_scratch(study, range(1, settings.trainings))
    outcomes = yield from train_all([study.joint, *others])
    return _best_from_scratch("best_of", study, outcomes)


def joint_long(study: Study, settings: Settings) -> Search:
    """Train jointly once, for as many epochs as all trainings of the study's first search together.

    The best epoch is taken. The search is followed as by `scratch`; a training that was later given more
    epochs counts once.
    """
    joint = yield from train_one(study.joint)
    theirs, _ = yield from _follow(study, lambda numbers: [])
    epochs = sum(one.epochs for one in longest([joint, *theirs]))
    longer = replace(study.joint, epochs=epochs, patience=0)
    outcome = yield from train_one(longer)
    return Result("joint_long", study.seed, (Step.of(joint), Step.of(outcome, Only())), outcome.node.id)


def freeze_lowest(study: Study, settings: Settings) -> Search:
    """Freeze the lowest block, reinitialise and retrain those above it."""
    seed = derived_seed(study.seed, "freeze_lowest", 1)
    return _one_retraining(
        "freeze_lowest", study, lambda first: retrained(first, init_seed=seed, frozen=study.blocks[0])
    )


def keep(study: Study, settings: Settings) -> Search:
    """Freeze nothing: continue training all layers from the joint weights, with a new optimiser."""
    seed = derived_seed(study.seed, "keep", 1)
    return _one_retraining("keep", study, lambda first: retrained(first, init_seed=seed, start="keep"))


def same_init(study: Study, settings: Settings) -> Search:
    """Freeze the top block, retrain the rest from the joint training's own initial weights.

    Step 1 of `greedy` is the same with other initial weights.
    """
    return _one_retraining(
        "same_init",
        study,
        lambda first: retrained(first, init_seed=study.seed, frozen=study.blocks[-1]),
    )


def freeze_keep(study: Study, settings: FreezeKeepSettings) -> Search:
    """Freeze the top block, reinitialise nothing: continue training the others from the joint weights."""
    return _one_retraining(
        "freeze_keep",
        study,
        lambda first: retrained(
            first,
            init_seed=retraining_seed(study.seed),
            frozen=study.blocks[-1],
            start="keep",
            epoch=settings.epoch,
        ),
    )


def random_top(study: Study, settings: Settings) -> Search:
    """Freeze an untrained classifier: the top block keeps its initial weights, the others are trained.

    Hoffer et al. 2018 fixed classifiers in this way; if this does as well, the top need not be trained.
    """
    seed = derived_seed(study.seed, "random_top", 1)
    return _one_retraining(
        "random_top", study, lambda _: replace(study.joint, init_seed=seed, frozen=study.blocks[-1])
    )


def other_seed_top(study: Study, settings: Settings) -> Search:
    """Freeze the classifier of another seed's joint training, train the rest from step 1's initial weights.

    The other seed is the next larger one of the study; the largest takes the smallest one's.

    Raises:
        ValueError: if the study has only one seed.
    """
    if not study.others:
        raise ValueError("control other_seed_top needs at least two seeds (schedule.seeds)")
    later = [node for node in study.others if node.init_seed > study.seed]
    donor = min(later or study.others, key=lambda node: node.init_seed)
    joint, other = yield from train_all([study.joint, donor])
    node = retrained(other, init_seed=retraining_seed(study.seed), frozen=study.blocks[-1])
    outcome = yield from train_one(node)
    return Result("other_seed_top", study.seed, (Step.of(joint), Step.of(outcome, Only())), outcome.node.id)


def freeze_up(study: Study, settings: Settings) -> Search:
    """Algorithm 1 upside down: freeze the lowest i blocks, reinitialise and retrain those above them.

    Its first step is `freeze_lowest` with another seed.
    """

    def node_of(best: Outcome, i: int, number: int) -> Node:
        seed = derived_seed(study.seed, "freeze_up", i)
        return retrained(best, init_seed=seed, frozen=bottom(study.blocks, i))

    return algorithm_1("freeze_up", study, node_of, lambda cuts: UpwardsPoint(cuts[-1]))


def bottom_up(study: Study, settings: Settings) -> Search:
    """Layer-wise reinitialisation (Alabdulmohsin et al. 2021, arXiv:2109.00267): nothing is frozen.

    For i = 1 ... n-1: keep the weights of the lowest i blocks of the best model so far, reinitialise those
    above them, and train all; stop when the dev error grows. Their rescaling of the kept weights is omitted.
    """
    n = len(study.blocks)

    def node_of(best: Outcome, i: int, number: int) -> Node:
        seed = derived_seed(study.seed, "bottom_up", i)
        return retrained(best, init_seed=seed, start="keep", fresh=top(study.blocks, n - i))

    return algorithm_1("bottom_up", study, node_of, lambda cuts: UpwardsPoint(cuts[-1]))


def _one_retraining(name: str, study: Study, node_of: Callable[[Outcome], Node]) -> Search:
    first = yield from train_one(study.joint)
    second = yield from train_one(node_of(first))
    return Result(name, study.seed, (Step.of(first), Step.of(second, Only())), second.node.id)


def _follow(
    study: Study, beside: Callable[[range], list[Node]]
) -> Generator[Request, Answers, tuple[list[Outcome], list[Outcome]]]:
    """Follow the study's first search to its end.

    What it trains on parts of the data (`Study.parts`) does not count: it never ends with one of those.

    Args:
        study: the study.
        beside: numbers, from 1, of the trainings that the search now requests besides the joint one -> nodes
            to train at the same time.

    Returns:
        The outcomes of the search's trainings, and of those beside them.
    """
    parts = {part.joint.train_set for part in study.parts}
    asked, theirs, own = {with_any_epochs(study.joint)}, [], []
    followed = study.followed()
    said = advance(followed)
    while isinstance(said, Request):
        new = {with_any_epochs(node) for node in said.nodes if node.train_set not in parts} - asked
        extra = beside(range(len(asked), len(asked) + len(new)))
        asked |= new
        outcomes = yield from train_all([*said.nodes, *extra])
        count = len(said.nodes)
        theirs += [one for one in outcomes[:count] if one.node.train_set not in parts]
        own += outcomes[count:]
        said = advance(followed, outcomes[:count])
    return theirs, own


def _from_scratch(study: Study, numbers: range) -> list[Node]:
    return [replace(study.joint, init_seed=derived_seed(study.seed, "scratch", i)) for i in numbers]


def _best_from_scratch(name: str, study: Study, outcomes: Sequence[Outcome]) -> Result:
    """Accept each training that beat all before it, so that of equal ones the first is taken."""
    best, *others = outcomes
    steps = [Step.of(best)]
    for number, outcome in enumerate(others, 1):
        better = outcome.error < best.error
        best = outcome if better else best
        steps.append(Step.of(outcome, ScratchPoint(number), accepted=better))
    return Result(name, study.seed, tuple(steps), best.node.id)


SPECS = (
    Spec("scratch", scratch, "from scratch, best of as many trainings", point=ScratchPoint),
    Spec("best_of", best_of, "from scratch, best of a fixed number", BestOfSettings, ScratchPoint),
    Spec("joint_long", joint_long, "joint training for as many epochs in all"),
    Spec("freeze_lowest", freeze_lowest, "lowest block frozen, the others retrained"),
    Spec("keep", keep, "nothing frozen, all layers trained on"),
    Spec("same_init", same_init, "top frozen, the rest retrained from the same initial weights"),
    Spec(
        "freeze_keep",
        freeze_keep,
        "top frozen, the rest trained on",
        FreezeKeepSettings,
        every_epoch=lambda settings: settings.epoch > 0,
        latest_epoch=lambda settings, _: settings.epoch,
    ),
    Spec("random_top", random_top, "a random top frozen, the rest trained"),
    Spec("other_seed_top", other_seed_top, "another seed's top frozen, the rest trained"),
    Spec("freeze_up", freeze_up, "Algorithm 1 from the bottom up", point=UpwardsPoint, stepwise=True),
    Spec(
        "bottom_up",
        bottom_up,
        "lower blocks kept, those above re-initialised, nothing frozen",
        point=UpwardsPoint,
        stepwise=True,
    ),
)
