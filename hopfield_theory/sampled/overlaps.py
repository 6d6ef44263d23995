"""The law of the overlaps of random patterns with an independent direction, and draws from it.

In units of the radius a pattern is ``t x̂ + a u``: t is the overlap with the direction x̂, and u an isotropic vector
across it, independent of t, with the length scale a. On the sphere ``a = sqrt(1 - t²)`` and u is a unit vector; in the
Gaussian ensemble ``a = 1`` and u is normal with covariance ``1/d``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.polynomial import Chebyshev
from scipy import special

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds.cap_heights import log_height

__all__ = ["OverlapLaw", "Streams", "cosines", "overlap_law"]

_TABLE_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_TABLE_DEGREE = 24
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(16)
# A normal variable below it has a probability of e^-800.
_NORMAL_END = -40.0


class OverlapLaw(Protocol):
    """Law of t, a and u, for one dimension."""

    @property
    def dim(self) -> int:
        """Dimension of the space."""
        ...

    def draw(self, streams: Streams, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        """Draw t and a of independent rivals, two arrays of shape (trials, rivals)."""
        ...

    def tail(self, log_share: float) -> Callable[[Floats], tuple[Floats, Floats]]:
        """Return the map from e, at least 0, to t and a at the tail probability ``exp(log_share - e)``; any shape."""
        ...

    def below(self, log_share: float, kappa: float) -> tuple[Floats, Floats, Floats]:
        """Return nodes of the law of t below its quantile at a tail probability, fine enough for ``exp(κ t)``.

        Three arrays of shape (nodes,): t, the mean of ``|a u|²`` and the logarithm of the weight; weights sum to 1.
        """
        ...

    def across(self, lengths: Floats, variance: Floats, streams: Streams) -> Floats:
        """Draw the length of ``Σ l u + v``: lengths l (trials, rivals), v normal, its variance (trials,) per axis."""
        ...


class Streams(NamedTuple):
    """One generator per kind of draw, so that the first trials do not depend on how many follow or on the blocks.

    Arrays are filled row by row, and a row is a trial: more trials only extend each stream.

    Attributes
    ----------
    counts : numpy.random.Generator
        Numbers of drawn rivals.
    places, rests : numpy.random.Generator
        Their overlaps; the squared lengths across that turn normal variables into overlaps on the sphere.
    turns, turn_rests : numpy.random.Generator
        Cosines between their parts across the query.
    bulks, bulk_sides, bulk_rests : numpy.random.Generator
        Sums over the others: weights and overlaps; one coordinate of the part across, and the other coordinates.
    sides, side_rests : numpy.random.Generator
        Cosine between the sum's and the target's part across the query.

    Examples
    --------
    >>> Streams.of(0).counts.integers(100) == Streams.of(0).counts.integers(100)
    np.True_
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
    def of(cls, seed: int) -> Streams:
        """Return the streams of a seed of at least 0."""
        return cls(*(np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(len(cls._fields))))


def cosines(normals: Floats, gammas: Floats) -> Floats:
    """Return first coordinates of uniform points of a sphere.

    Parameters
    ----------
    normals : ndarray
        Standard normal variables: the first coordinates before normalisation.
    gammas : ndarray, same shape
        Half the squared length of the other coordinates: gamma variables whose parameter is half their number.

    Examples
    --------
    >>> float(cosines(np.array(3.0), np.array(8.0)))
    0.6
    """
    return normals / np.sqrt(normals * normals + 2.0 * gammas)


@lru_cache(maxsize=64)
def _heights(log_share: float, dim: int) -> list[Chebyshev]:
    """Return the logarithm of the height of a cap of share ``e^(log_share - e)``, as polynomials in e by panel."""
    return [
        Chebyshev.interpolate(lambda e: log_height(log_share - e, dim), _TABLE_DEGREE, domain=pair)
        for pair in itertools.pairwise(_TABLE_EDGES)
    ]


@dataclass(frozen=True)
class _Sphere:
    dim: int

    def draw(self, streams: Streams, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        side = streams.places.standard_normal(shape)
        rest = 2.0 * streams.rests.standard_gamma(0.5 * (self.dim - 1), shape)
        square = side * side + rest
        return side / np.sqrt(square), np.sqrt(rest / square)

    def tail(self, log_share: float) -> Callable[[Floats], tuple[Floats, Floats]]:
        panels = _heights(log_share, self.dim)

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
        # Heights too small to change a score have at most e^-30 of the mass, and would only add panels.
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

    def across(self, lengths: Floats, variance: Floats, streams: Streams) -> Floats:
        half = 0.5 * (self.dim - 2)
        shape = lengths.shape
        turns = cosines(streams.turns.standard_normal(shape), streams.turn_rests.standard_gamma(half, shape))
        # The next vector is isotropic for any sum so far: the length of the sum is a Markov chain.
        square = np.zeros(shape[0])
        for length, turn in zip(lengths.T.copy(), turns.T.copy(), strict=True):
            square += length * (length + 2.0 * turn * np.sqrt(square))
            np.maximum(square, 0.0, out=square)
        ahead = np.sqrt(square) + np.sqrt(variance) * streams.bulk_sides.standard_normal(shape[0])
        return np.sqrt(ahead * ahead + 2.0 * variance * streams.bulk_rests.standard_gamma(half, shape[0]))


@dataclass(frozen=True)
class _Gaussian:
    dim: int

    def draw(self, streams: Streams, shape: tuple[int, int]) -> tuple[Floats, Floats]:
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

    def across(self, lengths: Floats, variance: Floats, streams: Streams) -> Floats:
        # A sum of normal vectors with given weights is normal.
        whole = np.sum(lengths * lengths, axis=1) / self.dim + variance
        return np.sqrt(2.0 * whole * streams.bulk_rests.standard_gamma(0.5 * (self.dim - 1), lengths.shape[0]))


def overlap_law(ensemble: str, dim: int) -> OverlapLaw:
    """Return the law of an ensemble's overlaps.

    Parameters
    ----------
    ensemble : {"sphere", "gaussian"}
        Uniform on the sphere, or normal with covariance ``1/d``.
    dim : int, at least 2
        Dimension d.

    Examples
    --------
    >>> place = overlap_law("sphere", 3).tail(np.log(0.25))  # Archimedes
    >>> round(float(place(np.zeros(1))[0][0]), 12)
    0.5
    """
    dim = _arguments.integer("dim", dim, 2)
    chosen = _arguments.one_of("ensemble", ensemble, ("sphere", "gaussian"))
    return _Sphere(dim) if chosen == "sphere" else _Gaussian(dim)


def _panels(edges: Floats, extra: Floats) -> tuple[Floats, Floats]:
    edges = np.unique(np.concatenate([edges, extra]))
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half + half * _NODES).ravel(), np.log((half * _NODE_WEIGHTS).ravel())


def _layer(scale: float, width: float) -> Floats:
    """Return distances from an edge that double from its boundary layer up to the width of the panel."""
    return scale * 2.0 ** np.arange(0.0, max(math.log2(width / scale), 0.0))
