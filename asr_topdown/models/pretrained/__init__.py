"""Pretrained encoders: wav2vec 2.0 and similar models, and Whisper's, as stages.

They read audio, (B, N, 1) samples, at the rate of their `preprocessor_config.json`. The stages are `frontend`
and `enc.0`, `enc.1`, …; and `mix`, if outputs of several layers are added.
"""

from asr_topdown.models.pretrained.stages import pretrained_stages

__all__ = ["pretrained_stages"]
