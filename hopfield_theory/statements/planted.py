"""Statements spoilt on purpose: near misses of every pointwise statement, which a check worth its name must reject.

Each variant changes one constant by a twentieth, drops one term or one hypothesis, or confuses two quantities that are
easily confused.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from hopfield_theory.statements import energy, one_update, published, storage
from hopfield_theory.statements.statement import Implication, Instance

__all__ = ["PLANTED"]

_TWO = ("patterns", "beta", "noop", "query", "other")
_BALL = ("patterns", "beta", "noop", "query", "other", "ball")
_OUT = ("patterns", "beta", "noop", "query", "outliers")


def _lower_constant(i: Instance) -> Any:
    d, distance = i.dynamics, i.xp.norm(i.query) - i.dynamics.radius
    return (d.energy(i.query) - 0.525 * distance * distance) / d.square(i.query)


def _upper(share: float) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d = i.dynamics
        square = d.radius * d.radius
        shrunk = i.xp.log(d.noop + d.count * i.xp.exp(-d.beta * square)) - i.xp.log(d.noop + d.count)
        return (square - share * shrunk / d.beta - d.energy(i.query)) / d.square(i.query)

    return slack


def _twice(i: Instance) -> Any:
    d = i.dynamics
    shrunk = i.xp.log(d.noop + d.count * i.xp.exp(-d.beta * d.radius * d.radius)) - i.xp.log(d.noop + d.count)
    return (0.9 * d.radius * d.radius + shrunk / d.beta) / d.square()


def _tangent(i: Instance, update: Any, upper: float) -> Any:
    d, step = i.dynamics, i.other - i.query
    rise = d.energy(i.other) - d.energy(i.query) - (i.query - update) @ step
    return (upper * (step @ step) - rise) / d.square(i.query, i.other)


def _tangent_below(i: Instance) -> Any:
    d, step = i.dynamics, i.other - i.query
    rise = d.energy(i.other) - d.energy(i.query) - (i.query - d.update(i.query)) @ step
    return (rise - (step @ step) * (1 - 0.95 * d.beta * d.diameter * d.diameter / 4) / 2) / d.square(i.query, i.other)


def _decrease(
    *, half: float = 0.5, slot: bool = True, reverse: bool = False, scaled: bool = True
) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d, x = i.dynamics, i.query
        y = d.update(x)
        a, b = (y, x) if reverse else (x, y)
        log_ratio = d.log_partition(b) - d.log_partition(a)
        divergence = d.weights(a) @ (d.scores(a) - d.scores(b) + log_ratio)
        divergence = divergence + d.noop_weight(a) * log_ratio if slot else divergence
        divergence = divergence / d.beta if scaled else divergence
        fall = d.energy(x) - d.energy(y)
        return -i.xp.abs(fall - half * ((x - y) @ (x - y)) - divergence) / d.square(x)

    return slack


def _decrease_bound(i: Instance) -> Any:
    d, x = i.dynamics, i.query
    step = x - d.update(x)
    return (d.energy(x) - d.energy(d.update(x)) - 0.525 * (step @ step)) / d.square(x)


def _hull_of_patterns(i: Instance) -> Any:
    d, v = i.dynamics, i.other
    return (i.xp.max(i.patterns @ v) - d.update(i.query) @ v) / (d.length() * i.xp.norm(v))


def _norm(share: float = 1.0, power: int = 1, first: bool = False) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d, x = i.dynamics, i.query
        radius = i.xp.norm(i.patterns[0]) if first else d.radius
        left = share * (1 - d.noop_weight(x)) ** power * radius
        return (left - i.xp.norm(d.update(x))) / d.length()

    return slack


def _rate(factor: float, steps: int, energy_left: bool = True, largest: bool = False) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d = i.dynamics
        states = d.orbit(i.query, steps)
        of = i.xp.max if largest else i.xp.min
        least = of(i.xp.stack([i.xp.norm(b - a) for a, b in itertools.pairwise(states)]))
        fall = d.energy(states[0]) - (d.energy(states[-1]) if energy_left else 0)
        return (factor * fall / steps - least * least) / d.square(i.query)

    return slack


def _no_return(i: Instance) -> Any:
    d = i.dynamics
    states = d.orbit(i.query, 16)
    step = states[0] - states[1]
    return (d.energy(states[0]) - d.energy(states[-1]) - 0.525 * (step @ step)) / d.square(i.query)


def _length(factor: float, rate: Callable[[Instance], Any]) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d = i.dynamics
        states = d.orbit(d.in_ball(i.ball, i.other), 16)
        path = sum(i.xp.norm(b - a) for a, b in itertools.pairwise(states))
        fall = d.energy(states[0]) - d.energy(states[-1])
        return (factor * fall / (1 - rate(i)) - path * path) / d.square()

    return slack


def _covariance_of_patterns(i: Instance) -> Any:
    d, x, v = i.dynamics, i.query, i.other - i.query
    width, length = d.diameter, i.xp.norm(v)
    moved = (d.update(i.other) - d.update(x)) @ v
    remainder = d.beta * d.beta * width * width * width * length * length * length / 8
    return (remainder - i.xp.abs(moved - d.beta * i.dense.covariance(x, v))) / d.square(x, i.other)


def _by_diameter(share: float, width: Callable[[Instance], Any]) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d = i.dynamics
        moved = i.xp.norm(d.update(i.other) - d.update(i.query))
        bound = share * d.beta * width(i) * width(i) / 4 * i.xp.norm(i.other - i.query)
        return (bound - moved) / d.length(i.query, i.other)

    return slack


def _local(others: float, slot: float) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d, x = i.dynamics, i.query
        bound = d.radius * d.radius * (others * i.xp.sum(d.weights(x)[1:]) + slot * d.noop_weight(x))
        return (bound - d.covariance(x, i.other / i.xp.norm(i.other))) / d.square()

    return slack


def _gate(against: Callable[[Instance], Any]) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d, x = i.dynamics, i.query
        gate = i.xp.exp(-i.xp.log_sum_exp(i.xp.stack([against(i)]), i.xp.number(1.0)))
        return -i.xp.norm(d.update(x) - gate * i.dense.update(x)) / d.length()

    return slack


def _error_by_weights(others: float, slot: float) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d, x = i.dynamics, i.query
        bound = d.radius * (others * i.xp.sum(d.weights(x)[1:]) + slot * d.noop_weight(x))
        return (bound - i.xp.norm(d.update(x) - i.patterns[0])) / d.length()

    return slack


def _weights_by_separation(share: float, slot: float) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d, x = i.dynamics, i.query
        a, b = (i.xp.exp(term) for term in one_update.rivals(i))
        a, b = share * a, slot * b
        weights = 2 * i.xp.sum(d.weights(x)[1:]) + d.noop_weight(x)
        return ((2 * a + b) / (1 + a + b) - weights) * d.radius / d.length()

    return slack


def _half_the_exponential(i: Instance) -> Any:
    a, b = (i.xp.exp(term) for term in one_update.rivals(i))
    return (a + b - (2 * a + b) / (1 + a + b)) * i.dynamics.radius / i.dynamics.length()


def _bracket(square: Callable[[Any], Any]) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d, x, target = i.dynamics, i.query, i.patterns[0]
        noop, dense, share = d.update(x), i.dense.update(x), d.noop_weight(x)
        gained = (dense - target) @ (dense - target) - (noop - target) @ (noop - target)
        return -i.xp.abs(gained - share * (square(share) * (dense @ dense) - 2 * (dense @ target))) / d.square()

    return slack


def _classified(noop: float) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        o = one_update.Outliers(i)
        _, rest, slot = o.shares(o.log_noop)
        bound = o.radius * (2 * rest + noop * slot)
        return (bound - i.xp.norm(i.dynamics.update(i.query) - i.patterns[0])) / i.dynamics.length()

    return slack


def _kept(i: Instance) -> Any:
    o = one_update.Outliers(i)
    dense = type(i.dynamics)(i.xp.rows(i.patterns, i.outliers), i.beta, 0 * i.noop, i.xp)
    _, rest, out = o.shares(o.log_out)
    bound = 2 * o.radius * rest + 0.95 * (o.radius + o.out_radius) * out
    return (bound - i.xp.norm(dense.update(i.query) - i.patterns[0])) / dense.length()


def _nearly_half(i: Instance) -> list[Any]:
    return [one_update.Outliers(i).excess(0.45)]


def _threefold_rest(i: Instance) -> list[Any]:
    return [one_update.Outliers(i).threshold(rest=3.0)]


def _less_of_the_rest(i: Instance) -> list[Any]:
    return [one_update.Outliers(i).threshold(share=0.95)]


def _passes_but(dropped: int) -> Callable[[Instance], list[Any]]:
    return lambda i: [s for index, s in enumerate(storage.passes(i)) if index != dropped]


def _ball_terms(i: Instance, reach: float = 2.0) -> tuple[Any, Any]:
    d, first = i.dynamics, i.patterns[0]
    slot = i.xp.exp(i.xp.log(d.noop) - d.beta * (first @ first - d.radius * i.ball))
    if d.gap is None:
        return 0 * slot, slot
    return (d.count - 1) * i.xp.exp(-d.beta * (d.gap - reach * d.radius * i.ball)), slot


def _displaced(others: float = 2.0, slot: float = 1.0, reach: float = 2.0) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d = i.dynamics
        a, b = _ball_terms(i, reach)
        moved = i.xp.norm(d.update(d.in_ball(i.ball, i.other)) - i.patterns[0])
        return (d.radius * (others * a + slot * b) - moved) / d.length()

    return slack


def _contracted(others: float, slot: float) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d = i.dynamics
        a, b = _ball_terms(i)
        x, y = d.in_ball(i.ball, i.query), d.in_ball(i.ball, i.other)
        rate = d.beta * d.radius * d.radius * (others * a + slot * b)
        return (rate * i.xp.norm(x - y) - i.xp.norm(d.update(x) - d.update(y))) / d.length()

    return slack


def _disjoint(share: float) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        nearest = i.xp.min(i.xp.norm(i.patterns[1:] - i.patterns[0]))
        return (nearest - share * i.ball) / i.dynamics.length()

    return slack


def _posterior(rate: Callable[[Any], Any], one_side: bool = False) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d = i.dynamics
        left = (1 - rate(d.beta * d.diameter * d.diameter / 4)) * i.xp.norm(i.query - i.other)
        residual = i.xp.norm(i.query - d.update(i.query))
        residual = residual if one_side else residual + i.xp.norm(i.other - d.update(i.other))
        return (residual - left) / d.length(i.query, i.other)

    return slack


def _short_answer(share: float, counted: bool) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d, x = i.dynamics, i.query
        count = i.xp.log(i.xp.number(d.count)) if counted else 0
        against = i.xp.log(d.noop) - count - i.xp.max(d.scores(x))
        bound = share * d.radius * i.xp.exp(-i.xp.log_sum_exp(i.xp.stack([against]), i.xp.number(1.0)))
        return (bound - i.xp.norm(d.update(x))) / d.length()

    return slack


def _noop_share(score: Callable[[Instance], Any]) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d = i.dynamics
        others = i.xp.log(i.xp.number(d.count)) + score(i)
        whole = i.xp.log_sum_exp(i.xp.stack([others]), d.noop)
        return i.xp.exp(i.xp.log(d.noop) - whole) - d.noop_weight(i.query)

    return slack


def _weights(share: float) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        d = i.dynamics
        scores = i.xp.norm(d.scores(i.other) - d.scores(i.query))
        return (share * scores - i.xp.norm(d.weights(i.other) - d.weights(i.query))) / (1 + scores)

    return slack


def _one_error(i: Instance) -> Any:
    pair = storage.pair_of(i)
    shrunk = i.xp.exp(-i.beta * pair.radius * pair.apart)
    return (pair.errors[0] * (1 - shrunk) - pair.apart * shrunk) / pair.apart


def _slower_growth(i: Instance) -> Any:
    pair = storage.pair_of(i)
    shrunk = i.xp.exp(-i.beta * pair.radius * pair.apart / 4)
    return ((pair.errors[0] + pair.errors[1]) * (1 - shrunk) - pair.apart * shrunk) / pair.apart


def _four(i: Instance) -> Any:
    pair = storage.pair_of(i)
    return i.beta * pair.distance * pair.distance - 4


def _without_origin(i: Instance) -> Any:
    return i.dense.diameter


def _has_noop(i: Instance) -> list[Any]:
    return [i.noop]


def _direction(i: Instance) -> list[Any]:
    return [i.xp.norm(i.other)]


def _inside(i: Instance) -> list[Any]:
    return [(i.dynamics.radius - i.xp.norm(i.query)) / i.dynamics.length(i.query)]


def _contracts(i: Instance) -> list[Any]:
    d = i.dynamics
    return [1 - d.beta * d.diameter * d.diameter / 4]


def _nearly_light(i: Instance) -> list[Any]:
    return energy.light(i, share=1.05)


def _energies(count: Callable[[Instance], Any], share: float = 1.0) -> Callable[[Instance], Any]:
    def slack(i: Instance) -> Any:
        xp, d, x = i.xp, i.dynamics, i.query
        one, log_noop = xp.number(1.0), xp.log(i.noop)
        by_count = xp.log_sum_exp(xp.stack([log_noop - xp.log(count(i))]), one)
        by_mass = xp.log_sum_exp(xp.stack([log_noop - share * i.dense.log_partition(x)]), one)
        return -xp.abs(d.energy(x) - i.dense.energy(x) - (by_count - by_mass) / d.beta) / d.square(x)

    return slack


def _rate_shrinks_with_beta(i: Instance) -> Any:
    return i.dynamics.lipschitz(i.ball) - storage.at_larger_beta(i).lipschitz(i.ball)


def _stays_but(dropped: int) -> Callable[[Instance], list[Any]]:
    return lambda i: [s for index, s in enumerate(storage.stays_at_larger_beta(i)) if index != dropped]


def _error_grows_with_fewer(i: Instance) -> Any:
    return -storage.error_shrinks_with_fewer(i)


def _update_gains_with_fewer(i: Instance) -> Any:
    x, target = i.query, i.patterns[0]
    with_it, without = (i.xp.norm(d.update(x) - target) for d in (i.dynamics, storage.without_the_last(i)))
    return (with_it - without) / i.dynamics.length()


def _smallest_weights(i: Instance) -> Any:
    return i.xp.min(i.dense.sparse_weights(i.query)) - i.xp.min(i.dense.weights(i.query))


def _shorter(i: Instance) -> Any:
    return (i.xp.norm(i.query) - i.xp.norm(i.dynamics.update(i.query))) / i.dynamics.length(i.query)


def _dense_update_descends(i: Instance) -> Any:
    d, x = i.dynamics, i.query
    return (d.energy(x) - d.energy(i.dense.update(x))) / d.square(x)


def _twice_as_near(i: Instance) -> list[Any]:
    return published.near(i, i.query, share=2.0)


_BETAS = ("patterns", "beta", "noop", "query", "ball")
_NO_STATE = ("patterns", "beta", "noop", "ball")
_MOVED = ("patterns", "beta", "noop", "other")

PLANTED: dict[str, tuple[Implication, ...]] = {
    "T1": (
        Implication("½ a twentieth larger", _lower_constant),
        Implication("a twentieth of the logarithm lost", _upper(0.95), _inside),
        Implication("1.9 m² in place of 2 m²", _twice, uses=("patterns", "beta", "noop")),
        Implication("outside the ball", _upper(1.0)),
    ),
    "T2": (
        Implication("update of the dense model", lambda i: _tangent(i, i.dense.update(i.query), 0.5), uses=_TWO),
        Implication("½ a twentieth smaller", lambda i: _tangent(i, i.dynamics.update(i.query), 0.475), uses=_TWO),
        Implication("D²/4 a twentieth smaller", _tangent_below, uses=_TWO),
    ),
    "T3": (
        Implication("no-op slot left out", _decrease(slot=False)),
        Implication("divergence the other way round", _decrease(reverse=True)),
        Implication("divergence not divided by β", _decrease(scaled=False)),
        Implication("½ a twentieth larger", _decrease_bound),
    ),
    "T4": (
        Implication("hull without the origin", _hull_of_patterns, _direction, uses=_TWO),
        Implication("m a twentieth smaller", _norm(0.95)),
        Implication("(1 − p₀)²", _norm(power=2)),
        Implication("the pattern's norm for m", _norm(first=True)),
    ),
    "T5": (
        Implication("2 a twentieth smaller, one step", _rate(1.9, 1)),
        Implication("2E for 2(E − E′), one step, a twentieth smaller", _rate(1.9, 1, energy_left=False)),
        Implication("the square of τ", _rate(2 / 16, 16)),
    ),
    "T6": (
        Implication("½ a twentieth larger", _no_return),
        Implication("8 down to 1.9", _length(1.9, lambda i: i.dynamics.lipschitz(i.ball)), storage.passes, uses=_BALL),
        Implication(
            "1 + L for 1 − L, 8 down to 2",
            _length(2.0, lambda i: -i.dynamics.lipschitz(i.ball)),
            storage.passes,
            uses=_BALL,
        ),
    ),
    "T7": (
        Implication("covariance without the origin", _covariance_of_patterns, uses=_TWO),
        Implication("¼ a twentieth smaller", _by_diameter(0.95, lambda i: i.dynamics.diameter), uses=_TWO),
        Implication("diameter without the origin", _by_diameter(1.0, _without_origin), uses=_TWO),
        Implication("4 a twentieth smaller", _local(3.8, 1.0), _direction, uses=_TWO),
        Implication("p₀ a twentieth smaller", _local(4.0, 0.95), _direction, uses=_TWO),
    ),
    "T8": (
        Implication("log n left out", _gate(lambda i: -i.dense.log_partition(i.query)), _has_noop),
        Implication(
            "lse_n for lse_0", _gate(lambda i: i.xp.log(i.noop) - i.dynamics.log_partition(i.query)), _has_noop
        ),
        Implication("n for log n", _gate(lambda i: i.noop - i.dense.log_partition(i.query)), _has_noop),
    ),
    "T9": (
        Implication("2 a twentieth smaller", _error_by_weights(1.9, 1.0)),
        Implication("p₀ a twentieth smaller", _error_by_weights(2.0, 0.95)),
        Implication("A a twentieth smaller", _weights_by_separation(0.95, 1.0)),
        Implication("B left out", _weights_by_separation(1.0, 0.0)),
        Implication("A for 2A", _half_the_exponential),
    ),
    "T10": (
        Implication("½ for ½(1 + s)", _bracket(lambda share: 1)),
        Implication("1 for ½(1 + s)", _bracket(lambda share: 2)),
        Implication("½(1 − s) for ½(1 + s)", _bracket(lambda share: share)),
    ),
    "T11": (
        Implication("n a twentieth smaller", _classified(0.95), uses=_OUT),
        Implication("m + m_out a twentieth smaller", _kept, uses=_OUT),
        Implication("0.45 n suffices", one_update.half_suffices, _nearly_half, uses=_OUT),
        Implication("3a for 2a in the threshold", one_update.classifying_wins, _threefold_rest, uses=_OUT),
        Implication("threshold a twentieth lower", one_update.classifying_wins, _less_of_the_rest, uses=_OUT),
    ),
    "T12": (
        Implication("2 a twentieth smaller", _displaced(others=1.9), uses=_BALL),
        Implication("no-op term left out", _displaced(slot=0.0), uses=_BALL),
        Implication("m R for 2 m R", _displaced(reach=1.0), uses=_BALL),
        Implication("4 a twentieth smaller", _contracted(3.8, 1.0), uses=_BALL),
        Implication("balls disjoint without ε(R) ≤ R", _disjoint(2.0), _passes_but(2), uses=_BALL, min_patterns=2),
    ),
    "T13": (
        Implication("L a twentieth smaller", _posterior(lambda rate: 0.95 * rate), _contracts, uses=_TWO),
        Implication("L² for L", _posterior(lambda rate: rate * rate), _contracts, uses=_TWO),
        Implication("the residual of one state", _posterior(lambda rate: rate, one_side=True), _contracts, uses=_TWO),
    ),
    "T14": (
        Implication("M left out", _short_answer(1.0, counted=False)),
        Implication("m a twentieth smaller", _short_answer(0.95, counted=True)),
        Implication("the largest score for the mean", _noop_share(lambda i: i.xp.max(i.dynamics.scores(i.query)))),
    ),
    "T15": (
        Implication("½ a twentieth smaller", _weights(0.475), uses=_TWO),
        Implication("¼ a twentieth smaller at M = 1", _weights(0.2375), uses=_TWO, max_patterns=1),
        Implication("¼ for any M", _weights(0.25), uses=_TWO),
    ),
    "T16": (
        Implication("a twentieth more than softmax", lambda i: one_update.sparse_concentrates(i, 1.05)),
        Implication("the smallest weights", _smallest_weights),
        Implication("2 a twentieth smaller", lambda i: one_update.sparse_error_by_weight(i, 1.9)),
    ),
    "T17": (
        Implication("M − 1 for M", _energies(lambda i: i.xp.number(len(i.patterns) - 1)), min_patterns=2),
        Implication("ln S a twentieth smaller", _energies(lambda i: i.xp.number(len(i.patterns)), 0.95)),
        Implication("lower where S < 1.05 M", energy.below_dense, _nearly_light),
    ),
    "T18": (
        Implication("without ε(R) ≤ R", storage.error_shrinks_with_beta, _stays_but(2), uses=_BETAS),
        Implication("without ‖ξ‖² ≥ mR", storage.error_shrinks_with_beta, _stays_but(3), uses=_BETAS),
        Implication("L(R) as well", _rate_shrinks_with_beta, storage.stays_at_larger_beta, uses=_BETAS),
    ),
    "T19": (
        Implication(
            "a twentieth smaller",
            lambda i: storage.error_shrinks_with_fewer(i, 0.95),
            storage.passes,
            uses=_NO_STATE,
            min_patterns=2,
        ),
        Implication("larger without the last", _error_grows_with_fewer, storage.passes, uses=_NO_STATE, min_patterns=2),
        Implication("one update is closer without the last", _update_gains_with_fewer, min_patterns=2),
    ),
    "P7": (
        Implication("by more than half the squared step", _decrease_bound),
        Implication("the dense update", _dense_update_descends),
        Implication("the norm as well", _shorter),
    ),
    "P8": (
        Implication("1.9 for 2, one step", _rate(1.9, 1, energy_left=False)),
        Implication("the largest step for the least", _rate(2.0, 16, energy_left=False, largest=True)),
        Implication("0.95 for 2, two steps", _rate(0.95, 2, energy_left=False)),
    ),
    "P10": (
        Implication(
            "ball half as large",
            lambda i: published.image_of_small_ball(i, 0.5),
            published.well_separated,
            uses=_MOVED,
            min_patterns=2,
        ),
        Implication(
            "N − 1 left out",
            published.image_of_small_ball,
            published.without_the_others,
            uses=_MOVED,
            min_patterns=2,
        ),
        Implication(
            "without the logarithm",
            published.image_of_small_ball,
            published.without_the_logarithm,
            uses=_MOVED,
            min_patterns=2,
        ),
    ),
    "P11": (
        Implication(
            "2 a twentieth smaller",
            lambda i: published.between_two_states(i, factor=1.9),
            uses=_TWO,
            min_patterns=2,
        ),
        Implication(
            "M for 2M in the exponent",
            lambda i: published.between_two_states(i, reach=1.0),
            uses=_TWO,
            min_patterns=2,
        ),
        Implication(
            "N − 1 left out", lambda i: published.between_two_states(i, others=False), uses=_TWO, min_patterns=2
        ),
    ),
    "P12": (
        Implication(
            "e left out", lambda i: published.one_update_error(i, power=0.0), published.near_query, min_patterns=2
        ),
        Implication(
            "N − 1 left out",
            lambda i: published.one_update_error(i, others=False),
            published.near_query,
            min_patterns=2,
        ),
        Implication("twice as far", published.one_update_error, _twice_as_near, min_patterns=2),
    ),
    "P13": (
        Implication("1.9 M² for 2 M²", lambda i: published.energy_at_most(i, 1.9), published.inside),
        Implication("without ln N", lambda i: published.energy_not_negative(i, constant=False)),
        Implication("outside the ball", published.energy_at_most),
    ),
    "P17": (
        Implication("m a twentieth smaller", lambda i: published.sparse_bound(i, first=0.95)),
        Implication("1/β left out", lambda i: published.sparse_bound(i, inverse=0.0)),
        Implication("half of 1/β", lambda i: published.sparse_bound(i, inverse=0.5)),
    ),
    "P20": (
        Implication("with constants", published.energy_not_above_dense),
        Implication("with the slot's share of them", lambda i: published.bare_energy_not_above_dense(i, shift=True)),
        Implication("the other way round", lambda i: published.bare_energy_not_above_dense(i, sign=-1.0)),
    ),
    "C8": (
        Implication("one error for the sum", _one_error, storage.both_stored, min_patterns=2),
        Implication("m/4 for m in the exponent", _slower_growth, storage.both_stored, min_patterns=2),
        Implication("β D² ≥ 4", _four, storage.both_stored, min_patterns=2),
    ),
}
"""Variants of each statement, all of them false."""
