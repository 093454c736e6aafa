"""From a network's units to words with times."""

import contextlib
import unicodedata
from collections.abc import Sequence

import numpy as np
import torch

from asr_topdown.decode.ctc_alignment import CtcAlignment, Span, ctc_align
from asr_topdown.models.recognizer import Recognizer
from asr_topdown.text import SPACE, Vocabulary
from asr_topdown.text.pieces import WORD_START
from asr_topdown.transcription.transcript import Word

_MANY = 3_200_000  # frames or samples, to measure the encoder's subsampling


def frames_joined(network: Recognizer) -> int:
    """Return the number of input frames per frame of the encoder's output."""
    return max(1, round(_MANY / int(network.output_lengths(torch.tensor([_MANY])))))


def word_spans(vocabulary: Vocabulary, ids: Sequence[int]) -> list[tuple[str, list[int]]]:
    """Return the words that units form, each with the places of its units in `ids`.

    Joined by spaces, the words are `vocabulary.transcript(ids)`.
    """
    words: list[tuple[str, list[int]]] = []
    fresh = True
    for place, label in enumerate(ids):
        unit = vocabulary.units[label]
        text = unit
        if vocabulary.unit in ("word", "label"):
            fresh = True
        elif vocabulary.unit == "char":
            if unit == SPACE:
                fresh = True
                continue
        elif unit.startswith(WORD_START):
            text, fresh = unit.removeprefix(WORD_START), True
        if fresh and text:
            words.append(("", []))
            fresh = False
        if text:
            word, places = words[-1]
            words[-1] = word + text, [*places, place]
    return [(unicodedata.normalize("NFC", word), places) for word, places in words]


def timed_words(
    vocabulary: Vocabulary,
    ids: Sequence[int],
    log_probs: np.ndarray | None,
    *,
    offset: float,
    frame_seconds: float,
    seconds: float,
) -> tuple[Word, ...] | None:
    """Return words with times and confidences from CTC's best alignment; None if there is none.

    Args:
        vocabulary: the units.
        ids: unit ids, without blanks.
        log_probs: (T, V) of the network's CTC output; None if it has none.
        offset: start of the first frame, in seconds.
        frame_seconds: duration of a frame.
        seconds: duration of the sound, which limits the times.
    """
    if log_probs is not None:
        # An attention decoder may find more units than CTC can align with these frames.
        with contextlib.suppress(ValueError):
            alignment = ctc_align(log_probs, ids)
            return words_of(
                vocabulary, ids, alignment, offset=offset, frame_seconds=frame_seconds, seconds=seconds
            )
    return None


def words_of(
    vocabulary: Vocabulary,
    ids: Sequence[int],
    alignment: CtcAlignment,
    *,
    offset: float,
    frame_seconds: float,
    seconds: float,
) -> tuple[Word, ...]:
    """Return the words of an alignment, each from its first unit's first frame to its last unit's last frame.

    Args:
        vocabulary: the units.
        ids: unit ids, without blanks.
        alignment: of `ids`.
        offset: start of the first frame, in seconds.
        frame_seconds: duration of a frame.
        seconds: duration of the sound, which limits the times.
    """
    words = []
    for text, places in word_spans(vocabulary, ids):
        spans = [alignment.spans[place] for place in places]
        words.append(_word(text, spans, offset, frame_seconds, seconds))
    return tuple(words)


def units_of(
    vocabulary: Vocabulary, alignment: CtcAlignment, *, offset: float, frame_seconds: float, seconds: float
) -> tuple[Word, ...]:
    """Return the units of an alignment with their times; arguments as in `words_of`."""
    return tuple(
        _word(vocabulary.units[span.label], [span], offset, frame_seconds, seconds)
        for span in alignment.spans
    )


def _word(text: str, spans: Sequence[Span], offset: float, frame_seconds: float, seconds: float) -> Word:
    frames = [span.end - span.start for span in spans]
    sure = sum(span.confidence * count for span, count in zip(spans, frames, strict=True)) / sum(frames)
    start, end = (min(frame * frame_seconds, seconds) for frame in (spans[0].start, spans[-1].end))
    return Word(text, offset + start, offset + end, sure)
