"""The number of random patterns at which one update, or the fixed point, loses its target, for up to e^700 patterns."""

from __future__ import annotations

import math
from functools import cache
from typing import cast

import numpy as np
from scipy import optimize

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import mean_field
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.measured.crossing import Crossing, crossing
from hopfield_theory.sampled.fixed_points import fixed_points
from hopfield_theory.sampled.one_update import one_update
from hopfield_theory.statistics import Interval

__all__ = ["fixed_point_capacity", "half_weight_error", "one_update_capacity"]

# A crowd of e^50 times the weight of target and slot acts like an infinite one.
_OUTWEIGHED = 50.0


def half_weight_error(lam: float) -> float:
    """Error of one update, in units of m, that leaves half of the weight with the target, for large dimensions.

    As the crowd grows without limit, the update of ξ_1 tends to ``s ξ_1`` with ``s = (sqrt(1 + 4λ²) - 1)/(2λ)``, the
    limit of ``I_{d/2}(λd) / I_{d/2-1}(λd)``; half of the weight gives half of that error, ``(1 - s)/2``.

    Parameters
    ----------
    lam : float, above 0
        ``λ = κ/d``.

    Examples
    --------
    >>> round(half_weight_error(2.0 / 3.0), 12)
    0.25
    """
    lam = _arguments.positive("lam", lam)
    return 0.5 - lam / (1.0 + math.hypot(1.0, 2.0 * lam))


def one_update_capacity(
    memory: RandomMemory,
    error: float | None = None,
    *,
    overlap: float = 1.0,
    noise: float = 0.0,
    trials: int = 400,
    seed: int = 0,
    ensemble: str = "sphere",
    tolerance: float = 1e-4,
) -> Interval:
    """Find the number of random patterns at which one update misses the target half of the time.

    Bracketing search for the log M at which the median of ``|T(x) - ξ_1|/m`` passes ``error``, with common random
    numbers; at the ends of the interval the quantiles at ``½ ± 1.96/(2 sqrt(trials))`` pass it.

    Parameters
    ----------
    memory : RandomMemory
    error : float, in (0, 1), optional
        Largest error of a success, in units of m; by default ``half_weight_error`` of λ. For a growing crowd the update
        of x = ξ_1 tends to ``s ξ_1`` with ``s = I_{d/2}(κ) / I_{d/2-1}(κ)``, so that only errors below 1 - s are
        exceeded permanently: on the sphere 0.5 has no capacity for λ above about ⅔.
    overlap, noise, ensemble
        Same as for ``one_update``.
    trials : int, at least 16
        Trials per number of patterns.
    seed : int, at least 0
        Used at every number of patterns.
    tolerance : float, above 0
        Error of log M, for the estimate and for the ends.

    Returns
    -------
    Interval
        Interval of log M for the noise of the trials, at 95%; ``-inf`` if a single target is missed, ``inf`` if even
        e^50 times as many patterns as outweigh the target leave the quantile below ``error``. If the quantile passes
        ``error`` several times, one passage is found.

    Examples
    --------
    >>> memory = RandomMemory.of_lambda(dim=100, lam=0.5)
    >>> found = one_update_capacity(memory, error=0.5, trials=100, seed=1)
    >>> found.low <= found.estimate <= found.high, 30 < found.estimate < 45
    (True, True)
    """
    _arguments.instance("memory", memory, RandomMemory)
    error = half_weight_error(memory.lam) if error is None else _arguments.probability("error", error)
    tolerance = _arguments.positive("tolerance", tolerance)
    trials = _arguments.integer("trials", trials, 16)

    @cache
    def errors(log_patterns: float) -> Floats:
        drawn = one_update(memory, log_patterns, trials, seed, overlap=overlap, noise=noise, ensemble=ensemble)
        return drawn.error

    most = max(memory.kappa * overlap, memory.log_noop, 0.0) + _OUTWEIGHED

    def passage(level: float) -> float:
        def excess(log_patterns: float) -> float:
            return float(np.quantile(errors(log_patterns), level)) - error

        if excess(0.0) > 0.0:
            return -math.inf
        return math.inf if excess(most) <= 0.0 else cast(float, optimize.brentq(excess, 0.0, most, xtol=tolerance))

    half_width = 0.98 / math.sqrt(trials)
    # Each passage is found to the tolerance only: closer ends may be in the wrong order.
    ends = [passage(level) for level in (0.5, 0.5 + half_width, 0.5 - half_width)]
    return Interval(ends[0], min(ends), max(ends), 0.95)


def fixed_point_capacity(
    memory: RandomMemory,
    error: float = 0.5,
    *,
    drawn: float = 2000.0,
    precision: float = 0.05,
    most_trials: int = 2000,
    seed: int = 0,
    device: str = "cpu",
) -> Crossing:
    """Find the number of random patterns at which half of them lose their fixed point, drawing only some patterns.

    Parameters
    ----------
    memory : RandomMemory
        Dimension at least 3.
    error : float, above 0
        Largest distance, in units of m, from a pattern to the end of retrieval at which it counts as stored.
    drawn, device
        Same as for :func:`~hopfield_theory.sampled.fixed_points.fixed_points`.
    precision, most_trials
        Same as for :func:`~hopfield_theory.measured.crossing.crossing`.
    seed : int, at least 0

    Returns
    -------
    Crossing
        Its interval is for the noise of the trials only. For λ > 1, retrieval may be ended by fluctuations of undrawn
        patterns; choose ``drawn`` large enough to include every pattern that overlaps the target strongly. For λ above
        ``1/(1 - (1 - error)²)``, 4/3 by default, the mean of the undrawn patterns never loses a pattern.

    Examples
    --------
    >>> found = fixed_point_capacity(RandomMemory.of_lambda(dim=48, lam=0.5), drawn=200, precision=0.3, seed=1)
    >>> 14 < found.log_patterns.estimate < 18  # α_1 d = 18.6
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    error = _arguments.positive("error", error)
    alpha = float(mean_field.threshold(memory.lam)) * memory.dim

    def stored(size: int, trials: int, first: int) -> int:
        found = fixed_points(memory, math.log(size), trials, seed, drawn=drawn, first=first, device=device)
        return int((found.error <= error).sum())

    return crossing(stored, min(0.9 * alpha, 700.0), 700.0, level=0.5, precision=precision, most_trials=most_trials)
