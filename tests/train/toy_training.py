"""A tiny network and invented speech that it learns in seconds, for the tests of training."""

import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from networks import blstm_ctc, make

sys.path.append(str(Path(__file__).parents[1]))  # programs that tests start have no conftest.py

from asr_topdown import layers
from asr_topdown.config.run import RunConfig
from asr_topdown.config.train import OptimizerConfig, TrainConfig
from asr_topdown.data.batch import SpeechBatch, collate
from asr_topdown.data.sampler import epoch_batches
from asr_topdown.models.model import Model
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.train.distributed import local_device
from asr_topdown.train.layerwise import Layerwise
from asr_topdown.train.metrics import read_metrics
from asr_topdown.train.progress import Progress
from asr_topdown.train.trainer import Trainer

EPOCHS, UTTERANCES = 4, 12


def speech() -> list[tuple[str, torch.Tensor, list[int]]]:
    """Invented utterances in which unit u is a one in dimension u."""
    generator = random.Random(5)
    utterances = []
    for index in range(UTTERANCES):
        tokens = [generator.randrange(1, 4) for _ in range(generator.randrange(2, 5))]
        feats = torch.zeros(4 * len(tokens), 4)
        for position, unit in enumerate(tokens):
            feats[4 * position : 4 * position + 3, unit] = 1.0
        utterances.append((f"utt{index:02}", feats, tokens))
    return utterances


class ToyTask:
    """The made-up speech as a task; tests replace its methods.

    Args:
        plan: the batches of every epoch, instead of those that the sampler makes.
        before_batch: called before each batch is loaded.
    """

    def __init__(
        self, plan: Sequence[Sequence[int]] | None = None, before_batch: Callable[[], None] = lambda: None
    ) -> None:
        self.utterances = speech()
        self.plan = plan
        self.before_batch = before_batch

    def epoch(self, number: int) -> Sequence[Sequence[int]]:
        frames = [len(feats) for _, feats, _ in self.utterances]
        return self.plan or epoch_batches(
            frames, frames_per_batch=40, utterances_per_batch=3, seed=3, epoch=number
        )

    def load(self, indices: Sequence[int], epoch: int) -> SpeechBatch:
        self.before_batch()
        ids, feats, tokens = zip(*[self.utterances[index] for index in indices], strict=True)
        return collate(ids, feats, tokens)

    def frames(self, indices: Sequence[int]) -> int:
        return sum(len(self.utterances[index][1]) for index in indices)

    def lr_scale(self, indices: Sequence[int]) -> float:
        return 1.0

    def evaluate(self, model: Model) -> dict[str, float]:
        everything = collate(*zip(*self.utterances, strict=True))
        loss = model.forward_with_loss(everything).loss.item()
        return {"loss": loss, "cer": loss / 100}


def trained(run: Trainer) -> Progress:
    """Train to the end."""
    for _ in run.epochs():
        pass
    return run.progress


def trainer(
    folder: Path,
    *,
    before_batch: Callable[[], None] = lambda: None,
    freeze: Sequence[str] = (),
    optimizer: OptimizerConfig | None = None,
    dropout: float = 0.3,
    epochs: int = EPOCHS,
    patience: int = 0,
    device: str = "cpu",
    plan: Sequence[Sequence[int]] | None = None,
    layerwise: Layerwise | None = None,
    model: Recognizer | None = None,
    **settings: object,
) -> Trainer:
    model = model or make(blstm_ctc(2, 6, dropout=dropout), features=4, vocab_size=4, seed=1)
    layers.freeze(model, freeze, dropout=True)
    optimizer = optimizer or OptimizerConfig(lr=0.01)
    of_run = {name: settings.pop(name) for name in [*settings] if name in RunConfig.model_fields}
    run = RunConfig(log_interval=2, checkpoint_minutes=1e-9).model_copy(update=of_run)
    config = TrainConfig(optimizer=optimizer, metric="loss").model_copy(update=settings)
    return Trainer(
        model,
        ToyTask(plan, before_batch),
        config,
        run,
        max_epochs=epochs,
        patience=patience,
        seed=1,
        folder=folder,
        device=local_device(device),
        layerwise=layerwise,
    )


class Killed(BaseException):
    """Nothing in the loop may catch it, as nothing catches a kill."""


def kill_at(step: int) -> Callable[[], None]:
    left = [step]

    def count() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return count


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def epochs_of(folder: Path) -> list[dict[str, object]]:
    """The records of a run's epochs, without the time."""
    records = read_metrics(folder / "metrics.jsonl")
    return [{**record, "seconds": 0} for record in records if record["kind"] == "epoch"]
