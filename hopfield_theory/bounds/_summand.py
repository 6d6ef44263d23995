"""The summands of a Chernoff bound of which a part has a random direction, and their best tilt."""

import math
from dataclasses import dataclass

import numpy as np

from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature

# Tilts are searched up to where V is so much.
_LARGEST_SHARE = 0.99
# Newton's method squares what is left.
_CLOSE = 1e-3


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
        share = self._factor(log_tilt) * self.spread
        if np.max(share) >= 1.0:
            return math.inf
        return _quadrature.log_tilted(log_tilt + self.log_factor + np.log(self._part(share)), log_weight, 0.0)

    def best_tilt(self, log_weight: Floats, log_copies: float) -> float:
        """Return the logarithm of the t that minimises ``M E[exp K(t) - 1] - t``, ``-inf`` if ``M E f`` is 1 or more.

        The minimum is where ``log M + log E[K'(t) exp K(t)]`` vanishes, a convex increasing function of log t, as the
        power series of K has no negative coefficient. Each single node gives an upper bound on this zero; Newton's
        method starts at the least of these and descends.
        """
        log_rate, base = self.log_rate, log_copies + log_weight + self.log_factor
        terms = base - self.log_factor + log_rate
        top = terms.max()
        with np.errstate(under="ignore", divide="ignore"):
            if top >= 0.0 or top + math.log(np.exp(terms - top).sum()) >= 0.0:
                return -math.inf
            pole = float(np.max(self.log_factor + np.log(self.spread)))
            end = min(_quadrature.LARGEST_LOG_TILT, math.log(_LARGEST_SHARE) - pole)
            log_tilt = min(float((np.log(-terms) - log_rate).min()), end)
            for _ in range(40):
                factor = self._factor(log_tilt)
                share = factor * self.spread
                rest = 1.0 / (1.0 - share)
                slope = self.size + rest * (self.square * rest + 0.5 * self.spread)
                bend = share * rest * rest * (2.0 * self.square * rest + 0.5 * self.spread)
                exponent = base + np.minimum(factor * self._part(share), _quadrature.LARGEST_LOG_TILT)
                top = exponent.max()
                mass = np.exp(exponent - top)
                total = float(mass @ slope)
                step = (top + math.log(total)) * total / float(mass @ (factor * slope**2 + bend))
                log_tilt = min(log_tilt - step, end)
                if abs(step) < _CLOSE or log_tilt == end:
                    break
        return log_tilt

    def _factor(self, log_tilt: float) -> Floats:
        return np.exp(np.minimum(log_tilt + self.log_factor, _quadrature.LARGEST_LOG_TILT))

    def _part(self, share: Floats) -> Floats:
        """Return ``K/(t y)``."""
        share = np.maximum(share, np.finfo(float).tiny)
        return self.size + self.square / (1.0 - share) - 0.5 * self.spread * np.log1p(-share) / share
