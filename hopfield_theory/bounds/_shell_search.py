"""The search for the shells of C10: cases of the nearest neighbour, each with a ball, a cap and stages of its own."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from hopfield_theory.bounds import _directional_proof as proof
from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds._crowd import CELL, SIDE, Crowd
from hopfield_theory.bounds._directional_proof import Case, Cell, Failure, Side, Stage, Witness
from hopfield_theory.bounds._neighbour import Neighbour, Pull
from hopfield_theory.bounds.random_memory import RandomMemory

# The shares of the radius at which the cells and the sides of a ball end.
_CELLS = (0.0, 0.6, 0.9, 1.0)
_SIDES = (0.0, 0.6, 1.0)
_LONGEST_CHAIN, _LEAST_SHARE = 40, 0.002
_ROUNDING = 1e-11
# About the number of tails that count in a case.
_TAILS = 40.0
# Widths of the shells relative to their height over the floor 2/κ, at most so much of the height.
_WIDTH, _WIDEST, _NARROWEST, _MOST_SHELLS = 0.4, 0.06, 0.2, 40
# The worst chance of a failure in a shell that is worth having, and the share of p that is not worth a search.
_WORST, _NEGLIGIBLE = 0.5, 0.003
# Steps in the logarithms of a chance of failure and of a ball.
_STEP, _BALL_STEP = 0.25, 0.08
# The axis stays behind the state of the pair: the ball around the pattern is then less far across.
_TURN = 0.85
# How far beyond the best number shells are tried first, in log M; a step that is not worth another round.
_BEYOND, _TOLERANCE, _ROUNDS = 1.0, 0.02, 3


def with_shells(memory: RandomMemory, plain: Witness, log_p: float) -> Witness:
    """Improve a witness for a typical pattern by treating the nearest neighbour separately, where that helps."""
    best, log_patterns = plain, plain.log_patterns + _BEYOND
    for _ in range(_ROUNDS):
        witness = _ShellSearch(memory, log_patterns, log_p).witness(plain.lone.ball)
        if witness is None or not witness.shells:
            # Too many patterns: even those without a near neighbour are lost, or all with one.
            log_patterns = 0.5 * (log_patterns + best.log_patterns)
            continue
        failure = Failure(memory, witness, "typical")
        if failure(0.0) <= log_p:
            most = _quadrature.largest(lambda x, failure=failure: failure(x) <= log_p, 0.0, memory.kappa + 50.0)
            best = max(best, replace(witness, log_patterns=most), key=lambda w: w.log_patterns)
        step = max(0.5 * (log_p - failure(log_patterns)), -_BEYOND)
        if abs(step) < _TOLERANCE or log_patterns + step < best.log_patterns + _TOLERANCE:
            break
        log_patterns += step
    return best


class _ShellSearch:
    """A witness with shells for a number of patterns."""

    def __init__(self, memory: RandomMemory, log_patterns: float, log_p: float) -> None:
        self._memory, self._log_patterns, self._log_p = memory, log_patterns, log_p

    def witness(self, ball: float) -> Witness | None:
        """Return the cases from the lone one inwards, beginning with a ball; None if even that is not found."""
        lone = self._lone(ball)
        if lone is None:
            return None
        shells: list[Case] = []
        high, ball, floor = lone.crowd_cap, lone.ball, 2.0 / self._memory.kappa
        width = 1.0
        # Fewer pairs than this below the first shell would not change M by the tolerance.
        while (self._memory.dim - 1) * (high / floor - 1.0) > _TOLERANCE and len(shells) < _MOST_SHELLS:
            low = high - width * min(_WIDTH * (high - floor), _WIDEST * high)
            shell = self._shell(low, high, ball)
            if shell is not None:
                shells.insert(0, shell)
                high, ball = low, shell.ball
            elif width > _NARROWEST:
                width *= 0.5
            else:
                break
        return Witness(self._log_patterns, high, lone, tuple(shells))

    def _lone(self, ball: float) -> Case | None:
        """Return the case of no neighbour below the lowest height at which its failure takes a tenth of p."""
        level = math.log(10.0 * _TAILS) - self._log_p

        def at(log_cap: float, ball: float) -> Case | None:
            return ShellChain(self._memory, ball, math.exp(log_cap), self._log_patterns, level).built()

        low, high = math.log(2.0 / self._memory.kappa), math.log(min(30.0 / self._memory.kappa, 1.0))
        if high <= low:
            return None
        found = None
        for size in (ball, 1.4 * ball, 0.7 * ball, 2.0 * ball, 3.0 * ball, 0.5 * ball):
            trial = at(high - 0.03, size)
            if trial is None:
                continue
            high, found = high - 0.03, trial
            bottom = low
            for _ in range(5):
                middle = 0.5 * (bottom + high)
                trial = at(middle, size)
                if trial is None:
                    bottom = middle
                else:
                    high, found = middle, trial
        return found

    def _shell(self, low: float, high: float, ball: float) -> Case | None:
        """Return a shell with a ball of about the least chance of failure, None if that is too large."""
        inner, outer = sphere.log_cap(np.array([low, high]), self._memory.dim).tolist()
        half, turn = 0.5 * math.sqrt(2.0 * low), pair_turn(self._memory.kappa, 0.5 * (low + high))
        within = float(sphere.log_cap(Neighbour(self._memory.kappa, low, high, turn).within, self._memory.dim))

        def at(log_chance: float, ball: float) -> Case | None:
            share = np.logaddexp(within, log_chance - math.log(2.0) - self._log_patterns)
            cap = _quadrature.largest(lambda u: bool(sphere.log_cap(u, self._memory.dim) <= share), 0.0, 1.0, 40)
            if ball > half:
                return None
            level = math.log(2.0 * _TAILS) - log_chance
            return ShellChain(self._memory, ball, cap, self._log_patterns, level, low, high, turn).built()

        log_worst = math.log(_WORST)
        expected = self._log_patterns + outer + math.log(-math.expm1(inner - outer))
        enough = max(math.log(_NEGLIGIBLE) + self._log_p - expected, -20.0)
        balls = [min(ball * x, 0.999 * half) for x in (1.0, 1.2, 0.8, 1.5)] + [x * half for x in (0.85, 0.8, 0.9, 0.7)]
        if enough >= log_worst:
            return next((case for size in balls if (case := at(log_worst, size)) is not None), None)
        size, found, chance = balls[0], None, log_worst
        for size in balls:
            found = at(log_worst, size)
            if found is not None:
                break
        if found is None:
            return None
        # The least chance for this ball, then in small steps with other balls.
        below = enough
        if (trial := at(enough, size)) is not None:
            return trial
        while chance - below > _STEP:
            between = 0.5 * (chance + below)
            if (trial := at(between, size)) is not None:
                found, chance = trial, between
            else:
                below = between
        for factor in (math.exp(_BALL_STEP), math.exp(-_BALL_STEP)):
            while chance > enough and (trial := at(chance - _STEP, min(size * factor, 0.999 * half))) is not None:
                found, chance, size = trial, chance - _STEP, size * factor
        return found


def pair_turn(kappa: float, height: float) -> float:
    """Return most of the angle from a pattern to the state of it and a neighbour alone, and less than half way."""
    angle, share = 2.0 * math.asin(math.sqrt(0.5 * height)), 0.0
    for _ in range(200):
        share = 1.0 / (1.0 + math.exp(kappa * height * (1.0 - 2.0 * share)))
    return _TURN * min(math.atan2(share * math.sin(angle), 1.0 - share * height), 0.5 * angle)


@dataclass(frozen=True)
class ShellChain:
    """Stages from a ball down to a cylinder within it that is contracted, beside a neighbour or none.

    Each tail is ``exp(-level)`` at most.
    """

    memory: RandomMemory
    ball: float
    cap: float
    log_patterns: float
    level: float
    low: float = math.inf
    high: float = math.inf
    turn: float = 0.0

    def built(self) -> Case | None:
        """Return the case, None if the chain does not end."""
        neighbour = Neighbour(self.memory.kappa, self.low, self.high, self.turn)
        begin = self.ball + neighbour.shift * (1.0 + _ROUNDING)
        if begin >= 1.0 or 2.0 * self.ball > math.sqrt(2.0 * (self.low if neighbour.there else self.cap)):
            return None
        crowd = Crowd(self.memory, self.cap, 0.0)

        def rim(share: float) -> float:
            return begin * math.sqrt(1.0 - max(share, 0.0) ** 2) * (1.0 + _ROUNDING)

        cylinders = [(begin * high, rim(low)) for low, high in itertools.pairwise((0.0, *_CELLS))]
        rims = [(begin * low, begin * high, rim(low)) for low, high in itertools.pairwise((-1.0, *_SIDES))]
        stage = self._stage(crowd, neighbour.in_ball(self.ball), cylinders, rims)
        stages: list[Stage] = []
        while stage is not None and len(stages) < _LONGEST_CHAIN:
            stages.append(stage)
            pull = neighbour.in_cylinder(stage.target, stage.width)
            if proof.ends_within(stages, self.ball - neighbour.shift):
                found = self._contracted(stages, pull)
                if found is not None:
                    return found
            width = stage.width * (1.0 + _ROUNDING)
            after = self._stage(crowd, pull, [(stage.target, width)], [(0.0, stage.target, width)])
            stage = after if after is not None and _nearer(after, stage) else None
        return None

    def _stage(
        self, crowd: Crowd, pull: Pull, cylinders: list[tuple[float, float]], rims: list[tuple[float, float, float]]
    ) -> Stage | None:
        kappa = self.memory.kappa
        factor, target, drawn = crowd.excess(0.0), 0.0, []
        cells: list[Cell] = []
        # The end of the ball that the crowd pulls most comes first: most attempts fail there.
        for high, across in reversed(cylinders):
            rates = crowd.cell_rates(factor, high, across)
            cells.insert(0, Cell(high, across, **crowd.limited(CELL, rates, self.log_patterns, self.level)))
            leak = pull.gain * proof.leak(self.memory, high)
            drawn.insert(0, pull.gain * proof.pulled(cells[0], kappa))
            target = max(target, (pull.along + drawn[0] + leak) / (1.0 + leak) * (1.0 + _ROUNDING))
            if target >= 1.0:
                return None
        full = []
        for cell, taken in zip(cells, drawn, strict=True):
            room = target - pull.along - (1.0 - target) * pull.gain * proof.leak(self.memory, cell.high)
            scale = max((1.0 - 1e-12) * room / taken, 1.0)
            full.append(replace(cell, limits=tuple(scale * x for x in cell.limits)))
        sides = []
        for low, high, across in rims:
            rates = crowd.side_rates(low, high, across)
            sides.append(Side(low, high, across, **crowd.limited(SIDE, rates, self.log_patterns, self.level)))
        width = pull.across + pull.gain * max(proof.drawn(kappa, side) for side in sides)
        return Stage(target, width * (1.0 + _ROUNDING), tuple(full), tuple(sides))

    def _contracted(self, stages: list[Stage], pull: Pull) -> Case | None:
        end, kappa = stages[-1], self.memory.kappa
        high, across = end.target, end.width * (1.0 + _ROUNDING)
        crowd = Crowd(self.memory, self.cap, proof.onset(kappa, high))
        rates = crowd.cell_rates(crowd.moment(high), high, across)
        cell = Cell(high, across, **crowd.limited(CELL, rates, self.log_patterns, self.level))
        rate = crowd.stretch_rate(high, across)
        stretch = crowd.limit("matrix", rate, self.log_patterns, self.level)
        case = Case(self.cap, self.ball, tuple(stages), cell, *stretch, self.low, self.high, self.turn)
        return case if proof.slope(self.memory, case, pull) < 1.0 - 1e-12 else None


def _nearer(after: Stage, before: Stage) -> bool:
    """Whether a stage brings its states nearer to the axis by a share that is worth it."""
    pairs = ((after.target, before.target), (after.width, before.width))
    return any(x < (1.0 - _LEAST_SHARE) * y for x, y in pairs)
