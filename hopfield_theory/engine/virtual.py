"""One update of a memory of up to e^700 random patterns, simulated without the patterns.

Only the cosines of the patterns with the query decide about their weights, and given the cosines the parts of the
patterns across the query are isotropic. So the patterns that stand close to the query are drawn exactly, by their
overlaps, and the many others through the mean and the covariance of their sums. ``docs/virtual.md`` has the law, the
method and the proofs of its error bounds.

Lengths are in units of the radius m throughout, and ``kappa = β m²``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import NamedTuple, Protocol, cast

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from hopfield_theory.bounds import _arguments, _quadrature, sphere, thermodynamics

__all__ = ["Growth", "OneUpdate", "OneUpdateCapacity", "growth", "log_height", "one_update", "one_update_capacity"]

Floats = NDArray[np.float64]

# Up to this many rivals every one is drawn; beyond, the normal law of what is not drawn costs less than 0.01.
_ALL_DRAWN = 8000
_EXPECTED_DRAWN = 1000.0
# The number drawn exceeds its mean by 8 standard deviations with probability below 1e-13.
_SPREADS = 8.0
_CUT_PROBABILITY = 1e-13
# Beyond it the rivals are counted by a Poisson law, which differs from the binomial one by at most the share drawn.
_COUNTABLE = 1e15
_BLOCK_NUMBERS = 2**20

# Shevtsova, arXiv:1111.6554: the Berry-Esseen constant of identically distributed summands.
_BERRY_ESSEEN = 0.4748
_QUANTILES = 1024

# Where ``log u`` is below this, ``log P = a log(2u) - log(2 a B(a, ½))`` to the last digit; ``a u`` is the error.
_TINY_LOG_HEIGHT = -45.0
_NEWTON_STEPS = 200
_TABLE_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_TABLE_DEGREE = 24
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(16)
# A normal variable below it weighs e^-800.
_NORMAL_END = -40.0


@dataclass(frozen=True)
class OneUpdate:
    """Independent trials of one update; every trial has its own patterns.

    Attributes
    ----------
    log_crowd : ndarray, shape (trials,)
        Logarithm of ``S = Σ_{ν>=2} exp(β <ξ_ν, x>)``; ``-inf`` for a single pattern.
    target_weight, noop_weight : ndarray, shape (trials,), in [0, 1]
        p_1 and p_0.
    along : ndarray, shape (trials,)
        ``<T(x), ξ_1> / m²``.
    along_query : ndarray, shape (trials,)
        Component of ``T(x)/m`` along the query.
    across : ndarray, shape (trials,), at least 0
        Length of what the others contribute to ``T(x)/m`` across the query.
    error : ndarray, shape (trials,), at least 0
        ``|T(x) - ξ_1| / m``.
    distribution_error : float, in [0, 1]
        Bound on the Kolmogorov distance between the law of the first three and the true one; 0 if every pattern was
        drawn.
    displacement : float, in [0, 1]
        Bound on the Prokhorov distance between the law of ``T(x)/m`` and the true one, averaged over these trials:
        the true ``P(error <= e)`` lies between ``P(error <= e ∓ displacement) ∓ displacement`` of what was drawn, and
        so for `along`; 0 if every pattern was drawn.
    """

    log_crowd: Floats
    target_weight: Floats
    noop_weight: Floats
    along: Floats
    along_query: Floats
    across: Floats
    error: Floats
    distribution_error: float
    displacement: float


class OneUpdateCapacity(NamedTuple):
    """Logarithm of the number of patterns at which half of the trials fail, with an interval for trial noise."""

    log_patterns: float
    low: float
    high: float


@dataclass(frozen=True)
class Growth:
    """Capacities over dimensions and the fit ``log M / d = a + b log(d)/d + c/d`` of them.

    Attributes
    ----------
    dims : tuple of int
        The dimensions.
    capacities : tuple of OneUpdateCapacity
        One for each.
    limit, spread : float
        a, and its standard error from the trial noise of the capacities.
    coefficients : tuple of float
        b and c.
    threshold : float
        ``α_1(λ)``, what a should be.
    """

    dims: tuple[int, ...]
    capacities: tuple[OneUpdateCapacity, ...]
    limit: float
    spread: float
    coefficients: tuple[float, float]
    threshold: float


def log_height(log_share: ArrayLike, dim: int) -> Floats:
    """Logarithm of the height of the cap that holds a given share of the sphere: the inverse of `sphere.log_cap`.

    The height is ``u = 1 - cos(theta)``. It comes as a logarithm since caps of share e^-700 have heights below the
    smallest float where d = 2. Newton's method on ``log P`` over ``log u``, which is concave for ``d >= 3``: from the
    left, where the cap of a flat space starts it, it climbs to the root without a safeguard.

    Parameters
    ----------
    log_share : array_like, at most 0
        ``log P(1 - cos(theta) < u)``; there is no lower end.
    dim : int, at least 2
        Dimension d of the space around the sphere.

    Returns
    -------
    ndarray, shape of `log_share`
        ``log u``, at most log 2; relative error of the share's logarithm below 1e-12, besides what half an ulp of
        ``log u`` moves it; past a half sphere, that of the opposite cap's share.

    Raises
    ------
    ValueError
        If a logarithm is above 0 or NaN, or if `dim` is below 2.

    Examples
    --------
    >>> round(float(np.exp(log_height(np.log(0.25), dim=3))), 12)  # Archimedes
    0.5
    >>> round(float(log_height(-700.0, dim=2)), 6)  # u = θ²/2, θ = π e^-700
    -1398.403687
    """
    share = _arguments.array("log_share", log_share, -math.inf, 0.0)
    dim = _arguments.dimension(dim)
    beyond = share > -math.log(2.0)
    with np.errstate(divide="ignore"):
        smaller = np.where(beyond, np.log(-np.expm1(share)), share)
    inverse = _log_height_of_arc if dim == 2 else _log_height_by_newton
    low = inverse(smaller.ravel(), dim).reshape(share.shape)
    return np.where(beyond, math.log(2.0) + np.log1p(-0.5 * np.exp(low)), low)


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
        # A half sphere is the largest cap asked for; rounding may step over its rim.
        root[active] = np.minimum(v + step, 0.0)
        active = active[np.abs(step) > 4e-16 * (1.0 + np.abs(v))]
    return root


def _log_cap(log_height: Floats, dim: int) -> Floats:
    # Close to a half sphere u (2 - u) rounds away what the cosine still tells.
    cosine = -np.expm1(log_height)
    wide = cosine < 0.25
    share = sphere.log_cap(np.where(wide, 0.5, np.exp(log_height)), dim)
    near = 0.5 * special.betaincc(0.5, 0.5 * (dim - 1), cosine[wide] ** 2)
    share[wide] = np.where(
        near > 1e-200, np.log(np.maximum(near, 1e-200)), sphere.log_cap(np.exp(log_height[wide]), dim)
    )
    return share


class _Ensemble(Protocol):
    """Law of a rival's part along the query's direction, t, and of its part across."""

    @property
    def dim(self) -> int:
        """Dimension of the space."""
        ...

    def draw(self, streams: _Streams, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return t and the length across of independent rivals."""
        ...

    def tail(self, log_share: float) -> Callable[[Floats], tuple[Floats, Floats]]:
        """Return the map from e to t and the length across at the tail probability ``exp(log_share - e)``."""
        ...

    def below(self, log_share: float, kappa: float) -> tuple[Floats, Floats, Floats]:
        """Return nodes: t, the squared length across, logarithms of the weights of the law of t below a threshold."""
        ...

    def quantile(self, log_share: Floats) -> Floats:
        """Return t at a tail probability."""
        ...

    def log_concentration(self, log_share: Floats, log_width: Floats) -> Floats:
        """Bound the chance that t, known to be in a tail of at most a half, falls in an interval of some width."""
        ...

    def across(self, lengths: Floats, bulk: Floats, streams: _Streams) -> Floats:
        """Return the length of ``Σ length u`` with isotropic u, and of a normal vector of variance `bulk` a side."""
        ...


class _Streams(NamedTuple):
    """A generator for each kind of draw, so that the first trials do not depend on how many follow or in what blocks.

    Arrays are filled row by row, and a row is a trial: each stream alone is a sequence that only grows.
    """

    counts: np.random.Generator
    places: np.random.Generator
    rests: np.random.Generator
    turns: np.random.Generator
    turn_rests: np.random.Generator
    bulks: np.random.Generator
    bulk_sides: np.random.Generator
    bulk_rests: np.random.Generator
    sides: np.random.Generator
    side_rests: np.random.Generator

    @classmethod
    def of(cls, seed: int) -> _Streams:
        return cls(*(np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(len(cls._fields))))


def _cosines(normals: Floats, gammas: Floats) -> Floats:
    """Return first coordinates of uniform points from a normal variable and half the squared length of the others."""
    return normals / np.sqrt(normals * normals + 2.0 * gammas)


@dataclass(frozen=True)
class _Sphere:
    dim: int

    def draw(self, streams: _Streams, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        side = streams.places.standard_normal(shape)
        rest = 2.0 * streams.rests.standard_gamma(0.5 * (self.dim - 1), shape)
        square = side * side + rest
        return side / np.sqrt(square), np.sqrt(rest / square)

    def tail(self, log_share: float) -> Callable[[Floats], tuple[Floats, Floats]]:
        panels = [
            Chebyshev.interpolate(lambda e: log_height(log_share - e, self.dim), _TABLE_DEGREE, domain=pair)
            for pair in itertools.pairwise(_TABLE_EDGES)
        ]

        def place(excess: Floats) -> tuple[Floats, Floats]:
            v = np.empty_like(excess)
            which = np.searchsorted(_TABLE_EDGES[1:-1], excess)
            for i, panel in enumerate(panels):
                here = which == i
                v[here] = panel(excess[here])
            u = np.exp(v)
            return 1.0 - u, np.sqrt(u * (2.0 - u))

        return place

    def below(self, log_share: float, kappa: float) -> tuple[Floats, Floats, Floats]:
        # Heights that no score resolves hold no more than e^-30 of the bulk, and would only add panels.
        floor = -60.0 - math.log1p(kappa)
        first = 2.0 * math.asin(math.exp(0.5 * max(float(log_height(log_share, self.dim)), floor)) / math.sqrt(2.0))
        # Peaks are about 1/sqrt(d) wide in the logarithm of the angle.
        panels = 2 + math.ceil(math.log(math.pi / first) * (2.0 + math.sqrt(self.dim) / 3.0))
        edges = np.geomspace(first, math.pi, panels + 1)
        edges[-1] = math.pi
        layer = 1.0 / (3.0 * kappa * math.sin(first) + math.sqrt(3.0 * kappa) + 1.0 / (edges[1] - first))
        theta, log_width = _panels(edges, first + _layer(layer, edges[1] - first))
        log_weight = log_width + sphere.log_density(theta, self.dim)
        return (
            np.cos(theta),
            np.sin(theta) ** 2,
            log_weight - _quadrature.log_mean(log_weight, np.zeros_like(log_weight)),
        )

    def quantile(self, log_share: Floats) -> Floats:
        return 1.0 - np.exp(log_height(log_share, self.dim))

    def log_concentration(self, log_share: Floats, log_width: Floats) -> Floats:
        if self.dim == 2:
            # The angle is uniform, and arccos(1 - w) <= π sqrt(w/2).
            return 0.5 * (log_width - math.log(2.0)) - log_share
        # From d = 3 on the density of t falls on the positive side.
        v = log_height(log_share, self.dim)
        a = 0.5 * (self.dim - 1)
        return log_width + (a - 1.0) * (v + np.log(2.0 - np.exp(v))) - special.betaln(a, 0.5) - log_share

    def across(self, lengths: Floats, bulk: Floats, streams: _Streams) -> Floats:
        half = 0.5 * (self.dim - 2)
        shape = lengths.shape
        turns = _cosines(streams.turns.standard_normal(shape), streams.turn_rests.standard_gamma(half, shape))
        # The next vector is isotropic whatever the sum so far: its length is a Markov chain.
        square = np.zeros(shape[0])
        for length, turn in zip(lengths.T.copy(), turns.T.copy(), strict=True):
            square += length * (length + 2.0 * turn * np.sqrt(square))
            np.maximum(square, 0.0, out=square)
        ahead = np.sqrt(square) + np.sqrt(bulk) * streams.bulk_sides.standard_normal(shape[0])
        return np.sqrt(ahead * ahead + 2.0 * bulk * streams.bulk_rests.standard_gamma(half, shape[0]))


@dataclass(frozen=True)
class _Gaussian:
    dim: int

    def draw(self, streams: _Streams, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        return streams.places.standard_normal(shape) / math.sqrt(self.dim), np.ones(shape)

    def tail(self, log_share: float) -> Callable[[Floats], tuple[Floats, Floats]]:
        def place(excess: Floats) -> tuple[Floats, Floats]:
            return -special.ndtri_exp(log_share - excess) / math.sqrt(self.dim), np.ones_like(excess)

        return place

    def below(self, log_share: float, kappa: float) -> tuple[Floats, Floats, Floats]:
        end = -float(special.ndtri_exp(log_share))
        edges = np.arange(_NORMAL_END, end, 0.5)
        edges = np.append(edges[edges < end - 0.25], end)
        width = edges[-1] - edges[-2]
        layer = 1.0 / (3.0 * kappa / math.sqrt(self.dim) + 1.0 / width)
        z, log_width = _panels(edges, end - _layer(layer, width))
        log_weight = log_width - 0.5 * z * z
        across = np.full_like(z, (self.dim - 1) / self.dim)
        return z / math.sqrt(self.dim), across, log_weight - _quadrature.log_mean(log_weight, np.zeros_like(log_weight))

    def quantile(self, log_share: Floats) -> Floats:
        return -special.ndtri_exp(log_share) / math.sqrt(self.dim)

    def log_concentration(self, log_share: Floats, log_width: Floats) -> Floats:
        z = special.ndtri_exp(log_share)
        return log_width + 0.5 * math.log(self.dim / (2.0 * math.pi)) - 0.5 * z * z - log_share

    def across(self, lengths: Floats, bulk: Floats, streams: _Streams) -> Floats:
        # A sum of normal vectors with given weights is normal.
        variance = np.sum(lengths * lengths, axis=1) / self.dim + bulk
        return np.sqrt(2.0 * variance * streams.bulk_rests.standard_gamma(0.5 * (self.dim - 1), lengths.shape[0]))


def _ensemble(name: str, dim: int) -> _Ensemble:
    chosen = _arguments.one_of("ensemble", name, ("sphere", "gaussian"))
    return _Sphere(dim) if chosen == "sphere" else _Gaussian(dim)


def _panels(edges: Floats, extra: Floats) -> tuple[Floats, Floats]:
    edges = np.unique(np.concatenate([edges, extra]))
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half + half * _NODES).ravel(), np.log((half * _NODE_WEIGHTS).ravel())


def _layer(scale: float, width: float) -> Floats:
    """Return distances from an edge, doubling from its boundary layer to the width of the panel there."""
    return scale * 2.0 ** np.arange(0.0, max(math.log2(width / scale), 0.0))


@dataclass(frozen=True)
class _Bulk:
    """Moments of ``X = exp(κ (t - τ))`` and ``X t`` for a rival below the threshold τ.

    Logarithms of the mean, the standard deviation, the third absolute central moment and the mean square of X; the
    mean `tilt` of t under the weight X; the regression `slope` of ``Y = X (t - tilt)`` on X and the logarithm of the
    standard deviation about it; the logarithm of the standard deviation of a side of X times the part across; the mean
    `square_length` of ``|ξ|²`` under the weight X².
    """

    log_mean: float
    log_spread: float
    log_third: float
    log_square: float
    tilt: float
    slope: float
    log_residual: float
    log_side: float
    square_length: float


def _bulk(law: _Ensemble, log_share: float, kappa: float, threshold: float) -> _Bulk:
    t, square_across, log_weight = law.below(log_share, kappa)
    x = kappa * (t - threshold)
    log_mean = _quadrature.log_mean(log_weight, x)
    log_square = _quadrature.log_mean(log_weight, 2.0 * x)
    with np.errstate(divide="ignore"):
        log_gap = np.maximum(x, log_mean) + np.log(-np.expm1(-np.abs(x - log_mean)))
    log_variance = _quadrature.log_mean(log_weight, 2.0 * log_gap) if kappa > 0.0 else -math.inf
    tilt = float(np.exp(log_weight + x - log_mean) @ t)
    twice = np.exp(log_weight + 2.0 * x - log_square)
    lead = float(twice @ (t - tilt))
    slope = lead * math.exp(log_square - log_variance) if kappa > 0.0 else 0.0
    residual = float(twice @ (t - tilt) ** 2) - slope * lead
    return _Bulk(
        log_mean=log_mean,
        log_spread=0.5 * log_variance,
        log_third=_quadrature.log_mean(log_weight, 3.0 * log_gap) if kappa > 0.0 else -math.inf,
        log_square=log_square,
        tilt=tilt,
        slope=slope,
        # The two may agree to the last digit: where κ is small, Y and X are one variable.
        log_residual=0.5 * (log_square + math.log(residual)) if residual > 0.0 else -math.inf,
        log_side=0.5 * (log_square + math.log(float(twice @ square_across) / (law.dim - 1))),
        square_length=float(twice @ (t * t + square_across)),
    )


@dataclass(frozen=True)
class _Plan:
    """Which rivals are drawn: all, or those beyond the threshold that `drawn` of them exceed in the mean."""

    log_rivals: float
    rivals: float
    drawn: float

    @property
    def complete(self) -> bool:
        return math.isinf(self.drawn)

    @property
    def log_share(self) -> float:
        return math.log(self.drawn) - self.log_rivals

    @property
    def width(self) -> int:
        return int(self.rivals) if self.complete else math.ceil(self.drawn + _SPREADS * math.sqrt(self.drawn) + 8.0)

    def counts(self, streams: _Streams, trials: int) -> NDArray[np.int64]:
        if self.rivals <= _COUNTABLE:
            found = streams.counts.binomial(int(self.rivals), self.drawn / self.rivals, trials)
        else:
            found = streams.counts.poisson(self.drawn, trials)
        return np.minimum(found, self.width)

    def log_rest(self, counts: NDArray[np.int64]) -> Floats:
        if self.rivals > _COUNTABLE:
            return np.full(counts.shape, self.log_rivals)
        with np.errstate(divide="ignore"):
            return np.log(self.rivals - counts)

    @property
    def counting_error(self) -> float:
        return _CUT_PROBABILITY + (math.exp(self.log_share) if self.rivals > _COUNTABLE else 0.0)


def _plan(log_patterns: float, drawn: float = _EXPECTED_DRAWN, all_drawn: int = _ALL_DRAWN) -> _Plan:
    if log_patterns > math.log(_COUNTABLE):
        rivals = math.exp(min(log_patterns, 709.0))
        return _Plan(log_patterns, rivals, drawn)
    rivals = float(round(math.exp(log_patterns)) - 1)
    log_rivals = math.log(rivals) if rivals > 0 else -math.inf
    return _Plan(log_rivals, rivals, drawn if rivals > all_drawn else math.inf)


@dataclass(frozen=True)
class _Query:
    """Scores' scale ``κ |x|/m``, the target's score, and the target's parts along and across the query."""

    kappa: float
    score: float
    cosine: float
    sine: float
    log_noop: float


def _query(kappa: float, overlap: float, noise: float, log_noop: float) -> _Query:
    length = math.hypot(overlap, noise)
    if length == 0.0:
        # Any direction serves for a query at the origin.
        return _Query(0.0, 0.0, 1.0, 0.0, log_noop)
    return _Query(kappa * length, kappa * overlap, overlap / length, noise / length, log_noop)


def one_update(
    *,
    dim: int,
    kappa: float,
    log_patterns: float,
    log_noop: float = -math.inf,
    overlap: float = 1.0,
    noise: float = 0.0,
    trials: int,
    seed: int,
    ensemble: str = "sphere",
) -> OneUpdate:
    """Simulate one update of a memory of random patterns by the overlaps of the patterns alone.

    The memory holds a target ξ_1 of norm m and M - 1 independent patterns. The query x has the part ``overlap · ξ_1``
    along the target and a part of length ``noise · m`` across it, in a direction that the patterns do not know. Its
    update is ``T(x) = Σ p_ν ξ_ν`` with ``p_ν = exp(β <ξ_ν, x>) / (n + Σ_μ exp(β <ξ_μ, x>))``.

    Up to 8 001 patterns the law is exact. Beyond, the patterns past a threshold that 1 000 exceed in the mean are
    drawn exactly, and the sums over the others as normal variables of the same mean and covariance.

    Parameters
    ----------
    dim : int, at least 2
        Dimension d.
    kappa : float, above 0
        ``β m²``.
    log_patterns : float, at least 0
        log M, in nats; M is rounded to an integer where it is below 1e15. Tested up to 700.
    log_noop : float
        log n; ``-inf`` for n = 0.
    overlap : float
        q.
    noise : float, at least 0
        r.
    trials : int, at least 1
        Number of trials.
    seed : int, at least 0
        One seed, one result; the first trials do not depend on how many follow.
    ensemble : {"sphere", "gaussian"}
        Uniform on the sphere of radius m, or normal with covariance ``m²/d``; the target has norm m in both.

    Returns
    -------
    OneUpdate
        Arrays of shape (trials,) and the two bounds on the error of their law.

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

    Examples
    --------
    >>> runs = one_update(dim=100, kappa=100.0, log_patterns=60.0, trials=200, seed=1)
    >>> runs.error.shape, bool(np.median(runs.error) < 0.5), runs.distribution_error < 0.01
    ((200,), True, True)
    >>> float(one_update(dim=3, kappa=2.0, log_patterns=0.0, log_noop=0.0, trials=1, seed=0).noop_weight[0])
    0.11920292202211755
    """
    query = _checked_query(kappa, overlap, noise, log_noop)
    plan = _plan(_log_patterns(log_patterns))
    law = _ensemble(ensemble, _arguments.dimension(dim))
    return _simulate(law, query, plan, _integer("trials", trials, 1), _integer("seed", seed, 0))


def _checked_query(kappa: float, overlap: float, noise: float, log_noop: float) -> _Query:
    for name, number in (("overlap", overlap), ("noise", noise)):
        if not math.isfinite(number):
            raise ValueError(f"{name} is {number!r}; it must be a finite number")
    if noise < 0.0:
        raise ValueError(f"noise is {noise!r}; it must be at least 0")
    return _query(_arguments.positive("kappa", kappa), overlap, noise, _arguments.log_mass(0.0, log_noop))


def _log_patterns(log_patterns: float) -> float:
    if not (math.isfinite(log_patterns) and log_patterns >= 0.0):
        raise ValueError(f"log_patterns is {log_patterns!r}; it must be a finite number of at least 0")
    return float(log_patterns)


def _integer(name: str, number: int, least: int) -> int:
    if isinstance(number, bool) or not math.isfinite(number) or number != int(number) or number < least:
        raise ValueError(f"{name} is {number!r}; it must be an integer of at least {least}")
    return int(number)


@dataclass(frozen=True)
class _Tail:
    """How rivals beyond the threshold are placed, and the moments of one below."""

    place: Callable[[Floats], tuple[Floats, Floats]]
    log_top: float
    bulk: _Bulk


def _tail(law: _Ensemble, query: _Query, plan: _Plan) -> _Tail:
    place = law.tail(plan.log_share)
    threshold = float(place(np.zeros(1))[0][0])
    return _Tail(place, query.kappa * threshold, _bulk(law, plan.log_share, query.kappa, threshold))


@dataclass(frozen=True)
class _Block:
    log_crowd: Floats
    target_weight: Floats
    noop_weight: Floats
    along: Floats
    along_query: Floats
    across: Floats
    error: Floats
    # Mean squared shift of T(x)/m by the bulk's fluctuations, in units of the square of the mean partition sum.
    shift: Floats


def _simulate(law: _Ensemble, query: _Query, plan: _Plan, trials: int, seed: int) -> OneUpdate:
    streams = _Streams.of(seed)
    tail = None if plan.complete else _tail(law, query, plan)
    rows = max(1, _BLOCK_NUMBERS // max(plan.width, 1))
    sizes = [min(rows, trials - start) for start in range(0, trials, rows)]
    blocks = [_block(law, query, plan, tail, streams, size) for size in sizes]
    joined = {field.name: np.concatenate([getattr(block, field.name) for block in blocks]) for field in fields(_Block)}
    shift = joined.pop("shift")
    if tail is None:
        return OneUpdate(**joined, distribution_error=0.0, displacement=0.0)
    return OneUpdate(
        **joined,
        distribution_error=_distribution_error(law, query, plan, tail),
        displacement=_displacement(shift, plan.counting_error),
    )


def _block(law: _Ensemble, query: _Query, plan: _Plan, tail: _Tail | None, streams: _Streams, trials: int) -> _Block:
    shape = (trials, plan.width)
    if tail is None:
        t, across = law.draw(streams, shape)
        return _update(law, query, query.kappa * t, t, across, None, np.zeros(trials), streams)
    counts = plan.counts(streams, trials)
    t, across = tail.place(streams.places.standard_exponential(shape))
    scores = np.where(np.arange(plan.width) < counts[:, None], query.kappa * t, -np.inf)
    return _update(law, query, scores, t, across, tail, plan.log_rest(counts), streams)


def _update(
    law: _Ensemble,
    query: _Query,
    scores: Floats,
    t: Floats,
    across: Floats,
    tail: _Tail | None,
    log_rest: Floats,
    streams: _Streams,
) -> _Block:
    trials = scores.shape[0]
    peak = scores.max(axis=1, initial=-np.inf)
    if tail is not None:
        peak = np.maximum(peak, tail.log_top + log_rest + tail.bulk.log_mean)
    weights = np.exp(scores - peak[:, None])
    lengths = weights * across
    drawn, drawn_along = weights.sum(axis=1), (weights * t).sum(axis=1)
    sums = _bulk_sums(tail, log_rest, peak, streams.bulks.standard_normal((trials, 2)))
    crowd = drawn + sums.weight
    with np.errstate(divide="ignore"):
        log_crowd = peak + np.log(crowd)

    # The crowd may lie below the smallest float beside the target or the no-op slot.
    scale = np.maximum(peak, max(query.score, query.log_noop))
    shrink = np.exp(peak - scale)
    target, noop = np.exp(query.score - scale), np.exp(query.log_noop - scale)
    total = shrink * crowd + target + noop
    others_along = shrink * (drawn_along + sums.along) / total
    others_across = shrink * law.across(lengths, sums.side_variance, streams) / total
    turn = _cosines(
        streams.sides.standard_normal(trials), streams.side_rests.standard_gamma(0.5 * (law.dim - 2), trials)
    )
    sideways = query.sine * others_across * turn
    # Sums of what is lost, in place of 1 - p_1, keep the digits of small errors.
    lost = (shrink * crowd + noop) / total
    square = (others_along - query.cosine * lost) ** 2 + others_across**2 + (query.sine * lost) ** 2
    return _Block(
        log_crowd=log_crowd,
        target_weight=target / total,
        noop_weight=noop / total,
        along=target / total + query.cosine * others_along + sideways,
        along_query=query.cosine * target / total + others_along,
        across=others_across,
        error=np.sqrt(np.maximum(square - 2.0 * lost * sideways, 0.0)),
        shift=_shift(sums, drawn, drawn_along, lengths, shrink, target, noop),
    )


def _shift(
    sums: _BulkSums,
    drawn: Floats,
    drawn_along: Floats,
    lengths: Floats,
    shrink: Floats,
    target: Floats,
    noop: Floats,
) -> Floats:
    """Return ``(Var S + E|V - S T|²)/Z²`` of the bulk's sums S and V about the update T at their means (bounds it)."""
    total = shrink * (drawn + sums.mean) + target + noop
    along = (target + shrink * np.abs(drawn_along + sums.mean_along)) / total
    square = along**2 + (shrink / total) ** 2 * (lengths * lengths).sum(axis=1)
    return (shrink / total) ** 2 * (sums.variance + 2.0 * sums.square * (sums.square_length + square))


class _BulkSums(NamedTuple):
    """Sums over the rivals not drawn, in units of ``exp(peak)``, with their means and variances."""

    weight: Floats
    along: Floats
    side_variance: Floats
    mean: Floats
    mean_along: Floats
    variance: Floats
    square: Floats
    square_length: float


def _bulk_sums(tail: _Tail | None, log_rest: Floats, peak: Floats, normals: Floats) -> _BulkSums:
    if tail is None:
        none = np.zeros_like(peak)
        return _BulkSums(none, none, none, none, none, none, none, 0.0)
    bulk = tail.bulk
    mean = np.exp(tail.log_top + log_rest + bulk.log_mean - peak)
    log_root = tail.log_top + 0.5 * log_rest - peak
    spread = np.exp(log_root + bulk.log_spread)
    # A sum of positive terms is positive: cutting the normal law there only brings it closer to the true one.
    weight = np.maximum(mean + spread * normals[:, 0], 0.0)
    along = bulk.tilt * weight + bulk.slope * (weight - mean) + np.exp(log_root + bulk.log_residual) * normals[:, 1]
    return _BulkSums(
        weight=weight,
        along=along,
        side_variance=np.exp(2.0 * (log_root + bulk.log_side)),
        mean=mean,
        mean_along=bulk.tilt * mean,
        variance=spread * spread,
        square=np.exp(2.0 * log_root + bulk.log_square),
        square_length=bulk.square_length,
    )


def _distribution_error(law: _Ensemble, query: _Query, plan: _Plan, tail: _Tail) -> float:
    """Bound the Kolmogorov distance of the law of ``log S``: Berry and Esseen, or the smoothing by the largest term."""
    if query.kappa == 0.0:
        return plan.counting_error
    bulk = tail.bulk
    fewest = max(plan.rivals - plan.width, 1.0)
    log_normal = math.log(_BERRY_ESSEEN) + bulk.log_third - 3.0 * bulk.log_spread - 0.5 * math.log(fewest)
    normal = math.exp(min(log_normal, 0.0))
    return min(1.0, min(normal, _smoothed(law, query, plan, tail)) + plan.counting_error)


def _smoothed(law: _Ensemble, query: _Query, plan: _Plan, tail: _Tail) -> float:
    if plan.log_share > -math.log(2.0):
        return 1.0
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    if plan.rivals <= _COUNTABLE:
        log_share = np.log(special.betaincinv(2.0, plan.rivals - 1.0, levels))
    else:
        log_share = np.log(special.gammaincinv(2.0, levels)) - plan.log_rivals
    log_share = np.minimum(log_share, -math.log(2.0))
    log_distance = tail.bulk.log_third - 2.0 * tail.bulk.log_spread
    log_width = log_distance - math.log(query.kappa) - (query.kappa * law.quantile(log_share) - tail.log_top)
    return float(np.exp(np.minimum(law.log_concentration(log_share, log_width), 0.0)).mean())


def _displacement(shift: Floats, counting_error: float) -> float:
    """Solve ``mean min(1, 16 h²/δ²) + counting error = δ``."""

    def excess(log_delta: float) -> float:
        with np.errstate(over="ignore"):
            chance = np.minimum(1.0, 16.0 * shift * math.exp(-2.0 * log_delta)).mean()
        return float(chance) + counting_error - math.exp(log_delta)

    low = -300.0
    if excess(low) <= 0.0:
        return 0.0
    return math.exp(cast(float, optimize.brentq(excess, low, 0.7, xtol=1e-9)))


def one_update_capacity(
    *,
    dim: int,
    lam: float,
    error: float = 0.5,
    log_noop: float = -math.inf,
    overlap: float = 1.0,
    noise: float = 0.0,
    trials: int = 400,
    seed: int = 0,
    ensemble: str = "sphere",
    tolerance: float = 1e-4,
) -> OneUpdateCapacity:
    """Find the number of random patterns at which one update misses the target as often as not.

    Bracketing search on log M for the place where the median of ``|T(x) - ξ_1|/m`` passes `error`, with common random
    numbers; `low` and `high` are where the quantiles at ``½ ± 1.96/(2 sqrt(trials))`` pass it.

    Parameters
    ----------
    dim : int, at least 2
        Dimension d.
    lam : float, above 0
        ``λ = κ/d``.
    error : float, in (0, 1)
        Largest error of a success, in units of m. Since a crowd without end draws the update of x = ξ_1 to
        ``s ξ_1`` with ``s = I_{d/2}(κ) / I_{d/2-1}(κ)``, only errors below 1 - s are ever passed for good: on the
        sphere 0.5 has no capacity for λ above ⅔ or so.
    log_noop, overlap, noise, ensemble
        As for `one_update`.
    trials : int, at least 16
        Trials at each number of patterns.
    seed : int, at least 0
        The same at each number of patterns.
    tolerance : float, above 0
        Of log M.

    Returns
    -------
    OneUpdateCapacity
        ``-inf`` where a target alone is missed, ``inf`` where even e^50 times as many patterns as outweigh the target
        leave the median below `error`. Of several passages one is found.

    Raises
    ------
    ValueError
        If an argument leaves its range or is NaN.

    Examples
    --------
    >>> found = one_update_capacity(dim=100, lam=0.5, trials=100, seed=1)
    >>> found.low <= found.log_patterns <= found.high, 30 < found.log_patterns < 45
    (True, True)
    """
    law = _ensemble(ensemble, _arguments.dimension(dim))
    query = _checked_query(_arguments.positive("lam", lam) * dim, overlap, noise, log_noop)
    error = _arguments.probability("error", error)
    trials, seed = _integer("trials", trials, 16), _integer("seed", seed, 0)
    tolerance = _arguments.positive("tolerance", tolerance)

    @cache
    def errors(log_patterns: float) -> Floats:
        return _simulate(law, query, _plan(log_patterns), trials, seed).error

    most = max(query.score, query.log_noop, 0.0) + 50.0

    def passage(level: float) -> float:
        def excess(log_patterns: float) -> float:
            return float(np.quantile(errors(log_patterns), level)) - error

        if excess(0.0) > 0.0:
            return -math.inf
        return math.inf if excess(most) <= 0.0 else cast(float, optimize.brentq(excess, 0.0, most, xtol=tolerance))

    half_width = 0.98 / math.sqrt(trials)
    return OneUpdateCapacity(passage(0.5), passage(0.5 + half_width), passage(0.5 - half_width))


def growth(dims: Sequence[int], lam: float, *, error: float | None = None, trials: int = 400, seed: int = 0) -> Growth:
    """Extrapolate capacities of one update from the target to infinite dimension.

    Least squares of ``log M / d`` on ``1, log(d)/d, 1/d``. Retrieval of a typical pattern ends at ``exp(α_1(λ) d)``
    patterns (C4): there the crowd's partition sum passes the target's, so one update already tells.

    Parameters
    ----------
    dims : sequence of int, at least 4 different ones
        Dimensions.
    lam : float, above 0
        λ.
    error : float, in (0, 1), optional
        As for `one_update_capacity`; by default ``(1 - s)/2`` with ``s = (sqrt(1 + 4λ²) - 1)/(2λ)``, half the error to
        which a crowd without end leads: there the target has half of the weight.
    trials, seed
        As for `one_update_capacity`.

    Returns
    -------
    Growth

    Raises
    ------
    ValueError
        If an argument leaves its range, or if a capacity is not finite.

    Examples
    --------
    >>> found = growth([100, 200, 400, 600], 0.5, trials=100)
    >>> abs(found.limit / found.threshold - 1) < 0.01
    True
    """
    if len(set(dims)) < 4:
        raise ValueError(f"dims is {dims!r}; it must hold at least 4 different dimensions")
    limit = float(thermodynamics.threshold(_arguments.positive("lam", lam)))
    if error is None:
        error = 0.5 - lam / (1.0 + math.hypot(1.0, 2.0 * lam))
    found = [one_update_capacity(dim=dim, lam=lam, error=error, trials=trials, seed=seed) for dim in dims]
    if not np.all(np.isfinite(found)):
        raise ValueError(f"error is {error!r}; it must be one that the update passes at every dimension")
    d = np.asarray(dims, dtype=np.float64)
    solver = np.linalg.pinv(np.stack([np.ones_like(d), np.log(d) / d, 1.0 / d], axis=1))
    sigma = np.array([(c.high - c.low) / (2.0 * 1.96) for c in found]) / d
    a, b, c = solver @ (np.array([c.log_patterns for c in found]) / d)
    return Growth(
        dims=tuple(dims),
        capacities=tuple(found),
        limit=float(a),
        spread=float(np.sqrt(np.sum((solver[0] * sigma) ** 2))),
        coefficients=(float(b), float(c)),
        threshold=limit,
    )
