"""Worst-case retrieval bounds in closed form: statements T9 to T14 from a few numbers about a memory.

Nothing is sampled or iterated here: each function takes the number of patterns, the separation and the norms, and
returns what they force. Errors and weights are natural logarithms, and so is the number of patterns, since both may
leave the floats; the no-op mass n may be given as ``log_noop`` for the same reason (it then replaces ``noop``).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from hopfield_theory import _arguments

Floats = NDArray[np.float64]

_BISECTIONS = 200


def log_error(
    separation: ArrayLike,
    overlap: ArrayLike,
    *,
    log_patterns: ArrayLike,
    beta: float,
    radius: float = 1.0,
    noop: float = 1.0,
    log_noop: float | None = None,
) -> Floats:
    """Logarithm of the retrieval error bound T9, ``log [m (2A + B) / (1 + A + B)]``.

    ``A = (M - 1) exp(-β δ)`` and ``B = n exp(-β <ξ_μ, x>)``; one update of a query x lands within the bound of
    the pattern ξ_μ. It holds for negative δ as well, and never exceeds ``2m``.

    Parameters
    ----------
    separation : array_like
        δ, the smallest ``<ξ_μ - ξ_ν, x>`` over the other patterns; ``+inf`` for a single pattern.
    overlap : array_like
        ``<ξ_μ, x>``.
    log_patterns : array_like, at least 0
        log M.
    beta : float, above 0
        Inverse temperature.
    radius : float, above 0
        m, the largest norm of a pattern.
    noop : float, at least 0
        n, the no-op mass.
    log_noop : float, optional
        log n in place of `noop`.

    Returns
    -------
    ndarray, broadcast shape
        ``-inf`` where the error vanishes (one pattern, n = 0).

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

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
    log_a, log_b = _rivals(separation, overlap, log_patterns, beta, _arguments.log_noop(noop, log_noop))
    scale = math.log(_arguments.positive("radius", radius))
    return scale + np.logaddexp(math.log(2.0) + log_a, log_b) - np.logaddexp(0.0, np.logaddexp(log_a, log_b))


def closeness_slack(overlap: ArrayLike, squared_norm: ArrayLike, noop_weight: ArrayLike) -> Floats:
    """Slack of T10: positive exactly where a no-op slot of positive weight brings the update closer to the pattern.

    With ``s = 1 - p_0`` the update with no-op is ``s T_0(x)``, and it is closer to ξ than the dense update ``T_0(x)``
    exactly when ``½ (1 + s) |T_0(x)|² - <T_0(x), ξ> > 0`` (for ``p_0 > 0``).

    Parameters
    ----------
    overlap : array_like
        ``<T_0(x), ξ>`` of the dense update.
    squared_norm : array_like, at least 0
        ``|T_0(x)|²``.
    noop_weight : array_like, in [0, 1]
        p_0.

    Returns
    -------
    ndarray, broadcast shape

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

    Examples
    --------
    A single pattern is retrieved exactly by the dense model, so that a no-op slot can only harm:

    >>> float(closeness_slack(1.0, 1.0, 0.5))
    -0.25
    """
    cosine = _arguments.array("overlap", overlap)
    square = _arguments.array("squared_norm", squared_norm, 0.0)
    return (1.0 - 0.5 * _arguments.array("noop_weight", noop_weight, 0.0, 1.0)) * square - cosine


def log_outlier_errors(
    log_target: ArrayLike,
    log_others: ArrayLike,
    log_outliers: ArrayLike,
    *,
    radius: float = 1.0,
    outlier_radius: float | None = None,
    noop: float = 1.0,
    log_noop: float | None = None,
) -> tuple[Floats, Floats]:
    """Logarithms of the two error bounds of T11: outliers collapsed to mass n, and outliers kept as patterns.

    With ``S = e^{z_μ} + a`` they are ``m (2a + n) / (S + n)`` and ``[2 m a + (m + m_out) S_out] / (S + S_out)``.

    Parameters
    ----------
    log_target : array_like
        ``z_μ``, the scaled overlap of the query with the pattern to retrieve.
    log_others : array_like
        ``log a``, the log-sum-exp of the other real patterns' scores (``-inf``: there are none).
    log_outliers : array_like
        ``log S_out``, the log-sum-exp of the no-op patterns' scores.
    radius, outlier_radius : float, above 0
        Largest norms m and m_out of real and of no-op patterns; the second defaults to the first.
    noop, log_noop : float
        The no-op mass, or its logarithm.

    Returns
    -------
    classified, dense : ndarray, broadcast shape

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

    Examples
    --------
    >>> classified, dense = log_outlier_errors(5.0, 0.0, 3.0)
    >>> bool(classified < dense)
    True
    """
    log_n = _arguments.log_noop(noop, log_noop)
    m = _arguments.positive("radius", radius)
    outlier = m if outlier_radius is None else _arguments.positive("outlier_radius", outlier_radius)
    target = _arguments.array("log_target", log_target)
    others = _arguments.array("log_others", log_others)
    out = _arguments.array("log_outliers", log_outliers)
    total = np.logaddexp(target, others)
    twice = math.log(2.0 * m) + others
    classified = np.logaddexp(twice, math.log(m) + log_n) - np.logaddexp(total, log_n)
    dense = np.logaddexp(twice, math.log(m + outlier) + out) - np.logaddexp(total, out)
    return classified, dense


def log_outlier_threshold(
    log_target: ArrayLike, log_others: ArrayLike, *, noop: float = 1.0, log_noop: float | None = None
) -> Floats:
    """Logarithm of the outlier mass above which T11 favours the classified memory (outliers no longer than patterns).

    ``S_out > n (S - 2a) / (2S - 2a + n) = n (e^{z_μ} - a) / (2 e^{z_μ} + n)``; ``-inf`` where ``S <= 2a``: always.

    Parameters
    ----------
    log_target, log_others : array_like
        ``z_μ`` and ``log a`` as in `log_outlier_errors`.
    noop, log_noop : float
        The no-op mass, or its logarithm.

    Returns
    -------
    ndarray, broadcast shape
        At most ``log(n / 2)``.

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

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


def log_displacement(
    ball: ArrayLike,
    gap: ArrayLike,
    *,
    log_patterns: ArrayLike,
    beta: float,
    radius: float = 1.0,
    norm: ArrayLike | None = None,
    noop: float = 1.0,
    log_noop: float | None = None,
) -> Floats:
    """Logarithm of ``ε(R)`` in T12: how far from ξ_μ the update takes any point of the ball of radius R around it.

    ``ε(R) = 2m (M - 1) exp(-β (Δ - 2mR)) + m n exp(-β (|ξ_μ|² - |ξ_μ| R))``.

    Parameters
    ----------
    ball : array_like, at least 0
        R.
    gap : array_like
        Δ_μ, the smallest ``<ξ_μ, ξ_μ - ξ_ν>``; ``+inf`` for a single pattern.
    log_patterns : array_like, at least 0
        log M.
    beta, radius : float, above 0
        Inverse temperature, and m, the largest norm of a pattern.
    norm : array_like, optional
        ``|ξ_μ|``, `radius` if not given.
    noop, log_noop : float
        The no-op mass, or its logarithm.

    Returns
    -------
    ndarray, broadcast shape

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

    Examples
    --------
    >>> round(float(log_displacement(0.0, 20.0, log_patterns=np.log(2), beta=1.0, noop=0.0)), 6)
    -19.306853
    """
    m = _arguments.positive("radius", radius)
    log_a, log_b = _crowd(
        ball, gap, log_patterns=log_patterns, beta=beta, m=m, norm=norm, log_n=_arguments.log_noop(noop, log_noop)
    )
    return math.log(m) + np.logaddexp(math.log(2.0) + log_a, log_b)


def log_lipschitz(
    ball: ArrayLike,
    gap: ArrayLike,
    *,
    log_patterns: ArrayLike,
    beta: float,
    radius: float = 1.0,
    norm: ArrayLike | None = None,
    noop: float = 1.0,
    log_noop: float | None = None,
) -> Floats:
    """Logarithm of ``L(R)`` in T12: a Lipschitz constant of the update on the ball of radius R around ξ_μ.

    ``L(R) = β m² (4 (M - 1) exp(-β (Δ - 2mR)) + n exp(-β (|ξ_μ|² - |ξ_μ| R)))``.

    Parameters
    ----------
    ball, gap, log_patterns, beta, radius, norm, noop, log_noop
        As in `log_displacement`.

    Returns
    -------
    ndarray, broadcast shape

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

    Examples
    --------
    >>> bool(log_lipschitz(0.1, 20.0, log_patterns=np.log(2), beta=1.0) < 0)
    True
    """
    m = _arguments.positive("radius", radius)
    log_a, log_b = _crowd(
        ball, gap, log_patterns=log_patterns, beta=beta, m=m, norm=norm, log_n=_arguments.log_noop(noop, log_noop)
    )
    return math.log(beta) + 2.0 * math.log(m) + np.logaddexp(math.log(4.0) + log_a, log_b)


def log_stored_ball(
    gap: ArrayLike,
    *,
    log_patterns: ArrayLike,
    beta: float,
    radius: float = 1.0,
    norm: ArrayLike | None = None,
    noop: float = 1.0,
    log_noop: float | None = None,
) -> Floats:
    """Logarithm of the smallest ball that T12 certifies around a pattern, NaN where it certifies none.

    The ball is mapped into itself, ``ε(R) <= R <= m``, and contracted, ``L(R) < 1``; its radius bounds the distance
    from the pattern to its fixed point. ``ε`` is convex and ``L`` increases, so that the smallest R with
    ``ε(R) <= R`` is the best one for both.

    Parameters
    ----------
    gap, log_patterns, beta, radius, norm, noop, log_noop
        As in `log_displacement`.

    Returns
    -------
    ndarray, broadcast shape
        ``-inf`` where the pattern is itself a fixed point (one pattern, n = 0).

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

    Examples
    --------
    >>> ball = log_stored_ball([10.0, 3.0], log_patterns=np.log(50), beta=1.0, radius=4.0)
    >>> [round(float(r), 4) for r in np.exp(ball)]
    [0.0211, nan]
    """
    m = _arguments.positive("radius", radius)
    log_n = _arguments.log_noop(noop, log_noop)

    def crowd(ball: Floats) -> tuple[Floats, Floats]:
        return _crowd(ball, gap, log_patterns=log_patterns, beta=beta, m=m, norm=norm, log_n=log_n)

    def displacement(ball: Floats) -> Floats:
        log_a, log_b = crowd(ball)
        return math.log(m) + np.logaddexp(math.log(2.0) + log_a, log_b)

    own = m if norm is None else np.asarray(norm, dtype=np.float64)
    low = displacement(np.zeros(1))
    shape = low.shape
    # ε - R is smallest where ε' = 1: beyond it no new solution of ε(R) <= R begins.
    near, far = np.zeros(shape), np.full(shape, m)
    with np.errstate(divide="ignore"):
        for _ in range(_BISECTIONS):
            middle = 0.5 * (near + far)
            log_a, log_b = crowd(middle)
            slope = math.log(beta * m) + np.logaddexp(math.log(4.0 * m) + log_a, np.log(own) + log_b)
            near, far = np.where(slope < 0.0, middle, near), np.where(slope < 0.0, far, middle)
        high = np.log(far)
    found = displacement(np.exp(high)) <= high
    silent = np.isneginf(low)
    low, high = np.where(silent, -1.0, low), np.where(silent, 0.0, high)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        inside = displacement(np.exp(middle)) <= middle
        low, high = np.where(inside, low, middle), np.where(inside, middle, high)
    high = np.where(silent, -np.inf, high)
    log_a, log_b = crowd(np.exp(high))
    contracts = math.log(beta) + 2.0 * math.log(m) + np.logaddexp(math.log(4.0) + log_a, log_b) < 0.0
    answer = np.where(found & contracts, high, np.nan)
    return answer if np.ndim(gap) or np.ndim(log_patterns) or np.ndim(own) else answer[0]


def separation(
    *, log_patterns: float, beta: float, radius: float = 1.0, noop: float = 1.0, log_noop: float | None = None
) -> float:
    """Smallest gap Δ at which T12 stores a pattern of the largest norm m, over all balls; ``inf`` where none does.

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
        ``-inf`` for a single pattern that the leak leaves in place.

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

    Examples
    --------
    >>> gap = separation(log_patterns=np.log(1000), beta=1.0, radius=10.0, noop=0.0)
    >>> round(gap, 6), round(1 + math.log(999 * 400), 6)
    (13.898219, 13.898219)
    """
    square = _arguments.positive("radius", radius) ** 2
    kappa = _arguments.positive("beta", beta) * square
    log_m = float(_arguments.array("log_patterns", log_patterns, 0.0))
    least = _separation_offset(kappa, _arguments.log_noop(noop, log_noop))
    return square * (least + float(_log_less_one(log_m)) / kappa) if math.isfinite(least) else math.inf


def _separation_offset(kappa: float, log_n: float) -> float:
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
    """Distance to the fixed point that one step betrays, T13: ``|x_t - x*| <= |x_{t+1} - x_t| / (1 - L)``.

    Parameters
    ----------
    step : array_like, at least 0
        Length of the step from ``x_t``.
    lipschitz : array_like, at least 0
        L, a Lipschitz constant of the update on a ball that holds ``x_t`` and ``x*``.

    Returns
    -------
    ndarray, broadcast shape
        ``inf`` where ``L >= 1``: the step says nothing there.

    Raises
    ------
    ValueError
        If an argument is negative or NaN.

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
    noop: float = 1.0,
    log_noop: float | None = None,
) -> Floats:
    """Logarithm of the length that the answer to an unmatched query cannot exceed, T14.

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

    Returns
    -------
    ndarray, broadcast shape

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

    Examples
    --------
    >>> round(float(np.exp(log_answer(0.0, log_patterns=np.log(10), noop=90.0))), 6)
    0.1
    """
    log_n = _arguments.log_noop(noop, log_noop)
    score = _arguments.array("top_score", top_score)
    log_m = _arguments.array("log_patterns", log_patterns, 0.0)
    return math.log(_arguments.positive("radius", radius)) - np.logaddexp(0.0, log_n - log_m - score)


def log_noop_weight(
    mean_score: ArrayLike, *, log_patterns: ArrayLike, noop: float = 1.0, log_noop: float | None = None
) -> Floats:
    """Logarithm of the largest weight that the no-op slot can take at a given mean score, T14.

    ``p_0 <= n / (n + M exp(z))`` with z the mean of the M scores (Jensen).

    Parameters
    ----------
    mean_score : array_like
        z.
    log_patterns : array_like, at least 0
        log M.
    noop, log_noop : float
        The no-op mass, or its logarithm.

    Returns
    -------
    ndarray, broadcast shape
        ``-inf`` for n = 0.

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

    Examples
    --------
    >>> round(float(np.exp(log_noop_weight(0.0, log_patterns=np.log(99)))), 6)
    0.01
    """
    log_n = _arguments.log_noop(noop, log_noop)
    score = _arguments.array("mean_score", mean_score)
    log_m = _arguments.array("log_patterns", log_patterns, 0.0)
    return (
        -np.logaddexp(0.0, log_m + score - log_n) if math.isfinite(log_n) else np.full((log_m + score).shape, -np.inf)
    )


def _log_less_one(log_patterns: ArrayLike) -> Floats:
    """Return ``log(M - 1)``, ``-inf`` at M = 1."""
    log_m = np.asarray(log_patterns, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return log_m + np.log(-np.expm1(-log_m))


def _rivals(
    separation: ArrayLike, overlap: ArrayLike, log_patterns: ArrayLike, beta: float, log_n: float
) -> tuple[Floats, Floats]:
    """Return ``log (M - 1) exp(-β δ)`` and ``log n exp(-β <ξ, x>)``."""
    b = _arguments.positive("beta", beta)
    delta = _arguments.array("separation", separation)
    match = _arguments.array("overlap", overlap)
    return _log_less_one(_arguments.array("log_patterns", log_patterns, 0.0)) - b * delta, log_n - b * match


def _crowd(
    ball: ArrayLike,
    gap: ArrayLike,
    *,
    log_patterns: ArrayLike,
    beta: float,
    m: float,
    norm: ArrayLike | None,
    log_n: float,
) -> tuple[Floats, Floats]:
    """Return the two exponential terms of T12 at a ball, both as logarithms."""
    r = _arguments.array("ball", ball, 0.0)
    own = _arguments.array("norm", m if norm is None else norm, 0.0, m)
    return _rivals(_arguments.array("gap", gap) - 2.0 * m * r, own * (own - r), log_patterns, beta, log_n)
