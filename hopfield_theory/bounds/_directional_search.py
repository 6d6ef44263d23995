"""The search for a witness of C10 without shells: a ball, a cap, stages, and the limits that follow from them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _directional_proof as proof
from hopfield_theory.bounds import cap_heights, sphere
from hopfield_theory.bounds._crowd import CELL, SIDE, Crowd
from hopfield_theory.bounds._directional_proof import Case, Cell, Side, Stage, Witness
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
# About the number of tails that count: each may take this part of what the patterns below the cap leave of p.
_TAILS = 100.0
# Where the search may begin: κ times the radius, the first target over the radius, and the share of p for patterns
# below the cap. Its steps in the logarithms of the three, and the changes of log M that are worth one.
_STARTS = ((2.0, 1.0, 0.3), (0.7, 0.7, 0.3), (8.0, 0.5, 0.3))
_STEPS = ((0.4, 0.03), (0.15, 0.01))


def plain_witness(memory: RandomMemory, log_p: float, quantifier: str) -> Witness | None:
    """Return the witness without shells of most patterns, None if nothing is found."""
    return _Search(memory, log_p, quantifier).best()


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
        cap = cap_heights.widest(log_cap, self._memory.dim)
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
            if proof.ends_within(stages, self.ball):
                found = self._contracted(stage)
                if found is not None:
                    return Witness(self.log_patterns, self.cap, Case(self.cap, self.ball, tuple(stages), *found))
            stage = self._next(stage)
        return None

    def _first(self, target: float) -> Stage | None:
        crowd = self._crowd(target)
        shares = [0.0, *(1.0 - x for x in np.geomspace(1.0, _LAST_CELL, _CELLS)[1:]), 1.0]
        cells = []
        # The end of the ball that the crowd pulls most comes first: most attempts fail there.
        for low, high in reversed(list(itertools.pairwise(shares))):
            cell = self._cell(crowd, crowd.excess(target), self.ball * high, self._across(low))
            room = target - (1.0 - target) * proof.leak(self.memory, cell.high)
            if (filled := _filled(cell, room, proof.pulled(cell, self.memory.kappa))) is None:
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
        leak = proof.leak(self.memory, high)
        pulled = proof.pulled(cell, self.memory.kappa) + (1.0 - high) * leak
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
            filled = _filled(cell, behind - (1.0 - behind) * leak, proof.pulled(cell, self.memory.kappa))
            if filled is not None:
                return self._staged(behind, [filled], self._cylinder_sides(crowd, end))
        return None

    def _cylinder_sides(self, crowd: Crowd, end: Stage) -> list[Side]:
        rims = np.linspace(0.0, end.target, _CYLINDER_SIDES + 1).tolist()
        return [self._side(crowd, low, high, end.width) for low, high in itertools.pairwise(rims)]

    def _contracted(self, end: Stage) -> tuple[Cell, float, float] | None:
        kappa = self.memory.kappa
        crowd = self._crowd(proof.onset(kappa, end.target))
        cell = self._cell(crowd, crowd.moment(end.target), end.target, end.width)
        rate = crowd.stretch_rate(end.target, end.width)
        stretch, log_tilt = crowd.limit("matrix", rate, self.log_patterns, self.level)
        pulled = proof.pulled(cell, kappa)
        still = kappa * end.target**2
        still += max(kappa * (1.0 - end.target) ** 2 - 1.0, 0.0) * proof.leak(self.memory, end.target)
        room = 1.0 - still
        filled = _filled(cell, room, pulled + stretch)
        return None if filled is None else (filled, stretch * filled.limits[0] / cell.limits[0], log_tilt)

    def _staged(self, target: float, cells: Sequence[Cell], sides: Sequence[Side]) -> Stage:
        moved = [proof.drawn(self.memory.kappa, side) for side in sides]
        width = (1.0 + _ROUNDING) * max(moved)
        wide = [
            replace(side, limits=tuple((1.0 - _ROUNDING) * width / reached * x for x in side.limits))
            for side, reached in zip(sides, moved, strict=True)
        ]
        return Stage(target, width, tuple(cells), tuple(wide))

    def _crowd(self, kink: float) -> Crowd:
        return Crowd(self.memory, self.cap, kink)

    def _cell(self, crowd: Crowd, factor: Floats, high: float, across: float) -> Cell:
        rates = crowd.cell_rates(factor, high, across)
        return Cell(high, across, **crowd.limited(CELL, rates, self.log_patterns, self.level))

    def _side(self, crowd: Crowd, low: float, high: float, across: float) -> Side:
        rates = crowd.side_rates(low, high, across)
        return Side(low, high, across, **crowd.limited(SIDE, rates, self.log_patterns, self.level))


def _filled(cell: Cell, room: float, taken: float) -> Cell | None:
    """Return a cell with its limits raised until they take all the room, None if they take more."""
    scale = (1.0 - _ROUNDING) * room / taken
    return replace(cell, limits=tuple(scale * x for x in cell.limits)) if scale >= 1.0 else None
