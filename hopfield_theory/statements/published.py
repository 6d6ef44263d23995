"""P1 to P36: claims of the literature, read literally; where one fails, the statements that hold are named.

P1 to P6 are readings of 'tighter retrieval error' with a no-op slot, P7 to P14 are about the dense model and its
energy, P15 to P18 about sparse retrieval, P19 to P26 about such memories in general, P27 to P30 about the no-op slot
and attention, P31 to P33 about the outliers of trained models, P34 about how the slot is computed, P35 and P36 about
capacity. Where a weak and a strong reading of a claim have different verdicts, each is a separate statement. The claims
are stated from the papers' abstracts and from memory, not from their full texts; each source says so.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

from hopfield_theory.statements import energy, heads, one_update, random_memories, storage, table1
from hopfield_theory.statements.dynamics import Dynamics
from hopfield_theory.statements.statement import (
    IN_BALL,
    MOVED,
    NO_STATE,
    NO_STATE_IN_BALL,
    ONE,
    TWO,
    Calculation,
    Implication,
    Instance,
    Kind,
    Statement,
    has_direction,
    has_noop,
)

__all__ = ["STATEMENTS"]

_MEMORY = "stated from memory"
_RAMSAUER = "Ramsauer et al. 2021, arXiv:2008.02217"
_HU_SPARSE = "Hu et al. 2023, arXiv:2309.12673"
_HU = "Hu et al. 2024, arXiv:2404.03828"
_RAN_MILO = "Ran-Milo 2026, arXiv:2603.11487"
_FOLKLORE = "said of such memories in general"


# --- 'tighter retrieval error' (P1 to P6) ---


def _closer_than_dense(i: Instance, x: Any) -> Any:
    """Return the distance of one update of x from the pattern without the no-op slot, minus that with it."""
    target = i.patterns[0]
    return (i.xp.norm(i.dense.update(x) - target) - i.xp.norm(i.dynamics.update(x) - target)) / i.dynamics.length()


def _fixed_point_not_farther(i: Instance) -> Any:
    target, d = i.patterns[0], i.dynamics
    return (i.xp.norm(i.dense.first_fixed_point - target) - i.xp.norm(d.first_fixed_point - target)) / d.length()


def _classified_not_farther(i: Instance, noop: float) -> Any:
    """Return the error of one update with the outliers kept, minus the error with them collapsed to mass n."""
    kept = Dynamics(i.xp.rows(i.patterns, i.outliers), i.beta, i.xp.number(0.0), i.xp)
    collapsed = Dynamics(i.patterns, i.beta, i.xp.number(noop), i.xp)
    x, target = i.query, i.patterns[0]
    return (i.xp.norm(kept.update(x) - target) - i.xp.norm(collapsed.update(x) - target)) / kept.length()


def _bound_not_larger(i: Instance) -> Any:
    d = i.dense
    return (2 * d.radius * i.xp.sum(d.weights(i.query)[1:]) - one_update.by_weights(i)) / d.length()


# --- the dense model (P7 to P14); N patterns, M their largest norm ---


def _shorter(i: Instance) -> Any:
    return (i.xp.norm(i.query) - i.xp.norm(i.dynamics.update(i.query))) / i.dynamics.length(i.query)


def _well_separated(i: Instance, others: bool = True, logarithm: bool = True) -> list[Any]:
    """Return the slacks of ``M > 0`` and of ``Δ ≥ 2/(βN) + ln(2(N − 1)NβM²)/β``."""
    d, count = i.dense, len(i.patterns)
    kappa = d.beta * d.radius * d.radius
    rest = count - 1 if others else 1
    needed = 2 / i.xp.number(count) + (i.xp.log(2 * rest * count * kappa) if logarithm else 0)
    return [d.radius / d.length(), (d.beta * d.gap - needed) / (1 + kappa)]


def _image_of_small_ball(i: Instance, share: float = 1.0) -> Any:
    """Return the radius ``share/(βNM)`` of a ball minus the distance at which T maps one of its points."""
    d = i.dense
    ball = share / (d.beta * d.count * d.radius)
    x = d.in_ball(ball, i.other)
    return (ball - i.xp.norm(d.update(x) - i.patterns[0])) / d.length(x)


def _contraction_in_small_ball(i: Instance) -> Any:
    d = i.dense
    ball = 1 / (d.beta * d.count * d.radius)
    x, y = d.in_ball(ball, i.query), d.in_ball(ball, i.other)
    return (i.xp.norm(x - y) - i.xp.norm(d.update(x) - d.update(y))) / d.length(x, y)


def _jacobian_bound(i: Instance, *states: Any, factor: float = 2.0, reach: float = 2.0, others: bool = True) -> Any:
    """Return ``2βNM²(N − 1) exp(−β(Δ − 2M max ‖x − ξ‖))``."""
    d = i.dense
    distance = i.xp.max(i.xp.stack([i.xp.norm(x - i.patterns[0]) for x in states]))
    size = factor * d.beta * d.count * d.radius * d.radius * (d.count - 1 if others else 1)
    return size * i.xp.exp(-d.beta * (d.gap - reach * d.radius * distance))


def _between_two_states(i: Instance, **variant: Any) -> Any:
    d, x, y = i.dense, i.query, i.other
    bound = _jacobian_bound(i, x, y, **variant)
    return (bound * i.xp.norm(x - y) - i.xp.norm(d.update(x) - d.update(y))) / d.length(x, y)


def _at_a_state(i: Instance) -> Any:
    d, along = i.dense, i.other / i.xp.norm(i.other)
    kappa = d.beta * d.radius * d.radius
    return (_jacobian_bound(i, i.query) - d.beta * d.covariance(i.query, along)) / (1 + kappa)


def _error_bound(i: Instance, others: bool = True, power: float = 1.0) -> Any:
    """Return ``2e(N − 1)M exp(−βΔ)``."""
    d = i.dense
    return 2.0 * (d.count - 1 if others else 1) * d.radius * i.xp.exp(power - d.beta * d.gap)


def _near(i: Instance, x: Any, share: float = 1.0) -> list[Any]:
    """Return the slacks of ``M > 0`` and of ``‖x − ξ‖ ≤ share/(2βM)``."""
    d = i.dense
    return [d.radius / d.length(), (share / (2 * d.beta * d.radius) - i.xp.norm(x - i.patterns[0])) / d.length(x)]


def _near_query(i: Instance, share: float = 1.0) -> list[Any]:
    return _near(i, i.query, share)


def _one_update_error(i: Instance, slot: bool = False, **variant: Any) -> Any:
    d = i.dynamics if slot else i.dense
    return (_error_bound(i, **variant) - i.xp.norm(d.update(i.query) - i.patterns[0])) / d.length()


def _fixed_point_error(i: Instance) -> Any:
    d, target = i.dense, i.patterns[0]
    return (_error_bound(i) - i.xp.norm(d.first_fixed_point - target)) / d.length()


def _energy_not_negative(i: Instance, constant: bool = True) -> Any:
    """Return the dense energy, relative to its scale, with or without ``β⁻¹ ln N``."""
    d = i.dense
    shift = 0 if constant else i.xp.log(i.xp.number(d.count)) / d.beta
    return (d.energy(i.query) - shift) / d.square(i.query)


def _energy_at_most(i: Instance, share: float = 2.0) -> Any:
    """Return ``2M²`` minus the dense energy, relative to its scale."""
    d = i.dense
    return (share * d.radius * d.radius - d.energy(i.query)) / d.square(i.query)


def _inside(i: Instance) -> list[Any]:
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


def _sparse_bound(i: Instance, first: float = 1.0, inverse: float = 1.0) -> Any:
    """Return ``m + √d m β[k(max s − s_(k)) + 1/β]`` minus the sparse error, for k patterns of positive weight."""
    d = i.dense
    scores, above = i.xp.descending(d.scores(i.query)), i.xp.descending(d.sparse_weights(i.query))
    best, last, support = scores[0], scores[0], i.xp.number(1.0)
    for k in range(1, d.count):
        last = i.xp.if_positive(above[k], scores[k], last)
        support = i.xp.if_positive(above[k], i.xp.number(float(k + 1)), support)
    root = i.xp.sqrt(i.xp.number(float(i.patterns.shape[1])))
    bound = first * d.radius + root * d.radius * (support * (best - last) + inverse)
    return (bound - _sparse_error(i)) / (d.length() + bound)


def _stored_overlap(i: Instance) -> Any:
    d, first = i.dense, i.patterns[0]
    exponent = first @ i.query - i.xp.max(i.patterns[1:] @ first)
    bound = 2 * d.radius * (d.count - 1) * i.xp.exp(-d.beta * exponent)
    return (bound - i.xp.norm(d.update(i.query) - first)) / d.length()


# --- such memories in general (P19 to P26) ---


def _bare_energy_not_above_dense(i: Instance, shift: bool = False) -> Any:
    """Return the dense energy minus that with the slot, without their constants."""
    x, d = i.query, i.dynamics
    gained = (d.log_partition(x) - i.dense.log_partition(x)) / d.beta
    shifted = (i.xp.log(d.noop + d.count) - i.xp.log(i.xp.number(d.count))) / d.beta if shift else 0
    return (gained - shifted) / d.square(x)


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
    return _nearest(i, _of_equal_norms(i, i.patterns, i.beta).fixed_point(i.query))


def _outside_the_certified(i: Instance) -> list[Any]:
    d = i.dynamics
    distance = i.xp.norm(i.query - i.patterns[0])
    beyond = [(distance - i.ball) / d.length(), (d.displacement(distance) - distance) / d.length(i.query)]
    return [*storage.passes(i), *beyond]


def _runs_elsewhere(i: Instance) -> Any:
    d = i.dynamics
    return (i.xp.norm(d.fixed_point(i.query) - i.patterns[0]) - i.ball) / d.length()


def _success(i: Instance, factor: float = 1.0) -> Any:
    d = _of_equal_norms(i, i.patterns, factor * i.beta)
    return (d.radius / 2 - i.xp.norm(d.first_fixed_point - d.patterns[0])) / d.length()


def _adding_does_not_help(i: Instance) -> Any:
    more, fewer = (_of_equal_norms(i, p, i.beta) for p in (i.patterns, i.patterns[:-1]))
    target = more.patterns[0]
    return (i.xp.norm(more.first_fixed_point - target) - i.xp.norm(fewer.first_fixed_point - target)) / more.length()


_OUTLIERS = ("patterns", "beta", "query", "outliers")

# --- the no-op slot, and attention (P27 to P30) ---


def _rests_at_zero(i: Instance) -> Any:
    d = i.dynamics
    return -i.xp.norm(d.update(0 * i.patterns[0])) / d.radius


def _zero_stays_unmatched(i: Instance) -> Any:
    """Return by how much the no-op slot outweighs the patterns at the limit of zero."""
    d = i.dynamics
    return 2 * d.noop_weight(d.fixed_point(0 * i.patterns[0])) - 1


def _lipschitz(i: Instance, rate: float = 1.0, mean: bool = False) -> Any:
    d, x, y = i.dynamics, i.query, i.other
    change = d.scores(x) - d.scores(y)
    reach = i.xp.norm(change) / i.xp.sqrt(i.xp.number(d.count)) if mean else i.xp.max(i.xp.abs(change))
    return rate * reach - i.xp.sum(i.xp.abs(d.weights(x) - d.weights(y)))


def _all_on_the_first(i: Instance, empty: bool = False, share: float = 1.0, slot: bool = False) -> Any:
    """Return ``‖T(x)‖ − a(1 − p_1)``, where the value of the first token may be 0."""
    d = i.dynamics if slot else i.dense
    weights, [least, _] = d.weights(i.query), heads.components(i, i.other)
    answer = weights[1:] @ i.patterns[1:] if empty else weights @ i.patterns
    return (i.xp.norm(answer) - share * least * (1 - weights[0])) / d.length()


_on_an_empty_first = partial(_all_on_the_first, empty=True)


def _one_after_the_shift(i: Instance) -> Any:
    """Return minus by how much the null weight of n = 1 changes if the 1 is added after the shift."""
    d = Dynamics(i.patterns, i.beta, i.xp.number(1.0), i.xp)
    scores = d.scores(i.query)
    return -i.xp.abs(1 / (1 + i.xp.sum(i.xp.exp(scores - i.xp.max(scores)))) - d.noop_weight(i.query))


def _passes_without_the_slot(i: Instance) -> list[Any]:
    return [i.noop, *storage.passes(replace(i, noop=0 * i.noop))]


def _passes_with_the_slot(i: Instance) -> Any:
    return i.xp.min(i.xp.stack(storage.passes(i)))


# --- outliers of trained models (P31 to P33) ---

_PLAIN = table1.PAIRS[:1]
_HEADLINE = f"'22+%' and '26+%' in the abstract of {_HU}"
_KURTOSIS, _NORM = Fraction(22, 100), Fraction(26, 100)


STATEMENTS = (
    Statement(
        name="P1",
        said_as="reading",
        title="The strong claim of a tighter error",
        claim=(
            "On the same memory, for every n > 0, one OutEffHop update is never farther from a pattern than the "
            "dense one: ‖T_n(x) − ξ_μ‖ ≤ ‖T_0(x) − ξ_μ‖."
        ),
        formula=r"\|T_n(x)-\xi_\mu\|\le\|T_0(x)-\xi_\mu\|",
        source=f"the strongest reading of 'tighter retrieval error' in {_HU}",
        proof="false",
        why="One pattern is retrieved exactly without the slot, and with an error m p₀ with it.",
        parts=(Implication("never farther", lambda i: _closer_than_dense(i, i.query), has_noop),),
        instead=("T10", "T11"),
        experiment="closeness",
        figure="closeness",
    ),
    Statement(
        name="P2",
        said_as="reading",
        title="A tighter error at the fixed point",
        claim=(
            "On the same memory, for every n > 0, the fixed point reached from a pattern is never farther from it "
            "than the dense model's."
        ),
        formula=r"\|x^*_n-\xi_\mu\|\le\|x^*_0-\xi_\mu\|",
        source=f"a reading of 'tighter retrieval error' in {_HU}",
        proof="false",
        why="One pattern again: the slot draws its fixed point towards 0.",
        kind=Kind.FIXED_POINT,
        parts=(Implication("never farther", _fixed_point_not_farther, has_noop, uses=NO_STATE),),
        instead=("T10", "T12"),
    ),
    Statement(
        name="P3",
        said_as="reading",
        title="A tighter error with the outliers classified",
        claim=(
            "If a memory also holds K ≥ 1 no-op patterns, one update with them collapsed (to one slot, or to one "
            "slot each) is never farther from a pattern than one with them kept."
        ),
        formula=r"\|T_n(x;\Xi)-\xi_\mu\|\le\|T_0(x;\Xi\cup Z)-\xi_\mu\|,\quad n\in\{1,K\}",
        source=f"a reading of 'tighter retrieval error' in {_HU}",
        proof="false",
        why="An outlier that the query does not meet takes less weight than the slot that replaces it.",
        parts=(
            Implication("one slot, n = 1", partial(_classified_not_farther, noop=1.0), uses=_OUTLIERS),
            Implication(
                "a slot each, n = K", lambda i: _classified_not_farther(i, float(len(i.outliers))), uses=_OUTLIERS
            ),
        ),
        instead=("T11",),
        experiment="outliers",
        figure="outliers",
    ),
    Statement(
        name="P4",
        said_as="reading",
        title="A tighter bound on the same memory",
        claim="For every n > 0 the bound m(2a + n)/(S + n) on the error of one update is at most the dense one, 2ma/S.",
        formula=r"\frac{m(2a+n)}{S+n}\le\frac{2ma}{S}",
        source=f"Theorem 3.2 of {_HU}, a comparison of bounds by the authors' page, read for the bounds of T9",
        proof="false",
        why=(
            "The bounds differ by the sign of S − 2a: that with the slot is the lower one exactly where a > S/2, "
            "the pattern having the smaller half of the weight: there dense retrieval fails already (T11, S_out = 0)."
        ),
        parts=(Implication("never larger", _bound_not_larger, has_noop),),
        instead=("T11",),
    ),
    Statement(
        name="P5",
        said_as="reading",
        title="A tighter bound with the outliers classified",
        claim=(
            "For every n > 0 and every set of outliers no longer than the patterns, the bound on the error of one "
            "update with the outliers collapsed is at most the bound with them kept."
        ),
        formula=r"\frac{m(2a+n)}{S+n}\le\frac{2ma+2mS_{out}}{S+S_{out}}",
        source=f"a reading of 'tighter retrieval error' in {_HU}",
        proof="false",
        why="It fails wherever S_out is below the threshold of T11.",
        parts=(Implication("never larger", one_update.classifying_wins, has_noop, uses=(*_OUTLIERS, "noop")),),
        instead=("T11",),
    ),
    Statement(
        name="P6",
        said_as="reading",
        title="The dense error bound with a no-op slot",
        claim=(
            "With N ≥ 2 patterns of norm at most M and Softmax_n in place of softmax, ‖T_n(x) − ξ‖ ≤ 2e(N − 1)M "
            "e^{−βΔ} where ‖x − ξ‖ ≤ 1/(2βM)."
        ),
        formula=r"\|T_n(x)-\xi\|\le2e(N-1)Me^{-\beta\Delta}\quad(\|x-\xi\|\le\tfrac{1}{2\beta M})",
        source=f"the bounds of dense retrieval read as inherited by {_HU}; {_MEMORY}",
        proof="false",
        why="T9 adds m n e^{−β⟨ξ,x⟩}, which no gap makes small.",
        parts=(
            Implication(
                "one update", partial(_one_update_error, slot=True), lambda i: [i.noop, *_near_query(i)], min_patterns=2
            ),
        ),
        instead=("T9", "T12"),
    ),
    Statement(
        name="P7",
        said_as="printed theorem",
        title="Monotone decrease",
        claim="An update never raises the energy: E(Tx) ≤ E(x).",
        formula=r"E(Tx)\le E(x)",
        source=f"Lemma 2.1 of {_HU}, as on the authors' page",
        proof="proved here",
        why="T3.",
        parts=(Implication("never rises", energy.decrease),),
        near_misses=(
            Implication("by more than half the squared step", partial(energy.decrease, half=0.525)),
            Implication("the dense update", partial(energy.decrease, dense=True)),
            Implication("the norm as well", _shorter),
        ),
        instead=("T3",),
    ),
    Statement(
        name="P8",
        said_as="printed theorem",
        title="Convergence to stationary points",
        claim=(
            "Every limit point of an orbit is stationary. Checked by what forces it: of τ steps the least squared is"
            " at most 2E(x_0)/τ."
        ),
        formula=r"\|x_{t+1}-x_t\|\to0",
        source=f"Theorem 3.1 of {_HU}, as on the authors' page",
        proof="proved here",
        why="T5; T6 for the whole sequence.",
        kind=Kind.ASYMPTOTIC,
        parts=(Implication("steps become short", partial(energy.rate, fall=False)),),
        near_misses=(
            Implication("1.9 for 2, one step", partial(energy.rate, factor=1.9, steps=1, fall=False)),
            Implication("the largest step for the least", partial(energy.rate, fall=False, largest=True)),
            Implication("0.95 for 2, two steps", partial(energy.rate, factor=0.95, steps=2, fall=False)),
        ),
        instead=("T5", "T6"),
    ),
    Statement(
        name="P9",
        said_as="reading",
        title="Exponential capacity at every β",
        claim=(
            "With probability 1 − p at least √p c^{(d−1)/4} random patterns on the sphere of radius K√(d − 1) are "
            "stored, for every β and K that satisfy c ≥ (2/√p)^{4/(d−1)}."
        ),
        formula=r"M\ge\sqrt p\,c^{(d-1)/4}\quad\text{for every }\beta,K",
        source=f"Theorem 3 of {_RAMSAUER}, read without any condition on κ = βm²; {_HU}, for n = 1; {_MEMORY}",
        proof="false",
        why=(
            "For κ < 1 the update contracts the whole space to one fixed point (T7), and the bound promises patterns"
            " there."
        ),
        kind=Kind.PROBABILISTIC,
        parts=random_memories.PUBLISHED_AT_SMALL_KAPPA,
        instead=("C1", "C2", "C3", "T7"),
        closed_form="bounds.union.published",
    ),
    Statement(
        name="P10",
        said_as="recalled wording",
        title="Well separation gives a fixed point near the pattern",
        claim=(
            "In the dense model, if Δ ≥ 2/(βN) + β⁻¹ ln(2(N − 1)NβM²), T maps the ball of radius 1/(βNM) around the "
            "pattern into itself and brings any two of its points closer together."
        ),
        formula=(
            r"\Delta\ge\frac{2}{\beta N}+\frac1\beta\ln(2(N-1)N\beta "
            r"M^2)\;\Longrightarrow\;T\bigl(B(\xi,\tfrac{1}{\beta NM})\bigr)\subseteq B(\xi,\tfrac{1}{\beta NM})"
        ),
        source=f"{_RAMSAUER}, appendix; {_MEMORY}",
        proof="proved here",
        why=(
            "On the small ball e^{−β(Δ − 2MR)} ≤ 1/(2(N − 1)NβM²): T9 maps it into itself, and the second moment "
            "about ξ bounds the Jacobian by 2/N ≤ 1."
        ),
        proved_in="docs/retrieval-proofs.md#p10-well-separation-n--0-n-patterns-m-their-largest-norm",
        kind=Kind.FIXED_POINT,
        parts=(
            Implication("image of the ball", _image_of_small_ball, _well_separated, uses=MOVED, min_patterns=2),
            Implication("contraction", _contraction_in_small_ball, _well_separated, uses=TWO, min_patterns=2),
        ),
        near_misses=(
            Implication(
                "ball half as large",
                partial(_image_of_small_ball, share=0.5),
                _well_separated,
                uses=MOVED,
                min_patterns=2,
            ),
            Implication(
                "N − 1 left out",
                _image_of_small_ball,
                partial(_well_separated, others=False),
                uses=MOVED,
                min_patterns=2,
            ),
            Implication(
                "without the logarithm",
                _image_of_small_ball,
                partial(_well_separated, logarithm=False),
                uses=MOVED,
                min_patterns=2,
            ),
        ),
        instead=("T12",),
    ),
    Statement(
        name="P11",
        said_as="recalled wording",
        title="One update",
        claim=(
            "In the dense model the mean Jacobian between x and y has norm at most 2βNM²(N − 1) exp(−β(Δ − 2M max{‖x"
            " − ξ‖, ‖y − ξ‖})). Checked as ‖Tx − Ty‖ ≤ bound ‖x − y‖, and for y → x."
        ),
        formula=r"\|J^m\|\le2\beta NM^2(N-1)\,e^{-\beta(\Delta-2M\max\{\|x-\xi\|,\|y-\xi\|\})}",
        source=f"Theorem 4 of {_RAMSAUER}; {_MEMORY}",
        proof="proved here",
        why=(
            "Between x and y every other weight is at most e^{−β(Δ − 2Mr)}, with r the larger distance; so ‖J‖ ≤ "
            "4βM² Σ p_ν (T7), and 4 ≤ 2N."
        ),
        proved_in="docs/retrieval-proofs.md#p11-and-p12-one-update-n--0",
        parts=(
            Implication("between two states", _between_two_states, uses=TWO, min_patterns=2),
            Implication("at a state", _at_a_state, has_direction, uses=TWO, min_patterns=2),
        ),
        near_misses=(
            Implication("2 a twentieth smaller", partial(_between_two_states, factor=1.9), uses=TWO, min_patterns=2),
            Implication("M for 2M in the exponent", partial(_between_two_states, reach=1.0), uses=TWO, min_patterns=2),
            Implication("N − 1 left out", partial(_between_two_states, others=False), uses=TWO, min_patterns=2),
        ),
        instead=("T7", "T12"),
    ),
    Statement(
        name="P12",
        said_as="recalled wording",
        title="Retrieval error",
        claim=(
            "In the dense model, where ‖x − ξ‖ ≤ 1/(2βM), one update errs by at most 2e(N − 1)M e^{−βΔ}; so does the"
            " fixed point reached from the pattern if it is as near."
        ),
        formula=r"\|T_0(x)-\xi\|\le2e(N-1)Me^{-\beta\Delta}\quad(\|x-\xi\|\le\tfrac{1}{2\beta M})",
        source=f"Theorem 5 of {_RAMSAUER}; {_MEMORY}",
        proof="proved here",
        why="T9, where 2Mβ‖x − ξ‖ ≤ 1; a fixed point is its own update.",
        proved_in="docs/retrieval-proofs.md#p11-and-p12-one-update-n--0",
        kind=Kind.FIXED_POINT,
        parts=(
            Implication("one update", _one_update_error, _near_query, min_patterns=2),
            Implication(
                "fixed point",
                _fixed_point_error,
                lambda i: _near(i, i.dense.first_fixed_point),
                uses=NO_STATE,
                min_patterns=2,
            ),
        ),
        near_misses=(
            Implication("e left out", partial(_one_update_error, power=0.0), _near_query, min_patterns=2),
            Implication("N − 1 left out", partial(_one_update_error, others=False), _near_query, min_patterns=2),
            Implication("twice as far", _one_update_error, partial(_near_query, share=2.0), min_patterns=2),
        ),
        instead=("T9", "T12"),
    ),
    Statement(
        name="P13",
        said_as="recalled wording",
        title="Energy bounds of bounded states",
        claim="The dense energy is at least 0, and at most 2M² on ‖x‖ ≤ M.",
        formula=r"0\le E(x)\le2M^2\quad(\|x\|\le M)",
        source=f"{_RAMSAUER}; {_MEMORY}",
        proof="proved here",
        why="T1 with n = 0.",
        parts=(
            Implication("at least 0", _energy_not_negative),
            Implication("at most 2M²", _energy_at_most, _inside),
        ),
        near_misses=(
            Implication("1.9 M² for 2 M²", partial(_energy_at_most, share=1.9), _inside),
            Implication("without ln N", partial(_energy_not_negative, constant=False)),
            Implication("outside the ball", _energy_at_most),
        ),
        instead=("T1",),
    ),
    Statement(
        name="P14",
        said_as="reading",
        title="Energy bounds of all states",
        claim="The dense energy is at most 2M² at every state.",
        formula=r"E(x)\le2M^2",
        source=f"the strong reading of the energy bounds of {_RAMSAUER}; {_MEMORY}",
        proof="false",
        why="½‖x‖² outgrows every bound.",
        parts=(Implication("at most 2M²", _energy_at_most),),
        instead=("T1",),
    ),
    Statement(
        name="P15",
        said_as="reading",
        title="Sparse retrieval is never farther, from anywhere",
        claim="From every query, one sparsemax update is at most as far from a pattern as the softmax update.",
        formula=r"\|T_{sparse}(x)-\xi_\mu\|\le\|T_0(x)-\xi_\mu\|",
        source=f"the strong reading of 'tighter than its dense analog' in {_HU_SPARSE}",
        proof="false",
        why="Sparsemax commits to the pattern that overlaps most, which may be another.",
        parts=(Implication("never farther", _sparse_not_farther),),
        instead=("T16",),
        experiment="noise",
        figure="noise",
    ),
    Statement(
        name="P16",
        said_as="reading",
        title="Sparse retrieval is never farther from the best match",
        claim=(
            "From every query that overlaps most with ξ, one sparsemax update is at most as far from ξ as the "
            "softmax update."
        ),
        formula=r"\langle\xi_\mu,x\rangle=\max_\nu\langle\xi_\nu,x\rangle\;\Longrightarrow\;\|T_{sparse}(x)-\xi_\mu\|\le\|T_0(x)-\xi_\mu\|",
        source=f"a weaker reading of 'tighter than its dense analog' in {_HU_SPARSE}",
        proof="false",
        why="Softmax balances rivals on opposite sides of the pattern, of which sparsemax keeps one.",
        parts=(Implication("never farther", _sparse_not_farther, _best_match, min_patterns=2),),
        instead=("T16",),
        experiment="noise",
        figure="noise",
    ),
    Statement(
        name="P17",
        said_as="recalled wording",
        title="Error of sparse retrieval",
        claim=(
            "With k patterns of positive weight and s = Ξx in falling order, one sparsemax update errs by at most m "
            "+ √d mβ[k(s_(1) − s_(k)) + 1/β]. That is at least 2m, which no update can exceed."
        ),
        formula=r"\|T_{sparse}(x)-\xi_\mu\|\le m+\sqrt d\,m\beta\bigl[k(s_{(1)}-s_{(k)})+\tfrac1\beta\bigr]",
        source=f"{_HU_SPARSE}; {_MEMORY}",
        proof="proved here",
        why="The bound is at least m + √d m ≥ 2m, and no average of patterns is farther than 2m from ξ.",
        proved_in="docs/retrieval-proofs.md#p17-the-bound-on-sparse-retrieval",
        parts=(Implication("error", _sparse_bound),),
        near_misses=(
            Implication("m a twentieth smaller", partial(_sparse_bound, first=0.95)),
            Implication("1/β left out", partial(_sparse_bound, inverse=0.0)),
            Implication("half of 1/β", partial(_sparse_bound, inverse=0.5)),
        ),
        instead=("T16",),
    ),
    Statement(
        name="P18",
        said_as="recalled wording",
        title="Dense error by stored overlaps",
        claim="From every query, one dense update errs by at most 2m(M − 1) exp(−β(⟨ξ_μ, x⟩ − max_{ν≠μ} ⟨ξ_μ, ξ_ν⟩)).",
        formula=r"\|T_0(x)-\xi_\mu\|\le2m(M-1)\,e^{-\beta(\langle\xi_\mu,x\rangle-\max_{\nu\ne\mu}\langle\xi_\mu,\xi_\nu\rangle)}",
        source=f"the dense bound that {_HU_SPARSE} compares with, read literally; {_MEMORY}",
        proof="false",
        why="Away from the pattern the overlaps of the query with the others count, not those of the patterns.",
        parts=(Implication("one update", _stored_overlap, min_patterns=2),),
        instead=("T9",),
    ),
    Statement(
        name="P19",
        said_as="folklore",
        title="The energy lies below the dense energy",
        claim="At every state E_n(x) ≤ E_0(x), each with the constant that makes it at least 0.",
        formula=r"E_n(x)\le E_0(x)",
        source=_FOLKLORE,
        proof="false",
        why="T17: it fails wherever S > M.",
        parts=(Implication("with constants", energy.below_dense),),
        instead=("T17",),
    ),
    Statement(
        name="P20",
        said_as="folklore",
        title="The bare energy lies below the dense energy",
        claim="At every state ½‖x‖² − lse_n(β, Ξx) ≤ ½‖x‖² − lse_0(β, Ξx).",
        formula=r"-\mathrm{lse}_n(\beta,\Xi x)\le-\mathrm{lse}_0(\beta,\Xi x)",
        source=_FOLKLORE,
        proof="proved here",
        why="log(n + S) ≥ log S.",
        parts=(Implication("without constants", _bare_energy_not_above_dense),),
        near_misses=(
            Implication("with constants", energy.below_dense),
            Implication("with the slot's share of them", partial(_bare_energy_not_above_dense, shift=True)),
            Implication("the other way round", lambda i: -_bare_energy_not_above_dense(i)),
        ),
        instead=("T17",),
    ),
    Statement(
        name="P21",
        said_as="folklore",
        title="A larger n never helps, from anywhere",
        claim="From every query, one update with n > 0 is at least as far from a pattern as the dense one.",
        formula=r"\|T_n(x)-\xi_\mu\|\ge\|T_0(x)-\xi_\mu\|",
        source=_FOLKLORE,
        proof="false",
        why="Where the dense answer overshoots, a shorter one is closer (T10).",
        parts=(Implication("dense is closest", lambda i: -_closer_than_dense(i, i.query)),),
        instead=("T10",),
        experiment="closeness",
        figure="closeness",
    ),
    Statement(
        name="P22",
        said_as="folklore",
        title="A larger n never helps at the pattern",
        claim="From the pattern itself, one update with n > 0 is at least as far from it as the dense one.",
        formula=r"\|T_n(\xi_\mu)-\xi_\mu\|\ge\|T_0(\xi_\mu)-\xi_\mu\|",
        source=_FOLKLORE,
        proof="false",
        why="A longer pattern beside the first draws the dense answer beyond it (T10).",
        parts=(Implication("dense is closest", lambda i: -_closer_than_dense(i, i.patterns[0]), uses=NO_STATE),),
        instead=("T10",),
    ),
    Statement(
        name="P23",
        said_as="folklore",
        title="CCCP converges to the nearest pattern",
        claim=(
            "With patterns of equal norm, no pattern is closer to the limit of an orbit than the one closest to its "
            "query."
        ),
        formula=r"\|x-\xi_\mu\|=\min_\nu\|x-\xi_\nu\|\;\Longrightarrow\;\|x^*-\xi_\mu\|=\min_\nu\|x^*-\xi_\nu\|",
        source=_FOLKLORE,
        proof="false",
        why="A crowd of other patterns may draw the orbit past the nearest one.",
        kind=Kind.FIXED_POINT,
        parts=(
            Implication("of equal norms, dense", _limit_nearest, _query_nearest, min_patterns=2, given=storage.SCALED),
        ),
        instead=("T12",),
    ),
    Statement(
        name="P24",
        said_as="folklore",
        title="The certified ball is the whole basin",
        claim=(
            "A query farther from a pattern than every radius that T12 certifies does not end in the ball that it "
            "certifies."
        ),
        formula=r"\|x-\xi\|>R_{certified}\;\Longrightarrow\; x^*\notin B(\xi,R_{certified})",
        source=_FOLKLORE,
        proof="false",
        why="The certificate is sufficient, not necessary.",
        kind=Kind.FIXED_POINT,
        parts=(
            Implication(
                "ends elsewhere",
                _runs_elsewhere,
                _outside_the_certified,
                uses=IN_BALL,
            ),
        ),
        instead=("T12",),
        experiment="basins",
        figure="basins",
    ),
    Statement(
        name="P25",
        said_as="folklore",
        title="Success is monotone in β",
        claim="With patterns of equal norm m, a pattern whose fixed point is within m/2 of it at β is so at 2β too.",
        formula=r"\|x^*_\beta-\xi\|\le\tfrac m2\;\Longrightarrow\;\|x^*_{2\beta}-\xi\|\le\tfrac m2",
        source=_FOLKLORE,
        proof="false",
        why="At small β the pattern profits from patterns on both sides; at larger β it goes to one of them.",
        kind=Kind.FIXED_POINT,
        parts=(
            Implication(
                "of equal norms, dense",
                partial(_success, factor=2.0),
                lambda i: [_all_nonzero(i), _success(i)],
                uses=NO_STATE,
                min_patterns=2,
                given=storage.SCALED,
            ),
        ),
        instead=("T18",),
    ),
    Statement(
        name="P26",
        said_as="folklore",
        title="Adding a pattern never helps another",
        claim=(
            "With patterns of equal norm, the fixed point reached from a pattern is no closer to it after one more "
            "is added."
        ),
        formula=r"\|x^*(\Xi\cup\{\xi'\})-\xi\|\ge\|x^*(\Xi)-\xi\|",
        source=_FOLKLORE,
        proof="false",
        why="A pattern on the other side balances one that draws.",
        kind=Kind.FIXED_POINT,
        parts=(
            Implication(
                "of equal norms, dense",
                _adding_does_not_help,
                lambda i: [_all_nonzero(i)],
                uses=NO_STATE,
                min_patterns=2,
                given=storage.SCALED,
            ),
        ),
        instead=("T19",),
    ),
    Statement(
        name="P27",
        said_as="sentence",
        title="A no-op query rests at zero",
        claim=(
            "For n > 0, a query that overlaps with no pattern stays at zero, the zero-energy point: T(0) = 0; or it "
            "ends where the no-op slot outweighs the patterns together."
        ),
        formula=r"T(0)=0",
        source=f"'zero-energy point' of {_HU}, on the authors' page, read for the dynamics",
        proof="false",
        why=(
            "T(0) = Σ_ν ξ_ν/(M + n), which vanishes for centred patterns alone. Even there zero attracts only where "
            "the spectral radius of β Cov is below 1."
        ),
        parts=(
            Implication("zero is at rest", _rests_at_zero, has_noop, uses=NO_STATE),
            Implication("the slot outweighs the patterns at the limit", _zero_stays_unmatched, has_noop, uses=NO_STATE),
        ),
        instead=("T20", "T21"),
    ),
    Statement(
        name="P28",
        said_as="recalled wording",
        title="Weights are 1-Lipschitz",
        claim=(
            "In the ℓ1 norm the weights p on the patterns change by at most the largest change of a score z: ‖p(z) − "
            "p(z′)‖₁ ≤ ‖z − z′‖_∞, for every n ≥ 0."
        ),
        formula=r"\|p(z)-p(z')\|_1\le\|z-z'\|_\infty",
        source=f"FROST, arXiv:2601.19001; {_MEMORY}",
        proof="proved here",
        why=(
            "For signs ε_ν the Jacobian diag(p) − pp⊤ gives ‖·‖₁ = Σ p_ν|ε_ν − Σ p_j ε_j|. With P and Q the masses of "
            "+ and −, that is P + Q − (P − Q)² ≤ 1, and the norm is convex in ε: the extreme points are signs."
        ),
        parts=(Implication("weights", _lipschitz, uses=TWO),),
        near_misses=(
            Implication("a twentieth less", partial(_lipschitz, rate=0.95), uses=TWO),
            Implication("half, as from ℓ2 to ℓ2", partial(_lipschitz, rate=0.5), uses=TWO),
            Implication("scores by a Euclidean mean", partial(_lipschitz, mean=True), uses=TWO),
        ),
        instead=("T7",),
    ),
    Statement(
        name="P29",
        said_as="reading",
        title="A sink of any value takes all of an idle head",
        claim=(
            "In softmax attention, if on a unit vector the values of all tokens but the first have components of at "
            "least a > 0, the first token has at least the weight 1 − ‖T_0(x)‖/a."
        ),
        formula=r"p_1\ge1-\frac{\|T_0(x)\|}{a}",
        source=(
            f"'necessarily induces a sink' in the abstract of {_RAN_MILO}, read for given tokens; the paper's theorem "
            "draws the contents at random"
        ),
        proof="false",
        why="A first value on the other side balances the others with a part of the weight.",
        parts=(
            Implication("weight of the first token", _all_on_the_first, heads.has_one_side, min_patterns=2, uses=TWO),
        ),
        instead=("T22", "P30"),
        experiment="sinks",
        figure="sinks",
    ),
    Statement(
        name="P30",
        said_as="reading",
        title="An empty sink takes all of an idle head",
        claim=(
            "In softmax attention whose first token has the value 0, if on a unit vector the values of all others have "
            "components of at least a > 0, the first token has at least the weight 1 − ‖o‖/a, with the answer o = "
            "Σ_{ν≥2} p_ν ξ_ν."
        ),
        formula=r"p_1\ge1-\frac{\|o\|}{a},\quad o=\sum_{\nu\ge2}p_\nu\xi_\nu",
        source=f"'necessarily induces a sink' in the abstract of {_RAN_MILO}, read for given tokens and an empty sink",
        proof="proved here",
        why="T22 with n = 0 and b = 0.",
        parts=(
            Implication("weight of the first token", _on_an_empty_first, heads.has_one_side, min_patterns=2, uses=TWO),
        ),
        near_misses=(
            Implication(
                "a twentieth more weight",
                partial(_on_an_empty_first, share=1.05),
                heads.has_one_side,
                min_patterns=2,
                uses=TWO,
            ),
            Implication(
                "with a slot", partial(_on_an_empty_first, slot=True), heads.has_one_side, min_patterns=2, uses=TWO
            ),
            Implication("of any value", _all_on_the_first, heads.has_one_side, min_patterns=2, uses=TWO),
        ),
        instead=("T22",),
    ),
    Statement(
        name="P31",
        said_as="reading",
        title="Kurtosis falls by 22% on average",
        claim=(
            "In the paper's Table 1 the slot lowers the average kurtosis K by at least 22% on average over twelve "
            "pairs: four models, plain, clipped and gated."
        ),
        formula=r"\frac{1}{12}\sum_{i=1}^{12}\Bigl(1-\frac{K_i^{slot}}{K_i}\Bigr)\ge0.22",
        source=f"{_HEADLINE}, read as the mean that rounds to both",
        proof="false",
        why=(
            "The mean is 21.88%, and with the rounding of the table at most 21.891%; the larger spread over its three "
            "seeds is not taken in. One of the twelve is −147.9%: in OPT, clipped, the slot raises kurtosis."
        ),
        kind=Kind.ARITHMETIC,
        parts=(Calculation("twelve pairs", partial(table1.mean_reduction, "kurtosis"), _KURTOSIS),),
        instead=("P33",),
        closed_form="statements.table1.mean_reduction",
    ),
    Statement(
        name="P32",
        said_as="reading",
        title="The infinity norm falls by 26% on average",
        claim=(
            "In the paper's Table 1 the slot lowers the maximum infinity norm N by at least 26% on average over twelve "
            "pairs: four models, plain, clipped and gated."
        ),
        formula=r"\frac{1}{12}\sum_{i=1}^{12}\Bigl(1-\frac{N_i^{slot}}{N_i}\Bigr)\ge0.26",
        source=f"{_HEADLINE}, read as the mean that rounds to both",
        proof="proved here",
        why="The mean is 26.07%, and with the rounding of the table at least 26.066%; one of the twelve is −54.3%.",
        kind=Kind.ARITHMETIC,
        parts=(Calculation("twelve pairs", partial(table1.mean_reduction, "norm"), _NORM),),
        instead=("P33",),
        closed_form="statements.table1.mean_reduction",
    ),
    Statement(
        name="P33",
        said_as="reading",
        title="Both fall by as much without clipping and gates",
        claim=(
            "In the paper's Table 1 the slot alone lowers the average kurtosis K by at least 22%, and the maximum "
            "infinity norm N by at least 26%, on average over the four models."
        ),
        formula=(
            r"\frac14\sum_{i=1}^4\Bigl(1-\frac{K_i^{slot}}{K_i}\Bigr)\ge0.22,\quad"
            r"\frac14\sum_{i=1}^4\Bigl(1-\frac{N_i^{slot}}{N_i}\Bigr)\ge0.26"
        ),
        source=f"{_HEADLINE}, read for OutEffHop against softmax alone",
        proof="proved here",
        why="The means are 52.6% and 47.6%; the rounding of the table moves them by less than 0.01 points.",
        kind=Kind.ARITHMETIC,
        parts=(
            Calculation("kurtosis", partial(table1.mean_reduction, "kurtosis", _PLAIN), _KURTOSIS),
            Calculation("infinity norm", partial(table1.mean_reduction, "norm", _PLAIN), _NORM),
        ),
        closed_form="statements.table1.mean_reduction",
    ),
    Statement(
        name="P34",
        said_as="folklore",
        title="The 1 may be added after the shift",
        claim=(
            "Softmax₁ may be computed by adding its 1 after the scores are shifted by the largest: the null weight "
            "1/(1 + Σ e^{z_ν − max z}) is that of n = 1, 1/(1 + Σ e^{z_ν})."
        ),
        formula=r"\frac1{1+\sum_\nu e^{z_\nu-\max z}}=\frac1{1+\sum_\nu e^{z_\nu}}",
        source=f"{_FOLKLORE}: implementations that shift for stability",
        proof="false",
        why=(
            "Shifted by the largest score, the 1 stands for the mass n = e^{max z}: its weight is at most ½, though "
            "with n = 1 it tends to 1 as all scores fall. The shift has to reach it too: e^{−max z} in place of 1."
        ),
        parts=(Implication("the null weight", _one_after_the_shift, uses=ONE),),
        instead=("T23",),
    ),
    Statement(
        name="P35",
        said_as="recalled wording",
        title="A capacity lemma with ln(√p − 1)",
        claim=(
            "M = √p C^{(d−1)/4} random patterns on the sphere of radius m are all stored in balls of radius R with "
            "probability at least 1 − p, where C = b/W₀(exp(a + ln b)), a = 4(ln[2m(√p − 1)/R] + 1)/(d − 1) and b = "
            "4βm²/(5(d − 1))."
        ),
        formula=(
            r"M=\sqrt p\,C^{(d-1)/4},\quad C=\frac b{W_0(e^{a+\ln b})},\quad "
            r"a=\frac4{d-1}\Bigl(\ln\frac{2m(\sqrt p-1)}R+1\Bigr)"
        ),
        source=f"the capacity lemma of {_HU} and, for sparsemax, of {_HU_SPARSE}; {_MEMORY}; read for n = 0",
        proof="false",
        why=(
            "For p < 1 it is the logarithm of a negative number. With |√p − 1| it promises at least √p R/(2em(1 − √p)) "
            "patterns, without limit as p → 1, and no more than (1 + m/R)^d balls of radius R have room. With √p, "
            "which a proof gives, it needs a limit on R: beyond m the balls overlap. R ≤ 1/(2βm), for which the '+ 1' "
            "would stand, is enough: then it holds (C11). With half the least distance of the patterns for R, C is "
            "random."
        ),
        kind=Kind.PROBABILISTIC,
        parts=random_memories.RECALLED_READINGS,
        instead=("C11", "C2"),
    ),
    Statement(
        name="P36",
        said_as="reading",
        title="What T12 certifies without the slot it certifies with it",
        claim=(
            "A pattern that is certain to be stored without the slot is as certain to be stored with it: if T12 holds "
            "in a ball for n = 0, it does for every n > 0."
        ),
        formula=(r"\varepsilon_0(R)\le R\le m,\ L_0(R)<1\;\Longrightarrow\;\varepsilon_n(R)\le R,\ L_n(R)<1"),
        source=f"Theorem 3.3 of {_HU}, a comparison of lower bounds by the authors' page, read for the bounds of T12",
        proof="false",
        why=(
            "The slot adds m n e^{−β(‖ξ‖² − mR)} to the error and a term to the rate: the best bound on capacity by "
            "T12 is at most the dense one (T19), though nearly the same for large β. The closed form of C11 is one "
            "for both, so that for n = 1 'at least' holds for it as an equality."
        ),
        parts=(Implication("the same ball", _passes_with_the_slot, _passes_without_the_slot, uses=NO_STATE_IN_BALL),),
        instead=("T19", "C11", "C2"),
    ),
)
