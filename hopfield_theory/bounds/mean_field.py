"""Where retrieval ends as the memory grows: the exact exponent (C4) and a mean-field curve at finite dimension (C5)."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds.random_memory import RandomMemory

_SCAN_POINTS = 4000
# The branch ends long before its no-op term is this large; beyond it only the sign matters.
_LARGEST_EXPONENT = 600.0


@dataclass(frozen=True)
class Fold:
    """End of the retrieval branch: the number of patterns (natural logarithm) and the overlap there."""

    log_patterns: float
    overlap: float


def threshold(lam: ArrayLike) -> Floats:
    """Exact growth exponent ``α_1(λ)`` of the capacity, in nats per dimension (C4).

    With ``λ = κ/d`` fixed and ``M = exp(α d)`` random patterns on the sphere, a typical pattern is retrieved as
    d grows if and only if ``α < α_1(λ) = λ (1 - s) - ½ log(1 - s²)``, where ``s = (sqrt(1 + 4λ²) - 1)/(2λ)`` is the
    overlap that dominates the crowd. With ``r = sqrt(1 + 4λ²)`` this is
    ``λ (1 + 1/(r + 2λ))/(1 + r) + ½ log((1 + r)/2)``, without cancellation. A no-op mass ``n = exp(ν d)`` changes
    nothing for ``ν < λ``, and nothing is retrieved for ``ν > λ``.

    Parameters
    ----------
    lam : array_like, above 0
        λ, inverse temperature times squared radius, per dimension.

    Notes
    -----
    Statement C4: random-energy model, Lucibello and Mézard, PRL 2024, arXiv:2304.14964.

    Examples
    --------
    >>> [round(float(a), 4) for a in threshold([0.5, 1.0, 2.0])]
    [0.387, 0.6226, 0.9088]
    """
    x = _arguments.array("lam", lam, np.finfo(float).tiny, np.finfo(float).max)
    root = np.hypot(1.0, 2.0 * x)
    return x * (1.0 + 1.0 / (root + 2.0 * x)) / (1.0 + root) + 0.5 * np.log1p(2.0 * x * (x / (1.0 + root)))


def log_branch(overlap: ArrayLike, memory: RandomMemory) -> Floats:
    """Logarithm of the number of patterns at which the mean-field overlap is q: the curve M(q) of C5 (heuristic).

    ``M(q) = [1 - q - q n e^{-κq}] e^{κq} / ((q - s(κq)) Ψ_d(κq))`` with
    ``s = I_{d/2} / I_{d/2-1}``: the fixed points ``x = q ξ`` when the other patterns act through their mean.

    Parameters
    ----------
    overlap : array_like, in [0, 1]
        q.
    memory : RandomMemory

    Returns
    -------
    ndarray, shape of ``overlap``
        ``-inf`` where the no-op slot itself pulls the overlap below q, ``+inf`` where no crowd is large enough.

    Notes
    -----
    Statement C5, heuristic: it replaces the crowd's sum by its mean and neglects the crowd's pull across the target.
    As an upper bound it is almost proved: C7 (``hopfield_theory.bounds.crowding``) is a rigorous form of the same
    balance, within 3 per cent of this curve at (d, κ) = (20, 171), (30, 116) and (75, 74).

    Examples
    --------
    >>> round(float(np.exp(log_branch(0.7711, RandomMemory.of_lambda(dim=16, lam=1.0, noop=0.0)))))
    4589
    """
    _arguments.instance("memory", memory, RandomMemory)
    q = _arguments.array("overlap", overlap, 0.0, 1.0)
    kappa = memory.kappa
    pull, lead = _balance(q, memory)
    with np.errstate(divide="ignore"):
        top = np.log(np.maximum(pull, 0.0))
        bottom = np.log(np.maximum(lead, 0.0))
        return np.where(pull <= 0.0, -np.inf, top - np.where(pull <= 0.0, 0.0, bottom)) + (
            kappa * q - sphere.log_mgf(kappa * q, memory.dim)
        )


def fold(memory: RandomMemory) -> Fold | None:
    """Fold at which the retrieval branch of C5 ends (heuristic), or None if it has no fold.

    The branch starts at the overlap of a single pattern with the no-op slot. M increases along it as the overlap
    decreases, up to the first local maximum of ``log_branch``.

    Returns
    -------
    Fold or None
        None below a smallest dimension (11, 13, 30, 60 for λ = ½, 1, 2, 3.87 without no-op), and for a no-op mass so
        large that there is no retrieval branch.

    Notes
    -----
    Statement C5, heuristic.

    Examples
    --------
    >>> end = fold(RandomMemory.of_lambda(dim=16, lam=1.0, noop=0.0))
    >>> round(np.exp(end.log_patterns)), round(end.overlap, 2)
    (4589, 0.77)
    >>> fold(RandomMemory.of_lambda(dim=12, lam=1.0, noop=0.0)) is None
    True
    """
    _arguments.instance("memory", memory, RandomMemory)
    start = _start(memory)
    if start < np.finfo(float).tiny:
        return None

    def slope(q: ArrayLike) -> Floats:
        return _slope(np.asarray(q, dtype=np.float64), memory)

    # Folds lie near q = 1 - 1/κ at large κ and anywhere in (0, 1) at small κ: scan in log(1 - q) and in q.
    room = np.concatenate(
        [np.geomspace(1e-3 / (1.0 + memory.kappa), 1.0, _SCAN_POINTS), np.linspace(0.0, 1.0, _SCAN_POINTS)]
    )
    q = np.unique(start * (1.0 - room))[::-1]
    q = q[(q > 0.0) & (q < start)]
    rises = slope(q)
    lead = _balance(q, memory)[1]
    dead = np.flatnonzero(lead <= 0.0)
    if dead.size:
        q, rises = q[: dead[0]], rises[: dead[0]]
    # Close to the smallest dimension the maximum and the next minimum fall between two points of the scan: there the
    # slope has a local maximum below zero by less than its change to the next point.
    middle, change = rises[1:-1], np.abs(np.diff(rises))
    near = (middle < 0.0) & (middle >= rises[:-2]) & (middle >= rises[2:])
    peaks = np.flatnonzero(near & (-middle < np.maximum(change[:-1], change[1:]))) + 1
    for i in peaks:
        place, value = _quadrature.minimum(lambda v: -float(slope(v)), float(q[i + 1]), float(q[i - 1]), steps=80)
        if value < 0.0:
            at = i + int(place < q[i])
            q, rises = np.insert(q, at, place), np.insert(rises, at, -value)
            break
    turned = np.flatnonzero(rises > 0.0)
    if not turned.size or turned[0] == 0:
        return None
    end = _quadrature.largest(lambda v: bool(slope(v) > 0.0), float(q[turned[0]]), float(q[turned[0] - 1]))
    return Fold(float(log_branch(end, memory)), end)


def predicted(memory: RandomMemory, error: float = 0.5) -> float:
    """Logarithm of the number of patterns at which C5 predicts a retrieval error of ``error · m`` (heuristic).

    It is the M at which the overlap on the retrieval branch first falls below ``1 - error``, or at which the branch
    ends in a fold if that comes first.

    Parameters
    ----------
    memory : RandomMemory
    error : float, in (0, 1)
        Error in units of the radius.

    Returns
    -------
    float
        ``-inf`` if the no-op slot prevents such an overlap even for a single pattern, ``+inf`` if the overlap stays
        above it for every M (λ > 1: its limit is ``sqrt(1 - 1/λ)`` for large d).

    Notes
    -----
    Statement C5, heuristic. At λ > 1 the crowd's mean holds states of its own, and where they are within the error
    memories store beyond the fold: at λ = 1.5, d = 64, n = 0 it lies at 47.2, and at 49.5 all of ten sampled targets
    still end within 0.42 m. ``finite_size.law`` is None there.

    Examples
    --------
    >>> memory = RandomMemory.of_lambda(dim=16, lam=1.0, noop=0.0)
    >>> round(predicted(memory, error=0.5), 3)  # the fold
    8.431
    >>> round(predicted(memory, error=0.1), 3)
    8.157
    """
    _arguments.instance("memory", memory, RandomMemory)
    least = 1.0 - _arguments.probability("error", error)
    if _start(memory) <= least:
        return -math.inf
    end = fold(memory)
    if end is not None and end.overlap >= least:
        return end.log_patterns
    return float(log_branch(least, memory))


def _balance(q: Floats, memory: RandomMemory) -> tuple[Floats, Floats]:
    """Return the target's pull at overlap q, less the no-op slot's, and the lead of q over the crowd's overlap."""
    pull = 1.0 - q - q * np.exp(np.minimum(memory.log_noop - memory.kappa * q, _LARGEST_EXPONENT))
    return pull, q - sphere.bessel_ratio(memory.kappa * q, memory.dim)


def _slope(q: Floats, memory: RandomMemory) -> Floats:
    """Sign of ``d log M / dq``, scaled by the two positive factors of M to stay finite at both ends of the branch."""
    kappa, dim = memory.kappa, memory.dim
    leak = np.exp(np.minimum(memory.log_noop - kappa * q, _LARGEST_EXPONENT))
    pull, lead = _balance(q, memory)
    ratio = q - lead
    bend = 1.0 - ratio**2 - (dim - 1) * ratio / (kappa * q)
    return kappa * (1.0 - ratio) * pull * lead - (1.0 + leak * (1.0 - kappa * q)) * lead - (1.0 - kappa * bend) * pull


def _start(memory: RandomMemory) -> float:
    """Overlap at which the branch starts, with no crowd: the largest q with ``1 - q = q n exp(-κ q)``."""
    kappa, log_n = memory.kappa, memory.log_noop
    if math.isinf(log_n):
        return 1.0

    def log_excess(v: float) -> float:
        q = math.exp(v)
        return math.log1p(-q) - v + kappa * q - log_n

    # In q the excess rises only between the two solutions of q (1 - q) = 1/κ, so the largest root lies above the local
    # maximum if that is positive, and otherwise below the local minimum.
    low, high = -abs(log_n) - 50.0, -1e-16
    if kappa > 4.0:
        crest = 0.5 + math.sqrt(0.25 - 1.0 / kappa)
        # beyond κ = 1e16 the crest rounds to 1, where the excess is not defined
        at = min(math.log(crest), high)
        if log_excess(at) >= 0.0:
            low = at
        else:
            high = -math.log(kappa * crest)
    return math.exp(_quadrature.largest(lambda v: log_excess(v) >= 0.0, low, high, steps=200))
