"""Statements T8 to T11 and T14: how near the pattern one update lands, and what the no-op slot does to that."""

from __future__ import annotations

from typing import Any

from hopfield_theory.statements.dynamics import Dynamics
from hopfield_theory.statements.statement import Implication, Instance, Kind, Statement

__all__ = ["STATEMENTS"]

_HU = "Hu et al. 2024, arXiv:2404.03828"


def _gate(i: Instance) -> Any:
    d, x = i.dynamics, i.query
    against = i.xp.log(d.noop) - i.dense.log_partition(x)
    # σ(-a) through whichever exponential does not overflow
    shrink = i.xp.exp(-i.xp.abs(against))
    gate = i.xp.if_positive(against, shrink, 0 * shrink + 1) / (1 + shrink)
    return -i.xp.norm(d.update(x) - gate * i.dense.update(x)) / d.length()


def _has_noop(i: Instance) -> list[Any]:
    return [i.noop]


def _error(i: Instance) -> Any:
    return i.xp.norm(i.dynamics.update(i.query) - i.patterns[0])


def by_weights(i: Instance) -> Any:
    """Return ``m(2 Σ_{ν≠μ} p_ν + p₀)``."""
    d, x = i.dynamics, i.query
    return d.radius * (2 * i.xp.sum(d.weights(x)[1:]) + d.noop_weight(x))


def rivals(i: Instance) -> tuple[Any, Any]:
    """Return the logarithms of ``A = (M − 1) e^{−βδ}`` and ``B = n e^{−β⟨ξ,x⟩}``."""
    scores = i.dynamics.scores(i.query)
    slot = i.xp.log(i.noop) - scores[0]
    if len(i.patterns) == 1:
        return i.xp.log(0 * i.noop), slot
    return i.xp.log(i.xp.number(len(i.patterns) - 1)) + i.xp.max(scores[1:] - scores[0]), slot


def _by_separation(i: Instance) -> Any:
    a, b = rivals(i)
    total = i.xp.log_sum_exp(i.xp.stack([a, b]), i.xp.number(1.0))
    return i.dynamics.radius * (2 * i.xp.exp(a - total) + i.xp.exp(b - total))


def _by_exponentials(i: Instance) -> Any:
    a, b = rivals(i)
    return i.dynamics.radius * (2 * i.xp.exp(a) + i.xp.exp(b))


def _error_below_weights(i: Instance) -> Any:
    return (by_weights(i) - _error(i)) / i.dynamics.length()


def _weights_below_separation(i: Instance) -> Any:
    return (_by_separation(i) - by_weights(i)) / i.dynamics.length()


def _separation_below_exponentials(i: Instance) -> Any:
    return (_by_exponentials(i) - _by_separation(i)) / i.dynamics.length()


def _closer(i: Instance) -> tuple[Any, Any, Dynamics]:
    """Return ``‖T_0 − ξ‖² − ‖T_n − ξ‖²``, and the bracket of T10 times ``1 − s``."""
    d, x, target = i.dynamics, i.query, i.patterns[0]
    noop, dense = d.update(x), i.dense.update(x)
    share = d.noop_weight(x)
    gained = (dense - target) @ (dense - target) - (noop - target) @ (noop - target)
    return gained, share * ((2 - share) * (dense @ dense) - 2 * (dense @ target)), d


def _closer_identity(i: Instance) -> Any:
    gained, bracket, d = _closer(i)
    return -i.xp.abs(gained - bracket) / d.square()


def _bracket_positive(i: Instance) -> list[Any]:
    _, bracket, d = _closer(i)
    return [bracket / d.square()]


def _bracket_negative(i: Instance) -> list[Any]:
    _, bracket, d = _closer(i)
    return [-bracket / d.square()]


def _gained(i: Instance) -> Any:
    gained, _, d = _closer(i)
    return gained / d.square()


def _lost(i: Instance) -> Any:
    gained, _, d = _closer(i)
    return -gained / d.square()


class Outliers:
    """The masses of T11, S, a, n and S_out, and its two bounds, each relative to what it is divided by."""

    def __init__(self, i: Instance) -> None:
        self.xp = i.xp
        self.scores, self.out = i.dynamics.scores(i.query), i.beta * (i.outliers @ i.query)
        self.log_noop, self._none = i.xp.log(i.noop), 0 * i.noop
        self.radius, self.out_radius = i.dynamics.radius, i.xp.max(i.xp.norm(i.outliers))
        self.log_out = i.xp.log_sum_exp(self.out, self._none)

    def shares(self, extra: Any) -> tuple[Any, Any, Any]:
        """Return S, a and a further mass, given by its logarithm, divided by S and that mass."""
        xp = self.xp
        whole = xp.log_sum_exp(xp.rows(self.scores, xp.stack([extra])), self._none)
        masses = xp.exp(self.scores - whole)
        return xp.sum(masses), xp.sum(masses[1:]), xp.exp(extra - whole)

    def classified(self) -> Any:
        """Return ``m(2a + n)/(S + n)``."""
        _, rest, noop = self.shares(self.log_noop)
        return self.radius * (2 * rest + noop)

    def kept(self, out_radius: Any) -> Any:
        """Return ``[2ma + (m + m_out)S_out]/(S + S_out)``."""
        _, rest, out = self.shares(self.log_out)
        return 2 * self.radius * rest + (self.radius + out_radius) * out

    def excess(self, share: float = 1.0) -> Any:
        """Return ``S_out − share · n``, divided by their sum."""
        xp = self.xp
        whole = xp.log_sum_exp(xp.stack([self.log_out, self.log_noop]), self._none)
        return xp.exp(self.log_out - whole) - share * xp.exp(self.log_noop - whole)

    def threshold(self, rest: float = 2.0, share: float = 1.0) -> Any:
        """Return ``S_out (2S − 2a + n) − n(S − 2a)``, divided by ``(S + n)(S_out + n)``: where it is positive,
        classifying gives the smaller bound.
        """
        xp = self.xp
        everything, others, noop = self.shares(self.log_noop)
        whole = xp.log_sum_exp(xp.stack([self.log_out, self.log_noop]), self._none)
        out, slot = xp.exp(self.log_out - whole), xp.exp(self.log_noop - whole)
        return out * (2 * everything - rest * others + noop) - share * slot * (everything - rest * others)


def _classified_bound(i: Instance) -> Any:
    return (Outliers(i).classified() - _error(i)) / i.dynamics.length()


def _kept_bound(i: Instance) -> Any:
    o = Outliers(i)
    dense = Dynamics(i.xp.rows(i.patterns, i.outliers), i.beta, 0 * i.noop, i.xp)
    error = i.xp.norm(dense.update(i.query) - i.patterns[0])
    return (o.kept(o.out_radius) - error) / dense.length()


def _half(i: Instance) -> list[Any]:
    o = Outliers(i)
    return [o.excess(0.5)]


def half_suffices(i: Instance) -> Any:
    o = Outliers(i)
    longer = i.xp.if_positive(o.out_radius - o.radius, o.out_radius, o.radius)
    return (o.kept(longer) - o.classified()) / (i.dynamics.length() + longer)


def _above(i: Instance) -> list[Any]:
    return [Outliers(i).threshold()]


def _below(i: Instance) -> list[Any]:
    return [-Outliers(i).threshold()]


def classifying_wins(i: Instance) -> Any:
    o = Outliers(i)
    return (o.kept(o.radius) - o.classified()) / i.dynamics.length()


def _keeping_wins(i: Instance) -> Any:
    return -classifying_wins(i)


def _short_answer(i: Instance) -> Any:
    d, x = i.dynamics, i.query
    against = i.xp.log(d.noop) - i.xp.log(i.xp.number(d.count)) - i.xp.max(d.scores(x))
    bound = d.radius * i.xp.exp(-i.xp.log_sum_exp(i.xp.stack([against]), i.xp.number(1.0)))
    return (bound - i.xp.norm(d.update(x))) / d.length()


def _noop_share(i: Instance) -> Any:
    d, x = i.dynamics, i.query
    mean = i.xp.sum(d.scores(x)) / d.count
    log_noop, others = i.xp.log(d.noop), i.xp.log(i.xp.number(d.count)) + mean
    whole = i.xp.log_sum_exp(i.xp.stack([others]), d.noop)
    return i.xp.exp(log_noop - whole) - d.noop_weight(x)


def sparse_concentrates(i: Instance, share: float = 1.0) -> Any:
    """Return the largest sparsemax weight less the largest softmax weight."""
    return i.xp.max(i.dense.sparse_weights(i.query)) - share * i.xp.max(i.dense.weights(i.query))


def sparse_error_by_weight(i: Instance, factor: float = 2.0) -> Any:
    """Return ``2m(1 − p)`` less the error of a sparsemax update."""
    d = i.dense
    weights = d.sparse_weights(i.query)
    error = i.xp.norm(weights @ i.patterns - i.patterns[0])
    return (factor * d.radius * i.xp.sum(weights[1:]) - error) / d.length()


_OUT = ("patterns", "beta", "noop", "query", "outliers")

STATEMENTS = (
    Statement(
        "T8",
        "The gate identity",
        "T_n(x) = σ(β lse_0(β, Ξx) − log n) T_0(x): the dense model times a sigmoid gate of its partition function.",
        "derived for this project",
        "proved here",
        Kind.POINTWISE,
        (Implication("identity", _gate, _has_noop),),
    ),
    Statement(
        "T9",
        "Retrieval error of one update",
        "‖T_n(x) − ξ_μ‖ ≤ m(2 Σ_{ν≠μ} p_ν + p₀) ≤ m(2A + B)/(1 + A + B) ≤ m(2A + B), with A = (M − 1)e^{−βδ}, "
        "B = n e^{−β⟨ξ_μ,x⟩}, δ = min_{ν≠μ} ⟨ξ_μ − ξ_ν, x⟩ of any sign.",
        f"sharper than the exponential bound of Ramsauer et al. 2021, arXiv:2008.02217; {_HU} for n = 1",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("error below weights", _error_below_weights),
            Implication("weights below separation", _weights_below_separation),
            Implication("separation below exponentials", _separation_below_exponentials),
        ),
    ),
    Statement(
        "T10",
        "Who is closer after one update",
        "‖T_0 − ξ‖² − ‖T_n − ξ‖² = p₀((2 − p₀)‖T_0‖² − 2⟨T_0, ξ⟩): for n > 0 the slot brings the answer closer "
        "exactly where ⟨T_0, ξ⟩ < ½(1 + s)‖T_0‖², s = 1 − p₀.",
        "derived for this project",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("identity", _closer_identity),
            Implication("closer where the bracket is positive", _gained, _bracket_positive),
            Implication("farther where it is negative", _lost, _bracket_negative),
        ),
    ),
    Statement(
        "T11",
        "When classifying outliers helps",
        "With K outliers of mass S_out in the memory, one update errs by at most m(2a + n)/(S + n) if they are "
        "collapsed to mass n, by at most [2ma + (m + m_out)S_out]/(S + S_out) if they are kept. With max(m, m_out) for "
        "m_out, the first bound is smaller if S_out ≥ n/2; for outliers no longer than the patterns, exactly if "
        "S_out > n(S − 2a)/(2S − 2a + n).",
        f"the reading of 'tighter retrieval error' in {_HU} that holds: it orders bounds, not errors",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("bound with collapsed outliers", _classified_bound, uses=_OUT),
            Implication("bound with kept outliers", _kept_bound, uses=_OUT),
            Implication("half the mass suffices", half_suffices, _half, uses=_OUT),
            Implication("above the threshold", classifying_wins, _above, uses=_OUT),
            Implication("below the threshold", _keeping_wins, _below, uses=_OUT),
        ),
    ),
    Statement(
        "T14",
        "No-op answer",
        "If all scores are at most s: ‖T_n(x)‖ ≤ m/(1 + e^{log n − log M − s}); and p₀ ≤ n/(n + M e^z) with z the mean "
        "score.",
        "derived for this project",
        "proved here",
        Kind.POINTWISE,
        (Implication("short answer", _short_answer), Implication("share of the slot", _noop_share)),
    ),
    Statement(
        "T16",
        "Sparse retrieval concentrates more",
        "The largest weight of sparsemax is at least that of softmax. So where ξ_μ overlaps most with the query, "
        "the sparse bound 2m(1 − p_μ) on the error of one update is at most the dense one.",
        "derived for this project (docs/retrieval-proofs.md)",
        "proved here",
        Kind.POINTWISE,
        (
            Implication("largest weight", sparse_concentrates),
            Implication("error by the weight", sparse_error_by_weight),
        ),
    ),
)
