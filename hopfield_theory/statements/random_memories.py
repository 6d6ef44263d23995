"""C1 to C7, C9 and C10: lower and upper bounds on the number of random patterns that a memory stores.

Experiments run in units of the radius m: patterns are uniform on the unit sphere, and κ = βm² is the inverse
temperature.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from hopfield_theory.bounds import RandomMemory, finite_size, mean_field, sphere, union
from hopfield_theory.bounds.chernoff import Witness, chernoff, chernoff_witness
from hopfield_theory.bounds.crowding import typical_witness
from hopfield_theory.bounds.directional import directional, directional_witness
from hopfield_theory.bounds.merging import pair_witness
from hopfield_theory.data.ensembles import keyed_generator
from hopfield_theory.model import batched
from hopfield_theory.statements import derivations, tails
from hopfield_theory.statements.rare_events import ClosePair, QuietCrowd, mean_interval
from hopfield_theory.statements.statement import Experiment, Kind, Statement, Trend
from hopfield_theory.statistics import Interval

__all__ = ["PUBLISHED_AT_SMALL_KAPPA", "STATEMENTS"]

# an orbit whose step is shorter has come to rest; ends that are closer than _APART are the same
_AT_REST = 1e-10
_APART = 1e-6
# A state that still moves after so many updates counts as a fixed point. Pairs within 2 per cent of the height 2/κ at
# which pairs separate merge more slowly and count as separate, which favours C1 to C3 and disfavours C6.
_STEPS = 1000
# numbers that a batch of memories may hold: few enough for a cache
_BLOCK = 1 << 18


@dataclass(frozen=True)
class _Setting:
    """A random memory, and the probability p of a statement about it."""

    memory: RandomMemory
    failure_probability: float

    def __str__(self) -> str:
        return f"{_described(self.memory)}, p = {self.failure_probability:g}"


def _described(memory: RandomMemory) -> str:
    log_noop = memory.log_noop
    noop = "0" if math.isinf(log_noop) else f"e^{log_noop:g}" if log_noop else "1"
    return f"d = {memory.dim}, κ = {memory.kappa:g}, n = {noop}"


def _dense(dim: int, kappa: float, failure_probability: float) -> _Setting:
    return _Setting(RandomMemory(dim, kappa, -math.inf), failure_probability)


def _slotted(dim: int, kappa: float, failure_probability: float, log_noop: float) -> _Setting:
    return _Setting(RandomMemory(dim, kappa, log_noop), failure_probability)


# from a setting to the logarithm of a number of patterns, or to a distance
_Bound = Callable[[_Setting], float]
# from patterns, shape (B, M, d), the ends of the first Q of them, shape (B, Q, d), which of those are at rest, and a
# radius, to bools of shape (B,)
_Event = Callable[[Tensor, Tensor, Tensor, float], Tensor]


# --- memories and their ends ---


def _ends(patterns: Tensor, queries: int, memory: RandomMemory) -> tuple[Tensor, Tensor]:
    """Return the ends of updates from the first patterns of memories, shape (B, M, d), and which converged."""
    start = patterns[:, :queries]
    found = batched.fixed_points(start, patterns, memory.kappa, memory.log_noop, tol=_AT_REST, max_steps=_STEPS)
    return found.state, found.converged


def _errors(patterns: Tensor, ends: Tensor) -> Tensor:
    return torch.linalg.vector_norm(ends - patterns[:, : ends.shape[1]], dim=-1)


def _storable(patterns: Tensor, ends: Tensor) -> Tensor:
    return batched.storable(patterns, ends, _APART)


def _merged(ends: Tensor) -> Tensor:
    return (batched.distances(ends) <= _APART).any(-1).any(-1)


def _within(patterns: Tensor, ends: Tensor, radius: float) -> Tensor:
    return _errors(patterns, ends)[:, 0] <= radius


# --- events ---


@dataclass(frozen=True)
class _Kind:
    """The event of a bound: its name, the number of patterns, and whether it is about one of them or all.

    The name may contain a place for the radius. The claimed probability is ``1 - p`` for a likely event, else p.
    """

    name: str
    happens: _Event
    rounded: Callable[[float], int]
    at_least: bool
    typical: bool = False
    likely: bool = False

    def size(self, log_patterns: float) -> int:
        return self.rounded(math.exp(log_patterns))

    def claimed(self, setting: _Setting) -> float:
        return 1 - setting.failure_probability if self.likely else setting.failure_probability

    def full_name(self, setting: _Setting, radius: _Bound | float) -> str:
        return f"{self.name.format(radius)}: {setting}"


def _radius(radius: _Bound | float, setting: _Setting) -> float:
    return radius(setting) if callable(radius) else radius


def _counted(
    kind: _Kind,
    log_patterns: _Bound,
    setting: _Setting,
    trials: tuple[int, int],
    radius: _Bound | float = math.nan,
) -> Experiment:
    """Count the random memories in which an event happens."""
    name, dim = kind.full_name(setting, radius), setting.memory.dim

    def count(seed: int, trials: int, _: float) -> int:
        generator, size, reach = keyed_generator(seed, name), kind.size(log_patterns(setting)), _radius(radius, setting)
        queries = 1 if kind.typical else size
        batch = max(1, _BLOCK // (size * max(queries, dim)))
        happened = 0
        for begun in range(0, trials, batch):
            # drawn one by one, since the numbers that torch draws depend on how many it draws in one call
            drawn = [
                torch.randn(size, dim, generator=generator, dtype=torch.float64)
                for _ in range(min(batch, trials - begun))
            ]
            patterns = torch.nn.functional.normalize(torch.stack(drawn), dim=-1)
            happened += int(kind.happens(patterns, *_ends(patterns, queries, setting.memory), reach).sum())
        return happened

    return Experiment(name, count, lambda: kind.claimed(setting), kind.at_least, trials)


def _estimated(
    kind: _Kind,
    log_patterns: _Bound,
    setting: _Setting,
    reach: float,
    trials: tuple[int, int],
    radius: _Bound | float = math.nan,
) -> Experiment:
    """Estimate the probability of an event together with a pair closer than the height ``reach/κ``."""
    name, memory = kind.full_name(setting, radius), setting.memory
    cap = reach / memory.kappa

    def estimate(seed: int, trials: int, confidence: float) -> Interval:
        size = kind.size(log_patterns(setting))
        pairs, generator = ClosePair(size, memory.dim, cap, of_first=kind.typical), keyed_generator(seed, name)

        def value(patterns: Tensor, ends: Tensor, at_rest: Tensor) -> Tensor:
            return kind.happens(patterns, ends, at_rest, _radius(radius, setting)) / pairs.count(patterns)

        mean = _mean_value(pairs.draw, value, memory, 1 if kind.typical else size, generator, trials, confidence)
        # an upper bound is refuted by the close pairs, a lower bound only by all events
        rest = math.exp(tails.log_crowd_failure(memory, cap, math.log(size))) if kind.at_least else 0.0
        return _scaled(mean, pairs.log_expected, rest)

    return Experiment(name, estimate, lambda: kind.claimed(setting), kind.at_least, trials)


_all_stored = functools.partial(
    _counted,
    _Kind(
        "all limits distinct and in disjoint balls",
        lambda patterns, ends, _, __: _storable(patterns, ends),
        math.floor,
        at_least=True,
        likely=True,
    ),
)
_two_merge = functools.partial(
    _counted, _Kind("two limits coincide", lambda _, ends, __, ___: _merged(ends), math.ceil, at_least=True)
)
_typical_stored = functools.partial(
    _counted,
    _Kind(
        "limit of one pattern in its ball",
        lambda patterns, ends, _, radius: _within(patterns, ends, radius),
        math.floor,
        at_least=True,
        typical=True,
        likely=True,
    ),
)
_typical_lost = functools.partial(
    _counted,
    _Kind(
        "limit of one pattern within {:g} m",
        lambda patterns, ends, _, radius: _within(patterns, ends, radius),
        math.ceil,
        at_least=False,
        typical=True,
        likely=True,
    ),
)
_rarely_lost = functools.partial(
    _estimated,
    _Kind(
        "limits that coincide or do not fit into disjoint balls, through a close pair",
        lambda patterns, ends, at_rest, _: at_rest.all(-1) & ~_storable(patterns, ends),
        math.floor,
        at_least=False,
    ),
)
_rarely_off = functools.partial(
    _estimated,
    _Kind(
        "limit of one pattern outside its ball, through a close neighbour",
        lambda patterns, ends, at_rest, radius: at_rest[:, 0] & ~_within(patterns, ends, radius),
        math.floor,
        at_least=False,
        typical=True,
    ),
)
_rarely_merged = functools.partial(
    _estimated,
    _Kind(
        "two limits coincide",
        # here it is the claim that such events are frequent enough, so that doubt counts as one
        lambda _, ends, at_rest, __: _merged(ends) | ~at_rest.all(-1),
        math.ceil,
        at_least=True,
    ),
)

# from a generator to one memory, shape (M, d)
_Draw = Callable[[torch.Generator], Tensor]
# from memories, their ends and which of those are at rest to numbers of shape (B,) in [0, 1]
_Value = Callable[[Tensor, Tensor, Tensor], Tensor]


def _mean_value(
    draw: _Draw,
    value: _Value,
    memory: RandomMemory,
    queries: int,
    generator: torch.Generator,
    trials: int,
    confidence: float,
) -> Interval:
    """Average a function of the ends of the first ``queries`` patterns over memories."""
    values: list[Tensor] = []
    while (left := trials - sum(map(len, values))) > 0:
        first = draw(generator)
        batch = min(left, max(1, _BLOCK // (len(first) * max(queries, memory.dim))))
        patterns = torch.stack([first, *(draw(generator) for _ in range(batch - 1))])
        values.append(value(patterns, *_ends(patterns, queries, memory)))
    return mean_interval(torch.cat(values), confidence)


def _scaled(interval: Interval, log_factor: float, rest: float = 0.0) -> Interval:
    """Multiply by a known factor, and add a bound on the omitted probability to the upper end."""
    estimate, low, high = (math.exp(log_factor) * x for x in (interval.estimate, interval.low, interval.high))
    return Interval(estimate, low, high + rest, interval.confidence)


# where C7's sum over the crowd begins for these experiments, and the pull, in units of ρ, that counts as quiet
_CAP = 0.4
_QUIET = 0.9


def _rarely_near(size: int, error: float, memory: RandomMemory, trials: tuple[int, int]) -> Experiment:
    """Estimate the probability, bounded by C7, that the crowd is quiet and a pattern's fixed point is near it."""
    name = f"limit of one pattern within {error:g} m of it, the crowd quiet: M = {size}, {_described(memory)}"

    def estimate(seed: int, trials: int, confidence: float) -> Interval:
        crowd = QuietCrowd(size, memory.dim, memory.kappa, 0.5 * error, _QUIET * error)

        def value(patterns: Tensor, ends: Tensor, at_rest: Tensor) -> Tensor:
            return (at_rest[:, 0] & _within(patterns, ends, error)) * crowd.weight(patterns)

        mean = _mean_value(crowd.draw, value, memory, 1, keyed_generator(seed, name), trials, confidence)
        return _scaled(mean, crowd.log_factor)

    def claimed() -> float:
        return math.exp(tails.log_near(memory, error, _CAP, math.log(size)))

    return Experiment(name, estimate, claimed, at_least=False, trials=trials)


# --- bounds ---


@functools.cache
def _published(setting: _Setting) -> float:
    return union.published(setting.memory, setting.failure_probability)


@functools.cache
def _pairwise(setting: _Setting) -> float:
    return union.pairwise(setting.memory, setting.failure_probability)


@functools.cache
def _chernoff(setting: _Setting) -> float:
    return chernoff(setting.memory, setting.failure_probability)


@functools.cache
def _typical_witness(setting: _Setting) -> Witness:
    return chernoff_witness(setting.memory, setting.failure_probability, "typical")


def _typical(setting: _Setting) -> float:
    return _typical_witness(setting).log_patterns


def _ball(setting: _Setting) -> float:
    return _typical_witness(setting).lone.ball


def _directional(setting: _Setting) -> float:
    return directional(setting.memory, setting.failure_probability)


def _directional_typical(setting: _Setting) -> float:
    return directional(setting.memory, setting.failure_probability, "typical")


def _directional_ball(setting: _Setting) -> float:
    witness = directional_witness(setting.memory, setting.failure_probability, "typical")
    assert witness is not None
    return witness.ball


@functools.cache
def _merging(setting: _Setting) -> float:
    return pair_witness(setting.memory, setting.failure_probability).log_patterns


@functools.cache
def _ceiling(setting: _Setting, error: float) -> float:
    return typical_witness(setting.memory, setting.failure_probability, error).log_patterns


def _crowding(error: float) -> _Bound:
    return lambda setting: _ceiling(setting, error)


def _crowding_in_ball(setting: _Setting) -> float:
    return _ceiling(setting, 1 / setting.memory.kappa)


# the largest error that counts as retrieval in C5, in units of m, and the distance from the fold at which it is tested
_RETRIEVAL = 0.5
_FROM_FOLD = 0.25


def _mean_field(setting: _Setting) -> float:
    return mean_field.predicted(setting.memory, _RETRIEVAL)


def _short_of_fold(log_fold: _Bound, setting: _Setting, trials: tuple[int, int]) -> Experiment:
    return _typical_stored(lambda s: log_fold(s) - _FROM_FOLD, setting, trials, _RETRIEVAL)


def _past_fold(log_fold: _Bound, setting: _Setting, trials: tuple[int, int]) -> Experiment:
    return _typical_lost(lambda s: log_fold(s) + _FROM_FOLD, setting, trials, _RETRIEVAL)


@functools.cache
def _law(setting: _Setting) -> tuple[float, float]:
    """Return the law's log M at the rate ½, and its width."""
    found = finite_size.law(setting.memory)
    assert found is not None
    return found.log_patterns, found.width


# how far from the law's log M it is tested, in units of its width
_FROM_LAW = 0.5


def _beside_law(log_half: _Bound, setting: _Setting, trials: tuple[int, int]) -> tuple[Experiment, Experiment]:
    def beside(side: float) -> _Bound:
        return lambda s: log_half(s) + side * _FROM_LAW * _law(s)[1]

    return (
        _typical_stored(beside(-1.0), setting, trials, _RETRIEVAL),
        _typical_lost(beside(1.0), setting, trials, _RETRIEVAL),
    )


# --- trends ---

_Exponent = Callable[[float], float]
_DIMS = (200, 400, 800)


def _threshold(lam: float) -> float:
    return float(mean_field.threshold(lam))


def _overlap(lam: float) -> float:
    """Overlap that dominates the crowd, where ``λ s + ½ log(1 - s²)`` is largest."""
    return 2 * lam / (1 + math.hypot(1.0, 2 * lam))


def _optimised(threshold: _Exponent) -> float:
    """Compare with a search for the maximum over s.

    Brent's search misses the place by δ < 5e-8. The curvature there is ``λ² (1 + s²)/s²``, which is at most 2.1e4, so
    that the maximum is missed by less than 3e-11.
    """

    def searched(lam: float) -> float:
        found: Any = optimize.minimize_scalar(
            lambda s: -lam * s - 0.5 * math.log1p(-s * s),
            bounds=(0.0, 1.0),
            method="bounded",
            options={"xatol": 1e-12, "maxiter": 500},
        )
        return lam + found.fun

    lams = np.geomspace(0.01, 100.0, 41).tolist()
    return 1e-10 - max(abs(threshold(lam) - searched(lam)) for lam in lams)


def _follows_exponential_moment(threshold: _Exponent, lam: float) -> float:
    """Check that ``κ - log Ψ_d(κ)`` is ``α_1 d + ½ log(1 - s⁴)``, Laplace's method, up to a rest of order 1/d."""
    correction = 0.5 * math.log1p(-(_overlap(lam) ** 4))
    rests = [
        abs(lam * d - float(sphere.log_mgf(lam * d, d)) - threshold(lam) * d - correction)
        for d in (50, 100, 200, 400, 800)
    ]
    return min(0.55 * rest - next_rest for rest, next_rest in itertools.pairwise(rests))


def _shares(log_patterns: _Bound, threshold: _Exponent, lam: float) -> list[float]:
    """Return ``log M/(α_1 d)`` over growing d, for ``κ = λ d`` and ``n = 0``."""
    settings = [_dense(d, lam * d, 0.5) for d in _DIMS]
    return [log_patterns(setting) / (threshold(lam) * setting.memory.dim) for setting in settings]


def _closes_in(log_patterns: _Bound, threshold: _Exponent, lam: float) -> float:
    """Check that each doubling of d reduces the distance to 1 by more than a third."""
    gaps = [abs(1 - share) for share in _shares(log_patterns, threshold, lam)]
    return min(2 / 3 * gap - next_gap for gap, next_gap in itertools.pairwise(gaps))


def _extrapolates(log_patterns: _Bound, threshold: _Exponent, lam: float) -> float:
    """Check the constant of ``a + b log(d)/d + c/d`` through the shares; terms of order log²(d)/d² are neglected."""
    terms = [[1.0, math.log(d) / d, 1 / d] for d in _DIMS]
    constant = np.linalg.solve(terms, _shares(log_patterns, threshold, lam))[0]
    return (math.log(_DIMS[0]) / _DIMS[0]) ** 2 - abs(float(constant) - 1)


def _unmoved(log_patterns: _Bound, lam: float, nu: float) -> float:
    """Check that a no-op mass ``exp(ν d)`` below ``exp(λ d)`` costs less than one pattern in a million."""
    dim = _DIMS[-1]
    with_noop, dense = (log_patterns(_slotted(dim, lam * dim, 0.5, log_n)) for log_n in (nu * dim, -math.inf))
    return 1e-6 - abs(with_noop - dense)


def _silenced(log_patterns: _Bound, lam: float, nu: float) -> float:
    """Check that with a no-op mass ``exp(ν d)`` above ``exp(λ d)`` not even two patterns are stored."""
    return math.log(2.0) - max(log_patterns(_slotted(d, lam * d, 0.5, nu * d)) for d in _DIMS)


PUBLISHED_AT_SMALL_KAPPA = (
    _all_stored(_published, _dense(2, 1e-6, 0.5), (40, 200)),
    _all_stored(_published, _slotted(2, 1e-6, 0.5, 0.0), (40, 200)),
)
"""Experiments on the published bound at small β, where the update contracts the whole space and nothing is stored."""

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
            "printed it asks for no large κ = βm², and it is false for κ < 1, where the update contracts the whole "
            "space to a single fixed point: at d = 2, κ = 10⁻⁶, p = ½ it promises 428 patterns. Here it is read for "
            "large κ."
        ),
        formula=r"M=\sqrt p\,c^{(d-1)/4},\quad c=\frac{b}{W_0(e^{a+\ln b})}",
        source="Theorem 3 of Ramsauer et al. 2021, arXiv:2008.02217; Hu et al. 2024, arXiv:2404.03828, for n = 1",
        proof="proved in Ramsauer et al. 2021 for large κ",
        why="Ramsauer et al. 2021, for large κ. It is false for κ < 1 (T7: one fixed point).",
        kind=Kind.PROBABILISTIC,
        parts=(
            _all_stored(_published, _dense(3, 600.0, 0.5), (200, 5000)),
            _all_stored(_published, _dense(4, 1000.0, 0.5), (200, 5000)),
            _all_stored(_published, _slotted(3, 4000.0, 0.3, 0.0), (200, 5000)),
            _rarely_lost(_published, _dense(3, 1e9, 1e-6), 2.2, (200, 10000)),
            _rarely_lost(_published, _slotted(5, 1e8, 1e-9, 0.0), 2.2, (100, 3000)),
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
            _all_stored(_pairwise, _dense(4, 200.0, 0.1), (200, 5000)),
            _all_stored(_pairwise, _slotted(6, 120.0, 0.5, 0.0), (100, 2000)),
            _all_stored(_pairwise, _slotted(6, 60.0, 0.3, 54.0), (200, 5000)),
            _rarely_lost(_pairwise, _dense(3, 3e8, 1e-6), 2.2, (200, 10000)),
            _rarely_lost(_pairwise, _slotted(3, 1e8, 1e-6, 0.0), 2.2, (200, 10000)),
            _rarely_lost(_pairwise, _slotted(4, 1e8, 1e-9, 0.0), 2.2, (200, 10000)),
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
            _all_stored(_chernoff, _dense(4, 200.0, 0.1), (200, 5000)),
            _all_stored(_chernoff, _slotted(8, 30.0, 0.5, 0.0), (100, 2000)),
            _all_stored(_chernoff, _slotted(6, 60.0, 0.3, 54.0), (100, 2000)),
            _typical_stored(_typical, _dense(12, 12.0, 0.5), (200, 5000), _ball),
            _typical_stored(_typical, _slotted(16, 16.0, 0.1, 0.0), (200, 5000), _ball),
            _typical_stored(_typical, _slotted(10, 20.0, 0.1, 15.0), (200, 5000), _ball),
            _rarely_lost(_chernoff, _dense(4, 1e5, 1e-6), 2.2, (300, 10000)),
            _rarely_lost(_chernoff, _slotted(16, 60.0, 1e-6, 0.0), 2.2, (40, 2000)),
            _rarely_off(_typical, _dense(4, 1e5, 1e-6), 2.5, (300, 10000), _ball),
            _rarely_off(_typical, _slotted(6, 1e5, 1e-9, 0.0), 2.5, (60, 3000), _ball),
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
        proved_in="docs/bounds-proofs.md#c3-patterns-that-are-stored",
        kind=Kind.ASYMPTOTIC,
        parts=(
            Trend("α₁ is a maximum over overlaps", lambda: _optimised(_threshold)),
            Trend("α₁ is the rate of Ψ_d, λ = 1", lambda: _follows_exponential_moment(_threshold, 1.0)),
            Trend("α₁ is the rate of Ψ_d, λ = 5", lambda: _follows_exponential_moment(_threshold, 5.0)),
            Trend("C3 closes in on α₁, λ = 1", lambda: _closes_in(_typical, _threshold, 1.0)),
            Trend("C3 extrapolates to α₁, λ = 1", lambda: _extrapolates(_typical, _threshold, 1.0)),
            Trend("C7 closes in on α₁, λ = 1", lambda: _closes_in(_crowding_in_ball, _threshold, 1.0)),
            Trend("C7 extrapolates to α₁, λ = 1", lambda: _extrapolates(_crowding_in_ball, _threshold, 1.0)),
            Trend("ν = ½ does not move C7, λ = 1", lambda: _unmoved(_crowding_in_ball, 1.0, 0.5)),
            Trend("ν = 1.1 leaves C7 one pattern, λ = 1", lambda: _silenced(_crowding_in_ball, 1.0, 1.1)),
        ),
        derivation=derivations.threshold,
        experiment="exponents",
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
            _short_of_fold(_mean_field, _dense(16, 16.0, 0.5), (40, 1000)),
            _past_fold(_mean_field, _dense(16, 16.0, 0.5), (22, 200)),
            _short_of_fold(_mean_field, _dense(20, 10.0, 0.5), (200, 5000)),
            _past_fold(_mean_field, _dense(20, 10.0, 0.5), (200, 5000)),
            _short_of_fold(_mean_field, _slotted(16, 16.0, 0.5, 12.0), (200, 2000)),
            _past_fold(_mean_field, _slotted(16, 16.0, 0.5, 12.0), (200, 2000)),
        ),
        experiment="capacity",
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
            _two_merge(_merging, _dense(4, 200.0, 0.1), (140, 2000)),
            _two_merge(_merging, _slotted(5, 120.0, 0.1, 0.0), (140, 1000)),
            _two_merge(_merging, _slotted(5, 120.0, 0.1, 108.0), (140, 1000)),
            _rarely_merged(_merging, _dense(4, 1e5, 1e-6), 3.0, (300, 12000)),
            _rarely_merged(_merging, _slotted(6, 1e5, 1e-9, 0.0), 3.0, (100, 4000)),
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
            _typical_lost(_crowding(0.1), _dense(12, 12.0, 0.5), (40, 2000), 0.1),
            _typical_lost(_crowding(0.2), _slotted(16, 8.0, 0.5, 2.0), (100, 5000), 0.2),
            _typical_lost(_crowding(_RETRIEVAL), _dense(12, 6.0, 0.5), (200, 5000), _RETRIEVAL),
            _rarely_near(95, 0.02, RandomMemory(16, 8.0, -math.inf), (60, 2000)),
            _rarely_near(135, 0.04, RandomMemory(16, 8.0), (60, 2000)),
        ),
        experiment="capacity",
        figure="capacity",
        closed_form="bounds.crowding.typical_witness",
    ),
    Statement(
        name="C9",
        title="Finite-size law of the fold",
        claim=(
            "At the fold M*, q of C5 a pattern of overlap c has the pull g = (q − c)w, w = e^{κq(c−1)}; with s² = 1 − "
            "c², h = g/E g, Z = 1 + n e^{−κq} + M* E w, J = κM* E[s²w]/((d − 1)Z) and a = −(log M)″(q), half of the "
            "patterns are stored where the median of the sum of h over M − 1 patterns, relative to its mean, meets "
            "e^{log M* − log(M − 1) + δ₁ + δ₂ + δ₃}, δ₁ = −½κ²M* E[s²w²] E[s²g]/((d − 1)Z²(1 − J)² E g), δ₂ = −κ "
            "E[s²wg]/(Z(1 − J) E g), δ₃ = (Var h′ − Cov(h, h′)²/Var h)/(2aM*), and the rate falls over a width σ = "
            "√(Var h/M*) of log M. Checked, with λ of 0.5 and 1 and d of 16 and 20, as: the limit of a given pattern "
            "lies within m/2 of it with probability at least ½ at σ/2 below that log M, and at most ½ at σ/2 above."
        ),
        formula=(
            r"\log M_{1/2}\approx\log M^*+\delta_1+\delta_2+\delta_3,\quad"
            r"\sigma^2=\frac{\operatorname{Var}(h)}{M^*}"
        ),
        source="derived for this project; the crowd's fluctuations to first order",
        proof="heuristic",
        why=(
            "A heuristic: an expansion about C5 in the inverse number of patterns that count. The crowd pulls the "
            "state across the target, where it is louder (δ₁), each pattern most where it has itself pulled (δ₂), and "
            "each memory ends at its own overlap (δ₃)."
        ),
        kind=Kind.PROBABILISTIC,
        parts=(
            *_beside_law(lambda s: _law(s)[0], _dense(16, 16.0, 0.5), (50, 500)),
            *_beside_law(lambda s: _law(s)[0], _dense(20, 10.0, 0.5), (100, 2000)),
            *_beside_law(lambda s: _law(s)[0], _slotted(20, 10.0, 0.5, 4.5), (100, 2000)),
        ),
        experiment="capacity",
        figure="law",
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
            _typical_stored(_directional_typical, _slotted(40, 12.0, 0.1, 0.0), (100, 2000), _directional_ball),
            _all_stored(_directional, _dense(24, 12.0, 0.3), (60, 1000)),
        ),
        experiment="capacity",
        closed_form="bounds.directional.directional",
    ),
)
