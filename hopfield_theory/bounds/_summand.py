"""The summands of a Chernoff bound of which a part has a random direction, and their best tilt."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature

# Tilts are searched up to where V is so much.
_LARGEST_SHARE = 0.99
# Newton's method squares what is left.
_CLOSE = 1e-3
_TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class Summand:
    """Summands ``f = y (k + (b + g C)²)`` at the nodes of a quadrature, C a coordinate of a uniform unit vector.

    In D dimensions, with ``v = 2 g²/D`` and ``V = t y v < 1``, ``E exp(t f)`` over C is at most ``exp K(t)``,
    ``K(t) = t y (k + b²/(1 - V)) - ½ log(1 - V)``; proved with C3 in ``docs/bounds-proofs.md``.

    Parameters
    ----------
    log_factor : array
        log y.
    size : array, above 0
        k.
    square, spread : array or 0
        b² and v.
    """

    log_factor: Floats
    size: Floats
    square: Floats | float = 0.0
    spread: Floats | float = 0.0

    @property
    def log_rate(self) -> Floats:
        """Logarithm of the mean of f over C."""
        return self.log_factor + np.log(self.size + self.square + 0.5 * self.spread)

    def log_grown(self, log_weight: Floats, log_tilt: float) -> float:
        """Return ``log E[exp K(t) - 1]``, infinite if V is not below 1 at some node."""
        part = self._sure
        if part is None:
            share = self._factor(log_tilt) * self.spread
            if share.max() >= 1.0:
                return math.inf
            part = self._part(share, 1.0 - share)
        return _quadrature.log_grown(log_tilt + self.log_factor + np.log(part), log_weight)

    def best_tilt(self, log_weight: Floats, log_copies: float) -> float:
        """Return the logarithm of the t that minimises ``M E[exp K(t) - 1] - t``, ``-inf`` if ``M E f`` is 1 or more.

        The minimum is where ``log M + log E[K'(t) exp K(t)]`` vanishes, which rises in t from ``log M + log E f``. The
        logarithm of its rise is nearly straight in log t; Newton's method follows that line from the least of the upper
        bounds that single nodes give, and halves the interval of the zero where it would leave it.
        """
        log_rate, base = self.log_rate, log_copies + log_weight + self.log_factor
        terms = base - self.log_factor + log_rate
        top = terms.max()
        with np.errstate(under="ignore", divide="ignore"):
            if top >= 0.0 or (rise := -top - math.log(np.exp(terms - top).sum())) <= 0.0:
                return -math.inf
            pole = float(np.max(self.log_factor + np.log(self.spread)))
            end = min(_quadrature.LARGEST_LOG_TILT, math.log(_LARGEST_SHARE) - pole)
            end = min(end, float((np.log(-terms) - log_rate).min()))
            log_tilt, low, high = end, -math.inf, end
            for _ in range(60):
                factor = self._factor(log_tilt)
                part, slope, bend = self._derivatives(factor)
                exponent = base + factor * part
                top = exponent.max()
                mass = np.exp(exponent - top)
                total = float(mass @ slope)
                excess = top + math.log(total)
                if excess < 0.0 and log_tilt == end:
                    break
                low, high = (log_tilt, high) if excess < 0.0 else (low, log_tilt)
                rate = max(float(mass @ (factor * slope**2 + bend)) / total, _TINY)
                risen = max(rise + excess, _TINY)
                log_tilt -= math.log(risen / rise) * risen / rate
                if abs(excess) < _CLOSE * rate:
                    break
                if not low < log_tilt < high:
                    log_tilt = 0.5 * (low + high)
        return log_tilt

    @cached_property
    def _sure(self) -> Floats | None:
        """What stands beside y where C plays no part, None where it does."""
        return None if np.any(self.spread) else self.size + self.square

    def _factor(self, log_tilt: float) -> Floats:
        return np.exp(np.minimum(log_tilt + self.log_factor, _quadrature.LARGEST_LOG_TILT))

    def _derivatives(self, factor: Floats) -> tuple[Floats, Floats, Floats | float]:
        """Return ``K/(t y)``, ``K'/y`` and ``t K''/y``, from ``t y``."""
        if self._sure is not None:
            return self._sure, self._sure, 0.0
        share = factor * self.spread
        left = 1.0 - share
        rest = 1.0 / left
        moved, half = self.square * rest, 0.5 * self.spread
        slope = self.size + rest * (moved + half)
        bend = share * rest * rest * (2.0 * moved + half)
        return self._part(share, left), slope, bend

    def _part(self, share: Floats, left: Floats) -> Floats:
        """Return ``K/(t y)``, from V and ``1 - V``."""
        share = np.maximum(share, _TINY)
        return self.size + self.square / left - 0.5 * self.spread * np.log1p(-share) / share
