"""From units to words, and their times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.text import Vocabulary
from asr_topdown.transcription.words import timed_words, word_spans

TEXTS = ["ab c", "cab ba", "a <noise> b", "bab cac aab"]
VOCABULARIES = {
    "char": Vocabulary.build(TEXTS, "char"),
    "word": Vocabulary.build(TEXTS, "word"),
    "bpe": Vocabulary.build(TEXTS, "bpe", 10),
    "unigram": Vocabulary.build(TEXTS, "unigram", 9),
    "accents": Vocabulary.build(["e\u00e9 \u025b\u0301"], "char"),
}


@pytest.mark.parametrize("kind", VOCABULARIES)
@given(st.data())
def test_words_are_those_of_the_text(kind, data):
    """Of any sequence of units, also ones that no text has: spaces at the ends, several in a row."""
    vocabulary = VOCABULARIES[kind]
    ids = data.draw(st.lists(st.integers(1, len(vocabulary) - 1), max_size=12))
    words = word_spans(vocabulary, ids)
    assert " ".join(word for word, _ in words) == vocabulary.transcript(ids)
    places = [place for _, own in words for place in own]
    assert places == sorted(set(places))


def test_times_and_confidences():
    """Ten frames of 0.1 s: a in 1 and 2, b in 3, a space in 5, c in 7."""
    vocabulary = VOCABULARIES["char"]
    ids = vocabulary.encode("ab c")
    probs = np.full((10, len(vocabulary)), 0.01)
    probs[:, 0] = 0.9
    for frame, label, sure in (
        (1, ids[0], 0.8),
        (2, ids[0], 0.6),
        (3, ids[1], 0.9),
        (5, ids[2], 0.9),
        (7, ids[3], 0.5),
    ):
        probs[frame, 0], probs[frame, label] = 0.01, sure
    first, second = timed_words(vocabulary, ids, np.log(probs), offset=20.0, frame_seconds=0.1, seconds=0.75)
    assert (first.text, second.text) == ("ab", "c")
    assert (first.start, first.end) == pytest.approx((20.1, 20.4))
    assert first.confidence == pytest.approx((0.8 + 0.6 + 0.9) / 3)
    assert (second.start, second.end) == pytest.approx((20.7, 20.75))  # no word ends behind the sound
    assert second.confidence == pytest.approx(0.5)


def test_without_ctc_or_where_ctc_cannot_spell_it_there_are_no_times():
    vocabulary = VOCABULARIES["char"]
    ids = vocabulary.encode("ab c")
    for log_probs in (None, np.log(np.full((2, len(vocabulary)), 0.1))):
        times = {"offset": 0.0, "frame_seconds": 0.1, "seconds": 1.0}
        assert timed_words(vocabulary, ids, log_probs, **times) is None
