"""`asr-topdown score --stm --glm`: Hub-5 word errors, as counted by NIST on eval2000 and RT-03."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from asr_topdown import files
from asr_topdown.bin.scored import DIRECTION, Scored, bootstrap_of, transcripts_of
from asr_topdown.hashes import file_hash
from asr_topdown.score import ctm, nist, stm
from asr_topdown.score.hub5 import GlmRules, Hub5Score, score
from asr_topdown.score.significance import RateDifference, bootstrap_rate, paired_bootstrap, remark
from asr_topdown.score.text_report import p_value


def is_asked(args: argparse.Namespace) -> bool:
    """Whether the options request Hub-5 scoring.

    Raises:
        ValueError: if they are incomplete.
    """
    if args.stm is None and args.glm is None and not args.hubscr:
        return False
    if args.stm is None or args.glm is None:
        raise ValueError("Hub-5 scoring needs both --stm and --glm")
    return True


def keep(args: argparse.Namespace, folders: Iterable[Path]) -> None:
    """Write the word errors of decodings to hub5.json in their folders, for the report.

    It holds hashes of the files that were compared: the report shows no errors of earlier transcripts. They
    are made before the files are read: what replaces them meanwhile has not been compared.
    """
    compared = {"stm": file_hash(args.stm), "glm": file_hash(args.glm)}
    references, rules = stm.read(args.stm), GlmRules.read(args.glm)
    for folder in folders:
        hashes = {**compared, "text": file_hash(folder / "text")}
        said = ctm.from_transcripts(transcripts_of(folder))
        one = score(references, ctm.without_noise(said), rules)
        files.remove_leftovers(folder)
        files.write_json(
            folder / "hub5.json", {**hashes, "reference": str(args.stm), "scores": one.to_json()}
        )


def score_systems(args: argparse.Namespace, paths: Sequence[Path]) -> Scored:
    """Count the word errors of one or two systems, and test their difference."""
    references = stm.read(args.stm)
    rules = GlmRules.read(args.glm)
    scores = []
    scored = Scored([], {"reference": str(args.stm), "systems": []}, [])
    for path in paths:
        said = ctm.from_transcripts(transcripts_of(path))
        words = ctm.without_noise(said)
        one = score(references, words, rules)
        scores.append(one)
        scored.lines.append(f"{path}: {len(one.segments)} segments, word error rates in %")
        if ctm.mistaken(said):
            scored.lines.append(
                f"left out for the LAUGHTER in it, as in Kaldi: {', '.join(ctm.mistaken(said))}"
            )
        scored.lines.extend((one.table(), _interval(one, args)))
        if few := remark(len({*_sides(one)}), "sides of calls"):
            scored.lines.append(few)
        if args.hubscr:
            scored.lines.append(_compared_with_hubscr(references, words, args.glm, one))
        scored.document["systems"].append({"hypothesis": str(path), "scores": one.to_json()})
        scored.alignments.append(_report(path, one))
    if len(scores) == 2:
        lines, scored.document["comparison"] = _compare(scores[0], scores[1], args)
        scored.lines.extend(lines)
    return scored


def _interval(one: Hub5Score, args: argparse.Namespace) -> str:
    rate = bootstrap_rate(_errors(one), _references(one), blocks=_sides(one), **bootstrap_of(args))
    return f"95 % interval of all, drawing sides of calls: {100 * rate.low:.1f} .. {100 * rate.high:.1f}"


def _compare(
    first: Hub5Score, second: Hub5Score, args: argparse.Namespace
) -> tuple[list[str], dict[str, Any]]:
    """Test the difference of two systems in each part; return lines and JSON values."""
    lines, differences = [], {}
    for (name, left), right in zip(first.parts().items(), second.parts().values(), strict=True):
        found = paired_bootstrap(
            _errors(left),
            _errors(right),
            _references(left),
            second_references=_references(right),
            blocks=_sides(left),
            **bootstrap_of(args),
        )
        lines.append(
            f"{name:10} {DIRECTION} = {_points(found)}, p = {p_value(found.p_value)} (bootstrap over sides)"
        )
        differences[name] = {"direction": DIRECTION, **found.to_json()}
    return lines, differences


def _compared_with_hubscr(
    references: Sequence[stm.Segment], words: Sequence[ctm.Word], glm: Path, one: Hub5Score
) -> str:
    theirs, ours = nist.hubscr(references, words, glm), one.total
    same = "the same" if theirs == ours else f"not the same as ours ({ours.errors} of {ours.reference})"
    return f"hubscr.pl: {theirs.errors} errors in {theirs.reference} words, {100 * theirs.rate:.1f} %: {same}"


def _points(found: RateDifference) -> str:
    difference, low, high = (f"{100 * value:+.2f}" for value in found.second_minus_first())
    return f"{difference} [{low}, {high}] points"


def _errors(one: Hub5Score) -> list[int]:
    return [segment.counts.errors for segment in one.segments]


def _references(one: Hub5Score) -> list[int]:
    return [segment.counts.reference for segment in one.segments]


def _sides(one: Hub5Score) -> list[str]:
    return [f"{scored.segment.file} {scored.segment.channel}" for scored in one.segments]


def _report(path: Path, one: Hub5Score) -> str:
    lines = [f"{path}\n\n{one.table()}\n"]
    for scored in one.segments:
        where, counts = scored.segment, scored.counts
        lines.append(
            f"{where.file} {where.channel} {where.start:.2f} {where.end:.2f} (#C #S #D #I) {counts.correct} "
            f"{counts.substitutions} {counts.deletions} {counts.insertions}\n"
            f"REF: {scored.reference}\nHYP: {scored.hypothesis}\n"
        )
    return "\n".join(lines)
