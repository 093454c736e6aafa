"""How many layers transfer, to the same task or another corpus: the bottom k or the top k frozen.

Freezing is compared with alternatives: other ways to fine-tune the transferred layers (`tuning`), adapters in
frozen layers, new upper layers. All of it can be repeated on subsets of the data.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from asr_topdown.schedule.blocks import bottom, top
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import (
    Result,
    Search,
    Step,
    best_step,
    only_best_accepted,
    retrained,
    train_all,
)
from asr_topdown.schedule.seeds import retraining_seed
from asr_topdown.schedule.settings import Settings, setting
from asr_topdown.schedule.spec import Spec, Study, Subset
from asr_topdown.schedule.tuning import PLAIN, Tuning


@dataclass(frozen=True)
class DepthSweepSettings(Settings):
    """Freeze the bottom k, or the top k, for every k."""

    starts: tuple[str, ...] = setting(
        ("reinit", "keep"),
        "start of the layers that are not frozen: reinit, keep or rewind:EPOCH",
        min_length=1,
    )
    fresh: tuple[str, ...] | None = setting(
        None, "layers never transferred; default: the top block with a source, otherwise none"
    )
    rivals: tuple[Tuning, ...] = setting(
        (), "arms in which all transferred layers are tuned in another way: each as train.tuning"
    )
    rival_depths: tuple[int, ...] | None = setting(
        (0,), "numbers of frozen lowest blocks for each rival; null = every number"
    )
    renew_top: bool = setting(False, "one more arm: nothing frozen, the upper k blocks new, for every k")
    lora: int = setting(0, "rank of the adapters of one more arm; 0 = no such arm", ge=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for start in self.starts:
            if not re.fullmatch(r"reinit|keep|rewind:[1-9][0-9]*", start):
                raise ValueError(f"starts: one of reinit, keep or rewind:EPOCH, from 1, got {start!r}")
        if PLAIN in self.rivals:
            raise ValueError("rivals: each needs a setting, since plain training is always an arm")

    @property
    def rewinds(self) -> bool:
        """Whether parents are needed at epochs other than their best."""
        return self.latest_rewind > 0

    @property
    def latest_rewind(self) -> int:
        """The latest epoch to rewind to; 0 = none."""
        return max(int(start.partition(":")[2] or 0) for start in self.starts)


@dataclass(frozen=True)
class DepthSweepPoint:
    """One training of the sweep.

    Attributes:
        side: which end is frozen: "bottom", "top", or "none".
        frozen: how many blocks.
        start: of the other layers: "reinit", "keep", "rewind:EPOCH"; or "lora": all are frozen except for
            adapters; or "scratch": the joint training on a subset of the data.
        source: the network of another study that the layers come from; "" = this study's joint training.
        fresh: layers that are always new, because the source has no equivalent.
        renewed: how many of the upper blocks are new although the source has them.
        tuning: how the transferred layers are fine-tuned, in words; "" = as usual.
        part: name of the data; "" = the study's own.
        percent: its share of the study's own data.
    """

    side: str
    frozen: int
    start: str
    source: str = ""
    fresh: tuple[str, ...] = ()
    renewed: int = 0
    tuning: str = ""
    part: str = ""
    percent: float = 100.0

    def text(self) -> str:
        """See `Point`."""
        which = {"bottom": "lowest", "top": "topmost"}.get(self.side, "")
        count = f"{which} {self.frozen} blocks" if self.frozen > 1 else f"{which} block"
        renewed = f"upper {self.renewed} blocks" if self.renewed > 1 else "upper block"
        text = self._told(f"{count} frozen, the rest", renewed) + self._origin()
        return f"{text}, on {self.percent:.3g} % of the data" if self.part else text

    def arm(self) -> str:
        """What all points of one curve over k share, whatever the data."""
        which = {"bottom": "lowest", "top": "topmost"}.get(self.side, "")
        return self._told(f"{which} blocks frozen, the rest", "upper blocks")

    def _told(self, frozen: str, renewed: str) -> str:
        if self.start == "scratch":
            return "from scratch"
        if self.start == "lora":
            return "all layers frozen, low-rank adapters trained"
        rest = {"reinit": "re-initialised", "keep": "trained on"}.get(
            self.start, f"rewound to epoch {self.start.partition(':')[2]}"
        )
        if self.tuning:
            rest += f" ({self.tuning})"
        if self.renewed:
            return f"nothing frozen, {renewed} new, the rest {rest}"
        return f"nothing frozen, all layers {rest}" if self.side == "none" else f"{frozen} {rest}"

    def _origin(self) -> str:
        origin = f", from {self.source}" if self.source else ""
        return origin + (f", {' '.join(self.fresh)} new" if self.fresh else "")


def depth_sweep(study: Study, settings: DepthSweepSettings) -> Search:
    """Freeze the bottom k blocks and retrain or fine-tune those above, for every k; and the top k likewise.

    Without a source, the frozen layers are the joint training's own (how much of a network must be learnt
    again?). With one, they come from a network of another corpus; the layers in `fresh`, which belong to its
    units, are then always new, and so the tops are not frozen. Freezing all blocks below the top one is the
    linear probe; freezing nothing (k = 0) is fine-tuning all layers.

    With subsets of the data (`Study.parts`), all of it is repeated on each of them, after its own joint
    training.

    Returns:
        Only the best training on all data is accepted.
    """
    arms = list(_arms(study, settings))
    data: list[Subset | None] = [None, *study.parts]
    begun = [study.joint, *(part.joint for part in study.parts)]
    if study.source is None:
        joints = yield from train_all(begun)
        nodes = [[arm.node(study, joint, joint.node) for arm in arms] for joint in joints]
        outcomes = yield from train_all(node for own in nodes for node in own)
    else:
        source = study.source.outcome
        nodes = [[arm.node(study, source, joint) for arm in arms] for joint in begun]
        answers = yield from train_all([*begun, *(node for own in nodes for node in own)])
        joints, outcomes = answers[: len(begun)], answers[len(begun) :]
    steps: list[Step] = []
    for number, part in enumerate(data):
        own = outcomes[number * len(arms) : (number + 1) * len(arms)]
        told = [Step.of(one, _on(arm.point, part)) for arm, one in zip(arms, own, strict=True)]
        if part is None:
            steps += [Step.of(joints[0]), *only_best_accepted(told)]
            final = best_step(told).node
        else:
            scratch = Step.of(joints[number], _on(DepthSweepPoint("none", 0, "scratch"), part))
            steps += [replace(one, accepted=False) for one in [scratch, *told]]
    return Result("depth_sweep", study.seed, tuple(steps), final)


def _on(point: DepthSweepPoint, part: Subset | None) -> DepthSweepPoint:
    return replace(point, part=part.name, percent=part.percent) if part else point


@dataclass(frozen=True)
class _Arm:
    """One training of a sweep, before its parent and data are known."""

    point: DepthSweepPoint
    start: str
    frozen: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    lora: int = 0
    tuning: Tuning = PLAIN

    def node(self, study: Study, source: Outcome, joint: Node) -> Node:
        """The node to train on the data of `joint` with layers from `source`."""
        node = retrained(
            source,
            init_seed=retraining_seed(study.seed),
            frozen=self.frozen,
            start=self.start,
            fresh=self.fresh,
            like=joint,
            weights=study.source.weights if study.source else None,
        )
        return replace(node, lora=self.lora, tuning=self.tuning)


def _fresh(study: Study, settings: DepthSweepSettings) -> tuple[str, ...]:
    """The layers that are never transferred."""
    if settings.fresh is None:
        return study.blocks[-1] if study.source else ()
    names = bottom(study.blocks, len(study.blocks))
    if unknown := [name for name in settings.fresh if name not in names]:
        raise ValueError(
            f"schedule.depth_sweep.fresh: no layer is called {', '.join(unknown)}; "
            f"the layers are {', '.join(names)}"
        )
    if {*names} <= {*settings.fresh}:
        raise ValueError("schedule.depth_sweep.fresh: names all layers, so that none is transferred")
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
        """If all layers that are not frozen are new anyway, every start is "reinit", and so the same node."""
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
    tuned = arm("none", 0, "keep", ())
    yield tuned
    yield from _rivals(study, settings, tuned)
    if settings.renew_top:
        yield from _renewed(study, tuned)
    if settings.lora:
        frozen = tuple(name for name in names if name not in fresh)
        with_adapters = arm("bottom", len(blocks), "keep", frozen)
        point = replace(with_adapters.point, start="lora")
        yield replace(with_adapters, point=point, lora=settings.lora)


def _rivals(study: Study, settings: DepthSweepSettings, tuned: _Arm) -> Iterator[_Arm]:
    """Each rival at its depths, as long as some transferred layers are left to train."""
    blocks, fresh = study.blocks, tuned.fresh
    depths = range(len(blocks)) if settings.rival_depths is None else settings.rival_depths
    if wrong := [depth for depth in depths if not 0 <= depth < len(blocks)]:
        raise ValueError(
            f"schedule.depth_sweep.rival_depths: must be from 0 to {len(blocks) - 1}, got {wrong[0]}"
        )
    for tuning in settings.rivals:
        for depth in depths:
            frozen = tuple(name for name in bottom(blocks, depth) if name not in fresh)
            if {*bottom(blocks, len(blocks))} <= {*frozen, *fresh}:
                continue
            side = "bottom" if depth else "none"
            point = replace(tuned.point, side=side, frozen=depth, tuning=tuning.text())
            yield replace(tuned, point=point, frozen=frozen, tuning=tuning)


def _renewed(study: Study, tuned: _Arm) -> Iterator[_Arm]:
    """New upper blocks: every number that leaves some transferred and exceeds those new anyway."""
    for count in range(1, len(study.blocks)):
        fresh = tuple(dict.fromkeys([*tuned.fresh, *top(study.blocks, count)]))
        kept = set(bottom(study.blocks, len(study.blocks))) - set(fresh)
        if kept and len(fresh) > len(tuned.fresh):
            yield replace(tuned, point=replace(tuned.point, renewed=count), fresh=fresh)


SPEC = Spec(
    "depth_sweep",
    depth_sweep,
    "the best of the depth sweep",
    DepthSweepSettings,
    DepthSweepPoint,
    rows="both",
    every_epoch=lambda settings: settings.rewinds,
    latest_epoch=lambda settings, source: 0 if source else settings.latest_rewind,
    reads=frozenset({"source", "parts"}),
)
