"""The bounds of C3 and C7 on small probabilities at a given number of patterns; their free parameters are optimised.

The bounds hold for all parameters: the optimisation only makes them smaller.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy import optimize

from hopfield_theory._arguments import Floats
from hopfield_theory.bounds.chernoff import Case, Witness, log_failure
from hopfield_theory.bounds.crowding import Strip, TypicalWitness, log_typical_survival
from hopfield_theory.bounds.random_memory import RandomMemory

__all__ = ["log_crowd_failure", "log_near"]


_LARGEST_LOG_TILT = 300.0
_STRIPS = 8


def log_crowd_failure(memory: RandomMemory, cap: float, log_patterns: float) -> float:
    """Logarithm of a bound on the probability that patterns are not stored although no two are below a height.

    It is the last term ``M τ`` of C3 with the caps ``u_0 = u_1 = cap``, at the ball and the tilts that minimise it.

    Parameters
    ----------
    memory : RandomMemory
    cap : float, in (0, 2)
        The height u_0.
    log_patterns : float
        log M.

    Returns
    -------
    float
        At least 0 if nothing is proved.

    Examples
    --------
    >>> round(log_crowd_failure(RandomMemory(4, 1e5), 4e-5, math.log(7)), 1) < math.log(1e-9)
    True
    """

    def bound(point: Floats) -> float:
        share, first, second = (float(x) for x in point)
        # balls end half way to the nearest neighbour
        ball = math.sqrt(0.5 * cap) / (1 + math.exp(-share))
        case = Case(math.inf, math.inf, cap, ball, min(first, 300.0), min(second, 300.0))
        return log_failure(memory, Witness(0.0, 0.0, case), log_patterns, "all")

    starts = [np.array([share, tilt, tilt]) for share in (-3.0, -1.0, 0.0) for tilt in (2.0, 4.0)]
    options = {"xatol": 1e-3, "fatol": 1e-3, "maxfev": 200}
    return float(optimize.minimize(bound, min(starts, key=bound), method="Nelder-Mead", options=options).fun)


def log_near(memory: RandomMemory, error: float, cap: float, log_patterns: float) -> float:
    """Logarithm of the C7 bound on the probability of a fixed point within a distance of a given pattern.

    Parameters
    ----------
    memory : RandomMemory
    error : float, in (0, 1)
        The distance ρ, in units of m.
    cap : float, above ``error``
        Height below which patterns are left out of the crowd.
    log_patterns : float
        log M.

    Examples
    --------
    >>> log_near(RandomMemory(16, 8.0, -math.inf), 0.02, 0.4, math.log(92)) < math.log(1e-5)
    True
    """
    edges = np.linspace(0.0, error, _STRIPS + 1).tolist()
    tilts = math.log(1 / error) + np.linspace(1.5, 4.5, 3)
    grid = [np.array(point) for point in itertools.product((-1.0, -0.3, 0.4), tilts, tilts)]
    strips, nearby = [], grid[:1]
    for low, high in reversed(list(itertools.pairwise(edges))):

        def strip(point: Floats, low: float = low, high: float = high) -> Strip:
            slack, tilt, side = np.clip(point, -30.0, [3.0, 30.0, 30.0]).tolist()
            return Strip(low, high, math.exp(slack), tilt, side)

        def bound(point: Floats) -> float:
            return log_typical_survival(memory, TypicalWitness(0.0, error, cap, (strip(point),)), log_patterns)

        # far from good parameters the bound is flat, and the search needs a start where it is not
        start = min([*nearby, *grid], key=bound)
        options = {"xatol": 1e-2, "fatol": 1e-2, "maxfev": 120}
        nearby = [optimize.minimize(bound, start, method="Nelder-Mead", options=options).x]
        strips.append(strip(nearby[0]))
    return log_typical_survival(memory, TypicalWitness(0.0, error, cap, tuple(strips)), log_patterns)
