"""Plain records of an experiment for the report, whatever kind its models are of."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_topdown.runs.about import About
from asr_topdown.runs.journal import Command
from asr_topdown.schedule.node import LOSS, Node, Outcome
from asr_topdown.schedule.protocol import Result
from asr_topdown.schedule.searches import step_name


@dataclass(frozen=True)
class Kind:
    """What counts as an error, and how it is shown.

    Attributes:
        error: name and unit of an error as it is shown.
        difference: unit of a difference of two, "" if it needs none.
        metric: the same error on dev, as metrics.jsonl and outcomes call it.
        loss: unit of the loss.
        sampled: what the set is a sample of, besides the seeds.
    """

    error: str
    difference: str
    metric: str
    loss: str
    sampled: str

    def shown(self, rate: float) -> float:
        """An error rate (errors per reference unit, or nats per word) as it is shown."""
        return math.exp(min(rate, 700.0)) if self is LANGUAGE else 100 * rate

    def shown_all(self, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """`shown`, for many values."""
        return np.exp(np.minimum(rates, 700.0)) if self is LANGUAGE else 100 * rates

    def shown_metric(self, value: float) -> float:
        """A value of `metric`, or of `curve_metric`, as it is shown."""
        return value if self is LANGUAGE else 100 * value

    @property
    def curve_metric(self) -> str:
        """The name in metrics.jsonl of the dev error after each epoch."""
        return {LANGUAGE: "ppl", LABELS: "label_error"}.get(self, "cer")

    @property
    def curve_name(self) -> str:
        """The same, as it is shown: no beam search runs in every epoch."""
        return {LANGUAGE: "dev perplexity", LABELS: "dev label error %"}.get(self, "greedy dev CER %")


CHARACTERS = Kind("CER %", "points", "cer", "nats/utterance", "utterances")
WORDS = Kind("WER %", "points", "wer", "nats/utterance", "utterances")
LABELS = Kind("label error %", "points", "label_error", "nats/utterance", "utterances")
LANGUAGE = Kind("perplexity", "", "ppl", "nats/word", "pieces of the text")


@dataclass(frozen=True)
class Curve:
    """Measurements after each epoch.

    Attributes:
        epochs: their numbers, from 1.
        train_loss: mean loss of the epoch per utterance, in nats; of a language model, the mean over its
            steps, which differ in length, of the loss per word.
        dev: name of a dev metric ("loss", "cer", ...) -> its values.
    """

    epochs: tuple[int, ...]
    train_loss: tuple[float, ...]
    dev: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Training:
    """One node of the experiment.

    Attributes:
        node: what was trained.
        outcome: None while it is not finished.
        curve: its epochs.
        kind: what its errors are.
        about: its layers, data and machine; None if not recorded.
        model: its model's settings as plain values; empty if they cannot be read.
        config: all its settings as YAML.
        metric: the dev metric that chose its epoch (`train.metric`); "" if the settings cannot be read.
        average: the epochs whose weights are averaged, ("best" or "last", most); None = its best epoch alone.
    """

    node: Node
    outcome: Outcome | None
    curve: Curve
    kind: Kind
    about: About | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    config: str = ""
    metric: str = ""
    average: tuple[str, int] | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """The network's, input first; () if not recorded."""
        return tuple(self.about.layers) if self.about else ()


@dataclass(frozen=True)
class Score:
    """How well a model did on the reported set.

    Attributes:
        rate: errors per reference unit (a fraction), or nats per word.
        parts: for each utterance, or piece of a text, its (errors, reference units); empty if no longer
            known.
        others: other error rates as they are shown, e.g. "WER %".
        seconds: time that it took.
        audio_seconds: duration of the set; 0 for a text.
        texts: utterance -> what was recognised; empty for a text.
        transcripts: utterance -> what was said, the reference; likewise. The studies in one folder may be on
            several corpora, whose utterances may have the same names.
        calibration: of the CTC output (`score.calibration.Calibration`), if recorded.
    """

    rate: float
    parts: Mapping[str, tuple[float, float]]
    others: Mapping[str, float]
    seconds: float
    audio_seconds: float = 0.0
    texts: Mapping[str, str] = field(default_factory=dict)
    transcripts: Mapping[str, str] = field(default_factory=dict)
    calibration: Mapping[str, float] = field(default_factory=dict)

    @property
    def references(self) -> dict[str, float]:
        """The reference units of each part: scores are comparable if these are equal."""
        return {key: reference for key, (_, reference) in self.parts.items()}


@dataclass(frozen=True)
class Experiment:
    """All data of the report.

    Attributes:
        root: the experiment folder.
        set_name: the set, or text, that is reported: "test".
        trainings: node id -> training.
        studies: results tag -> what its searches did.
        scores: node id -> its errors on `set_name`.
        notes: what is missing, and what to run for it; one sentence each.
        commands: that produced it.
        sources: of the networks in the folder from which a study's trainings took layers: node id -> model
            (`Training.model`).
    """

    root: Path
    set_name: str
    trainings: Mapping[str, Training]
    studies: Mapping[str, list[Result]]
    scores: Mapping[str, Score]
    notes: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of_study(self, tag: str) -> "Experiment":
        """The part that belongs to one study: others in the same folder may have other models and units."""
        results = self.studies[tag]
        steps = [step for result in results for step in result.steps]
        own = {step.node for step in steps}
        sources = {getattr(step.point, "source_node", "") for step in steps}
        return replace(
            self,
            trainings={key: one for key, one in self.trainings.items() if key in own},
            studies={tag: results},
            scores={key: one for key, one in self.scores.items() if key in own},
            sources={key: one.model for key, one in self.trainings.items() if key in sources},
        )

    @property
    def name(self) -> str:
        """The folder's name, with its parent's if it says little."""
        root = self.root.resolve()
        return f"{root.parent.name}/{root.name}" if root.name == "exp" else root.name

    @property
    def corpus(self) -> str:
        """The recipe to which the folder belongs: egs/CORPUS/exp/TAG; "" elsewhere."""
        above = self.root.resolve().parents
        return above[1].name if len(above) > 1 and above[0].name == "exp" else ""

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of error of its trainings, as far as their settings can be read: one within a study."""
        trainings = self.trainings.values()
        read = [one for one in trainings if one.config] or trainings
        return tuple(dict.fromkeys(one.kind for one in read)) or (CHARACTERS,)

    @property
    def kind(self) -> Kind:
        """The kind of error of the first training."""
        return self.kinds[0]

    def kind_of(self, node: str) -> Kind:
        """The kind of a training's errors, which `dev` and `test` have: another study's may be another."""
        training = self.trainings.get(node)
        return training.kind if training is not None and training.config else self.kind

    def curve_names(self, nodes: Iterable[str]) -> tuple[str, str]:
        """The names of the error and of the loss in the learning curves of `nodes`, without a unit if these
        are of several kinds.
        """
        kinds = [self.kind_of(node) for node in nodes] or [self.kind]
        errors, losses = {kind.curve_name for kind in kinds}, {kind.loss for kind in kinds}
        return (
            errors.pop() if len(errors) == 1 else "dev error",
            f"loss ({losses.pop()})" if len(losses) == 1 else "loss",
        )

    @property
    def model(self) -> Mapping[str, Any]:
        """The settings of the model, of the first training whose settings can be read."""
        return next((one.model for one in self.trainings.values() if one.model), {})

    @property
    def config(self) -> str:
        """All settings, likewise."""
        return next((one.config for one in self.trainings.values() if one.config), "")

    @property
    def criterion(self) -> str:
        """The selection criterion of the studies: "error" or "loss"."""
        found = {result.criterion for results in self.studies.values() for result in results}
        return "loss" if found == {"loss"} else "error"

    @cached_property
    def roles(self) -> Mapping[str, str]:
        """Node id -> its role in the first search that has it, for existing nodes."""
        roles: dict[str, str] = {}
        for results in self.studies.values():
            for result in sorted(results, key=lambda result: result.seed):
                for step in result.steps:
                    if step.node in self.trainings:
                        roles.setdefault(step.node, f"{step_name(result.search, step)}, seed {result.seed}")
        return roles

    @cached_property
    def dev(self) -> Mapping[str, float]:
        """Node id -> dev error of the finished ones, as it is shown (`dev_name`)."""
        finished = {key: one.outcome for key, one in self.trainings.items() if one.outcome is not None}
        # The results still have the error of a training whose folder was removed.
        known = {
            step.node: self.kind.shown(step.error)
            for results in self.studies.values()
            for result in results
            for step in result.steps
            if result.criterion == "error" and step.node not in self.trainings
        }
        return known | {key: self._dev(outcome, self.kind_of(key)) for key, outcome in finished.items()}

    @cached_property
    def dev_loss(self) -> Mapping[str, float]:
        """Node id -> dev loss of the best epoch, in nats, if recorded."""
        outcomes = {key: one.outcome for key, one in self.trainings.items() if one.outcome is not None}
        return {key: one.metrics[LOSS] for key, one in outcomes.items() if LOSS in one.metrics}

    @cached_property
    def test(self) -> Mapping[str, float]:
        """Node id -> error on the reported set, as it is shown (`test_name`)."""
        return {key: self.kind_of(key).shown(score.rate) for key, score in self.scores.items()}

    @property
    def dev_name(self) -> str:
        """The name of the dev error, with its unit; dev is decoded in the same way as the reported set."""
        return f"dev {self._error}"

    @property
    def test_name(self) -> str:
        """The name of the error on the reported set, with its unit."""
        return f"{self.set_name} {self._error}"

    @property
    def _error(self) -> str:
        return self.kind.error if len(self.kinds) == 1 else "error"

    def _dev(self, outcome: Outcome, kind: Kind) -> float:
        name = f"dev_{kind.metric}"
        if name in outcome.metrics:
            return kind.shown_metric(outcome.metrics[name])
        return kind.shown(outcome.error)
