"""The probability of failure of C3 in ball arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from flint import arb

from hopfield_theory.bounds.chernoff import Case, Witness
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.verification import _sphere_balls as balls
from hopfield_theory.verification._sphere_balls import Ball


def failure(memory: RandomMemory, witness: Witness, patterns: Ball, quantifier: str) -> Ball:
    if not balls.tiles(witness.shells, witness.cap, witness.lone.crowd_cap):
        return arb(1)
    every, ordered = (patterns, arb(0.5)) if quantifier == "all" else (arb(1), arb(1))
    total = ordered * patterns * balls.cap(arb(witness.cap), memory.dim)
    total += case_tails(memory, witness.lone, _alone(memory, witness.lone), patterns)
    for shell in witness.shells:
        low, high, crowd = (balls.cap(arb(height), memory.dim) for height in (shell.low, shell.high, shell.crowd_cap))
        third = (crowd - (low + high) / 2).max(arb(0))
        tails = case_tails(memory, shell, with_neighbour(memory, shell), patterns)
        total += patterns * (high - low) * (patterns * third + tails).min(arb(1))
    return every * total


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
    leak = balls.leak(memory, 1 - rho)
    displacement = rho - (1 - rho) * leak
    stretch = 1 - (kappa - 1).max(arb(0)) * leak
    nearest = (2 * arb(lone.crowd_cap)).sqrt()

    def moved(sine: Ball, _cosine: Ball) -> tuple[Ball, Ball, Ball]:
        return 2 * sine - rho, arb(0), arb(0)

    def stretched(sine: Ball, _cosine: Ball) -> tuple[Ball, Ball, Ball]:
        return 4 * kappa * sine**2 - 1, arb(0), arb(0)

    sound = balls.positive(rho, 1 - rho, nearest - 2 * rho, displacement, stretch)
    # the second summand is positive from the distance κ^(-1/2) on
    sums = _Sum(displacement, arb(0), moved), _Sum(stretch, balls.half_angle(1 / (2 * kappa)), stretched)
    return _Sums(sound, sums)


def with_neighbour(memory: RandomMemory, shell: Case) -> _Sums:
    kappa, rho, others = arb(memory.kappa), arb(shell.ball), memory.dim - 1
    leak = balls.leak(memory, 1 - rho)
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
    sound = balls.positive(rho, 1 - rho, near - 2 * rho, kappa * shell.low - 2, slack, stretch)
    sums = _Sum(room, arb(0), moved), _Sum(stretch, arb(0), stretched)
    return _Sums(sound if shell.high <= shell.crowd_cap else False, sums)


def case_tails(memory: RandomMemory, case: Case, crowd: _Sums, patterns: Ball) -> Ball:
    """Enclose the probability that the crowd above its cap exceeds one of two allowances, by two Chernoff bounds."""
    tilts = case.self_map_log_tilt, case.contraction_log_tilt
    if crowd.sound is not True or math.isinf(min(tilts)):
        return balls.unknown() if crowd.sound is None else arb(1)
    kappa, rho, rim, end = arb(memory.kappa), arb(case.ball), balls.half_angle(arb(case.crowd_cap)), arb.pi() / 2
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

        within = balls.positive(1 - raised(*rim.sin_cos())[1])
        if within is not True:
            return arb(1) if within is False else balls.unknown()
        total += balls.probability_bound(patterns * balls.mean(memory.dim, grown, each.onset.max(rim), end) - tilt)
    return total.min(arb(1))
