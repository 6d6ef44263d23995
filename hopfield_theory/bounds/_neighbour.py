"""A pattern and its nearest neighbour, seen from an axis between the two: what the pair does to a state (C10)."""

import math
from dataclasses import dataclass

import numpy as np

from hopfield_theory._arguments import Floats


@dataclass(frozen=True)
class Pull:
    """What a pair does to the states of each cell, at worst.

    States and patterns are ``c + s e + y``, c the axis and e the unit vector across it towards the neighbour. ``gain``
    bounds ``exp(κ <c, x>)`` relative to the weight of the pair. The mean of the pair, by its own weights, has s between
    ``left`` and ``right`` and lies at a height of at most ``along`` over the axis; ``spread`` and ``lift`` bound its
    variances along e and c.
    """

    gain: Floats
    along: Floats
    left: Floats
    right: Floats
    spread: Floats
    lift: Floats


class Neighbour:
    """A second pattern at a height ``low <= u <= high <= 1``, none if infinite, and an axis turned towards it.

    ``turn`` is the angle from the pattern to the axis, at most half of that to the neighbour.
    """

    def __init__(self, kappa: float, low: float, high: float, turn: float) -> None:
        self.there = math.isfinite(low)
        self.shift = 2.0 * math.sin(0.5 * turn)
        self.height, self.side = 0.5 * self.shift**2, math.sin(turn)
        self._kappa, self._low, self._high, self._turn = kappa, low, high, turn
        if self.there:
            angles = (2.0 * math.asin(math.sqrt(0.5 * u)) - turn for u in (low, high))
            self._near, self._far = ((2.0 * math.sin(0.5 * psi) ** 2, math.sin(psi)) for psi in angles)

    @property
    def between(self) -> bool:
        """Whether the axis lies between the two, nearer to the pattern, and the neighbour within a right angle."""
        return self._low < self._high <= 1.0 and self._turn >= 0.0 and self.height <= self._near[0]

    @property
    def within(self) -> float:
        """Height over the axis below which a third pattern is nearer to the pattern than the neighbour is."""
        return 0.5 * max(math.sqrt(2.0 * self._low) - self.shift, 0.0) ** 2

    def pull(self, low: Floats, high: Floats, side: Floats) -> Pull:
        """Bound what the pair does where ``low <= s <= high`` and ``|y| <= side <= 1``."""
        (near, near_side), (far, far_side) = self._near, self._far
        least = np.where(low < 0.0, far_side, near_side) * low + self.side * low - (far - self.height) * (1.0 + side)
        most = np.where(high > 0.0, far_side, near_side) * high + self.side * high - (near - self.height) * (1.0 - side)
        few, many = (1.0 / (1.0 + np.exp(np.minimum(-self._kappa * x, 700.0))) for x in (least, most))
        half = np.minimum(many, 0.5)
        both = half * (1.0 - half)
        return Pull(
            (1.0 - few) * np.exp(np.minimum(self._kappa * (self.height * (1.0 + side) + self.side * high), 300.0)),
            (1.0 - many) * self.height + many * far,
            few * near_side - (1.0 - few) * self.side,
            many * far_side - (1.0 - many) * self.side,
            both * 2.0 * self._high,
            both * far**2,
        )
