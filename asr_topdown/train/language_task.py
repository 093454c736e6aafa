"""The task of training a language model: two texts in columns."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from asr_topdown.config.language_model import LanguageModelConfig
from asr_topdown.data.language_model import LanguageModelBatch, batchify, bptt_segments, get_batch
from asr_topdown.decode.perplexity import perplexity
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.models.model import Model
from asr_topdown.text.word_vocabulary import WordVocabulary

log = logging.getLogger(__name__)


class LanguageTask:
    """A training text, read from top to bottom in steps of random length, and a dev text.

    Args:
        train: the training text.
        dev: the text that chooses the best epoch.
        vocabulary: the words of both.
        config: how they are cut.
        seed: of the lengths.
        device: where the texts are kept.

    Raises:
        ValueError, FileNotFoundError: naming the text that is missing, empty, too short for its columns or
            has a word outside the vocabulary.
    """

    def __init__(
        self,
        train: Path,
        dev: Path,
        vocabulary: WordVocabulary,
        config: LanguageModelConfig,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self.config = config
        self.seed = seed
        self.train = batchify(vocabulary.read(train), config.batch, where=train).to(device)
        self.dev = batchify(vocabulary.read(dev), config.dev_batch, where=dev).to(device)
        log.info("%s: %d words in %d columns", train, self.train.numel(), config.batch)

    def epoch(self, number: int) -> Sequence[Sequence[int]]:
        """(first row, rows) of each step."""
        return bptt_segments(len(self.train), self.config.bptt, seed=self.seed, epoch=number)

    def load(self, indices: Sequence[int], epoch: int) -> LanguageModelBatch:
        """The rows of a step."""
        start, length = indices
        return get_batch(self.train, start, length)

    def frames(self, indices: Sequence[int]) -> int:
        """Words."""
        start, length = indices
        return get_batch(self.train, start, length).words.numel()

    def lr_scale(self, indices: Sequence[int]) -> float:
        """The learning rate of a step is proportional to its length (Merity et al. 2018, section 5)."""
        return indices[1] / self.config.bptt

    def evaluate(self, model: Model) -> Mapping[str, float]:
        """Loss in nats per word, and perplexity."""
        assert isinstance(model, AwdLstm)
        return perplexity(model, self.dev, self.config.bptt)
