"""Capacity bounds C1, C2, C3, C6 and C7 in ball arithmetic: every rounding error is part of the answer.

The functions of `hopfield_theory.bounds` search for good parameters and evaluate the bounds in floats. Here their
parameters are taken as exact binary numbers, and the bound itself is evaluated anew: numbers are balls that hold the
true value, integrals are enclosed by Petras' method (`flint.acb.integral`), and each hypothesis of the proofs in
'docs/bounds-proofs.md' is decided on whole balls. A hypothesis that fails makes its bound void; one that the balls
leave open makes the answer open.

Integrals run over half the angle ``φ = θ/2`` between a uniform point and a fixed one. There the height is
``u = 2 sin(φ)²`` and the distance ``w = 2 sin(φ)``, so that all integrands but one are entire.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flint import acb, arb, ctx
from scipy import special

from hopfield_theory import _arguments
from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds.chernoff import QUANTIFIERS, Case, Witness, chernoff_witness
from hopfield_theory.bounds.crowding import Strip, TypicalWitness, typical_witness
from hopfield_theory.bounds.merging import PairWitness, pair_witness
from hopfield_theory.bounds.random_memory import Model
from hopfield_theory.bounds.union import pairwise

__all__ = [
    "Enclosure",
    "chernoff_enclosure",
    "pairs_enclosure",
    "pairwise_enclosure",
    "published_base_enclosure",
    "sandwich",
    "typical_enclosure",
]

# Balls, real or complex: python-flint carries no types that a checker could follow.
Ball = Any
# A function of ``sin φ`` and ``cos φ``, analytic wherever it is finite.
Function = Callable[[Ball, Ball], Ball]

_PRECISION = 128
_TOLERANCE = 2.0**-60
# How far log M is moved from what the floats found: well above their errors, well below what anyone reads off.
_STEP = 1e-8


@dataclass(frozen=True)
class Enclosure:
    """A capacity bound evaluated in balls at one number of patterns.

    Parameters
    ----------
    statement : str
        "C2", "C3", "C6" or "C7".
    quantifier : {"all", "typical"}
        Whether the probability is that of all patterns or that of a given one.
    log_patterns : float
        log M, at which the bound was evaluated.
    low, high : float
        Enclosure of the logarithm of the bound: on the chance of a failure from above (C2, C3) or from below (C6), on
        that of a fixed point nearby from above (C7).
    target : float
        Logarithm, rounded, of the probability that the bound is compared with.
    decided : bool or None
        True if the whole enclosure lies on the side that proves the statement, False if the whole lies on the other,
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
    model: Model, witness: Witness, log_patterns: float, failure_probability: float, quantifier: str
) -> Enclosure:
    """Enclose the C3 bound on the chance that patterns are not stored.

    With M patterns, caps ``u_0 <= u_1``, shells that partition ``[u_0, u_1)`` and ``τ = Σ exp(-t + M E[exp(t f) - 1])``
    over the two conditions, the bound is ``½ M² P(u_0) + ½ M³ P(u_1)² + M² Σ P(shell) τ_shell + M τ``; for a typical
    pattern every term has one factor M less, and the first no ½.

    Parameters
    ----------
    model : Model
        κ, d and log n, exact.
    witness : Witness
        Caps, balls and tilts, exact; its own ``log_patterns`` is not used.
    log_patterns : float, above 0
        log M, exact.
    failure_probability : float, in (0, 1)
        p, exact.
    quantifier : {"all", "typical"}
        Any pattern, or a given one.

    Returns
    -------
    Enclosure
        Decided True where the bound is at most p. Shells that leave a gap make it 1, a ball that reaches beyond half
        way to the next pattern or an allowance that is not positive makes a tail 1.

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Notes
    -----
    Statement C3, proved in 'docs/bounds-proofs.md'.

    Examples
    --------
    >>> lone = Case(math.inf, math.inf, 5.2 / 171, math.log(30.0), math.log(30.0))
    >>> plain = Witness(0.0, 2.8 / 171, 2.8 / 171, lone)
    >>> found = chernoff_enclosure(Model(171.0, 20, 0.0), plain, math.log(1e6), 1e-3, "all")
    >>> found.decided, round(found.low, 6), round(found.high, 6)
    (True, -8.005542, -8.005542)
    """
    _arguments.one_of("quantifier", quantifier, QUANTIFIERS)
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _failure(model, witness, _patterns(log_patterns), quantifier)
        return _enclosure("C3", quantifier, log_patterns, bound, bound <= p, bound > p, math.log(p))


def pairs_enclosure(model: Model, witness: PairWitness, log_patterns: float, failure_probability: float) -> Enclosure:
    """Enclose the C6 lower bound on the chance that not all patterns are stored.

    With ``x = q M (M - 1)/2`` for the expected number of close pairs and η for the chance, by Markov's inequality, that
    the others disturb one, the bound is ``max(x (1 - η) - x²/2, x (1 - η)²/(1 - η + x))``.

    Parameters
    ----------
    model : Model
        κ, d and log n, exact.
    witness : PairWitness
        Height of the pairs and half width of the tube, exact.
    log_patterns : float, above 0
        log M, exact.
    failure_probability : float, in (0, 1)
        p, exact.

    Returns
    -------
    Enclosure
        Decided True where the bound exceeds p: this many patterns are then not all stored with probability ``1 - p``.

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Notes
    -----
    Statement C6, proved in 'docs/bounds-proofs.md'.

    Examples
    --------
    >>> pairs = PairWitness(0.0, 1.98 / 171, 1.0 / 171)
    >>> found = pairs_enclosure(Model(171.0, 20, 0.0), pairs, math.log(9e6), 1e-3)
    >>> found.decided, 1.0e-3 < math.exp(found.low) < 1.1e-3
    (True, True)
    """
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _pair_failure(model, witness, _patterns(log_patterns))
        return _enclosure("C6", "all", log_patterns, bound, bound > p, bound <= p, math.log(p))


def typical_enclosure(
    model: Model, witness: TypicalWitness, log_patterns: float, failure_probability: float
) -> Enclosure:
    """Enclose the C7 upper bound on the chance that a fixed point lies within the witness's error of a pattern.

    It is the chance ``(M - 1) P(error)`` of a pattern that close, plus, for each strip of overlaps, the chances
    ``exp(t A e^z + (M - 1) E[exp(-t g) - 1])`` that the crowd's pull is too weak and
    ``exp((M - 1) E[exp((θ g |τ|)²/(2 (d - 1))) - 1]) / Ψ_{d-1}(θ A e^z z/(κ b))`` that its direction is too strong.

    Parameters
    ----------
    model : Model
        κ, d and log n, exact.
    witness : TypicalWitness
        Error, cap and strips, exact.
    log_patterns : float, above 0
        log M, exact; M - 1 other patterns are counted.
    failure_probability : float, in (0, 1)
        p, exact.

    Returns
    -------
    Enclosure
        Decided True where the bound is at most ``1 - p``. Strips that do not cover the overlaps up to the error make
        it 1.

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Notes
    -----
    Statement C7, proved in 'docs/bounds-proofs.md'.

    Examples
    --------
    >>> witness = typical_witness(dim=20, beta=1.0, scale=3.0, failure_probability=1e-3)
    >>> shifts = (1e-8, -1e-2)
    >>> [typical_enclosure(Model(171.0, 20, 0.0), witness, witness.log_patterns + x, 1e-3).decided for x in shifts]
    [True, False]
    """
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound, target = _survival(model, witness, _patterns(log_patterns)), 1 - arb(p)
        return _enclosure("C7", "typical", log_patterns, bound, bound <= target, bound > target, math.log1p(-p))


def pairwise_enclosure(model: Model, log_patterns: float, failure_probability: float) -> Enclosure:
    """Enclose the C2 bound on the chance that not all patterns are stored, ``M (M - 1)/2 · P(1 - cos < Δ)``.

    Any ball of radius ρ (in units of m) whose leak ``l = n exp(-κ (1 - ρ))`` is below ρ and ``1/κ`` gives a sufficient
    gap ``Δ = 2ρ + log[(M - 1) max(2/(ρ - l), 4/(1/κ - l))]/κ``; the float next to the best ρ is used.

    Parameters
    ----------
    model : Model
        κ, d and log n, exact.
    log_patterns : float, above 0
        log M, exact.
    failure_probability : float, in (0, 1)
        p, exact.

    Returns
    -------
    Enclosure
        Decided True where the bound is at most p.

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Notes
    -----
    Statements C2 and T12. With ``M >= 2`` and ``ρ <= 1`` the gap exceeds ``2ρ >= 2ρ²``, so that distances exceed 2ρ
    and the balls are disjoint.

    Examples
    --------
    >>> model = Model.of(dim=20, beta=1.0, scale=3.0)
    >>> [pairwise_enclosure(model, math.log(m), 1e-3).decided for m in (861, 862)]
    [True, False]
    """
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        bound = _pairwise_failure(model, _patterns(log_patterns))
        return _enclosure("C2", "all", log_patterns, bound, bound <= p, bound > p, math.log(p))


def published_base_enclosure(dim: int, beta: float, scale: float, failure_probability: float) -> tuple[float, float]:
    """Enclose the base c of the published exponential capacity C1.

    ``c = b / W_0(exp(a + log b))`` with ``a = 2 (1 + log(2 β K² p (d - 1))) / (d - 1)`` and ``b = 2 K² β / 5``.

    Parameters
    ----------
    dim : int, at least 2
        Dimension d.
    beta, scale : float, above 0
        Inverse temperature, and K; exact.
    failure_probability : float, in (0, 1)
        p, exact.

    Returns
    -------
    low, high : float

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Notes
    -----
    Statement C1: Theorem 3 of Ramsauer et al. 2021, arXiv:2008.02217.

    Examples
    --------
    >>> low, high = published_base_enclosure(20, 1.0, 3.0, 1e-3)
    >>> math.floor(1e4 * low) / 1e4, math.floor(1e4 * high) / 1e4
    (3.1546, 3.1546)
    """
    d = _arguments.integer("dim", dim, 2)
    p = _arguments.probability("failure_probability", failure_probability)
    with ctx.workprec(_PRECISION):
        strength = arb(_arguments.positive("beta", beta)) * arb(_arguments.positive("scale", scale)) ** 2
        a = 2 * (1 + (2 * strength * p * (d - 1)).log()) / (d - 1)
        b = 2 * strength / 5
        return _ends(b / (a.exp() * b).lambertw())


def sandwich(dim: int, beta: float, scale: float, failure_probability: float, noop: float = 1.0) -> list[Enclosure]:
    """Decide in balls every capacity bound that the floats find: C2, C3 (all, typical), C6 and C7.

    Each is evaluated at ``log M`` moved by 1e-8 to its safe side, down for the lower bounds C2 and C3 and up for the
    upper bounds C6 and C7. What the floats do not find is left out.

    Parameters
    ----------
    dim : int, at least 2
        Dimension d.
    beta, scale : float, above 0
        Inverse temperature, and K; ``κ = β K² (d - 1)``, rounded, is what enters the bounds.
    failure_probability : float, in (0, 1)
        p.
    noop : float, at least 0
        The no-op mass n; its logarithm, rounded, is what enters the bounds.

    Returns
    -------
    list of Enclosure

    Raises
    ------
    ValueError
        If an argument leaves its range.

    Notes
    -----
    Statements C2, C3, C6 and C7, the last three proved in 'docs/bounds-proofs.md'.

    Examples
    --------
    >>> [(found.statement, found.decided) for found in sandwich(2, 1.0, 3.0, 0.5)]
    [('C2', True), ('C3', True), ('C3', True)]
    """
    model = Model.of(dim, beta, scale, noop=noop)
    p = failure_probability
    numbers: dict[str, Any] = {"dim": dim, "beta": beta, "scale": scale, "failure_probability": p, "noop": noop}
    found = []
    log_patterns = pairwise(**numbers) - _STEP
    if log_patterns >= math.log(2.0):
        found.append(pairwise_enclosure(model, log_patterns, p))
    for quantifier in QUANTIFIERS:
        stored = chernoff_witness(**numbers, quantifier=quantifier)
        if stored.log_patterns > _STEP:
            found.append(chernoff_enclosure(model, stored, stored.log_patterns - _STEP, p, quantifier))
    pairs = pair_witness(**numbers)
    if math.isfinite(pairs.log_patterns):
        found.append(pairs_enclosure(model, pairs, pairs.log_patterns + _STEP, p))
    lost = typical_witness(**numbers)
    if math.isfinite(lost.log_patterns):
        found.append(typical_enclosure(model, lost, lost.log_patterns + _STEP, p))
    return found


def _enclosure(
    statement: str, quantifier: str, log_patterns: float, bound: Ball, proved: bool, refuted: bool, target: float
) -> Enclosure:
    """Return the enclosure of the logarithm of a bound; comparisons of balls hold only where they hold throughout."""
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
    """Return a probability of which nothing is known."""
    return arb(0.5, 0.5)


def _positive(*numbers: Ball) -> bool | None:
    """Return whether all numbers are positive, None where the balls do not tell."""
    if all(number > 0 for number in numbers):
        return True
    return False if any(number <= 0 for number in numbers) else None


def _tiles(pieces: Sequence[Case] | Sequence[Strip], low: float, high: float) -> bool:
    """Return whether intervals, in their order, cover ``[low, high]``, each beginning exactly where the last ends."""
    begins = [*(piece.low for piece in pieces), high]
    ends = [low, *(piece.high for piece in pieces)]
    return begins == ends and all(piece.low < piece.high for piece in pieces)


def _probability_bound(log_bound: Ball) -> Ball:
    # The exponential of an astronomic number is no ball that could be compared with 1.
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


def _leak(model: Model, distance: Ball) -> Ball:
    """Weight of the no-op slot relative to that of a pattern, ``n exp(-κ · distance)``."""
    return (arb(model.log_noop) - arb(model.kappa) * distance).exp() if math.isfinite(model.log_noop) else arb(0)


def _mean(dim: int, values: Function, start: Ball, end: Ball) -> Ball:
    """Enclose ``E[f; start < φ < end]`` for a uniform point, f being analytic wherever it is finite.

    The density of ``θ = 2φ`` is ``sin(θ)^(d-2) / B((d-1)/2, ½)``. The ends may be balls: Petras' method treats them as
    any other, so the answer holds for every point of theirs.
    """

    def integrand(phi: Ball, _analytic: bool) -> Ball:
        sine, cosine = phi.sin_cos()
        return values(sine, cosine) * (2 * sine * cosine) ** (dim - 2)

    # Tolerances below the peak; where the samples miss it, the enclosure is as true, only later.
    samples = (start + (end - start) * (k / 64.0) ** 2 for k in range(1, 64))
    peak = max(abs(integrand(acb(phi), False)).upper() for phi in samples)
    integral = acb.integral(integrand, start, end, rel_tol=_TOLERANCE, abs_tol=peak * _TOLERANCE)
    return 2 * integral.real * (arb(dim) / 2).gamma() / (arb.pi().sqrt() * (arb(dim - 1) / 2).gamma())


def _failure(model: Model, witness: Witness, patterns: Ball, quantifier: str) -> Ball:
    if not _tiles(witness.shells, witness.cap, witness.crowd_cap):
        return arb(1)
    every, ordered = (patterns, arb(0.5)) if quantifier == "all" else (arb(1), arb(1))
    total = ordered * patterns * _cap(arb(witness.cap), model.dim)
    total += _tails(model, witness.lone, _alone(model, witness), witness.crowd_cap, patterns)
    if witness.shells:
        total += (patterns * _cap(arb(witness.crowd_cap), model.dim)) ** 2 / 2
    for shell in witness.shells:
        share = _cap(arb(shell.high), model.dim) - _cap(arb(shell.low), model.dim)
        tails = _tails(model, shell, _with_neighbour(model, shell), witness.crowd_cap, patterns)
        total += patterns * share * tails
    return every * total


@dataclass(frozen=True)
class _Piece:
    """A function on a range of half angles."""

    values: Function
    start: Ball
    end: Ball


@dataclass(frozen=True)
class _Allowances:
    """What a case of C3 leaves to the crowd, ``Σ (w - ρ) y <= displacement`` and ``Σ (a w² + b)₊ y < stretch``.

    ``sound`` tells whether all that the proof presupposes holds.
    """

    displacement: Ball
    stretch: Ball
    slope: Ball
    offset: Ball
    sound: bool | None


def _alone(model: Model, witness: Witness) -> _Allowances:
    kappa, rho = arb(model.kappa), arb(witness.lone.ball)
    leak = _leak(model, 1 - rho)
    displacement = rho - (1 - rho) * leak
    stretch = 1 - (kappa - 1).max(arb(0)) * leak
    nearest = (2 * arb(witness.crowd_cap)).sqrt()
    sound = _positive(rho, 1 - rho, nearest - 2 * rho, displacement, stretch)
    return _Allowances(displacement, stretch, kappa, arb(-1), sound)


def _with_neighbour(model: Model, shell: Case) -> _Allowances:
    kappa, rho = arb(model.kappa), arb(shell.ball)
    leak = _leak(model, 1 - rho)
    near, far = (2 * arb(shell.low)).sqrt(), (2 * arb(shell.high)).sqrt()
    ratio = (-kappa * (arb(shell.low) - rho * near)).exp()
    weight = ratio / (1 + ratio)
    neighbour = far**2 * weight
    displacement = rho - (1 - rho) * leak - (near - rho) * ratio
    stretch = 1 - kappa * (neighbour * (1 - weight) + (2 + neighbour) * leak)
    # The neighbour's pull (w - ρ) y has its maximum at w = ρ + κ^(-1/2): beyond it the near rim is the worst.
    falling = kappa * (near - rho) ** 2 - 1
    sound = _positive(rho, 1 - rho, near - 2 * rho, falling, displacement, stretch)
    return _Allowances(displacement, stretch, 2 * kappa, kappa * neighbour, sound)


def _tails(model: Model, case: Case, allowances: _Allowances, crowd_cap: float, patterns: Ball) -> Ball:
    """Enclose the chance that the crowd beyond a cap exceeds one of two allowances, by a Chernoff bound for each."""
    if allowances.sound is not True:
        return arb(1) if allowances.sound is False else _open()
    kappa, rho = arb(model.kappa), arb(case.ball)
    pull, push = arb(case.self_map_log_tilt).exp(), arb(case.contraction_log_tilt).exp()
    pull_rate, push_rate = pull / allowances.displacement, push / allowances.stretch

    def weight(sine: Ball) -> Ball:
        return (-2 * kappa * sine * (sine - rho)).exp()

    def displaced(sine: Ball, _cosine: Ball) -> Ball:
        return (pull_rate * (2 * sine - rho) * weight(sine)).expm1()

    def stretched(sine: Ball, _cosine: Ball) -> Ball:
        return (push_rate * (4 * allowances.slope * sine**2 + allowances.offset) * weight(sine)).expm1()

    rim, end = _half_angle(arb(crowd_cap)), arb.pi() / 2
    # a w² + b = 2 a u + b is positive from height -b/(2a) on.
    onset = _half_angle((-allowances.offset / (2 * allowances.slope)).max(arb(0))).max(rim)
    displacing = _probability_bound(patterns * _mean(model.dim, displaced, rim, end) - pull)
    stretching = _probability_bound(patterns * _mean(model.dim, stretched, onset, end) - push)
    return (displacing + stretching).min(arb(1))


def _pair_failure(model: Model, witness: PairWitness, patterns: Ball) -> Ball:
    kappa, s, u = arb(model.kappa), arb(witness.tube), arb(witness.height)
    c = (1 - u / 2).max(arb(0)).sqrt()
    leak = _leak(model, c * (c - s)) / 2
    displacement = s - (1 - s) * leak
    stretch = 1 - kappa * u / 2 - (kappa - 1).max(arb(0)) * leak
    sound = _positive(s, u, c - s, displacement, stretch) if witness.height <= 1.0 else False
    if sound is not True:
        return arb(0) if sound is False else _open()
    quiet = 1 - patterns * _loudness(model, witness, displacement, stretch)
    if _positive(quiet) is not True:
        return arb(0) if quiet <= 0 else _open()
    x = patterns * (patterns - 1) / 2 * _cap(arb(witness.height), model.dim)
    return (x * (quiet - x / 2)).max(x * quiet**2 / (quiet + x))


def _loudness(model: Model, witness: PairWitness, displacement: Ball, stretch: Ball) -> Ball:
    """Enclose the mean share of one other pattern in the two allowances of C6.

    The integrand changes its form where the bound on the distance w does, where a share becomes positive (it stays so,
    since w increases with the angle), and where the amplification does; each stretch in between is integrated alone.
    """
    kappa, s = arb(model.kappa), arb(witness.tube)
    h, c = (arb(witness.height) / 2).sqrt(), (1 - arb(witness.height) / 2).sqrt()
    amplifications = _amplifications(model, h)

    def mean(share: Callable[[Ball], Ball], distance: Function, amplification: _Piece, start: Ball, end: Ball) -> Ball:
        def values(sine: Ball, cosine: Ball) -> Ball:
            w = distance(sine, cosine)
            along = kappa * (c * (1 - 2 * sine**2 - c) + s * w)
            return share(w) * along.exp() * amplification.values(sine, cosine) / 2

        first = start.max(amplification.start)
        return _mean(model.dim, values, first, first.max(end.min(amplification.end)))

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
        # The one root of this module. Off its branch cut it is analytic, and next to it the integrator divides further.
        return ((1 - c) ** 2 + 4 * c * sine**2).sqrt(analytic=True)

    def far(sine: Ball, _cosine: Ball) -> Ball:
        return 2 * sine

    return [
        (_Piece(near, arb(0), crossing), (1 - c) ** 2, 2 * c),
        (_Piece(far, crossing, arb.pi() / 2), arb(0), arb(2)),
    ]


def _amplifications(model: Model, h: Ball) -> list[_Piece]:
    """Return a bound on ``E exp(x |cos|)``, ``x = κ h sin θ``, across a direction, in pieces.

    ``exp x`` and ``2 Ψ_{d-1}(x) = 2 0F1(; (d-1)/2; x²/4)`` both hold everywhere; the change from one to the other is
    put near the point where they are equal.
    """
    strength = arb(model.kappa) * h
    end = arb.pi() / 2

    def plain(sine: Ball, cosine: Ball) -> Ball:
        return (2 * strength * sine * cosine).exp()

    def two_sided(sine: Ball, cosine: Ball) -> Ball:
        return 2 * ((strength * sine * cosine) ** 2).hypgeom_0f1(arb(model.dim - 1) / 2)

    most = float(strength)
    switch = _quadrature.largest(lambda x: x <= math.log(2.0) + float(sphere.log_mgf_across(x, model.dim)), 0.0, most)
    if switch > 0.999 * most:
        return [_Piece(plain, arb(0), end)]
    turn = arb(0.5 * math.asin(switch / most))
    return [_Piece(plain, arb(0), turn), _Piece(two_sided, turn, end - turn), _Piece(plain, end - turn, end)]


def _survival(model: Model, witness: TypicalWitness, patterns: Ball) -> Ball:
    # Patterns above the cap pull outwards only if the strips end below it.
    if not (_tiles(witness.strips, 0.0, witness.error) and witness.error <= min(witness.cap, 1.0)):
        return arb(1)
    total = (patterns - 1) * _cap(arb(witness.error), model.dim)
    for strip in witness.strips:
        total += _strip_tails(model, witness, strip, patterns - 1)
    return total


def _strip_tails(model: Model, witness: TypicalWitness, strip: Strip, others: Ball) -> Ball:
    """Enclose the chance that the crowd lets a fixed point into a strip: pull too weak, or direction too strong."""
    kappa, low, high, slack = arb(model.kappa), arb(strip.low), arb(strip.high), arb(strip.slack)
    needed = high - (1 - high) * _leak(model, 1 - low)
    if needed <= 0:
        return arb(0)
    if _positive(needed, slack) is not True:
        return arb(1) if slack <= 0 else _open()
    tilt, side_tilt = arb(strip.log_tilt).exp(), arb(strip.side_log_tilt).exp()
    enough = needed * slack.exp()
    rim, end = _half_angle(arb(witness.cap)), arb.pi() / 2

    def pull(sine: Ball) -> Ball:
        return (2 * sine**2 - high) * (-2 * kappa * (1 - low) * sine**2).exp()

    def kept(sine: Ball, _cosine: Ball) -> Ball:
        return -(-tilt * pull(sine)).expm1()

    def grown(sine: Ball, cosine: Ball) -> Ball:
        return ((2 * side_tilt * sine * cosine * pull(sine)) ** 2 / (2 * (model.dim - 1))).expm1()

    weak = _probability_bound(tilt * enough - others * _mean(model.dim, kept, rim, end))
    reach = (arb(witness.error) ** 2 - low**2).min(high * (2 - high)).sqrt()
    direction = side_tilt * enough * slack / (kappa * reach)
    moment = (direction**2 / 4).hypgeom_0f1(arb(model.dim - 1) / 2)
    strong = _probability_bound(others * _mean(model.dim, grown, rim, end) - moment.log())
    return weak + strong


def _pairwise_failure(model: Model, patterns: Ball) -> Ball:
    kappa = arb(model.kappa)
    rho = arb(_best_ball(model))
    leak = _leak(model, 1 - rho)
    displacement, stretch = rho - leak, 1 / kappa - leak
    sound = _positive(displacement, stretch)
    if sound is not True:
        return arb(1) if sound is False else _open()
    others = patterns - 1
    gap = 2 * rho + (others * (2 / displacement).max(4 / stretch)).log() / kappa
    return patterns * others / 2 * _cap(gap, model.dim)


def _best_ball(model: Model) -> float:
    """Return the float next to the radius at which both conditions of T12 meet, 1 where they do not."""
    rate = model.log_noop + math.log(0.5 * model.kappa) + 0.5 - model.kappa
    if rate >= -1.0:
        return 1.0
    share = -float(special.lambertw(-math.exp(rate)).real)
    return min((0.5 + share) / model.kappa, 1.0) if share < 0.5 else 1.0
