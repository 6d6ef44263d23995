"""Statements T12 and C8: what makes a pattern stored, and what storage forces."""

from __future__ import annotations

import functools
from typing import Any

from hopfield_theory.statements.dynamics import Dynamics
from hopfield_theory.statements.statement import Implication, Instance, Kind, Statement

__all__ = ["STATEMENTS"]

_STEPS = 8
# limits closer than this share of the largest norm cannot be told apart in floats
_APART = 2.0**-30
# and an orbit of floats has come to rest if it moves by less than this share
_AT_REST = 2.0**-40


def _displaced(i: Instance) -> Any:
    d = i.dynamics
    moved = i.xp.norm(d.update(d.in_ball(i.ball, i.other)) - i.patterns[0])
    return (d.displacement(i.ball) - moved) / d.length()


def _contracted(i: Instance) -> Any:
    d = i.dynamics
    x, y = d.in_ball(i.ball, i.query), d.in_ball(i.ball, i.other)
    return (d.lipschitz(i.ball) * i.xp.norm(x - y) - i.xp.norm(d.update(x) - d.update(y))) / d.length()


def passes(i: Instance) -> list[Any]:
    d = i.dynamics
    return [
        i.ball / d.length(),
        (d.radius - i.ball) / d.length(),
        (i.ball - d.displacement(i.ball)) / d.length(),
        1 - d.lipschitz(i.ball),
    ]


def _disjoint(i: Instance) -> Any:
    d = i.dynamics
    nearest = i.xp.min(i.xp.norm(i.patterns[1:] - i.patterns[0]))
    return (nearest - 2 * i.ball) / d.length()


def _stays(i: Instance) -> Any:
    d = i.dynamics
    state = d.orbit(d.in_ball(i.ball, i.other), _STEPS)[-1]
    return (d.displacement(i.ball) - i.xp.norm(state - i.patterns[0])) / d.length()


class Pair:
    """The limits of the first two patterns, after all patterns are scaled to the largest norm among them."""

    def __init__(self, i: Instance) -> None:
        xp = i.xp
        self.radius = i.dynamics.radius
        unit = i.patterns / xp.norm(i.patterns)[:, None]
        self.dynamics = Dynamics(self.radius * unit, i.beta, i.noop, xp)
        first, second = self.dynamics.patterns[0], self.dynamics.patterns[1]
        self.limits = self.dynamics.limit(first), self.dynamics.limit(second)
        self.errors = xp.norm(self.limits[0] - first), xp.norm(self.limits[1] - second)
        self.distance = xp.norm(first - second)
        self.apart = xp.norm(self.limits[0] - self.limits[1])


# Hypotheses and conclusion of one instance share the limits, which are the costly part.
pair_of = functools.lru_cache(maxsize=1)(Pair)


def both_stored(i: Instance) -> list[Any]:
    pair = pair_of(i)
    m = pair.radius
    at_rest = [(_AT_REST * m - i.xp.norm(pair.dynamics.update(x) - x)) / m for x in pair.limits]
    room = (pair.distance - pair.errors[0] - pair.errors[1]) / m
    return [*at_rest, (pair.apart - _APART * m) / m, room]


def _mean_slope(i: Instance) -> Any:
    pair = pair_of(i)
    # both sides times exp(-β m ℓ), which a long distance does not make infinite
    shrunk = i.xp.exp(-i.beta * pair.radius * pair.apart)
    return ((pair.errors[0] + pair.errors[1]) * (1 - shrunk) - pair.apart * shrunk) / pair.apart


def _separated(i: Instance) -> Any:
    pair = pair_of(i)
    return 2 * i.beta * pair.radius * pair.distance / i.xp.log(i.xp.number(3.0)) - 1


def stays_at_larger_beta(i: Instance) -> list[Any]:
    """Return the slacks of ``ε(R) ≤ R ≤ m``, and of ``‖ξ‖² ≥ mR`` where there is a no-op slot."""
    d, square = i.dynamics, i.dynamics.radius * i.dynamics.radius
    first = i.patterns[0]
    room = i.xp.if_positive(i.noop, first @ first - d.radius * i.ball, square)
    return [*passes(i)[:3], room / d.square()]


def at_larger_beta(i: Instance) -> Dynamics:
    """Return the model at any larger β, to which the query serves as ``β(1 + ‖x‖²/m²)``."""
    d = i.dynamics
    return Dynamics(i.patterns, i.beta * (1 + i.query @ i.query / (d.radius * d.radius)), i.noop, i.xp)


def error_shrinks_with_beta(i: Instance) -> Any:
    """Return how much smaller ε(R) is at a larger β."""
    return (i.dynamics.displacement(i.ball) - at_larger_beta(i).displacement(i.ball)) / i.dynamics.length()


def without_the_last(i: Instance) -> Dynamics:
    """Return the memory without its last pattern."""
    return Dynamics(i.patterns[:-1], i.beta, i.noop, i.xp)


def error_shrinks_with_fewer(i: Instance, share: float = 1.0) -> Any:
    """Return how much smaller ε(R) is without the last pattern."""
    return (share * i.dynamics.displacement(i.ball) - without_the_last(i).displacement(i.ball)) / i.dynamics.length()


def _rate_shrinks_with_fewer(i: Instance) -> Any:
    return i.dynamics.lipschitz(i.ball) - without_the_last(i).lipschitz(i.ball)


_BALL = ("patterns", "beta", "noop", "other", "ball")
_TWO_IN_BALL = ("patterns", "beta", "noop", "query", "other", "ball")
SCALED = "each pattern is first scaled to the largest norm among them"
_EQUAL_NORMS = ("patterns", "beta", "noop")

STATEMENTS = (
    Statement(
        "T12",
        "Well-separated patterns are stored",
        "Let ε(R) = 2m(M − 1)e^{−β(Δ − 2mR)} + m n e^{−β(‖ξ‖² − mR)} and L(R) = βm²(4(M − 1)e^{−β(Δ − 2mR)} + "
        "n e^{−β(‖ξ‖² − mR)}). If R ≤ m, ε(R) ≤ R and L(R) < 1, then T maps the ball of radius R around ξ into itself "
        "and contracts there; its fixed point, the limit of all of the ball, lies within ε(R) of ξ, and the balls of "
        "patterns that pass are disjoint.",
        "in the manner of Ramsauer et al. 2021, arXiv:2008.02217, Theorem 3, with a no-op slot",
        "proved here",
        Kind.FIXED_POINT,
        (
            Implication("image of the ball", _displaced, uses=_BALL),
            Implication("contraction", _contracted, uses=_TWO_IN_BALL),
            Implication("orbits stay", _stays, passes, uses=_BALL),
            Implication("disjoint", _disjoint, passes, uses=("patterns", "beta", "noop", "ball"), min_patterns=2),
        ),
    ),
    Statement(
        "C8",
        "Separation that storage forces",
        "Two stored patterns of equal norm m, in any memory of that norm and for any n, are at least ln 3/(2βm) apart. "
        "With their limits ℓ apart and at distances ρ_1, ρ_2 from them, 1 ≤ (ρ_1 + ρ_2)(e^{βmℓ} − 1)/ℓ.",
        "derived for this project (docs/bounds-proofs.md)",
        "proved here",
        Kind.FIXED_POINT,
        (
            Implication(
                "mean slope between the limits",
                _mean_slope,
                both_stored,
                uses=_EQUAL_NORMS,
                min_patterns=2,
                given=SCALED,
            ),
            Implication("separation", _separated, both_stored, uses=_EQUAL_NORMS, min_patterns=2, given=SCALED),
        ),
    ),
    Statement(
        "T18",
        "A certified ball stays certified at larger β",
        "If ε_β(R) ≤ R ≤ m, and ‖ξ‖² ≥ mR or n = 0, then ε_β′(R) ≤ ε_β(R) for every β′ ≥ β: T still maps the ball into "
        "itself, and a fixed point lies within ε_β(R) of the pattern.",
        "derived for this project (docs/retrieval-proofs.md)",
        "proved here",
        Kind.POINTWISE,
        (
            Implication(
                "smaller error",
                error_shrinks_with_beta,
                stays_at_larger_beta,
                uses=("patterns", "beta", "noop", "query", "ball"),
            ),
        ),
    ),
    Statement(
        "T19",
        "A certificate only gains by leaving a pattern out",
        "Without one of the other patterns, ε(R) and L(R) are no larger; what T12 certifies with it, it certifies "
        "without.",
        "derived for this project (docs/retrieval-proofs.md)",
        "proved here",
        Kind.POINTWISE,
        (
            Implication(
                "error", error_shrinks_with_fewer, passes, uses=("patterns", "beta", "noop", "ball"), min_patterns=2
            ),
            Implication(
                "rate", _rate_shrinks_with_fewer, passes, uses=("patterns", "beta", "noop", "ball"), min_patterns=2
            ),
        ),
    ),
)
