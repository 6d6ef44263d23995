"""T12, T18 to T21 and C8: conditions for storage and rejection, changes that preserve them, and a consequence."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from hopfield_theory.statements.dynamics import Dynamics
from hopfield_theory.statements.statement import (
    IN_BALL,
    MOVED_IN_BALL,
    NO_STATE,
    NO_STATE_IN_BALL,
    TWO_IN_BALL,
    Implication,
    Instance,
    Kind,
    Statement,
)

__all__ = ["STATEMENTS"]

_STEPS = 8
# of fixed points closer than this share of 1/√β, the scale at which pairs split, floats cannot tell two from one
_APART = 2.0**-4
# and an orbit of floats has come to rest if it moves by less than this share
_AT_REST = 2.0**-40


def _displaced(i: Instance, **variant: float) -> Any:
    d = i.dynamics
    moved = i.xp.norm(d.update(d.in_ball(i.ball, i.other)) - i.patterns[0])
    return (d.displacement(i.ball, **variant) - moved) / d.length()


def _contracted(i: Instance, **variant: float) -> Any:
    d = i.dynamics
    x, y = d.in_ball(i.ball, i.query), d.in_ball(i.ball, i.other)
    return (d.lipschitz(i.ball, **variant) * i.xp.norm(x - y) - i.xp.norm(d.update(x) - d.update(y))) / d.length()


def _but(slacks: list[Any], without: int | None) -> list[Any]:
    return [slack for index, slack in enumerate(slacks) if index != without]


def passes(i: Instance, without: int | None = None) -> list[Any]:
    """Return the slacks of ``R > 0``, ``R ≤ m``, ``ε(R) ≤ R`` and ``L(R) < 1``, or all but one of them."""
    d = i.dynamics
    slacks = [
        i.ball / d.length(),
        (d.radius - i.ball) / d.length(),
        (i.ball - d.displacement(i.ball)) / d.length(),
        1 - d.lipschitz(i.ball),
    ]
    return _but(slacks, without)


def _disjoint(i: Instance) -> Any:
    d = i.dynamics
    nearest = i.xp.min(i.xp.norm(i.patterns[1:] - i.patterns[0]))
    return (nearest - 2 * i.ball) / d.length()


def _stays(i: Instance) -> Any:
    d = i.dynamics
    state = d.orbit(d.in_ball(i.ball, i.other), _STEPS)[-1]
    return (d.displacement(i.ball) - i.xp.norm(state - i.patterns[0])) / d.length()


class _Pair:
    """The fixed points of the first two patterns, after all patterns are scaled to the largest norm among them."""

    def __init__(self, i: Instance) -> None:
        xp = i.xp
        self.radius = i.dynamics.radius
        unit = i.patterns / xp.norm(i.patterns)[:, None]
        self.dynamics = Dynamics(self.radius * unit, i.beta, i.noop, xp)
        first, second = self.dynamics.patterns[0], self.dynamics.patterns[1]
        self.fixed_points = self.dynamics.fixed_point(first), self.dynamics.fixed_point(second)
        self.errors = xp.norm(self.fixed_points[0] - first), xp.norm(self.fixed_points[1] - second)
        self.distance = xp.norm(first - second)
        self.apart = xp.norm(self.fixed_points[0] - self.fixed_points[1])


# Hypotheses and conclusion of one instance share the fixed points, which are expensive.
_pair_of = lru_cache(maxsize=1)(_Pair)


def _two_limits(i: Instance) -> list[Any]:
    pair = _pair_of(i)
    m = pair.radius
    at_rest = [(_AT_REST * m - i.xp.norm(pair.dynamics.update(x) - x)) / m for x in pair.fixed_points]
    return [*at_rest, i.xp.sqrt(i.beta) * pair.apart - _APART]


def _both_stored(i: Instance) -> list[Any]:
    pair = _pair_of(i)
    return [*_two_limits(i), (pair.distance - pair.errors[0] - pair.errors[1]) / pair.radius]


def _spread(pair: _Pair, at: float) -> Any:
    """Return ``m² - ‖x‖²`` at the point of the segment between the limits that is this share from the first."""
    x = (1 - at) * pair.fixed_points[0] + at * pair.fixed_points[1]
    return pair.radius * pair.radius - x @ x


def _inside(i: Instance, at: float = 0.5) -> Any:
    pair = _pair_of(i)
    return (_spread(pair, at) - 1 / i.beta) / (pair.radius * pair.radius)


def _near_enough(i: Instance, rate: float = 1.0) -> Any:
    pair = _pair_of(i)
    square = _spread(pair, 0.5)
    shrunk = i.xp.exp(-rate * i.beta * i.xp.sqrt(square) * pair.apart)
    tanh = (1 - shrunk) / (1 + shrunk)
    # the square, as rounding of m² - ‖c‖² is large for its root
    return (square * tanh * tanh - pair.apart * pair.apart / 4) / (pair.radius * pair.radius)


def _separated(i: Instance, rate: float = 1.0) -> Any:
    pair = _pair_of(i)
    square = (pair.distance / pair.radius) * (pair.distance / pair.radius)
    kappa = rate * i.beta * pair.radius * pair.radius
    # an angle θ has sin²θ = D²/m² (1 - D²/(4 m²)), and is obtuse where D² > 2m²
    return i.xp.max(i.xp.stack([kappa * kappa * square * (1 - square / 4) - 1, square - 2]))


def _split(i: Instance) -> Any:
    pair = _pair_of(i)
    return i.beta * pair.distance * pair.distance - 4


def _stays_at_larger_beta(i: Instance, without: int | None = None) -> list[Any]:
    """Return the slacks of ``0 < R ≤ m``, ``ε(R) ≤ R`` and, with a slot, ``‖ξ‖² ≥ mR``; or all but one of them."""
    d, square = i.dynamics, i.dynamics.radius * i.dynamics.radius
    first = i.patterns[0]
    room = i.xp.if_positive(i.noop, first @ first - d.radius * i.ball, square)
    return _but([*passes(i)[:3], room / d.square()], without)


def _at_larger_beta(i: Instance) -> Dynamics:
    """Return the model at a larger β, ``β(1 + ‖x‖²/m²)`` with the query x."""
    d = i.dynamics
    return Dynamics(i.patterns, i.beta * (1 + i.query @ i.query / (d.radius * d.radius)), i.noop, i.xp)


def _without_the_slot(i: Instance) -> Dynamics:
    return i.dense


def _without_the_last(i: Instance) -> Dynamics:
    return Dynamics(i.patterns[:-1], i.beta, i.noop, i.xp)


def _error_shrinks(i: Instance, to: Callable[[Instance], Dynamics], share: float = 1.0) -> Any:
    """Return the decrease of ε(R) in another model."""
    return (share * i.dynamics.displacement(i.ball) - to(i).displacement(i.ball)) / i.dynamics.length()


def _rate_shrinks(i: Instance, to: Callable[[Instance], Dynamics]) -> Any:
    """Return the decrease of L(R) in another model."""
    return i.dynamics.lipschitz(i.ball) - to(i).lipschitz(i.ball)


_gains_with_beta = partial(_error_shrinks, to=_at_larger_beta)
_gains_with_fewer = partial(_error_shrinks, to=_without_the_last)


def _update_gains_with_fewer(i: Instance) -> Any:
    x, target = i.query, i.patterns[0]
    with_it, without = (i.xp.norm(d.update(x) - target) for d in (i.dynamics, _without_the_last(i)))
    return (with_it - without) / i.dynamics.length()


def _near_zero(i: Instance, ball: Any, direction: Any) -> Any:
    return i.dynamics.in_ball(ball, direction) - i.patterns[0]


def _image_near_zero(i: Instance, **variant: float) -> Any:
    d = i.dynamics
    moved = i.xp.norm(d.update(_near_zero(i, i.ball, i.other)))
    return (d.from_zero(i.ball, **variant) - moved) / d.length()


def _contracted_near_zero(i: Instance, **variant: float) -> Any:
    d = i.dynamics
    x, y = _near_zero(i, i.ball, i.query), _near_zero(i, i.ball, i.other)
    moved = i.xp.norm(d.update(x) - d.update(y))
    return (d.lipschitz_at_zero(i.ball, **variant) * i.xp.norm(x - y) - moved) / d.length()


def _attracts(i: Instance, without: int | None = None) -> list[Any]:
    """Return the slacks of ``R > 0``, ``E(R) ≤ R`` and ``L(R) < 1``, or all but one of them."""
    d = i.dynamics
    slacks = [i.ball / d.length(), (i.ball - d.from_zero(i.ball)) / d.length(), 1 - d.lipschitz_at_zero(i.ball)]
    return _but(slacks, without)


def _stays_near_zero(i: Instance) -> Any:
    d = i.dynamics
    state = d.orbit(_near_zero(i, i.ball, i.other), _STEPS)[-1]
    return (d.from_zero(i.ball) - i.xp.norm(state)) / d.length()


def _enough_mass(i: Instance, top: float = 1.0) -> list[Any]:
    """Return the slacks of ``m > 0`` and ``n + M > e β G + 2 β m ‖Σξ‖``."""
    d = i.dynamics
    mass = i.noop + d.count
    e = i.xp.exp(i.xp.number(1.0))
    needed = i.beta * (top * e * d.top + 2 * d.radius * d.start * mass)
    return [d.radius / d.length(), 1 - needed / mass]


def _ball_at_zero(i: Instance) -> Any:
    """Return ``R_0 = 1/(β w)``."""
    return 1 / (i.beta * i.dynamics.noop_reach)


def _mass_suffices(i: Instance) -> Any:
    d, ball = i.dynamics, _ball_at_zero(i)
    return i.xp.min(i.xp.stack([1 - d.from_zero(ball) / ball, 1 - d.lipschitz_at_zero(ball)]))


def _both(i: Instance, without: int | None = None) -> list[Any]:
    """Return the slacks of T12 in the ball, of enough n, and of ``‖ξ‖ > R + R_0``; or all but one of them."""
    d = i.dynamics
    room = (i.xp.norm(i.patterns[0]) - i.ball - _ball_at_zero(i)) / d.length()
    return _but([*passes(i), *_enough_mass(i), room], without)


def _apart(i: Instance, zero: float = 1.0) -> Any:
    d, ball = i.dynamics, _ball_at_zero(i)
    stored = d.orbit(d.in_ball(i.ball, i.other), _STEPS)[-1]
    rejected = d.orbit(_near_zero(i, ball, i.query), _STEPS)[-1]
    least = i.xp.norm(i.patterns[0]) - d.displacement(i.ball) - zero * d.from_zero(ball)
    return (i.xp.norm(stored - rejected) - least) / d.length()


SCALED = "each pattern is first scaled to the largest norm among them"

STATEMENTS = (
    Statement(
        name="T12",
        title="Well-separated patterns are stored",
        claim=(
            "Let ε(R) = 2m(M − 1)e^{−β(Δ − 2mR)} + m n e^{−β(‖ξ‖² − mR)} and L(R) = βm²(4(M − 1)e^{−β(Δ − 2mR)} + n "
            "e^{−β(‖ξ‖² − mR)}). If R ≤ m, ε(R) ≤ R and L(R) < 1, then T maps the ball of radius R around ξ into "
            "itself and contracts there; its fixed point, the limit of all of the ball, lies within ε(R) of ξ, and "
            "the balls of patterns that pass are disjoint."
        ),
        formula=(
            r"\varepsilon(R)\le R\le m,\ L(R)<1 \;\Longrightarrow\; \exists!\,x^*=T(x^*)\in B(\xi,R),\ "
            r"\|x^*-\xi\|\le\varepsilon(R)"
        ),
        source="in the manner of Ramsauer et al. 2021, arXiv:2008.02217, Theorem 3, with a no-op slot",
        proof="proved here",
        why=(
            "On the ball, ⟨ξ − ξ_ν, x⟩ ≥ Δ − 2mR and ⟨ξ, x⟩ ≥ ‖ξ‖² − mR. T9 maps the ball into itself, T7 contracts "
            "it, Banach's theorem gives the fixed point. R ≤ m and ε(R) ≤ R force Δ > 2mR, hence disjoint balls."
        ),
        kind=Kind.FIXED_POINT,
        parts=(
            Implication("image of the ball", _displaced, uses=MOVED_IN_BALL),
            Implication("contraction", _contracted, uses=TWO_IN_BALL),
            Implication("orbits stay", _stays, passes, uses=MOVED_IN_BALL),
            Implication("disjoint", _disjoint, passes, uses=NO_STATE_IN_BALL, min_patterns=2),
        ),
        near_misses=(
            Implication("2 a twentieth smaller", partial(_displaced, others=1.9), uses=MOVED_IN_BALL),
            Implication("no-op term left out", partial(_displaced, slot=0.0), uses=MOVED_IN_BALL),
            Implication("m R for 2 m R", partial(_displaced, reach=1.0), uses=MOVED_IN_BALL),
            Implication("4 a twentieth smaller", partial(_contracted, others=3.8), uses=TWO_IN_BALL),
            Implication(
                "balls disjoint without ε(R) ≤ R",
                _disjoint,
                partial(passes, without=2),
                uses=NO_STATE_IN_BALL,
                min_patterns=2,
            ),
        ),
        experiment="basins",
        figure="basins",
        closed_form="certificates.certify.certify",
    ),
    Statement(
        name="C8",
        title="Separation that storage forces",
        claim=(
            "Two stored patterns of equal norm m, in any memory of that norm and for any n, are more than 1/(βm) "
            "apart: the sine of their angle is above 1/(βm²), or the angle at least a right one. Two fixed points 2b "
            "apart have a midpoint c with b ≤ s·tanh(βsb), s² = m² − ‖c‖², and so ‖c‖² < m² − 1/β."
        ),
        formula=(
            r"\|\xi_\mu-\xi_\nu\|>\frac{1}{\beta m},\quad "
            r"x=T(x)\ne y=T(y)\;\Longrightarrow\;\|x+y\|^2<4m^2-\frac4\beta"
        ),
        source="derived for this project (docs/bounds-proofs.md)",
        proof="proved here",
        why=(
            "In the mixture of the weights at x and at y their difference is a hyperbolic tangent of the score along "
            "x − y, so that ‖x − y‖ is twice a covariance, at most β‖x − y‖ times the variance, at most m² − ‖c‖². "
            "Balls that do not overlap keep c near the middle of the patterns. At large βm² some memories come as near "
            "to 1/(βm) as wanted."
        ),
        proved_in="docs/bounds-proofs.md#c8-the-separation-that-storage-forces",
        kind=Kind.FIXED_POINT,
        parts=(
            Implication("midpoint of the limits", _inside, _two_limits, uses=NO_STATE, min_patterns=2, given=SCALED),
            Implication(
                "distance of the limits", _near_enough, _two_limits, uses=NO_STATE, min_patterns=2, given=SCALED
            ),
            Implication("separation", _separated, _both_stored, uses=NO_STATE, min_patterns=2, given=SCALED),
        ),
        near_misses=(
            Implication("a limit for the midpoint", partial(_inside, at=0.0), _two_limits, min_patterns=2),
            Implication("tanh a twentieth slower", partial(_near_enough, rate=0.95), _two_limits, min_patterns=2),
            Implication("sine at least 2/(βm²)", partial(_separated, rate=0.5), _both_stored, min_patterns=2),
            Implication("β D² ≥ 4", _split, _both_stored, min_patterns=2),
        ),
        closed_form="bounds.union.packing",
    ),
    Statement(
        name="T18",
        title="A certified ball stays certified at larger β",
        claim=(
            "If ε_β(R) ≤ R ≤ m, and ‖ξ‖² ≥ mR or n = 0, then ε_β′(R) ≤ ε_β(R) for every β′ ≥ β: T still maps the "
            "ball into itself, and a fixed point lies within ε_β(R) of the pattern."
        ),
        formula=(
            r"\varepsilon_\beta(R)\le R\le m,\ \|\xi\|^2\ge mR \;\Longrightarrow\; "
            r"\varepsilon_{\beta'}(R)\le\varepsilon_\beta(R)\quad(\beta'\ge\beta)"
        ),
        source="derived for this project (docs/retrieval-proofs.md)",
        proof="proved here",
        why=(
            "ε(R) ≤ R ≤ m forces Δ > 2mR, so that the first term of ε(R) falls as β grows; the second does not grow "
            "if ‖ξ‖² ≥ mR or n = 0. T9 and Brouwer's theorem give the fixed point."
        ),
        proved_in="docs/retrieval-proofs.md#t18-a-certified-ball-stays-certified-at-larger-β",
        parts=(
            Implication(
                "smaller error",
                _gains_with_beta,
                _stays_at_larger_beta,
                uses=IN_BALL,
            ),
        ),
        near_misses=(
            Implication("without ε(R) ≤ R", _gains_with_beta, partial(_stays_at_larger_beta, without=2), uses=IN_BALL),
            Implication("without ‖ξ‖² ≥ mR", _gains_with_beta, partial(_stays_at_larger_beta, without=3), uses=IN_BALL),
            Implication(
                "L(R) as well", partial(_rate_shrinks, to=_at_larger_beta), _stays_at_larger_beta, uses=IN_BALL
            ),
        ),
    ),
    Statement(
        name="T19",
        title="A certificate only gains by leaving a pattern or the slot out",
        claim=(
            "Without one of the other patterns, or with n = 0, ε(R) and L(R) are no larger; what T12 certifies with "
            "it, it certifies without."
        ),
        formula=(
            r"\varepsilon_{M-1,n}(R)\le\varepsilon_{M,n}(R),\quad L_{M-1,n}(R)\le L_{M,n}(R),\quad "
            r"\varepsilon_{M,0}(R)\le\varepsilon_{M,n}(R),\quad L_{M,0}(R)\le L_{M,n}(R)"
        ),
        source="derived for this project (docs/retrieval-proofs.md)",
        proof="proved here",
        why=(
            "Without the pattern, M − 1 and m do not grow and Δ does not fall; each factor of ε(R) and L(R) is "
            "monotone in these, and the slot only adds a term to each."
        ),
        proved_in="docs/retrieval-proofs.md#t19-leaving-a-pattern-or-the-slot-out",
        parts=(
            Implication("error", _gains_with_fewer, passes, uses=NO_STATE_IN_BALL, min_patterns=2),
            Implication(
                "rate", partial(_rate_shrinks, to=_without_the_last), passes, uses=NO_STATE_IN_BALL, min_patterns=2
            ),
            Implication(
                "error without the slot", partial(_error_shrinks, to=_without_the_slot), passes, uses=NO_STATE_IN_BALL
            ),
            Implication(
                "rate without the slot", partial(_rate_shrinks, to=_without_the_slot), passes, uses=NO_STATE_IN_BALL
            ),
        ),
        near_misses=(
            Implication(
                "a twentieth smaller",
                partial(_gains_with_fewer, share=0.95),
                passes,
                uses=NO_STATE_IN_BALL,
                min_patterns=2,
            ),
            Implication(
                "larger without the last",
                lambda i: -_gains_with_fewer(i),
                passes,
                uses=NO_STATE_IN_BALL,
                min_patterns=2,
            ),
            Implication(
                "error without the slot, a twentieth smaller",
                partial(_error_shrinks, to=_without_the_slot, share=0.95),
                passes,
                uses=NO_STATE_IN_BALL,
            ),
            Implication("one update is closer without the last", _update_gains_with_fewer, min_patterns=2),
        ),
    ),
    Statement(
        name="T20",
        title="A state near 0 for queries that belong to no pattern",
        claim=(
            "Let s = ‖Σξ_ν‖/(n + M), w = m + s, G = λ_max(ΞᵀΞ), E(R) = s + G(e^{βwR} − 1)/(w(n + M)) and L(R) = "
            "βGe^{βwR}/(n + M). On the ball of radius R around 0, ‖T(x)‖ ≤ E(R) and T has the Lipschitz constant "
            "L(R). If E(R) ≤ R and L(R) < 1, all of the ball converges to one fixed point, the no-op state, at most "
            "E(R) from 0. Both hold at R = 1/(βw) if n + M > eβG + 2βm‖Σξ_ν‖."
        ),
        formula=(r"E(R)\le R,\ L(R)<1 \;\Longrightarrow\; \exists!\,x_0=T(x_0)\in B(0,R),\ \|x_0\|\le E(R)"),
        source="derived for this project (docs/retrieval-proofs.md)",
        proof="proved here",
        why=(
            "By Jensen's inequality the weight of ν at x is at most e^{β⟨ξ_ν − T(0), x⟩}/(n + M), and the Jacobian at "
            "most β Σ p_ν ξ_ν ξ_νᵀ; E(R) is its integral from 0. Banach's theorem gives the fixed point."
        ),
        proved_in="docs/retrieval-proofs.md#t20-a-state-near-0",
        kind=Kind.FIXED_POINT,
        parts=(
            Implication("image of the ball", _image_near_zero, uses=MOVED_IN_BALL),
            Implication("contraction", _contracted_near_zero, uses=TWO_IN_BALL),
            Implication("orbits stay", _stays_near_zero, _attracts, uses=MOVED_IN_BALL),
            Implication("n large enough", _mass_suffices, _enough_mass, uses=NO_STATE),
        ),
        near_misses=(
            Implication("s left out", partial(_image_near_zero, start=0.0), uses=MOVED_IN_BALL),
            Implication("G a twentieth smaller", partial(_image_near_zero, top=0.95), uses=MOVED_IN_BALL),
            Implication("L a twentieth smaller", partial(_contracted_near_zero, top=0.95), uses=TWO_IN_BALL),
            Implication("half the exponent", partial(_contracted_near_zero, rate=0.5), uses=TWO_IN_BALL),
            Implication(
                "orbits stay without E(R) ≤ R", _stays_near_zero, partial(_attracts, without=1), uses=MOVED_IN_BALL
            ),
            Implication("a third of e β G", _mass_suffices, partial(_enough_mass, top=0.33), uses=NO_STATE),
        ),
        closed_form="certificates.rejection.rejection",
    ),
    Statement(
        name="T21",
        title="Storage and rejection at one n",
        claim=(
            "If ξ passes T12 with the radius R, n + M > eβG + 2βm‖Σξ_ν‖, and ‖ξ‖ > R + R_0 with R_0 = 1/(βw) of T20, "
            "then the balls of radius R around ξ and R_0 around 0 are disjoint and each converges to a fixed point of "
            "its own: ξ is stored and queries near 0 are rejected. The two are at least ‖ξ‖ − ε(R) − E(R_0) > 0 apart."
        ),
        formula=r"\|\xi\|>R+R_0 \;\Longrightarrow\; \|x^*-x_0\|\ge\|\xi\|-\varepsilon(R)-E(R_0)>0",
        source="derived for this project (docs/retrieval-proofs.md)",
        proof="proved here",
        why="T12 in the first ball, T20 in the second, and the triangle inequality.",
        proved_in="docs/retrieval-proofs.md#t21-storage-and-rejection-at-one-n",
        kind=Kind.FIXED_POINT,
        parts=(Implication("orbits stay apart", _apart, _both, uses=TWO_IN_BALL),),
        near_misses=(
            Implication("without E(R_0)", partial(_apart, zero=0.0), _both, uses=TWO_IN_BALL),
            Implication("without ε(R) ≤ R", _apart, partial(_both, without=2), uses=TWO_IN_BALL),
            Implication("without n large enough", _apart, partial(_both, without=5), uses=TWO_IN_BALL),
        ),
        closed_form="certificates.rejection.least_noop",
    ),
)
