"""T8 to T11, T14 and T16: the distance of one update from the pattern, and the effect of a no-op slot or sparsity."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hopfield_theory.statements import derivations
from hopfield_theory.statements.dynamics import Dynamics
from hopfield_theory.statements.statement import OUT, Implication, Instance, Statement, has_noop

__all__ = ["STATEMENTS"]

_HU = "Hu et al. 2024, arXiv:2404.03828"


def _gate(i: Instance, log_noop: Callable[[Instance], Any] = lambda i: i.xp.log(i.noop), dense: bool = True) -> Any:
    d, x = i.dynamics, i.query
    against = log_noop(i) - (i.dense if dense else d).log_partition(x)
    # σ(-a) through whichever exponential does not overflow
    shrink = i.xp.exp(-i.xp.abs(against))
    gate = i.xp.if_positive(against, shrink, 0 * shrink + 1) / (1 + shrink)
    return -i.xp.norm(d.update(x) - gate * i.dense.update(x)) / d.length()


def _error(i: Instance) -> Any:
    return i.xp.norm(i.dynamics.update(i.query) - i.patterns[0])


def by_weights(i: Instance, others: float = 2.0, slot: float = 1.0) -> Any:
    """Return ``m(2 Σ_{ν≠μ} p_ν + p₀)``."""
    d, x = i.dynamics, i.query
    return d.radius * (others * i.xp.sum(d.weights(x)[1:]) + slot * d.noop_weight(x))


def _rivals(i: Instance) -> tuple[Any, Any]:
    """Return the logarithms of ``A = (M − 1) e^{−βδ}`` and ``B = n e^{−β⟨ξ,x⟩}``."""
    scores = i.dynamics.scores(i.query)
    slot = i.xp.log(i.noop) - scores[0]
    if len(i.patterns) == 1:
        return i.xp.log(0 * i.noop), slot
    return i.xp.log(i.xp.number(len(i.patterns) - 1)) + i.xp.max(scores[1:] - scores[0]), slot


def _by_separation(i: Instance, others: float = 1.0, slot: float = 1.0) -> Any:
    a, b = (log + i.xp.log(i.xp.number(factor)) for log, factor in zip(_rivals(i), (others, slot), strict=True))
    total = i.xp.log_sum_exp(i.xp.stack([a, b]), i.xp.number(1.0))
    return i.dynamics.radius * (2 * i.xp.exp(a - total) + i.xp.exp(b - total))


def _error_below_weights(i: Instance, **variant: float) -> Any:
    return (by_weights(i, **variant) - _error(i)) / i.dynamics.length()


def _weights_below_separation(i: Instance, **variant: float) -> Any:
    return (_by_separation(i, **variant) - by_weights(i)) / i.dynamics.length()


def _separation_below_exponentials(i: Instance, others: float = 2.0) -> Any:
    a, b = _rivals(i)
    exponentials = i.dynamics.radius * (others * i.xp.exp(a) + i.xp.exp(b))
    return (exponentials - _by_separation(i)) / i.dynamics.length()


def _closer(i: Instance, factor: Callable[[Any], Any] = lambda share: 2 - share) -> tuple[Any, Any]:
    """Return ``‖T_0 − ξ‖² − ‖T_n − ξ‖²`` and ``p₀((2 − p₀)‖T_0‖² − 2⟨T_0, ξ⟩)``."""
    d, x, target = i.dynamics, i.query, i.patterns[0]
    noop, dense, share = d.update(x), i.dense.update(x), d.noop_weight(x)
    gained = (dense - target) @ (dense - target) - (noop - target) @ (noop - target)
    return gained, share * (factor(share) * (dense @ dense) - 2 * (dense @ target))


def _closer_identity(i: Instance, **variant: Callable[[Any], Any]) -> Any:
    gained, bracket = _closer(i, **variant)
    return -i.xp.abs(gained - bracket) / i.dynamics.square()


def _gained(i: Instance) -> Any:
    return _closer(i)[0] / i.dynamics.square()


def _bracket(i: Instance) -> list[Any]:
    return [_closer(i)[1] / i.dynamics.square()]


class _Outliers:
    """The masses S, a, n and S_out of T11, as ratios, and its two bounds."""

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

    def classified(self, noop: float = 1.0) -> Any:
        """Return ``m(2a + n)/(S + n)``."""
        _, rest, slot = self.shares(self.log_noop)
        return self.radius * (2 * rest + noop * slot)

    def kept(self, out_radius: Any, share: float = 1.0) -> Any:
        """Return ``[2ma + (m + m_out)S_out]/(S + S_out)``."""
        _, rest, out = self.shares(self.log_out)
        return 2 * self.radius * rest + share * (self.radius + out_radius) * out

    def out_and_noop(self) -> tuple[Any, Any]:
        """Return S_out and n, divided by their sum."""
        xp = self.xp
        whole = xp.log_sum_exp(xp.stack([self.log_out, self.log_noop]), self._none)
        return xp.exp(self.log_out - whole), xp.exp(self.log_noop - whole)


def _classified_bound(i: Instance, noop: float = 1.0) -> Any:
    return (_Outliers(i).classified(noop) - _error(i)) / i.dynamics.length()


def _kept_bound(i: Instance, share: float = 1.0) -> Any:
    o = _Outliers(i)
    dense = Dynamics(i.xp.rows(i.patterns, i.outliers), i.beta, 0 * i.noop, i.xp)
    error = i.xp.norm(dense.update(i.query) - i.patterns[0])
    return (o.kept(o.out_radius, share) - error) / dense.length()


def _heavy(i: Instance, share: float = 0.5) -> list[Any]:
    """Return the slack of ``S_out ≥ share · n``."""
    out, noop = _Outliers(i).out_and_noop()
    return [out - share * noop]


def _half_suffices(i: Instance) -> Any:
    o = _Outliers(i)
    longer = i.xp.if_positive(o.out_radius - o.radius, o.out_radius, o.radius)
    return (o.kept(longer) - o.classified()) / (i.dynamics.length() + longer)


def _above(i: Instance, rest: float = 2.0, share: float = 1.0) -> list[Any]:
    """Return ``S_out (2S − 2a + n) − n(S − 2a)``, divided by ``(S + n)(S_out + n)``: where it is positive, classifying
    gives the smaller bound.
    """
    o = _Outliers(i)
    everything, others, noop = o.shares(o.log_noop)
    out, slot = o.out_and_noop()
    return [out * (2 * everything - rest * others + noop) - share * slot * (everything - rest * others)]


def classifying_wins(i: Instance) -> Any:
    """Return the decrease of the bound by classifying the outliers, if they are no longer than the patterns."""
    o = _Outliers(i)
    return (o.kept(o.radius) - o.classified()) / i.dynamics.length()


def _short_answer(i: Instance, share: float = 1.0, counted: bool = True) -> Any:
    d, x = i.dynamics, i.query
    count = i.xp.log(i.xp.number(d.count)) if counted else 0
    against = i.xp.log(d.noop) - count - i.xp.max(d.scores(x))
    bound = share * d.radius * i.xp.exp(-i.xp.log_sum_exp(i.xp.stack([against]), i.xp.number(1.0)))
    return (bound - i.xp.norm(d.update(x))) / d.length()


def _noop_share(i: Instance, largest: bool = False) -> Any:
    d, x = i.dynamics, i.query
    score = i.xp.max(d.scores(x)) if largest else i.xp.sum(d.scores(x)) / d.count
    whole = i.xp.log_sum_exp(i.xp.stack([i.xp.log(i.xp.number(d.count)) + score]), d.noop)
    return i.xp.exp(i.xp.log(d.noop) - whole) - d.noop_weight(x)


def _sparse_concentrates(i: Instance, share: float = 1.0, smallest: bool = False) -> Any:
    pick = i.xp.min if smallest else i.xp.max
    return pick(i.dense.sparse_weights(i.query)) - share * pick(i.dense.weights(i.query))


def _sparse_error_by_weight(i: Instance, factor: float = 2.0) -> Any:
    d = i.dense
    weights = d.sparse_weights(i.query)
    error = i.xp.norm(weights @ i.patterns - i.patterns[0])
    return (factor * d.radius * i.xp.sum(weights[1:]) - error) / d.length()


STATEMENTS = (
    Statement(
        name="T8",
        title="The gate identity",
        claim=(
            "T_n(x) = σ(β lse_0(β, Ξx) − log n) T_0(x): the dense model times a sigmoid gate of its partition function."
        ),
        formula=r"T_n(x)=\sigma\bigl(\beta\,\mathrm{lse}_0(\beta,\Xi x)-\log n\bigr)\,T_0(x)",
        source="derived for this project",
        proof="proved here",
        why="1 − p₀ = S/(S + n) = σ(log S − log n), and T_n = (1 − p₀) T_0.",
        parts=(Implication("identity", _gate, has_noop),),
        near_misses=(
            Implication("log n left out", partial(_gate, log_noop=lambda _: 0.0), has_noop),
            Implication("lse_n for lse_0", partial(_gate, dense=False), has_noop),
            Implication("n for log n", partial(_gate, log_noop=lambda i: i.noop), has_noop),
        ),
        derivation=derivations.gate,
    ),
    Statement(
        name="T9",
        title="Retrieval error of one update",
        claim=(
            "‖T_n(x) − ξ_μ‖ ≤ m(2 Σ_{ν≠μ} p_ν + p₀) ≤ m(2A + B)/(1 + A + B) ≤ m(2A + B), with A = (M − 1)e^{−βδ}, B "
            "= n e^{−β⟨ξ_μ,x⟩}, δ = min_{ν≠μ} ⟨ξ_μ − ξ_ν, x⟩ of any sign."
        ),
        formula=r"\|T_n(x)-\xi_\mu\|\le m\Bigl(2\sum_{\nu\ne\mu}p_\nu+p_0\Bigr)\le m\frac{2A+B}{1+A+B}\le m(2A+B)",
        source=f"sharper than the exponential bound of Ramsauer et al. 2021, arXiv:2008.02217; {_HU} for n = 1",
        proof="proved here",
        why=(
            "T_n(x) − ξ_μ = Σ p_ν (ξ_ν − ξ_μ) − p₀ ξ_μ, of norm at most m(2Σ p_ν + p₀). Then p_ν/p_μ ≤ e^{−βδ} and "
            "p₀/p_μ = B; both bounds increase in these ratios."
        ),
        parts=(
            Implication("error below weights", _error_below_weights),
            Implication("weights below separation", _weights_below_separation),
            Implication("separation below exponentials", _separation_below_exponentials),
        ),
        near_misses=(
            Implication("2 a twentieth smaller", partial(_error_below_weights, others=1.9)),
            Implication("p₀ a twentieth smaller", partial(_error_below_weights, slot=0.95)),
            Implication("A a twentieth smaller", partial(_weights_below_separation, others=0.95)),
            Implication("B left out", partial(_weights_below_separation, slot=0.0)),
            Implication("A for 2A", partial(_separation_below_exponentials, others=1.0)),
        ),
        closed_form="bounds.one_update.log_error",
    ),
    Statement(
        name="T10",
        title="Who is closer after one update",
        claim=(
            "‖T_0 − ξ‖² − ‖T_n − ξ‖² = p₀((2 − p₀)‖T_0‖² − 2⟨T_0, ξ⟩): for n > 0 the slot brings the answer closer "
            "exactly where ⟨T_0, ξ⟩ < ½(1 + s)‖T_0‖², s = 1 − p₀."
        ),
        formula=r"\|T_0-\xi\|^2-\|T_n-\xi\|^2=p_0\bigl((2-p_0)\|T_0\|^2-2\langle T_0,\xi\rangle\bigr)",
        source="derived for this project",
        proof="proved here",
        why="Expand both squares with T_n = s T_0.",
        parts=(
            Implication("identity", _closer_identity),
            Implication("closer where the bracket is positive", _gained, _bracket),
            Implication(
                "farther where it is negative", lambda i: -_gained(i), lambda i: [-slack for slack in _bracket(i)]
            ),
        ),
        near_misses=(
            Implication("½ for ½(1 + s)", partial(_closer_identity, factor=lambda share: 1)),
            Implication("1 for ½(1 + s)", partial(_closer_identity, factor=lambda share: 2)),
            Implication("½(1 − s) for ½(1 + s)", partial(_closer_identity, factor=lambda share: share)),
        ),
        derivation=derivations.closeness,
        experiment="closeness",
        held_in=("noise",),
        figure="closeness",
    ),
    Statement(
        name="T11",
        title="When classifying outliers helps",
        claim=(
            "With K outliers of mass S_out in the memory, one update errs by at most m(2a + n)/(S + n) if they are "
            "collapsed to mass n, by at most [2ma + (m + m_out)S_out]/(S + S_out) if they are kept. With max(m, "
            "m_out) for m_out, the first bound is smaller if S_out ≥ n/2; for outliers no longer than the patterns, "
            "exactly if S_out > n(S − 2a)/(2S − 2a + n)."
        ),
        formula=r"\frac{m(2a+n)}{S+n}<\frac{2ma+2mS_{out}}{S+S_{out}}\;\Longleftrightarrow\;S_{out}>\frac{n(S-2a)}{2S-2a+n}",
        source=f"the reading of 'tighter retrieval error' in {_HU} that holds: it orders bounds, not errors",
        proof="proved here",
        why="The bounds are those of T9 for both memories; subtract them, and collect S_out.",
        parts=(
            Implication("bound with collapsed outliers", _classified_bound, uses=OUT),
            Implication("bound with kept outliers", _kept_bound, uses=OUT),
            Implication("half the mass suffices", _half_suffices, _heavy, uses=OUT),
            Implication("above the threshold", classifying_wins, _above, uses=OUT),
            Implication(
                "below the threshold",
                lambda i: -classifying_wins(i),
                lambda i: [-slack for slack in _above(i)],
                uses=OUT,
            ),
        ),
        near_misses=(
            Implication("n a twentieth smaller", partial(_classified_bound, noop=0.95), uses=OUT),
            Implication("m + m_out a twentieth smaller", partial(_kept_bound, share=0.95), uses=OUT),
            Implication("0.45 n suffices", _half_suffices, partial(_heavy, share=0.45), uses=OUT),
            Implication("3a for 2a in the threshold", classifying_wins, partial(_above, rest=3.0), uses=OUT),
            Implication("threshold a twentieth lower", classifying_wins, partial(_above, share=0.95), uses=OUT),
        ),
        derivation=derivations.outliers,
        experiment="outliers",
        figure="outliers",
        closed_form="bounds.one_update.log_outlier_threshold",
    ),
    Statement(
        name="T14",
        title="No-op answer",
        claim=(
            "If all scores are at most s: ‖T_n(x)‖ ≤ m/(1 + e^{log n − log M − s}); and p₀ ≤ n/(n + M e^z) with z "
            "the mean score."
        ),
        formula=r"\|T_n(x)\|\le\frac{m}{1+e^{\log n-\log M-s}},\quad p_0\le\frac{n}{n+Me^{\bar z}}",
        source="derived for this project",
        proof="proved here",
        why="‖T_n‖ ≤ (1 − p₀) m with 1 − p₀ = S/(S + n), S ≤ M e^s; and S ≥ M e^z̄ by convexity.",
        parts=(Implication("short answer", _short_answer), Implication("share of the slot", _noop_share)),
        near_misses=(
            Implication("M left out", partial(_short_answer, counted=False)),
            Implication("m a twentieth smaller", partial(_short_answer, share=0.95)),
            Implication("the largest score for the mean", partial(_noop_share, largest=True)),
        ),
        experiment="rejection",
        held_in=(
            "metastable",
            "sink_conditions",
        ),
        figure="rejection",
        closed_form="bounds.one_update.log_answer",
    ),
    Statement(
        name="T16",
        title="Sparse retrieval concentrates more",
        claim=(
            "The largest weight of sparsemax is at least that of softmax. So where ξ_μ overlaps most with the query,"
            " the sparse bound 2m(1 − p_μ) on the error of one update is at most the dense one."
        ),
        formula=r"\max_\mu\mathrm{sparsemax}(z)_\mu\ge\max_\mu\mathrm{softmax}(z)_\mu",
        source="derived for this project (docs/retrieval-proofs.md)",
        proof="proved here",
        why=(
            "Let sparsemax have a support of k, and the largest weight 1/k + g with g ≤ 1 − 1/k. By e^{−t} ≥ 1 − t "
            "softmax's largest weight is at most 1/(k(1 − g)), which is no larger."
        ),
        proved_in="docs/retrieval-proofs.md#t16-sparse-retrieval-concentrates-more",
        parts=(
            Implication("largest weight", _sparse_concentrates),
            Implication("error by the weight", _sparse_error_by_weight),
        ),
        near_misses=(
            Implication("a twentieth more than softmax", partial(_sparse_concentrates, share=1.05)),
            Implication("the smallest weights", partial(_sparse_concentrates, smallest=True)),
            Implication("2 a twentieth smaller", partial(_sparse_error_by_weight, factor=1.9)),
        ),
    ),
)
