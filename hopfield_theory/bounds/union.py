"""Capacities of a random memory, as natural logarithms of a number of patterns: C1, C2 and C8.

The published bound, the union bound over pairs, and the packing bound, which holds for every memory, random or not.
"""

import math

from scipy import special

from hopfield_theory import _arguments
from hopfield_theory.bounds import _quadrature, codes, sphere
from hopfield_theory.bounds.one_update import gap_offset, log_less_one
from hopfield_theory.bounds.random_memory import RandomMemory


def published_base(memory: RandomMemory, failure_probability: float) -> float:
    """Logarithm of the base c of the published exponential capacity (C1).

    ``c = b / W_0(exp(a + log b))`` with ``a = 2 (1 + log(2 β K² p (d - 1))) / (d - 1)`` and ``b = 2 K² β / 5``. With
    the Wright function ``ω(y) = W_0(e^y)``, ``ω + log ω = y``, this is ``log c = ω(a + log b) - a``.

    Parameters
    ----------
    memory : RandomMemory
        Its radius defines K by ``m = K sqrt(d - 1)``; its no-op mass is not used.
    failure_probability : float, in (0, 1)
        p.

    Notes
    -----
    Statement C1: Theorem 3 of Ramsauer et al. 2021, arXiv:2008.02217; the example reproduces its two constants, which
    are printed rounded down. The theorem does not require a large β, and fails for small ones: below ``κ = β m² = 1``
    there is a single fixed point, while the formula promises many patterns (d = 2, κ = 1e-6: 428).

    Examples
    --------
    >>> log_c = published_base(RandomMemory.of(dim=20, beta=1.0, scale=3.0), failure_probability=1e-3)
    >>> math.floor(1e4 * math.exp(log_c)) / 1e4
    3.1546
    >>> log_c = published_base(RandomMemory.of(dim=75, beta=1.0, scale=1.0), failure_probability=1e-3)
    >>> math.floor(1e4 * math.exp(log_c)) / 1e4
    1.3718
    """
    log_p = math.log(_arguments.probability("failure_probability", failure_probability))
    # log(β K²)
    strength = math.log(memory.kappa / (memory.dim - 1))
    a = 2.0 * (1.0 + math.log(2.0) + strength + log_p + math.log(memory.dim - 1)) / (memory.dim - 1)
    log_b = math.log(0.4) + strength
    # log c = log b - log ω, and ω + log ω = a + log b.
    return float(special.wrightomega(a + log_b)) - a


def published(memory: RandomMemory, failure_probability: float) -> float:
    """Logarithm of the published capacity (C1): ``log(sqrt(p) c^{(d-1)/4})``, dense model.

    Parameters are the same as for ``published_base``.

    Returns
    -------
    float
        ``-inf`` where the theorem's condition ``c >= (2/sqrt(p))^{4/(d-1)}`` fails, that is for fewer than 2 patterns.

    Notes
    -----
    Statement C1: Theorem 3 of Ramsauer et al. 2021, arXiv:2008.02217; the theorem of Hu et al. 2024, arXiv:2404.03828,
    has the same form.

    Examples
    --------
    >>> capacity = published(RandomMemory.of(dim=20, beta=1.0, scale=3.0), failure_probability=1e-3)
    >>> round(math.exp(capacity), 2)
    7.41
    """
    log_c = published_base(memory, failure_probability)
    capacity = 0.5 * math.log(failure_probability) + 0.25 * (memory.dim - 1) * log_c
    return capacity if capacity >= math.log(2.0) else -math.inf


def pairwise(memory: RandomMemory, failure_probability: float) -> float:
    """Logarithm of the number of random patterns that T12 and a union bound over pairs store (C2).

    The largest M with ``M (M - 1)/2 · P(1 - cos < Δ/m²) <= p``, where Δ is the smallest gap at which some ball meets
    T12 (``hopfield_theory.bounds.one_update.least_gap``).

    Parameters
    ----------
    memory : RandomMemory
    failure_probability : float, in (0, 1)
        p.

    Returns
    -------
    float
        Below ``log 2`` if no pair is certified, ``-inf`` if the no-op slot moves even a single pattern too far.

    Examples
    --------
    >>> capacity = pairwise(RandomMemory.of(dim=20, beta=1.0, scale=3.0), failure_probability=1e-3)
    >>> math.floor(math.exp(capacity))
    861
    """
    kappa = memory.kappa
    log_p = math.log(_arguments.probability("failure_probability", failure_probability))
    offset = gap_offset(kappa, memory.log_noop)
    if math.isinf(offset):
        return -math.inf

    def holds(log_patterns: float) -> bool:
        others = float(log_less_one(log_patterns))
        height = min(max(offset + others / kappa, 0.0), 2.0)
        return log_patterns + others - math.log(2.0) + float(sphere.log_cap(height, memory.dim)) <= log_p

    # At height 2 the cap is the whole sphere, and two patterns already make a pair.
    high = max(math.log(2.0), kappa * (2.0 - offset)) + 2.0
    return _quadrature.largest(holds, 0.0, high, steps=100)


def forced_distance(*, beta: float, radius: float) -> float:
    """Least distance D between two stored patterns of equal norm: ``log 3 / (2 β m)`` (C8, proved here).

    It holds for any other patterns and any no-op mass: the two patterns lie in disjoint balls, and each ball has one
    fixed point to which all of the ball converges. Let ``x_i`` be the fixed points, ``ρ_i`` their distances from the
    patterns, ``ℓ = |x_1 - x_2|``. Since the norms are equal, the mean of ``|ξ - ξ_i|²`` under the weights at ``x_i``
    (with the no-op slot at the origin) is at most ``2 m ρ_i``. Away from ``x_i`` weights grow by at most
    ``exp(2 β m |x - x_i|)``. Between two fixed points the mean slope is 1; bounding it from the nearer end gives
    ``1 <= (ρ_1 + ρ_2)(exp(β m ℓ) - 1)/ℓ``, where ``ρ_1 + ρ_2 <= D`` and ``ℓ <= 2D``, hence ``exp(2 β m D) >= 3``.

    Parameters
    ----------
    beta : float, above 0
        Inverse temperature.
    radius : float, above 0
        m.

    Examples
    --------
    >>> round(forced_distance(beta=2.0, radius=0.5), 6)
    0.549306
    """
    return math.log(3.0) / (2.0 * _arguments.positive("beta", beta) * _arguments.positive("radius", radius))


def packing(memory: RandomMemory) -> float:
    """Upper bound on the logarithm of the number of patterns of equal norm that any memory stores (C8).

    Stored patterns are at least ``forced_distance`` apart, so they form a spherical code with
    ``1 - cos >= (log 3 / κ)² / 8``, for any no-op mass.

    Returns
    -------
    float
        0 if two patterns cannot be far enough apart.

    Examples
    --------
    >>> round(packing(RandomMemory.of(dim=20, beta=1.0, scale=3.0)), 1)
    124.6
    >>> packing(RandomMemory.of(dim=20, beta=1e-3, scale=1.0))
    0.0
    """
    height = 0.125 * (math.log(3.0) / memory.kappa) ** 2
    return 0.0 if height > 2.0 else codes.log_code_size(max(height, 1e-300), memory.dim)
