"""What the report tells of an experiment, whichever kind its models are of: plain records."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_topdown.runs.journal import Command
from asr_topdown.schedule.node import Node, Outcome
from asr_topdown.schedule.protocol import Result
from asr_topdown.schedule.searches import step_name


@dataclass(frozen=True)
class Kind:
    """What is counted as an error, and how it is shown.

    Attributes:
        error: name and unit of an error as it is shown.
        difference: unit of a difference of two, "" where it needs none.
        metric: the dev metric that is the same error, as metrics.jsonl calls it.
        loss: unit of the loss.
        sampled: what a test set is a sample of.
    """

    error: str
    difference: str
    metric: str
    loss: str
    sampled: str

    def shown(self, rate: float) -> float:
        """An error rate (errors per reference unit, or nats per word) as it is shown."""
        return 100 * rate if self.metric == "cer" else math.exp(min(rate, 700.0))

    def shown_all(self, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """`shown`, of many."""
        return 100 * rates if self.metric == "cer" else np.exp(np.minimum(rates, 700.0))

    def shown_metric(self, value: float) -> float:
        """A value of `metric` in metrics.jsonl as it is shown."""
        return 100 * value if self.metric == "cer" else value


SPEECH = Kind("CER %", "points", "cer", "nats/utterance", "utterances")
LANGUAGE = Kind("perplexity", "", "ppl", "nats/word", "pieces of the text")


@dataclass(frozen=True)
class Curve:
    """What was measured after each epoch.

    Attributes:
        epochs: their numbers, from 1.
        train_loss: mean loss of the epoch per utterance, in nats; of a language model, per word.
        dev: name of a dev metric ("loss", "cer", ...) -> its values.
    """

    epochs: tuple[int, ...]
    train_loss: tuple[float, ...]
    dev: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Training:
    """One node of the experiment; `outcome` is None while it is not finished.

    `metric` is the dev metric that chose its best epoch, and `layers` are the network's, input first; "" and
    () if its config.yaml does not say.
    """

    node: Node
    outcome: Outcome | None
    curve: Curve
    metric: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Score:
    """How well a model did on the reported set.

    Attributes:
        rate: errors per reference unit (characters, a fraction), or nats per word.
        parts: what the set is a sample of (an utterance, a piece of text) -> (errors, reference units) in it;
            empty if it is not known any more.
        others: other error rates as they are shown, "WER %" say.
        seconds: that it took.
        audio_seconds: that the set lasts; 0 for a text.
    """

    rate: float
    parts: Mapping[str, tuple[float, float]]
    others: Mapping[str, float]
    seconds: float
    audio_seconds: float = 0.0


@dataclass(frozen=True)
class Experiment:
    """Everything that the report tells.

    Attributes:
        root: the experiment folder.
        set_name: the set, or text, that is reported: "test".
        kind: what its errors are.
        trainings: node id -> training.
        studies: results tag -> what its searches did.
        scores: node id -> its errors on `set_name`.
        notes: what is missing, and what to run for it; one sentence each.
        model: the settings of the model (`config.model`) as plain values; empty if they cannot be read.
        config: the settings of an experiment's node, YAML.
        commands: what was run to make it.
    """

    root: Path
    set_name: str
    kind: Kind
    trainings: Mapping[str, Training]
    studies: Mapping[str, list[Result]]
    scores: Mapping[str, Score]
    notes: tuple[str, ...]
    model: Mapping[str, Any]
    config: str = ""
    commands: tuple[Command, ...] = ()

    @property
    def name(self) -> str:
        """The folder's."""
        return self.root.resolve().name

    @property
    def corpus(self) -> str:
        """The recipe that the folder belongs to: egs/CORPUS/exp/TAG; "" elsewhere."""
        above = self.root.resolve().parents
        return above[1].name if len(above) > 1 and above[0].name == "exp" else ""

    def roles(self) -> dict[str, str]:
        """Node id -> what it was in the first search that has it; of the nodes that are there."""
        roles: dict[str, str] = {}
        for results in self.studies.values():
            for result in sorted(results, key=lambda result: result.seed):
                for step in result.steps:
                    if step.node in self.trainings:
                        roles.setdefault(step.node, f"{step_name(result.search, step)}, seed {result.seed}")
        return roles

    def dev(self) -> dict[str, float]:
        """Node id -> dev error of those that are finished, as it is shown (`dev_name`)."""
        finished = {key: one.outcome for key, one in self.trainings.items() if one.outcome is not None}
        # Of a training whose folder was removed the results still know the error.
        known = {
            step.node: self.shown_dev(step.error)
            for results in self.studies.values()
            for result in results
            for step in result.steps
            if result.criterion == "error" and step.node not in self.trainings
        }
        return known | {key: self._dev(outcome) for key, outcome in finished.items()}

    def test(self) -> dict[str, float]:
        """Node id -> error on the reported set, as it is shown (`test_name`)."""
        return {key: self.kind.shown(score.rate) for key, score in self.scores.items()}

    @property
    def dev_name(self) -> str:
        """What chose the best epochs, with its unit; just "dev error" where the trainings differ in it."""
        if self.kind is LANGUAGE:
            return "dev perplexity"
        names = {"cer": "dev CER %", "loss": "dev loss (nats)", "accuracy": "dev label error %"}
        return names.get(self._metric, "dev error")

    @property
    def test_name(self) -> str:
        """The error on the reported set, with its unit."""
        return f"{self.set_name} {self.kind.error}"

    @property
    def _metric(self) -> str:
        metrics = {training.metric for training in self.trainings.values()}
        return metrics.pop() if len(metrics) == 1 else ""

    def shown_dev(self, error: float) -> float:
        """A step's dev error (a loss or a fraction) as `dev_name` says."""
        if self.kind is LANGUAGE:
            return self.kind.shown(error)
        return error * (1 if self._metric == "loss" else 100)

    def _dev(self, outcome: Outcome) -> float:
        if self.kind is LANGUAGE and "ppl" in outcome.metrics:
            return outcome.metrics["ppl"]
        return self.shown_dev(outcome.error)
