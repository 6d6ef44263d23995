"""Worst-case retrieval bounds in closed form (T9 and T11 to T14), from a few numbers about a memory.

Nothing is sampled or iterated: each function takes the number of patterns, a margin or scores, and the norms. Errors,
weights and the number of patterns are natural logarithms, since they may overflow or underflow; for the same reason the
no-op mass n may be given as ``log_noop`` (it then replaces ``noop``).
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats


def log_error(
    margin: ArrayLike,
    overlap: ArrayLike,
    *,
    log_patterns: ArrayLike,
    beta: float,
    radius: float = 1.0,
    noop: float | None = None,
    log_noop: float | None = None,
) -> Floats:
    """Logarithm of the retrieval error bound T9, ``log [m (2A + B) / (1 + A + B)]``.

    ``A = (M - 1) exp(-β δ)`` and ``B = n exp(-β <ξ_μ, x>)``; one update of a query x lands within the bound of
    the pattern ξ_μ. It holds for negative δ as well, and never exceeds ``2m``.

    Parameters
    ----------
    margin : array_like
        δ, the smallest ``<ξ_μ - ξ_ν, x>`` over the other patterns; ``+inf`` for a single pattern.
    overlap : array_like
        ``<ξ_μ, x>``.
    log_patterns : array_like, at least 0
        log M.
    beta : float, above 0
        Inverse temperature.
    radius : float, above 0
        m, the largest norm of a pattern.
    noop : float, at least 0, optional
        n, the no-op mass; by default 1.
    log_noop : float, optional
        log n in place of ``noop``.

    Returns
    -------
    ndarray, broadcast shape
        ``-inf`` where the error vanishes (one pattern, n = 0).

    Notes
    -----
    Statement T9; the dense case in its exponential form is Theorem 5 of Ramsauer et al. 2021, arXiv:2008.02217, and
    Hu et al. 2024, arXiv:2404.03828, treat n = 1.

    Examples
    --------
    >>> bound = log_error(5.0, 10.0, log_patterns=np.log(100), beta=1.0, noop=1.0)
    >>> round(float(np.exp(bound)), 6)
    0.800286
    """
    log_a, log_b = _rivals(margin, overlap, log_patterns, beta, _arguments.log_noop(noop, log_noop))
    scale = math.log(_arguments.positive("radius", radius))
    return scale + np.logaddexp(math.log(2.0) + log_a, log_b) - np.logaddexp(0.0, np.logaddexp(log_a, log_b))


def log_outlier_threshold(
    log_target: ArrayLike, log_others: ArrayLike, *, noop: float | None = None, log_noop: float | None = None
) -> Floats:
    """Logarithm of the outlier mass above which T11 favours the classified memory, if outliers are no longer than m.

    ``S_out > n (e^{z_μ} - a) / (2 e^{z_μ} + n)``; where ``e^{z_μ} <= a`` it always does, and the logarithm is ``-inf``.

    Parameters
    ----------
    log_target : array_like
        ``z_μ``, the scaled overlap of the query with the pattern to retrieve.
    log_others : array_like
        ``log a``, the log-sum-exp of the scores of the other real patterns (``-inf`` if there are none).
    noop, log_noop : float
        The no-op mass, or its logarithm.

    Returns
    -------
    ndarray, broadcast shape
        At most ``log(n / 2)``.

    Examples
    --------
    >>> round(float(np.exp(log_outlier_threshold(3.0, -np.inf))), 6)
    0.487856
    """
    log_n = _arguments.log_noop(noop, log_noop)
    target = _arguments.array("log_target", log_target)
    others = _arguments.array("log_others", log_others)
    with np.errstate(divide="ignore"):
        rest = np.log(-np.expm1(np.minimum(others - target, 0.0)))
    return log_n + target + rest - np.logaddexp(math.log(2.0) + target, log_n)


def least_gap(
    *, log_patterns: float, beta: float, radius: float = 1.0, noop: float | None = None, log_noop: float | None = None
) -> float:
    """Smallest gap Δ at which T12 stores a pattern of the largest norm m, over all balls; ``inf`` if there is none.

    With ``R = ρ m``, ``κ = β m²`` and ``leak = n exp(-κ (1 - ρ))`` the two conditions of T12 read
    ``Δ/m² >= 2ρ + log[(M - 1) max(2 / (ρ - leak), 4 / (1/κ - leak))] / κ``, smallest where the two meet, at
    ``ρ = (1/κ + leak)/2``.

    Parameters
    ----------
    log_patterns : float, at least 0
        log M.
    beta, radius : float, above 0
        Inverse temperature, and the common norm m.
    noop, log_noop : float
        The no-op mass, or its logarithm.

    Returns
    -------
    float
        ``-inf`` for a single pattern, if the leak allows it to be stored.

    Examples
    --------
    >>> gap = least_gap(log_patterns=np.log(1000), beta=1.0, radius=10.0, noop=0.0)
    >>> round(gap, 6), round(1 + math.log(999 * 400), 6)
    (13.898219, 13.898219)
    """
    radius = _arguments.positive("radius", radius)
    square = radius * radius
    kappa = _arguments.positive("kappa", _arguments.positive("beta", beta) * square)
    log_m = float(_arguments.array("log_patterns", log_patterns, 0.0))
    least = gap_offset(kappa, _arguments.log_noop(noop, log_noop))
    return square * (least + float(log_less_one(log_m)) / kappa) if math.isfinite(least) else math.inf


def gap_offset(kappa: float, log_n: float) -> float:
    """Smallest ``Δ/m² - log(M - 1)/κ`` that T12 accepts, over balls up to the radius; ``inf`` if the leak forbids all.

    The self-map condition is stationary exactly where it meets the contraction condition, at
    ``ρ = (1/κ + leak(ρ)) / 2``, so that this point is the minimum; the Lambert function solves for it.
    """
    rho, leak = 1.0, math.exp(min(log_n, 1.0))
    argument = -math.exp(min(log_n + math.log(0.5 * kappa) + 0.5 - kappa, 0.0))
    if argument >= -math.exp(-1.0):
        share = -float(special.lambertw(argument).real)
        if share < 0.5 and (0.5 + share) / kappa <= 1.0:
            rho, leak = (0.5 + share) / kappa, 2.0 * share / kappa
    if leak >= rho or leak * kappa >= 1.0:
        return math.inf
    return 2.0 * rho + max(math.log(2.0 / (rho - leak)), math.log(4.0 / (1.0 / kappa - leak))) / kappa


def posterior_error(step: ArrayLike, lipschitz: ArrayLike) -> Floats:
    """Distance to the fixed point from the length of one step, T13: ``|x_t - x*| <= |x_{t+1} - x_t| / (1 - L)``.

    Parameters
    ----------
    step : array_like, at least 0
        Length of the step from ``x_t``.
    lipschitz : array_like, at least 0
        L, a Lipschitz constant of the update on a ball that contains ``x_t`` and ``x*``.

    Returns
    -------
    ndarray, broadcast shape
        ``inf`` where ``L >= 1``.

    Examples
    --------
    >>> float(posterior_error(0.1, 0.75))
    0.4
    """
    length = _arguments.array("step", step, 0.0)
    rate = _arguments.array("lipschitz", lipschitz, 0.0)
    return np.where(rate < 1.0, length / np.where(rate < 1.0, 1.0 - rate, 1.0), np.inf)


def log_answer(
    top_score: ArrayLike,
    *,
    log_patterns: ArrayLike,
    radius: float = 1.0,
    noop: float | None = None,
    log_noop: float | None = None,
) -> Floats:
    """Logarithm of the largest length of the answer to an unmatched query, T14.

    If every score is at most ``s``, then ``|T_n(x)| <= m (1 - p_0) <= m / (1 + exp(log n - log M - s))``.

    Parameters
    ----------
    top_score : array_like
        s, an upper bound on every ``β <ξ_ν, x>``.
    log_patterns : array_like, at least 0
        log M.
    radius : float, above 0
        m, the largest norm of a pattern.
    noop, log_noop : float
        The no-op mass, or its logarithm.

    Examples
    --------
    >>> round(float(np.exp(log_answer(0.0, log_patterns=np.log(10), noop=90.0))), 6)
    0.1
    """
    log_n = _arguments.log_noop(noop, log_noop)
    score = _arguments.array("top_score", top_score)
    log_m = _arguments.array("log_patterns", log_patterns, 0.0)
    return math.log(_arguments.positive("radius", radius)) - np.logaddexp(0.0, log_n - log_m - score)


def log_less_one(log_patterns: ArrayLike) -> Floats:
    """Return ``log(M - 1)``, ``-inf`` at M = 1."""
    log_m = np.asarray(log_patterns, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return log_m + np.log(-np.expm1(-log_m))


def _rivals(
    margin: ArrayLike, overlap: ArrayLike, log_patterns: ArrayLike, beta: float, log_n: float
) -> tuple[Floats, Floats]:
    """Return ``log (M - 1) exp(-β δ)`` and ``log n exp(-β <ξ, x>)``."""
    b = _arguments.positive("beta", beta)
    delta = _arguments.array("margin", margin)
    match = _arguments.array("overlap", overlap)
    return log_less_one(_arguments.array("log_patterns", log_patterns, 0.0)) - b * delta, log_n - b * match
