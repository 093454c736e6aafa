"""From features to text, batch by batch: dev metrics while training, transcripts afterwards."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown import datadir
from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.sampler import length_batches
from asr_topdown.decode.decoders import build_decoder
from asr_topdown.decode.inference import Inference
from asr_topdown.decode.result import BLANK, DecodeResult
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.score.calibration import greedy_paths
from asr_topdown.score.errors import characters, distance, words
from asr_topdown.text import Vocabulary

UTTERANCES_PER_BATCH = 64


class Share(NamedTuple):
    """Every `of`-th batch of a data set, from the `number`-th on (from 0).

    Batches are cut before they are divided: who an utterance is computed with decides how numbers are
    rounded, and how many processes decode a set must decide nothing.
    """

    number: int = 0
    of: int = 1


WHOLE = Share()


def batches(dataset: SpeechDataset, frames_per_batch: int, share: Share = WHOLE) -> Iterator[SpeechBatch]:
    """The data set, longest utterances first, so that memory is short at once or never."""
    plan = length_batches(
        dataset.frames, frames_per_batch=frames_per_batch, utterances_per_batch=UTTERANCES_PER_BATCH
    )
    return (dataset.batch(indices) for indices in plan[::-1][share.number :: share.of])


@torch.no_grad()
def dev_metrics(
    model: Recognizer, dataset: SpeechDataset, vocabulary: Vocabulary, *, frames_per_batch: int
) -> Mapping[str, float]:
    """Mean loss per utterance, and character error rate (a fraction) of the model's greedy search.

    Of labels it is `label_error`, the share of wrong ones.

    An utterance that CTC cannot align (too short) has no loss but counts in the error rate. Where the model
    has an attention decoder, `accuracy` is the share of labels that it predicts right after the true ones.
    """
    device = model.device
    greedy = build_decoder(model, DecodeConfig(), vocabulary)
    rate, split = ("label_error", words) if model.label is not None else ("cer", characters)
    losses: list[Tensor] = []
    errors = reference = 0
    correct: list[Tensor] = []
    labels: list[Tensor] = []
    for batch in batches(dataset, frames_per_batch):
        moved = batch.to(device)
        output = model.forward_with_loss(moved)
        assert output.memory is not None
        assert output.lengths is not None
        losses.append(output.losses[torch.isfinite(output.losses)])
        if output.correct is not None and output.labels is not None:
            correct.append(output.correct)
            labels.append(output.labels)
        for result, tokens, size in zip(
            greedy(output.memory, output.lengths),
            batch.tokens.tolist(),
            batch.token_lengths.tolist(),
            strict=True,
        ):
            truth = split(vocabulary.decode(tokens[:size]))
            errors += distance(truth, split(vocabulary.decode(result.best.ids)))
            reference += len(truth)
    metrics = {"loss": torch.cat(losses).double().mean().item(), rate: errors / max(reference, 1)}
    if correct:
        metrics["accuracy"] = torch.cat(correct).sum().item() / torch.cat(labels).sum().item()
    return metrics


@torch.no_grad()
def recognize(
    model: Recognizer,
    dataset: SpeechDataset,
    vocabulary: Vocabulary,
    config: DecodeConfig,
    *,
    share: Share = WHOLE,
    tick: Callable[[], object] = lambda: None,
) -> dict[str, DecodeResult]:
    """Utterance id -> what the decoder that `config` names finds, in the order of the ids; and the CTC path.

    Args:
        model: in eval mode.
        dataset: the utterances.
        vocabulary: the units that the network puts out.
        config: how to decode.
        share: of the batches, which are decoded.
        tick: called for each utterance that is done.

    Raises:
        ValueError: for a decoder that this model has not the heads for.
    """
    infer = Inference(model, config, vocabulary)
    found: dict[str, DecodeResult] = {}
    for batch in batches(dataset, config.frames_per_batch, share):
        moved = batch.to(infer.device)
        results, lengths, log_probs = infer(moved.feats, moved.feat_lengths, moved.start, batch.feat_lengths)
        if log_probs is not None:
            paths = greedy_paths(log_probs, lengths, BLANK)
            results = [replace(one, ctc_path=path) for one, path in zip(results, paths, strict=True)]
        found.update(zip(batch.ids, results, strict=True))
        for _ in batch.ids:
            tick()
    return dict(sorted(found.items()))


def write_nbest(
    folder: Path, found: Mapping[str, DecodeResult], vocabulary: Vocabulary, config: DecodeConfig
) -> None:
    """Where more than one hypothesis is wanted, write `text.nbest` and `score.nbest` into `folder`.

    Both are Kaldi tables whose keys are UTTERANCE-1 for the best hypothesis, UTTERANCE-2 and so on, as in
    Kaldi's n-best lists; a score is a natural logarithm, the higher the better.
    """
    targets = folder / "text.nbest", folder / "score.nbest"
    if config.nbest == 1:
        for target in targets:
            target.unlink(missing_ok=True)  # of an earlier decoding
        return
    ranked = {
        f"{name}-{rank}": one
        for name, result in found.items()
        for rank, one in enumerate(result.hypotheses, start=1)
    }
    datadir.write_table(targets[0], {key: vocabulary.decode(one.ids) for key, one in ranked.items()})
    datadir.write_table(targets[1], {key: f"{one.score:.6f}" for key, one in ranked.items()})
