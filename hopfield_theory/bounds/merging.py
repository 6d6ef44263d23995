"""Pairs of random patterns so close that both converge to one fixed point: the bound C6."""

import math
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from scipy import optimize

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds.random_memory import RandomMemory


@dataclass(frozen=True)
class PairWitness:
    """Free parameters of C6: pairs closer than ``height`` merge if the others move them less than ``tube``.

    ``height`` is ``1 - cos`` of the pair, below ``2/κ``; ``tube`` is the half width s of the tube in units of m.
    """

    log_patterns: float
    height: float
    tube: float


@lru_cache(maxsize=256)
def pair_witness(memory: RandomMemory, failure_probability: float) -> PairWitness:
    """Return the parameters with which C6 proves that not all patterns are stored.

    Let two patterns have distance D, midpoint c and direction e, and let G, the tube, be the points within ``s`` of the
    segment between them. In units of m, with ``h = D/2`` and ``C = |c|``: the update maps G into itself if
    ``Σ_{ν>=3} (w - s)₊ y + (C - s)₊ l <= s`` and contracts it if ``Σ (κ w² - 1)₊ y + (κ C² - 1)₊ l < 1 - κ h²``, where
    ``w = |ξ_ν - c|``, ``y = ½ exp(κ (<ξ_ν - c, c> + h |<ξ_ν, e>| + s w))`` and ``l = ½ n exp(-κ C (C - s))``. Then both
    patterns converge to one fixed point, and disjoint balls cannot store both. Given the pair, the probability η that
    the others exceed an allowance is at most their mean divided by it (Markov). With q the probability of a close pair
    and ``x = q M (M - 1)/2``, pairwise independence gives
    ``P(not all stored) >= max(x (1 - η) - x²/2, x (1 - η)²/(1 - η + x))``.

    Parameters
    ----------
    memory : RandomMemory
    failure_probability : float, in (0, 1)
        p.

    Returns
    -------
    PairWitness
        Its ``log_patterns`` is ``inf`` if nothing is proved.

    Examples
    --------
    >>> witness = pair_witness(RandomMemory.of(dim=20, beta=1.0, scale=3.0), failure_probability=1e-3)
    >>> 1.9 < witness.height * 171 < 2.0
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    log_p = math.log(_arguments.probability("failure_probability", failure_probability))
    _quadrature.check_dim(memory.dim)

    best = PairWitness(math.inf, min(2.0 / memory.kappa, 1.0), 1.0 / memory.kappa)
    for log_tube in np.linspace(-3.0, 1.5, 10):
        for log_deficit in np.linspace(-9.0, -0.3, 30):
            height = min(2.0 * (1.0 - math.exp(log_deficit)) / memory.kappa, 1.0)
            witness = PairWitness(math.inf, height, math.exp(log_tube) / memory.kappa)
            found = _pair_solved(memory, witness, log_p)
            best = found if found.log_patterns < best.log_patterns else best
    return best


def log_pair_failure(memory: RandomMemory, witness: PairWitness, log_patterns: float) -> float:
    """Logarithm of the C6 lower bound on the probability that not all of ``exp(log_patterns)`` patterns are stored.

    Parameters
    ----------
    memory : RandomMemory
    witness : PairWitness
        Height of the pairs, below ``2/κ`` and 1, and half width of the tube.
    log_patterns : float
        log M.

    Returns
    -------
    float
        ``-inf`` where nothing is proved.

    Examples
    --------
    >>> bound = log_pair_failure(RandomMemory(20, 171.0), PairWitness(0.0, 1.98 / 171, 1.0 / 171), math.log(9e6))
    >>> 1.0e-3 < math.exp(bound) < 1.1e-3
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    _arguments.instance("witness", witness, PairWitness)
    _arguments.real("log_patterns", log_patterns, 0.0)
    mean = _log_loudness(memory, witness)
    pairs = float(sphere.log_cap(witness.height, memory.dim))
    return -math.inf if mean is None else _pair_bound(pairs, mean, log_patterns)


def _pair_bound(log_pair: float, log_loudness: float, log_patterns: float) -> float:
    quiet = 1.0 - math.exp(min(log_patterns + log_loudness, 1.0))
    if quiet <= 0.0 or log_patterns <= 0.0:
        return -math.inf
    # below 1e-3 the exponential is rounded to 1
    share = math.log1p(-math.exp(-log_patterns)) if log_patterns > 1e-3 else math.log(-math.expm1(-log_patterns))
    x = math.exp(min(2.0 * log_patterns + share - math.log(2.0) + log_pair, 300.0))
    bound = max(x * (quiet - 0.5 * x), x * quiet * quiet / (quiet + x))
    return math.log(bound) if bound > 0.0 else -math.inf


def _log_loudness(memory: RandomMemory, witness: PairWitness) -> float | None:
    """Logarithm of one other pattern's mean share of the two allowances of C6; None if an allowance is not positive."""
    kappa, s, u = memory.kappa, witness.tube, witness.height
    h = math.sqrt(0.5 * u)
    # A closer pair has a longer midpoint; each term is taken at its extreme over closer pairs.
    c = math.sqrt(1.0 - 0.5 * u)
    if s >= c:
        return None
    leak = 0.5 * math.exp(min(memory.log_noop - kappa * c * (c - s), 300.0))
    displacement = s - (1.0 - s) * leak
    stretch = 1.0 - kappa * h * h - max(kappa - 1.0, 0.0) * leak
    if displacement <= 0.0 or stretch <= 0.0:
        return None
    rim = 1e-12 / (1.0 + kappa)
    height, log_weight = _quadrature.heights(rim, memory.dim, _kinks(memory, witness))
    cosine = 1.0 - height
    w = np.sqrt(np.maximum(2.0 * height, (1.0 - c) ** 2 + 2.0 * c * height))
    across = kappa * h * np.sqrt(height * (2.0 - height))
    log_y = kappa * (c * (cosine - c) + s * w) + _log_two_sided(across, memory.dim) - math.log(2.0)
    share = np.maximum(w - s, 0.0) / displacement + np.maximum(kappa * w * w - 1.0, 0.0) / stretch
    with np.errstate(divide="ignore"):
        terms = log_y + np.log(share)
    # Below the first node the integrand is constant: its share of the sphere, with a factor 2 for safety.
    nearest = float(sphere.log_cap(rim, memory.dim) + terms[0]) + math.log(2.0)
    return float(np.logaddexp(np.logaddexp.reduce(log_weight + terms), nearest))


def _kinks(memory: RandomMemory, witness: PairWitness) -> tuple[float, ...]:
    """Heights at which the mean loudness has kinks.

    They are where the formula for the distance to the midpoint changes, where a positive part begins under either
    formula, and where the bound across the pair changes.
    """
    kappa, s, u = memory.kappa, witness.tube, witness.height
    c = math.sqrt(1.0 - 0.5 * u)
    squares = (s * s, 1.0 / kappa)
    begins = [0.5 * w2 for w2 in squares] + [(w2 - (1.0 - c) ** 2) / (2.0 * c) for w2 in squares]

    sine = _two_sided_turn(memory.dim) / (kappa * math.sqrt(0.5 * u))
    across = math.sqrt(1.0 - sine * sine) if sine < 1.0 else 1.0
    return 0.5 * (1.0 - c), *begins, 1.0 - across, 1.0 + across


def _log_two_sided(x: Floats, dim: int) -> Floats:
    """Bound on ``log E exp(x |cos|)`` across a direction: at most twice the moment of cos, and at most ``exp x``."""
    return np.minimum(x, math.log(2.0) + sphere.log_mgf_across(x, dim))


@cache
def _two_sided_turn(dim: int) -> float:
    """The x above which the bound of ``_log_two_sided`` is the moment of cos; ``inf`` where it is out of reach."""

    def gain(x: float) -> float:
        return math.log(2.0) + float(sphere.log_mgf_across(x, dim)) - x

    return optimize.root_scalar(gain, bracket=(1e-3, 700.0), xtol=1e-14).root if gain(700.0) < 0.0 else math.inf


def _pair_solved(memory: RandomMemory, witness: PairWitness, log_p: float) -> PairWitness:
    loudness = _log_loudness(memory, witness)
    if loudness is None:
        return witness
    pairs = float(sphere.log_cap(witness.height, memory.dim))
    # As long as the mean is at most one half, the bound increases with M.
    high = -loudness - math.log(2.0)
    if high <= 0.0 or _pair_bound(pairs, loudness, high) <= log_p:
        return witness
    low = _quadrature.largest(lambda v: _pair_bound(pairs, loudness, v) <= log_p, 0.0, high)
    return replace(witness, log_patterns=math.nextafter(low, math.inf) + 1e-12 * high)
