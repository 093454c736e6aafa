"""How well a language model foretells a text: perplexity as published with the AWD-LSTM."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_topdown import config as configuration
from asr_topdown.build import fresh_model
from asr_topdown.data.language_model import batchify, content_hash, get_batch
from asr_topdown.decode.model import content_hash as model_hash
from asr_topdown.decode.model import load_best
from asr_topdown.files import read_json, write_json
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.text.word_vocabulary import WordVocabulary


@torch.no_grad()
def perplexity(model: AwdLstm, text: Tensor, bptt: int) -> dict[str, float]:
    """Cross-entropy in nats per word ("loss") and its exponential ("ppl"), in the mode that `model` is in.

    The text is read from top to bottom, `bptt` rows at a time, the state handed on. The sum of the losses of
    the N - 1 predictions is divided by N, the number of rows, as in Merity et al.'s `main.py`.

    Args:
        model: a language model (`models.awd_lstm`), on the device of `text`.
        text: (N, B) columns of word ids (`data.language_model.batchify`).
        bptt: rows at a time; changes nothing but rounding and memory.
    """
    return _from_loss(span_losses(model, text, bptt).sum().item() / text.numel())


@torch.no_grad()
def span_losses(model: AwdLstm, text: Tensor, bptt: int) -> Tensor:
    """The parts of that sum: (spans,) nats in float64, each the loss of all predictions of `bptt` rows."""
    losses = []
    state: tuple[Tensor, ...] = ()
    for start in range(0, len(text) - 1, bptt):
        batch = get_batch(text, start, bptt)
        loss, state = model.cross_entropy(batch.words, batch.targets, state)
        losses.append(batch.words.numel() * loss.double())
    return torch.stack(losses)


def span_words(text: Tensor, bptt: int) -> list[int]:
    """How many words each of those spans answers for; together all that the loss is divided by.

    They are its predictions, and of the first span also the columns' first words, which nothing predicts.
    """
    rows, width = text.shape
    words = [width * min(bptt, rows - 1 - start) for start in range(0, rows - 1, bptt)]
    return [words[0] + width, *words[1:]]


def score_text(folder: Path, text: Path, target: Path, device: str = "cpu") -> dict[str, Any]:
    """Perplexity of a trained language model on `text`; kept in `target`, which answers the next time.

    Beside it, spans.json keeps the loss of each span of the text ("nats") and its "words": of two models,
    paired tests compare these.

    Args:
        folder: of the finished model.
        text: read in as many columns as the model's configuration says for a test text.
        target: a JSON file.
        device: where to compute.

    Returns:
        "loss", "ppl", and what they were made of.

    Raises:
        ValueError: naming the file: no finished language model, a text that is empty or too short, a word
            that is not in the vocabulary.
    """
    config = configuration.load(folder / "config.yaml")
    if not config.is_language_model:
        raise ValueError(f"{folder}: not a language model, it has no perplexity")
    wanted = {
        "model": model_hash(folder),
        "content": content_hash(text),
        "columns": config.language_model.test_batch,
    }
    spans = target.with_name("spans.json")
    if target.exists() and spans.exists():
        made: dict[str, Any] = read_json(target)
        if all(made.get(key) == value for key, value in wanted.items()):
            return made
    words = WordVocabulary.load(folder / "tokens.txt")
    rows = batchify(words.read(text), config.language_model.test_batch, where=text).to(device)
    network = load_best(folder, fresh_model(config, len(words), init_seed=0)).to(device).eval()
    assert isinstance(network, AwdLstm)
    started = time.perf_counter()
    losses = span_losses(network, rows, config.language_model.bptt)
    found = _from_loss(losses.sum().item() / rows.numel())
    seconds = time.perf_counter() - started
    write_json(spans, {"nats": losses.tolist(), "words": span_words(rows, config.language_model.bptt)})
    about = {"node": folder.resolve().name, "text": str(text), "device": device}
    made = {**wanted, **found, **about, "words": rows.numel(), "seconds": seconds}
    write_json(target, made)
    return made


def _from_loss(loss: float) -> dict[str, float]:
    return {"loss": loss, "ppl": math.exp(loss) if loss < 700 else math.inf}
