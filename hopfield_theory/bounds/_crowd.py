"""Sums over the patterns above a cap, of numbers, vectors and matrices: their tails and the limits they keep (C10)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial.polynomial import polyval

from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds.random_memory import RandomMemory

# The kinds of the sums of a cell, of a side and of a shell: numbers, vectors in d - 1 dimensions, matrices of rank 1
# there or along the distance from the axis, components of vectors, and numbers times squares of coordinates.
CELL = ("scalar", "vector", "matrix")
SIDE = ("vector", "scalar", "matrix", "matrix")
SHELL = ("scalar", "vector", "whole", "whole", "component", "square", "square")

# The share by which limits lie above the least, well above the margin below which an exponent counts as 0;
# that of vectors is well above the error of a table as well.
_CLEAR, _CLEAR_OF_TABLE = 1e-6, 3e-4
# The coefficients of the power series of φ₂.
_CURVATURE = [1.0 / math.factorial(k + 2) for k in range(13)]
# The width to which the interval of a tilt is cut at least.
_SHORT = 0.2


@dataclass(frozen=True)
class Event:
    """The tail bound ``exp(log_count + M exp(log_mean) - exp(log_gain))``."""

    log_gain: float
    log_mean: float
    log_count: float = 0.0

    def log_tail(self, log_patterns: float) -> float:
        """Return the logarithm of the bound at M patterns, at most 0."""
        return min(0.0, self.log_count + _quadrature.log_gap(self.log_gain, log_patterns + self.log_mean))


class Crowd:
    """The patterns above a cap, at the nodes of a quadrature; ``kink`` is a height at which a summand has one.

    Rates are logarithms of summands: of numbers, of the lengths of vectors or of the eigenvalues of matrices.
    """

    def __init__(self, memory: RandomMemory, cap: float, kink: float) -> None:
        self._kappa, self._dim = memory.kappa, memory.dim
        self._height, self._log_weight = _quadrature.heights(cap, memory.dim, (kink,))
        self._side = np.sqrt(np.maximum(self._height * (2.0 - self._height), np.finfo(float).tiny))
        self._log_side = np.log(self._side)

    def excess(self, target: float) -> Floats:
        """Return ``(u - target)₊``."""
        return np.maximum(self._height - target, 0.0)

    def moment(self, centre: float) -> Floats:
        """Return ``(κ (u - centre)² - 1)₊``."""
        return np.maximum(self._kappa * (self._height - centre) ** 2 - 1.0, 0.0)

    def cell_rates(self, factor: Floats, high: float, across: float) -> tuple[Floats, ...]:
        """Return the rates of the three sums of a cell."""
        with np.errstate(divide="ignore"):
            along = np.log(factor) + self._log_along(high)
        curved = along + 2.0 * self._log_side + _log_curvature(self._kappa * across * self._side)
        return along, along + self._log_side, curved

    def side_rates(self, low: float, high: float, across: float) -> tuple[Floats, ...]:
        """Return the rates of the four sums of a side."""
        along = self._log_along(high)
        change = along + np.log(-np.expm1(-self._kappa * self._height * (high - low)))
        growth = along + 2.0 * self._log_side + _log_growth(self._kappa * across * self._side)
        return along + self._log_side, change, change + 2.0 * self._log_side, growth

    def stretch_rate(self, high: float, across: float) -> Floats:
        """Return the rates of ``κ Σ h exp(κ |τ| across) τ τᵀ``."""
        amplified = self._log_along(high) + self._kappa * across * self._side
        return math.log(self._kappa) + amplified + 2.0 * self._log_side

    def shell_rates(self, reach: float) -> tuple[Floats, ...]:
        """Return the rates of the seven sums of a shell."""
        along = self._log_along(0.0)
        number, vector = np.log(self._height) + along, self._log_side + along
        square, component = math.log(2.0 * self._kappa) + number, math.log(self._kappa) + self._log_side + vector
        grown = self._kappa * reach * np.sqrt(2.0 * self._height)
        return number, vector, square, square + grown, vector, component, component + grown

    def _log_along(self, high: float) -> Floats:
        return -self._kappa * self._height * (1.0 - high)

    def events(
        self, kinds: Sequence[str], rates: Sequence[Floats], limits: Sequence[float], log_tilts: Sequence[float]
    ) -> Iterator[Event]:
        """Return the tails of sums beyond their limits."""
        for kind, rate, limit, log_tilt in zip(kinds, rates, limits, log_tilts, strict=True):
            yield self.event(kind, rate, limit, log_tilt)

    def event(self, kind: str, rate: Floats, limit: float, log_tilt: float) -> Event:
        """Return the tail of one sum beyond its limit."""
        log_gain = log_tilt + math.log(limit)
        if kind in ("vector", "component"):
            growth = self._growth(_log_log_mgf(log_tilt + rate, self._dim))(0.0)
            if kind == "component":
                return Event(log_gain, growth, math.log(2.0))
            return Event(float(_log_log_mgf(np.array(log_gain), self._dim)), growth)
        if kind == "square":
            return Event(log_gain, self._log_squared(log_tilt + rate))
        log_count, log_share = self._shares(kind)
        return Event(log_gain, self._growth(rate, log_share)(log_tilt), log_count)

    def _shares(self, kind: str) -> tuple[float, Floats | float]:
        """Return the logarithms of the number of directions whose tails are added, and of the share of the mean in one.

        A direction from the axis to a pattern of height u has ``u/2`` of its square along the axis in the mean.
        """
        if kind == "whole":
            half = 0.5 * self._height
            return math.log(self._dim), np.log(np.maximum(half, (1.0 - half) / (self._dim - 1)))
        log_count = math.log(self._dim - 1) if kind == "matrix" else 0.0
        return log_count, -log_count

    def _growth(self, rate: Floats, log_share: Floats | float = 0.0) -> _quadrature.Growth:
        """Return ``log E[s (exp(t f) - 1)]``, a function of log t, from log f and log s."""
        return _quadrature.Growth(rate, self._log_weight + log_share)

    def _log_squared(self, log_exponent: Floats) -> float:
        """Return the logarithm of the bound ``(1 - 2f/(d - 1))^(-1/2) - 1`` on the mean of ``exp(f C²) - 1``."""
        log_share = log_exponent + math.log(2.0 / (self._dim - 1))
        if log_share.max() >= 0.0:
            return math.inf
        exact = -0.5 * np.log1p(-np.exp(np.maximum(log_share, -30.0)))
        return self._growth(np.where(log_share < -30.0, log_share - math.log(2.0), np.log(exact)))(0.0)

    def limited(
        self, kinds: Sequence[str], rates: Sequence[Floats], log_patterns: float, level: float
    ) -> dict[str, tuple[float, ...]]:
        """Return limits that each sum exceeds with probability ``exp(-level)`` at most, and their log tilts."""
        found = [self.limit(kind, rate, log_patterns, level) for kind, rate in zip(kinds, rates, strict=True)]
        return dict(zip(("limits", "log_tilts"), zip(*found, strict=True), strict=True))

    def limit(self, kind: str, rate: Floats, log_patterns: float, level: float) -> tuple[float, float]:
        """Return the least limit that a sum exceeds with probability ``exp(-level)`` at most, and its log tilt."""
        if kind in ("vector", "component"):
            return self._vector_limit(kind, rate, log_patterns, level)
        if kind == "square":
            return self._square_limit(rate, log_patterns, level)
        log_count, log_share = self._shares(kind)
        log_level, growth = math.log(level + log_count), self._growth(rate, log_share)

        def log_limit(log_tilt: float) -> float:
            return _log_sum(log_patterns + growth(log_tilt), log_level) - log_tilt

        # The best t solves M E[t f exp(t f) - exp(t f) + 1] = level, whose left side lies between the second moment
        # M E[(t f)²]/2 and that times exp(t max f).
        square = _quadrature.log_mean(self._log_weight + log_share, 2.0 * rate)
        high = 0.5 * (math.log(2.0) + log_level - log_patterns - square)
        low = min(-float(rate.max()), high - 0.5)
        log_tilt, least = _quadrature.minimum(
            log_limit, low, high, steps=_steps(high - low, 4 if high - low < 1.0 else 8)
        )
        return _within_floats(least, log_tilt)

    def _square_limit(self, rate: Floats, log_patterns: float, level: float) -> tuple[float, float]:
        def log_limit(log_tilt: float) -> float:
            return _log_sum(log_patterns + self._log_squared(log_tilt + rate), math.log(level)) - log_tilt

        square = log_patterns + _quadrature.log_mean(self._log_weight, 2.0 * rate) - 2.0 * math.log(self._dim - 1)
        high = math.log(0.49 * (self._dim - 1)) - float(rate.max())
        high = min(high, 0.5 * (math.log(level) - square) + 0.5)
        log_tilt, least = _quadrature.minimum(log_limit, high - 4.0, high, steps=9)
        return _within_floats(least, log_tilt)

    def _vector_limit(self, kind: str, rate: Floats, log_patterns: float, level: float) -> tuple[float, float]:
        log_x, log_psi = _mgf_table(self._dim)
        level += math.log(2.0) if kind == "component" else 0.0

        def log_limit(log_tilt: float) -> float:
            grown = log_patterns + self._growth(np.interp(log_tilt + rate, log_x, log_psi))(0.0)
            gain = _log_sum(grown, math.log(level))
            if kind == "component":
                return gain - log_tilt
            return float(np.interp(gain, log_psi, log_x)) - log_tilt if gain < log_psi[-1] else math.inf

        # A Gaussian sum has its best tilt between these; a summand that is large on its own has a lower one.
        square = log_patterns + _quadrature.log_mean(self._log_weight, 2.0 * rate) - math.log(2.0 * (self._dim - 1))
        high = 0.5 * (math.log(level + 20.0 * self._dim) - square)
        low = min(0.5 * (math.log(0.3 * level) - square), -float(rate.max()))
        log_tilt, least = _quadrature.minimum(log_limit, low, high, steps=_steps(high - low, 7))
        return _within_floats(least + _CLEAR_OF_TABLE, log_tilt)


def _steps(width: float, least: int) -> int:
    """Return how many times a golden section cuts an interval of tilts until it is short enough."""
    return max(least, math.ceil(math.log(max(width / _SHORT, 1.0)) / math.log(0.5 + math.sqrt(1.25))))


def _log_sum(x: float, y: float) -> float:
    """Return ``log(exp(x) + exp(y))``, for y finite."""
    return max(x, y) + math.log1p(math.exp(-abs(x - y)))


def _within_floats(log_limit: float, log_tilt: float) -> tuple[float, float]:
    """Return a limit of which products of two stay above 0, and a tilt that it does not overflow; no room is e^300.

    Sums over crowds of e^20 patterns and more hardly fluctuate: their limits are raised to where their tails count.
    """
    log_limit = min(max(log_limit + _CLEAR, -_quadrature.LARGEST_LOG_TILT), _quadrature.LARGEST_LOG_TILT)
    return math.exp(log_limit), min(log_tilt, _quadrature.LARGEST_LOG_TILT - log_limit)


def _log_curvature(s: Floats) -> Floats:
    """Logarithm of ``φ₂(s) = (exp(s) - 1 - s)/s²`` for ``s >= 0``."""
    small = s < 0.5
    x = np.where(small, 1.0, s)
    series = polyval(np.where(small, s, 0.0), _CURVATURE)
    exact = x + np.log1p(-(1.0 + x) * np.exp(-x)) - 2.0 * np.log(x)
    return np.where(small, np.log(series), exact)


def _log_growth(s: Floats) -> Floats:
    """Logarithm of ``φ₁(s) = (exp(s) - 1)/s`` for ``s >= 0``."""
    x = np.maximum(s, np.finfo(float).tiny)
    return s + np.log(-np.expm1(-x) / x)


def _log_log_mgf(log_x: Floats, dim: int) -> Floats:
    """Return ``log log Ψ_{d-1}(x)``, at the far ends by the bounds ``x²/(2 (d - 1))`` and x on ``log Ψ``."""
    far, small = log_x > _quadrature.LARGEST_LOG_TILT, log_x < -20.0
    x = np.exp(np.where(far | small, 0.0, log_x))
    middle = np.log(sphere.log_mgf_across(x, dim))
    return np.where(small, 2.0 * log_x - math.log(2.0 * (dim - 1)), np.where(far, log_x, middle))


@cache
def _mgf_table(dim: int) -> tuple[Floats, Floats]:
    """Return a grid of log x, and ``log log Ψ_{d-1}(x)`` on it."""
    log_x = np.concatenate([[-1e5], 0.5 * math.log(dim) + np.linspace(-20.0, 20.0, 1601), [1e5]])
    return log_x, _log_log_mgf(log_x, dim)
