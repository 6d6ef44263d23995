"""Integrals over the angle between a uniform point and a fixed one, and one-dimensional searches."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import optimize

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import sphere

# A tilt of e^300 makes any exponential bound vanish; larger ones would overflow.
LARGEST_LOG_TILT = 300.0
# Logarithms of size 1e4 carry rounding of 1e-12: a smaller margin than this proves nothing.
_MARGIN = 1e-9
# Up to this dimension the integrals are exact to a tenth of that margin.
LARGEST_DIM = 100_000
# e^600 is a float, and so are some thousands of it.
_LOG_600 = math.log(600.0)
# Steps in the logarithm of a number of patterns, and a float in place of infinity.
_STEP, _LARGEST = 1e-9, 1e300

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_EDGE_LAYER = np.geomspace(1e-5, 0.6, 8)


# a search asks for one cap many times
@lru_cache(maxsize=2)
def heights(low: float, dim: int, kinks: tuple[float, ...] = ()) -> tuple[Floats, Floats]:
    """Return nodes ``u = 1 - cos(theta) > low`` and the logarithms of their weights under the uniform law.

    Composite Gauss-Legendre in the angle. Peaks of weighted densities are about ``1/sqrt(d)`` wide in the logarithm of
    the angle, which determines the panels; a tilted integrand may also decay within a fraction of the first angle.
    Panels end at the heights ``kinks``, where an integrand is not smooth.
    """
    first = 2.0 * math.asin(math.sqrt(0.5 * low))
    span = math.log(math.pi / first)
    panels = 2 + math.ceil(span * (2.0 + math.sqrt(dim) / 3.0))
    edges = first * np.exp(np.linspace(0.0, span, panels + 1))
    edges[-1] = math.pi
    edges = np.concatenate([edges[:1], first + (edges[1] - first) * _EDGE_LAYER, edges[1:]])
    turns = [2.0 * math.asin(math.sqrt(0.5 * u)) for u in kinks if low < u < 2.0]
    if turns:
        edges = np.unique(np.concatenate([edges, turns]))
    half = 0.5 * np.diff(edges)[:, None]
    theta = (edges[:-1, None] + half + half * _NODES).ravel()
    nodes = 2.0 * np.sin(0.5 * theta) ** 2, np.log((half * _WEIGHTS).ravel()) + sphere.log_density(theta, dim)
    for values in nodes:
        values.flags.writeable = False
    return nodes


def check_dim(dim: int) -> None:
    """Refuse a dimension in which rounding may exceed the margin of a proof."""
    _arguments.integer("dim", dim, 2, LARGEST_DIM)


def log_mean(log_weight: Floats, log_values: Floats) -> float:
    """Return the logarithm of a mean from the logarithms of weights and values at the nodes."""
    terms = log_weight + log_values
    top = terms.max()
    if top == -math.inf:
        return -math.inf
    with np.errstate(under="ignore"):
        return float(top + np.log(np.exp(terms - top).sum()))


def log_grown(log_exponent: Floats, log_weight: Floats) -> float:
    """Return ``log E[exp(f) - 1]`` from ``log f`` at the nodes."""
    return Growth(log_exponent, log_weight)(0.0)


class Growth:
    """``log E[exp(t f) - 1]`` as a function of log t, from ``log f`` at the nodes; infinite where it is far beyond use.

    f may lie far below the smallest float.
    """

    def __init__(self, log_rate: Floats, log_weight: Floats) -> None:
        terms = log_weight + log_rate
        self._log_rate, self._log_weight = log_rate, log_weight
        self._top, self._highest = float(terms.max()), float(log_rate.max())
        with np.errstate(under="ignore", invalid="ignore"):
            self._share = np.exp(terms - self._top)

    def __call__(self, log_tilt: float) -> float:
        if self._top == -math.inf:
            return -math.inf
        highest = self._highest + log_tilt
        if highest > 2.0 * LARGEST_LOG_TILT:
            return math.inf
        log_exponent = self._log_rate + log_tilt
        with np.errstate(under="ignore"):
            exponent = np.exp(np.maximum(log_exponent, -36.0))
            # without overflow fewer steps do; as (exp(f) - 1)/f is 1 at least, what underflows is negligible
            if highest < _LOG_600:
                return self._top + log_tilt + math.log(self._share @ (np.expm1(exponent) / exponent))
            grown = np.where(log_exponent > -36.0, exponent + np.log(-np.expm1(-exponent)), log_exponent)
        return log_mean(self._log_weight, grown)


def log_gap(log_gain: float, log_loss: float) -> float:
    """Return ``exp(log_loss) - exp(log_gain)``, the exponent of a tail bound, or 0 if it is not clearly negative."""
    if log_gain <= log_loss + _MARGIN:
        return 0.0
    # cutting the exponent at -e^700 avoids overflow and weakens the bound, which stays valid
    return math.exp(min(log_gain, 700.0)) * math.expm1(log_loss - log_gain)


def largest(holds: Callable[[float], bool], low: float, high: float, steps: int = 60) -> float:
    """Return the point of ``[low, high]`` up to which a condition that is true at ``low`` holds, by bisection."""
    for _ in range(steps):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def last_below(rising: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Return about the last point of ``[low, high]``, up to 1e-9, where a rising function is at most a level.

    It is at ``low``, and at the point returned; a jump across the level is found too.
    """
    if rising(high) <= level:
        return high
    point: Any = optimize.brentq(lambda x: max(rising(x) - level, -_LARGEST), low, high, xtol=_STEP)
    while rising(point) > level:
        point = max(point - _STEP, low)
    return point


def minimum(function: Callable[[float], float], low: float, high: float, steps: int = 24) -> tuple[float, float]:
    """Return the place and the value of the minimum of a unimodal function on an interval, by golden section."""
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(steps):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = function(right)
    return (left, at_left) if at_left <= at_right else (right, at_right)
