"""Rates of false alarms and of detections of a comparison over seeds, by simulation.

    python benchmarks/false_alarms.py            # the tables of docs/statistics.md; ten minutes on one core
    python benchmarks/false_alarms.py --json --draws 500 --seeds 3 --utterances 76

Two systems with the same true error rate (25 %) are trained with S seeds each and tested on N utterances, in
many draws. A network's true rate is normally distributed around its system's, with the given spread, limited
to 1 to 95 %. An utterance has 4 to 120 reference units (log-normal, median 25) and a difficulty (gamma, mean
1, standard deviation 0.7) that multiplies the rate; its errors are Poisson. The difficulty is

    shared   the same for all networks: it cancels in the difference
    system   drawn for each system: what is hard for one may not be for the other, with any seed
    network  drawn for each network: all errors are independent

Tests: the hierarchical percentile bootstrap of version 0.1's reports, which draws utterances and,
independently, seeds; the paired t-test over seeds; and `asr_topdown.score.seeds`. A cell is the percentage of
draws with p below 0.05 and below 0.01. For the power an effect is added to each draw's difference.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from asr_topdown.score import student
from asr_topdown.score.seeds import spread

Floats = NDArray[np.float64]
Generator = np.random.Generator

RATE, MEDIAN_LENGTH, DIFFICULTY = 0.25, 25, 0.7
EFFECTS = (1, 2, 4)  # points
_AT_ONCE = 250


@dataclass(frozen=True)
class Cell:
    """A simulated case; `spread` is the standard deviation of networks' rates in points."""

    difficulty: str
    utterances: int
    seeds: int
    spread: float
    stress: str = ""


@dataclass(frozen=True)
class Found:
    """Shares of draws with p below 0.05 and 0.01 without effect, and below 0.05 at each of `EFFECTS`."""

    bootstrap: tuple[float, float] | None
    t: tuple[float, float]
    ours: tuple[float, float]
    power: tuple[float, ...]


def draw(cell: Cell, draws: int, generator: Generator) -> tuple[Floats, Floats]:
    """Draw errors (draws, 2, S, N) of two equal systems, and reference units (draws, N)."""
    lengths = generator.lognormal(np.log(MEDIAN_LENGTH), 0.5, (draws, cell.utterances))
    lengths = np.clip(np.round(lengths), 4, 120)
    systems = {"shared": 1, "system": 2, "network": 2}[cell.difficulty]
    networks = cell.seeds if cell.difficulty == "network" else 1
    shape = (draws, systems, networks, cell.utterances)
    difficulty = generator.gamma(DIFFICULTY**-2, DIFFICULTY**2, shape)
    expected = rates(cell, draws, generator)[..., None] * difficulty * lengths[:, None, None]
    return generator.poisson(expected).astype(np.float64), lengths


def rates(cell: Cell, draws: int, generator: Generator) -> Floats:
    """Draw the networks' true rates (draws, 2, S)."""
    shape = (draws, 2, cell.seeds)
    around = generator.standard_normal(shape)
    if cell.stress == "heavy tails":  # Student's t with 3 degrees of freedom, of unit variance
        around = generator.standard_t(3, shape) / np.sqrt(3)
    if cell.stress == "unequal spreads":
        around *= np.array([1.0, 0.25])[:, None]
    mean = 0.02 if cell.stress == "2 % errors" else RATE
    found = mean + cell.spread / 100 * around
    if cell.stress == "failures":  # one training in ten ends 30 points higher
        found += 0.3 * (generator.random(shape) < 0.1)
    return np.clip(found, min(0.01, mean / 4), 0.95)


def simulate(cell: Cell, args: argparse.Namespace, generator: Generator) -> Found:
    """Test `args.draws` pairs of systems, the first ones also with the bootstrap."""
    alarms: dict[str, list[NDArray[np.bool_]]] = {"bootstrap": [], "t": [], "ours": []}
    power: list[NDArray[np.bool_]] = []
    for start in range(0, args.draws, _AT_ONCE):
        errors, lengths = draw(cell, min(_AT_ONCE, args.draws - start), generator)
        found = spread(errors[:, 0], errors[:, 1], lengths)
        size = np.abs(found.difference)
        ends = np.stack([found.half_width(level) for level in (0.95, 0.99)])
        alarms["ours"].append(size > ends)
        critical = np.array([student.quantile(area, cell.seeds - 1) for area in (0.05, 0.01)])
        alarms["t"].append(size > critical[:, None] * np.sqrt(found.seeds))
        if start < args.bootstrap_draws:
            p = bootstrap(errors, lengths, args.resamples, generator)
            alarms["bootstrap"].append(np.stack([p < 0.05, p < 0.01]))
        power.append(np.stack([np.abs(found.difference + effect / 100) > ends[0] for effect in EFFECTS]))
    shares = {name: shares_of(parts) for name, parts in alarms.items() if parts}
    return Found(
        bootstrap=shares.get("bootstrap"), t=shares["t"], ours=shares["ours"], power=shares_of(power)
    )


def shares_of(parts: Sequence[NDArray[np.bool_]]) -> tuple[float, ...]:
    return tuple(np.concatenate(parts, axis=1).mean(1).tolist())


def bootstrap(errors: Floats, lengths: Floats, resamples: int, generator: Generator) -> Floats:
    """Return p (draws,) of the hierarchical percentile bootstrap; all draws share the resampled weights."""
    draws, _, seeds, utterances = errors.shape
    equal = np.full(utterances, 1 / utterances)
    weights = generator.multinomial(utterances, equal, resamples).T.astype(np.float64)
    chosen = generator.multinomial(seeds, np.full(seeds, 1 / seeds), resamples).T / seeds
    differences = (errors[:, 0] - errors[:, 1]).reshape(-1, utterances) @ weights
    drawn = (differences.reshape(draws, seeds, resamples) * chosen).sum(1) / (lengths @ weights)
    below, above = (drawn <= 0).sum(1), (drawn >= 0).sum(1)
    return np.minimum(1.0, 2 * (np.minimum(below, above) + 1) / (resamples + 1))


def cells(args: argparse.Namespace) -> Iterator[Cell]:
    for values in itertools.product(args.difficulty, args.utterances, args.seeds, args.spreads):
        yield Cell(*values)
    for stress in ("heavy tails", "unequal spreads", "failures", "2 % errors") if args.stress else ():
        for utterances, seeds in itertools.product(args.utterances, args.seeds):
            spread = 1.0 if stress == "2 % errors" else 4.0
            yield Cell("system", utterances, seeds, spread, stress)


def table(found: dict[Cell, Found], shown: Callable[[Found], str]) -> str:
    """Format as Markdown: a row per kind and number of utterances and seeds, a column per spread."""
    spreads = sorted({cell.spread for cell in found})
    header = ["difficulty", "utterances", "seeds", *(f"{one:g}" for one in spreads)]
    rows: dict[tuple[str, ...], list[str]] = {}
    for cell, one in found.items():
        rows.setdefault((cell.difficulty, str(cell.utterances), str(cell.seeds)), []).append(shown(one))
    lines = [header, [":--", *["--:"] * (len(header) - 1)], *([*key, *row] for key, row in rows.items())]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(shares: Sequence[float]) -> str:
    return " / ".join(f"{100 * share:.1f}" for share in shares)


def report(found: dict[Cell, Found]) -> str:
    plain = {cell: one for cell, one in found.items() if not cell.stress}
    parts = [
        "False alarms at 0.05 / 0.01 (percent): hierarchical bootstrap",
        table(plain, lambda one: percent(one.bootstrap) if one.bootstrap else "–"),
        "False alarms at 0.05 / 0.01: t-test over the seeds alone",
        table(plain, lambda one: percent(one.t)),
        "False alarms at 0.05 / 0.01: score.seeds",
        table(plain, lambda one: percent(one.ours)),
        f"Power of score.seeds at 0.05 for effects of {', '.join(map(str, EFFECTS))} points",
        table(plain, lambda one: " / ".join(f"{100 * share:.0f}" for share in one.power)),
    ]
    stressed = [
        f"| {cell.stress} | {cell.spread:g} | {cell.utterances} | {cell.seeds} | {percent(one.ours)} |"
        for cell, one in found.items()
        if cell.stress
    ]
    if stressed:
        header = [
            "| what else | spread | utterances | seeds | score.seeds |",
            "| :-- | --: | --: | --: | --: |",
        ]
        parts += ["False alarms under other assumptions", "\n".join([*header, *stressed])]
    return "\n\n".join(parts)


def numbers(kind: Callable[[str], float]) -> Callable[[str], list[float]]:
    return lambda text: [kind(one) for one in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument(
        "--bootstrap-draws", type=int, default=2000, help="draws that the bootstrap tests too"
    )
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--difficulty", type=lambda t: t.split(","), default=["shared", "system", "network"])
    parser.add_argument("--utterances", type=numbers(int), default=[76, 200, 500])
    parser.add_argument("--seeds", type=numbers(int), default=[3, 5, 10])
    parser.add_argument("--spreads", type=numbers(float), default=[0.0, 1.0, 2.0, 4.0, 8.0])
    parser.add_argument("--stress", action="store_true", help="also where what is assumed does not hold")
    parser.add_argument("--json", action="store_true", help="a line for each cell instead of tables")
    args = parser.parse_args()
    generator = np.random.default_rng(1)
    found = {}
    for cell in cells(args):
        found[cell] = simulate(cell, args, generator)
        if args.json:
            print(json.dumps({**asdict(cell), **asdict(found[cell])}), flush=True)
    if not args.json:
        print(report(found))


if __name__ == "__main__":
    main()
