"""What a witness of C10 proves: whether its limits imply that a pattern is stored, and how often they are exceeded."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hopfield_theory.bounds import chernoff, sphere
from hopfield_theory.bounds._crowd import ALONG, CELL, SIDE, Crowd, Event
from hopfield_theory.bounds._neighbour import Neighbour, Ratio
from hopfield_theory.bounds.random_memory import RandomMemory


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
    """A cylinder ``low <= a <= high, |v| <= across``, and limits on the sums that move its states across ξ.

    With the weights h at ``high`` and ``δ = h (1 - exp(-κ u (high - low)))``, the limits are on the length of
    ``Σ h τ``, on ``Σ δ``, and on the largest eigenvalues of ``Σ δ τ τᵀ`` and ``Σ h φ₁(κ |τ| across) τ τᵀ``, with
    ``φ₁(s) = (exp(s) - 1)/s``. In a shell two more are on the component of the first, and on the quadratic form of the
    last, along the unit vector e across ξ that points to the neighbour.
    """

    low: float
    high: float
    across: float
    limits: tuple[float, ...]
    log_tilts: tuple[float, ...]


@dataclass(frozen=True)
class Stage:
    """A set of states that one update maps into ``0 <= a <= target, |<v, e>| <= reach, |v - <v, e> e| <= width``.

    The ``cells`` cover the set and bound its image along ξ, the ``sides`` cover it and bound its image across ξ.
    Without a neighbour there is no e, and the reach is 0.
    """

    target: float
    width: float
    cells: tuple[Cell, ...]
    sides: tuple[Side, ...]
    reach: float = 0.0

    @property
    def across(self) -> float:
        """Bound on the length of v."""
        return math.hypot(self.width, self.reach) if self.reach else self.width


@dataclass(frozen=True)
class Case:
    """One case of C10: the range of a pattern's nearest neighbour, and its way into a cylinder that is contracted.

    ``low`` and ``high`` enclose the height of the nearest neighbour; both are infinite if no pattern is near. No
    further pattern may lie below the height ``crowd_cap``. The first stage begins in the ball of radius ``ball``, each
    further one in the cylinder in which the stage before it ends. The update contracts the last cylinder:
    ``contraction`` bounds its slope along the pattern, ``stretch`` limits that across it, the largest eigenvalue of
    ``κ Σ h exp(κ |τ| across) τ τᵀ``, and ``stretch_along`` the quadratic form of this matrix along e.
    """

    crowd_cap: float
    ball: float
    stages: tuple[Stage, ...]
    contraction: Cell
    stretch: float
    stretch_log_tilt: float
    low: float = math.inf
    high: float = math.inf
    stretch_along: float = 0.0
    stretch_along_log_tilt: float = 0.0


@dataclass(frozen=True)
class Witness:
    """Free parameters of C10 with the capacity that they prove.

    No other pattern may lie below height ``cap`` over the pattern. ``lone`` is the case of no neighbour below its
    ``crowd_cap``, ``shells`` are the cases of a nearest neighbour between ``cap`` and there.
    """

    log_patterns: float
    cap: float
    lone: Case
    shells: tuple[Case, ...] = ()

    @property
    def ball(self) -> float:
        """Radius of the largest of the balls."""
        return max(case.ball for case in (self.lone, *self.shells))


class Failure:
    """The failure bound as a function of log M; the expectations do not depend on M and are computed once."""

    def __init__(self, memory: RandomMemory, witness: Witness, quantifier: str) -> None:
        self._all = quantifier == "all"
        self._cap = float(sphere.log_cap(witness.cap, memory.dim))
        ends = [witness.cap, *(shell.high for shell in witness.shells)]
        begins = [*(shell.low for shell in witness.shells), witness.lone.crowd_cap]
        tiled = begins == ends and math.isinf(witness.lone.low)
        self._lone = CaseFailure(memory, witness.lone) if tiled else None
        self._shells = [CaseFailure(memory, shell) for shell in witness.shells]

    def __call__(self, log_patterns: float) -> float:
        if self._lone is None:
            return log_patterns if self._all else 0.0
        near = log_patterns + self._cap - (math.log(2.0) if self._all else 0.0)
        parts = [near, *self._lone.tails(log_patterns), *(shell.in_shell(log_patterns) for shell in self._shells)]
        return float(np.logaddexp.reduce(parts)) + (log_patterns if self._all else 0.0)


class CaseFailure:
    """How often the limits of one case are exceeded, as a function of log M."""

    def __init__(self, memory: RandomMemory, case: Case) -> None:
        self._events = list(_events(memory, case)) if sound(memory, case) else None
        self._shares = (0.0, -math.inf)
        if math.isfinite(case.low):
            self._shares = chernoff.log_shares(memory.dim, case.low, case.high, case.crowd_cap)

    def tails(self, log_patterns: float) -> list[float]:
        """Return the logarithms of the tails of all sums; one of them is 0 if the limits imply nothing."""
        return [0.0] if self._events is None else [event.log_tail(log_patterns) for event in self._events]

    def given(self, log_patterns: float) -> float:
        """Return the logarithm of the bound on the failure of a pattern whose nearest neighbour is in the shell."""
        return min(0.0, float(np.logaddexp.reduce([log_patterns + self._shares[1], *self.tails(log_patterns)])))

    def in_shell(self, log_patterns: float) -> float:
        """Return the logarithm of the bound on a nearest neighbour in the shell and a failure."""
        return log_patterns + self._shares[0] + self.given(log_patterns)


def sound(memory: RandomMemory, case: Case) -> bool:
    """Whether the limits of a case, if no sum exceeds its own, imply that the pattern is stored."""
    rho, stages, last = case.ball, case.stages, case.contraction
    neighbour = Neighbour(memory.kappa, case.low, case.high)
    end, before = stages[-1], domains(stages, rho)
    sums = len(SIDE + ALONG) if neighbour.there else len(SIDE)
    return (
        0.0 < 2.0 * rho <= math.sqrt(2.0 * min(case.low, case.crowd_cap))
        and rho < 1.0
        and (not neighbour.there or case.low < case.high <= min(1.0, case.crowd_cap))
        and all(len(side.limits) == sums for stage in stages for side in stage.sides)
        and _covers(stages, rho)
        and all(_reaches(memory, neighbour, *pair) for pair in zip(stages, before, strict=True))
        and ends_within(stages, rho)
        and last.high >= end.target
        and last.across >= end.across
        and slope(memory, neighbour, case, before[-1]) < 1.0
    )


@dataclass(frozen=True)
class Domain:
    """Where a stage begins: in a ball, or in the cylinder of a height, a reach along e and a width."""

    ball: float = 0.0
    target: float = 0.0
    reach: float = 0.0
    width: float = 0.0

    def ratios(self, neighbour: Neighbour, high: float, across: float) -> tuple[Ratio, ...]:
        """Return bounds on the neighbour's weight in a cell or side of the domain."""
        if self.ball:
            return neighbour.in_ball(self.ball), neighbour.in_cylinder(high, across)
        return (neighbour.in_cylinder(high, self.reach),)


def domains(stages: Sequence[Stage], ball: float) -> list[Domain]:
    """Return where the stages of a case begin."""
    return [Domain(ball), *(Domain(0.0, stage.target, stage.reach, stage.width) for stage in stages[:-1])]


def _covers(stages: Sequence[Stage], ball: float) -> bool:
    """Whether cells and sides of the first stage cover the ball, those of each further one the cylinder before it."""

    def reach(low: float) -> float:
        return math.sqrt(max(ball * ball - max(low, 0.0) ** 2, 0.0))

    covered = _tiles(stages[0], -ball, ball, reach)
    for before, stage in itertools.pairwise(stages):
        covered &= _tiles(stage, 0.0, before.target, lambda _, across=before.across: across)
    return covered


def ends_within(stages: Sequence[Stage], ball: float) -> bool:
    """Whether the last cylinder lies within the ball and within the cylinder before it."""
    end, before = stages[-1], stages[-2:][0]
    nested = end.target <= before.target and end.width <= before.width and end.reach <= before.reach
    return nested and math.hypot(end.target, end.across) <= ball


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


def _reaches(memory: RandomMemory, neighbour: Neighbour, stage: Stage, domain: Domain) -> bool:
    """Whether the limits of cells and sides put the image of a stage into its cylinder."""
    target = stage.target
    return (
        0.0 < target < 1.0
        and all(
            pulled(cell, memory.kappa)
            + neighbour.along(domain.ratios(neighbour, cell.high, cell.across), target)
            + (1.0 - target) * leak(memory, cell.high)
            <= target
            for cell in stage.cells
        )
        and all(
            along <= stage.reach and across <= stage.width
            for along, across in (moved(memory.kappa, neighbour, side, domain) for side in stage.sides)
        )
    )


def pulled(cell: Cell, kappa: float) -> float:
    """Return the bound on ``Σ c r`` in a cell."""
    along, drift, spread = cell.limits
    reach = kappa * cell.across
    return along + reach * drift + reach * reach * spread


def drawn(kappa: float, side: Side, domain: Domain) -> tuple[float, float]:
    """Return the bounds on ``Σ r τ`` over the crowd in a side, along e and across it."""
    drift, change, spread, growth = side.limits[: len(SIDE)]
    changed = math.sqrt(change * spread)
    if len(side.limits) == len(SIDE):
        return 0.0, drift + changed + kappa * side.across * growth
    drift_along, growth_along = side.limits[len(SIDE) :]
    reach, width = (0.0, side.across) if domain.ball else (domain.reach, domain.width)
    growth_along = min(growth_along, growth)
    mixed = math.sqrt(growth_along * growth)
    return (
        drift_along + changed + kappa * (growth_along * reach + mixed * width),
        drift + changed + kappa * (mixed * reach + growth * width),
    )


def moved(kappa: float, neighbour: Neighbour, side: Side, domain: Domain) -> tuple[float, float]:
    """Return the bounds on ``Σ p τ`` in a side, along e and across it."""
    along, across = drawn(kappa, side, domain)
    return neighbour.across(domain.ratios(neighbour, side.high, side.across), along), across


def slope(memory: RandomMemory, neighbour: Neighbour, case: Case, domain: Domain) -> float:
    """Return the bound on the slope in the last cylinder; with a neighbour, by second moments about the pair's mean."""
    kappa, a, end = memory.kappa, case.contraction.high, case.stages[-1]
    if not neighbour.there:
        still = kappa * a * a + max(kappa * (1.0 - a) ** 2 - 1.0, 0.0) * leak(memory, a)
        return still + pulled(case.contraction, kappa) + case.stretch
    ratio = neighbour.in_cylinder(a, end.reach)
    crowd = max(math.hypot(*drawn(kappa, side, domain)) for side in end.sides)
    still = 2.0 * kappa * neighbour.share(ratio) * neighbour.farthest * crowd
    still += max(kappa - 1.0, 0.0) * leak(memory, a)
    pair = neighbour.spread(ratio)
    across = _top(pair, case.stretch_along, case.stretch, 0.5 * neighbour.rims[1] * pair)
    return still + pulled(case.contraction, kappa) + across


def centred(neighbour: Neighbour, kappa: float, high: float, reach: float) -> tuple[float, float]:
    """Return what to take from a height, and to add to κ times its square, for a moment about the centre."""
    if not neighbour.there:
        return high, 0.0
    return 0.0, kappa * (neighbour.share(neighbour.in_cylinder(high, reach)) * neighbour.farthest) ** 2


def onset(kappa: float, centre: float, shift: float = 0.0) -> float:
    """Return the height from which on ``κ (u - centre)² + shift - 1`` is positive."""
    return centre + math.sqrt(max(1.0 - shift, 0.0)) / math.sqrt(kappa)


def _top(pair: float, along: float, most: float, beside: float) -> float:
    """Bound the largest eigenvalue of ``pair e eᵀ + beside (1 - e eᵀ) + C``, C positive of norm ``most``.

    Its quadratic form along e is at most ``along``, and so its mixed ones are at most ``sqrt(along most)``.
    """
    if math.isinf(pair):
        return pair
    along = min(along, most)
    first, second = pair + along, beside + most
    return 0.5 * (first + second) + math.sqrt(0.25 * (first - second) ** 2 + along * most)


def leak(memory: RandomMemory, high: float) -> float:
    """Return the no-op slot's weight relative to the pattern's, at most."""
    return math.exp(min(memory.log_noop - memory.kappa * (1.0 - high), 300.0))


def _events(memory: RandomMemory, case: Case) -> Iterator[Event]:
    """Return the tails of all sums of a case."""
    for stage in case.stages:
        crowd = Crowd(memory, case.crowd_cap, stage.target)
        factor = crowd.excess(stage.target)
        for cell in stage.cells:
            rates = crowd.cell_rates(factor, cell.high, cell.across)
            yield from crowd.events(CELL, rates, cell.limits, cell.log_tilts)
        for side in stage.sides:
            rates = crowd.side_rates(side.low, side.high, side.across)
            kinds = SIDE
            if len(side.limits) > len(SIDE):
                kinds, rates = SIDE + ALONG, (*rates, rates[0], rates[-1])
            yield from crowd.events(kinds, rates, side.limits, side.log_tilts)
    neighbour, last = Neighbour(memory.kappa, case.low, case.high), case.contraction
    centre, shift = centred(neighbour, memory.kappa, last.high, case.stages[-1].reach)
    crowd = Crowd(memory, case.crowd_cap, onset(memory.kappa, centre, shift))
    rates = crowd.cell_rates(crowd.moment(centre, shift), last.high, last.across)
    yield from crowd.events(CELL, rates, last.limits, last.log_tilts)
    rate = crowd.stretch_rate(last.high, last.across)
    yield crowd.event("matrix", rate, case.stretch, case.stretch_log_tilt)
    if neighbour.there:
        yield crowd.event("square", rate, case.stretch_along, case.stretch_along_log_tilt)
