"""Failures of random memories that are too rare to be counted: importance sampling with finite-sample intervals.

Each estimator is a known factor times the mean of a variable in [0, 1], so that its interval needs only Hoeffding's
inequality and no limit theorem. Lengths are in units of the radius m: patterns are uniform on the unit sphere, and
``u = 1 - cos`` is the height of a pattern over another. Arguments out of range raise ValueError.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize, special
from torch import Tensor

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import sphere
from hopfield_theory.statistics import Interval

__all__ = ["ClosePair", "QuietCrowd", "mean_interval"]


# panels of the quadrature on either side of where the pull begins
_PANELS = 64


def mean_interval(values: Tensor, confidence: float) -> Interval:
    """Interval for the mean of a variable in [0, 1] with any law.

    Parameters
    ----------
    values : Tensor, shape (N,)
        Independent draws, in [0, 1], N at least 1.
    confidence : float, in (0, 1)
        Confidence of each end separately.

    Returns
    -------
    Interval
        All μ with ``N kl(mean, μ) <= log(1/(1 - confidence))``, kl the divergence of two Bernoulli laws.

    Notes
    -----
    ``P(mean >= m) <= exp(-N kl(m, μ))`` for m above μ, and likewise below: Hoeffding 1963, Theorem 1.

    Examples
    --------
    >>> print(mean_interval(torch.tensor([0.0, 1.0, 1.0, 0.5] * 100), 0.999))
    0.625 [0.5329, 0.7114] (99.9%)
    """
    if len(values) == 0 or not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError("values must be numbers in [0, 1], at least one")
    mean, allowed = values.double().mean().item(), -math.log1p(-confidence) / len(values)

    def excess(log_at: float) -> float:
        at = math.exp(log_at)
        return float(special.rel_entr(mean, at) + special.rel_entr(1 - mean, 1 - at)) - allowed

    def end(edge: float, side: float) -> float:
        if mean == side or excess(edge) <= 0:
            return side
        bracket = (edge, math.log(mean))
        return math.exp(optimize.root_scalar(excess, bracket=bracket, method="brentq", xtol=1e-14).root)

    high = 1 - math.exp(-allowed) if mean == 0 else end(math.log(math.nextafter(1.0, 0.0)), 1.0)
    # logarithms, since the lower end may be many orders of magnitude smaller than the mean
    return Interval(mean, end(math.log(1e-300), 0.0), high, confidence)


@dataclass(frozen=True)
class ClosePair:
    """Memories of random patterns of which the first two are close, and their weight among all memories.

    With C pairs (of any two patterns, or of the first with another), q the share of the sphere below height ``cap``
    and N the number of pairs below it, memories are drawn with a uniform pair whose height follows the law below the
    cap, and everything else unchanged. Relative to this law, the law of all memories has the density ``C q/N`` on
    ``N >= 1``, up to the order of the patterns. So ``P(event, N >= 1) = C q E[1{event}/N]`` (Karp and Luby 1983).

    Attributes
    ----------
    size : int, at least 2
        M.
    dim : int, at least 2
        d.
    cap : float, in (0, 1]
        Height of close pairs.
    of_first : bool
        Whether only pairs with the first pattern count.

    Examples
    --------
    >>> pairs = ClosePair(size=5, dim=3, cap=1e-6)
    >>> round(math.exp(pairs.log_expected), 12)  # ten pairs, and Archimedes
    5e-06
    >>> patterns = torch.stack([pairs.draw(torch.Generator().manual_seed(seed)) for seed in range(4)])
    >>> pairs.count(patterns)
    tensor([1, 1, 1, 1])
    """

    size: int
    dim: int
    cap: float
    of_first: bool = False

    def __post_init__(self) -> None:
        _arguments.integer("size", self.size, 2)
        _arguments.real("cap", _arguments.positive("cap", self.cap), 0, 1)

    @property
    def log_expected(self) -> float:
        """Logarithm of the expected number of close pairs, C q."""
        pairs = self.size - 1 if self.of_first else self.size * (self.size - 1) / 2
        return math.log(pairs) + float(sphere.log_cap(self.cap, self.dim))

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return one memory, shape (M, d), float64."""
        rows = torch.randn(self.size, self.dim, generator=generator, dtype=torch.float64)
        share = torch.rand(1, generator=generator, dtype=torch.float64).item()
        patterns = torch.nn.functional.normalize(rows, dim=-1)
        first, across = patterns[0], patterns[1]
        across = torch.nn.functional.normalize(across - (across @ first) * first, dim=0)
        height = self._height(share)
        # 1 - cos would lose the digits of a small height
        patterns[1] = (1 - height) * first + math.sqrt(height * (2 - height)) * across
        return patterns

    def _height(self, share: float) -> float:
        """Height of a given share of the cap: the inverse of ``½ I_x((d - 1)/2, ½)``, ``x = u (2 - u)``."""
        below = share * math.exp(float(sphere.log_cap(self.cap, self.dim)))
        x = float(special.betaincinv(0.5 * (self.dim - 1), 0.5, 2 * below))
        return x / (1 + math.sqrt(1 - x))

    def count(self, patterns: Tensor) -> Tensor:
        """Count the close pairs of memories, shape (B, M, d); at least one, the first."""
        rows = patterns[:, :1] if self.of_first else patterns
        apart = torch.cdist(rows, patterns, compute_mode="donot_use_mm_for_euclid_dist")
        close = (apart**2 <= 2 * self.cap).sum((1, 2)) - rows.shape[1]
        return (close if self.of_first else close // 2).clamp_min(1)


@dataclass(frozen=True)
class QuietCrowd:
    """Memories whose other patterns pull the first one less than usual, and their weight among all memories.

    With the pull ``G = Σ g(u_ν)`` of the others, ``g = (u - a)₊ exp(-κ u (1 - a))`` as in C7, and a tilt t, every
    other pattern is drawn with the density ``exp(-t g)/φ`` relative to the uniform law, ``φ = E exp(-t g)``. So
    ``P(event, G <= A) = φ^(M-1) e^(tA) E[e^(t(G-A)) 1{event, G <= A}]``, the factor being Chernoff's bound on
    ``P(G <= A)`` and the variable at most 1.

    Attributes
    ----------
    size : int, at least 2
        M.
    dim : int, at least 2
        d.
    kappa : float, above 0
        κ.
    error : float, in (0, 1)
        The a of the pull.
    most : float, above 0
        A, below the mean pull (above it no tilt is needed).

    Examples
    --------
    >>> crowd = QuietCrowd(size=100, dim=8, kappa=6.0, error=0.05, most=0.1)
    >>> patterns = crowd.draw(torch.Generator().manual_seed(0))
    >>> patterns.shape, 0 <= crowd.weight(patterns[None]).item() <= 1
    (torch.Size([100, 8]), True)
    """

    size: int
    dim: int
    kappa: float
    error: float
    most: float

    def __post_init__(self) -> None:
        if not self._mean_pull(0.0) > self.most > 0:
            mean = self._mean_pull(0.0)
            raise ValueError(f"most is {self.most}: it must be above 0 and below the mean pull, {mean:g}")

    @functools.cached_property
    def tilt(self) -> float:
        """The t that makes Chernoff's bound least: under it the mean pull is A."""
        high = 1.0 / self.most
        while self._mean_pull(high) > self.most:
            high *= 2
        found = optimize.root_scalar(lambda t: self._mean_pull(t) - self.most, bracket=(0.0, high), method="brentq")
        return float(found.root)

    @functools.cached_property
    def log_factor(self) -> float:
        """Logarithm of ``φ^(M-1) e^(tA)``, φ by quadrature."""
        weight, pull = self._nodes
        return (self.size - 1) * math.log1p(float(weight @ np.expm1(-self.tilt * pull))) + self.tilt * self.most

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return one memory, shape (M, d), float64."""
        rows = torch.randn(self.size, self.dim, generator=generator, dtype=torch.float64)
        patterns = torch.nn.functional.normalize(rows, dim=-1)
        open_places = torch.arange(1, self.size)
        # rejection sampling: each place is drawn again until accepted, which gives the tilted law
        while len(open_places):
            accepted = torch.exp(-self.tilt * self._pull(patterns[:1], patterns[open_places])[0])
            chance = torch.rand(len(open_places), generator=generator, dtype=torch.float64)
            open_places = open_places[chance >= accepted]
            rows = torch.randn(len(open_places), self.dim, generator=generator, dtype=torch.float64)
            patterns[open_places] = torch.nn.functional.normalize(rows, dim=-1)
        return patterns

    def weight(self, patterns: Tensor) -> Tensor:
        """Return ``e^(t(G-A))`` where ``G <= A`` and else 0, for memories of shape (B, M, d)."""
        pull = self._pull(patterns[:, :1], patterns[:, 1:]).sum((-2, -1))
        return torch.where(pull <= self.most, torch.exp(self.tilt * (pull - self.most)), 0.0)

    def _pull(self, first: Tensor, others: Tensor) -> Tensor:
        height = 1 - first @ others.mT
        return (height - self.error).clamp_min(0) * torch.exp(-self.kappa * (1 - self.error) * height)

    @functools.cached_property
    def _nodes(self) -> tuple[Floats, Floats]:
        """Weights of angles under the uniform law, and the pull there; panels end where the pull begins."""
        begin = 2 * math.asin(math.sqrt(0.5 * self.error))
        edges = np.concatenate([np.linspace(0, begin, _PANELS), np.linspace(begin, math.pi, _PANELS + 1)[1:]])
        nodes, weights = np.polynomial.legendre.leggauss(16)
        half = 0.5 * np.diff(edges)[:, None]
        angle = (edges[:-1, None] + half + half * nodes).ravel()
        height = 2 * np.sin(0.5 * angle) ** 2
        pull = np.maximum(height - self.error, 0) * np.exp(-self.kappa * (1 - self.error) * height)
        return (half * weights).ravel() * np.exp(sphere.log_density(angle, self.dim)), pull

    def _mean_pull(self, tilt: float) -> float:
        weight, pull = self._nodes
        kept = weight * np.exp(-tilt * pull)
        return float((self.size - 1) * (kept @ pull) / kept.sum())
