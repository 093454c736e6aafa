"""Joint CTC-attention beam search, vectorised over utterances and beam.

After Watanabe et al. 2017 and Hori et al. 2017: hypotheses grow label by label, and the score of g is

    (1 - lambda) log p_attention(g) + lambda log p_CTC(g …) + beta log p_LM(g) + penalty x labels

where the CTC part is the log-probability of all texts that begin with g (`decode.ctc_prefix_score`), or of g
alone once it has ended. Each hypothesis of an utterance is extended by each label and by `<sos/eos>`, and the
best `beam` of all extensions are kept; those with `<sos/eos>` are finished. For this choice an end gets the
penalty too, as in ESPnet, so that the penalty does not favour labels over ends. With lambda 0 this is plain
attention decoding, with lambda 1 a search over CTC's prefix scores, which needs no decoder.

An utterance is done when no hypothesis is left or may grow further, or when

- no hypothesis can still beat the `nbest` best finished ones: each further label lowers the score, except for
  a positive penalty; or
- hypotheses have finished at each of the last three lengths, and at each the best one is more than 10 below
  the best of all (Watanabe et al. 2017, eq. 50, with ESPnet's M = 3 and D_end = -10).

A finished utterance is frozen on the device, so that results do not depend on when the host learns of it, and
then leaves the batch. On a GPU the host reads flags sent some labels earlier, and so hardly ever waits.
"""

import torch
from torch import Tensor

from asr_topdown.config.decode import DecodeConfig
from asr_topdown.decode.ctc_prefix_score import CtcPrefixScorer
from asr_topdown.decode.decoders import Decoder
from asr_topdown.decode.label_search import LabelSearch
from asr_topdown.decode.language_model import configured_language_model
from asr_topdown.decode.result import DecodeResult, check_ctc_input, check_scores
from asr_topdown.decode.scorer import Scorer
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import Vocabulary


def decoder(model: Recognizer, config: DecodeConfig, vocabulary: Vocabulary) -> Decoder:
    """`decode.method: joint_beam`; a head whose scores have weight 0 may be missing."""
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
        memory: (B, T, D) encoder output.
        lengths: (B,) its lengths in frames; 0 gives an empty hypothesis.
        vocab_size: V; unit 0 is the blank, which is never chosen, and V is `<sos/eos>`.
        config: settings of the search.
        ctc_log_probs: (B, T, V) natural logarithms; required unless `config.ctc_weight` is 0.
        decoder: required unless `config.ctc_weight` is 1.
        lm: a language model for shallow fusion, with the weight `config.lm_weight`.

    Returns:
        Per utterance up to `nbest` hypotheses with different labels, best first; if none is possible, one
        without labels and with score -inf.

    Raises:
        NotANumberError: if CTC's log-probabilities hold NaN, or a scorer gives NaN.
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
    return check_scores(LabelSearch(memory, lengths, counts, vocab_size, config, ctc, scorers).run())
