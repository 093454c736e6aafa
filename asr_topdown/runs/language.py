"""What the training loop is given to train a language model."""

import logging
from collections.abc import Callable
from pathlib import Path

import torch

from asr_topdown.config import Config
from asr_topdown.data.language_model import Dictionary, Span, columns, cut, training_spans
from asr_topdown.decode.perplexity import perplexity
from asr_topdown.train.task import Task

log = logging.getLogger(__name__)


def language_task(
    config: Config,
    dictionary: Dictionary,
    train: Path,
    dev: Path,
    *,
    seed: int,
    device: torch.device,
    after_epoch: Callable[[int], None],
) -> Task:
    """Read two texts; an epoch goes through the first, from top to bottom, in steps of random length.

    The learning rate of a step goes with its length (Merity et al. 2018, section 5).

    Raises:
        ValueError, FileNotFoundError: naming the text that is missing, empty, too short for its columns or
            has a word that is not in the dictionary.
    """
    settings = config.language_model
    text = columns(dictionary.read(train), settings.batch, where=train).to(device)
    held_out = columns(dictionary.read(dev), settings.dev_batch, where=dev).to(device)
    tied = getattr(config.model, "tied", False)
    log.info(
        "%s: %d words in %d columns; input and output embeddings are %s",
        train, text.numel(), settings.batch, "tied: both are layer softmax" if tied else "not tied",
    )  # fmt: skip

    def spans(epoch: int) -> list[Span]:
        return training_spans(len(text), settings.bptt, seed=seed, epoch=epoch)

    return Task(
        plan=spans,
        batch=lambda span, epoch: cut(text, span[0], span[1]),
        evaluate=lambda network: perplexity(network, held_out, settings.bptt),
        after_epoch=after_epoch,
        lr_scale=lambda span: span[1] / settings.bptt,
    )
