"""C1 to C7 and C9 to C11: lower and upper bounds on the number of random patterns that a memory stores."""

from __future__ import annotations

import functools
import math

from hopfield_theory.bounds import RandomMemory, finite_size, mean_field, union
from hopfield_theory.bounds.chernoff import Witness, chernoff, chernoff_witness
from hopfield_theory.bounds.crowding import typical_witness
from hopfield_theory.bounds.directional import directional, directional_witness
from hopfield_theory.bounds.merging import pair_witness
from hopfield_theory.statements import derivations
from hopfield_theory.statements.events import (
    Bound,
    Setting,
    all_stored,
    dense,
    rarely_lost,
    rarely_merged,
    rarely_near,
    rarely_off,
    slotted,
    two_merge,
    typical_lost,
    typical_stored,
)
from hopfield_theory.statements.statement import Experiment, Kind, Statement, Trend
from hopfield_theory.statements.trends import (
    closes_in,
    extrapolates,
    follows_exponential_moment,
    optimised,
    silenced,
    threshold,
    unmoved,
)

__all__ = ["PUBLISHED_AT_SMALL_KAPPA", "RECALLED_READINGS", "STATEMENTS"]


@functools.cache
def _published(setting: Setting) -> float:
    return union.published(setting.memory, setting.failure_probability)


def _well_separated(setting: Setting, **reading: float) -> float:
    return union.well_separated(setting.memory, setting.failure_probability, **reading)


def _with_the_absolute_value(setting: Setting) -> float:
    """Return the recalled lemma with the factor ``|√p − 1|``."""
    return _well_separated(setting, factor=1 - math.sqrt(setting.failure_probability))


def _with_wide_balls(setting: Setting) -> float:
    """Return the recalled lemma with the factor √p and ``R = 1/(2βm)``, whatever m is."""
    return _well_separated(setting, ball=0.5 / setting.memory.kappa)


@functools.cache
def _pairwise(setting: Setting) -> float:
    return union.pairwise(setting.memory, setting.failure_probability)


@functools.cache
def _chernoff(setting: Setting) -> float:
    return chernoff(setting.memory, setting.failure_probability)


@functools.cache
def _typical_witness(setting: Setting) -> Witness:
    return chernoff_witness(setting.memory, setting.failure_probability, "typical")


def _typical(setting: Setting) -> float:
    return _typical_witness(setting).log_patterns


def _ball(setting: Setting) -> float:
    return _typical_witness(setting).lone.ball


def _directional(setting: Setting) -> float:
    return directional(setting.memory, setting.failure_probability)


def _directional_typical(setting: Setting) -> float:
    return directional(setting.memory, setting.failure_probability, "typical")


def _directional_ball(setting: Setting) -> float:
    witness = directional_witness(setting.memory, setting.failure_probability, "typical")
    assert witness is not None
    return witness.ball


@functools.cache
def _merging(setting: Setting) -> float:
    return pair_witness(setting.memory, setting.failure_probability).log_patterns


@functools.cache
def _ceiling(setting: Setting, error: float) -> float:
    return typical_witness(setting.memory, setting.failure_probability, error).log_patterns


def _crowding(error: float) -> Bound:
    return lambda setting: _ceiling(setting, error)


def _crowding_in_ball(setting: Setting) -> float:
    return _ceiling(setting, 1 / setting.memory.kappa)


# the largest error that counts as retrieval in C5, in units of m, and the distance from the fold at which it is tested
_RETRIEVAL = 0.5
_FROM_FOLD = 0.25


def _mean_field(setting: Setting) -> float:
    return mean_field.predicted(setting.memory, _RETRIEVAL)


def _short_of_fold(log_fold: Bound, setting: Setting, trials: tuple[int, int]) -> Experiment:
    return typical_stored(lambda s: log_fold(s) - _FROM_FOLD, setting, trials, _RETRIEVAL)


def _past_fold(log_fold: Bound, setting: Setting, trials: tuple[int, int]) -> Experiment:
    return typical_lost(lambda s: log_fold(s) + _FROM_FOLD, setting, trials, _RETRIEVAL)


@functools.cache
def _law(setting: Setting) -> tuple[float, float]:
    """Return the law's log M at the rate ½, and its width."""
    found = finite_size.law(setting.memory)
    assert found is not None
    return found.log_patterns, found.width


# how far from the law's log M it is tested, in units of its width
_FROM_LAW = 0.5


def _beside_law(log_half: Bound, setting: Setting, trials: tuple[int, int]) -> tuple[Experiment, Experiment]:
    def beside(side: float) -> Bound:
        return lambda s: log_half(s) + side * _FROM_LAW * _law(s)[1]

    return (
        typical_stored(beside(-1.0), setting, trials, _RETRIEVAL),
        typical_lost(beside(1.0), setting, trials, _RETRIEVAL),
    )


PUBLISHED_AT_SMALL_KAPPA = (
    all_stored(_published, dense(2, 1e-6, 0.5), (40, 200)),
    all_stored(_published, slotted(2, 1e-6, 0.5, 0.0), (40, 200)),
)
"""Experiments on the published bound at small β, where the update contracts the whole space and nothing is stored."""

RECALLED_READINGS = (
    all_stored(_with_the_absolute_value, dense(2, 4.0, 0.995), (6000, 20000)),
    all_stored(_with_wide_balls, dense(2, 0.01, 0.5), (40, 200)),
)
"""Experiments on the recalled capacity lemma, for the readings whose failure a count shows."""

_HERE = "proved here"
_DERIVED = "derived for this project (docs/bounds-proofs.md)"

STATEMENTS = (
    Statement(
        name="C1",
        title="Published exponential capacity",
        claim=(
            "M = √p c^{(d−1)/4} patterns, independent and uniform on the sphere of radius m = K√(d−1), are all "
            "stored with probability at least 1 − p, where c = b/W₀(exp(a + ln b)), a = 2(1 + ln(2βK²p(d−1)))/(d−1) "
            "and b = 2K²β/5, if c ≥ (2/√p)^{4/(d−1)}, that is M ≥ 2; for n = 0, and in the same form for n = 1. As "
            "recalled it asks for no large κ = βm², and it is false for κ < 1, where the update contracts the whole "
            "space to a single fixed point: at d = 2, κ = 10⁻⁶, p = ½ it promises 428 patterns. Here it is read for "
            "large κ."
        ),
        formula=r"M=\sqrt p\,c^{(d-1)/4},\quad c=\frac{b}{W_0(e^{a+\ln b})}",
        source="Theorem 3 of Ramsauer et al. 2021, arXiv:2008.02217; Hu et al. 2024, arXiv:2404.03828, for n = 1",
        proof="proved in Ramsauer et al. 2021 for large κ",
        why="Ramsauer et al. 2021, for large κ. It is false for κ < 1 (T7: one fixed point).",
        kind=Kind.PROBABILISTIC,
        parts=(
            all_stored(_published, dense(3, 600.0, 0.5), (200, 5000)),
            all_stored(_published, dense(4, 1000.0, 0.5), (200, 5000)),
            all_stored(_published, slotted(3, 4000.0, 0.3, 0.0), (200, 5000)),
            rarely_lost(_published, dense(3, 1e9, 1e-6), 2.2, (200, 10000)),
            rarely_lost(_published, slotted(5, 1e8, 1e-9, 0.0), 2.2, (100, 3000)),
        ),
        experiment="capacity",
        figure="capacity",
        closed_form="bounds.union.published",
    ),
    Statement(
        name="C2",
        title="Pairwise union bound",
        claim=(
            "Let Δ(M) be the least gap ⟨ξ, ξ − ξ′⟩ at which T12 holds for M patterns of norm m and the no-op mass n "
            "≥ 0, with some R. If ½M(M − 1) P(1 − cos < Δ(M)/m²) ≤ p for the angle of two uniform directions, then M"
            " patterns, independent and uniform on the sphere of radius m, are all stored with probability at least "
            "1 − p."
        ),
        formula=r"\tfrac12M(M-1)\,P(1-\cos\theta<\Delta(M)/m^2)\le p",
        source="T12 and a union bound over pairs, as for the capacity of Ramsauer et al. 2021, arXiv:2008.02217",
        proof=_HERE,
        why=(
            "T12 holds for every pattern if all pairs are apart by the gap; the union bound sums the pairs that are "
            "not."
        ),
        kind=Kind.PROBABILISTIC,
        parts=(
            all_stored(_pairwise, dense(4, 200.0, 0.1), (200, 5000)),
            all_stored(_pairwise, slotted(6, 120.0, 0.5, 0.0), (100, 2000)),
            all_stored(_pairwise, slotted(6, 60.0, 0.3, 54.0), (200, 5000)),
            rarely_lost(_pairwise, dense(3, 3e8, 1e-6), 2.2, (200, 10000)),
            rarely_lost(_pairwise, slotted(3, 1e8, 1e-6, 0.0), 2.2, (200, 10000)),
            rarely_lost(_pairwise, slotted(4, 1e8, 1e-9, 0.0), 2.2, (200, 10000)),
        ),
        experiment="capacity",
        figure="capacity_rates",
        closed_form="bounds.union.pairwise",
    ),
    Statement(
        name="C3",
        title="Truncated Chernoff bound",
        claim=(
            "Lengths in units of m; u = 1 − cos is the height of a pattern over another, w = √(2u) their distance, "
            "P(u) the share of the sphere below height u. Take a cap u₀, a ball ρ < 1 with 2ρ ≤ √(2u₀) and t, t′ > "
            "0, and let y = e^{−κ(u − ρw)}, l = n e^{−κ(1 − ρ)}, f = (w − ρ)y/(ρ − (1 − ρ)l), f′ = (κw² − 1)₊y/(1 − "
            "(κ − 1)₊l), both denominators positive, and τ = e^{−t + M E[e^{tf} − 1; u > u₀]} + e^{−t′ + M "
            "E[e^{t′f′} − 1; u > u₀]}. Of M patterns, independent and uniform on the sphere, a given one is stored, "
            "with its limit within ρ, with probability at least 1 − M P(u₀) − τ, and all are with at least 1 − ½M² "
            "P(u₀) − Mτ; or, where the nearest neighbour between u₀ and u₁ is treated on its own in shells of height, "
            "each a share s_j of the sphere with a cap on the third pattern (docs/bounds-proofs.md), with at least 1 − "
            "½M² P(u₀) − M² Σ_j s_j min(1, M P_j + τ_j) − Mτ."
        ),
        formula=(r"\tfrac12M^2P(u_0)+M\bigl(e^{-t+M\,E[e^{tf}-1;\,u>u_0]}+e^{-t'+M\,E[e^{t'f'}-1;\,u>u_0]}\bigr)\le p"),
        source=_DERIVED,
        proof=_HERE,
        why=(
            "Where the sums of f and f′ over the other patterns are at most 1, T maps the ball into itself and "
            "contracts it. Chernoff's inequality bounds the chance of larger sums, and a union bound that of a "
            "pattern below the cap."
        ),
        proved_in="docs/bounds-proofs.md#c3-patterns-that-are-stored",
        kind=Kind.PROBABILISTIC,
        parts=(
            all_stored(_chernoff, dense(4, 200.0, 0.1), (200, 5000)),
            all_stored(_chernoff, slotted(8, 30.0, 0.5, 0.0), (100, 2000)),
            all_stored(_chernoff, slotted(6, 60.0, 0.3, 54.0), (100, 2000)),
            typical_stored(_typical, dense(12, 12.0, 0.5), (200, 5000), _ball),
            typical_stored(_typical, slotted(16, 16.0, 0.1, 0.0), (200, 5000), _ball),
            typical_stored(_typical, slotted(10, 20.0, 0.1, 15.0), (200, 5000), _ball),
            rarely_lost(_chernoff, dense(4, 1e5, 1e-6), 2.2, (300, 10000)),
            rarely_lost(_chernoff, slotted(16, 60.0, 1e-6, 0.0), 2.2, (40, 2000)),
            rarely_off(_typical, dense(4, 1e5, 1e-6), 2.5, (300, 10000), _ball),
            rarely_off(_typical, slotted(6, 1e5, 1e-9, 0.0), 2.5, (60, 3000), _ball),
        ),
        experiment="capacity",
        figure="capacity_rates",
        closed_form="bounds.chernoff.chernoff",
    ),
    Statement(
        name="C4",
        title="Exact asymptotics",
        claim=(
            "Let κ = λd and M = e^{αd} with λ > 0 fixed, patterns independent and uniform on the sphere, and α₁(λ) ="
            " λ(1 − s) − ½ ln(1 − s²), s = (√(1 + 4λ²) − 1)/(2λ), which is λ − max_s [λs + ½ ln(1 − s²)] and the "
            "limit of (κ − ln Ψ_d(κ))/d. As d → ∞ a typical pattern is retrieved with probability → 1 if α < α₁ and "
            "→ 0 if α > α₁; so are all, in the first case. A no-op mass n = e^{νd} changes nothing for ν < λ, and "
            "for ν > λ no pattern is retrieved. Checked by C3 and C7, whose log M/(α₁d) both tend to 1."
        ),
        formula=r"\alpha_1(\lambda)=\lambda(1-s)-\tfrac12\ln(1-s^2),\quad s=\frac{\sqrt{1+4\lambda^2}-1}{2\lambda}",
        source="random-energy model: Lucibello and Mézard, PRL 2024, arXiv:2304.14964; the no-op slot is added here",
        proof="proved in Lucibello and Mézard 2024; C3 and C7 prove both sides here",
        why="C3 from below and C7 from above have the exponent α₁.",
        proved_in="docs/bounds-proofs.md#c4-the-exponent-of-c3",
        kind=Kind.ASYMPTOTIC,
        parts=(
            Trend("α₁ is a maximum over overlaps", lambda: optimised(threshold)),
            Trend("α₁ is the rate of Ψ_d, λ = 1", lambda: follows_exponential_moment(threshold, 1.0)),
            Trend("α₁ is the rate of Ψ_d, λ = 5", lambda: follows_exponential_moment(threshold, 5.0)),
            Trend("C3 closes in on α₁, λ = 1", lambda: closes_in(_typical, threshold, 1.0)),
            Trend("C3 extrapolates to α₁, λ = 1", lambda: extrapolates(_typical, threshold, 1.0)),
            Trend("C7 closes in on α₁, λ = 1", lambda: closes_in(_crowding_in_ball, threshold, 1.0)),
            Trend("C7 extrapolates to α₁, λ = 1", lambda: extrapolates(_crowding_in_ball, threshold, 1.0)),
            Trend("ν = ½ does not move C7, λ = 1", lambda: unmoved(_crowding_in_ball, 1.0, 0.5)),
            Trend("ν = 1.1 leaves C7 one pattern, λ = 1", lambda: silenced(_crowding_in_ball, 1.0, 1.1)),
        ),
        derivation=derivations.threshold,
        experiment="exponents",
        held_in=("capacity",),
        figure="exponents",
        closed_form="bounds.mean_field.threshold",
    ),
    Statement(
        name="C5",
        title="Mean-field fold",
        claim=(
            "With κ = λd and patterns independent and uniform on the sphere, the overlap q of a typical pattern's "
            "limit follows M(q) = [1 − q − q n e^{−κq}] e^{κq}/((q − I_{d/2}(κq)/I_{d/2−1}(κq)) Ψ_d(κq)) down from "
            "the largest q that the no-op slot leaves, and retrieval ends in the first fold of that curve, the end "
            "of its branch (at d = 16, λ = 1, n = 0: M = 4589). Checked, with λ of 0.5 and 1 and d of 16 and 20, as:"
            " the limit of a given pattern lies within m/2 of it with probability at least ½ at e^{−1/4} times the "
            "fold, and at most ½ at e^{1/4} times the fold."
        ),
        formula=r"M(q)=\frac{1-q-q\,n\,e^{-\kappa q}}{q-\bar s(\kappa q)}\cdot\frac{e^{\kappa q}}{\Psi_d(\kappa q)}",
        source="derived for this project; the crowd acts through its mean",
        proof="heuristic",
        why="A heuristic: the crowd acts through its mean, and the transverse part is dropped.",
        kind=Kind.PROBABILISTIC,
        parts=(
            _short_of_fold(_mean_field, dense(16, 16.0, 0.5), (40, 1000)),
            _past_fold(_mean_field, dense(16, 16.0, 0.5), (22, 200)),
            _short_of_fold(_mean_field, dense(20, 10.0, 0.5), (200, 5000)),
            _past_fold(_mean_field, dense(20, 10.0, 0.5), (200, 5000)),
            _short_of_fold(_mean_field, slotted(16, 16.0, 0.5, 12.0), (200, 2000)),
            _past_fold(_mean_field, slotted(16, 16.0, 0.5, 12.0), (200, 2000)),
        ),
        experiment="capacity",
        held_in=("exponents",),
        figure="capacity_rates",
        closed_form="bounds.mean_field.predicted",
    ),
    Statement(
        name="C6",
        title="Ceiling for all patterns",
        claim=(
            "Lengths in units of m. Take a height u* ≤ 1 with κu* < 2, h = √(u*/2) and a half width s > 0; let P(u*)"
            " be the share of the sphere below height u*, x = ½M(M − 1) P(u*), and η the mean of Σ_{ν≥3} [(w − s)₊ "
            "y/(s − (1 − s)l) + (κw² − 1)₊ y/(1 − κh² − (κ − 1)₊l)], both denominators positive, where y and l bound"
            " the weights of the others and of the no-op slot beside a pair below u* and w is the distance from its "
            "midpoint (docs/bounds-proofs.md). Of M patterns, independent and uniform on the sphere, two run to one "
            "limit, so that not all are stored, with probability at least max(x(1 − η) − x²/2, x(1 − η)²/(1 − η + "
            "x))."
        ),
        formula=r"P(\text{not all stored})\ge x(1-\eta)-\tfrac12x^2,\quad x=\tfrac12M(M-1)P(u^*)",
        source=_DERIVED,
        proof=_HERE,
        why=(
            "T contracts a tube around the segment between two patterns closer than u* if the weights of the others "
            "are small there: both run to one fixed point. Markov's inequality bounds the chance of larger weights; "
            "Bonferroni's and Cauchy–Schwarz's give the chance of such a pair."
        ),
        proved_in="docs/bounds-proofs.md#c6-pairs-that-merge",
        kind=Kind.PROBABILISTIC,
        parts=(
            two_merge(_merging, dense(4, 200.0, 0.1), (140, 2000)),
            two_merge(_merging, slotted(5, 120.0, 0.1, 0.0), (140, 1000)),
            two_merge(_merging, slotted(5, 120.0, 0.1, 108.0), (140, 1000)),
            rarely_merged(_merging, dense(4, 1e5, 1e-6), 3.0, (300, 12000)),
            rarely_merged(_merging, slotted(6, 1e5, 1e-9, 0.0), 3.0, (100, 4000)),
        ),
        experiment="capacity",
        figure="capacity_rates",
        closed_form="bounds.merging.pair_witness",
    ),
    Statement(
        name="C7",
        title="Ceiling for a typical pattern",
        claim=(
            "Lengths in units of m. Let M patterns be independent and uniform on the sphere, h ≤ ρ < 1, and cover (0, "
            "ρ] by strips (a₋, a₊]. For each take z, t, θ > 0, and where a₊ > h also y, s > 0 and 0 < c < 1, else y = "
            "0. Put A = y + a₊ − (1 − a₊) n e^{−κ(1 − a₋)}; g = (u − a₊) e^{−κu(1 − a₋)} for heights u above a cap of "
            "at least a₊, and g = 0 below; f = (a₊ − u) e^{−κu(1 − a₊)} for h ≤ u < a₊, and f = 0 elsewhere; τ the "
            "part of a pattern across the given one; b² = min(ρ² − a₋², a₊(2 − a₊)), B = A e^z z/(κb); and R = b/μ, "
            "where Q is the share of the directions across whose cosine with a given one, v, is at least c, and μ the "
            "mean of that cosine among them. Then a fixed point lies within ρ of a given pattern with probability at "
            "most (M − 1) P(u < h) + Σ over strips with A > 0 of exp(tAe^z + (M − 1) E[e^{−tg} − 1]) + exp((M − 1) "
            "E[Ψ_{d−1}(θg|τ|) − 1])/Ψ_{d−1}(θB) + Σ over strips with a₊ > h of exp((M − 1) E[exp(s f e^{κR⟨τ,v⟩}) − "
            "1] − sy)/Q, |v| = 1. The limit of a pattern is a fixed point."
        ),
        formula=(
            r"P(\exists\,x^*\in B(\xi,\rho m))\le(M-1)P(u<h)+\sum_{a_-}\Bigl(e^{tAe^z+(M-1)E[e^{-tg}-1]}"
            r"+\frac{e^{(M-1)E[\Psi_{d-1}(\theta g|\tau|)-1]}}{\Psi_{d-1}(\theta B)}"
            r"+\frac{e^{(M-1)E[\exp(sfe^{\kappa R\langle\tau,v\rangle})-1]-sy}}{Q}\Bigr)"
        ),
        source=_DERIVED,
        proof=_HERE,
        why=(
            "The component of a fixed point along ξ obeys an exact identity. By Jensen's inequality it has no "
            "solution in a strip where Σ g is large, |Σ g τ| small, and what patterns nearer than the strip pull back "
            "small in all directions; Chernoff's inequality bounds the chance of anything else."
        ),
        proved_in="docs/bounds-proofs.md#c7-patterns-that-no-fixed-point-is-near",
        kind=Kind.PROBABILISTIC,
        parts=(
            typical_lost(_crowding(0.1), dense(12, 12.0, 0.5), (40, 2000), 0.1),
            typical_lost(_crowding(0.2), slotted(16, 8.0, 0.5, 2.0), (100, 5000), 0.2),
            typical_lost(_crowding(_RETRIEVAL), dense(12, 6.0, 0.5), (200, 5000), _RETRIEVAL),
            rarely_near(95, 0.02, RandomMemory(16, 8.0, -math.inf), (60, 2000)),
            rarely_near(135, 0.04, RandomMemory(16, 8.0), (60, 2000)),
        ),
        experiment="capacity",
        figure="capacity",
        closed_form="bounds.crowding.typical_witness",
    ),
    Statement(
        name="C9",
        title="Finite-size law of storage",
        claim=(
            "Lengths in units of m: a state x = qξ + y, y across the target ξ, r = |x|; a pattern of overlap c with "
            "x and of length s across ξ has the weight W = e^{κrc} and the pull g = (r − c)W, with h = g/E g, a = "
            "s²W²/E[s²W²], u = κqe^{−κq}s²W and t = 4κ²y²E[as²]/(d − 1). The branch M(q) solves e^{κq}(1 − q) − qn = "
            "M E g q/r with y² = q²e^{−2κq} M E[s²W²], and is largest at M* where |x − ξ| is at most ½; "
            "−γ is the slope of log M in what is added to log y². Half of the patterns are stored where the median "
            "of the crowd's pull, relative to its mean, meets e^{log M* − log(M − 1) + δ₁ + δ₂ + δ₃}, with δ₁ = −(1 "
            "− γ) log(1 + E[hu]), δ₂ = −γ log(1 + 2E[au] + t) and δ₃ = (Var l′ − Cov(l, l′)²/Var l)/(2bM*), of l = "
            "(1 − γ)h + γa and b = −(log M)″(q), and the rate falls over a width σ of log M, whose square is Var((1 "
            "− γ)h(1 + u)/(1 + E[hu]) + γa(1 + 2u + t)/(1 + 2E[au] + t))/M* + 2(γ + (1 − γ)E[hu]/(1 + E[hu]))²/(d − "
            "1) and what y adds. Checked, at λ = 1 with d of 12 and 16 and at λ = ½ with d = 20, as: the limit of a "
            "given pattern lies within m/2 of it with probability at least ½ at σ/2 below that log M, and at most ½ at "
            "σ/2 above."
        ),
        formula=(
            r"\log M_{1/2}\approx\log M^*+\delta_1+\delta_2+\delta_3,\quad"
            r"\sigma^2\approx\frac1{M^*}\operatorname{Var}\Bigl((1-\gamma)\frac{h(1+u)}{1+E[hu]}"
            r"+\gamma\frac{a(1+2u+t)}{1+2E[au]+t}\Bigr)+\frac2{d-1}\Bigl(\gamma+(1-\gamma)\frac{E[hu]}{1+E[hu]}\Bigr)^2"
        ),
        source="derived for this project; the crowd's fluctuations to first order",
        proof="heuristic",
        why=(
            "A heuristic: C5 with the state that the crowd's fluctuations pull across the target, where the crowd is "
            "louder; this curve ends also where C5 does not. To first order in the inverse number of patterns that "
            "count, each pattern is louder where it has itself pulled the state (δ₁), and has pulled it farther "
            "across, turned on by the others (δ₂), and each memory ends at its own overlap (δ₃)."
        ),
        kind=Kind.PROBABILISTIC,
        parts=(
            *_beside_law(lambda s: _law(s)[0], dense(12, 12.0, 0.5), (50, 500)),
            *_beside_law(lambda s: _law(s)[0], dense(16, 16.0, 0.5), (50, 500)),
            *_beside_law(lambda s: _law(s)[0], dense(20, 10.0, 0.5), (100, 2000)),
            *_beside_law(lambda s: _law(s)[0], slotted(20, 10.0, 0.5, 4.5), (100, 2000)),
        ),
        experiment="capacity",
        figure="capacity_law",
        closed_form="bounds.finite_size.law",
    ),
    Statement(
        name="C10",
        title="Chernoff bound by direction",
        claim=(
            "Lengths in units of m; patterns are (1 − u)ξ + τ and states (1 − a)ξ + v, τ and v across a given pattern"
            " ξ; D = d − 1, and λ is the largest eigenvalue. Take a cap u₀, a ball ρ < 1 with 2ρ ≤ √(2u₀), and limits"
            " on sums over the patterns above u₀, such that by Σ c e^{−κu(1−a) + κ⟨τ,v⟩} ≤ Σ ch + κb|Σ chτ| + κ²b² "
            "λ(Σ ch φ(κb|τ|) ττᵀ) for a ≤ y and |v| ≤ b, with h = e^{−κu(1−y)} and φ(s) = (eˢ − 1 − s)/s², and by a "
            "like bound across ξ, updates carry the ball in stages into a cylinder within it and contract that "
            "(docs/bounds-proofs.md). Let the sum over the limits g of e^{−tg + M E[e^{tk} − 1]} for sums of numbers "
            "k, of e^{M E[Ψ_D(tk) − 1]}/Ψ_D(tg) for vectors of length k and of D e^{−tg + M E[e^{tk} − 1]/D} for "
            "matrices of eigenvalue k, with a t > 0 for each, be S. Of M patterns, independent and uniform on the "
            "sphere, a given one is stored, with its limit within ρ, with probability at least 1 − M P(u₀) − S, and "
            "all are with at least 1 − ½M² P(u₀) − M S; or, where the nearest neighbour between u₀ and u₁ is treated "
            "on its own in shells of height, each a share s_j of the sphere with a ball, an axis between the two, "
            "limits and a share P_j for a third pattern (docs/bounds-proofs.md), with at least 1 − ½M² P(u₀) − M² "
            "Σ_j s_j min(1, M P_j + S_j) − M S, and a given one with 1 − M P(u₀) − M Σ_j s_j min(1, M P_j + S_j) − "
            "S."
        ),
        formula=(
            r"\sum_\nu c_\nu r_\nu\le\sum ch+\kappa b\,\bigl|\sum ch\tau\bigr|"
            r"+\kappa^2b^2\lambda\bigl(\sum ch\,\varphi(\kappa b|\tau|)\tau\tau^T\bigr)"
        ),
        source=_DERIVED,
        proof=_HERE,
        why=(
            "The crowd's parts across ξ nearly cancel: their first order is the length of a sum of isotropic vectors, "
            "their second the largest eigenvalue of a random matrix (Ahlswede and Winter). A union bound over the "
            "tails of all sums leaves what is asked. The nearest neighbour moves the state to where the "
            "crowd, seen from there, has the same law."
        ),
        proved_in="docs/bounds-proofs.md#c10-patterns-that-are-stored-by-direction",
        kind=Kind.PROBABILISTIC,
        parts=(
            typical_stored(_directional_typical, slotted(40, 12.0, 0.1, 0.0), (100, 2000), _directional_ball),
            all_stored(_directional, dense(24, 12.0, 0.3), (60, 1000)),
        ),
        experiment="capacity",
        figure="capacity",
        closed_form="bounds.directional.directional",
    ),
    Statement(
        name="C11",
        title="The recalled capacity lemma, mended",
        claim=(
            "Let R ≤ min(m, 1/(2βm)), C = b/W₀(exp(a + ln b)), a = 4(ln(2√p m/R) + 1)/(d − 1) and b = 4βm²/(5(d − 1)). "
            "If √p C^{(d−1)/4} ≥ 2, as many patterns, independent and uniform on the sphere of radius m, are all "
            "stored in balls of radius R with probability at least 1 − p, for every n ≤ 1."
        ),
        formula=(
            r"M=\sqrt p\,C^{(d-1)/4},\quad C=\frac b{W_0(e^{a+\ln b})},\quad "
            r"a=\frac4{d-1}\Bigl(\ln\frac{2\sqrt p\,m}R+1\Bigr),\quad b=\frac{4\beta m^2}{5(d-1)}"
        ),
        source="the capacity lemma of P35, with √p in place of √p − 1 and a condition on R",
        proof=_HERE,
        why=(
            "With probability 1 − p all angles are at least C^{−1/2}, and then β times every gap at least ln(2Mm/R) + "
            "1, which T12 needs in balls of radius R. A slot of n ≤ 1 takes less than what M − 1 in place of M leaves."
        ),
        proved_in="docs/bounds-proofs.md#c11-the-recalled-capacity-lemma",
        kind=Kind.PROBABILISTIC,
        parts=(
            all_stored(_well_separated, dense(4, 1000.0, 0.5), (200, 5000)),
            all_stored(_well_separated, slotted(2, 1e6, 0.5, 0.0), (200, 5000)),
            rarely_lost(_well_separated, dense(3, 1e9, 1e-6), 2.2, (200, 10000)),
            rarely_lost(_well_separated, slotted(5, 1e8, 1e-9, 0.0), 2.2, (100, 3000)),
        ),
        closed_form="bounds.union.well_separated",
    ),
)
