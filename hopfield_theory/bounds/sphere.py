"""Uniform points on the unit sphere of R^d: cap tails, exponential moments, Bessel ratios, sizes of spherical codes.

Values that may overflow or underflow are natural logarithms, for every ``dim`` from 2 and every ``kappa >= 0``. A cap
is given by its *height* ``u = 1 - cos(theta)`` rather than by its cosine, since the cosine of close patterns is 1 up
to rounding.
"""

import math
from functools import cache

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike, NDArray
from scipy import special

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats

# Below this modulus sqrt(order² + x²) the large-order expansion has not reached double precision at its last term.
_EXPANSION_MODULUS = 60.0
_EXPANSION_TERMS = 12
# From here on the series of a far cap is slow; then a is above 10 000, and two terms of the fraction err by 1e-17.
_SLOW_SERIES = 0.96
_FRACTION_TERMS = 2


def log_cap(height: ArrayLike, dim: int) -> Floats:
    """Logarithm of the share of the sphere in a cap: ``log P(1 - cos(theta) < height)``.

    With ``x = u (2 - u)`` and ``a = (d - 1)/2`` the share is ``½ I_x(a, ½) = ½ - ½ I_{1-x}(½, a)`` for heights ``u``
    up to 1, and one minus the opposite cap beyond. Where the incomplete beta function underflows, its hypergeometric
    series is used, ``x^a sqrt(1 - x) / (a B(a, ½)) · F(a + ½, 1; a + 1; x)``, whose terms are all positive.

    Parameters
    ----------
    height : array_like, in [0, 2]
        ``1 - cos(theta)`` at the rim of the cap: 0 is a point, 1 a half sphere, 2 the whole sphere.
    dim : int, at least 2
        Dimension d of the space around the sphere.

    Returns
    -------
    ndarray, shape of ``height``
        ``-inf`` at height 0, 0 at height 2; relative error of the logarithm below 1e-10.

    Examples
    --------
    >>> round(float(log_cap(0.5, dim=3)), 6)  # Archimedes: a quarter of the sphere
    -1.386294
    >>> round(float(log_cap(1e-3, dim=10_000)), 3)
    -31077.957
    """
    u = _arguments.array("height", height, 0.0, 2.0)
    a = 0.5 * (_arguments.integer("dim", dim, 2) - 1)
    small = np.minimum(u, 2.0 - u)
    x = small * (2.0 - small)
    with np.errstate(divide="ignore"):
        # near a half sphere x loses how far it is from 1
        near = small > 0.5
        tail = np.log(0.5 * np.where(near, special.betaincc(0.5, a, (1.0 - small) ** 2), special.betainc(a, 0.5, x)))
        far = tail < -500.0
        if np.any(far):
            tail = np.where(far, _log_far_cap(small, a), tail)
    return np.where(u > 1.0, np.log1p(-np.exp(tail)), tail)


def _log_far_cap(height: Floats, a: float) -> Floats:
    x = height * (2.0 - height)
    # Only caps whose share is below e^-500 are needed; the others would make the series slow, and are masked.
    wanted = a * np.log(x) < -400.0
    # Close to 1 the series needs too many terms, and the continued fraction few.
    close = wanted & (x > _SLOW_SERIES)
    step = np.where(wanted & ~close, x, 0.0)
    total = np.where(close, _cap_fraction(np.where(close, x, 0.0), a), _cap_series(step, a))
    return a * np.log(x) + np.log1p(-height) + np.log(total) - math.log(2.0 * a) - special.betaln(a, 0.5)


def _cap_series(step: Floats, a: float) -> Floats:
    """Sum the hypergeometric series ``F(a + ½, 1; a + 1; x)``."""
    term = np.ones_like(step)
    total = np.ones_like(step)
    # the largest step needs most terms
    most = float(step.max(initial=0.0))
    last, whole, k = 1.0, 1.0, 0
    while last > 1e-17 * whole:
        term *= step
        term *= a + 0.5 + k
        term /= a + 1.0 + k
        total += term
        last = last * most * (a + 0.5 + k) / (a + 1.0 + k)
        whole += last
        k += 1
    return total


def _cap_fraction(x: Floats, a: float) -> Floats:
    """Evaluate ``F(a + ½, 1; a + 1; x)`` for a of at least 10 000 by its continued fraction (DLMF 8.17.22)."""
    rest = np.ones_like(x)
    for m in range(_FRACTION_TERMS, 0, -1):
        even = m * (0.5 - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + 0.5 + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        rest = 1.0 + even / (1.0 + odd / rest)
    return 1.0 / (1.0 - (a + 0.5) * x / ((a + 1.0) * rest))


def log_density(angle: ArrayLike, dim: int) -> Floats:
    """Logarithm of the density of the angle theta between a uniform point and a fixed one.

    The density is ``Γ(d/2) / (sqrt(π) Γ((d-1)/2)) · sin(theta)^(d-2)``. It is smooth in the angle for every d; the
    quadratures of this package therefore integrate over angles.

    Parameters
    ----------
    angle : array_like, in [0, π]
        Angle in radians.
    dim : int, at least 2
        Dimension of the space.

    Examples
    --------
    >>> round(float(np.exp(log_density(np.pi / 2, dim=3))), 6)
    0.5
    """
    theta = _arguments.array("angle", angle, 0.0, math.pi)
    dim = _arguments.integer("dim", dim, 2)
    return special.xlogy(dim - 2, np.sin(theta)) - special.betaln(0.5 * (dim - 1), 0.5)


def log_mgf(kappa: ArrayLike, dim: int) -> Floats:
    """Logarithm of the exponential moment ``Ψ_d(κ) = E exp(κ cos(theta))``.

    ``Ψ_d(κ) = Γ(d/2) (2/κ)^ν I_ν(κ)`` with ``ν = d/2 - 1``. Where ``κ²`` is at most ``40 d/2`` or both order and
    argument are small, the power series ``Σ (κ²/4)^k / (k! (d/2)_k)`` is summed (all terms are positive, and the first
    one is left out, so that even ``log Ψ = κ²/(2d) = 5e-17`` is accurate to 13 digits). Elsewhere it is the Debye
    (uniform large-order) expansion of ``I_ν``, in powers of ``1/sqrt(ν² + κ²)``, which covers small orders at large
    arguments too.

    Parameters
    ----------
    kappa : array_like, at least 0
        ``β m²``, the inverse temperature in units of the squared radius.
    dim : int, at least 2
        Dimension of the space.

    Returns
    -------
    ndarray, shape of ``kappa``
        Between 0 and ``kappa``; relative error below 1e-10.

    Examples
    --------
    >>> round(float(log_mgf(2.0, dim=3)), 9), round(float(np.log(np.sinh(2.0) / 2.0)), 9)
    (0.595220192, 0.595220192)
    >>> round(float(log_mgf(1e6, dim=10_000)), 3)
    971963.61
    """
    k = _arguments.array("kappa", kappa, 0.0, np.finfo(float).max)
    nu = 0.5 * _arguments.integer("dim", dim, 2) - 1.0
    series = _small(nu, k)
    w = np.hypot(nu, k[~series])
    result = np.empty_like(k)
    result[series] = np.log1p(_series(nu, k[series]))
    # ν log(2/κ) and the exponent of I_ν are combined into one logarithm, which stays moderate.
    result[~series] = (
        special.gammaln(nu + 1.0)
        + (w - nu * np.log(0.5 * (nu + w)))
        - 0.5 * (math.log(2.0 * math.pi) + np.log(w))
        + np.log1p(_debye(nu, w, 0))
    )
    return result


def log_mgf_across(kappa: ArrayLike, dim: int) -> Floats:
    """Logarithm of the exponential moment in the ``dim - 1`` dimensions across a direction: ``log Ψ_{d-1}(κ)``.

    For ``dim = 2`` only a sign is left, and ``Ψ_1 = cosh``.

    Parameters
    ----------
    kappa : array_like, at least 0
        Strength of the weight.
    dim : int, at least 2
        Dimension of the space.

    Examples
    --------
    >>> round(float(log_mgf_across(1.0, dim=2)), 6), round(float(np.log(np.cosh(1.0))), 6)
    (0.433781, 0.433781)
    """
    if _arguments.integer("dim", dim, 2) > 2:
        return log_mgf(kappa, dim - 1)
    k = _arguments.array("kappa", kappa, 0.0, np.finfo(float).max)
    # log cosh without cancellation at either end.
    return np.where(
        k < 1.0,
        np.log1p(2.0 * np.sinh(0.5 * np.minimum(k, 1.0)) ** 2),
        k + np.log1p(np.exp(-k) ** 2) - math.log(2.0),
    )


def bessel_ratio(kappa: ArrayLike, dim: int) -> Floats:
    """Mean cosine under the weight ``exp(κ cos(theta))``: ``I_{d/2}(κ) / I_{d/2-1}(κ)``, the derivative of ``log_mgf``.

    Parameters
    ----------
    kappa : array_like, at least 0
        Strength of the weight.
    dim : int, at least 2
        Dimension of the space.

    Returns
    -------
    ndarray, shape of ``kappa``
        In [0, 1), relative error below 1e-10.

    Examples
    --------
    >>> round(float(bessel_ratio(2.0, dim=3)), 9), round(float(1 / np.tanh(2.0) - 0.5), 9)
    (0.537314721, 0.537314721)
    """
    k = _arguments.array("kappa", kappa, 0.0, np.finfo(float).max)
    dim = _arguments.integer("dim", dim, 2)
    nu = 0.5 * dim - 1.0
    series = _small(nu, k)
    low, high = k[series], k[~series]
    w = np.hypot(nu, high)
    result = np.empty_like(k)
    result[series] = (low / dim) * (1.0 + _series(nu + 1.0, low)) / (1.0 + _series(nu, low))
    result[~series] = high / (w + nu) + (w / high) * _debye(nu, w, 1) / (1.0 + _debye(nu, w, 0))
    return result


def _small(nu: float, x: Floats) -> NDArray[np.bool_]:
    return (x <= math.sqrt(40.0 * (nu + 1.0))) | (np.hypot(nu, x) <= _EXPANSION_MODULUS)


def _series(nu: float, x: Floats) -> Floats:
    """Sum over k >= 1 of ``(x²/4)^k / (k! (ν+1)_k)``."""
    square = 0.25 * x * x
    # the largest argument needs most terms, and tells how many
    most = float(square.max(initial=0.0))
    if most == 0.0:
        return square
    terms, whole = [most / (nu + 1.0)], most / (nu + 1.0)
    while terms[-1] > 1e-17 * whole:
        k = len(terms) + 1
        terms.append(terms[-1] * most / (k * (nu + k)))
        whole += terms[-1]
    # a single number is summed far quicker as a float
    if x.size == 1:
        return np.full_like(x, whole)
    scaled, total = square / most, np.zeros_like(x)
    for term in reversed(terms):
        total += term
        total *= scaled
    return total


def _debye(nu: float, w: Floats, which: int) -> Floats:
    """Return the correction sum of ``I_ν`` less 1, or of ``I_ν'`` less that of ``I_ν``, for ``w = sqrt(ν² + x²)``."""
    powers = ((nu / w) ** 2)[..., None] ** np.arange(_EXPANSION_TERMS + 1.0)
    return ((powers @ _debye_coefficients()[which]) * w[..., None] ** -np.arange(1.0, _EXPANSION_TERMS + 1.0)).sum(-1)


@cache
def _debye_coefficients() -> tuple[Floats, Floats]:
    """Return ``U_k(p)/p^k`` and ``(V_k(p) - U_k(p))/p^k`` by powers of ``p²``, a column per k (DLMF 10.41.9, .11)."""
    p = Polynomial([0.0, 1.0])
    bend = p**2 * (1.0 - p**2)
    us, vs = np.zeros((2, _EXPANSION_TERMS + 1, _EXPANSION_TERMS))
    previous = Polynomial([1.0])
    for k in range(1, _EXPANSION_TERMS + 1):
        u = 0.5 * bend * previous.deriv() + 0.125 * ((1.0 - 5.0 * p**2) * previous).integ()
        v = -0.5 * p * (1.0 - p**2) * previous - bend * previous.deriv()
        for table, polynomial in ((us, u), (vs, v)):
            table[: k + 1, k - 1] = polynomial.coef[k::2]
        previous = u
    return us, vs
