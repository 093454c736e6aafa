"""Perplexity of a language model, computed as published with the AWD-LSTM."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_topdown import config as configuration
from asr_topdown.build import fresh_model
from asr_topdown.data.language_model import batchify, content_hash, get_batch
from asr_topdown.decode.model import content_hash as model_hash
from asr_topdown.decode.model import load_best
from asr_topdown.files import json_document, read_json, remove_leftovers, written_together
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.nn.precision import set_tf32
from asr_topdown.text.word_vocabulary import WordVocabulary


@torch.no_grad()
def perplexity(model: AwdLstm, text: Tensor, bptt: int) -> dict[str, float]:
    """Compute the cross-entropy in nats per word ("loss") and its exponential ("ppl").

    The text is read `bptt` rows at a time, carrying the state over. The summed losses of a column's N - 1
    predictions are divided by N, the number of rows, as in Merity et al.'s `main.py`.

    Args:
        model: a language model (`models.awd_lstm`), on the device of `text`; its mode is left as it is.
        text: (N, B) columns of word ids (`data.language_model.batchify`).
        bptt: rows at a time; affects only rounding and memory.
    """
    return _from_loss(span_losses(model, text, bptt).sum().item() / text.numel())


@torch.no_grad()
def span_losses(model: AwdLstm, text: Tensor, bptt: int) -> Tensor:
    """Return that sum's parts, (spans,) nats in float64, each over the predictions of `bptt` rows."""
    losses = []
    state: tuple[Tensor, ...] = ()
    for start in range(0, len(text) - 1, bptt):
        batch = get_batch(text, start, bptt)
        loss, state = model.cross_entropy(batch.words, batch.targets, state)
        losses.append(batch.words.numel() * loss.double())
    return torch.stack(losses)


def span_words(text: Tensor, bptt: int) -> list[int]:
    """Count the words of each of those spans; their sum is what the loss is divided by.

    These are the span's predictions, and in the first span also the columns' first words, which are not
    predicted.
    """
    rows, width = text.shape
    words = [width * min(bptt, rows - 1 - start) for start in range(0, rows - 1, bptt)]
    return [words[0] + width, *words[1:]]


def score_text(folder: Path, text: Path, target: Path, device: str = "cpu") -> dict[str, Any]:
    """Compute the perplexity of a trained language model on `text`, or read it from `target` if unchanged.

    `spans.json` next to `target` gets the loss of each span of the text ("nats") and its "words", for paired
    tests of two models.

    Args:
        folder: of the finished model.
        text: read in the number of columns that the model's configuration sets for a test text.
        target: a JSON file.
        device: where to compute.

    Returns:
        "loss", "ppl", and what they were computed from.

    Raises:
        ValueError: naming the file, if there is no finished language model, the text is empty or too short,
            or a word is not in the vocabulary.
    """
    config = configuration.load_saved(folder / "config.yaml")
    if not config.is_language_model:
        raise ValueError(f"{folder}: not a language model, so it has no perplexity")
    wanted = {
        "model": model_hash(folder),
        "content": content_hash(text),
        "columns": config.language_model.test_batch,
    }
    spans = target.with_name("spans.json")
    if spans.exists() and (kept := _kept(target, wanted)):
        return kept
    words = WordVocabulary.load(folder / "tokens.txt")
    rows = batchify(words.read(text), config.language_model.test_batch, where=text).to(device)
    network = load_best(folder, fresh_model(config, len(words), init_seed=0)).to(device).eval()
    assert isinstance(network, AwdLstm)
    set_tf32("float32", torch.device(device))
    started = time.perf_counter()
    losses = span_losses(network, rows, config.language_model.bptt)
    found = _from_loss(losses.sum().item() / rows.numel())
    seconds = time.perf_counter() - started
    about = {"node": folder.resolve().name, "text": str(text), "device": device}
    made = {**wanted, **found, **about, "words": rows.numel(), "seconds": seconds}
    parts = {"nats": losses.tolist(), "words": span_words(rows, config.language_model.bptt)}
    remove_leftovers(target.parent)
    with written_together() as together:
        together.write_text(spans, json_document(parts))
        together.write_text(target, json_document(made))
        target.unlink(missing_ok=True)  # no old result may be left beside new spans if this process is killed
    return made


def _kept(target: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The result in `target` if it was computed from what is `wanted`; None if not, or if it is damaged."""
    try:
        made = read_json(target)
    except (FileNotFoundError, ValueError):  # never made, or cut by a crash of the machine
        return None
    fits = isinstance(made, dict) and {key: made.get(key) for key in wanted} == wanted
    return made if fits and {"loss", "ppl"} <= made.keys() else None


def _from_loss(loss: float) -> dict[str, float]:
    return {"loss": loss, "ppl": math.exp(min(loss, 700.0))}  # JSON has no infinity
