"""What a witness of C10 proves: whether its limits imply that a pattern is stored, and how often they are exceeded."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hopfield_theory.bounds import _shell_proof, sphere
from hopfield_theory.bounds._crowd import CELL, SIDE, Crowd, Event
from hopfield_theory.bounds._shell_proof import Shell, leak
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

    The ``cells`` cover the set and bound its image along the axis, the ``sides`` cover it and bound its image across.
    """

    target: float
    width: float
    cells: tuple[Cell, ...]
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class Case:
    """The way of a ball's states into a cylinder that is contracted, without a neighbour.

    All cylinders are about the pattern, and no further pattern may lie below the height ``crowd_cap`` over it. The
    first stage begins in the ball of radius ``ball`` around the pattern, each further one in the cylinder in which the
    stage before it ends. The update contracts the last cylinder: ``contraction`` bounds its slope along the pattern,
    ``stretch`` limits that across it, the largest eigenvalue of ``κ Σ h exp(κ |τ| across) τ τᵀ``.
    """

    crowd_cap: float
    ball: float
    stages: tuple[Stage, ...]
    contraction: Cell
    stretch: float
    stretch_log_tilt: float


@dataclass(frozen=True)
class Witness:
    """Free parameters of C10 with the capacity that they prove.

    No other pattern may lie below height ``cap`` over the pattern. ``lone`` is the case of no neighbour below its
    ``crowd_cap``, ``shells`` are the cases of a nearest neighbour between ``cap`` and there.
    """

    log_patterns: float
    cap: float
    lone: Case | Shell
    shells: tuple[Shell, ...] = ()

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
        alone = isinstance(witness.lone, Case) or math.isinf(witness.lone.low)
        self._lone = CaseFailure(memory, witness.lone) if begins == ends and alone else None
        self._shells = [CaseFailure(memory, shell) for shell in witness.shells]

    def __call__(self, log_patterns: float) -> float:
        if self._lone is None:
            return log_patterns if self._all else 0.0
        near = log_patterns + self._cap - (math.log(2.0) if self._all else 0.0)
        parts = [near, *self._lone.tails(log_patterns), *(shell.in_shell(log_patterns) for shell in self._shells)]
        return float(np.logaddexp.reduce(parts)) + (log_patterns if self._all else 0.0)


class CaseFailure:
    """How often the limits of one case are exceeded, as a function of log M."""

    def __init__(self, memory: RandomMemory, case: Case | Shell) -> None:
        self._log_share, self._log_third = 0.0, -math.inf
        if isinstance(case, Case):
            self._events = list(_events(memory, case)) if sound(memory, case) else None
            return
        self._events = list(_shell_proof.events(memory, case)) if _shell_proof.stored(memory, case) else None
        if math.isfinite(case.low):
            rims = (case.low, case.high, case.crowd_cap, case.neighbour(memory).within)
            low, high, cap, within = sphere.log_cap(np.array(rims), memory.dim).tolist()
            self._log_share = high + math.log(-math.expm1(low - high)) if low < high else 0.0
            # What is nearer to the axis than the neighbour to the pattern would itself be the nearest neighbour.
            self._log_third = cap + math.log(-math.expm1(within - cap)) if within < cap else -math.inf

    def tails(self, log_patterns: float) -> list[float]:
        """Return the logarithms of the tails of all sums; one of them is 0 if the limits imply nothing."""
        return [0.0] if self._events is None else [event.log_tail(log_patterns) for event in self._events]

    def given(self, log_patterns: float) -> float:
        """Return the logarithm of the bound on the failure of a pattern whose nearest neighbour is in the shell."""
        return min(0.0, float(np.logaddexp.reduce([log_patterns + self._log_third, *self.tails(log_patterns)])))

    def in_shell(self, log_patterns: float) -> float:
        """Return the logarithm of the bound on a nearest neighbour in the shell and a failure."""
        return log_patterns + self._log_share + self.given(log_patterns)


def sound(memory: RandomMemory, case: Case) -> bool:
    """Whether the limits of a case, if no sum exceeds its own, imply that the pattern is stored."""
    rho, stages, last = case.ball, case.stages, case.contraction
    end = stages[-1]
    return (
        0.0 < 2.0 * rho <= math.sqrt(2.0 * case.crowd_cap)
        and rho < 1.0
        and _covers(stages, rho)
        and all(_reaches(memory, stage) for stage in stages)
        and ends_within(stages, rho)
        and last.high >= end.target
        and last.across >= end.width
        and slope(memory, case) < 1.0
    )


def _covers(stages: Sequence[Stage], ball: float) -> bool:
    """Whether cells and sides of the first stage cover the ball, those of each further one the cylinder before it."""

    def reach(low: float) -> float:
        return math.sqrt(max(ball * ball - max(low, 0.0) ** 2, 0.0))

    covered = _tiles(stages[0], -ball, ball, reach)
    for before, stage in itertools.pairwise(stages):
        covered &= _tiles(stage, 0.0, before.target, lambda _, width=before.width: width)
    return covered


def ends_within(stages: Sequence[Stage], ball: float) -> bool:
    """Whether the last cylinder lies within the ball and within the cylinder before it."""
    end, before = stages[-1], stages[-2:][0]
    nested = end.target <= before.target and end.width <= before.width
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
    target, kappa = stage.target, memory.kappa
    return (
        0.0 < target < 1.0
        and all(pulled(cell, kappa) + (1.0 - target) * leak(memory, cell.high) <= target for cell in stage.cells)
        and all(drawn(kappa, side) <= stage.width for side in stage.sides)
    )


def pulled(cell: Cell, kappa: float) -> float:
    """Return the bound on ``Σ c r`` in a cell."""
    along, drift, spread = cell.limits
    reach = kappa * cell.across
    return along + reach * drift + reach * reach * spread


def drawn(kappa: float, side: Side) -> float:
    """Return the bound on ``|Σ r τ|`` in a side."""
    drift, change, spread, growth = side.limits
    return drift + math.sqrt(change * spread) + kappa * side.across * growth


def slope(memory: RandomMemory, case: Case) -> float:
    """Return the bound on the slope in the last cylinder."""
    kappa, a = memory.kappa, case.contraction.high
    lost = max(kappa * (1.0 - a) ** 2 - 1.0, 0.0) * leak(memory, a)
    return kappa * a * a + lost + pulled(case.contraction, kappa) + case.stretch


def onset(kappa: float, centre: float) -> float:
    """Return the height from which on ``κ (u - centre)² - 1`` is positive."""
    return centre + 1.0 / math.sqrt(kappa)


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
            yield from crowd.events(SIDE, rates, side.limits, side.log_tilts)
    last = case.contraction
    crowd = Crowd(memory, case.crowd_cap, onset(memory.kappa, last.high))
    rates = crowd.cell_rates(crowd.moment(last.high), last.high, last.across)
    yield from crowd.events(CELL, rates, last.limits, last.log_tilts)
    rate = crowd.stretch_rate(last.high, last.across)
    yield crowd.event("matrix", rate, case.stretch, case.stretch_log_tilt)
