"""Upper bounds on spherical codes: how many points of a sphere can have a given distance from each other."""

import math

import numpy as np
from scipy import linalg, special

from hopfield_theory import _arguments
from hopfield_theory.bounds import sphere

_LARGEST_DEGREE = 100


def log_code_size(height: float, dim: int) -> float:
    """Upper bound on the logarithm of the number of unit vectors with pairwise ``1 - cos >= height``.

    From a right angle on, Rankin's bounds: ``u/(u - 1)`` above height 1, and ``2d`` at 1. Below, the smaller of the
    volume bound (caps of half the angle do not overlap) and Levenshtein's bound, the finite-dimensional form of the
    Kabatiansky-Levenshtein exponent, with polynomials of degree up to 100.

    Parameters
    ----------
    height : float, in (0, 2]
        Smallest ``1 - cos`` between two points.
    dim : int, at least 2
        Dimension of the space.

    Returns
    -------
    float
        At least 0.

    Notes
    -----
    Rankin 1955; Levenshtein 1979; Kabatiansky and Levenshtein 1978.

    Examples
    --------
    In dimensions 8 and 24 the bound is attained by the kissing numbers:

    >>> [round(math.exp(log_code_size(0.5, dim))) for dim in (8, 24)]
    [240, 196560]
    """
    u = float(_arguments.array("height", height, np.finfo(float).tiny, 2.0))
    dim = _arguments.integer("dim", dim, 2)
    if u > 1.0:
        # Where u/(u - 1) is an integer, a rounding error must not lose a point.
        return math.log(max(1, math.floor(u / (u - 1.0) * (1.0 + 1e-12))))
    if u == 1.0:
        return math.log(2.0 * dim)
    # 1 - cos(θ/2) for 1 - cos(θ) = u, without cancellation.
    half = 0.5 * u / (1.0 + math.sqrt(1.0 - 0.5 * u))
    return min(-float(sphere.log_cap(half, dim)), _log_levenshtein(1.0 - u, dim))


def _log_levenshtein(s: float, dim: int) -> float:
    """Levenshtein's bound at largest cosine s, ``inf`` beyond the largest degree."""
    for k in range(1, _LARGEST_DEGREE + 1):
        if s <= _largest_zero(k, 1, 0, dim):
            lower, upper = _gegenbauer(k - 1, s, dim), _gegenbauer(k, s, dim)
            factor = (2 * k + dim - 3) / (dim - 1) - (lower - upper) / ((1.0 - s) * upper)
            return _log_binomial(k + dim - 3, k - 1) + math.log(factor)
        if s <= _largest_zero(k, 1, 1, dim):
            lower, upper = _gegenbauer(k, s, dim), _gegenbauer(k + 1, s, dim)
            factor = (2 * k + dim - 1) / (dim - 1) - (1.0 + s) * (lower - upper) / ((1.0 - s) * (lower + upper))
            return _log_binomial(k + dim - 2, k) + math.log(factor)
    return math.inf


def _largest_zero(degree: int, a: int, b: int, dim: int) -> float:
    """Largest zero of the Jacobi polynomial with parameters ``(a, b) + (dim - 3)/2``, from its Jacobi matrix."""
    p, q = a + 0.5 * (dim - 3), b + 0.5 * (dim - 3)
    k = np.arange(degree)
    total = 2.0 * k + p + q
    diagonal = np.where(k == 0, (q - p) / (p + q + 2.0), (q * q - p * p) / np.maximum(total * (total + 2.0), 1e-300))
    j, total = k[1:], total[1:]
    square = 4.0 * j * (j + p) * (j + q) * (j + p + q) / (total**2 * (total + 1.0) * np.where(j == 1, 1.0, total - 1.0))
    # At j = 1 the factor j + p + q cancels total - 1 = 1 + p + q, which vanishes for dim = 2.
    square = np.where(j == 1, 4.0 * (1.0 + p) * (1.0 + q) / ((p + q + 2.0) ** 2 * (p + q + 3.0)), square)
    return float(np.max(linalg.eigh_tridiagonal(diagonal, np.sqrt(square), eigvals_only=True)))


def _gegenbauer(degree: int, s: float, dim: int) -> float:
    """Gegenbauer polynomial of the sphere in R^dim, 1 at s = 1."""
    before, now = 0.0, 1.0
    for k in range(degree):
        before, now = now, ((2 * k + dim - 2) * s * now - k * before) / (k + dim - 2) if k else s
    return now


def _log_binomial(n: int, k: int) -> float:
    return float(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))
