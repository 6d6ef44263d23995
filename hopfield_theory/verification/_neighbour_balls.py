"""A pattern and its nearest neighbour, seen from an axis between the two, in ball arithmetic (C10)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from flint import arb

# Real balls: python-flint carries no types that a checker could follow.
Ball = Any


@dataclass(frozen=True)
class Pull:
    """Bounds on what a pair does to the states of a set; without a pair the axis is the pattern itself."""

    gain: Ball
    along: Ball
    across: Ball
    spread: Ball


ALONE = Pull(arb(1), arb(0), arb(0), arb(0))


class Neighbour:
    """A second pattern at a height in ``[low, high]`` and an axis at an angle ``turn``, all exact numbers."""

    def __init__(self, kappa: float, low: float, high: float, turn: float) -> None:
        self._there = math.isfinite(low)
        self._kappa, self._low, self._high, self._turn = arb(kappa), arb(low), arb(high), arb(turn)
        self._height, self._side = 1 - self._turn.cos(), self._turn.sin()
        self.shift = 2 * (self._turn / 2).sin()
        if self._there:
            near, far = ((1 - u).acos() - self._turn for u in (self._low, self._high))
            self.between = near - self._turn
            self._near, self._far = ((1 - psi.cos(), psi.sin()) for psi in (near, far))
            self.within = ((2 * self._low).sqrt() - self.shift) ** 2 / 2

    def in_ball(self, ball: Ball) -> Pull:
        """Bound it in the ball of a radius around the pattern."""
        if not self._there:
            return ALONE
        least = -self._kappa * (self._high + ball * (2 * self._high).sqrt())
        most = -self._kappa * (self._low - ball * (2 * self._low).sqrt())
        return self._pull(ball * self.shift - self._height, least, most)

    def in_cylinder(self, target: Ball, width: Ball) -> Pull:
        """Bound it in the cylinder ``0 <= a <= target, |v| <= width`` about the axis."""
        if not self._there:
            return ALONE
        drift = width * (self._far[1] + self._side)
        least = -self._kappa * (self._far[0] - self._height + drift)
        most = -self._kappa * ((1 - target) * (self._near[0] - self._height) - drift)
        return self._pull(self._height + width * self._side, least, most)

    def _pull(self, excess: Ball, least: Ball, most: Ball) -> Pull:
        few, many = (1 / (1 + (-log_ratio).exp()) for log_ratio in (least, most))
        first = (1 - few) * self._side - few * self._near[1]
        second = many * self._far[1] - (1 - many) * self._side
        half = many.min(arb(0.5))
        return Pull(
            (1 - few) * (self._kappa * excess).exp(),
            (1 - many) * self._height + many * self._far[0],
            first.max(second).max(arb(0)),
            2 * self._high * half * (1 - half),
        )
