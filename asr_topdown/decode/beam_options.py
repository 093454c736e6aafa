"""Settings of the label-synchronous beam search, `decode.joint_beam`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BeamOptions:
    """Settings of the search.

    Attributes:
        beam: hypotheses kept per utterance.
        nbest: finished hypotheses wanted per utterance, at most `beam`.
        ctc_weight: lambda, 0 to 1; the decoder has the rest.
        lm_weight: beta.
        length_bonus: added for each label.
        max_length_ratio: most labels, as a share of the encoder's frames; with CTC never more than these.
        min_length_ratio: fewest labels, likewise.
        pre_beam: labels after each hypothesis that CTC scores, those that are best by all other scores; 0 =
            all. Scoring all is one matrix product, and exact: this pays from some thousand units on.
    """

    beam: int = 10
    nbest: int = 1
    ctc_weight: float = 0.3
    lm_weight: float = 0.0
    length_bonus: float = 0.0
    max_length_ratio: float = 1.0
    min_length_ratio: float = 0.0
    pre_beam: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.nbest <= self.beam:
            raise ValueError(f"nbest {self.nbest} must be between 1 and the beam, {self.beam}")

    def length_limits(self, frames: int) -> tuple[int, int]:
        """Fewest and most labels of an utterance of so many encoder frames."""
        longest = max(round(self.max_length_ratio * frames), min(frames, 1))
        if self.ctc_weight:
            longest = min(longest, frames)
        return min(round(self.min_length_ratio * frames), longest), longest
