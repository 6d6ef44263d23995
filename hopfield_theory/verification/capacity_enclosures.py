"""Capacity bounds C1, C2, C3, C6, C7 and C10 in ball arithmetic: every rounding error is part of the answer.

The functions of ``hopfield_theory.bounds`` search for good parameters and evaluate the bounds in floats. Here their
parameters are taken as exact binary numbers, and the bound is evaluated again: numbers are balls that contain the true
value, integrals are enclosed by Petras' method (``flint.acb.integral``), and each hypothesis of the proofs in
``docs/bounds-proofs.md`` is decided on whole balls. If a hypothesis fails, its bound is void; if it is undecided, so is
the answer. Arguments out of range raise ValueError.

Integrals run over half the angle ``φ = θ/2`` between a uniform point and a fixed one. There the height is
``u = 2 sin(φ)²`` and the distance ``w = 2 sin(φ)``, so that most integrands are entire.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from flint import arb, ctx
from scipy import special

from hopfield_theory import _arguments
from hopfield_theory.bounds import directional
from hopfield_theory.bounds.chernoff import QUANTIFIERS, Witness, chernoff_witness
from hopfield_theory.bounds.crowding import TypicalWitness, typical_witness
from hopfield_theory.bounds.merging import PairWitness, pair_witness
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.bounds.union import pairwise
from hopfield_theory.verification import _chernoff_balls, _crowding_balls, _directional_balls, _merging_balls
from hopfield_theory.verification import _sphere_balls as balls
from hopfield_theory.verification._sphere_balls import Ball

__all__ = [
    "Enclosure",
    "by_direction",
    "chernoff_enclosure",
    "directional_enclosure",
    "pairs_enclosure",
    "pairwise_enclosure",
    "sandwich",
    "typical_enclosure",
]

_PRECISION = 128
# How far log M is moved from the value in floats: well above their errors, well below any displayed digit.
_STEP = 1e-8


@dataclass(frozen=True)
class Enclosure:
    """A capacity bound evaluated in balls at one number of patterns.

    Parameters
    ----------
    statement : str
        "C2", "C3", "C6", "C7" or "C10".
    quantifier : {"all", "typical"}
        Whether the probability is about all patterns or a given one.
    log_patterns : float
        log M, at which the bound was evaluated.
    low, high : float
        Enclosure of the logarithm of the bound: an upper (C2, C3, C10) or lower (C6) bound on the probability of a
        failure, or an upper bound on the probability of a fixed point nearby (C7).
    target : float
        Logarithm, rounded, of the probability with which the bound is compared.
    decided : bool or None
        True if the whole enclosure lies on the side that proves the statement, False if it lies on the other side,
        None if it lies on both.
    """

    statement: str
    quantifier: str
    log_patterns: float
    low: float
    high: float
    target: float
    decided: bool | None


def chernoff_enclosure(
    memory: RandomMemory, witness: Witness, log_patterns: float, failure_probability: float, quantifier: str
) -> Enclosure:
    """Enclose the C3 bound on the probability that patterns are not stored; decided True if it is at most p.

    All arguments are exact. If the shells leave a gap, the bound is 1; if a ball reaches beyond half way to the next
    pattern, if a crowd begins within its shell, or if an allowance is not positive, a tail is 1. The witness's
    ``log_patterns`` is not used.

    Examples
    --------
    >>> from hopfield_theory.bounds.chernoff import Case
    >>> lone = Case(math.inf, math.inf, 2.8 / 171, 5.2 / 171, math.log(30.0), math.log(30.0))
    >>> plain = Witness(0.0, 2.8 / 171, lone)
    >>> found = chernoff_enclosure(RandomMemory(20, 171.0), plain, math.log(1e6), 1e-3, "all")
    >>> found.decided, round(found.low, 6), round(found.high, 6)
    (True, -8.005542, -8.005542)
    """
    _arguments.one_of("quantifier", quantifier, QUANTIFIERS)
    _arguments.instance("memory", memory, RandomMemory)
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _chernoff_balls.failure(memory, witness, _patterns(log_patterns), quantifier)
        return _enclosure("C3", quantifier, log_patterns, bound, bound <= p, bound > p, math.log(p))


def directional_enclosure(
    memory: RandomMemory,
    witness: directional.Witness,
    log_patterns: float,
    failure_probability: float,
    quantifier: str,
) -> Enclosure:
    """Enclose the C10 bound on the probability that patterns are not stored; decided True if it is at most p.

    All arguments are exact. If the shells leave a gap, the bound is 1. If cells or sides leave one, if the limits do
    not put an image into its cylinder or the last cylinder into the ball, or if they do not imply a contraction there,
    a case proves nothing. The witness's ``log_patterns`` is not used.

    Examples
    --------
    >>> memory = RandomMemory(dim=40, kappa=12.0)
    >>> witness = directional.directional_witness(memory, 0.1, "typical")
    >>> found = directional_enclosure(memory, witness, witness.log_patterns - 1e-8, 0.1, "typical")
    >>> found.decided, found.high - found.low < 1e-12
    (True, True)
    """
    _arguments.one_of("quantifier", quantifier, QUANTIFIERS)
    _arguments.instance("memory", memory, RandomMemory)
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _directional_balls.failure(memory, witness, _patterns(log_patterns), quantifier)
        return _enclosure("C10", quantifier, log_patterns, bound, bound <= p, bound > p, math.log(p))


def pairs_enclosure(
    memory: RandomMemory, witness: PairWitness, log_patterns: float, failure_probability: float
) -> Enclosure:
    """Enclose the C6 lower bound on the probability that not all patterns are stored; decided True if it exceeds p.

    Examples
    --------
    >>> pairs = PairWitness(0.0, 1.98 / 171, 1.0 / 171)
    >>> found = pairs_enclosure(RandomMemory(20, 171.0), pairs, math.log(9e6), 1e-3)
    >>> found.decided, 1.0e-3 < math.exp(found.low) < 1.1e-3
    (True, True)
    """
    _arguments.instance("memory", memory, RandomMemory)
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _merging_balls.failure(memory, witness, _patterns(log_patterns))
        return _enclosure("C6", "all", log_patterns, bound, bound > p, bound <= p, math.log(p))


def typical_enclosure(
    memory: RandomMemory, witness: TypicalWitness, log_patterns: float, failure_probability: float
) -> Enclosure:
    """Enclose the C7 upper bound on the probability of a fixed point within the witness's error of a pattern.

    Decided True if it is at most ``1 - p``. If the strips do not cover the overlaps up to the error, it is 1, and so is
    the tail of a strip beyond the floor that does not say what is inside.

    Examples
    --------
    >>> memory = RandomMemory(20, 171.0)
    >>> witness = typical_witness(memory, 1e-3)
    >>> [typical_enclosure(memory, witness, witness.log_patterns + x, 1e-3).decided for x in (1e-8, -1e-2)]
    [True, False]
    """
    _arguments.instance("memory", memory, RandomMemory)
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound, target = _crowding_balls.survival(memory, witness, _patterns(log_patterns)), 1 - arb(p)
        return _enclosure("C7", "typical", log_patterns, bound, bound <= target, bound > target, math.log1p(-p))


def pairwise_enclosure(memory: RandomMemory, log_patterns: float, failure_probability: float) -> Enclosure:
    """Enclose the C2 bound on the probability that not all patterns are stored; decided True if it is at most p.

    Any ball of radius ρ (in units of m) whose leak is below ρ and ``1/κ`` gives a sufficient gap; the float next to the
    best ρ is used. With ``M >= 2`` and ``ρ <= 1`` the gap exceeds ``2ρ >= 2ρ²``, so that distances exceed 2ρ and the
    balls are disjoint.

    Examples
    --------
    >>> [pairwise_enclosure(RandomMemory(20, 171.0), math.log(m), 1e-3).decided for m in (861, 862)]
    [True, False]
    """
    _arguments.instance("memory", memory, RandomMemory)
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _pairwise_failure(memory, _patterns(log_patterns))
        return _enclosure("C2", "all", log_patterns, bound, bound <= p, bound > p, math.log(p))


def sandwich(memory: RandomMemory, failure_probability: float) -> list[Enclosure]:
    """Decide in balls the capacity bounds C2, C3 (all, typical), C6 and C7 found in floats; C10: ``by_direction``.

    Each is evaluated at ``log M`` moved by 1e-8 to its safe side: down for the lower bounds C2 and C3, up for the upper
    bounds C6 and C7. Bounds that are void in floats are left out.

    Examples
    --------
    >>> [(found.statement, found.decided) for found in sandwich(RandomMemory.of(2, 1.0, 3.0), 0.5)]
    [('C2', True), ('C3', True), ('C3', True)]
    """
    p = failure_probability
    found = []
    log_patterns = pairwise(memory, p) - _STEP
    if log_patterns >= math.log(2.0):
        found.append(pairwise_enclosure(memory, log_patterns, p))
    for quantifier in QUANTIFIERS:
        stored = chernoff_witness(memory, p, quantifier)
        if stored.log_patterns > _STEP:
            found.append(chernoff_enclosure(memory, stored, stored.log_patterns - _STEP, p, quantifier))
    pairs = pair_witness(memory, p)
    if math.isfinite(pairs.log_patterns):
        found.append(pairs_enclosure(memory, pairs, pairs.log_patterns + _STEP, p))
    lost = typical_witness(memory, p)
    if math.isfinite(lost.log_patterns):
        found.append(typical_enclosure(memory, lost, lost.log_patterns + _STEP, p))
    return found


def by_direction(memory: RandomMemory, failure_probability: float) -> list[Enclosure]:
    """Decide in balls the capacity bounds C10 (all, typical) found in floats, at ``log M`` moved down by 1e-8.

    Examples
    --------
    >>> by_direction(RandomMemory(16, 0.5), 0.1)  # below κ = 1 there is none
    []
    """
    found = []
    for quantifier in QUANTIFIERS:
        stored = directional.directional_witness(memory, failure_probability, quantifier)
        if stored is not None and stored.log_patterns > _STEP:
            at = stored.log_patterns - _STEP
            found.append(directional_enclosure(memory, stored, at, failure_probability, quantifier))
    return found


def _enclosure(
    statement: str, quantifier: str, log_patterns: float, bound: Ball, proved: bool, refuted: bool, target: float
) -> Enclosure:
    """Return the enclosure of the logarithm of a bound; a comparison of balls is true only if it is for all points."""
    decided = True if proved else False if refuted else None
    low, high = bound.lower(), bound.upper()
    log_low = _ends(low.log())[0] if low > 0 else -math.inf
    log_high = -math.inf if high <= 0 else _ends(high.log())[1] if bound.is_finite() else math.inf
    return Enclosure(statement, quantifier, log_patterns, log_low, log_high, target, decided)


def _ends(ball: Ball) -> tuple[float, float]:
    return math.nextafter(float(ball.lower()), -math.inf), math.nextafter(float(ball.upper()), math.inf)


def _patterns(log_patterns: float) -> Ball:
    return arb(_arguments.positive("log_patterns", log_patterns)).exp()


def _pairwise_failure(memory: RandomMemory, patterns: Ball) -> Ball:
    kappa = arb(memory.kappa)
    rho = arb(_best_ball(memory))
    leak = balls.leak(memory, 1 - rho)
    displacement, stretch = rho - leak, 1 / kappa - leak
    sound = balls.positive(displacement, stretch)
    if sound is not True:
        return arb(1) if sound is False else balls.unknown()
    others = patterns - 1
    gap = 2 * rho + (others * (2 / displacement).max(4 / stretch)).log() / kappa
    return patterns * others / 2 * balls.cap(gap, memory.dim)


def _best_ball(memory: RandomMemory) -> float:
    """Return the float next to the radius at which both conditions of T12 meet, 1 where they do not."""
    rate = memory.log_noop + math.log(0.5 * memory.kappa) + 0.5 - memory.kappa
    if rate >= -1.0:
        return 1.0
    share = -float(special.lambertw(-math.exp(rate)).real)
    return min((0.5 + share) / memory.kappa, 1.0) if share < 0.5 else 1.0
