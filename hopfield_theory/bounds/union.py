"""Capacities of a random memory, as natural logarithms of a number of patterns: C1, C2, C3, C6, C7 and C8.

C3 lives in `chernoff`, C6 in `merging`, C7 in `crowding`; they are offered here too, beside the published bound C1, the
plain union bound C2 and the packing bound C8, which holds for every memory, random or not.
"""

import math

from scipy import special

from hopfield_theory import _arguments
from hopfield_theory.bounds import _quadrature, codes, sphere
from hopfield_theory.bounds.ceiling import ceiling
from hopfield_theory.bounds.chernoff import Witness, chernoff, chernoff_witness
from hopfield_theory.bounds.crowding import TypicalWitness, typical_witness
from hopfield_theory.bounds.merging import PairWitness, pair_witness
from hopfield_theory.bounds.one_update import _log_less_one, _separation_offset
from hopfield_theory.bounds.random_memory import Model

__all__ = [
    "Model",
    "PairWitness",
    "TypicalWitness",
    "Witness",
    "ceiling",
    "chernoff",
    "chernoff_witness",
    "forced_separation",
    "packing",
    "pair_witness",
    "pairwise",
    "published",
    "published_base",
    "typical_witness",
]


def published_base(*, dim: int, beta: float, scale: float, failure_probability: float) -> float:
    """Logarithm of the base c of the published exponential capacity (C1).

    ``c = b / W_0(exp(a + log b))`` with ``a = 2 (1 + log(2 β K² p (d - 1))) / (d - 1)`` and ``b = 2 K² β / 5``. With
    the Wright function ``ω(y) = W_0(e^y)``, ``ω + log ω = y``, this is ``log c = ω(a + log b) - a``.

    Parameters
    ----------
    dim : int, at least 2
        Dimension d.
    beta, scale : float, above 0
        Inverse temperature, and K; the radius is ``K sqrt(d - 1)``.
    failure_probability : float, in (0, 1)
        p.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Notes
    -----
    Statement C1: Theorem 3 of Ramsauer et al. 2021, arXiv:2008.02217, whose two constants, printed
    rounded down, the example reproduces. The theorem does not ask for a large β, and fails for small ones: below
    ``κ = β m² = 1`` there is a single fixed point, while the formula promises many patterns (d = 2, κ = 1e-6: 428).

    Examples
    --------
    >>> log_c = published_base(dim=20, beta=1.0, scale=3.0, failure_probability=1e-3)
    >>> math.floor(1e4 * math.exp(log_c)) / 1e4
    3.1546
    >>> log_c = published_base(dim=75, beta=1.0, scale=1.0, failure_probability=1e-3)
    >>> math.floor(1e4 * math.exp(log_c)) / 1e4
    1.3718
    """
    a, log_b = _published_terms(dim, beta, scale, failure_probability)
    # log c = log b - log ω, and ω + log ω = a + log b.
    return float(special.wrightomega(a + log_b)) - a


def published(*, dim: int, beta: float, scale: float, failure_probability: float) -> float:
    """Logarithm of the published capacity (C1): ``log(sqrt(p) c^{(d-1)/4})``, dense model.

    Parameters
    ----------
    dim, beta, scale, failure_probability
        As in `published_base`.

    Returns
    -------
    float
        ``-inf`` where the theorem's condition ``c >= (2/sqrt(p))^{4/(d-1)}`` fails, that is for fewer than 2 patterns.

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Notes
    -----
    Statement C1: Theorem 3 of Ramsauer et al. 2021, arXiv:2008.02217; Hu et al. 2024, arXiv:2404.03828, state theirs
    in the same form.

    Examples
    --------
    >>> capacity = published(dim=20, beta=1.0, scale=3.0, failure_probability=1e-3)
    >>> round(math.exp(capacity), 2)
    7.41
    """
    log_c = published_base(dim=dim, beta=beta, scale=scale, failure_probability=failure_probability)
    capacity = 0.5 * math.log(failure_probability) + 0.25 * (dim - 1) * log_c
    return capacity if capacity >= math.log(2.0) else -math.inf


def pairwise(
    *,
    dim: int,
    beta: float,
    scale: float,
    failure_probability: float,
    noop: float = 1.0,
    log_noop: float | None = None,
) -> float:
    """Logarithm of the number of random patterns that T12 and a union bound over pairs store (C2).

    The largest M with ``M (M - 1)/2 · P(1 - cos < Δ/m²) <= p``, where Δ is the smallest gap at which some ball meets
    T12 (`hopfield_theory.bounds.one_update.separation`).

    Parameters
    ----------
    dim : int, at least 2
        Dimension d.
    beta, scale : float, above 0
        Inverse temperature, and K; the radius is ``K sqrt(d - 1)``.
    failure_probability : float, in (0, 1)
        p.
    noop, log_noop : float
        The no-op mass, or its logarithm.

    Returns
    -------
    float
        Below ``log 2`` where no pair is certified, ``-inf`` where the no-op slot moves even a single pattern too far.

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Examples
    --------
    >>> capacity = pairwise(dim=20, beta=1.0, scale=3.0, failure_probability=1e-3)
    >>> math.floor(math.exp(capacity))
    861
    """
    model = Model.of(dim, beta, scale, noop=noop, log_noop=log_noop)
    kappa, dim = model.kappa, model.dim
    log_p = math.log(_arguments.probability("failure_probability", failure_probability))
    offset = _separation_offset(kappa, model.log_noop)
    if math.isinf(offset):
        return -math.inf

    def holds(log_patterns: float) -> bool:
        others = float(_log_less_one(log_patterns))
        height = min(max(offset + others / kappa, 0.0), 2.0)
        return log_patterns + others - math.log(2.0) + float(sphere.log_cap(height, dim)) <= log_p

    # At height 2 the cap is the whole sphere, and two patterns already make a pair.
    high = max(math.log(2.0), kappa * (2.0 - offset)) + 2.0
    return _quadrature.largest(holds, 0.0, high, steps=100)


def forced_separation(*, beta: float, radius: float) -> float:
    """Distance that two stored patterns of equal norm cannot fall below: ``log 3 / (2 β m)`` (C8, proved here).

    Whatever the other patterns and the no-op mass, two patterns of norm m in disjoint balls, each holding a fixed
    point to which all of the ball converges, are at least that far apart. Let ``x_i`` be the fixed points, ``ρ_i``
    their distances from the patterns, ``ℓ = |x_1 - x_2|``. Since the norms are equal, the mean of
    ``|ξ - ξ_i|²`` under the weights at ``x_i`` (the no-op slot at the origin counted) is at most ``2 m ρ_i``. Away
    from ``x_i`` weights grow by at most ``exp(2 β m |x - x_i|)``. Two fixed points need a mean slope of 1 between
    them; bounding it from the nearer end gives ``1 <= (ρ_1 + ρ_2)(exp(β m ℓ) - 1)/ℓ``, where ``ρ_1 + ρ_2 <= D`` and
    ``ℓ <= 2D``, hence ``exp(2 β m D) >= 3``.

    Parameters
    ----------
    beta : float, above 0
        Inverse temperature.
    radius : float, above 0
        m.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Examples
    --------
    >>> round(forced_separation(beta=2.0, radius=0.5), 6)
    0.549306
    """
    return math.log(3.0) / (2.0 * _arguments.positive("beta", beta) * _arguments.positive("radius", radius))


def packing(*, dim: int, beta: float, scale: float) -> float:
    """Upper bound on the logarithm of the number of patterns of equal norm that any memory stores (C8).

    Stored patterns keep `forced_separation`, so they form a spherical code with ``1 - cos >= (log 3 / κ)² / 8``.

    Parameters
    ----------
    dim : int, at least 2
        Dimension d.
    beta, scale : float, above 0
        Inverse temperature, and K; the radius is ``K sqrt(d - 1)``.

    Returns
    -------
    float
        0 where two patterns cannot be far enough apart.

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Examples
    --------
    >>> round(packing(dim=20, beta=1.0, scale=3.0), 1)
    124.6
    >>> packing(dim=20, beta=1e-3, scale=1.0)
    0.0
    """
    model = Model.of(dim, beta, scale)
    height = 0.125 * (math.log(3.0) / model.kappa) ** 2
    return 0.0 if height > 2.0 else codes.log_code_size(max(height, 1e-300), model.dim)


def _published_terms(dim: int, beta: float, scale: float, failure_probability: float) -> tuple[float, float]:
    d = _arguments.integer("dim", dim, 2)
    b = math.log(_arguments.positive("beta", beta)) + 2.0 * math.log(_arguments.positive("scale", scale))
    log_p = math.log(_arguments.probability("failure_probability", failure_probability))
    return 2.0 * (1.0 + math.log(2.0) + b + log_p + math.log(d - 1)) / (d - 1), math.log(0.4) + b
