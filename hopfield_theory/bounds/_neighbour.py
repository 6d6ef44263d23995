"""A pattern and its nearest neighbour, seen from an axis between the two: what the pair does to a state (C10)."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Pull:
    """What a pair does to the states of a set, at worst.

    ``gain`` bounds ``exp(κ <c, x>)`` relative to the weight of the pair. The mean of the pair, by its own weights, lies
    at a height of at most ``along`` and a distance of at most ``across`` about the axis c; ``spread`` bounds its
    variance.
    """

    gain: float = 1.0
    along: float = 0.0
    across: float = 0.0
    spread: float = 0.0


class Neighbour:
    """A second pattern at a height ``low <= u <= high <= 1``, none if infinite, and an axis turned towards it.

    ``turn`` is the angle from the pattern to the axis, at most half of that to the neighbour.
    """

    def __init__(self, kappa: float, low: float, high: float, turn: float) -> None:
        self.there = math.isfinite(low)
        self.shift = 2.0 * math.sin(0.5 * turn)
        self._kappa, self._low, self._high, self._turn = kappa, low, high, turn
        if self.there:
            angles = (2.0 * math.asin(math.sqrt(0.5 * u)) - turn for u in (low, high))
            self._near, self._far = ((2.0 * math.sin(0.5 * psi) ** 2, math.sin(psi)) for psi in angles)

    @property
    def between(self) -> bool:
        """Whether the axis lies between the two, nearer to the pattern, and the neighbour within a right angle."""
        return self._low < self._high <= 1.0 and self._turn >= 0.0 and 0.5 * self.shift**2 <= self._near[0]

    @property
    def within(self) -> float:
        """Height over the axis below which every point is nearer to the pattern than the neighbour is."""
        return 0.5 * max(math.sqrt(2.0 * self._low) - self.shift, 0.0) ** 2

    def in_ball(self, ball: float) -> Pull:
        """Bound what the pair does in the ball of a radius, at most half the distance, around the pattern."""
        if not self.there:
            return Pull()
        least, most = (
            -self._kappa * (u + sign * ball * math.sqrt(2.0 * u)) for u, sign in ((self._high, 1.0), (self._low, -1.0))
        )
        return self._pull(ball * self.shift - 0.5 * self.shift**2, least, most)

    def in_cylinder(self, target: float, width: float) -> Pull:
        """Bound what the pair does in the cylinder ``0 <= a <= target, |v| <= width`` about the axis."""
        if not self.there:
            return Pull()
        height, side = 0.5 * self.shift**2, math.sin(self._turn)
        drift = width * (self._far[1] + side)
        least = -self._kappa * (self._far[0] - height + drift)
        most = -self._kappa * ((1.0 - target) * (self._near[0] - height) - drift)
        return self._pull(height + width * side, least, most)

    def _pull(self, excess: float, least: float, most: float) -> Pull:
        """Bound it from ``log gain/κ``, and from the least and the largest logarithm of the ratio of the weights."""
        few, many = (1.0 / (1.0 + math.exp(min(-log_ratio, 700.0))) for log_ratio in (least, most))
        side = math.sin(self._turn)
        ends = (1.0 - few) * side - few * self._near[1], many * self._far[1] - (1.0 - many) * side
        half = min(many, 0.5)
        return Pull(
            (1.0 - few) * math.exp(min(self._kappa * excess, 300.0)),
            (1.0 - many) * 0.5 * self.shift**2 + many * self._far[0],
            max(*ends, 0.0),
            half * (1.0 - half) * 2.0 * self._high,
        )
