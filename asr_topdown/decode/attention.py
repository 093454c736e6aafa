"""Decoding with the attention decoder alone, and a language model if configured."""

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode import joint_beam
from asr_topdown.decode.decoders import Decoder
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import Vocabulary


def decoder(model: Recognizer, config: DecodeConfig, vocabulary: Vocabulary) -> Decoder:
    """`decode.method: attention`: the joint beam search without CTC."""
    return joint_beam.decoder(model, config.model_copy(update={"ctc_weight": 0.0}), vocabulary)
