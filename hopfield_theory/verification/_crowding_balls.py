"""The probability in C7 of a fixed point near a pattern, in ball arithmetic."""

from __future__ import annotations

from flint import acb, arb

from hopfield_theory.bounds.crowding import Inside, Strip, TypicalWitness
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.verification import _sphere_balls as balls
from hopfield_theory.verification._sphere_balls import Ball

# Terms of the inner moment, as in the floats: with any number of them the bound is valid.
_TERMS = 8


def survival(memory: RandomMemory, witness: TypicalWitness, patterns: Ball) -> Ball:
    if not (balls.tiles(witness.strips, 0.0, witness.error) and witness.error < 1.0):
        return arb(1)
    total = (patterns - 1) * balls.cap(arb(witness.least_height), memory.dim)
    for strip in witness.strips:
        total += strip_tails(memory, witness, strip, patterns - 1)
    return total


def strip_tails(memory: RandomMemory, witness: TypicalWitness, strip: Strip, others: Ball) -> Ball:
    """Enclose the probability that a fixed point in a strip is not excluded.

    The patterns inside pull back too much, the crowd pulls too little, or its direction is too strong.
    """
    kappa, low, high, slack = arb(memory.kappa), arb(strip.low), arb(strip.high), arb(strip.slack)
    needed = high - (1 - high) * balls.leak(memory, 1 - low)
    reach = (arb(witness.error) ** 2 - low**2).min(high * (2 - high)).sqrt()
    inner = arb(0)
    if strip.high > witness.least_height:
        if strip.inside is None:
            return arb(1)
        inner = inner_tail(memory, witness.least_height, strip.high, reach, strip.inside, others)
        needed += arb(strip.inside.allowance)
    if needed <= 0:
        return inner
    if balls.positive(needed, slack) is not True:
        return arb(1) if slack <= 0 else balls.unknown()
    tilt, side_tilt = arb(strip.log_tilt).exp(), arb(strip.side_log_tilt).exp()
    enough = needed * slack.exp()
    # only patterns above the strip pull outwards
    rim, end = balls.half_angle(arb(max(witness.cap, strip.high))), arb.pi() / 2

    def pull(sine: Ball) -> Ball:
        return (2 * sine**2 - high) * (-2 * kappa * (1 - low) * sine**2).exp()

    def kept(sine: Ball, _cosine: Ball) -> Ball:
        return -(-tilt * pull(sine)).expm1()

    def grown(sine: Ball, cosine: Ball) -> Ball:
        return ((2 * side_tilt * sine * cosine * pull(sine)) ** 2 / (2 * (memory.dim - 1))).expm1()

    weak = balls.probability_bound(tilt * enough - others * balls.mean(memory.dim, kept, rim, end))
    direction = side_tilt * enough * slack / (kappa * reach)
    moment = (direction**2 / 4).hypgeom_0f1(arb(memory.dim - 1) / 2)
    strong = balls.probability_bound(others * balls.mean(memory.dim, grown, rim, end) - moment.log())
    return inner + weak + strong


def inner_tail(memory: RandomMemory, floor: float, high: float, reach: Ball, inside: Inside, others: Ball) -> Ball:
    """Enclose the probability that patterns between the floor and a strip's rim pull back more than allowed."""
    dim, kappa, rim, cosine = memory.dim - 1, arb(memory.kappa), arb(high), arb(inside.cosine)
    if dim < 2 or not 0 < inside.cosine < 1 or inside.allowance <= 0:
        return arb(1)
    share, half = balls.cap(1 - cosine, dim), arb(dim - 1) / 2
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

    moment = balls.mean(memory.dim, grown, balls.half_angle(arb(floor)), balls.half_angle(rim))
    return balls.probability_bound(others * moment - tilt * arb(inside.allowance) - share.log())
