"""A convex bound ε(R) on how far T takes a ball of radius R from its centre, and the radii with ε(R) ≤ R."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["MARGIN", "Growth", "largest_eigenvalue"]

MARGIN = 1e-11
"""Relative margin of a bound: more than exponents of up to 700 make of the rounding of their factors."""


@dataclass(frozen=True)
class Growth:
    r"""The bounds :math:`L(R) = \sum_k a_k e^{b_k R}` and :math:`\varepsilon(R) = \varepsilon(0) + \int_0^R L`.

    Attributes
    ----------
    start : float
        ``ε(0)``.
    terms : tuple of pairs of floats
        The coefficients and rates, at least 0.
    """

    start: float
    terms: tuple[tuple[float, float], ...]

    def contraction(self, R: float) -> float:
        """Return L(R)."""
        return (1 + MARGIN) * sum(a * _exp(b * R) for a, b in self.terms if a > 0)

    def error(self, R: float) -> float:
        """Return ε(R)."""
        return (1 + MARGIN) * (self.start + sum(a * _integral(b, R) for a, b in self.terms if a > 0))

    def radii(self, most: float) -> tuple[float, float] | None:
        """Return the least and the largest R up to ``most`` with ε(R) ≤ R, and L < 1 at the least; None for none."""
        # where ε(R) − R is least
        best = _last(lambda R: self.contraction(R) < 1, most)
        if best == 0 or self.error(best) > best:
            return None
        inner = best - _last(lambda less: self.error(best - less) <= best - less, best)
        for _ in range(100):
            inner = min(inner, self.error(inner))
        if self.contraction(inner) >= 1:
            return None
        return inner, best + _last(lambda more: self.error(best + more) <= best + more, most - best) * (1 - MARGIN)


def largest_eigenvalue(rows: Tensor) -> float:
    """Return an upper bound on the largest eigenvalue of ``rowsᵀ rows``, rounding included."""
    count, dim = rows.shape
    if count == 0:
        return 0.0
    matrix = rows.mT @ rows if dim <= count else rows @ rows.mT
    trace = matrix.diagonal().sum().item()
    return torch.linalg.eigvalsh(matrix)[-1].item() + 4 * (count + dim + 64) * 2.0**-53 * trace


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


def _integral(rate: float, R: float) -> float:
    """The integral of ``e^{rate t}`` over ``[0, R]``."""
    if rate * R > 700:
        return math.inf
    return R if rate * R < 1e-12 else math.expm1(rate * R) / rate


def _last(true: Callable[[float], bool], high: float) -> float:
    """The point between 0 and ``high`` at which ``true`` ends, from below."""
    low = 0.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if true(middle) else (low, middle)
    return low
