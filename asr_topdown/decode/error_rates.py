"""How well a network recognises a data set: its error rates, decoded as a configuration says."""

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
    """Character and word error rates, "cer" and "wer", or of labels "label_error", as fractions.

    Args:
        model: in eval mode.
        data: what is decoded.
        references: utterance id -> what was said; of those alone that are in `data`.
        vocabulary: the units that the network puts out.
        config: how to decode, and which tags do not count.

    Raises:
        ValueError: for a decoder that this model has not the heads for.
    """
    found = recognize(model, data, vocabulary, config)
    references = {name: references[name] for name in found}
    texts = {name: vocabulary.decode(result.best.ids) for name, result in found.items()}
    return {
        RATE_KEYS[unit]: score(references, texts, unit, nlsyms=config.nlsyms).rate
        for unit in counted(vocabulary.unit)
    }
