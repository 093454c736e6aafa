"""What is said in a sound file, with times and confidences: the results of a recogniser."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word, and when it is said.

    Attributes:
        text: the word.
        start, end: seconds from the beginning of the sound: of the first frame that CTC's best alignment
            gives to the word's first unit, and of the last that it gives to its last.
        confidence: mean probability of the word's units over the frames that the alignment gives them, from
            0 to 1. It orders the words of one network and is not calibrated.
    """

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """A text that a search considered, and its score: a natural logarithm, the higher the better."""

    text: str
    score: float


@dataclass(frozen=True)
class Segment:
    """A stretch of sound that was recognised as one.

    Attributes:
        start, end: seconds from the beginning of the sound.
        words: the best hypothesis with its times; None where the network has no CTC output, or CTC cannot
            spell what another decoder found.
        hypotheses: the best one first; as many as `decode.nbest` asks for, or fewer.
    """

    start: float
    end: float
    words: tuple[Word, ...] | None
    hypotheses: tuple[Hypothesis, ...]

    @property
    def text(self) -> str:
        """The best hypothesis."""
        return self.hypotheses[0].text


@dataclass(frozen=True)
class Transcript:
    """What is said in one sound.

    Attributes:
        source: its name, as it was given.
        seconds: how long it lasts.
        segments: one, or the several into which a long sound was cut.
    """

    source: str
    seconds: float
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """The best hypotheses of all segments."""
        return " ".join(segment.text for segment in self.segments if segment.text)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments, but for those without times."""
        return tuple(word for segment in self.segments for word in segment.words or ())


@dataclass(frozen=True)
class Failure:
    """A sound that could not be transcribed, and why, in one line."""

    source: str
    reason: str
