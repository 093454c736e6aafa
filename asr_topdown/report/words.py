"""Format numbers for readers."""

import statistics
from collections.abc import Iterable

NOTHING = "–"


def number(value: float | None) -> str:
    """Two decimals: "21.34"."""
    return NOTHING if value is None else f"{value:.2f}"


def signed(value: float) -> str:
    """With its sign: "+0.50", "−6.00"."""
    return f"{value:+.2f}".replace("-", "−")


def mean(values: Iterable[float]) -> float | None:
    """The mean; None if there are no values."""
    values = list(values)
    return statistics.fmean(values) if values else None


def deviation(values: Iterable[float]) -> float | None:
    """The sample standard deviation; None of fewer than two."""
    values = list(values)
    return statistics.stdev(values) if len(values) > 1 else None


def mean_sd(values: Iterable[float]) -> str:
    """The mean and, for several values, the sample standard deviation: "21.34 ± 0.52"."""
    values = list(values)
    spread = deviation(values)
    return number(mean(values)) + (f" ± {spread:.2f}" if spread is not None else "")


def p_text(p_value: float) -> str:
    """As "p = 0.012", or "p < 0.001"."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def count(number: int, word: str) -> str:
    """As "1 training", "1,024 trainings"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
