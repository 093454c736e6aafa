"""How many layers carry over, to the same task or another corpus: the bottom k or the top k frozen."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from asr_topdown.schedule.blocks import bottom, top
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import (
    Result,
    Search,
    Step,
    best_of,
    only_best_accepted,
    retrained,
    train_all,
    train_one,
)
from asr_topdown.schedule.seeds import retraining_seed
from asr_topdown.schedule.settings import Settings, setting
from asr_topdown.schedule.spec import Spec, Study


@dataclass(frozen=True)
class DepthSweepSettings(Settings):
    """Freeze the bottom k, or the top k, for every k."""

    starts: tuple[str, ...] = setting(
        ("reinit", "keep"), "of the layers that are not frozen: reinit, keep or rewind:EPOCH", min_length=1
    )
    fresh: tuple[str, ...] | None = setting(
        None, "layers never taken over; not said: the top block where there is a source, else none"
    )
    lora: int = setting(0, "rank of the adapters of one more arm; 0 = no such arm", ge=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for start in self.starts:
            if not re.fullmatch(r"reinit|keep|rewind:(0|[1-9][0-9]*)", start):
                raise ValueError(f"starts: one of reinit, keep or rewind:EPOCH, got {start!r}")

    @property
    def rewinds(self) -> bool:
        """Whether parents are wanted at other epochs than their best."""
        return any(start.startswith("rewind") for start in self.starts)


@dataclass(frozen=True)
class DepthSweepPoint:
    """One training of the sweep.

    Attributes:
        side: which end is frozen: "bottom", "top", or "none".
        frozen: how many blocks.
        start: of the other layers: "reinit", "keep", "rewind:EPOCH", or "lora": all are frozen but for
            adapters.
        source: the network of another study that the layers come from; "" = this study's joint training.
        fresh: layers that are new in any case, because the source has none like them.
    """

    side: str
    frozen: int
    start: str
    source: str = ""
    fresh: tuple[str, ...] = ()

    def text(self) -> str:
        """See `Point`."""
        which = {"bottom": "lowest", "top": "topmost"}.get(self.side, "")
        count = f"{which} {self.frozen} blocks" if self.frozen > 1 else f"{which} block"
        return self._told(f"{count} frozen, the rest")

    def arm(self) -> str:
        """What all points of one line over k have in common."""
        which = {"bottom": "lowest", "top": "topmost"}.get(self.side, "")
        return self._told(f"{which} blocks frozen, the rest")

    def _told(self, frozen: str) -> str:
        rest = {"reinit": "re-initialised", "keep": "trained on"}.get(
            self.start, f"rewound to epoch {self.start.partition(':')[2]}"
        )
        what = f"{frozen} {rest}"
        if self.side == "none":
            what = f"nothing frozen, all layers {rest}"
        if self.start == "lora":
            what = "all layers frozen, low-rank adapters trained"
        origin = f", from {self.source}" if self.source else ""
        return f"{what}{origin}" + (f", {' '.join(self.fresh)} new" if self.fresh else "")


def depth_sweep(study: Study, settings: DepthSweepSettings) -> Search:
    """Freeze the bottom k blocks and retrain or fine-tune those above, for every k; and the top k likewise.

    Without a source the frozen layers are the joint training's own (how much of a network must be learnt
    again?). With it they come from a network of another corpus, and the layers of `fresh`, whose units are
    other ones there, are always new; the tops, which have them, are then not frozen. Freezing all blocks
    under the top one is the linear probe; freezing nothing (k = 0) is fine-tuning all layers.

    Returns:
        Only the best training is accepted.
    """
    arms = list(_arms(study, settings))
    if study.source is None:
        joint = yield from train_one(study.joint)
        outcomes = yield from train_all(arm.node(study, joint) for arm in arms)
    else:
        source = study.source.outcome
        joint, *outcomes = yield from train_all([study.joint, *(arm.node(study, source) for arm in arms)])
    steps = [Step.of(outcome, arm.point) for arm, outcome in zip(arms, outcomes, strict=True)]
    everything = (Step.of(joint), *only_best_accepted(steps))
    return Result("depth_sweep", study.seed, everything, best_of(steps).node)


@dataclass(frozen=True)
class _Arm:
    """One training of a sweep, before its parent is known."""

    point: DepthSweepPoint
    start: str
    frozen: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    lora: int = 0

    def node(self, study: Study, source: Outcome) -> Node:
        """What is trained when the layers come from `source`."""
        node = retrained(
            source,
            init_seed=retraining_seed(study.seed),
            frozen=self.frozen,
            start=self.start,
            fresh=self.fresh,
            like=study.joint,
            weights=study.source.weights if study.source else None,
        )
        return replace(node, lora=self.lora)


def _fresh(study: Study, settings: DepthSweepSettings) -> tuple[str, ...]:
    """The layers that are never taken over."""
    if settings.fresh is None:
        return study.blocks[-1] if study.source else ()
    names = bottom(study.blocks, len(study.blocks))
    if unknown := [name for name in settings.fresh if name not in names]:
        raise ValueError(
            f"depth_sweep.fresh: no layer is called {', '.join(unknown)}; the layers are {', '.join(names)}"
        )
    return settings.fresh


def _arms(study: Study, settings: DepthSweepSettings) -> Iterator[_Arm]:
    if settings.rewinds and study.source and study.source.weights:
        raise ValueError(
            f"depth_sweep.starts: {study.source.name} is a model, which is known at its best epoch"
        )
    blocks, counts = study.blocks, range(1, len(study.blocks))
    names, fresh = bottom(blocks, len(blocks)), _fresh(study, settings)
    source = study.source.name if study.source else ""

    def arm(side: str, count: int, start: str, frozen: tuple[str, ...]) -> _Arm:
        """Where all that is not frozen is new anyway, every start is "reinit", and so the same node."""
        point = DepthSweepPoint(side, count, start, source, fresh)
        if start == "reinit" or set(names) <= {*frozen, *fresh}:
            return _Arm(point, "reinit", frozen)
        return _Arm(point, start, frozen, fresh)

    for start in settings.starts:
        for count in counts:
            if frozen := tuple(name for name in bottom(blocks, count) if name not in fresh):
                yield arm("bottom", count, start, frozen)
        for count in counts if not fresh else ():
            yield arm("top", count, start, top(blocks, count))
    yield arm("none", 0, "keep", ())
    if settings.lora:
        frozen = tuple(name for name in names if name not in fresh)
        with_adapters = arm("bottom", len(blocks), "keep", frozen)
        point = replace(with_adapters.point, start="lora")
        yield replace(with_adapters, point=point, lora=settings.lora)


SPEC = Spec(
    "depth_sweep",
    depth_sweep,
    "the best of the depth sweep",
    DepthSweepSettings,
    DepthSweepPoint,
    rows="both",
    every_epoch=lambda settings: settings.rewinds,
)
