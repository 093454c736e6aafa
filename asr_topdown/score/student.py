"""Student's t distribution for whole degrees of freedom: two-sided tail areas and their inverse.

The tail area is the finite series of Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.3 and
26.7.4; the inverse is Newton's method, which rises from a normal quantile to the root without overshooting
because the density decreases.
"""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_STEPS = 200  # far more than needed for any tail area above 1e-12


def tail(t: float, freedom: int) -> float:
    """Compute P(|T| >= |t|) with `freedom` degrees of freedom, to an absolute error of about 1e-15."""
    angle = math.atan(abs(t) / math.sqrt(freedom))
    powers = _coefficients(freedom) * math.cos(angle) ** np.arange(freedom % 2, freedom - 1, 2)
    inside = math.sin(angle) * float(powers.sum())
    if freedom % 2:
        inside = 2 / math.pi * (angle + inside)
    return min(1.0, max(0.0, 1.0 - inside))


def quantile(area: float, freedom: int) -> float:
    """Find the t >= 0 with `tail(t, freedom) == area`, for 1e-12 <= area <= 1.

    Raises:
        ValueError: for an area outside that range.
    """
    if not 1e-12 <= area <= 1:
        raise ValueError(f"tail area {area} is not between 1e-12 and 1")
    t = -NormalDist().inv_cdf(area / 2)
    for _ in range(_STEPS):
        step = (tail(t, freedom) - area) / (2 * _density(t, freedom))
        t += step
        if step <= 1e-12 * t:
            break
    return max(t, 0.0)


def _density(t: float, freedom: int) -> float:
    half = freedom / 2
    scale = math.lgamma(half + 0.5) - math.lgamma(half) - 0.5 * math.log(freedom * math.pi)
    return math.exp(scale - (half + 0.5) * math.log1p(t * t / freedom))


@lru_cache(maxsize=256)
def _coefficients(freedom: int) -> NDArray[np.float64]:
    """Return the cosine powers' coefficients: 1, 1/2, 1*3/2*4, ... (even) or 1, 2/3, 2*4/3*5, ... (odd)."""
    factors = np.arange(freedom % 2, freedom - 1, 2, dtype=np.float64)
    factors[1:] = (factors[1:] - 1) / factors[1:]
    factors[:1] = 1
    return np.cumprod(factors, dtype=np.float64)
