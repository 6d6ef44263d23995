"""What the nearest neighbour of a pattern adds to its update, at worst over a shell of heights (C10)."""

import math
from collections.abc import Sequence

# A logarithm and its slope in the height, at the near rim of a shell.
Ratio = tuple[float, float]


class Neighbour:
    """A second pattern at a height ``low <= u <= high <= 1``, none if infinite, and its weight r relative to the first.

    Its weights and terms are log-concave in the height: over the shell they are at most
    ``f(low) exp(max(0, f'(low)/f(low)) (high - low))``.
    """

    def __init__(self, kappa: float, low: float, high: float) -> None:
        self.there = math.isfinite(low)
        self.rims = low, high
        self._kappa, self._low, self._high = kappa, low, high
        self.side = math.sqrt(low * (2.0 - low)) if self.there else 0.0
        self._bend = (1.0 - low) / self.side if self.there else 0.0

    @property
    def farthest(self) -> float:
        """Largest part of the neighbour across the pattern."""
        return math.sqrt(self._high * (2.0 - self._high)) if self.there else 0.0

    def in_ball(self, ball: float) -> Ratio:
        """Return the bound ``exp(-κ (u - ρ w))``, ``w = sqrt(2u)``, on the ratio in a ball of radius ρ."""
        if not self.there:
            return -math.inf, 0.0
        w = math.sqrt(2.0 * self._low)
        return -self._kappa * (self._low - ball * w), -self._kappa * (1.0 - ball / w)

    def in_cylinder(self, high: float, reach: float) -> Ratio:
        """Return the bound ``exp(-κ u (1 - high) + κ reach |τ|)`` for ``a <= high`` and ``<v, τ> <= reach |τ|``."""
        if not self.there:
            return -math.inf, 0.0
        log_ratio = -self._kappa * self._low * (1.0 - high) + self._kappa * reach * self.side
        return log_ratio, self._kappa * (reach * self._bend - (1.0 - high))

    def along(self, ratios: Sequence[Ratio], target: float) -> float:
        """Bound ``(u - target)₊ r`` by the best of some bounds on r."""
        return min(self._along(log_ratio, slope, target) for log_ratio, slope in ratios) if self.there else 0.0

    def _along(self, log_ratio: float, slope: float, target: float) -> float:
        excess = self._low - target
        if excess > 0.0:
            return self._worst(log_ratio + math.log(excess), slope + 1.0 / excess)
        return self._worst(log_ratio, slope) * max(self._high - target, 0.0)

    def across(self, ratios: Sequence[Ratio], crowd: float) -> float:
        """Bound ``(crowd + r |τ|)/(1 + r)``, the neighbour's direction taking part of the weight of the crowd."""
        if not self.there:
            return crowd
        rest = self.side - crowd
        if rest <= 0.0:
            return math.inf
        bounds = []
        for log_ratio, slope in ratios:
            share = _share(log_ratio)
            # The share may be below the smallest float, its logarithm is not.
            log_share = log_ratio + math.log1p(-share) if share < 0.5 else math.log(share)
            bounds.append(self._worst(log_share + math.log(rest), slope * (1.0 - share) + self._bend / rest))
        return crowd + min(bounds)

    def share(self, ratio: Ratio) -> float:
        """Bound the share ``π = r/(1 + r)`` of the pair's weight."""
        return _share(math.log(self._worst(*ratio))) if self.there else 0.0

    def spread(self, ratio: Ratio) -> float:
        """Bound ``κ π (1 - π) w²``, ``w² = 2u``, infinite where π may be above one half."""
        if not self.there:
            return 0.0
        share = _share(ratio[0])
        if self._worst(*ratio) > 1.0:
            return math.inf
        log_spread = ratio[0] + 2.0 * math.log1p(-share) + math.log(2.0 * self._low)
        return self._kappa * self._worst(log_spread, ratio[1] * (1.0 - 2.0 * share) + 1.0 / self._low)

    def _worst(self, log_value: float, slope: float) -> float:
        return math.exp(max(min(log_value + max(slope, 0.0) * (self._high - self._low), 300.0), -700.0))


def _share(log_ratio: float) -> float:
    return 1.0 / (1.0 + math.exp(min(-log_ratio, 700.0)))
