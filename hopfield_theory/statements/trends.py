"""How bounds on the number of random patterns tend to the exponential threshold as the dimension grows (C4)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from hopfield_theory.bounds import mean_field, sphere
from hopfield_theory.statements.events import Bound, dense, slotted

Exponent = Callable[[float], float]
_DIMS = (200, 400, 800)


def threshold(lam: float) -> float:
    """Return α_1(λ)."""
    return float(mean_field.threshold(lam))


def overlap(lam: float) -> float:
    """Overlap that dominates the crowd, where ``λ s + ½ log(1 - s²)`` is largest."""
    return 2 * lam / (1 + math.hypot(1.0, 2 * lam))


def optimised(threshold: Exponent) -> float:
    """Compare with a search for the maximum over s.

    Brent's search misses the place by δ < 5e-8. The curvature there is ``λ² (1 + s²)/s²``, which is at most 2.1e4, so
    that the maximum is missed by less than 3e-11.
    """

    def searched(lam: float) -> float:
        found: Any = optimize.minimize_scalar(
            lambda s: -lam * s - 0.5 * math.log1p(-s * s),
            bounds=(0.0, 1.0),
            method="bounded",
            options={"xatol": 1e-12, "maxiter": 500},
        )
        return lam + found.fun

    lams = np.geomspace(0.01, 100.0, 41).tolist()
    return 1e-10 - max(abs(threshold(lam) - searched(lam)) for lam in lams)


def follows_exponential_moment(threshold: Exponent, lam: float) -> float:
    """Check that ``κ - log Ψ_d(κ)`` is ``α_1 d + ½ log(1 - s⁴)``, Laplace's method, up to a rest of order 1/d."""
    correction = 0.5 * math.log1p(-(overlap(lam) ** 4))
    rests = [
        abs(lam * d - float(sphere.log_mgf(lam * d, d)) - threshold(lam) * d - correction)
        for d in (50, 100, 200, 400, 800)
    ]
    return min(0.55 * rest - next_rest for rest, next_rest in itertools.pairwise(rests))


def _shares(log_patterns: Bound, threshold: Exponent, lam: float) -> list[float]:
    """Return ``log M/(α_1 d)`` over growing d, for ``κ = λ d`` and ``n = 0``."""
    settings = [dense(d, lam * d, 0.5) for d in _DIMS]
    return [log_patterns(setting) / (threshold(lam) * setting.memory.dim) for setting in settings]


def closes_in(log_patterns: Bound, threshold: Exponent, lam: float) -> float:
    """Check that each doubling of d reduces the distance to 1 by more than a third."""
    gaps = [abs(1 - share) for share in _shares(log_patterns, threshold, lam)]
    return min(2 / 3 * gap - next_gap for gap, next_gap in itertools.pairwise(gaps))


def extrapolates(log_patterns: Bound, threshold: Exponent, lam: float) -> float:
    """Check the constant of ``a + b log(d)/d + c/d`` through the shares; terms of order log²(d)/d² are neglected."""
    terms = [[1.0, math.log(d) / d, 1 / d] for d in _DIMS]
    constant = np.linalg.solve(terms, _shares(log_patterns, threshold, lam))[0]
    return (math.log(_DIMS[0]) / _DIMS[0]) ** 2 - abs(float(constant) - 1)


def unmoved(log_patterns: Bound, lam: float, nu: float) -> float:
    """Check that a no-op mass ``exp(ν d)`` below ``exp(λ d)`` costs less than one pattern in a million."""
    dim = _DIMS[-1]
    with_noop, dense = (log_patterns(slotted(dim, lam * dim, 0.5, log_n)) for log_n in (nu * dim, -math.inf))
    return 1e-6 - abs(with_noop - dense)


def silenced(log_patterns: Bound, lam: float, nu: float) -> float:
    """Check that with a no-op mass ``exp(ν d)`` above ``exp(λ d)`` not even two patterns are stored."""
    return math.log(2.0) - max(log_patterns(slotted(d, lam * d, 0.5, nu * d)) for d in _DIMS)
