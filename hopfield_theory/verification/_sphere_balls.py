"""Means, caps and no-op weights of random patterns in ball arithmetic, for the enclosures of the capacity bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flint import acb, arb

from hopfield_theory.bounds.random_memory import RandomMemory

# Balls, real or complex: python-flint carries no types that a checker could follow.
Ball = Any
# A function of ``sin φ`` and ``cos φ``, analytic wherever it is finite.
Function = Callable[[Ball, Ball], Ball]

_TOLERANCE = 2.0**-60


@dataclass(frozen=True)
class Piece:
    """A function on a range of half angles."""

    values: Function
    start: Ball
    end: Ball


def unknown() -> Ball:
    """Return the enclosure [0, 1] of an unknown probability."""
    return arb(0.5, 0.5)


def positive(*numbers: Ball) -> bool | None:
    """Return whether all numbers are positive, None if the balls do not decide it."""
    if all(number > 0 for number in numbers):
        return True
    return False if any(number <= 0 for number in numbers) else None


def tiles(pieces: Sequence[Any], low: float, high: float) -> bool:
    """Return whether pieces, in order, cover ``[low, high]``, each beginning exactly where the previous one ends."""
    begins = [*(piece.low for piece in pieces), high]
    ends = [low, *(piece.high for piece in pieces)]
    return begins == ends and all(piece.low < piece.high for piece in pieces)


def probability_bound(log_bound: Ball) -> Ball:
    # The exponential of a huge number is a ball that cannot be compared with 1.
    return arb(1) if log_bound >= 0 else log_bound.exp().min(arb(1))


def cap(height: Ball, dim: int) -> Ball:
    """Enclose the share of the sphere below a height, which increases: the ends of a ball enclose it."""
    return _exact_cap(height.lower(), dim).union(_exact_cap(height.upper(), dim))


def _exact_cap(u: Ball, dim: int) -> Ball:
    """Share of the sphere below an exact height, ``½ I_{u(2-u)}((d-1)/2, ½)`` up to height 1."""
    if u > 1:
        return 1 - _exact_cap(2 - u, dim)
    return arb(0) if u <= 0 else (u * (2 - u)).beta_lower(arb(dim - 1) / 2, arb(0.5), regularized=True) / 2


def half_angle(height: Ball) -> Ball:
    """Return φ at a height; heights beyond the sphere give its far end."""
    return (height / 2).min(arb(1)).sqrt().asin()


def leak(memory: RandomMemory, distance: Ball) -> Ball:
    """Weight of the no-op slot relative to that of a pattern, ``n exp(-κ · distance)``."""
    return (arb(memory.log_noop) - arb(memory.kappa) * distance).exp() if math.isfinite(memory.log_noop) else arb(0)


def mean(dim: int, values: Function, start: Ball, end: Ball) -> Ball:
    """Enclose ``E[f; start < φ < end]`` for a uniform point, f being analytic wherever it is finite.

    The density of ``θ = 2φ`` is ``sin(θ)^(d-2) / B((d-1)/2, ½)``. The ends may be balls: Petras' method treats them as
    any other, so the answer holds for every point of theirs.
    """

    def integrand(phi: Ball, _analytic: bool) -> Ball:
        sine, cosine = phi.sin_cos()
        return values(sine, cosine) * (2 * sine * cosine) ** (dim - 2)

    # Tolerances below the peak. If the samples miss the peak, the enclosure is still valid, only slower.
    samples = (start + (end - start) * (k / 64.0) ** 2 for k in range(1, 64))
    peak = max(abs(integrand(acb(phi), False)).upper() for phi in samples)
    integral = acb.integral(integrand, start, end, rel_tol=_TOLERANCE, abs_tol=peak * _TOLERANCE)
    return 2 * integral.real * (arb(dim) / 2).gamma() / (arb.pi().sqrt() * (arb(dim - 1) / 2).gamma())
