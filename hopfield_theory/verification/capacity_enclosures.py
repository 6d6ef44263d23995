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

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flint import acb, arb, ctx
from scipy import special

from hopfield_theory import _arguments
from hopfield_theory.bounds import _quadrature, directional, sphere
from hopfield_theory.bounds._crowd import CELL, SIDE
from hopfield_theory.bounds._shell_proof import Shell, kinds
from hopfield_theory.bounds.chernoff import QUANTIFIERS, Case, Witness, chernoff_witness
from hopfield_theory.bounds.crowding import Inside, Strip, TypicalWitness, typical_witness
from hopfield_theory.bounds.merging import PairWitness, pair_witness
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.bounds.union import pairwise
from hopfield_theory.verification import _neighbour_balls

__all__ = [
    "Enclosure",
    "by_direction",
    "chernoff_enclosure",
    "directional_enclosure",
    "pairs_enclosure",
    "pairwise_enclosure",
    "published_base_enclosure",
    "sandwich",
    "typical_enclosure",
]

# BallArithmetic, real or complex: python-flint carries no types that a checker could follow.
Ball = Any
# A function of ``sin φ`` and ``cos φ``, analytic wherever it is finite.
Function = Callable[[Ball, Ball], Ball]

_PRECISION = 128
_TOLERANCE = 2.0**-60
# Terms of the inner moment of C7, as in the floats: with any number of them the bound is valid.
_TERMS = 8
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
    >>> lone = Case(math.inf, math.inf, 2.8 / 171, 5.2 / 171, math.log(30.0), math.log(30.0))
    >>> plain = Witness(0.0, 2.8 / 171, lone)
    >>> found = chernoff_enclosure(RandomMemory(20, 171.0), plain, math.log(1e6), 1e-3, "all")
    >>> found.decided, round(found.low, 6), round(found.high, 6)
    (True, -8.005542, -8.005542)
    """
    _arguments.one_of("quantifier", quantifier, QUANTIFIERS)
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _failure(memory, witness, _patterns(log_patterns), quantifier)
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
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _directional_failure(memory, witness, _patterns(log_patterns), quantifier)
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
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _pair_failure(memory, witness, _patterns(log_patterns))
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
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound, target = _survival(memory, witness, _patterns(log_patterns)), 1 - arb(p)
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
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _pairwise_failure(memory, _patterns(log_patterns))
        return _enclosure("C2", "all", log_patterns, bound, bound <= p, bound > p, math.log(p))


def published_base_enclosure(memory: RandomMemory, failure_probability: float) -> tuple[float, float]:
    """Return the ends of an enclosure of the base c of the published capacity C1, κ being exact.

    Examples
    --------
    >>> low, high = published_base_enclosure(RandomMemory.of(20, 1.0, 3.0), 1e-3)
    >>> math.floor(1e4 * low) / 1e4, math.floor(1e4 * high) / 1e4
    (3.1546, 3.1546)
    """
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        kappa, others = arb(memory.kappa), memory.dim - 1
        a = 2 * (1 + (2 * kappa * p).log()) / others
        b = 2 * kappa / others / 5
        return _ends(b / (a.exp() * b).lambertw())


def sandwich(memory: RandomMemory, failure_probability: float) -> list[Enclosure]:
    """Decide in balls every capacity bound found in floats: C2, C3 (all, typical), C6 and C7.

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


def _open() -> Ball:
    """Return the enclosure [0, 1] of an unknown probability."""
    return arb(0.5, 0.5)


def _positive(*numbers: Ball) -> bool | None:
    """Return whether all numbers are positive, None if the balls do not decide it."""
    if all(number > 0 for number in numbers):
        return True
    return False if any(number <= 0 for number in numbers) else None


def _tiles(pieces: Sequence[Case] | Sequence[Shell] | Sequence[Strip], low: float, high: float) -> bool:
    """Return whether intervals, in order, cover ``[low, high]``, each beginning exactly where the previous one ends."""
    begins = [*(piece.low for piece in pieces), high]
    ends = [low, *(piece.high for piece in pieces)]
    return begins == ends and all(piece.low < piece.high for piece in pieces)


def _probability_bound(log_bound: Ball) -> Ball:
    # The exponential of a huge number is a ball that cannot be compared with 1.
    return arb(1) if log_bound >= 0 else log_bound.exp().min(arb(1))


def _cap(height: Ball, dim: int) -> Ball:
    """Enclose the share of the sphere below a height, which increases: the ends of a ball enclose it."""
    return _exact_cap(height.lower(), dim).union(_exact_cap(height.upper(), dim))


def _exact_cap(u: Ball, dim: int) -> Ball:
    """Share of the sphere below an exact height, ``½ I_{u(2-u)}((d-1)/2, ½)`` up to height 1."""
    if u > 1:
        return 1 - _exact_cap(2 - u, dim)
    return arb(0) if u <= 0 else (u * (2 - u)).beta_lower(arb(dim - 1) / 2, arb(0.5), regularized=True) / 2


def _half_angle(height: Ball) -> Ball:
    """Return φ at a height; heights beyond the sphere give its far end."""
    return (height / 2).min(arb(1)).sqrt().asin()


def _leak(memory: RandomMemory, distance: Ball) -> Ball:
    """Weight of the no-op slot relative to that of a pattern, ``n exp(-κ · distance)``."""
    return (arb(memory.log_noop) - arb(memory.kappa) * distance).exp() if math.isfinite(memory.log_noop) else arb(0)


def _mean(dim: int, values: Function, start: Ball, end: Ball) -> Ball:
    """Enclose ``E[f; start < φ < end]`` for a uniform point, f being analytic wherever it is finite.

    The density of ``θ = 2φ`` is ``sin(θ)^(d-2) / B((d-1)/2, ½)``. The ends may be balls: Petras' method treats them as
    any other, so the answer holds for every point of theirs.
    """

    def integrand(phi: Ball, _analytic: bool) -> Ball:
        sine, cosine = phi.sin_cos()
        return values(sine, cosine) * (2 * sine * cosine) ** (dim - 2)

    # Tolerances below the peak. If the samples miss the peak, the enclosure is still valid, only slower.
    samples = (start + (end - start) * (k / 64.0) ** 2 for k in range(1, 64))
    peak = max(abs(integrand(acb(phi), False)).upper() for phi in samples)
    integral = acb.integral(integrand, start, end, rel_tol=_TOLERANCE, abs_tol=peak * _TOLERANCE)
    return 2 * integral.real * (arb(dim) / 2).gamma() / (arb.pi().sqrt() * (arb(dim - 1) / 2).gamma())


def _failure(memory: RandomMemory, witness: Witness, patterns: Ball, quantifier: str) -> Ball:
    if not _tiles(witness.shells, witness.cap, witness.lone.crowd_cap):
        return arb(1)
    every, ordered = (patterns, arb(0.5)) if quantifier == "all" else (arb(1), arb(1))
    total = ordered * patterns * _cap(arb(witness.cap), memory.dim)
    total += _tails(memory, witness.lone, _alone(memory, witness.lone), patterns)
    for shell in witness.shells:
        low, high, crowd = (_cap(arb(height), memory.dim) for height in (shell.low, shell.high, shell.crowd_cap))
        third = (crowd - (low + high) / 2).max(arb(0))
        tails = _tails(memory, shell, _with_neighbour(memory, shell), patterns)
        total += patterns * (high - low) * (patterns * third + tails).min(arb(1))
    return every * total


@dataclass(frozen=True)
class _Piece:
    """A function on a range of half angles."""

    values: Function
    start: Ball
    end: Ball


@dataclass(frozen=True)
class _Sum:
    """A sum of C3 over the crowd beyond an onset: of ``y (k + (b + g C)²)`` in units of its allowance.

    ``parts`` gives k, b² and ``v = 2 g²/(d - 1)`` at ``sin φ`` and ``cos φ``.
    """

    allowance: Ball
    onset: Ball
    parts: Callable[[Ball, Ball], tuple[Ball, Ball, Ball]]


@dataclass(frozen=True)
class _Sums:
    """The two sums of a case of C3; ``sound`` says whether all hypotheses of the proof hold."""

    sound: bool | None
    sums: tuple[_Sum, _Sum]


def _alone(memory: RandomMemory, lone: Case) -> _Sums:
    kappa, rho = arb(memory.kappa), arb(lone.ball)
    leak = _leak(memory, 1 - rho)
    displacement = rho - (1 - rho) * leak
    stretch = 1 - (kappa - 1).max(arb(0)) * leak
    nearest = (2 * arb(lone.crowd_cap)).sqrt()

    def moved(sine: Ball, _cosine: Ball) -> tuple[Ball, Ball, Ball]:
        return 2 * sine - rho, arb(0), arb(0)

    def stretched(sine: Ball, _cosine: Ball) -> tuple[Ball, Ball, Ball]:
        return 4 * kappa * sine**2 - 1, arb(0), arb(0)

    sound = _positive(rho, 1 - rho, nearest - 2 * rho, displacement, stretch)
    # the second summand is positive from the distance κ^(-1/2) on
    sums = _Sum(displacement, arb(0), moved), _Sum(stretch, _half_angle(1 / (2 * kappa)), stretched)
    return _Sums(sound, sums)


def _with_neighbour(memory: RandomMemory, shell: Case) -> _Sums:
    kappa, rho, others = arb(memory.kappa), arb(shell.ball), memory.dim - 1
    leak = _leak(memory, 1 - rho)
    near, far = (2 * arb(shell.low)).sqrt(), (2 * arb(shell.high)).sqrt()
    most, least = ((-kappa * w * (w / 2 - rho)).exp() for w in (near, far))
    weight, room = most / (1 + most), rho - (1 - rho) * leak
    slack, pull = room - (near - rho) * most, (near - rho) * most + rho * least
    pair = kappa * far**2 * weight * (1 - weight)
    stretch, square = 1 - pair - kappa * leak, slack * (slack + 2 * pull)

    def moved(sine: Ball, cosine: Ball) -> tuple[Ball, Ball, Ball]:
        scale = 2 * square * (sine + rho)
        steady = (pull * far * sine**2 + room * sine - rho**2 * least) ** 2 / scale
        return 2 * sine - rho, steady, 8 * (pull * sine * cosine) ** 2 / (others * scale)

    def stretched(sine: Ball, cosine: Ball) -> tuple[Ball, Ball, Ball]:
        steady = kappa * pair * (far * (sine**2 - weight / pair)) ** 2
        return (1 - pair) * (4 * kappa * sine**2 - 1), steady, 8 * kappa * pair * (sine * cosine) ** 2 / others

    # From the height 2/κ on the neighbour's pull falls with its distance, and a pattern's spread with its own.
    sound = _positive(rho, 1 - rho, near - 2 * rho, kappa * shell.low - 2, slack, stretch)
    sums = _Sum(room, arb(0), moved), _Sum(stretch, arb(0), stretched)
    return _Sums(sound if shell.high <= shell.crowd_cap else False, sums)


def _tails(memory: RandomMemory, case: Case, crowd: _Sums, patterns: Ball) -> Ball:
    """Enclose the probability that the crowd above its cap exceeds one of two allowances, by two Chernoff bounds."""
    tilts = case.self_map_log_tilt, case.contraction_log_tilt
    if crowd.sound is not True or math.isinf(min(tilts)):
        return _open() if crowd.sound is None else arb(1)
    kappa, rho, rim, end = arb(memory.kappa), arb(case.ball), _half_angle(arb(case.crowd_cap)), arb.pi() / 2
    total = arb(0)
    for each, log_tilt in zip(crowd.sums, tilts, strict=True):
        tilt = arb(log_tilt).exp()

        def raised(sine: Ball, cosine: Ball, each: _Sum = each, tilt: Ball = tilt) -> tuple[Ball, Ball]:
            rate = tilt / each.allowance * (-2 * kappa * sine * (sine - rho)).exp()
            size, square, spread = each.parts(sine, cosine)
            share = rate * spread
            return rate * (size + square / (1 - share)), share

        def grown(sine: Ball, cosine: Ball, raised: Callable[[Ball, Ball], tuple[Ball, Ball]] = raised) -> Ball:
            exponent, share = raised(sine, cosine)
            root = (1 - share).sqrt(analytic=True)
            return (exponent.expm1() + share / (1 + root)) / root

        within = _positive(1 - raised(*rim.sin_cos())[1])
        if within is not True:
            return arb(1) if within is False else _open()
        total += _probability_bound(patterns * _mean(memory.dim, grown, each.onset.max(rim), end) - tilt)
    return total.min(arb(1))


def _directional_failure(memory: RandomMemory, witness: directional.Witness, patterns: Ball, quantifier: str) -> Ball:
    lone = witness.lone
    alone = not isinstance(lone, Shell) or math.isinf(lone.low)
    if not alone or not _tiles(witness.shells, witness.cap, lone.crowd_cap):
        return arb(1)
    every, ordered = (patterns, arb(0.5)) if quantifier == "all" else (arb(1), arb(1))
    tails = _shell_tails(memory, lone, patterns) if isinstance(lone, Shell) else _case_tails(memory, lone, patterns)
    if tails >= 1:
        return arb(1)
    total = ordered * patterns * _cap(arb(witness.cap), memory.dim) + tails
    for shell in witness.shells:
        within = _neighbour_balls.Neighbour(memory.kappa, shell.low, shell.high, shell.turn).within
        heights = (arb(shell.low), arb(shell.high), arb(shell.crowd_cap), within)
        low, high, crowd, nearest = (_cap(height, memory.dim) for height in heights)
        third = (crowd - nearest).max(arb(0))
        given = (patterns * third + _shell_tails(memory, shell, patterns)).min(arb(1))
        total += patterns * (high - low) * given
    return every * total


def _case_tails(memory: RandomMemory, case: directional.Case, patterns: Ball) -> Ball:
    """Enclose the probability that a sum exceeds its limit; 1 if the limits do not imply that a pattern is stored."""
    stored = _stored_within_limits(memory, case)
    if stored is not True:
        return arb(1) if stored is False else _open()
    total = arb(0)
    for stage in case.stages:
        for cell in stage.cells:
            total += _cell_tails(memory, case, cell, stage.target, lambda u, z=stage.target: u - z, patterns)
        for side in stage.sides:
            total += _side_tails(memory, case, side, patterns)
    kappa, last = arb(memory.kappa), case.contraction
    start = last.high + 1 / kappa.sqrt()
    total += _cell_tails(memory, case, last, start, lambda u: kappa * (u - last.high) ** 2 - 1, patterns)

    def stretched(sine: Ball, cosine: Ball) -> Ball:
        across = 2 * sine * cosine
        return (kappa * last.across * across).exp() * kappa * _along(memory, last.high, sine) * across**2

    stretch = _Limited("matrix", stretched, case.stretch, case.stretch_log_tilt)
    return total + _limit_tail(memory, stretch, _half_angle(arb(case.crowd_cap)), patterns)


def _shell_tails(memory: RandomMemory, shell: Shell, patterns: Ball) -> Ball:
    """Enclose the same for a shell, or for the case of no near neighbour beside shells."""
    stored = _neighbour_balls.stored(memory, shell)
    if stored is not True:
        return arb(1) if stored is False else _open()
    kappa, reach = arb(memory.kappa), arb(shell.reach)

    def number(sine: Ball, _cosine: Ball) -> Ball:
        return 2 * sine**2 * _along(memory, 0.0, sine)

    def vector(sine: Ball, cosine: Ball) -> Ball:
        return 2 * sine * cosine * _along(memory, 0.0, sine)

    def square(sine: Ball, cosine: Ball) -> Ball:
        return 2 * kappa * number(sine, cosine)

    def part(sine: Ball, cosine: Ball) -> Ball:
        return 2 * kappa * sine * cosine * vector(sine, cosine)

    def grown(size: Function) -> Function:
        return lambda sine, cosine: size(sine, cosine) * (2 * kappa * reach * sine).exp()

    sizes = (number, vector, square, grown(square), vector, part, grown(part))
    which = kinds(shell)
    sums = zip(which, sizes[: len(which)], shell.limits, shell.log_tilts, strict=True)
    start = _half_angle(arb(shell.crowd_cap))
    return sum((_limit_tail(memory, _Limited(*limited), start, patterns) for limited in sums), arb(0))


def _stored_within_limits(memory: RandomMemory, case: directional.Case) -> bool | None:
    """Return whether a pattern is stored where no sum exceeds its limit, None if the balls do not decide it."""
    rho, stages, last = arb(case.ball), case.stages, case.contraction
    end, before = stages[-1], stages[-2:][0]
    exact = (
        last.high >= end.target
        and last.across >= end.width
        and end.target <= before.target
        and end.width <= before.width
        and all(0.0 < stage.target < 1.0 for stage in stages)
        and case.ball > 0.0
    )
    if not exact:
        return False
    slacks = [2 * arb(case.crowd_cap) - 4 * rho**2, 1 - rho, rho**2 - arb(end.target) ** 2 - arb(end.width) ** 2]
    slacks += _reach(stages[0], -rho, rho, lambda low: rho**2 - low.max(arb(0)) ** 2)
    for earlier, stage in itertools.pairwise(stages):
        slacks += _reach(stage, arb(0), arb(earlier.target), lambda _, width=earlier.width: arb(width) ** 2)
    for stage in stages:
        target = arb(stage.target)
        for cell in stage.cells:
            crowd = _pulled(memory, cell) + (1 - target) * _leak(memory, 1 - arb(cell.high))
            slacks.append(target - crowd)
        slacks += [stage.width - _drawn(memory, side) for side in stage.sides]
    contracted = _positive(1 - _slope(memory, case))
    if contracted is False or any(slack < 0 for slack in slacks):
        return False
    return True if contracted and all(slack >= 0 for slack in slacks) else None


def _drawn(memory: RandomMemory, side: directional.Side) -> Ball:
    """Bound the crowd's pull across the axis."""
    drift, change, spread, growth = map(arb, side.limits)
    return drift + (change * spread).sqrt() + arb(memory.kappa) * side.across * growth


def _slope(memory: RandomMemory, case: directional.Case) -> Ball:
    """Bound the norm of the Jacobian in the last cylinder."""
    kappa, a = arb(memory.kappa), arb(case.contraction.high)
    leak = (kappa * (1 - a) ** 2 - 1).max(arb(0)) * _leak(memory, 1 - a)
    return kappa * a**2 + leak + _pulled(memory, case.contraction) + case.stretch


def _reach(stage: directional.Stage, low: Ball, high: Ball, square: Callable[[Ball], Ball]) -> list[Ball]:
    """Return slacks that are not negative if cells and sides cover ``low <= a <= high``, |v|² up to a square."""
    slacks, begin = [], low
    for cell in stage.cells:
        slacks += [cell.high - begin, arb(cell.across) ** 2 - square(begin)]
        begin = arb(cell.high)
    slacks.append(begin - high)
    begin = low
    for side in stage.sides:
        slacks += [begin - side.low, side.high - begin, arb(side.across) ** 2 - square(begin)]
        begin = arb(side.high)
    return [*slacks, begin - high]


def _pulled(memory: RandomMemory, cell: directional.Cell) -> Ball:
    along, drift, spread = map(arb, cell.limits)
    reach = arb(memory.kappa) * cell.across
    return along + reach * drift + reach**2 * spread


def _along(memory: RandomMemory, high: float, sine: Ball) -> Ball:
    """Weight ``exp(-κ u (1 - high))`` of a pattern, relative to that at the state's target."""
    return (-2 * arb(memory.kappa) * (1 - arb(high)) * sine**2).exp()


@dataclass(frozen=True)
class _Limited:
    """A sum over the crowd with a limit: the size of a summand, and the logarithm of the Chernoff parameter."""

    kind: str
    size: Function
    limit: float
    log_tilt: float


def _limit_tail(memory: RandomMemory, limited: _Limited, start: Ball, patterns: Ball) -> Ball:
    """Enclose the bound on the probability that a sum exceeds its limit."""
    tilt, across = arb(limited.log_tilt).exp(), memory.dim - 1
    gain = tilt * limited.limit
    if limited.kind in ("vector", "component"):

        def mean(sine: Ball, cosine: Ball) -> Ball:
            return ((tilt * limited.size(sine, cosine)) ** 2 / 4).hypgeom_0f1(arb(across) / 2) - 1

        growth = patterns * _mean(memory.dim, mean, start, arb.pi() / 2)
        if limited.kind == "component":
            return _probability_bound(growth - gain + arb(2).log())
        return _probability_bound(growth - (gain**2 / 4).hypgeom_0f1(arb(across) / 2).log())
    if limited.kind == "square":

        def squared(sine: Ball, cosine: Ball) -> Ball:
            return (1 - 2 * tilt * limited.size(sine, cosine) / across).rsqrt(analytic=True) - 1

        return _probability_bound(patterns * _mean(memory.dim, squared, start, arb.pi() / 2) - gain)

    def raised(sine: Ball, cosine: Ball) -> Ball:
        return (tilt * limited.size(sine, cosine)).expm1()

    if limited.kind == "whole":
        # Of the square of a direction from the axis, sin² is along the axis and cos² across it.
        even = (1 / arb(across).sqrt()).atan().max(start)
        growth = _mean(memory.dim, lambda s, c: raised(s, c) * c**2 / across, start, even)
        growth += _mean(memory.dim, lambda s, c: raised(s, c) * s**2, even, arb.pi() / 2)
        return _probability_bound(patterns * growth - gain + arb(memory.dim).log())
    growth = patterns * _mean(memory.dim, raised, start, arb.pi() / 2)
    if limited.kind == "matrix":
        return _probability_bound(growth / across - gain + arb(across).log())
    return _probability_bound(growth - gain)


def _cell_tails(
    memory: RandomMemory,
    case: directional.Case,
    cell: directional.Cell,
    onset: float | Ball,
    factor: Callable[[Ball], Ball],
    patterns: Ball,
) -> Ball:
    """Enclose the three tails of a cell, the factor being positive from the onset on."""
    start = _half_angle(arb(case.crowd_cap)).max(_half_angle(arb(onset)))
    reach = arb(memory.kappa) * cell.across

    def along(sine: Ball, _cosine: Ball) -> Ball:
        return factor(2 * sine**2) * _along(memory, cell.high, sine)

    def drift(sine: Ball, cosine: Ball) -> Ball:
        return along(sine, cosine) * 2 * sine * cosine

    def spread(sine: Ball, cosine: Ball) -> Ball:
        across = 2 * sine * cosine
        # φ₂(s) = ½ 1F1(1; 3; s)
        return along(sine, cosine) * across**2 * (reach * across).hypgeom_1f1(1, 3) / 2

    sums = zip(CELL, (along, drift, spread), cell.limits, cell.log_tilts, strict=True)
    return sum((_limit_tail(memory, _Limited(*limited), start, patterns) for limited in sums), arb(0))


def _side_tails(memory: RandomMemory, case: directional.Case, side: directional.Side, patterns: Ball) -> Ball:
    """Enclose the tails of a side."""
    kappa = arb(memory.kappa)
    width = arb(side.high) - side.low

    def drift(sine: Ball, cosine: Ball) -> Ball:
        return _along(memory, side.high, sine) * 2 * sine * cosine

    def change(sine: Ball, _cosine: Ball) -> Ball:
        return -_along(memory, side.high, sine) * (-2 * kappa * width * sine**2).expm1()

    def spread(sine: Ball, cosine: Ball) -> Ball:
        return change(sine, cosine) * (2 * sine * cosine) ** 2

    def growth(sine: Ball, cosine: Ball) -> Ball:
        across = 2 * sine * cosine
        # φ₁(s) = 1F1(1; 2; s)
        return _along(memory, side.high, sine) * across**2 * (kappa * side.across * across).hypgeom_1f1(1, 2)

    sizes = (drift, change, spread, growth)
    sums = zip(SIDE, sizes, side.limits, side.log_tilts, strict=True)
    start = _half_angle(arb(case.crowd_cap))
    return sum((_limit_tail(memory, _Limited(*limited), start, patterns) for limited in sums), arb(0))


def _pair_failure(memory: RandomMemory, witness: PairWitness, patterns: Ball) -> Ball:
    kappa, s, u = arb(memory.kappa), arb(witness.tube), arb(witness.height)
    c = (1 - u / 2).max(arb(0)).sqrt()
    leak = _leak(memory, c * (c - s)) / 2
    displacement = s - (1 - s) * leak
    stretch = 1 - kappa * u / 2 - (kappa - 1).max(arb(0)) * leak
    sound = _positive(s, u, c - s, displacement, stretch) if witness.height <= 1.0 else False
    if sound is not True:
        return arb(0) if sound is False else _open()
    quiet = 1 - patterns * _loudness(memory, witness, displacement, stretch)
    if _positive(quiet) is not True:
        return arb(0) if quiet <= 0 else _open()
    x = patterns * (patterns - 1) / 2 * _cap(arb(witness.height), memory.dim)
    return (x * (quiet - x / 2)).max(x * quiet**2 / (quiet + x))


def _loudness(memory: RandomMemory, witness: PairWitness, displacement: Ball, stretch: Ball) -> Ball:
    """Enclose the mean share of one other pattern in the two allowances of C6.

    The integrand changes its form where the bound on the distance w does, where a share becomes positive (it stays so,
    since w increases with the angle), and where the amplification does; the pieces are integrated separately.
    """
    kappa, s = arb(memory.kappa), arb(witness.tube)
    h, c = (arb(witness.height) / 2).sqrt(), (1 - arb(witness.height) / 2).sqrt()
    amplifications = _amplifications(memory, h)

    def mean(share: Callable[[Ball], Ball], distance: Function, amplification: _Piece, start: Ball, end: Ball) -> Ball:
        def values(sine: Ball, cosine: Ball) -> Ball:
            w = distance(sine, cosine)
            along = kappa * (c * (1 - 2 * sine**2 - c) + s * w)
            return share(w) * along.exp() * amplification.values(sine, cosine) / 2

        first = start.max(amplification.start)
        return _mean(memory.dim, values, first, first.max(end.min(amplification.end)))

    total = arb(0)
    for distance, offset, slope in _distances(c):
        for share, square in (
            (lambda w: (w - s) / displacement, s**2),
            (lambda w: (kappa * w**2 - 1) / stretch, 1 / kappa),
        ):
            onset = _half_angle(((square - offset) / slope).max(arb(0)))
            for amplification in amplifications:
                total += mean(share, distance.values, amplification, distance.start.max(onset), distance.end)
    return total


def _distances(c: Ball) -> list[tuple[_Piece, Ball, Ball]]:
    """Return ``w = max(sqrt((1 - c)² + 2 c u), sqrt(2 u))`` in pieces, each with the a and b of ``w² = a + b u``.

    The two cross at ``u = (1 - c)/2``.
    """
    crossing = _half_angle((1 - c) / 2)

    def near(sine: Ball, _cosine: Ball) -> Ball:
        # The only root of this module. It is analytic off its branch cut, and near the cut the integrator subdivides.
        return ((1 - c) ** 2 + 4 * c * sine**2).sqrt(analytic=True)

    def far(sine: Ball, _cosine: Ball) -> Ball:
        return 2 * sine

    return [
        (_Piece(near, arb(0), crossing), (1 - c) ** 2, 2 * c),
        (_Piece(far, crossing, arb.pi() / 2), arb(0), arb(2)),
    ]


def _amplifications(memory: RandomMemory, h: Ball) -> list[_Piece]:
    """Return a bound on ``E exp(x |cos|)``, ``x = κ h sin θ``, across a direction, in pieces.

    ``exp x`` and ``2 Ψ_{d-1}(x) = 2 0F1(; (d-1)/2; x²/4)`` both hold everywhere; the change from one to the other is
    put near the point where they are equal.
    """
    strength = arb(memory.kappa) * h
    end = arb.pi() / 2

    def plain(sine: Ball, cosine: Ball) -> Ball:
        return (2 * strength * sine * cosine).exp()

    def two_sided(sine: Ball, cosine: Ball) -> Ball:
        return 2 * ((strength * sine * cosine) ** 2).hypgeom_0f1(arb(memory.dim - 1) / 2)

    most = float(strength)
    switch = _quadrature.largest(lambda x: x <= math.log(2.0) + float(sphere.log_mgf_across(x, memory.dim)), 0.0, most)
    if switch > 0.999 * most:
        return [_Piece(plain, arb(0), end)]
    turn = arb(0.5 * math.asin(switch / most))
    return [_Piece(plain, arb(0), turn), _Piece(two_sided, turn, end - turn), _Piece(plain, end - turn, end)]


def _survival(memory: RandomMemory, witness: TypicalWitness, patterns: Ball) -> Ball:
    if not (_tiles(witness.strips, 0.0, witness.error) and witness.error < 1.0):
        return arb(1)
    total = (patterns - 1) * _cap(arb(witness.least_height), memory.dim)
    for strip in witness.strips:
        total += _strip_tails(memory, witness, strip, patterns - 1)
    return total


def _strip_tails(memory: RandomMemory, witness: TypicalWitness, strip: Strip, others: Ball) -> Ball:
    """Enclose the probability that a fixed point in a strip is not excluded.

    The patterns inside pull back too much, the crowd pulls too little, or its direction is too strong.
    """
    kappa, low, high, slack = arb(memory.kappa), arb(strip.low), arb(strip.high), arb(strip.slack)
    needed = high - (1 - high) * _leak(memory, 1 - low)
    reach = (arb(witness.error) ** 2 - low**2).min(high * (2 - high)).sqrt()
    inner = arb(0)
    if strip.high > witness.least_height:
        if strip.inside is None:
            return arb(1)
        inner = _inner_tail(memory, witness.least_height, strip.high, reach, strip.inside, others)
        needed += arb(strip.inside.allowance)
    if needed <= 0:
        return inner
    if _positive(needed, slack) is not True:
        return arb(1) if slack <= 0 else _open()
    tilt, side_tilt = arb(strip.log_tilt).exp(), arb(strip.side_log_tilt).exp()
    enough = needed * slack.exp()
    # only patterns above the strip pull outwards
    rim, end = _half_angle(arb(max(witness.cap, strip.high))), arb.pi() / 2

    def pull(sine: Ball) -> Ball:
        return (2 * sine**2 - high) * (-2 * kappa * (1 - low) * sine**2).exp()

    def kept(sine: Ball, _cosine: Ball) -> Ball:
        return -(-tilt * pull(sine)).expm1()

    def grown(sine: Ball, cosine: Ball) -> Ball:
        return ((2 * side_tilt * sine * cosine * pull(sine)) ** 2 / (2 * (memory.dim - 1))).expm1()

    weak = _probability_bound(tilt * enough - others * _mean(memory.dim, kept, rim, end))
    direction = side_tilt * enough * slack / (kappa * reach)
    moment = (direction**2 / 4).hypgeom_0f1(arb(memory.dim - 1) / 2)
    strong = _probability_bound(others * _mean(memory.dim, grown, rim, end) - moment.log())
    return inner + weak + strong


def _inner_tail(memory: RandomMemory, floor: float, high: float, reach: Ball, inside: Inside, others: Ball) -> Ball:
    """Enclose the probability that patterns between the floor and a strip's rim pull back more than allowed."""
    dim, kappa, rim, cosine = memory.dim - 1, arb(memory.kappa), arb(high), arb(inside.cosine)
    if dim < 2 or not 0 < inside.cosine < 1 or inside.allowance <= 0:
        return arb(1)
    share, half = _cap(1 - cosine, dim), arb(dim - 1) / 2
    beta = arb(0.5).gamma() * half.gamma() / (half + 0.5).gamma()
    mean_cosine = (1 - cosine**2) ** half / ((dim - 1) * beta * share)
    tilt, radius = arb(inside.log_tilt).exp(), kappa * reach / mean_cosine

    def grown(sine: Ball, cosine: Ball) -> Ball:
        pull = tilt * (rim - 2 * sine**2) * (-2 * kappa * (1 - rim) * sine**2).exp()
        across = 2 * radius * sine * cosine
        worst = pull * across.exp()
        term, total, rest = acb(1), acb(0), worst.expm1()
        for power in range(1, _TERMS + 1):
            moment = ((power * across) ** 2 / 4).hypgeom_0f1(acb(dim) / 2)
            if power == _TERMS:
                total += rest * moment * (-power * across).exp()
            term = term * pull / power
            total += term * moment if power < _TERMS else 0
            rest -= term * (power * across).exp()
        return total

    moment = _mean(memory.dim, grown, _half_angle(arb(floor)), _half_angle(rim))
    return _probability_bound(others * moment - tilt * arb(inside.allowance) - share.log())


def _pairwise_failure(memory: RandomMemory, patterns: Ball) -> Ball:
    kappa = arb(memory.kappa)
    rho = arb(_best_ball(memory))
    leak = _leak(memory, 1 - rho)
    displacement, stretch = rho - leak, 1 / kappa - leak
    sound = _positive(displacement, stretch)
    if sound is not True:
        return arb(1) if sound is False else _open()
    others = patterns - 1
    gap = 2 * rho + (others * (2 / displacement).max(4 / stretch)).log() / kappa
    return patterns * others / 2 * _cap(gap, memory.dim)


def _best_ball(memory: RandomMemory) -> float:
    """Return the float next to the radius at which both conditions of T12 meet, 1 where they do not."""
    rate = memory.log_noop + math.log(0.5 * memory.kappa) + 0.5 - memory.kappa
    if rate >= -1.0:
        return 1.0
    share = -float(special.lambertw(-math.exp(rate)).real)
    return min((0.5 + share) / memory.kappa, 1.0) if share < 0.5 else 1.0
