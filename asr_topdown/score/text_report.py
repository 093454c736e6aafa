"""Score reports as text: a summary for the terminal, and the full report with every alignment."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asr_topdown.score.errors import ErrorCounts, Unit
from asr_topdown.score.mapsswe import MatchedPairs
from asr_topdown.score.report import ScoredUtterance, ScoreReport
from asr_topdown.score.significance import RateDifference, RateInterval
from asr_topdown.text import SPACE

# Columns after which an alignment is continued below.
_WIDTH = 100
_PLURAL: dict[Unit, str] = {"word": "words", "char": "characters", "label": "labels"}


@dataclass(frozen=True)
class Comparison:
    """The tests' results for a first system against a second one."""

    bootstrap: RateDifference
    matched_pairs: MatchedPairs


def summary(reports: Sequence[ScoreReport], intervals: Sequence[RateInterval], level: float = 0.95) -> str:
    """Format a table with a row per report: counts, rate with confidence interval, sentence error rate."""
    header = [
        "",
        "units",
        "corr",
        "sub",
        "del",
        "ins",
        "err",
        "rate %",
        f"{100 * level:g} % interval",
        "sent. err %",
    ]
    rows = [
        [
            report.name,
            *_counts(report.total),
            _percent(report.rate),
            f"{_percent(interval.low)} .. {_percent(interval.high)}",
            _percent(report.sentence_error_rate),
        ]
        for report, interval in zip(reports, intervals, strict=True)
    ]
    return _table([header, *rows])


def comparison(first: ScoreReport, second: ScoreReport, tests: Comparison, level: float = 0.95) -> str:
    """Format the comparison of two systems: rates, difference with confidence interval, and both tests."""
    bootstrap, pairs = tests.bootstrap, tests.matched_pairs
    difference, low, high = bootstrap.second_minus_first()
    mean, z = pairs.second_minus_first()
    if bootstrap.difference == 0:
        verdict = "no difference"
    else:
        fewer = "second" if bootstrap.difference > 0 else "first"
        verdict = f"the {fewer} system has fewer errors, by {_points(abs(bootstrap.difference))}"
        if first.rate:
            verdict += f" ({_percent(abs(bootstrap.difference) / first.rate)} % of the first's errors)"
    return "\n".join(
        [
            f"{first.name} first {_percent(first.rate)} %, second {_percent(second.rate)} %: {verdict}",
            f"  paired bootstrap: second - first = {_points(difference)}, "
            f"{100 * level:g} % interval {_percent(low)} .. {_percent(high)}, "
            f"p = {p_value(bootstrap.p_value)}",
            f"  matched pairs (MAPSSWE): {pairs.segments} segments, mean difference {mean:.3f}, "
            f"Z = {z:.3f}, p = {p_value(pairs.p_value)}",
        ]
    )


def full_report(report: ScoreReport, *, top: int = 20) -> str:
    """Format sums, speakers, confusions, deletions, insertions, worst utterances and all alignments.

    Args:
        report: of one system.
        top: length of the lists.
    """
    total = report.total
    count = len(report.utterances)
    parts = [
        f"{report.name} {_percent(report.rate)} %: {total.errors} errors in {total.reference} "
        f"{_PLURAL[report.unit]} ({total.substitutions} substitutions, {total.deletions} deletions, "
        f"{total.insertions} insertions)\n"
        f"Sentences with an error: {report.wrong_sentences} of {count} "
        f"({_percent(report.sentence_error_rate)} %)",
        _speakers(report),
        _ranking("Confusions (reference -> hypothesis)", report.confusions(), top),
        _ranking("Deleted", report.deleted(), top),
        _ranking("Inserted", report.inserted(), top),
        _alignments("Worst utterances", report.worst(top)),
        _alignments("All utterances", report.utterances),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def aligned(one: ScoredUtterance) -> str:
    """Format an alignment as in sclite's .pra, with stars for gaps; case is kept, and <space> shown as _."""
    counts = one.counts
    steps: list[tuple[str, str, str]] = []
    for (left, right), operation in zip(one.alignment.pairs(), one.alignment.operations, strict=True):
        shown_left, shown_right = _shown(left), _shown(right)
        width = max(_width(shown_left), _width(shown_right))
        steps.append(
            (
                _padded(shown_left, width) if left is not None else "*" * width,
                _padded(shown_right, width) if right is not None else "*" * width,
                _padded("" if operation == "C" else operation, width),
            )
        )
    lines = [
        f"id: {one.utterance}",
        "Scores: (#C #S #D #I) "
        f"{counts.correct} {counts.substitutions} {counts.deletions} {counts.insertions}",
    ]
    for chunk in _chunks(steps):
        for label, row in zip(("REF: ", "HYP: ", "Eval:"), zip(*chunk, strict=True), strict=True):
            lines.append(f"{label} {' '.join(row)}".rstrip())
    return "\n".join(lines)


def _chunks(steps: Iterable[tuple[str, str, str]]) -> Iterable[list[tuple[str, str, str]]]:
    """Break an alignment into lines; an empty alignment has one, empty."""
    chunk: list[tuple[str, str, str]] = []
    used = 0
    for step in steps:
        width = _width(step[0]) + 1
        if chunk and used + width > _WIDTH:
            yield chunk
            chunk, used = [], 0
        chunk.append(step)
        used += width
    yield chunk or [("", "", "")]


def _speakers(report: ScoreReport) -> str:
    groups = report.speakers()
    if not groups:
        return ""
    rows = [["Speaker", "sentences", "units", "corr", "sub", "del", "ins", "err", "rate %", "sent. err %"]]
    for name, utterances in [*groups.items(), ("all", report.utterances)]:
        counts = sum((one.counts for one in utterances), ErrorCounts())
        wrong = sum(one.counts.errors > 0 for one in utterances) / len(utterances)
        rows.append([name, str(len(utterances)), *_counts(counts), _percent(counts.rate), _percent(wrong)])
    return _table(rows)


def _ranking(title: str, counts: "Counter[str] | Counter[tuple[str, str]]", top: int) -> str:
    """List the most frequent entries, ties in the order of their names."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{title}: {sum(counts.values())}, {len(counts)} different"]
    for entry, count in ranked[:top]:
        shown = _shown(entry) if isinstance(entry, str) else " -> ".join(map(_shown, entry))
        lines.append(f"{count:7d}  {shown}")
    return "\n".join(lines)


def _alignments(title: str, utterances: Sequence[ScoredUtterance]) -> str:
    return "\n\n".join([f"{title}: {len(utterances)}", *map(aligned, utterances)])


def _counts(counts: ErrorCounts) -> list[str]:
    return [
        str(value)
        for value in (
            counts.reference,
            counts.correct,
            counts.substitutions,
            counts.deletions,
            counts.insertions,
            counts.errors,
        )
    ]


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Align columns: the first to the left, numbers to the right."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [" " * (width - _width(cell)) + cell for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([_padded(first, widths[0]), *cells]))
    return "\n".join(lines)


def _shown(unit: str | None) -> str:
    return "_" if unit == SPACE else unit or ""


def _width(text: str) -> int:
    """Return the width on a terminal: wide East Asian characters take two columns, combining marks none."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _points(fraction: float) -> str:
    return f"{100 * fraction:.2f} points"


def p_value(value: float) -> str:
    """Four decimals, or two digits of a smaller one."""
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"
