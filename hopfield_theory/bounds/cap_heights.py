"""Heights of caps from their shares of the sphere, down to shares of e^-700 and below."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import sphere

__all__ = ["log_height", "widest"]

# Where ``log u`` is below this, ``log P = a log(2u) - log(2 a B(a, ½))`` to the last digit; the error is ``a u``.
_TINY_LOG_HEIGHT = -45.0
_NEWTON_STEPS = 200
# Well above the rounding of a height, so that the share of a cap is not exceeded.
_LOWER = 1e-11


def log_height(log_share: ArrayLike, dim: int) -> Floats:
    """Logarithm of the height of the cap with a given share of the sphere: the inverse of ``sphere.log_cap``.

    The height ``u = 1 - cos(theta)`` is returned as a logarithm, since for d = 2 caps of share e^-700 have heights
    below the smallest float. The method is Newton's, for ``log P`` as a function of ``log u``, which is concave for
    ``d >= 3``: it starts on the left of the root, at the cap of a flat space, and needs no safeguard.

    Parameters
    ----------
    log_share : array_like, at most 0
        ``log P(1 - cos(theta) < u)``; there is no lower limit.
    dim : int, at least 2
        Dimension d of the space around the sphere.

    Returns
    -------
    ndarray, shape of ``log_share``
        ``log u``, at most log 2. The relative error of the share's logarithm is below 1e-12, plus the effect of half an
        ulp of ``log u``; beyond a half sphere this is true of the opposite cap's share.

    Examples
    --------
    >>> round(float(np.exp(log_height(np.log(0.25), dim=3))), 12)  # Archimedes
    0.5
    >>> round(float(log_height(-700.0, dim=2)), 6)  # u = θ²/2, θ = π e^-700
    -1398.403687
    """
    share = _arguments.array("log_share", log_share, -math.inf, 0.0)
    dim = _arguments.integer("dim", dim, 2)
    beyond = share > -math.log(2.0)
    with np.errstate(divide="ignore"):
        smaller = np.where(beyond, np.log(-np.expm1(share)), share)
    inverse = _log_height_of_arc if dim == 2 else _log_height_by_newton
    low = inverse(smaller.ravel(), dim).reshape(share.shape)
    return np.where(beyond, math.log(2.0) + np.log1p(-0.5 * np.exp(low)), low)


def widest(log_share: float, dim: int) -> float:
    """Return the height of the widest cap, up to a half sphere, of a share of at most ``exp(log_share)``.

    It is lower by 1e-11 of itself, and so the share is surely not exceeded.

    Examples
    --------
    >>> round(widest(math.log(0.25), dim=3), 9), round(widest(0.0, dim=3), 9)
    (0.5, 1.0)
    """
    return (1.0 - _LOWER) * math.exp(float(log_height(min(log_share, -math.log(2.0)), dim)))


def _log_height_of_arc(log_share: Floats, dim: int) -> Floats:
    del dim
    half_angle = 0.5 * math.pi * np.exp(log_share)
    return math.log(2.0) + 2.0 * (math.log(0.5 * math.pi) + log_share + np.log(np.sinc(half_angle / math.pi)))


def _log_height_by_newton(log_share: Floats, dim: int) -> Floats:
    a = 0.5 * (dim - 1)
    log_beta = special.betaln(a, 0.5)
    root = (log_share + math.log(2.0 * a) + log_beta) / a - math.log(2.0)
    active = np.flatnonzero(root > _TINY_LOG_HEIGHT)
    for _ in range(_NEWTON_STEPS):
        if not active.size:
            break
        v = root[active]
        u = np.exp(v)
        reached = _log_cap(v, dim)
        log_slope = v + (a - 1.0) * np.log(u * (2.0 - u)) - log_beta - reached
        step = (log_share[active] - reached) * np.exp(-log_slope)
        # A half sphere is the largest cap here; rounding may exceed it.
        root[active] = np.minimum(v + step, 0.0)
        active = active[np.abs(step) > 4e-16 * (1.0 + np.abs(v))]
    return root


def _log_cap(log_height: Floats, dim: int) -> Floats:
    # Close to a half sphere u (2 - u) loses digits that the cosine still has.
    cosine = -np.expm1(log_height)
    wide = cosine < 0.25
    share = sphere.log_cap(np.where(wide, 0.5, np.exp(log_height)), dim)
    near = 0.5 * special.betaincc(0.5, 0.5 * (dim - 1), cosine[wide] ** 2)
    share[wide] = np.where(
        near > 1e-200, np.log(np.maximum(near, 1e-200)), sphere.log_cap(np.exp(log_height[wide]), dim)
    )
    return share
