"""The probability of failure of C10 in ball arithmetic; what a shell's limits prove is in ``_neighbour_balls``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from flint import arb

from hopfield_theory.bounds._crowd import CELL, SIDE
from hopfield_theory.bounds._shell_proof import Shell, kinds
from hopfield_theory.bounds.directional import Case, Cell, Side, Stage, Witness
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.verification import _neighbour_balls
from hopfield_theory.verification import _sphere_balls as balls
from hopfield_theory.verification._sphere_balls import Ball, Function


def failure(memory: RandomMemory, witness: Witness, patterns: Ball, quantifier: str) -> Ball:
    lone = witness.lone
    alone = not isinstance(lone, Shell) or math.isinf(lone.low)
    if not alone or not balls.tiles(witness.shells, witness.cap, lone.crowd_cap):
        return arb(1)
    every, ordered = (patterns, arb(0.5)) if quantifier == "all" else (arb(1), arb(1))
    tails = _shell_tails(memory, lone, patterns) if isinstance(lone, Shell) else _case_tails(memory, lone, patterns)
    if tails >= 1:
        return arb(1)
    total = ordered * patterns * balls.cap(arb(witness.cap), memory.dim) + tails
    for shell in witness.shells:
        within = _neighbour_balls.Neighbour(memory.kappa, shell.low, shell.high, shell.turn).within
        heights = (arb(shell.low), arb(shell.high), arb(shell.crowd_cap), within)
        low, high, crowd, nearest = (balls.cap(height, memory.dim) for height in heights)
        third = (crowd - nearest).max(arb(0))
        given = (patterns * third + _shell_tails(memory, shell, patterns)).min(arb(1))
        total += patterns * (high - low) * given
    return every * total


def _case_tails(memory: RandomMemory, case: Case, patterns: Ball) -> Ball:
    """Enclose the probability that a sum exceeds its limit; 1 if the limits do not imply that a pattern is stored."""
    stored = _stored_within_limits(memory, case)
    if stored is not True:
        return arb(1) if stored is False else balls.unknown()
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
    return total + _limit_tail(memory, stretch, balls.half_angle(arb(case.crowd_cap)), patterns)


def _shell_tails(memory: RandomMemory, shell: Shell, patterns: Ball) -> Ball:
    """Enclose the same for a shell, or for the case of no near neighbour beside shells."""
    stored = _neighbour_balls.stored(memory, shell)
    if stored is not True:
        return arb(1) if stored is False else balls.unknown()
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
    start = balls.half_angle(arb(shell.crowd_cap))
    return sum((_limit_tail(memory, _Limited(*limited), start, patterns) for limited in sums), arb(0))


def _stored_within_limits(memory: RandomMemory, case: Case) -> bool | None:
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
            crowd = _pulled(memory, cell) + (1 - target) * balls.leak(memory, 1 - arb(cell.high))
            slacks.append(target - crowd)
        slacks += [stage.width - _drawn(memory, side) for side in stage.sides]
    contracted = balls.positive(1 - _slope(memory, case))
    if contracted is False or any(slack < 0 for slack in slacks):
        return False
    return True if contracted and all(slack >= 0 for slack in slacks) else None


def _drawn(memory: RandomMemory, side: Side) -> Ball:
    """Bound the crowd's pull across the axis."""
    drift, change, spread, growth = map(arb, side.limits)
    return drift + (change * spread).sqrt() + arb(memory.kappa) * side.across * growth


def _slope(memory: RandomMemory, case: Case) -> Ball:
    """Bound the norm of the Jacobian in the last cylinder."""
    kappa, a = arb(memory.kappa), arb(case.contraction.high)
    leak = (kappa * (1 - a) ** 2 - 1).max(arb(0)) * balls.leak(memory, 1 - a)
    return kappa * a**2 + leak + _pulled(memory, case.contraction) + case.stretch


def _reach(stage: Stage, low: Ball, high: Ball, square: Callable[[Ball], Ball]) -> list[Ball]:
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


def _pulled(memory: RandomMemory, cell: Cell) -> Ball:
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

        growth = patterns * balls.mean(memory.dim, mean, start, arb.pi() / 2)
        if limited.kind == "component":
            return balls.probability_bound(growth - gain + arb(2).log())
        return balls.probability_bound(growth - (gain**2 / 4).hypgeom_0f1(arb(across) / 2).log())
    if limited.kind == "square":

        def squared(sine: Ball, cosine: Ball) -> Ball:
            return (1 - 2 * tilt * limited.size(sine, cosine) / across).rsqrt(analytic=True) - 1

        return balls.probability_bound(patterns * balls.mean(memory.dim, squared, start, arb.pi() / 2) - gain)

    def raised(sine: Ball, cosine: Ball) -> Ball:
        return (tilt * limited.size(sine, cosine)).expm1()

    if limited.kind == "whole":
        # Of the square of a direction from the axis, sin² is along the axis and cos² across it.
        even = (1 / arb(across).sqrt()).atan().max(start)
        growth = balls.mean(memory.dim, lambda s, c: raised(s, c) * c**2 / across, start, even)
        growth += balls.mean(memory.dim, lambda s, c: raised(s, c) * s**2, even, arb.pi() / 2)
        return balls.probability_bound(patterns * growth - gain + arb(memory.dim).log())
    growth = patterns * balls.mean(memory.dim, raised, start, arb.pi() / 2)
    if limited.kind == "matrix":
        return balls.probability_bound(growth / across - gain + arb(across).log())
    return balls.probability_bound(growth - gain)


def _cell_tails(
    memory: RandomMemory,
    case: Case,
    cell: Cell,
    onset: float | Ball,
    factor: Callable[[Ball], Ball],
    patterns: Ball,
) -> Ball:
    """Enclose the three tails of a cell, the factor being positive from the onset on."""
    start = balls.half_angle(arb(case.crowd_cap)).max(balls.half_angle(arb(onset)))
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


def _side_tails(memory: RandomMemory, case: Case, side: Side, patterns: Ball) -> Ball:
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
    start = balls.half_angle(arb(case.crowd_cap))
    return sum((_limit_tail(memory, _Limited(*limited), start, patterns) for limited in sums), arb(0))
