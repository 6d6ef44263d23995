"""T1 to T6 and T17: the energy, its descent and convergence, and the effect of the no-op slot on it."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

from hopfield_theory.statements import derivations
from hopfield_theory.statements.statement import (
    MOVED_IN_BALL,
    NO_STATE,
    TWO,
    Implication,
    Instance,
    Kind,
    Statement,
    has_direction,
)
from hopfield_theory.statements.storage import passes

__all__ = ["STATEMENTS"]

_STEPS = 16
_HU = "Hu et al. 2024, arXiv:2404.03828"
_RAMSAUER = "Ramsauer et al. 2021, arXiv:2008.02217"


def _lower(i: Instance, half: float = 0.5) -> Any:
    d = i.dynamics
    distance = i.xp.norm(i.query) - d.radius
    return (d.energy(i.query) - half * distance * distance) / d.square(i.query)


def _shrinkage(i: Instance) -> Any:
    """Return ``log((n + M e^{−βm²})/(n + M))``."""
    d = i.dynamics
    left = i.xp.stack([i.xp.log(i.xp.number(d.count)) - d.beta * d.radius * d.radius])
    return i.xp.log_sum_exp(left, d.noop) - i.xp.log(d.noop + d.count)


def _upper(i: Instance, share: float = 1.0) -> Any:
    d, x = i.dynamics, i.query
    return (d.radius * d.radius - share * _shrinkage(i) / d.beta - d.energy(x)) / d.square(x)


def _inside(i: Instance) -> list[Any]:
    d = i.dynamics
    return [(d.radius - i.xp.norm(i.query)) / d.length(i.query)]


def _twice(i: Instance, two: float = 2.0) -> Any:
    d = i.dynamics
    return ((two - 1) * d.radius * d.radius + _shrinkage(i) / d.beta) / d.square()


def _bregman(i: Instance, dense: bool = False) -> tuple[Any, Any, Any]:
    """Return ``E(y) − E(x) − ⟨x − Tx, y − x⟩``, ``‖y − x‖²`` and the dynamics."""
    d, x = i.dynamics, i.query
    step, update = i.other - x, (i.dense if dense else d).update(x)
    return d.energy(i.other) - d.energy(x) - (x - update) @ step, step @ step, d


def _tangent_above(i: Instance, half: float = 0.5, dense: bool = False) -> Any:
    rise, square, d = _bregman(i, dense)
    return (half * square - rise) / d.square(i.query, i.other)


def _tangent_below(i: Instance, share: float = 1.0) -> Any:
    rise, square, d = _bregman(i)
    return (rise - square * (1 - share * d.beta * d.diameter * d.diameter / 4) / 2) / d.square(i.query, i.other)


def _decrease_identity(i: Instance, slot: bool = True, reverse: bool = False, scaled: bool = True) -> Any:
    d, x = i.dynamics, i.query
    y = d.update(x)
    a, b = (y, x) if reverse else (x, y)
    log_ratio = d.log_partition(b) - d.log_partition(a)
    divergence = d.weights(a) @ (d.scores(a) - d.scores(b) + log_ratio)
    divergence = divergence + d.noop_weight(a) * log_ratio if slot else divergence
    divergence = divergence / d.beta if scaled else divergence
    return -i.xp.abs(d.energy(x) - d.energy(y) - (x - y) @ (x - y) / 2 - divergence) / d.square(x)


def decrease(i: Instance, half: float = 0.0, dense: bool = False) -> Any:
    """Return ``E(x) − E(Tx) − half · ‖x − Tx‖²``, relative to the scale of energies."""
    d, x = i.dynamics, i.query
    y = (i.dense if dense else d).update(x)
    return (d.energy(x) - d.energy(y) - half * ((x - y) @ (x - y))) / d.square(x)


def _hull(i: Instance, origin: bool = True) -> Any:
    d, v = i.dynamics, i.other
    support = i.xp.max(i.patterns @ v)
    if origin:
        support = i.xp.if_positive(d.noop, i.xp.if_positive(support, support, 0 * support), support)
    return (support - d.update(i.query) @ v) / (d.length() * i.xp.norm(v))


def _shrunk(i: Instance, share: float = 1.0, squared: bool = False, first: bool = False) -> Any:
    d, x = i.dynamics, i.query
    kept = 1 - d.noop_weight(x)
    kept = kept * kept if squared else kept
    radius = i.xp.norm(i.patterns[0]) if first else d.radius
    return (share * kept * radius - i.xp.norm(d.update(x))) / d.length()


def _steps(i: Instance, states: list[Any]) -> list[Any]:
    return [i.xp.norm(after - before) for before, after in itertools.pairwise(states)]


def rate(i: Instance, factor: float = 2.0, steps: int = _STEPS, *, fall: bool = True, largest: bool = False) -> Any:
    """Return ``2(E(x_0) − E(x_τ))/τ``, or ``2E(x_0)/τ``, minus the least squared step."""
    d = i.dynamics
    states = d.orbit(i.query, steps)
    lengths = i.xp.stack(_steps(i, states))
    step = i.xp.max(lengths) if largest else i.xp.min(lengths)
    lost = d.energy(states[0]) - d.energy(states[-1]) if fall else d.energy(states[0])
    return (factor * lost / steps - step * step) / d.square(i.query)


def _finite_length(i: Instance, factor: float = 8.0, sign: float = 1.0) -> Any:
    d = i.dynamics
    states = d.orbit(d.in_ball(i.ball, i.other), _STEPS)
    fall = d.energy(states[0]) - d.energy(states[-1])
    path = sum(_steps(i, states))
    return (factor * fall / (1 - sign * d.lipschitz(i.ball)) - path * path) / d.square()


def _no_return(i: Instance, half: float = 0.5) -> Any:
    d = i.dynamics
    states = d.orbit(i.query, _STEPS)
    moved = i.xp.norm(states[0] - states[1])
    return (d.energy(states[0]) - d.energy(states[-1]) - half * moved * moved) / d.square(i.query)


def _energies(i: Instance, fewer: int = 0, share: float = 1.0) -> Any:
    xp, d, x = i.xp, i.dynamics, i.query
    one, log_noop = xp.number(1.0), xp.log(i.noop)
    by_count = xp.log_sum_exp(xp.stack([log_noop - xp.log(xp.number(d.count - fewer))]), one)
    by_mass = xp.log_sum_exp(xp.stack([log_noop - share * i.dense.log_partition(x)]), one)
    return -xp.abs(d.energy(x) - i.dense.energy(x) - (by_count - by_mass) / d.beta) / d.square(x)


def _light(i: Instance, share: float = 1.0, sign: float = 1.0) -> list[Any]:
    """Return the slacks of ``n > 0`` and of ``S < share · M``; with the other sign, of ``S > share · M``."""
    d = i.dense
    log_mass, log_count = d.log_partition(i.query), i.xp.log(i.xp.number(share * d.count))
    return [i.noop, sign * (log_count - log_mass) / (1 + i.xp.abs(log_mass))]


def below_dense(i: Instance) -> Any:
    """Return ``E_0(x) − E_n(x)``, relative to the scale of energies."""
    d, x = i.dynamics, i.query
    return (i.dense.energy(x) - d.energy(x)) / d.square(x)


STATEMENTS = (
    Statement(
        name="T1",
        title="Energy bounds",
        claim="E(x) ≥ ½(‖x‖ − m)² ≥ 0 everywhere; on ‖x‖ ≤ m, E(x) ≤ m² − β⁻¹ log((n + M e^{−βm²})/(n + M)) ≤ 2m².",
        formula=(
            r"\tfrac12(\|x\|-m)^2 \le E(x);\quad E(x) \le m^2-\frac1\beta\log\frac{n+Me^{-\beta m^2}}{n+M} \le 2m^2 "
            r"\quad(\|x\|\le m)"
        ),
        source=f"sharper than the bounds of {_RAMSAUER}",
        proof="proved here",
        why=(
            "Every score is at most βm‖x‖, so lse_n ≤ m‖x‖ + β⁻¹ log(n e^{−βm‖x‖} + M) and E ≥ ½(‖x‖ − m)². On the "
            "ball every score is at least −βm², and ½‖x‖² ≤ ½m²; M equal patterns at x = −ξ attain the bound."
        ),
        parts=(
            Implication("lower bound", _lower),
            Implication("upper bound", _upper, _inside),
            Implication("at most 2m²", _twice, uses=NO_STATE),
        ),
        near_misses=(
            Implication("½ a twentieth larger", partial(_lower, half=0.525)),
            Implication("a twentieth of the logarithm lost", partial(_upper, share=0.95), _inside),
            Implication("1.9 m² in place of 2 m²", partial(_twice, two=1.9), uses=NO_STATE),
            Implication("outside the ball", _upper),
        ),
        experiment="landscape",
        figure="landscape",
    ),
    Statement(
        name="T2",
        title="CCCP is unit-step gradient descent",
        claim=(
            "T(x) = x − ∇E(x). Checked between two points: with g = x − T(x), ½(1 − βD²/4)‖y − x‖² ≤ E(y) − E(x) − "
            "⟨g, y − x⟩ ≤ ½‖y − x‖², which forces g = ∇E(x) as y → x."
        ),
        formula=r"T(x) = x - \nabla E(x)",
        source=_HU,
        proof="proved here",
        why=(
            "∇lse_n(β, Ξx) = Ξᵀ softmax_n(βΞx) = T(x). The energy is ½‖x‖² minus a convex function whose Hessian J "
            "lies between 0 and βD²/4 (T7), which bounds its remainder between two points from both sides."
        ),
        parts=(
            Implication("from above", _tangent_above, uses=TWO),
            Implication("from below", _tangent_below, uses=TWO),
        ),
        near_misses=(
            Implication("update of the dense model", partial(_tangent_above, dense=True), uses=TWO),
            Implication("½ a twentieth smaller", partial(_tangent_above, half=0.475), uses=TWO),
            Implication("D²/4 a twentieth smaller", partial(_tangent_below, share=0.95), uses=TWO),
        ),
        derivation=derivations.unit_step,
        experiment="landscape",
        figure="landscape",
        closed_form="model.memory.Memory.gradient",
    ),
    Statement(
        name="T3",
        title="Sufficient decrease",
        claim="E(x) − E(Tx) = ½‖x − Tx‖² + KL(p(x) ‖ p(Tx))/β ≥ ½‖x − Tx‖², the no-op slot counted in KL.",
        formula=r"E(x)-E(Tx) = \tfrac12\|x-Tx\|^2+\frac1\beta\mathrm{KL}(p(x)\,\|\,p(Tx)) \ge \tfrac12\|x-Tx\|^2",
        source=f"stronger than the monotone decrease of {_HU}",
        proof="proved here",
        why=(
            "Insert T = x − ∇E into the difference of energies. What the tangent of lse_n at x leaves at T(x) is the"
            " Bregman divergence of lse_n, which is β⁻¹ KL(p(x) ‖ p(Tx)) ≥ 0."
        ),
        parts=(Implication("identity", _decrease_identity), Implication("bound", partial(decrease, half=0.5))),
        near_misses=(
            Implication("no-op slot left out", partial(_decrease_identity, slot=False)),
            Implication("divergence the other way round", partial(_decrease_identity, reverse=True)),
            Implication("divergence not divided by β", partial(_decrease_identity, scaled=False)),
            Implication("½ a twentieth larger", partial(decrease, half=0.525)),
        ),
        derivation=derivations.decrease,
        experiment="convergence",
        held_in=("landscape",),
        figure="convergence_descent",
    ),
    Statement(
        name="T4",
        title="Invariance",
        claim="T(x) lies in the convex hull of the patterns, with the origin if n > 0, and ‖T(x)‖ ≤ (1 − p₀) m.",
        formula=r"T(x)\in\mathrm{conv}\{0,\xi_1,\dots,\xi_M\},\quad \|T(x)\|\le(1-p_0)\,m",
        source=f"{_RAMSAUER}, for n = 0",
        proof="proved here",
        why="T(x) is an average of the patterns and, with weight p₀, of the origin. The norm is convex.",
        parts=(
            Implication("hull, seen from any direction", _hull, has_direction, uses=TWO),
            Implication("norm", _shrunk),
        ),
        near_misses=(
            Implication("hull without the origin", partial(_hull, origin=False), has_direction, uses=TWO),
            Implication("m a twentieth smaller", partial(_shrunk, share=0.95)),
            Implication("(1 − p₀)²", partial(_shrunk, squared=True)),
            Implication("the pattern's norm for m", partial(_shrunk, first=True)),
        ),
        experiment="landscape",
        figure="landscape",
    ),
    Statement(
        name="T5",
        title="Rate",
        claim="min over t < τ of ‖x_{t+1} − x_t‖² ≤ 2(E(x_0) − E(x_τ))/τ ≤ 2E(x_0)/τ.",
        formula=r"\min_{t<\tau}\|x_{t+1}-x_t\|^2 \le \frac{2(E(x_0)-E(x_\tau))}{\tau} \le \frac{2E(x_0)}{\tau}",
        source="from T3 and T1",
        proof="proved here",
        why=(
            "Sum T3 over τ steps: ½ Σ ‖x_{t+1} − x_t‖² ≤ E(x_0) − E(x_τ); the least term is at most the mean. E ≥ 0 "
            "by T1."
        ),
        parts=(Implication("by the fall", rate), Implication("by the energy", partial(rate, fall=False))),
        near_misses=(
            Implication("2 a twentieth smaller, one step", partial(rate, factor=1.9, steps=1)),
            Implication(
                "2E for 2(E − E′), one step, a twentieth smaller", partial(rate, factor=1.9, steps=1, fall=False)
            ),
            Implication("the square of τ", partial(rate, factor=2 / _STEPS)),
        ),
        experiment="convergence",
        figure="convergence_descent",
    ),
    Statement(
        name="T6",
        title="Convergence",
        claim=(
            "From every query the iteration converges to one stationary point along a path of finite length (E is "
            "real analytic; a saddle is possible). Checked by finite consequences: no state recurs, and where T12 "
            "gives ‖J‖ ≤ L < 1 the path is at most √(8(E(x_0) − E(x_τ))/(1 − L)) long."
        ),
        formula=r"x_t \to x^*=T(x^*),\quad \sum_t\|x_{t+1}-x_t\|<\infty",
        source=f"stronger than the limit points of {_HU}; Absil, Mahony and Andrews 2005",
        proof="proved here",
        why=(
            "E is real analytic, descends sufficiently (T3), its gradient is the step, and orbits are bounded (T4): "
            "the theorem of Absil, Mahony and Andrews gives convergence to one point. Where ‖J‖ ≤ L < 1, E is (1 − "
            "L)-strongly convex, which bounds the length of the path by its fall."
        ),
        kind=Kind.ASYMPTOTIC,
        parts=(
            Implication("no state recurs", _no_return),
            Implication("length", _finite_length, passes, uses=MOVED_IN_BALL),
        ),
        near_misses=(
            Implication("½ a twentieth larger", partial(_no_return, half=0.525)),
            Implication("8 down to 1.9", partial(_finite_length, factor=1.9), passes, uses=MOVED_IN_BALL),
            Implication(
                "1 + L for 1 − L, 8 down to 2",
                partial(_finite_length, factor=2.0, sign=-1.0),
                passes,
                uses=MOVED_IN_BALL,
            ),
        ),
        experiment="convergence",
        figure="convergence_slowing",
    ),
    Statement(
        name="T17",
        title="Energy with and without the slot",
        claim=(
            "E_n(x) − E_0(x) = β⁻¹ ln((1 + n/M)/(1 + n/S)) with S = Σ_μ e^{z_μ}: for n > 0 the slot lowers the "
            "energy exactly where S < M."
        ),
        formula=r"E_n(x)-E_0(x)=\frac1\beta\ln\frac{1+n/M}{1+n/S},\quad S=\sum_\mu e^{z_\mu}",
        source="derived for this project",
        proof="proved here",
        why="Subtract the energies: what is left of the logarithms has the sign of S − M.",
        proved_in="docs/retrieval-proofs.md#t17-the-energy-with-and-without-the-slot",
        parts=(
            Implication("identity", _energies),
            Implication("lower where S < M", below_dense, _light),
            Implication("higher where S > M", lambda i: -below_dense(i), lambda i: _light(i, sign=-1.0)),
        ),
        near_misses=(
            Implication("M − 1 for M", partial(_energies, fewer=1), min_patterns=2),
            Implication("ln S a twentieth smaller", partial(_energies, share=0.95)),
            Implication("lower where S < 1.05 M", below_dense, partial(_light, share=1.05)),
        ),
        experiment="landscape",
        figure="landscape",
    ),
)
