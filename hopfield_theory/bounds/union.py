"""Capacities of a random memory, as natural logarithms of a number of patterns: C1, C2, C8 and C11.

The published bound, the recalled capacity lemma of the outlier-efficient model, mended, the union bound over pairs, and
the packing bound, which holds for every memory, random or not.
"""

import math

from scipy import special

from hopfield_theory import _arguments
from hopfield_theory.bounds import _quadrature, codes, sphere
from hopfield_theory.bounds.fixed_pairs import forced_angle
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
    _arguments.instance("memory", memory, RandomMemory)
    log_p = math.log(_arguments.probability("failure_probability", failure_probability))
    # log(β K²)
    strength = math.log(memory.kappa / (memory.dim - 1))
    a = 2.0 * (1.0 + math.log(2.0) + strength + log_p + math.log(memory.dim - 1)) / (memory.dim - 1)
    return _log_base(a, math.log(0.4) + strength)


def _log_base(a: float, log_b: float) -> float:
    """Return ``log c`` of ``c = b/W_0(exp(a + log b))``: ``log b - log ω``, where ``ω + log ω = a + log b``."""
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


def well_separated(
    memory: RandomMemory, failure_probability: float, *, factor: float | None = None, ball: float | None = None
) -> float:
    """Logarithm of the number of random patterns that the recalled capacity lemma, mended, stores (C11, proved here).

    ``sqrt(p) C^{(d-1)/4}`` with ``C = b/W_0(exp(a + log b))``, ``a = 4 (log(2 factor m/R) + 1)/(d - 1)`` and
    ``b = 4 β m²/(5 (d - 1))``. It is recalled with the factor ``sqrt(p) - 1``, which is negative, and without a
    condition on the radius R. It holds for the factor ``sqrt(p)``, ``R <= min(m, 1/(2 β m))`` and no-op masses up to 1.

    Parameters
    ----------
    memory : RandomMemory
    failure_probability : float, in (0, 1)
        p.
    factor : float, above 0, optional
        By default ``sqrt(p)``; another one evaluates a reading that is not proved (P35).
    ball : float, above 0, optional
        R in units of m; by default ``min(1, 1/(2 κ))``, and a larger one is not proved (P35).

    Returns
    -------
    float
        ``-inf`` for fewer than 2 patterns, and for a no-op mass above 1.

    Notes
    -----
    Statement C11; the proof is in docs/bounds-proofs.md. C2 (:func:`pairwise`) stores more.

    Examples
    --------
    >>> capacity = well_separated(RandomMemory.of(dim=20, beta=1.0, scale=3.0), failure_probability=1e-3)
    >>> round(math.exp(capacity), 2)
    11.18
    """
    _arguments.instance("memory", memory, RandomMemory)
    root = math.sqrt(_arguments.probability("failure_probability", failure_probability))
    factor = root if factor is None else _arguments.positive("factor", factor)
    ball = min(1.0, 0.5 / memory.kappa) if ball is None else _arguments.positive("ball", ball)
    if memory.log_noop > 0.0:
        return -math.inf
    sides = memory.dim - 1
    a = 4.0 * (math.log(2.0) + math.log(factor) - math.log(ball) + 1.0) / sides
    log_c = _log_base(a, math.log(0.8) + math.log(memory.kappa) - math.log(sides))
    capacity = math.log(root) + 0.25 * sides * log_c
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
    _arguments.instance("memory", memory, RandomMemory)
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
    """Least distance D between two stored patterns of equal norm (C8, proved here): above ``1/(β m)``.

    It is ``2 m sin(θ/2)`` with the least angle θ of :func:`~hopfield_theory.bounds.fixed_pairs.forced_angle`, for any
    other patterns of at most that norm and any no-op mass, and the best such bound. ``β m D`` falls from 2 at
    ``κ = β m² = 1`` to 1 as κ grows; up to κ = 1 no memory stores two patterns, and it is ``inf``.

    Parameters
    ----------
    beta : float, above 0
        Inverse temperature.
    radius : float, above 0
        m.

    Examples
    --------
    >>> round(forced_distance(beta=2.0, radius=5.0), 4)
    0.1002
    """
    beta, radius = _arguments.positive("beta", beta), _arguments.positive("radius", radius)
    angle = forced_angle(beta * radius * radius)
    return math.inf if math.isinf(angle) else 2.0 * radius * math.sin(0.5 * angle)


def packing(memory: RandomMemory) -> float:
    """Upper bound on the logarithm of the number of patterns of equal norm that any memory stores (C8).

    Stored patterns are at least ``forced_distance`` apart, so they form a spherical code, for any no-op mass.

    Returns
    -------
    float
        0 up to κ = 1, where no two patterns are stored.

    Examples
    --------
    >>> round(packing(RandomMemory.of(dim=20, beta=1.0, scale=3.0)), 1)
    113.3
    >>> packing(RandomMemory.of(dim=20, beta=1e-3, scale=1.0))
    0.0
    """
    _arguments.instance("memory", memory, RandomMemory)
    angle = forced_angle(memory.kappa)
    return 0.0 if math.isinf(angle) else codes.log_code_size(max(2.0 * math.sin(0.5 * angle) ** 2, 1e-300), memory.dim)
