"""The nearest neighbour of a pattern in C10, in ball arithmetic: its terms at worst over a shell of heights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flint import arb

# Real balls: python-flint carries no types that a checker could follow.
Ball = Any
# The logarithm of a weight and its slope in the height, at the near rim of the shell.
Ratio = tuple[Ball, Ball]


class Neighbour:
    """A second pattern at a height in ``[low, high]``, exact numbers with ``high <= 1``.

    Over the shell a log-concave function is at most ``f(low) exp(max(0, f'(low)/f(low)) (high - low))``.
    """

    def __init__(self, kappa: float, low: float, high: float) -> None:
        self._kappa, self._low, self._high = arb(kappa), arb(low), arb(high)
        self._side = (self._low * (2 - self._low)).sqrt()
        self._bend = (1 - self._low) / self._side
        self.farthest = (self._high * (2 - self._high)).sqrt()

    def in_ball(self, ball: Ball) -> Ratio:
        """Bound ``exp(-κ (u - ρ sqrt(2u)))``."""
        distance = (2 * self._low).sqrt()
        return -self._kappa * (self._low - ball * distance), -self._kappa * (1 - ball / distance)

    def in_cylinder(self, high: Ball, reach: Ball) -> Ratio:
        """Bound ``exp(-κ u (1 - high) + κ reach |τ|)``."""
        log_ratio = -self._kappa * self._low * (1 - high) + self._kappa * reach * self._side
        return log_ratio, self._kappa * (reach * self._bend - (1 - high))

    def along(self, ratios: Sequence[Ratio], target: Ball) -> Ball:
        """Bound ``(u - target)₊ r``."""
        excess, bounds = self._low - target, []
        for log_ratio, slope in ratios:
            bounds.append(self._worst(log_ratio, slope) * (self._high - target).max(arb(0)))
            if excess > 0:
                bounds.append(self._worst(log_ratio + excess.log(), slope + 1 / excess))
        return _least(bounds)

    def across(self, ratios: Sequence[Ratio], crowd: Ball) -> Ball:
        """Bound ``(crowd + r |τ|)/(1 + r)``, infinite unless the neighbour is farther across than the crowd."""
        rest, bounds = self._side - crowd, []
        if not rest > 0:
            return arb("inf")
        for log_ratio, slope in ratios:
            share = 1 / (1 + (-log_ratio).exp())
            bounds.append(self._worst(share.log() + rest.log(), slope * (1 - share) + self._bend / rest))
        return crowd + _least(bounds)

    def share(self, ratio: Ratio) -> Ball:
        """Bound ``π = r/(1 + r)``."""
        worst = self._worst(*ratio)
        return worst / (1 + worst)

    def spread(self, ratio: Ratio) -> Ball:
        """Bound ``κ π (1 - π) 2u``, infinite unless π is at most one half."""
        if not self._worst(*ratio) <= 1:
            return arb("inf")
        share = 1 / (1 + (-ratio[0]).exp())
        value = (share * (1 - share) * 2 * self._low).log()
        return self._kappa * self._worst(value, ratio[1] * (1 - 2 * share) + 1 / self._low)

    def _worst(self, log_value: Ball, slope: Ball) -> Ball:
        return (log_value + slope.max(arb(0)) * (self._high - self._low)).exp()


def _least(bounds: Sequence[Ball]) -> Ball:
    """Return the smallest of some upper bounds."""
    least = bounds[0]
    for bound in bounds[1:]:
        least = least.min(bound)
    return least
