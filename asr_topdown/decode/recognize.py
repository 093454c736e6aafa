"""From features to text, batch by batch: dev metrics during training, transcripts afterwards."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.sampler import length_batches
from asr_topdown.decode.decoders import build_decoder
from asr_topdown.decode.inference import Inference
from asr_topdown.decode.result import BLANK, DecodeResult, NotANumberError, naming
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.score.calibration import greedy_paths
from asr_topdown.score.errors import characters, distance, words
from asr_topdown.text import Vocabulary

UTTERANCES_PER_BATCH = 64
NBEST = "text.nbest", "score.nbest"
"""The files of n-best lists."""


class Share(NamedTuple):
    """Every `of`-th batch of a data set, from batch `number` (from 0).

    Batches are formed before they are divided: rounding depends on which utterances share a batch, and the
    number of processes must not affect results.
    """

    number: int = 0
    of: int = 1


WHOLE = Share()


def batches(dataset: SpeechDataset, frames_per_batch: int, share: Share = WHOLE) -> Iterator[SpeechBatch]:
    """Iterate over the share's batches, longest utterances first, so that a lack of memory shows at once."""
    plan = length_batches(
        dataset.frames, frames_per_batch=frames_per_batch, utterances_per_batch=UTTERANCES_PER_BATCH
    )
    return (dataset.batch(indices) for indices in plan[::-1][share.number :: share.of])


@torch.no_grad()
def dev_metrics(
    model: Recognizer, dataset: SpeechDataset, vocabulary: Vocabulary, *, frames_per_batch: int
) -> Mapping[str, float]:
    """Compute the mean `loss` per utterance and the error rate of greedy decoding, a fraction.

    The rate is `cer`, of characters, or for a label head `label_error`. An utterance that is too short for
    CTC counts in the error rate, not in the loss. With an attention decoder, `accuracy` is the share of
    labels that it predicts correctly given the true previous ones.

    Raises:
        NotANumberError: naming an utterance for which the network computes NaN.
    """
    device = model.device
    greedy = build_decoder(model, DecodeConfig(), vocabulary)
    rate, split = ("label_error", words) if model.label is not None else ("cer", characters)
    ids: list[str] = []
    losses: list[Tensor] = []
    errors = reference = 0
    correct: list[Tensor] = []
    labels: list[Tensor] = []
    for batch in batches(dataset, frames_per_batch):
        moved = batch.to(device)
        output = model.forward_with_loss(moved)
        assert output.memory is not None
        assert output.lengths is not None
        ids += batch.ids
        losses.append(output.losses)
        if output.correct is not None and output.labels is not None:
            correct.append(output.correct)
            labels.append(output.labels)
        with naming(batch.ids):
            results = greedy(output.memory, output.lengths)
        for result, tokens, size in zip(
            results,
            batch.tokens.tolist(),
            batch.token_lengths.tolist(),
            strict=True,
        ):
            truth = split(vocabulary.decode(tokens[:size]))
            errors += distance(truth, split(vocabulary.decode(result.best.ids)))
            reference += len(truth)
    every = torch.cat(losses)
    # Greedy decoding has found none in the head that it reads.
    if len(broken := every.isnan().nonzero()):
        raise NotANumberError(int(broken[0]), ids[int(broken[0])])
    loss = every[every.isfinite()].double().mean().item()
    metrics = {"loss": loss, rate: errors / max(reference, 1)}
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
    """Decode a data set; return utterance id -> result, with the CTC path, in the order of the ids.

    Args:
        model: in eval mode.
        dataset: the utterances.
        vocabulary: the network's output units.
        config: how to decode.
        share: the batches to decode.
        tick: called after each utterance.

    Raises:
        ValueError: if the model lacks a head that the decoder reads.
        NotANumberError: naming an utterance for which the network computes NaN.
    """
    infer = Inference(model, config, vocabulary)
    found: dict[str, DecodeResult] = {}
    for batch in batches(dataset, config.frames_per_batch, share):
        moved = batch.to(infer.device)
        with naming(batch.ids):
            results, lengths, log_probs = infer(
                moved.feats, moved.feat_lengths, moved.start, batch.feat_lengths
            )
        if log_probs is not None:
            paths = greedy_paths(log_probs, lengths, BLANK)
            results = [replace(one, ctc_path=path) for one, path in zip(results, paths, strict=True)]
        found.update(zip(batch.ids, results, strict=True))
        for _ in batch.ids:
            tick()
    return dict(sorted(found.items()))


def nbest_tables(
    found: Mapping[str, DecodeResult], vocabulary: Vocabulary, config: DecodeConfig
) -> dict[str, dict[str, str]]:
    """The tables `text.nbest` and `score.nbest`, if `config.nbest` is more than 1.

    Both are Kaldi tables with the keys UTTERANCE-1 for the best hypothesis, UTTERANCE-2 and so on, as in
    Kaldi's n-best lists; a score is a natural logarithm, higher is better.
    """
    if config.nbest == 1:
        return {}
    ranked = {
        f"{name}-{rank}": one
        for name, result in found.items()
        for rank, one in enumerate(result.hypotheses, start=1)
    }
    texts = {key: vocabulary.transcript(one.ids) for key, one in ranked.items()}
    return dict(zip(NBEST, (texts, {key: f"{one.score:.6f}" for key, one in ranked.items()}), strict=True))
