"""From features to text, batch by batch: dev metrics while training, transcripts afterwards."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from asr_topdown.config import DecodeConfig
from asr_topdown.data.batch import SpeechBatch
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.data.sampler import length_batches
from asr_topdown.decode.greedy import ctc_greedy
from asr_topdown.decode.prefix_beam import ctc_prefix_beam
from asr_topdown.decode.result import DecodeResult
from asr_topdown.losses import Judgement
from asr_topdown.score.errors import characters, distance
from asr_topdown.text import Vocabulary

Search = Callable[[Tensor, Tensor], list[DecodeResult]]


def build_search(config: DecodeConfig) -> Search:
    """The search that `config` names: (B, T, V) log-probabilities and (B,) lengths -> results."""
    if config.method == "greedy":
        return ctc_greedy
    return lambda log_probs, lengths: ctc_prefix_beam(
        log_probs, lengths, beam=config.beam, nbest=config.nbest
    )


def batches(dataset: SpeechDataset, frames_per_batch: int) -> Iterator[SpeechBatch]:
    """The whole data set, longest utterances first, so that memory is short at once or never."""
    plan = length_batches(dataset.frames, frames_per_batch=frames_per_batch, utterances_per_batch=64)
    return (dataset.batch(indices) for indices in reversed(plan))


@torch.no_grad()
def ctc_dev_metrics(
    model: nn.Module, dataset: SpeechDataset, vocabulary: Vocabulary, *, frames_per_batch: int
) -> Mapping[str, float]:
    """Mean loss per utterance and character error rate (a fraction) of CTC's greedy search on `dataset`.

    An utterance that CTC cannot align (too short) has no loss but counts in the error rate. Where the model
    has an attention decoder, `accuracy` is the share of labels that it predicts right after the true ones.
    """
    device = next(model.parameters()).device
    losses: list[Tensor] = []
    errors = reference = 0
    correct: list[Tensor] = []
    labels: list[Tensor] = []
    for batch in batches(dataset, frames_per_batch):
        moved = batch.to(device)
        judged: Judgement = model.judge(*moved.inputs)  # type: ignore[operator]
        losses.append(judged.losses[torch.isfinite(judged.losses)])
        if judged.correct is not None and judged.labels is not None:
            correct.append(judged.correct)
            labels.append(judged.labels)
        for result, tokens, size in zip(
            ctc_greedy(judged.log_probs, judged.lengths),
            batch.tokens.tolist(),
            batch.token_lengths.tolist(),
            strict=True,
        ):
            truth = characters(vocabulary.decode(tokens[:size]))
            errors += distance(truth, characters(vocabulary.decode(result.best.ids)))
            reference += len(truth)
    metrics = {"loss": torch.cat(losses).double().mean().item(), "cer": errors / max(reference, 1)}
    if correct:
        metrics["accuracy"] = torch.cat(correct).sum().item() / torch.cat(labels).sum().item()
    return metrics


@torch.no_grad()
def recognize(
    model: nn.Module, dataset: SpeechDataset, vocabulary: Vocabulary, config: DecodeConfig
) -> dict[str, str]:
    """Utterance id -> the best transcript, in the order of the ids."""
    device = next(model.parameters()).device
    search = build_search(config)
    texts: dict[str, str] = {}
    for batch in batches(dataset, config.frames_per_batch):
        moved = batch.to(device)
        results = search(*model(moved.feats, moved.feat_lengths))
        for name, result in zip(batch.ids, results, strict=True):
            texts[name] = vocabulary.decode(result.best.ids)
    return dict(sorted(texts.items()))
