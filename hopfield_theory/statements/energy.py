"""Statements T1 to T6: the energy, its descent and convergence."""

from __future__ import annotations

import itertools
from typing import Any

from hopfield_theory.statements.statement import Implication, Instance, Kind, Statement
from hopfield_theory.statements.storage import passes

__all__ = ["STATEMENTS"]

_STEPS = 16
_HU = "Hu et al. 2024, arXiv:2404.03828"
_RAMSAUER = "Ramsauer et al. 2021, arXiv:2008.02217"


def _lower(i: Instance) -> Any:
    d = i.dynamics
    distance = i.xp.norm(i.query) - d.radius
    return (d.energy(i.query) - distance * distance / 2) / d.square(i.query)


def _shrinkage(i: Instance) -> Any:
    """Return ``log((n + M e^{−βm²})/(n + M))``."""
    d = i.dynamics
    left = i.xp.stack([i.xp.log(i.xp.number(d.count)) - d.beta * d.radius * d.radius])
    return i.xp.log_sum_exp(left, d.noop) - i.xp.log(d.noop + d.count)


def _upper(i: Instance) -> Any:
    d, x = i.dynamics, i.query
    return (d.radius * d.radius - _shrinkage(i) / d.beta - d.energy(x)) / d.square(x)


def _inside(i: Instance) -> list[Any]:
    d = i.dynamics
    return [(d.radius - i.xp.norm(i.query)) / d.length(i.query)]


def _twice(i: Instance) -> Any:
    d = i.dynamics
    return (d.radius * d.radius + _shrinkage(i) / d.beta) / d.square()


def _bregman(i: Instance) -> tuple[Any, Any, Any]:
    """Return ``E(y) − E(x) − ⟨x − Tx, y − x⟩``, ``‖y − x‖²`` and the dynamics."""
    d, x = i.dynamics, i.query
    step = i.other - x
    return d.energy(i.other) - d.energy(x) - (x - d.update(x)) @ step, step @ step, d


def _tangent_above(i: Instance) -> Any:
    rise, square, d = _bregman(i)
    return (square / 2 - rise) / d.square(i.query, i.other)


def _tangent_below(i: Instance) -> Any:
    rise, square, d = _bregman(i)
    return (rise - square * (1 - d.beta * d.diameter * d.diameter / 4) / 2) / d.square(i.query, i.other)


def _decrease(i: Instance) -> tuple[Any, Any, Any, Any]:
    d, x = i.dynamics, i.query
    y = d.update(x)
    fall = d.energy(x) - d.energy(y)
    log_ratio = d.log_partition(y) - d.log_partition(x)
    divergence = d.weights(x) @ (d.scores(x) - d.scores(y) + log_ratio) + d.noop_weight(x) * log_ratio
    return fall, (x - y) @ (x - y) / 2, divergence / d.beta, d.square(x)


def _decrease_identity(i: Instance) -> Any:
    fall, half, divergence, scale = _decrease(i)
    return -i.xp.abs(fall - half - divergence) / scale


def decrease(i: Instance) -> Any:
    """Return ``E(x) − E(Tx)``, relative to the scale of energies."""
    fall, _, _, scale = _decrease(i)
    return fall / scale


def _decrease_bound(i: Instance) -> Any:
    fall, half, _, scale = _decrease(i)
    return (fall - half) / scale


def _hull(i: Instance) -> Any:
    d, v = i.dynamics, i.other
    support = i.xp.max(i.patterns @ v)
    support = i.xp.if_positive(d.noop, i.xp.if_positive(support, support, 0 * support), support)
    return (support - d.update(i.query) @ v) / (d.length() * i.xp.norm(v))


def _is_direction(i: Instance) -> list[Any]:
    return [i.xp.norm(i.other)]


def _shrunk(i: Instance) -> Any:
    d, x = i.dynamics, i.query
    return ((1 - d.noop_weight(x)) * d.radius - i.xp.norm(d.update(x))) / d.length()


def _steps(i: Instance, states: list[Any]) -> list[Any]:
    return [i.xp.norm(after - before) for before, after in itertools.pairwise(states)]


def _least(i: Instance, values: list[Any]) -> Any:
    least = values[0]
    for value in values[1:]:
        least = i.xp.if_positive(least - value, value, least)
    return least


def _rate(i: Instance) -> Any:
    d = i.dynamics
    states = d.orbit(i.query, _STEPS)
    fall = d.energy(states[0]) - d.energy(states[-1])
    least = _least(i, _steps(i, states))
    return (2 * fall / _STEPS - least * least) / d.square(i.query)


def residual_budget(i: Instance) -> Any:
    """Return by how much the least of some squared steps stays below ``2E(x_0)`` over their number."""
    d = i.dynamics
    least = _least(i, _steps(i, d.orbit(i.query, _STEPS)))
    return (2 * d.energy(i.query) / _STEPS - least * least) / d.square(i.query)


def _finite_length(i: Instance) -> Any:
    d = i.dynamics
    states = d.orbit(d.in_ball(i.ball, i.other), _STEPS)
    fall = d.energy(states[0]) - d.energy(states[-1])
    path = sum(_steps(i, states))
    return (8 * fall / (1 - d.lipschitz(i.ball)) - path * path) / d.square()


def _no_return(i: Instance) -> Any:
    d = i.dynamics
    states = d.orbit(i.query, _STEPS)
    moved = i.xp.norm(states[0] - d.update(states[0]))
    return (d.energy(states[0]) - d.energy(states[-1]) - moved * moved / 2) / d.square(i.query)


def _energy_difference(i: Instance) -> Any:
    """Return ``ln((1 + n/M)/(1 + n/S))/β``."""
    xp, d, x = i.xp, i.dynamics, i.query
    one, log_noop = xp.number(1.0), xp.log(i.noop)
    by_count = xp.log_sum_exp(xp.stack([log_noop - xp.log(xp.number(d.count))]), one)
    by_mass = xp.log_sum_exp(xp.stack([log_noop - i.dense.log_partition(x)]), one)
    return (by_count - by_mass) / d.beta


def _energies(i: Instance) -> Any:
    d, x = i.dynamics, i.query
    return -i.xp.abs(d.energy(x) - i.dense.energy(x) - _energy_difference(i)) / d.square(x)


def light(i: Instance, share: float = 1.0) -> list[Any]:
    """Return the slack of ``S < share · M``, and of ``n > 0``."""
    d = i.dense
    log_mass, log_count = d.log_partition(i.query), i.xp.log(i.xp.number(share * d.count))
    return [i.noop, (log_count - log_mass) / (1 + i.xp.abs(log_mass))]


def _heavy(i: Instance) -> list[Any]:
    noop, slack = light(i)
    return [noop, -slack]


def below_dense(i: Instance) -> Any:
    """Return ``E_0(x) − E_n(x)``, relative to the scale of energies."""
    d, x = i.dynamics, i.query
    return (i.dense.energy(x) - d.energy(x)) / d.square(x)


def _above_dense(i: Instance) -> Any:
    return -below_dense(i)


_TWO = ("patterns", "beta", "noop", "query", "other")
_BALL = ("patterns", "beta", "noop", "other", "ball")

STATEMENTS = (
    Statement(
        "T1",
        "Energy bounds",
        "E(x) ≥ ½(‖x‖ − m)² ≥ 0 everywhere; on ‖x‖ ≤ m, E(x) ≤ m² − β⁻¹ log((n + M e^{−βm²})/(n + M)) ≤ 2m².",
        f"sharper than the bounds of {_RAMSAUER}",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("lower bound", _lower),
            Implication("upper bound", _upper, _inside),
            Implication("at most 2m²", _twice, uses=("patterns", "beta", "noop")),
        ),
    ),
    Statement(
        "T2",
        "CCCP is unit-step gradient descent",
        "T(x) = x − ∇E(x). Checked between two points: with g = x − T(x), "
        "½(1 − βD²/4)‖y − x‖² ≤ E(y) − E(x) − ⟨g, y − x⟩ ≤ ½‖y − x‖², which forces g = ∇E(x) as y → x.",
        _HU,
        "proved here",
        Kind.POINTWISE,
        (
            Implication("from above", _tangent_above, uses=_TWO),
            Implication("from below", _tangent_below, uses=_TWO),
        ),
    ),
    Statement(
        "T3",
        "Sufficient decrease",
        "E(x) − E(Tx) = ½‖x − Tx‖² + KL(p(x) ‖ p(Tx))/β ≥ ½‖x − Tx‖², the no-op slot counted in KL.",
        f"stronger than the monotone decrease of {_HU}",
        "proved here",
        Kind.POINTWISE,
        (Implication("identity", _decrease_identity), Implication("bound", _decrease_bound)),
    ),
    Statement(
        "T4",
        "Invariance",
        "T(x) lies in the convex hull of the patterns, with the origin if n > 0, and ‖T(x)‖ ≤ (1 − p₀) m.",
        f"{_RAMSAUER}, for n = 0",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("hull, seen from any direction", _hull, _is_direction, uses=_TWO),
            Implication("norm", _shrunk),
        ),
    ),
    Statement(
        "T5",
        "Rate",
        "min over t < τ of ‖x_{t+1} − x_t‖² ≤ 2(E(x_0) − E(x_τ))/τ ≤ 2E(x_0)/τ.",
        "from T3 and T1",
        "proved here",
        Kind.POINTWISE,
        (Implication("by the fall", _rate), Implication("by the energy", residual_budget)),
    ),
    Statement(
        "T6",
        "Convergence",
        "From every query the iteration converges to one stationary point along a path of finite length (E is real "
        "analytic; a saddle is possible). Checked by finite consequences: no state recurs, and where T12 gives "
        "‖J‖ ≤ L < 1 the path is at most √(8(E(x_0) − E(x_τ))/(1 − L)) long.",
        f"stronger than the limit points of {_HU}; Absil, Mahony and Andrews 2005",
        "proved here",
        Kind.ASYMPTOTIC,
        (
            Implication("no state recurs", _no_return),
            Implication("length", _finite_length, passes, uses=_BALL),
        ),
    ),
    Statement(
        "T17",
        "Energy with and without the slot",
        "E_n(x) − E_0(x) = β⁻¹ ln((1 + n/M)/(1 + n/S)) with S = Σ_μ e^{z_μ}: for n > 0 the slot lowers the "
        "energy exactly "
        "where S < M.",
        "derived for this project",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("identity", _energies),
            Implication("lower where S < M", below_dense, light),
            Implication("higher where S > M", _above_dense, _heavy),
        ),
    ),
)
