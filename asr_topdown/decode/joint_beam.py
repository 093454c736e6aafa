"""Joint CTC-attention beam search, vectorised over utterances and beam.

After Watanabe et al. 2017 and Hori et al. 2017: hypotheses grow label by label, and the score of one, g, is

    (1 - lambda) log p_attention(g) + lambda log p_CTC(g …) + beta log p_LM(g) + penalty x labels

where the CTC part is the log-probability of all texts that begin with g (`decode.ctc_prefix_score`), and of g
alone once it has ended. Of all labels after all hypotheses of an utterance, `<sos/eos>` among them, the best
`beam` are kept; those with `<sos/eos>` are finished. Where labels and ends compete for places an end is given
the penalty too, as in ESPnet, so that which of them stay does not depend on it. With lambda 0 this is plain
attention decoding, with lambda 1 a search over CTC's prefix scores, for which no decoder is needed.

An utterance is done when no hypothesis is left or has room to grow, or when

- no hypothesis can still beat the `nbest` best finished ones: each further label lowers a score, but for a
  positive penalty that it may earn; or
- of each of the last three lengths there are finished hypotheses, and the best of them is worse than the best
  of all by more than 10 (Watanabe et al. 2017, eq. 50, with ESPnet's M = 3 and D_end = -10).

What is done is frozen on the device, so that results do not depend on when the host learns of it; then the
utterance leaves the batch. On a GPU the host reads flags that were sent off some labels before, and so hardly
ever waits.
"""

import torch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.ctc_prefix_score import CtcPrefixScorer
from asr_topdown.decode.decoders import Decoder
from asr_topdown.decode.label_search import LabelSearch
from asr_topdown.decode.language_model import configured_language_model
from asr_topdown.decode.result import DecodeResult, check_ctc_input
from asr_topdown.decode.scorer import Scorer
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import Vocabulary


def decoder(model: Recognizer, config: DecodeConfig, vocabulary: Vocabulary) -> Decoder:
    """`decode.method: joint_beam`; a head whose scores have no weight may be missing."""
    lm = configured_language_model(config, vocabulary, model.device)
    ctc = model.ctc if config.ctc_weight else None
    attention = model.attention if config.ctc_weight < 1 else None

    def decode(memory: Tensor, lengths: Tensor) -> list[DecodeResult]:
        return joint_beam(
            memory,
            lengths,
            vocab_size=len(vocabulary),
            config=config,
            ctc_log_probs=None if ctc is None else ctc.log_probs(memory),
            decoder=None if attention is None else attention.scorer,
            lm=lm,
        )

    return decode


@torch.no_grad()
def joint_beam(
    memory: Tensor,
    lengths: Tensor,
    *,
    vocab_size: int,
    config: DecodeConfig,
    ctc_log_probs: Tensor | None = None,
    decoder: Scorer | None = None,
    lm: Scorer | None = None,
) -> list[DecodeResult]:
    """Decode a batch.

    Args:
        memory: (B, T, D) encoder output, as the decoder wants it.
        lengths: (B,) its lengths; an utterance of 0 frames gets an empty hypothesis.
        vocab_size: V; unit 0 is the blank, which is never chosen, and V is `<sos/eos>`.
        config: how to search.
        ctc_log_probs: (B, T, V) natural logarithms; needed where `config.ctc_weight` is not 0.
        decoder: needed where `config.ctc_weight` is not 1.
        lm: a language model for shallow fusion, with the weight `config.lm_weight`.

    Returns:
        Per utterance up to `nbest` hypotheses, best first, with different labels and their scores; one
        without labels and with score -inf where nothing was possible.

    Raises:
        ValueError: where CTC's log-probabilities hold NaN.
    """
    weighted = ((decoder, 1 - config.ctc_weight), (lm, config.lm_weight))
    scorers = [(scorer, weight) for scorer, weight in weighted if scorer is not None and weight]
    assert decoder is not None or config.ctc_weight == 1, "without a decoder the CTC weight must be 1"
    ctc = None
    if config.ctc_weight:
        assert ctc_log_probs is not None, "a CTC weight needs CTC's output"
        counts = check_ctc_input(ctc_log_probs, lengths)
        ctc = CtcPrefixScorer(ctc_log_probs, lengths)
    else:
        counts = lengths.tolist()
    if not counts:
        return []
    return LabelSearch(memory, lengths, counts, vocab_size, config, ctc, scorers).run()
