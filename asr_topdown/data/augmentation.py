"""Random augmentation of a training batch: tempo and masks."""

import torch

from asr_topdown.data.batch import SpeechBatch
from asr_topdown.features.specaug import spec_augment
from asr_topdown.features.specaug_options import SpecAugmentOptions
from asr_topdown.features.stretch import draw_factor, stretch_time


def augment(
    batch: SpeechBatch, *, tempo_perturb: float, specaugment: SpecAugmentOptions | None, seed: int
) -> SpeechBatch:
    """The batch with its tempo changed by up to `tempo_perturb`, then masked; equal seeds, equal changes."""
    generator = torch.Generator().manual_seed(seed)
    feats, lengths = batch.feats, batch.feat_lengths
    if tempo_perturb:
        feats, lengths = stretch_time(feats, lengths, draw_factor(tempo_perturb, generator))
    if specaugment is not None:
        feats = spec_augment(feats, lengths, specaugment, generator)
    return batch._replace(feats=feats, feat_lengths=lengths)
