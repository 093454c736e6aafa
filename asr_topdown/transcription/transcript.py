"""A recogniser's results: text with times and confidences."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word with its times.

    Attributes:
        text: the word.
        start, end: in seconds from the start of the sound: from the first frame of the word's first unit to
            the last frame of its last unit in CTC's best alignment.
        confidence: mean probability of the word's units over their frames in the alignment, from 0 to 1. It
            ranks the words of one network and is not calibrated.
    """

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis of a search, and its score: a natural logarithm, higher is better."""

    text: str
    score: float


@dataclass(frozen=True)
class Segment:
    """A piece of sound that was recognised at once.

    Attributes:
        start, end: in seconds from the start of the sound.
        words: the best hypothesis with times; None if the network has no CTC output, or CTC cannot align
            another decoder's hypothesis.
        hypotheses: best first, at most `decode.nbest`.
    """

    start: float
    end: float
    words: tuple[Word, ...] | None
    hypotheses: tuple[Hypothesis, ...]

    @property
    def text(self) -> str:
        """The best hypothesis's text."""
        return self.hypotheses[0].text


@dataclass(frozen=True)
class Transcript:
    """The transcript of a sound.

    Attributes:
        source: its name, as given.
        seconds: its duration.
        segments: several if a long sound was cut.
    """

    source: str
    seconds: float
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """The best hypotheses of all segments, joined."""
        return " ".join(segment.text for segment in self.segments if segment.text)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments that have times."""
        return tuple(word for segment in self.segments for word in segment.words or ())


@dataclass(frozen=True)
class Failure:
    """A sound that could not be transcribed, and why, in one line."""

    source: str
    reason: str
