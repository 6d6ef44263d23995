"""How many random patterns are stored, by direction: the crowd pulls along a pattern, hardly across it (C10)."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds.chernoff import QUANTIFIERS
from hopfield_theory.bounds.random_memory import RandomMemory

# Cells of the ball, and the shares of its radius at which its sides end; sides of a cylinder.
_CELLS, _LAST_CELL = 7, 0.01
_SIDES = (0.0, 0.5, 0.85, 1.0)
_CYLINDER_SIDES = 2
# A chain is given up when it is longer, or when a stage brings less than this share.
_LONGEST_CHAIN, _LEAST_SHARE = 16, 0.02
# The shares of the way, tried in turn, by which a target stays behind an estimate of the nearest one.
_MARGINS = (0.02, 0.3)
# Limits are put this far inside what the proof allows, so that rounding does not decide.
_ROUNDING = 1e-12
# The share by which limits lie above the least, well above the margin below which an exponent counts as 0;
# that of vectors is well above the error of a table as well.
_CLEAR, _CLEAR_OF_TABLE = 1e-6, 3e-4
# About the number of tails that count: each may take this part of what the patterns below the cap leave of p.
_TAILS = 100.0
# Where the search may begin: κ times the radius, the first target over the radius, and the share of p for patterns
# below the cap. Its steps in the logarithms of the three, and the changes of log M that are worth one.
_STARTS = ((2.0, 1.0, 0.3), (0.7, 0.7, 0.3), (8.0, 0.5, 0.3))
_STEPS = ((0.4, 0.03), (0.15, 0.01))


@dataclass(frozen=True)
class Cell:
    """A cylinder ``a <= high, |v| <= across`` of states ``(1 - a) ξ + v``, and limits on three sums over the crowd.

    With the weights ``c h``, c a factor and ``h = exp(-κ u (1 - high))``, the limits are on ``Σ c h``, on the length
    of ``Σ c h τ`` and on the largest eigenvalue of ``Σ c h φ₂(κ |τ| across) τ τᵀ``, τ the part of a pattern across ξ
    and ``φ₂(s) = (exp(s) - 1 - s)/s²``. The log tilts are the logarithms of the Chernoff parameters of their tails.
    """

    high: float
    across: float
    limits: tuple[float, ...]
    log_tilts: tuple[float, ...]


@dataclass(frozen=True)
class Side:
    """A cylinder ``low <= a <= high, |v| <= across``, and limits on four sums that move its states across ξ.

    With the weights h at ``high`` and ``δ = h (1 - exp(-κ u (high - low)))``, the limits are on the length of
    ``Σ h τ``, on ``Σ δ``, and on the largest eigenvalues of ``Σ δ τ τᵀ`` and ``Σ h φ₁(κ |τ| across) τ τᵀ``, with
    ``φ₁(s) = (exp(s) - 1)/s``.
    """

    low: float
    high: float
    across: float
    limits: tuple[float, ...]
    log_tilts: tuple[float, ...]


@dataclass(frozen=True)
class Stage:
    """A set of states that one update maps into the cylinder ``0 <= a <= target, |v| <= width``.

    The ``cells`` cover the set and bound its image along ξ, the ``sides`` cover it and bound its image across ξ.
    """

    target: float
    width: float
    cells: tuple[Cell, ...]
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class Witness:
    """Free parameters of C10 with the capacity that they prove.

    No other pattern may lie below height ``cap`` over the pattern. The first stage begins in the ball of radius
    ``ball``, each further one in the cylinder in which the stage before it ends. The update contracts the last
    cylinder: ``contraction`` bounds its slope along the pattern, ``stretch`` limits that across it, the largest
    eigenvalue of ``κ Σ h exp(κ |τ| across) τ τᵀ``.
    """

    log_patterns: float
    cap: float
    ball: float
    stages: tuple[Stage, ...]
    contraction: Cell
    stretch: float
    stretch_log_tilt: float


def directional(memory: RandomMemory, failure_probability: float, quantifier: str = "all") -> float:
    """Logarithm of a number of random patterns that are stored with probability ``1 - p`` (C10, proved here).

    Stored means what it means for ``hopfield_theory.bounds.chernoff.chernoff``. Where many patterns make up the crowd,
    that is in high dimension or for a typical pattern, this bound is the larger one of the two.

    Parameters
    ----------
    memory : RandomMemory
    failure_probability : float, in (0, 1)
        p.
    quantifier : {"all", "typical"}
        Whether p bounds the probability that any pattern, or that one given pattern, is not stored.

    Returns
    -------
    float
        log M, ``-inf`` if nothing is found.

    Raises
    ------
    ValueError
        If an argument is out of range, or d is above 100 000, where rounding may exceed the margin of the proof.

    Examples
    --------
    >>> one_stored = directional(RandomMemory.of(dim=75, beta=1.0, scale=1.0), 1e-3, "typical")
    >>> 4.1e18 < math.exp(one_stored) < 4.2e18
    True
    """
    witness = directional_witness(memory, failure_probability, quantifier)
    return -math.inf if witness is None else witness.log_patterns


@lru_cache(maxsize=256)
def directional_witness(memory: RandomMemory, failure_probability: float, quantifier: str = "all") -> Witness | None:
    """Return the parameters with which C10 proves the capacity that ``directional`` returns, None if it finds none.

    Write states as ``(1 - a) ξ + v`` and patterns as ``(1 - u) ξ + τ``, v and τ across the pattern ξ. In units of m,
    an update moves a state to ``a' = Σ p u + p_0`` and ``v' = Σ p τ``, and the weights relative to that of ξ are
    ``r = exp(-κ u (1 - a) + κ <τ, v>)``. So ``a' <= z`` exactly if ``Σ (u - z) r + (1 - z) r_0 <= z``. By
    ``exp(s) <= 1 + s + s² φ₂(|s|)``, in a cylinder ``a <= y, |v| <= b``, with ``h = exp(-κ u (1 - y))``,
    ``Σ c r <= Σ c h + κ b |Σ c h τ| + κ² b² λ(Σ c h φ₂(κ b |τ|) τ τᵀ)``. The first sum has a Chernoff bound, the second
    one by isotropy, and the largest eigenvalue λ a matrix Chernoff bound; the part across is bounded alike. Thin
    cylinders cover the ball around ξ; its image is in a cylinder, and so on to one that lies within the ball and is
    contracted.

    Parameters are the same as for ``directional``.

    Examples
    --------
    >>> memory = RandomMemory.of(dim=75, beta=1.0, scale=1.0)
    >>> witness = directional_witness(memory, 1e-3, "typical")
    >>> log_failure(memory, witness, witness.log_patterns, "typical") <= math.log(1e-3)
    True
    """
    log_p = math.log(_arguments.probability("failure_probability", failure_probability))
    _arguments.one_of("quantifier", quantifier, QUANTIFIERS)
    _quadrature.check_dim(memory.dim)
    # Below κ = 1 the update contracts the whole space: there is nothing to find.
    if memory.kappa < 1.0:
        return None
    found = _Search(memory, log_p, quantifier).best()
    if found is None:
        return None
    failure = _Failure(memory, found, quantifier)
    if failure(0.0) > log_p:
        return None
    most = _quadrature.largest(lambda x: failure(x) <= log_p, 0.0, memory.kappa + 50.0)
    return replace(found, log_patterns=most)


def log_failure(memory: RandomMemory, witness: Witness, log_patterns: float, quantifier: str) -> float:
    """Logarithm of the C10 bound on the probability of failure of ``exp(log_patterns)`` patterns, for given parameters.

    Parameters
    ----------
    memory : RandomMemory
    witness : Witness
        Sets, limits and tilts; its ``log_patterns`` is not used.
    log_patterns : float
        log M.
    quantifier : {"all", "typical"}
        Any pattern, or a given one.

    Returns
    -------
    float
        At 0 or above the bound is void, as where the limits do not imply that a pattern is stored.

    Examples
    --------
    >>> memory = RandomMemory(dim=30, kappa=116.0)
    >>> witness = directional_witness(memory, 1e-3, "typical")
    >>> log_failure(memory, replace(witness, ball=2.0 * witness.ball), witness.log_patterns, "typical") >= 0.0
    True
    """
    return _Failure(memory, witness, quantifier)(log_patterns)


@dataclass(frozen=True)
class _Event:
    """The tail bound ``exp(log_count + M exp(log_mean) - exp(log_gain))``."""

    log_gain: float
    log_mean: float
    log_count: float = 0.0

    def log_tail(self, log_patterns: float) -> float:
        return min(0.0, self.log_count + _quadrature.log_gap(self.log_gain, log_patterns + self.log_mean))


class _Failure:
    """The failure bound as a function of log M; the expectations do not depend on M and are computed once."""

    def __init__(self, memory: RandomMemory, witness: Witness, quantifier: str) -> None:
        self._all = quantifier == "all"
        self._cap = float(sphere.log_cap(witness.cap, memory.dim))
        self._events = list(_events(memory, witness)) if _sound(memory, witness) else None

    def __call__(self, log_patterns: float) -> float:
        near = log_patterns + self._cap - (math.log(2.0) if self._all else 0.0)
        tails = [0.0] if self._events is None else [event.log_tail(log_patterns) for event in self._events]
        return float(np.logaddexp.reduce([near, *tails])) + (log_patterns if self._all else 0.0)


def _sound(memory: RandomMemory, witness: Witness) -> bool:
    """Whether the limits of a witness, if no sum exceeds its own, imply that the pattern is stored."""
    rho, stages, last = witness.ball, witness.stages, witness.contraction
    end = stages[-1]
    return (
        0.0 < 2.0 * rho <= math.sqrt(2.0 * witness.cap)
        and rho < 1.0
        and _covers(stages, rho)
        and all(_reaches(memory, stage) for stage in stages)
        and _ends_within(stages, rho)
        and last.high >= end.target
        and last.across >= end.width
        and _slope(memory, last) + witness.stretch < 1.0
    )


def _covers(stages: Sequence[Stage], ball: float) -> bool:
    """Whether cells and sides of the first stage cover the ball, those of each further one the cylinder before it."""

    def reach(low: float) -> float:
        return math.sqrt(max(ball * ball - max(low, 0.0) ** 2, 0.0))

    covered = _tiles(stages[0], -ball, ball, reach)
    for before, stage in itertools.pairwise(stages):
        covered &= _tiles(stage, 0.0, before.target, lambda _, width=before.width: width)
    return covered


def _ends_within(stages: Sequence[Stage], ball: float) -> bool:
    """Whether the last cylinder lies within the ball and within the cylinder before it."""
    end = stages[-1]
    nested = len(stages) == 1 or (end.target <= stages[-2].target and end.width <= stages[-2].width)
    return nested and math.hypot(end.target, end.width) <= ball


def _tiles(stage: Stage, low: float, high: float, reach: Callable[[float], float]) -> bool:
    """Whether cells and sides cover ``low <= a <= high``, |v| up to a reach that does not increase for a >= 0."""
    begin = low
    for cell in stage.cells:
        if cell.high < begin or cell.across < reach(begin):
            return False
        begin = cell.high
    if begin < high:
        return False
    begin = low
    for side in stage.sides:
        if not side.low <= begin <= side.high or side.across < reach(begin):
            return False
        begin = side.high
    return begin >= high


def _reaches(memory: RandomMemory, stage: Stage) -> bool:
    """Whether the limits of cells and sides put the image of a stage into its cylinder."""
    target = stage.target
    return (
        0.0 < target < 1.0
        and all(
            _pulled(cell, memory.kappa) + (1.0 - target) * _leak(memory, cell.high) <= target for cell in stage.cells
        )
        and all(_moved(side, memory.kappa) <= stage.width for side in stage.sides)
    )


def _pulled(cell: Cell, kappa: float) -> float:
    """Return the bound on ``Σ c r`` in a cell."""
    along, drift, spread = cell.limits
    reach = kappa * cell.across
    return along + reach * drift + reach * reach * spread


def _moved(side: Side, kappa: float) -> float:
    """Return the bound on ``|Σ p τ|`` in a side."""
    drift, change, spread, growth = side.limits
    return drift + math.sqrt(change * spread) + kappa * side.across * growth


def _slope(memory: RandomMemory, cell: Cell) -> float:
    """Return the bound on the slope along the pattern in a cylinder, by second moments about ``(1 - high) ξ``."""
    kappa, a = memory.kappa, cell.high
    return kappa * a * a + max(kappa * (1.0 - a) ** 2 - 1.0, 0.0) * _leak(memory, a) + _pulled(cell, kappa)


def _leak(memory: RandomMemory, high: float) -> float:
    return math.exp(min(memory.log_noop - memory.kappa * (1.0 - high), 300.0))


def _events(memory: RandomMemory, witness: Witness) -> Iterator[_Event]:
    """Return the tails of all sums of a witness."""
    for stage in witness.stages:
        crowd = _Crowd(memory, witness.cap, stage.target)
        factor = crowd.excess(stage.target)
        for cell in stage.cells:
            yield from crowd.events(_CELL, crowd.cell_rates(factor, cell.high, cell.across), cell)
        for side in stage.sides:
            yield from crowd.events(_SIDE, crowd.side_rates(side.low, side.high, side.across), side)
    last = witness.contraction
    crowd = _Crowd(memory, witness.cap, last.high + 1.0 / math.sqrt(memory.kappa))
    yield from crowd.events(_CELL, crowd.cell_rates(crowd.moment(last.high), last.high, last.across), last)
    rate = crowd.stretch_rate(last.high, last.across)
    yield crowd.event("matrix", rate, witness.stretch, witness.stretch_log_tilt)


# The kinds of the sums of a cell and of a side: numbers, vectors in d - 1 dimensions, matrices of rank 1 there.
_CELL = ("scalar", "vector", "matrix")
_SIDE = ("vector", "scalar", "matrix", "matrix")


class _Crowd:
    """The patterns above a cap, at the nodes of a quadrature; ``kink`` is a height at which a summand has one.

    Rates are logarithms of summands: of numbers, of the lengths of vectors or of the eigenvalues of matrices.
    """

    def __init__(self, memory: RandomMemory, cap: float, kink: float) -> None:
        self._kappa, self._dim = memory.kappa, memory.dim
        self._height, self._log_weight = _quadrature.heights(cap, memory.dim, (kink,))
        self._side = np.sqrt(np.maximum(self._height * (2.0 - self._height), np.finfo(float).tiny))
        self._log_side = np.log(self._side)

    def excess(self, target: float) -> Floats:
        """Return ``(u - target)₊``."""
        return np.maximum(self._height - target, 0.0)

    def moment(self, centre: float) -> Floats:
        """Return ``(κ (u - centre)² - 1)₊``."""
        return np.maximum(self._kappa * (self._height - centre) ** 2 - 1.0, 0.0)

    def cell_rates(self, factor: Floats, high: float, across: float) -> tuple[Floats, ...]:
        with np.errstate(divide="ignore"):
            along = np.log(factor) + self._log_along(high)
        curved = along + 2.0 * self._log_side + _log_curvature(self._kappa * across * self._side)
        return along, along + self._log_side, curved

    def side_rates(self, low: float, high: float, across: float) -> tuple[Floats, ...]:
        along = self._log_along(high)
        change = along + np.log(-np.expm1(-self._kappa * self._height * (high - low)))
        growth = along + 2.0 * self._log_side + _log_growth(self._kappa * across * self._side)
        return along + self._log_side, change, change + 2.0 * self._log_side, growth

    def stretch_rate(self, high: float, across: float) -> Floats:
        amplified = self._log_along(high) + self._kappa * across * self._side
        return math.log(self._kappa) + amplified + 2.0 * self._log_side

    def _log_along(self, high: float) -> Floats:
        return -self._kappa * self._height * (1.0 - high)

    def events(self, kinds: Sequence[str], rates: Sequence[Floats], limited: Cell | Side) -> Iterator[_Event]:
        for kind, rate, limit, log_tilt in zip(kinds, rates, limited.limits, limited.log_tilts, strict=True):
            yield self.event(kind, rate, limit, log_tilt)

    def event(self, kind: str, rate: Floats, limit: float, log_tilt: float) -> _Event:
        """Return the tail of one sum beyond its limit."""
        log_gain = log_tilt + math.log(limit)
        if kind == "vector":
            growth = _log_log_mgf(log_tilt + rate, self._dim)
            log_gain = float(_log_log_mgf(np.array(log_gain), self._dim))
            return _Event(log_gain, self._log_grown(growth))
        log_count = math.log(self._dim - 1) if kind == "matrix" else 0.0
        return _Event(log_gain, self._log_grown(log_tilt + rate) - log_count, log_count)

    def _log_grown(self, log_exponent: Floats) -> float:
        """Return ``log E[exp(f) - 1]`` from log f, infinite where it is far beyond any use."""
        if log_exponent.max() > 2.0 * _quadrature.LARGEST_LOG_TILT:
            return math.inf
        return _quadrature.log_tilted(log_exponent, self._log_weight, 0.0)

    def limited(
        self, kinds: Sequence[str], rates: Sequence[Floats], log_patterns: float, level: float
    ) -> dict[str, tuple[float, ...]]:
        """Return limits that each sum exceeds with probability ``exp(-level)`` at most, and their log tilts."""
        found = [self.limit(kind, rate, log_patterns, level) for kind, rate in zip(kinds, rates, strict=True)]
        return dict(zip(("limits", "log_tilts"), zip(*found, strict=True), strict=True))

    def limit(self, kind: str, rate: Floats, log_patterns: float, level: float) -> tuple[float, float]:
        """Return the least limit that a sum exceeds with probability ``exp(-level)`` at most, and its log tilt."""
        if kind == "vector":
            return self._vector_limit(rate, log_patterns, level)
        log_count = math.log(self._dim - 1) if kind == "matrix" else 0.0
        log_level, log_patterns = math.log(level + log_count), log_patterns - log_count

        def log_limit(log_tilt: float) -> float:
            mean = log_patterns + self._log_grown(log_tilt + rate)
            return float(np.logaddexp(mean, log_level)) - log_tilt

        # The best t solves M E[t f exp(t f) - exp(t f) + 1] = level, whose left side lies between the second moment
        # M E[(t f)²]/2 and that times exp(t max f).
        square = _quadrature.log_mean(self._log_weight, 2.0 * rate)
        high = 0.5 * (math.log(2.0) + log_level - log_patterns - square)
        low = min(-float(rate.max()), high - 0.5)
        log_tilt, least = _quadrature.minimum(log_limit, low, high, steps=4 if high - low < 1.0 else 8)
        return _within_floats(least, log_tilt)

    def _vector_limit(self, rate: Floats, log_patterns: float, level: float) -> tuple[float, float]:
        log_x, log_psi = _mgf_table(self._dim)

        def log_limit(log_tilt: float) -> float:
            grown = log_patterns + self._log_grown(np.interp(log_tilt + rate, log_x, log_psi))
            gain = float(np.logaddexp(grown, math.log(level)))
            return float(np.interp(gain, log_psi, log_x)) - log_tilt if gain < log_psi[-1] else math.inf

        # A Gaussian sum has its best tilt between these; a summand that is large on its own has a lower one.
        square = log_patterns + _quadrature.log_mean(self._log_weight, 2.0 * rate) - math.log(2.0 * (self._dim - 1))
        high = 0.5 * (math.log(level + 20.0 * self._dim) - square)
        low = min(0.5 * (math.log(0.3 * level) - square), -float(rate.max()))
        log_tilt, least = _quadrature.minimum(log_limit, low, high, steps=7)
        return _within_floats(least + _CLEAR_OF_TABLE, log_tilt)


def _within_floats(log_limit: float, log_tilt: float) -> tuple[float, float]:
    """Return a limit of which products of two stay above 0, and a tilt that it does not overflow; no room is e^300.

    Sums over crowds of e^20 patterns and more hardly fluctuate: their limits are raised to where their tails count.
    """
    log_limit = min(max(log_limit + _CLEAR, -_quadrature.LARGEST_LOG_TILT), _quadrature.LARGEST_LOG_TILT)
    return math.exp(log_limit), min(log_tilt, _quadrature.LARGEST_LOG_TILT - log_limit)


def _log_curvature(s: Floats) -> Floats:
    """Logarithm of ``φ₂(s) = (exp(s) - 1 - s)/s²`` for ``s >= 0``."""
    small = s < 0.5
    x = np.where(small, 1.0, s)
    series = sum(s**k / math.factorial(k + 2) for k in range(13))
    exact = x + np.log1p(-(1.0 + x) * np.exp(-x)) - 2.0 * np.log(x)
    return np.where(small, np.log(np.where(small, series, 1.0)), exact)


def _log_growth(s: Floats) -> Floats:
    """Logarithm of ``φ₁(s) = (exp(s) - 1)/s`` for ``s >= 0``."""
    x = np.maximum(s, np.finfo(float).tiny)
    return s + np.log(-np.expm1(-x) / x)


def _log_log_mgf(log_x: Floats, dim: int) -> Floats:
    """Return ``log log Ψ_{d-1}(x)``, at the far ends by the bounds ``x²/(2 (d - 1))`` and x on ``log Ψ``."""
    far, small = log_x > _quadrature.LARGEST_LOG_TILT, log_x < -20.0
    x = np.exp(np.where(far | small, 0.0, log_x))
    middle = np.log(sphere.log_mgf_across(x, dim))
    return np.where(small, 2.0 * log_x - math.log(2.0 * (dim - 1)), np.where(far, log_x, middle))


@cache
def _mgf_table(dim: int) -> tuple[Floats, Floats]:
    """Return a grid of log x, and ``log log Ψ_{d-1}(x)`` on it."""
    log_x = np.concatenate([[-1e5], 0.5 * math.log(dim) + np.linspace(-20.0, 20.0, 1601), [1e5]])
    return log_x, _log_log_mgf(log_x, dim)


class _Search:
    """The search for a witness: a ball, a first target and a cap, and the limits that follow from them."""

    def __init__(self, memory: RandomMemory, log_p: float, quantifier: str) -> None:
        self._memory, self._log_p, self._all = memory, log_p, quantifier == "all"
        self._best: Witness | None = None

    def best(self) -> Witness | None:
        """Return the witness of most patterns that a pattern search finds."""
        scale = np.array([1.0 / self._memory.kappa, 1.0, 1.0])
        starts = (tuple(np.log(scale * start).tolist()) for start in _STARTS)
        place = next((start for start in starts if self._begins(start)), None)
        if place is None:
            return None
        moves = [tuple(sign * (k == axis) for k in range(3)) for axis in range(3) for sign in (1.0, -1.0)]
        for step, gain in _STEPS:
            failed = 0
            for move in itertools.cycle(moves):
                there = tuple(x + step * direction for x, direction in zip(place, move, strict=True))
                failed += 1
                while self._climbs(there, gain):
                    place, failed = there, 0
                    there = tuple(x + step * direction for x, direction in zip(place, move, strict=True))
                if failed >= len(moves):
                    break
        return self._best

    def _climbs(self, place: tuple[float, ...], gain: float) -> bool:
        """Whether a place is better than the best so far by a gain; keep what is found there."""
        assert self._best is not None
        found = self._built(place, self._best.log_patterns + gain)
        if found is None:
            return False
        step = gain
        while (higher := self._built(place, found.log_patterns + 2.0 * step)) is not None:
            found, step = higher, 2.0 * step
        while step > gain:
            found = self._built(place, found.log_patterns + step) or found
            step *= 0.5
        self._best = found
        return True

    def _begins(self, place: tuple[float, ...]) -> bool:
        """Look for any number of patterns, downwards from the random-energy threshold."""
        log_patterns, step = self._memory.kappa - float(sphere.log_mgf(self._memory.kappa, self._memory.dim)), 0.5
        while log_patterns - step > math.log(2.0):
            log_patterns -= step
            self._best = self._built(place, log_patterns)
            if self._best is not None:
                return True
            step *= 1.5
        return False

    def _built(self, place: tuple[float, ...], log_patterns: float) -> Witness | None:
        if place[2] >= 0.0:
            return None
        ball, first = math.exp(place[0]), math.exp(place[0] + place[1])
        left = self._log_p + math.log(-math.expm1(place[2]))
        level = math.log(_TAILS) - left + (log_patterns if self._all else 0.0)
        log_cap = place[2] + self._log_p - log_patterns + (math.log(2.0) - log_patterns if self._all else 0.0)
        cap = _quadrature.largest(lambda u: bool(sphere.log_cap(u, self._memory.dim) <= log_cap), 0.0, 1.0)
        if ball >= 1.0 or first >= 1.0 or cap <= 0.0 or 2.0 * ball > math.sqrt(2.0 * cap):
            return None
        return _Chain(self._memory, ball, cap, log_patterns, level).built(first)


@dataclass(frozen=True)
class _Chain:
    """Stages from a ball down to a cylinder within it that is contracted, each tail being ``exp(-level)`` at most."""

    memory: RandomMemory
    ball: float
    cap: float
    log_patterns: float
    level: float

    def built(self, first: float) -> Witness | None:
        stage = self._first(first)
        stages: list[Stage] = []
        while stage is not None and len(stages) < _LONGEST_CHAIN:
            stages.append(stage)
            if _ends_within(stages, self.ball):
                found = self._contracted(stage)
                if found is not None:
                    return Witness(self.log_patterns, self.cap, self.ball, tuple(stages), *found)
            stage = self._next(stage)
        return None

    def _first(self, target: float) -> Stage | None:
        crowd = self._crowd(target)
        shares = [0.0, *(1.0 - x for x in np.geomspace(1.0, _LAST_CELL, _CELLS)[1:]), 1.0]
        cells = []
        # The end of the ball that the crowd pulls most comes first: most attempts fail there.
        for low, high in reversed(list(itertools.pairwise(shares))):
            cell = self._cell(crowd, crowd.excess(target), self.ball * high, self._across(low))
            room = target - (1.0 - target) * _leak(self.memory, cell.high)
            if (filled := _filled(cell, room, _pulled(cell, self.memory.kappa))) is None:
                return None
            cells.insert(0, filled)
        rims = [(-1.0, 0.0), *itertools.pairwise(_SIDES)]
        sides = [self._side(crowd, self.ball * low, self.ball * high, self._across(low)) for low, high in rims]
        return self._staged(target, cells, sides)

    def _across(self, share: float) -> float:
        return self.ball * math.sqrt(1.0 - max(share, 0.0) ** 2) * (1.0 + _ROUNDING)

    def _next(self, end: Stage) -> Stage | None:
        """Return the stage from the cylinder in which another one ends to the nearest target, None if it is too far."""
        high = end.target

        crowd = self._crowd(high)
        cell = self._cell(crowd, crowd.excess(high), high, end.width)
        leak = _leak(self.memory, high)
        pulled = _pulled(cell, self.memory.kappa) + (1.0 - high) * leak
        if pulled >= high:
            return None
        # The pull is convex in the target: where its chord reaches the target, so does the pull. Its part along the
        # pattern tells how much it grows.
        rate = crowd.cell_rates(crowd.excess(pulled), high, end.width)[0]
        along, _ = crowd.limit("scalar", rate, self.log_patterns, self.level)
        growth = pulled * max(along / cell.limits[0] - 1.0, 0.0)
        target = pulled + growth * (high - pulled) / (growth + high - pulled)
        for margin in _MARGINS:
            behind = target + margin * (high - target)
            if behind > (1.0 - _LEAST_SHARE) * high:
                return None
            crowd = self._crowd(behind)
            cell = self._cell(crowd, crowd.excess(behind), high, end.width)
            filled = _filled(cell, behind - (1.0 - behind) * leak, _pulled(cell, self.memory.kappa))
            if filled is not None:
                return self._staged(behind, [filled], self._cylinder_sides(crowd, end))
        return None

    def _cylinder_sides(self, crowd: _Crowd, end: Stage) -> list[Side]:
        rims = np.linspace(0.0, end.target, _CYLINDER_SIDES + 1).tolist()
        return [self._side(crowd, low, high, end.width) for low, high in itertools.pairwise(rims)]

    def _contracted(self, end: Stage) -> tuple[Cell, float, float] | None:
        kappa = self.memory.kappa
        crowd = self._crowd(end.target + 1.0 / math.sqrt(kappa))
        cell = self._cell(crowd, crowd.moment(end.target), end.target, end.width)
        rate = crowd.stretch_rate(end.target, end.width)
        stretch, log_tilt = crowd.limit("matrix", rate, self.log_patterns, self.level)
        pulled = _pulled(cell, kappa)
        room = 1.0 - (_slope(self.memory, cell) - pulled)
        filled = _filled(cell, room, pulled + stretch)
        return None if filled is None else (filled, stretch * filled.limits[0] / cell.limits[0], log_tilt)

    def _staged(self, target: float, cells: Sequence[Cell], sides: Sequence[Side]) -> Stage:
        kappa = self.memory.kappa
        width = (1.0 + _ROUNDING) * max(_moved(side, kappa) for side in sides)
        scales = [(1.0 - _ROUNDING) * width / _moved(side, kappa) for side in sides]
        wide = [
            replace(side, limits=tuple(scale * x for x in side.limits))
            for side, scale in zip(sides, scales, strict=True)
        ]
        return Stage(target, width, tuple(cells), tuple(wide))

    def _crowd(self, kink: float) -> _Crowd:
        return _Crowd(self.memory, self.cap, kink)

    def _cell(self, crowd: _Crowd, factor: Floats, high: float, across: float) -> Cell:
        rates = crowd.cell_rates(factor, high, across)
        return Cell(high, across, **crowd.limited(_CELL, rates, self.log_patterns, self.level))

    def _side(self, crowd: _Crowd, low: float, high: float, across: float) -> Side:
        rates = crowd.side_rates(low, high, across)
        return Side(low, high, across, **crowd.limited(_SIDE, rates, self.log_patterns, self.level))


def _filled(cell: Cell, room: float, taken: float) -> Cell | None:
    """Return a cell with its limits raised until they take all the room, None if they take more."""
    scale = (1.0 - _ROUNDING) * room / taken
    return replace(cell, limits=tuple(scale * x for x in cell.limits)) if scale >= 1.0 else None
