"""A node is one training run, named by what determines its result; an outcome is its result."""

import functools
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from asr_topdown.schedule.plain import exactly, number
from asr_topdown.schedule.tuning import PLAIN, Tuning

LOSS = "dev_loss"
LOWEST_LOSS_EPOCH = "lowest_loss_epoch"
_REWIND = re.compile(r"rewind:(0|[1-9][0-9]*)")


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The trained network that a node starts from: any experiment's, if the layers taken from it fit.

    Attributes:
        experiment: hash of the parent's config and data.
        node: id of the parent's node.
        epoch: which of its epochs (from 1).
        weights: hash of the weights' file; None if the parent was trained for this experiment, so that its
            node identifies it.
    """

    experiment: str
    node: str
    epoch: int
    weights: str | None = None

    def __post_init__(self) -> None:
        _check_fields(self)
        if self.epoch < 1:
            raise ValueError(f"parent: epoch must be at least 1, got {self.epoch}")


@dataclass(frozen=True, kw_only=True)
class Node:
    """One training run.

    `frozen` and `fresh` are sets: they are kept sorted, so that the id does not depend on their
    order. `frozen_dropout` has no meaning if nothing is frozen and is then "keep", for the same reason.

    Attributes:
        experiment: hash of config and data.
        train_set: hash of the content of the training data directory.
        parent: the trained network to start from; None = joint training from scratch.
        frozen: names of the layers taken from the parent and not trained; without a parent, of the layers
            that keep their initial weights.
        start: the layers that are not frozen: "reinit" (new weights), "keep" (the parent's) or
            "rewind:<epoch>" (the parent's, of an earlier epoch).
        init_seed: determines the new weights and every other random draw of the run.
        epochs: maximum number of epochs.
        patience: stop after this many epochs without a better dev error; 0 = never.
        frozen_dropout: whether dropout stays active in frozen layers, "keep" or "off".
        fresh: layers with new weights although `start` is "keep" or "rewind:<epoch>", such as an output layer
            for other units.
        lora: rank of the low-rank adapters (LoRA) trained in the frozen layers; 0 = none.
        tuning: how the parent's layers that are not frozen are fine-tuned.

    Raises:
        ValueError: naming the field that has a wrong value.
    """

    experiment: str
    train_set: str
    parent: Parent | None = None
    frozen: tuple[str, ...] = ()
    start: str = "reinit"
    init_seed: int
    epochs: int
    patience: int
    frozen_dropout: str = "keep"
    fresh: tuple[str, ...] = ()
    lora: int = 0
    tuning: Tuning = PLAIN

    def __post_init__(self) -> None:
        _check_fields(self)
        for name, least in (("init_seed", 0), ("epochs", 1), ("patience", 0), ("lora", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"node: {name} must be at least {least}, got {getattr(self, name)}")
        if self.start not in ("reinit", "keep") and not _REWIND.fullmatch(self.start):
            raise ValueError(f"node: start must be reinit, keep or rewind:<epoch>, got {self.start!r}")
        if self.frozen_dropout not in ("keep", "off"):
            raise ValueError(f"node: frozen_dropout must be keep or off, got {self.frozen_dropout!r}")
        if self.parent is None and self.start != "reinit":
            raise ValueError(f"node: start {self.start!r} needs a parent")
        self._check_layers()
        object.__setattr__(self, "frozen", tuple(sorted(self.frozen)))
        object.__setattr__(self, "fresh", tuple(sorted(set(self.fresh))))
        if not self.frozen:
            object.__setattr__(self, "frozen_dropout", "keep")

    def _check_layers(self) -> None:
        if len(set(self.frozen)) < len(self.frozen):
            raise ValueError(f"node: a layer is frozen twice: {', '.join(self.frozen)}")
        if both := [name for name in self.fresh if name in self.frozen]:
            raise ValueError(f"node: {', '.join(both)} cannot be both frozen and fresh")
        if self.fresh and self.start == "reinit":
            raise ValueError('node: fresh says what is new where start is not "reinit"')
        if self.lora and not self.frozen:
            raise ValueError("node: lora needs frozen layers to adapt")
        if self.tuning and self.start == "reinit":
            raise ValueError(
                f"node: tuning ({self.tuning.text()}) is of layers that start from a parent's weights"
            )

    @functools.cached_property
    def id(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def is_joint(self) -> bool:
        """Whether all layers are trained together, from scratch."""
        return self.parent is None and not self.frozen

    @property
    def rewind_epoch(self) -> int | None:
        """The epoch in start = "rewind:<epoch>", else None."""
        found = _REWIND.fullmatch(self.start)
        return int(found.group(1)) if found else None

    def to_json(self) -> dict[str, Any]:
        """The node as plain JSON values; defaults are omitted, so that a new field renames no node."""
        given = asdict(
            self, dict_factory=lambda items: {key: value for key, value in items if value is not None}
        )
        values = {**given, "frozen": list(self.frozen), "fresh": list(self.fresh)}
        values["tuning"] = self.tuning.to_json()
        return {key: values[key] for key, default in _DEFAULTS.items() if getattr(self, key) != default}

    @classmethod
    def from_json(cls, values: Any) -> "Node":
        """Rebuild a node from the output of `to_json`.

        Raises:
            ValueError: on an unknown or missing key, or a value of the wrong type.
        """
        known = exactly(cls, values, "node", defaults=True)
        for name in ("frozen", "fresh"):
            if isinstance(known[name], list):
                known[name] = tuple(known[name])
        if known["parent"] is not None:
            known["parent"] = Parent(**exactly(Parent, known["parent"], "parent", defaults=True))
        if not isinstance(known["tuning"], Tuning):
            known["tuning"] = Tuning(**exactly(Tuning, known["tuning"], "tuning", defaults=True))
        return cls(**known)

    def describe(self) -> str:
        """A short description of the training for readers."""
        frozen = f"{', '.join(self.frozen)} frozen"
        if self.parent is None:
            what = f"{frozen} as initialised, the rest" if self.frozen else "all layers"
            return f"{what} from scratch, seed {self.init_seed}"
        weights = {"reinit": "re-initialised", "keep": "kept"}.get(
            self.start, f"from epoch {self.rewind_epoch}"
        )
        if self.fresh:
            weights += f", {', '.join(self.fresh)} new"
        if self.tuning:
            weights += f" ({self.tuning.text()})"
        adapted = f", LoRA of rank {self.lora} in it" if self.lora else ""
        if not self.frozen:
            return f"nothing frozen, weights {weights}, seed {self.init_seed}"
        return f"{frozen}{adapted}, the rest {weights}, seed {self.init_seed}"


ClassifierEpoch = int | Literal["same", "lowest_loss"]

_DEFAULTS = {field.name: field.default for field in fields(Node)}


@dataclass(frozen=True)
class Outcome:
    """The result of training a node.

    Attributes:
        node: the node.
        error: its reported dev error: that of the dev set, decoded with `decoder`; for a language
            model, the dev loss.
        best_epoch: the epoch (from 1) that was chosen; its weights are the node's model.
        epochs: how many epochs were run.
        seconds: of training.
        metrics: dev metrics at the best epoch, with names that start with "dev_" (always including
            `LOSS`); `LOWEST_LOSS_EPOCH`; and the cost: "trainable_parameters" and
            "peak_memory" (bytes).
        decoder: hash of how the dev set was decoded; "" if it was not.

    Raises:
        ValueError: if the error is not a finite number (a search would take NaN for "not worse").
    """

    node: Node
    error: float
    best_epoch: int
    epochs: int
    seconds: float
    metrics: Mapping[str, float]
    decoder: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.error):
            raise ValueError(f"node {self.node.id}: the dev error is {self.error}")
        if not 1 <= self.best_epoch <= self.epochs:
            raise ValueError(f"node {self.node.id}: best epoch {self.best_epoch} of {self.epochs}")

    @property
    def seconds_per_epoch(self) -> float:
        """Including evaluation."""
        return self.seconds / self.epochs

    def epoch_of(self, classifier: ClassifierEpoch) -> int:
        """The epoch from which a classifier is taken.

        Args:
            classifier: "same" as the network's, the best; "lowest_loss"; or a number (capped at the last).

        Raises:
            ValueError: if it was not recorded.
        """
        if classifier == "same":
            return self.best_epoch
        if isinstance(classifier, int):
            return min(classifier, self.epochs)
        if LOWEST_LOSS_EPOCH not in self.metrics:
            raise ValueError(f"node {self.node.id}: the epoch of its lowest dev loss was not recorded")
        return int(self.metrics[LOWEST_LOSS_EPOCH])

    def judged_by(self, criterion: str) -> "Outcome":
        """The outcome with the dev loss as `error` if `criterion` is "loss"; unchanged if it is "error".

        Raises:
            ValueError: if the loss was not measured.
        """
        if criterion == "error":
            return self
        if LOSS not in self.metrics:
            raise ValueError(f"node {self.node.id}: its dev loss was not recorded")
        return replace(self, error=self.metrics[LOSS])

    def to_json(self) -> dict[str, Any]:
        """Everything but the node, as plain JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "node"}
        return {**values, "metrics": dict(self.metrics)}

    @classmethod
    def from_json(cls, node: Node, values: Any) -> "Outcome":
        """Rebuild the outcome of `node` from the output of `to_json`.

        Raises:
            ValueError: on an unknown or missing key, or a value of the wrong type.
        """
        if isinstance(values, dict):
            values = {"node": node, **values}
        known = exactly(cls, values, "outcome")
        for name in ("error", "seconds"):
            known[name] = number(known[name], name)
        if not isinstance(known["metrics"], dict):
            raise ValueError(f"outcome: metrics must be an object, got {known['metrics']!r}")
        metrics = {key: number(value, f"metrics.{key}") for key, value in known["metrics"].items()}
        # What is no number (NaN) was not measured: no search may choose by it, and no report compare it.
        known["metrics"] = {key: value for key, value in metrics.items() if math.isfinite(value)}
        if not isinstance(known["decoder"], str):
            raise ValueError(f"outcome: decoder must be a text, got {known['decoder']!r}")
        for name in ("best_epoch", "epochs"):
            if type(known[name]) is not int:
                raise ValueError(f"outcome: {name} must be a whole number, got {known[name]!r}")
        return cls(**known)


def _check_fields(value: Node | Parent) -> None:
    """Check the types, since the content of a JSON file is hashed."""
    what = type(value).__name__.lower()
    for field in fields(value):
        content = getattr(value, field.name)
        if field.name == "parent":
            fits = content is None or isinstance(content, Parent)
        elif field.name == "tuning":
            fits = isinstance(content, Tuning)
        elif field.name in ("frozen", "fresh"):
            fits = isinstance(content, tuple) and all(isinstance(name, str) and name for name in content)
        elif field.name == "weights":
            fits = content is None or (isinstance(content, str) and content != "")
        elif field.type is int:
            fits = type(content) is int
        else:
            fits = isinstance(content, str) and content != ""
        if not fits:
            raise ValueError(f"{what}: {field.name} cannot be {content!r}")
