"""The task of training a recogniser: batches of augmented speech, and a dev set."""

import logging
from collections.abc import Mapping, Sequence

from asr_topdown.config.train import TrainConfig
from asr_topdown.data.augmentation import augment
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.sampler import epoch_batches
from asr_topdown.decode.recognize import dev_metrics
from asr_topdown.decode.result import NotANumberError
from asr_topdown.features.stretch import stretched_lengths
from asr_topdown.models.model import Model
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import Vocabulary
from asr_topdown.train.rng import derive

log = logging.getLogger(__name__)


class SpeechTask:
    """Training and dev utterances.

    Args:
        train: the utterances on which the network can be trained (see `trainable`).
        dev: those that choose the best epoch.
        vocabulary: the output units of the network.
        config: size of the batches, augmentation.
        seed: of the order of the batches and of the augmentation.
    """

    def __init__(
        self,
        train: SpeechDataset,
        dev: SpeechDataset,
        vocabulary: Vocabulary,
        config: TrainConfig,
        *,
        seed: int,
    ) -> None:
        self.train = train
        self.dev = dev
        self.vocabulary = vocabulary
        self.config = config
        self.seed = seed

    def epoch(self, number: int) -> Sequence[Sequence[int]]:
        """Batches of utterances of similar length, in a different order in each epoch."""
        return epoch_batches(
            self.train.frames,
            frames_per_batch=self.config.frames_per_batch,
            utterances_per_batch=self.config.utterances_per_batch,
            seed=self.seed,
            epoch=number,
            sortagrad_epochs=self.config.sortagrad_epochs,
        )

    def load(self, indices: Sequence[int], epoch: int) -> SpeechBatch:
        """Read the utterances, and apply the configured tempo change and feature augmentation."""
        batch = self.train.batch(indices)
        seed = derive(self.seed, "augmentation", epoch, *batch.ids)
        return augment(
            batch, tempo_perturb=self.config.tempo_perturb, specaugment=self.config.specaugment, seed=seed
        )

    def frames(self, indices: Sequence[int]) -> int:
        """Input frames, before the tempo is changed; of sound, 10 ms each."""
        return sum(self.train.utterances[index].frames for index in indices)

    def lr_scale(self, indices: Sequence[int]) -> float:
        """The same for all batches."""
        return 1.0

    def evaluate(self, model: Model) -> Mapping[str, float]:
        """Loss, greedy CER and, with an attention decoder, accuracy on the dev set.

        Raises:
            ValueError: naming a dev utterance for which the network computes NaN.
        """
        assert isinstance(model, Recognizer)
        frames = 2 * self.config.frames_per_batch
        try:
            return dev_metrics(model, self.dev, self.vocabulary, frames_per_batch=frames)
        except NotANumberError as error:
            raise ValueError(
                f"dev set: {error}: the training diverges (try a lower train.optimizer.lr or train.grad_clip)"
            ) from None


def trainable(data: SpeechDataset, model: Recognizer, config: TrainConfig) -> SpeechDataset:
    """Leave out, and log, the utterances that `model` cannot align or that are too long.

    Raises:
        ValueError: naming the folder, if none is left.
    """
    kept, dropped = data.keep_trainable(
        lambda frames: model.output_lengths(stretched_lengths(frames, 1 - config.tempo_perturb)),
        model.frames_needed,
        config.max_frames,
    )
    for line in dropped:
        log.warning("left out of training: %s", line)
    if not len(kept):
        raise ValueError(
            f"{data.folder}: every utterance is too short for its transcript or too long for max_frames"
        )
    return kept


def check_dev(data: SpeechDataset, model: Recognizer) -> None:
    """Check that the dev set has a loss, before anything is trained.

    Raises:
        ValueError: naming the folder, if `model` can align no utterance of it.
    """
    kept, dropped = data.keep_trainable(model.output_lengths, model.frames_needed)
    if not len(kept):
        raise ValueError(
            f"{data.folder}: the dev set has no loss, since no utterance can be aligned ({dropped[0]})"
        )
