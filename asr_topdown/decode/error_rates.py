"""A network's error rates on a data set."""

from collections.abc import Mapping

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.dataset import SpeechDataset
from asr_topdown.decode.recognize import recognize
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.score.errors import RATE_KEYS, counted
from asr_topdown.score.report import score
from asr_topdown.text import Vocabulary


def error_rates(
    model: Recognizer,
    data: SpeechDataset,
    references: Mapping[str, str],
    vocabulary: Vocabulary,
    config: DecodeConfig,
) -> dict[str, float]:
    """Decode a data set; return the error rates "cer" and "wer", or for labels "label_error", as fractions.

    Args:
        model: in eval mode.
        data: the utterances.
        references: utterance id -> transcript, at least for those in `data`.
        vocabulary: the network's output units.
        config: how to decode, and which symbols do not count.

    Raises:
        ValueError: if the model lacks a head that the decoder reads.
    """
    found = recognize(model, data, vocabulary, config)
    references = {name: references[name] for name in found}
    texts = {name: vocabulary.transcript(result.best.ids) for name, result in found.items()}
    return {
        RATE_KEYS[unit]: score(references, texts, unit, nlsyms=config.nlsyms).rate
        for unit in counted(vocabulary.unit)
    }
