"""Word errors as counted by NIST for Hub-5 (hubscr.pl -l english -h hub5), without NIST's programs.

Reference (stm) and hypothesis (ctm) are processed as in csrfilt.sh: upper case, mapping rules (glm), hyphens
inside words to blanks, `(a b)` to `(a) (b)`. A word of the hypothesis belongs to the segment that contains
its middle. Each segment is aligned by `network.count`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from asr_topdown.score import ctm, glm, network, stm
from asr_topdown.score.errors import ErrorCounts

PARTS: Mapping[str, str] = MappingProxyType({"SWBD": "sw_", "CallHome": "en_", "Fisher": "fsh_"})
"""Part of a test set -> prefix of its files' names (eval2000, rt03)."""
ALL = "all"

_BALANCED = re.compile(r"\([^()]+\)")
_INNER_HYPHEN = re.compile(r"([^( ])-(?=[^) ])")
_SECOND_OPTIONAL = re.compile(r"(\(\s+[^()\s]+\s+)([^()\s]+)")


@dataclass(frozen=True)
class ScoredSegment:
    """A segment of the reference and its counts."""

    segment: stm.Segment
    reference: str
    hypothesis: str
    counts: ErrorCounts


@dataclass(frozen=True)
class Hub5Score:
    """All scored segments, in the order of file, channel and time."""

    segments: tuple[ScoredSegment, ...]

    def parts(self) -> dict[str, "Hub5Score"]:
        """Return the scores of those of SWBD, CallHome and Fisher that exist, and of `all`."""
        found = {
            name: Hub5Score(tuple(one for one in self.segments if one.segment.file.startswith(prefix)))
            for name, prefix in PARTS.items()
        }
        return {name: part for name, part in found.items() if part.segments} | {ALL: self}

    @property
    def total(self) -> ErrorCounts:
        """The errors of all segments."""
        return sum((one.counts for one in self.segments), ErrorCounts())

    @property
    def wrong_segments(self) -> int:
        """Number of segments with an error."""
        return sum(one.counts.errors > 0 for one in self.segments)

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return {name: _json(part) for name, part in self.parts().items()}

    def table(self) -> str:
        """Format the error rates of the parts, one per line, as in sclite's summary."""
        lines = [f"{'':10} segments   words   Corr    Sub    Del    Ins    Err  S.Err"]
        for name, part in self.parts().items():
            total = part.total
            rates = [total.correct, total.substitutions, total.deletions, total.insertions, total.errors]
            percents = "".join(f"{_percent(count, total.reference):>7}" for count in rates)
            wrong = _percent(part.wrong_segments, len(part.segments))
            lines.append(f"{name:10} {len(part.segments):8} {total.reference:7}{percents}{wrong:>7}")
        return "\n".join(lines)


class GlmRules(NamedTuple):
    """The rules of a glm for references and for hypotheses."""

    reference: glm.Rules
    hypothesis: glm.Rules

    @classmethod
    def read(cls, path: Path | str) -> "GlmRules":
        """Read a glm file; see `glm.read`."""
        return cls(
            glm.read(path, type_="stm", purpose="ref"),
            glm.read(path, type_="ctm", purpose="hyp"),
        )


def score(segments: Sequence[stm.Segment], words: Iterable[ctm.Word], rules: GlmRules) -> Hub5Score:
    """Score a hypothesis against a reference.

    Raises:
        ValueError: naming file, channel and time, if parentheses or braces do not match; naming file and
            channel, if the hypothesis has words on a channel without reference; if no segment is scored.
    """
    references: dict[tuple[str, str], list[stm.Segment]] = defaultdict(list)
    for segment in segments:
        references[segment.file, segment.channel].append(segment)
    said: dict[tuple[str, str], list[ctm.Word]] = defaultdict(list)
    for word in words:
        said[word.file, word.channel].append(word)
    for file, channel in sorted(said.keys() - references.keys()):
        raise ValueError(f"the hypothesis has words in {file} {channel}, the reference has no such channel")
    scored = [
        one
        for side, there in sorted(references.items())
        for one in _score_side(sorted(there, key=lambda s: s.start), said.get(side, []), rules)
    ]
    if not scored:
        raise ValueError("the reference has no segment that is scored")
    return Hub5Score(tuple(scored))


def normalise(text: str, rules: glm.Rules) -> str:
    """Normalise a text as `csrfilt.sh -dh` does.

    Raises:
        ValueError: if parentheses do not match, or hold braces.
    """
    if re.search(r"[()]", _BALANCED.sub("", text)):
        raise ValueError(f"parentheses do not match: {text!r}")
    if re.search(r"\([^()]*\{", text):  # sclite fails
        raise ValueError(f"braces inside parentheses: {text!r}")
    text = re.sub(r"[ \t]+", " ", f" {text.upper()} ").replace("(", "( ").replace(")", " )")
    text = _INNER_HYPHEN.sub(r"\1 ", rules.apply(f" {text} "))
    found = 1
    while found:
        text, found = _SECOND_OPTIONAL.subn(r"\1) ( \2", text, count=1)
    # Rules may give lower case, and sclite ignores case.
    return " ".join(re.sub(r"\s+\)", ")", re.sub(r"\(\s+", "(", text)).upper().split())


def _score_side(
    segments: Sequence[stm.Segment], words: Iterable[ctm.Word], rules: GlmRules
) -> list[ScoredSegment]:
    scored = []
    heard = _expanded(words, rules.hypothesis)
    position = 0
    for number, segment in enumerate(segments):
        end = position
        # As in sclite: words between two segments belong to the later one, words after the last to the last.
        last = number == len(segments) - 1
        limit = float(np.float32(segment.end))  # sclite's times of segments have single precision
        while end < len(heard) and (last or heard[end].middle < limit):
            end += 1
        hypothesis = " ".join(item.text for item in heard[position:end])
        position = end
        if segment.scored:
            scored.append(_score_segment(segment, hypothesis, rules.reference))
    return scored


def _score_segment(segment: stm.Segment, hypothesis: str, rules: glm.Rules) -> ScoredSegment:
    try:
        reference = normalise(segment.text, rules)
        return ScoredSegment(segment, reference, hypothesis, network.count(reference, hypothesis))
    except ValueError as error:
        raise ValueError(f"{segment.file} {segment.channel} at {segment.start} s: {error}") from None


class _Heard(NamedTuple):
    """A word or alternatives, and the middle of the (latest) word in seconds."""

    text: str
    middle: float


def _expanded(words: Iterable[ctm.Word], rules: glm.Rules) -> list[_Heard]:
    """Apply the rules to each word; if they give several words, these share its time."""
    heard = []
    for word in sorted(words, key=lambda word: word.start):
        try:
            text = normalise(word.word, rules)
        except ValueError as error:
            raise ValueError(f"{word.file} {word.channel} at {word.start} s: {error}") from None
        choices = [choice.split() for choice in re.sub(r"[{}]", " ", text).split("/")]
        if len(choices) > 1:
            last = max(_middle(word, len(choice), len(choice) - 1) for choice in choices)
            heard.append(_Heard(f"{{ {' / '.join(map(' '.join, choices))} }}", last))
        else:
            heard += [_Heard(w, _middle(word, len(choices[0]), i)) for i, w in enumerate(choices[0])]
    return heard


def _middle(word: ctm.Word, number: int, position: int) -> float:
    """Return the middle of word `position` of `number` that share a word's time, rounded as in csrfilt."""
    if number == 1:
        return word.start + word.duration / 2
    share = word.duration / max(1, number)
    return round(word.start + share * position, 3) + round(share, 3) / 2


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def _json(part: Hub5Score) -> dict[str, Any]:
    total = part.total
    return {
        "segments": len(part.segments),
        "wrong_segments": part.wrong_segments,
        "reference": total.reference,
        **vars(total),
        "errors": total.errors,
        "rate": total.errors / total.reference if total.reference else None,
    }
