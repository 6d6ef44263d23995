"""P1, P2, …: claims of the literature, read literally; where one fails, the statements that hold are named.

Where a claim has a weak and a strong reading with different verdicts, each is a statement of its own. The claims are
stated from the papers' abstracts and from memory, not from their full texts; each source says so.
"""

from __future__ import annotations

from typing import Any

from hopfield_theory.statements import energy, one_update, random_memories, storage
from hopfield_theory.statements.dynamics import Dynamics
from hopfield_theory.statements.statement import Implication, Instance, Kind, Statement

__all__ = ["STATEMENTS"]

_MEMORY = "stated from memory"
_RAMSAUER = "Ramsauer et al. 2021, arXiv:2008.02217"
_HU_SPARSE = "Hu et al. 2023, arXiv:2309.12673"
_HU = "Hu et al. 2024, arXiv:2404.03828"
_FOLKLORE = "said of such memories in general"


# --- 'tighter retrieval error' (P1 to P6) ---


def _not_farther(i: Instance) -> Any:
    x, target, d = i.query, i.patterns[0], i.dynamics
    return (i.xp.norm(i.dense.update(x) - target) - i.xp.norm(d.update(x) - target)) / d.length()


def _has_noop(i: Instance) -> list[Any]:
    return [i.noop]


def _fixed_point_not_farther(i: Instance) -> Any:
    target, d = i.patterns[0], i.dynamics
    return (i.xp.norm(i.dense.first_limit - target) - i.xp.norm(d.first_limit - target)) / d.length()


def classified_not_farther(i: Instance, noop: float) -> Any:
    """Return how much farther one update lands with the outliers kept than with them collapsed to mass n."""
    kept = Dynamics(i.xp.rows(i.patterns, i.outliers), i.beta, i.xp.number(0.0), i.xp)
    collapsed = Dynamics(i.patterns, i.beta, i.xp.number(noop), i.xp)
    x, target = i.query, i.patterns[0]
    return (i.xp.norm(kept.update(x) - target) - i.xp.norm(collapsed.update(x) - target)) / kept.length()


def _bound_not_larger(i: Instance) -> Any:
    d = i.dense
    return (2 * d.radius * i.xp.sum(d.weights(i.query)[1:]) - one_update.by_weights(i)) / d.length()


# --- Ramsauer et al. (P9 to P14); N patterns, M their largest norm ---


def _well_separated(i: Instance, share: float = 1.0, others: bool = True, logarithm: bool = True) -> list[Any]:
    d, count = i.dense, len(i.patterns)
    kappa = d.beta * d.radius * d.radius
    rest = count - 1 if others else 1
    needed = share * 2 / i.xp.number(count) + (i.xp.log(2 * rest * count * kappa) if logarithm else 0)
    return [d.radius / d.length(), (d.beta * d.gap - needed) / (1 + kappa)]


def well_separated(i: Instance) -> list[Any]:
    """Return the slack of ``Δ ≥ 2/(βN) + ln(2(N − 1)NβM²)/β``, and of ``M > 0``."""
    return _well_separated(i)


def without_the_others(i: Instance) -> list[Any]:
    """Return the same without ``N − 1``."""
    return _well_separated(i, others=False)


def without_the_logarithm(i: Instance) -> list[Any]:
    """Return the same without the logarithm."""
    return _well_separated(i, logarithm=False)


def image_of_small_ball(i: Instance, share: float = 1.0) -> Any:
    """Return by how much T maps a point of the ball of radius ``share/(βNM)`` into that ball."""
    d = i.dense
    ball = share / (d.beta * d.count * d.radius)
    x = d.in_ball(ball, i.other)
    return (ball - i.xp.norm(d.update(x) - i.patterns[0])) / d.length(x)


def _contraction_in_small_ball(i: Instance) -> Any:
    d = i.dense
    ball = 1 / (d.beta * d.count * d.radius)
    x, y = d.in_ball(ball, i.query), d.in_ball(ball, i.other)
    return (i.xp.norm(x - y) - i.xp.norm(d.update(x) - d.update(y))) / d.length(x, y)


def jacobian_bound(i: Instance, *states: Any, factor: float = 2.0, reach: float = 2.0, others: bool = True) -> Any:
    """Return ``2βNM²(N − 1) exp(−β(Δ − 2M max ‖x − ξ‖))``."""
    d = i.dense
    distance = i.xp.max(i.xp.stack([i.xp.norm(x - i.patterns[0]) for x in states]))
    size = factor * d.beta * d.count * d.radius * d.radius * (d.count - 1 if others else 1)
    return size * i.xp.exp(-d.beta * (d.gap - reach * d.radius * distance))


def between_two_states(i: Instance, **variant: Any) -> Any:
    """Return by how much an update brings two states together more than the Jacobian's bound demands."""
    d, x, y = i.dense, i.query, i.other
    bound = jacobian_bound(i, x, y, **variant)
    return (bound * i.xp.norm(x - y) - i.xp.norm(d.update(x) - d.update(y))) / d.length(x, y)


def _at_a_state(i: Instance) -> Any:
    d, along = i.dense, i.other / i.xp.norm(i.other)
    kappa = d.beta * d.radius * d.radius
    return (jacobian_bound(i, i.query) - d.beta * d.covariance(i.query, along)) / (1 + kappa)


def _is_direction(i: Instance) -> list[Any]:
    return [i.xp.norm(i.other)]


def error_bound(i: Instance, factor: float = 2.0, others: bool = True, power: float = 1.0) -> Any:
    """Return ``2e(N − 1)M exp(−βΔ)``."""
    d = i.dense
    return factor * (d.count - 1 if others else 1) * d.radius * i.xp.exp(power - d.beta * d.gap)


def near(i: Instance, x: Any, share: float = 1.0) -> list[Any]:
    """Return the slack of ``‖x − ξ‖ ≤ 1/(2βM)``, and of ``M > 0``."""
    d = i.dense
    return [
        d.radius / d.length(),
        (share / (2 * d.beta * d.radius) - i.xp.norm(x - i.patterns[0])) / d.length(x),
    ]


def near_query(i: Instance) -> list[Any]:
    """Return the slacks of :func:`near` at the query."""
    return near(i, i.query)


def one_update_error(i: Instance, **variant: Any) -> Any:
    """Return by how much one dense update is closer than :func:`error_bound`."""
    d = i.dense
    return (error_bound(i, **variant) - i.xp.norm(d.update(i.query) - i.patterns[0])) / d.length()


def _near_fixed_point(i: Instance) -> list[Any]:
    return near(i, i.dense.first_limit)


def _fixed_point_error(i: Instance) -> Any:
    d, target = i.dense, i.patterns[0]
    return (error_bound(i) - i.xp.norm(d.first_limit - target)) / d.length()


def _one_update_error_with_slot(i: Instance) -> Any:
    d = i.dynamics
    return (error_bound(i) - i.xp.norm(d.update(i.query) - i.patterns[0])) / d.length()


def _has_noop_and_is_near(i: Instance) -> list[Any]:
    return [i.noop, *near(i, i.query)]


def energy_not_negative(i: Instance, constant: bool = True) -> Any:
    """Return the dense energy, relative to its scale, with or without ``β⁻¹ ln N``."""
    d = i.dense
    shift = 0 if constant else i.xp.log(i.xp.number(d.count)) / d.beta
    return (d.energy(i.query) - shift) / d.square(i.query)


def energy_at_most(i: Instance, share: float = 2.0) -> Any:
    """Return ``2M²`` less the dense energy, relative to its scale."""
    d = i.dense
    return (share * d.radius * d.radius - d.energy(i.query)) / d.square(i.query)


def inside(i: Instance) -> list[Any]:
    """Return the slack of ``‖x‖ ≤ M``."""
    return [(i.dense.radius - i.xp.norm(i.query)) / i.dense.length(i.query)]


# --- Hu et al. 2023, sparse retrieval (P15 to P18) ---


def _sparse_error(i: Instance) -> Any:
    return i.xp.norm(i.dense.sparse_weights(i.query) @ i.patterns - i.patterns[0])


def _sparse_not_farther(i: Instance) -> Any:
    d = i.dense
    return (i.xp.norm(d.update(i.query) - i.patterns[0]) - _sparse_error(i)) / d.length()


def _best_match(i: Instance) -> list[Any]:
    scores = i.dense.scores(i.query)
    return [i.xp.min(scores[0] - scores[1:]) / (1 + i.xp.max(i.xp.abs(scores)))]


def sparse_bound(i: Instance, first: float = 1.0, inverse: float = 1.0, spread: float = 1.0) -> Any:
    """Return ``m + √d m β[k(max s − s_(k)) + 1/β]`` less the sparse error, for k patterns of positive weight."""
    d = i.dense
    scores, above = i.xp.descending(d.scores(i.query)), i.xp.descending(d.sparse_weights(i.query))
    best, last, support = scores[0], scores[0], i.xp.number(1.0)
    for k in range(1, d.count):
        last = i.xp.if_positive(above[k], scores[k], last)
        support = i.xp.if_positive(above[k], i.xp.number(float(k + 1)), support)
    root = i.xp.sqrt(i.xp.number(float(i.patterns.shape[1])))
    bound = first * d.radius + root * d.radius * (spread * support * (best - last) + inverse)
    return (bound - _sparse_error(i)) / (d.length() + bound)


def _stored_overlap(i: Instance) -> Any:
    d, first = i.dense, i.patterns[0]
    exponent = first @ i.query - i.xp.max(i.patterns[1:] @ first)
    bound = 2 * d.radius * (d.count - 1) * i.xp.exp(-d.beta * exponent)
    return (bound - i.xp.norm(d.update(i.query) - first)) / d.length()


# --- said of such memories in general (P19 to P26) ---


def energy_not_above_dense(i: Instance) -> Any:
    """Return the dense energy less that with the slot, with the constants that make both at least 0."""
    return (i.dense.energy(i.query) - i.dynamics.energy(i.query)) / i.dynamics.square(i.query)


def bare_energy_not_above_dense(i: Instance, shift: bool = False, sign: float = 1.0) -> Any:
    """Return the dense energy less that with the slot, without their constants."""
    x, d = i.query, i.dynamics
    gained = (d.log_partition(x) - i.dense.log_partition(x)) / d.beta
    shifted = (i.xp.log(d.noop + d.count) - i.xp.log(i.xp.number(d.count))) / d.beta if shift else 0
    return sign * (gained - shifted) / d.square(x)


def _less_noop_is_closer(i: Instance) -> Any:
    target, d = i.patterns[0], i.dynamics
    return (i.xp.norm(d.update(target) - target) - i.xp.norm(i.dense.update(target) - target)) / d.length()


def _less_noop_is_closer_anywhere(i: Instance) -> Any:
    x, target, d = i.query, i.patterns[0], i.dynamics
    return (i.xp.norm(d.update(x) - target) - i.xp.norm(i.dense.update(x) - target)) / d.length()


def _of_equal_norms(i: Instance, patterns: Any, beta: Any) -> Dynamics:
    unit = patterns / i.xp.norm(patterns)[:, None]
    return Dynamics(i.dynamics.radius * unit, beta, 0 * i.noop, i.xp)


def _all_nonzero(i: Instance) -> Any:
    return i.xp.min(i.xp.norm(i.patterns)) / i.dynamics.length()


def _nearest(i: Instance, x: Any) -> Any:
    d = _of_equal_norms(i, i.patterns, i.beta)
    distances = i.xp.norm(d.patterns - x)
    return (i.xp.min(distances[1:]) - distances[0]) / d.length(x)


def _query_nearest(i: Instance) -> list[Any]:
    return [_all_nonzero(i), _nearest(i, i.query)]


def _limit_nearest(i: Instance) -> Any:
    return _nearest(i, _of_equal_norms(i, i.patterns, i.beta).limit(i.query))


def _outside_the_certified(i: Instance) -> list[Any]:
    d = i.dynamics
    distance = i.xp.norm(i.query - i.patterns[0])
    beyond = [(distance - i.ball) / d.length(), (d.displacement(distance) - distance) / d.length(i.query)]
    return [*storage.passes(i), *beyond]


def _runs_elsewhere(i: Instance) -> Any:
    d = i.dynamics
    return (i.xp.norm(d.limit(i.query) - i.patterns[0]) - i.ball) / d.length()


def _success(i: Instance, factor: float) -> Any:
    d = _of_equal_norms(i, i.patterns, factor * i.beta)
    return (d.radius / 2 - i.xp.norm(d.first_limit - d.patterns[0])) / d.length()


def _success_now(i: Instance) -> list[Any]:
    return [_all_nonzero(i), _success(i, 1.0)]


def _success_at_twice(i: Instance) -> Any:
    return _success(i, 2.0)


def _adding_does_not_help(i: Instance) -> Any:
    more, fewer = (_of_equal_norms(i, p, i.beta) for p in (i.patterns, i.patterns[:-1]))
    target = more.patterns[0]
    return (i.xp.norm(more.first_limit - target) - i.xp.norm(fewer.first_limit - target)) / more.length()


def _all_of_equal_norms(i: Instance) -> list[Any]:
    return [_all_nonzero(i)]


_SCALED = storage.SCALED
_OUT = ("patterns", "beta", "query", "outliers")
_NO_QUERY = ("patterns", "beta", "noop")
_TWO = ("patterns", "beta", "noop", "query", "other")
_MOVED = ("patterns", "beta", "noop", "other")

STATEMENTS = (
    Statement(
        "P1",
        "The strong claim of a tighter error",
        "On the same memory, for every n > 0, one OutEffHop update is never farther from a pattern than the dense one: "
        "‖T_n(x) − ξ_μ‖ ≤ ‖T_0(x) − ξ_μ‖.",
        f"the strongest reading of 'tighter retrieval error' in {_HU}",
        "false",
        Kind.POINTWISE,
        (Implication("never farther", _not_farther, _has_noop),),
        instead=("T10", "T11"),
    ),
    Statement(
        "P2",
        "A tighter error at the fixed point",
        "On the same memory, for every n > 0, the fixed point reached from a pattern is never farther from it than the "
        "dense model's.",
        f"a reading of 'tighter retrieval error' in {_HU}",
        "false",
        Kind.FIXED_POINT,
        (Implication("never farther", _fixed_point_not_farther, _has_noop, uses=_NO_QUERY),),
        instead=("T10", "T12"),
    ),
    Statement(
        "P3",
        "A tighter error with the outliers classified",
        "If a memory also holds K ≥ 1 no-op patterns, one update with them collapsed (to one slot, or to one "
        "slot each) "
        "is never farther from a pattern than one with them kept.",
        f"a reading of 'tighter retrieval error' in {_HU}",
        "false",
        Kind.POINTWISE,
        (
            Implication("one slot, n = 1", lambda i: classified_not_farther(i, 1.0), uses=_OUT),
            Implication("a slot each, n = K", lambda i: classified_not_farther(i, float(len(i.outliers))), uses=_OUT),
        ),
        instead=("T11",),
    ),
    Statement(
        "P4",
        "A tighter bound on the same memory",
        "For every n > 0 the bound m(2a + n)/(S + n) on the error of one update is at most the dense one, 2ma/S.",
        f"a reading of 'tighter retrieval error' in {_HU}",
        "false",
        Kind.POINTWISE,
        (Implication("never larger", _bound_not_larger, _has_noop),),
        instead=("T11",),
    ),
    Statement(
        "P5",
        "A tighter bound with the outliers classified",
        "For every n > 0 and every set of outliers no longer than the patterns, the bound on the error of one update "
        "with the outliers collapsed is at most the bound with them kept.",
        f"a reading of 'tighter retrieval error' in {_HU}",
        "false",
        Kind.POINTWISE,
        (Implication("never larger", one_update.classifying_wins, _has_noop, uses=(*_OUT, "noop")),),
        instead=("T11",),
    ),
    Statement(
        "P6",
        "The dense error bound with a no-op slot",
        "With N ≥ 2 patterns of norm at most M and Softmax_n in place of softmax, ‖T_n(x) − ξ‖ ≤ 2e(N − 1)M e^{−βΔ} "
        "where ‖x − ξ‖ ≤ 1/(2βM).",
        f"the bounds of dense retrieval read as inherited by {_HU}; {_MEMORY}",
        "false",
        Kind.POINTWISE,
        (Implication("one update", _one_update_error_with_slot, _has_noop_and_is_near, min_patterns=2),),
        instead=("T9", "T12"),
    ),
    Statement(
        "P7",
        "Monotone decrease",
        "An update never raises the energy: E(Tx) ≤ E(x).",
        f"{_HU}; {_MEMORY}",
        "proved here",
        Kind.POINTWISE,
        (Implication("never rises", energy.decrease),),
        instead=("T3",),
    ),
    Statement(
        "P8",
        "Convergence",
        "Every limit point of an orbit is stationary. Checked by what forces it: of τ steps the least "
        "squared is at most "
        "2E(x_0)/τ.",
        f"{_HU}; {_MEMORY}",
        "proved here",
        Kind.ASYMPTOTIC,
        (Implication("steps become short", energy.residual_budget),),
        instead=("T5", "T6"),
    ),
    Statement(
        "P9",
        "Exponential capacity at every β",
        "With probability 1 − p at least √p c^{(d−1)/4} random patterns on the sphere of radius K√(d − 1) are stored, "
        "for every β and K that satisfy c ≥ (2/√p)^{4/(d−1)}.",
        f"Theorem 3 of {_RAMSAUER}, read without any condition on κ = βm²; {_HU}, for n = 1; {_MEMORY}",
        "false",
        Kind.PROBABILISTIC,
        random_memories.PUBLISHED_AT_SMALL_KAPPA,
        instead=("C1", "C2", "C3", "T7"),
    ),
    Statement(
        "P10",
        "Well separation gives a fixed point near the pattern",
        "In the dense model, if Δ ≥ 2/(βN) + β⁻¹ ln(2(N − 1)NβM²), T maps the ball of radius 1/(βNM) around "
        "the pattern "
        "into itself and brings any two of its points closer together.",
        f"{_RAMSAUER}, appendix; {_MEMORY}",
        "proved here",
        Kind.FIXED_POINT,
        (
            Implication("image of the ball", image_of_small_ball, well_separated, uses=_MOVED, min_patterns=2),
            Implication("contraction", _contraction_in_small_ball, well_separated, uses=_TWO, min_patterns=2),
        ),
        instead=("T12",),
    ),
    Statement(
        "P11",
        "One update",
        "In the dense model the mean Jacobian between x and y has norm at most "
        "2βNM²(N − 1) exp(−β(Δ − 2M max{‖x − ξ‖, ‖y − ξ‖})). Checked as ‖Tx − Ty‖ ≤ bound ‖x − y‖, and for y → x.",
        f"Theorem 4 of {_RAMSAUER}; {_MEMORY}",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("between two states", between_two_states, uses=_TWO, min_patterns=2),
            Implication("at a state", _at_a_state, _is_direction, uses=_TWO, min_patterns=2),
        ),
        instead=("T7", "T12"),
    ),
    Statement(
        "P12",
        "Retrieval error",
        "In the dense model, where ‖x − ξ‖ ≤ 1/(2βM), one update errs by at most 2e(N − 1)M e^{−βΔ}; so does the fixed "
        "point reached from the pattern if it is as near.",
        f"Theorem 5 of {_RAMSAUER}; {_MEMORY}",
        "proved here",
        Kind.FIXED_POINT,
        (
            Implication("one update", one_update_error, near_query, min_patterns=2),
            Implication("fixed point", _fixed_point_error, _near_fixed_point, uses=_NO_QUERY, min_patterns=2),
        ),
        instead=("T9", "T12"),
    ),
    Statement(
        "P13",
        "Energy bounds of bounded states",
        "The dense energy is at least 0, and at most 2M² on ‖x‖ ≤ M.",
        f"{_RAMSAUER}; {_MEMORY}",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("at least 0", energy_not_negative),
            Implication("at most 2M²", energy_at_most, inside),
        ),
        instead=("T1",),
    ),
    Statement(
        "P14",
        "Energy bounds of all states",
        "The dense energy is at most 2M² at every state.",
        f"the strong reading of the energy bounds of {_RAMSAUER}; {_MEMORY}",
        "false",
        Kind.POINTWISE,
        (Implication("at most 2M²", energy_at_most),),
        instead=("T1",),
    ),
    Statement(
        "P15",
        "Sparse retrieval is never farther, from anywhere",
        "From every query, one sparsemax update is at most as far from a pattern as the softmax update.",
        f"the strong reading of 'tighter than its dense analog' in {_HU_SPARSE}",
        "false",
        Kind.POINTWISE,
        (Implication("never farther", _sparse_not_farther),),
        instead=("T16",),
    ),
    Statement(
        "P16",
        "Sparse retrieval is never farther from the best match",
        "From every query that overlaps most with ξ, one sparsemax update is at most as far from ξ as the "
        "softmax update.",
        f"a weaker reading of 'tighter than its dense analog' in {_HU_SPARSE}",
        "false",
        Kind.POINTWISE,
        (Implication("never farther", _sparse_not_farther, _best_match, min_patterns=2),),
        instead=("T16",),
    ),
    Statement(
        "P17",
        "Error of sparse retrieval",
        "With k patterns of positive weight and s = Ξx in falling order, one sparsemax update errs by at most "
        "m + √d mβ[k(s_(1) − s_(k)) + 1/β]. That is at least 2m, which no update can exceed.",
        f"{_HU_SPARSE}; {_MEMORY}",
        "proved here",
        Kind.POINTWISE,
        (Implication("error", sparse_bound),),
        instead=("T16",),
    ),
    Statement(
        "P18",
        "Dense error by stored overlaps",
        "From every query, one dense update errs by at most 2m(M − 1) exp(−β(⟨ξ_μ, x⟩ − max_{ν≠μ} ⟨ξ_μ, ξ_ν⟩)).",
        f"the dense bound that {_HU_SPARSE} compares with, read literally; {_MEMORY}",
        "false",
        Kind.POINTWISE,
        (Implication("one update", _stored_overlap, min_patterns=2),),
        instead=("T9",),
    ),
    Statement(
        "P19",
        "The energy lies below the dense energy",
        "At every state E_n(x) ≤ E_0(x), each with the constant that makes it at least 0.",
        _FOLKLORE,
        "false",
        Kind.POINTWISE,
        (Implication("with constants", energy_not_above_dense),),
        instead=("T17",),
    ),
    Statement(
        "P20",
        "The bare energy lies below the dense energy",
        "At every state ½‖x‖² − lse_n(β, Ξx) ≤ ½‖x‖² − lse_0(β, Ξx).",
        _FOLKLORE,
        "proved here",
        Kind.POINTWISE,
        (Implication("without constants", bare_energy_not_above_dense),),
        instead=("T17",),
    ),
    Statement(
        "P21",
        "A larger n never helps, from anywhere",
        "From every query, one update with n > 0 is at least as far from a pattern as the dense one.",
        _FOLKLORE,
        "false",
        Kind.POINTWISE,
        (Implication("dense is closest", _less_noop_is_closer_anywhere),),
        instead=("T10",),
    ),
    Statement(
        "P22",
        "A larger n never helps at the pattern",
        "From the pattern itself, one update with n > 0 is at least as far from it as the dense one.",
        _FOLKLORE,
        "false",
        Kind.POINTWISE,
        (Implication("dense is closest", _less_noop_is_closer, uses=_NO_QUERY),),
        instead=("T10",),
    ),
    Statement(
        "P23",
        "CCCP converges to the nearest pattern",
        "With patterns of equal norm, no pattern is closer to the limit of an orbit than the one closest to its query.",
        _FOLKLORE,
        "false",
        Kind.FIXED_POINT,
        (Implication("of equal norms, dense", _limit_nearest, _query_nearest, min_patterns=2, given=_SCALED),),
        instead=("T12",),
    ),
    Statement(
        "P24",
        "The certified ball is the whole basin",
        "A query farther from a pattern than every radius that T12 certifies does not end in the ball that "
        "it certifies.",
        _FOLKLORE,
        "false",
        Kind.FIXED_POINT,
        (
            Implication(
                "ends elsewhere",
                _runs_elsewhere,
                _outside_the_certified,
                uses=("patterns", "beta", "noop", "query", "ball"),
            ),
        ),
        instead=("T12",),
    ),
    Statement(
        "P25",
        "Success is monotone in β",
        "With patterns of equal norm m, a pattern whose fixed point is within m/2 of it at β is so at 2β too.",
        _FOLKLORE,
        "false",
        Kind.FIXED_POINT,
        (
            Implication(
                "of equal norms, dense", _success_at_twice, _success_now, uses=_NO_QUERY, min_patterns=2, given=_SCALED
            ),
        ),
        instead=("T18",),
    ),
    Statement(
        "P26",
        "Adding a pattern never helps another",
        "With patterns of equal norm, the fixed point reached from a pattern is no closer to it after one "
        "more is added.",
        _FOLKLORE,
        "false",
        Kind.FIXED_POINT,
        (
            Implication(
                "of equal norms, dense",
                _adding_does_not_help,
                _all_of_equal_norms,
                uses=_NO_QUERY,
                min_patterns=2,
                given=_SCALED,
            ),
        ),
        instead=("T19",),
    ),
)
