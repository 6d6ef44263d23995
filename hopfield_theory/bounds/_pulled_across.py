"""The mean-field curve of C5 with the crowd's pull across the target in it: where it ends, and who reaches it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature, sphere
from hopfield_theory.bounds.random_memory import RandomMemory

# points of the first scan in log(1 - q), and of each refinement
_SCAN_POINTS, _ZOOM_POINTS, _ZOOMS = 60, 21, 5
# A root in log |y|² is looked for from this far on: fewer looks lose it where two roots are close (κ = 11 000, d = 11).
_FAR, _LOOKS, _HALVINGS, _SECANTS = -30.0, 24, 8, 4
# what misses by more is no root
_ERROR = 1e-9
# beyond it only the sign of the slot's pull matters
_LARGEST_EXPONENT = 600.0
_LEAST_LEAD, _LEAST_NORM = 1e-6, 1e-150
# Near the end the iteration attracts slowly: after N updates the end is missed by about 1/N² of log M.
_UPDATES, _SIZES, _SIZE_ZOOMS, _SETTLED = 400, 101, 3, 1e-9


@dataclass(frozen=True)
class End:
    """State at which the branch ends: its overlap q, its distance ``across`` from the line through ξ, and its norm.

    ``gain`` is γ, the loss of log M for a unit of log y²; ``bend`` is -d² log M/dq² along the branch (infinite where
    it ends on the rim of the ball), ``norm_slope`` there the derivative of the norm.
    """

    log_patterns: float
    overlap: float
    across: float
    gain: float
    bend: float
    norm_slope: float

    @property
    def norm(self) -> float:
        return math.hypot(self.overlap, self.across)


class Branch:
    """Fixed points ``x = q ξ + y`` within ``error`` of ξ, lengths in units of m, by overlap q and ``v = log |y|²``."""

    def __init__(self, memory: RandomMemory, error: float) -> None:
        self._memory, self._error = memory, error
        # norm of the states that the crowd's mean holds without a target, in any direction
        self._held = _quadrature.largest(lambda r: self._lead(r) <= 0.0, 0.0, 1.0) if memory.lam > 1.0 else 0.0

    def _lead(self, r: float) -> float:
        return r - float(sphere.bessel_ratio(self._memory.kappa * r, self._memory.dim))

    def log_size(self, q: Floats, v: Floats) -> Floats:
        """Logarithm of the M for which the crowd's mean balances the target: -inf for none, +inf for any."""
        kappa = self._memory.kappa
        r = np.sqrt(q * q + np.exp(v))
        slot = np.exp(np.minimum(self._memory.log_noop - kappa * q, _LARGEST_EXPONENT))
        pull = 1.0 - q - q * slot
        lead = q * (1.0 - sphere.bessel_ratio(kappa * r, self._memory.dim) / r)
        with np.errstate(divide="ignore"):
            log_ratio = np.log(np.maximum(pull, 0.0)) - np.log(np.where(pull > 0.0, np.maximum(lead, 0.0), 1.0))
        return log_ratio + kappa * q - sphere.log_mgf(kappa * r, self._memory.dim)

    def log_noise(self, q: Floats, v: Floats) -> Floats:
        """Logarithm of ``q² E[s² W²]/T²``: what one pattern adds to |y|² in the mean, s its length across ξ."""
        tilt = 2.0 * self._memory.kappa * np.sqrt(q * q + np.exp(v))
        return (
            sphere.log_mgf(tilt, self._memory.dim)
            + np.log(self._across(q, np.exp(v)))
            + 2.0 * (np.log(q) - self._memory.kappa * q)
        )

    def _across(self, q: Floats, square: Floats) -> Floats:
        """Mean squared length across ξ of a pattern with the weight W²."""
        norm = q * q + square
        tilt = 2.0 * self._memory.kappa * np.sqrt(norm)
        side = sphere.bessel_ratio(tilt, self._memory.dim) / tilt
        return 1.0 - (q * q * (1.0 - (self._memory.dim - 1) * side) + square * side) / norm

    def solve(self, q: Floats) -> tuple[Floats, Floats]:
        """Logarithms of M, -inf where there is no such state within ``error``, and of |y|², at each overlap."""
        # below this square the crowd's mean alone carries the state farther out
        least = np.maximum(self._held**2 - q * q, 0.0)
        alive = least + (1.0 - q) ** 2 < self._error**2
        top = np.log(np.where(alive, self._error**2 - least, self._error**2))

        def square(t: Floats) -> Floats:
            with np.errstate(divide="ignore"):
                return np.where(least > 0.0, np.log(least + np.exp(t)), t)

        def missed(t: Floats) -> Floats:
            v = square(t)
            with np.errstate(invalid="ignore"):
                return self.log_size(q, v) + self.log_noise(q, v) - v

        nothing = np.full_like(q, -np.inf)
        first = self.log_size(q, nothing) + self.log_noise(q, nothing)
        alive &= first > -np.inf
        # the smallest root: at the others the crowd holds the state; closer together where a state may be far across
        looks = top - np.linspace(1.0, 0.0, _LOOKS)[:, None] ** 2 * (top - _FAR)
        passed = missed(looks) <= 0.0
        alive &= passed.any(axis=0)
        at, each = passed.argmax(axis=0), np.arange(q.size)
        nearest = np.where(alive, np.minimum(first, _FAR) - 1.0, _FAR)
        low, high = np.where(at > 0, looks[at - 1, each], nearest), looks[at, each]
        t, at_low, at_high = high, missed(low), missed(high)
        for step in range(_HALVINGS + _SECANTS):
            # on so short an interval the function is a line
            with np.errstate(divide="ignore", invalid="ignore"):
                part = np.full_like(q, 0.5) if step < _HALVINGS else at_low / (at_low - at_high)
            # outside of the interval only where there is no root in it
            part = np.clip(part, 0.0, 1.0)
            t = low + np.where(np.isfinite(part), part, 0.5) * (high - low)
            at_t = missed(t)
            above = at_t > 0.0
            low, at_low = np.where(above, t, low), np.where(above, at_t, at_low)
            high, at_high = np.where(above, high, t), np.where(above, at_high, at_t)
        v = square(t)
        alive &= np.abs(missed(t)) < _ERROR * (1.0 + np.abs(v))
        alive &= (1.0 - q) ** 2 + np.exp(v) <= self._error**2
        return np.where(alive, self.log_size(q, v), -np.inf), v

    def end(self) -> End | None:
        """Return the state within ``error`` that the most patterns leave, None if there is none."""
        room = np.geomspace(1e-3 / (1.0 + self._memory.kappa), self._error, _SCAN_POINTS)
        if self._held > 1.0 - self._error:
            # M rises steeply where the crowd alone nearly holds the state: in many dimensions beyond what a float tells
            beside = np.geomspace(_LEAST_LEAD, 0.1, _SCAN_POINTS)
            nearest, next_to_it = self.solve(self._held + beside[:2])[0]
            if next_to_it > -math.inf and nearest - next_to_it > 0.5 * math.log(beside[1] / beside[0]):
                return None
            room = np.concatenate([room, 1.0 - self._held - beside, 1.0 - self._held + beside])
            room = np.unique(room[(room > 0.0) & (room < self._error)])
        q, v, log_patterns = 1.0, -math.inf, -math.inf
        for _ in range(_ZOOMS):
            log_size, log_square = self.solve(1.0 - room)
            if not np.isfinite(log_size).any():
                return None
            at = int(np.argmax(np.where(np.isfinite(log_size), log_size, -np.inf)))
            q, v, log_patterns = float(1.0 - room[at]), float(log_square[at]), float(log_size[at])
            room = np.linspace(room[max(at - 1, 0)], room[min(at + 1, room.size - 1)], _ZOOM_POINTS)
        norm = math.hypot(q, math.exp(0.5 * v))
        # nearer to what the crowd holds M is lost in rounding
        return None if self._lead(norm) < _LEAST_LEAD else self._described(q, v, log_patterns)

    def _described(self, q: float, v: float, log_patterns: float) -> End:
        """Derivatives at the end of the branch, of the functions that are smooth in both of its coordinates."""
        across = math.exp(0.5 * v)
        norm = math.hypot(q, across)
        # no farther than to where the crowd's mean alone holds a state
        lead = self._lead(norm)
        step_q, step_v = 1e-3 * min(1.0 - q, lead), 1e-3 * min(1.0, lead / max(across**2, 1e-300))
        places = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        at_q = np.array([q + a * step_q for a, _ in places])
        at_v = np.array([v + b * step_v for _, b in places])
        size = self.log_size(at_q, at_v).reshape(3, 3)
        missed = size + (self.log_noise(at_q, at_v) - at_v).reshape(3, 3)
        missed_q, missed_v = (missed[2, 1] - missed[0, 1]) / (2 * step_q), (missed[1, 2] - missed[1, 0]) / (2 * step_v)
        gain = float((size[1, 2] - size[1, 0]) / (2 * step_v) / missed_v)
        slope = -missed_q / missed_v
        both = size - gain * missed
        bend = (2.0 * both[1, 1] - both[2, 1] - both[0, 1]) / step_q**2 - slope * (
            both[2, 2] - both[2, 0] - both[0, 2] + both[0, 0]
        ) / (2.0 * step_q * step_v)
        bend += slope**2 * (2.0 * both[1, 1] - both[1, 2] - both[1, 0]) / step_v**2
        inside = (1.0 - q) ** 2 + math.exp(v) < self._error**2 * (1.0 - 1e-3)
        norm_slope = (q + 0.5 * across**2 * float(slope)) / norm
        return End(log_patterns, q, across, gain, float(bend) if inside and bend > 0.0 else math.inf, norm_slope)

    def basin(self, end: End, distance: float) -> float:
        """Log M up to which the mean-field iterates of a query at a distance from ξ, across it, stay within reach."""
        low, high = min(0.0, end.log_patterns), end.log_patterns
        for _ in range(_SIZE_ZOOMS):
            sizes = np.linspace(low, high, _SIZES)
            lost = np.flatnonzero(~self._arrives(sizes, distance))
            if not lost.size or lost[0] == 0:
                return high if not lost.size else low
            low, high = float(sizes[lost[0] - 1]), float(sizes[lost[0]])
        return low

    def _arrives(self, log_size: Floats, distance: float) -> NDArray[np.bool_]:
        """Whether the iterates from ``ξ + distance u``, u across ξ and unknown to the crowd, end within ``error``."""
        kappa, dim = self._memory.kappa, self._memory.dim
        q, side, across = np.ones_like(log_size), np.full_like(log_size, distance), np.zeros_like(log_size)
        for _ in range(_UPDATES):
            square = side**2 + across**2
            # all that the slot leaves may underflow
            r = np.maximum(np.sqrt(q * q + square), _LEAST_NORM)
            log_crowd, log_square = log_size + sphere.log_mgf(np.stack([kappa * r, 2.0 * kappa * r]), dim)
            top = np.maximum(np.maximum(kappa * q, log_crowd), self._memory.log_noop)
            target, crowd = np.exp(kappa * q - top), np.exp(log_crowd - top)
            noise = np.exp(np.minimum(0.5 * log_square - top, _LARGEST_EXPONENT)) * np.sqrt(
                self._across(np.maximum(q, _LEAST_NORM), square)
            )
            total = target + crowd + np.exp(self._memory.log_noop - top)
            held = crowd * sphere.bessel_ratio(kappa * r, dim) / (r * total)
            before, q, side = q, target / total + held * q, held * side
            across = np.minimum(held * across + noise / total, 1.0)
            if np.abs(q - before).max() < _SETTLED:
                break
        return np.asarray((1.0 - q) ** 2 + side**2 + across**2 <= self._error**2)
