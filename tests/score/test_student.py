"""Student's t against printed tables, against its definition, and against the normal distribution."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from asr_topdown.score.student import quantile, tail


@pytest.mark.parametrize(
    ("freedom", "area", "t"),
    [  # any printed table of critical values
        (1, 0.05, 12.706), (2, 0.05, 4.303), (2, 0.01, 9.925), (2, 0.001, 31.599), (4, 0.05, 2.776),
        (9, 0.05, 2.262), (9, 0.01, 3.250), (9, 0.2, 1.383), (30, 0.01, 2.750), (120, 0.05, 1.980),
    ],
)  # fmt: skip
def test_printed_quantiles(freedom: int, area: float, t: float) -> None:
    assert quantile(area, freedom) == pytest.approx(t, abs=6e-4)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 75, 76])
def test_the_tail_is_the_integral_of_the_density(freedom: int) -> None:
    """By the trapezoid rule on a fine grid."""
    grid = np.linspace(0, 4, 400_001)
    scale = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(freedom * math.pi)
    density = scale * (1 + grid**2 / freedom) ** (-(freedom + 1) / 2)
    for end in (0.3, 1.0, 2.5, 4.0):
        upto = grid <= end + 1e-9
        inside = 2 * np.trapezoid(density[upto], grid[upto])
        assert tail(end, freedom) == pytest.approx(1 - inside, abs=1e-9)
        assert tail(-end, freedom) == tail(end, freedom)


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 499, 5000])
@pytest.mark.parametrize("area", [1.0, 0.9, 0.5, 0.05, 1e-3, 1e-6, 1e-9])
def test_the_quantile_inverts_the_tail(freedom: int, area: float) -> None:
    assert tail(quantile(area, freedom), freedom) == pytest.approx(area, rel=1e-6, abs=1e-14)


def test_with_much_freedom_it_is_the_normal_distribution() -> None:
    assert quantile(0.05, 20_000) == pytest.approx(NormalDist().inv_cdf(0.975), abs=2e-4)


@pytest.mark.parametrize("area", [0.0, -1.0, 1.1, math.nan])
def test_what_is_no_area_is_refused(area: float) -> None:
    with pytest.raises(ValueError, match="is not between"):
        quantile(area, 5)
