"""Pairs of transcripts per second: distances and alignments, compared with other libraries, on one thread.

5,000 pairs of about 100 characters with about 15 % errors (a third each of substitutions, deletions and
insertions). The programs take turns within each repeat, so that a slow phase of the machine affects all. A
peer that is not installed is left out and listed under `missing`. Results must agree before they are timed:
distances exactly; alignments of ours and kaldialign in cost, jiwer's with the distances.

Prints one JSON line per case: pairs per second from the median of the repeats, and ours / peer.

    python benchmarks/scoring.py --repeats 7
"""

import argparse
import importlib
import json
import random
import statistics
import string
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from asr_topdown.score.align import align_all
from asr_topdown.score.errors import count_alignment, distance

PAIRS, ERRORS = 5000, 0.15
Pairs = list[tuple[str, str]]


def make_pairs() -> Pairs:
    """Make sentences of 80 to 120 letters and blanks, and distorted copies."""
    chance = random.Random(0)
    letters = string.ascii_lowercase + " "
    pairs = []
    for _ in range(PAIRS):
        reference = "".join(chance.choices(letters, k=chance.randint(80, 120)))
        reference = " ".join(reference.split())
        hypothesis = ""
        for letter in reference:
            event = chance.random() / ERRORS
            if event > 2 / 3:
                hypothesis += letter
            if 1 / 3 < event < 1:
                hypothesis += chance.choice(letters)
        pairs.append((reference, " ".join(hypothesis.split())))
    return pairs


def timed(programs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Measure the median seconds of each program; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(repeats):
        for name, program in programs.items():
            start = time.perf_counter()
            program()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def show(case: str, programs: dict[str, Callable[[], Any]], repeats: int, missing: list[str]) -> None:
    rates = {name: PAIRS / value for name, value in timed(programs, repeats).items()}
    ratios = {name: round(rates["ours"] / rate, 2) for name, rate in rates.items() if name != "ours"}
    shown = {name: round(rate) for name, rate in rates.items()}
    print(json.dumps({"case": case, "pairs_per_second": shown, "ours_over": ratios, "missing": missing}))


def distances(pairs: Pairs, peers: dict[str, ModuleType], repeats: int, missing: list[str]) -> None:
    programs: dict[str, Callable[[], Any]] = {"ours": lambda: [distance(*pair) for pair in pairs]}
    if "editdistance" in peers:
        evaluate = peers["editdistance"].eval
        programs["editdistance"] = lambda: [evaluate(*pair) for pair in pairs]
        assert programs["ours"]() == programs["editdistance"]()
    show("distance", programs, repeats, missing)


def alignments(pairs: Pairs, peers: dict[str, ModuleType], repeats: int, missing: list[str]) -> None:
    split = [(list(reference), list(hypothesis)) for reference, hypothesis in pairs]
    references, hypotheses = map(list, zip(*pairs, strict=True))
    programs: dict[str, Callable[[], Any]] = {"ours": lambda: align_all(split)}
    if "jiwer" in peers:
        process = peers["jiwer"].process_characters
        programs["jiwer"] = lambda: process(references, hypotheses)
        found = programs["jiwer"]()
        errors = found.substitutions + found.deletions + found.insertions
        assert errors == sum(distance(*pair) for pair in pairs)
    if "kaldialign" in peers:
        align = peers["kaldialign"].align
        programs["kaldialign"] = lambda: [align(*pair, "*", sclite_mode=True) for pair in split]
        assert sum(map(cost_of_pairs, programs["kaldialign"]())) == sum(map(cost, programs["ours"]()))
    show("align", programs, repeats, missing)


def cost(alignment: Any) -> int:
    counts = count_alignment(alignment)
    return 4 * counts.substitutions + 3 * counts.deletions + 3 * counts.insertions


def cost_of_pairs(pairs: list[tuple[str, str]]) -> int:
    return sum(0 if left == right else 3 if "*" in (left, right) else 4 for left, right in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    peers: dict[str, ModuleType] = {}
    missing = []
    for name in ("editdistance", "jiwer", "kaldialign"):
        try:
            peers[name] = importlib.import_module(name)
        except ImportError:
            missing.append(name)
    pairs = make_pairs()
    distances(pairs, peers, args.repeats, missing)
    alignments(pairs, peers, args.repeats, missing)


if __name__ == "__main__":
    main()
