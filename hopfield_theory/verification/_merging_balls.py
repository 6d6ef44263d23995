"""The probability in C6 that two patterns merge, in ball arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable

from flint import arb

from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds.merging import PairWitness
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.verification import _sphere_balls as balls
from hopfield_theory.verification._sphere_balls import Ball, Function, Piece


def failure(memory: RandomMemory, witness: PairWitness, patterns: Ball) -> Ball:
    kappa, s, u = arb(memory.kappa), arb(witness.tube), arb(witness.height)
    c = (1 - u / 2).max(arb(0)).sqrt()
    leak = balls.leak(memory, c * (c - s)) / 2
    displacement = s - (1 - s) * leak
    stretch = 1 - kappa * u / 2 - (kappa - 1).max(arb(0)) * leak
    sound = balls.positive(s, u, c - s, displacement, stretch) if witness.height <= 1.0 else False
    if sound is not True:
        return arb(0) if sound is False else balls.unknown()
    quiet = 1 - patterns * _loudness(memory, witness, displacement, stretch)
    if balls.positive(quiet) is not True:
        return arb(0) if quiet <= 0 else balls.unknown()
    x = patterns * (patterns - 1) / 2 * balls.cap(arb(witness.height), memory.dim)
    return (x * (quiet - x / 2)).max(x * quiet**2 / (quiet + x))


def _loudness(memory: RandomMemory, witness: PairWitness, displacement: Ball, stretch: Ball) -> Ball:
    """Enclose the mean share of one other pattern in the two allowances of C6.

    The integrand changes its form where the bound on the distance w does, where a share becomes positive (it stays so,
    since w increases with the angle), and where the amplification does; the pieces are integrated separately.
    """
    kappa, s = arb(memory.kappa), arb(witness.tube)
    h, c = (arb(witness.height) / 2).sqrt(), (1 - arb(witness.height) / 2).sqrt()
    pieces = amplifications(memory, h)

    def mean(share: Callable[[Ball], Ball], distance: Function, amplification: Piece, start: Ball, end: Ball) -> Ball:
        def values(sine: Ball, cosine: Ball) -> Ball:
            w = distance(sine, cosine)
            along = kappa * (c * (1 - 2 * sine**2 - c) + s * w)
            return share(w) * along.exp() * amplification.values(sine, cosine) / 2

        first = start.max(amplification.start)
        return balls.mean(memory.dim, values, first, first.max(end.min(amplification.end)))

    total = arb(0)
    for distance, offset, slope in _distances(c):
        for share, square in (
            (lambda w: (w - s) / displacement, s**2),
            (lambda w: (kappa * w**2 - 1) / stretch, 1 / kappa),
        ):
            onset = balls.half_angle(((square - offset) / slope).max(arb(0)))
            for amplification in pieces:
                total += mean(share, distance.values, amplification, distance.start.max(onset), distance.end)
    return total


def _distances(c: Ball) -> list[tuple[Piece, Ball, Ball]]:
    """Return ``w = max(sqrt((1 - c)² + 2 c u), sqrt(2 u))`` in pieces, each with the a and b of ``w² = a + b u``.

    The two cross at ``u = (1 - c)/2``.
    """
    crossing = balls.half_angle((1 - c) / 2)

    def near(sine: Ball, _cosine: Ball) -> Ball:
        # The only root of this module. It is analytic off its branch cut, and near the cut the integrator subdivides.
        return ((1 - c) ** 2 + 4 * c * sine**2).sqrt(analytic=True)

    def far(sine: Ball, _cosine: Ball) -> Ball:
        return 2 * sine

    return [
        (Piece(near, arb(0), crossing), (1 - c) ** 2, 2 * c),
        (Piece(far, crossing, arb.pi() / 2), arb(0), arb(2)),
    ]


def amplifications(memory: RandomMemory, h: Ball) -> list[Piece]:
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
        return [Piece(plain, arb(0), end)]
    turn = arb(0.5 * math.asin(switch / most))
    return [Piece(plain, arb(0), turn), Piece(two_sided, turn, end - turn), Piece(plain, end - turn, end)]
