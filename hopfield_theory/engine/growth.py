"""How capacities grow with the dimension, from capacities of any source with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from hopfield_theory.statistics import Interval

__all__ = ["Growth", "growth_exponent"]

Floats = NDArray[np.float64]

# To a fit, capacities this much better known than the worst are exact; smaller ones would cost it its digits.
_EXACT = 1e-6
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Growth:
    """How capacities grow with the dimension.

    Attributes
    ----------
    slope : Interval
        Least-squares slope of log M over d, nats a dimension.
    limit : Interval
        The limit a of the fit ``log M/d = a + b log(d)/d + c/d``, for comparison with α_1.
    """

    slope: Interval
    limit: Interval


def growth_exponent(dims: Sequence[int], log_patterns: Sequence[Interval], *, confidence: float = 0.95) -> Growth:
    """Fit the growth of capacities, with intervals that carry those of the capacities and how well the form fits.

    Capacity i is taken as the form plus normal noise of the variance ``σ_i² + τ²``: σ_i is the noise that its interval
    tells, and τ, alike for all, what of the scatter about the form the σ_i do not explain (Paule and Mandel, J. Res.
    Natl. Bur. Stand. 87, 1982: ``Σ r_i²/(σ_i² + τ²)`` is the number of dimensions less that of coefficients). So wide
    intervals weigh by their widths, and those of next to no width alike.

    Parameters
    ----------
    dims : sequence of int, at least 1
        At least three different ones; from three on the slope, from four on the limit carries how well the form fits.
    log_patterns : sequence of Interval
        Capacities, all finite, as many as `dims`.
    confidence : float, in (0, 1)
        Of the fitted intervals; those of the capacities have their own.

    Returns
    -------
    Growth
        Intervals are symmetric: normal quantiles where τ is 0, else Student's. The form's own bias, such as a term
        ``1/d²`` that it lacks, counts as far as it looks like scatter.

    Raises
    ------
    ValueError
        For fewer than three dimensions, a capacity that is not finite, or a confidence out of range.

    Examples
    --------
    >>> found = growth_exponent([10, 20, 30, 40], [Interval(0.5 * d, 0.5 * d - 0.1, 0.5 * d + 0.1, 0.95)
    ...                                            for d in (10, 20, 30, 40)])
    >>> round(found.slope.estimate, 6), round(found.limit.estimate, 6)
    (0.5, 0.5)
    """
    d = np.asarray(dims, dtype=np.float64)
    if len(set(dims)) < 3 or len(d) != len(log_patterns) or not (np.isfinite(d) & (d >= 1.0)).all():
        raise ValueError(
            f"dims is {dims!r}; it must hold at least 3 different numbers of at least 1, as many as log_patterns"
        )
    centre = np.array([found.estimate for found in log_patterns])
    width = np.array([found.high - found.low for found in log_patterns])
    if not (np.isfinite(centre).all() and np.isfinite(width).all()):
        raise ValueError(f"log_patterns is {log_patterns!r}; it must be finite, with finite intervals")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence!r}; it must lie strictly between 0 and 1")
    quantile = special.ndtri([0.5 + 0.5 * found.confidence for found in log_patterns])
    noise = width / (2.0 * quantile)
    return Growth(
        slope=_first_coefficient(np.stack([d, np.ones_like(d)], 1), centre, noise, confidence),
        limit=_first_coefficient(
            np.stack([np.ones_like(d), np.log(d) / d, 1.0 / d], 1), centre / d, noise / d, confidence
        ),
    )


def _first_coefficient(design: Floats, values: Floats, noise: Floats, confidence: float) -> Interval:
    spare = len(values) - design.shape[1]
    least = max(_EXACT * noise.max(), _ROUNDING * np.abs(values).max()) or 1.0
    variance = np.maximum(noise, least) ** 2

    def solver(scatter: float) -> Floats:
        deviation = np.sqrt(variance + scatter)
        return np.linalg.pinv(design / deviation[:, None]) / deviation

    def unexplained(scatter: float) -> float:
        residual = values - design @ (solver(scatter) @ values)
        return float(np.sum(residual**2 / (variance + scatter))) - spare

    scatter, quantile = 0.0, special.ndtri(0.5 + 0.5 * confidence)
    if spare > 0 and unexplained(0.0) > 0.0:
        # With no noise at all the unweighted fit's residuals give τ²; noise only leaves less to explain.
        most = 2.0 * float(np.sum((values - design @ (np.linalg.pinv(design) @ values)) ** 2)) / spare
        scatter = cast(float, optimize.brentq(unexplained, 0.0, most, xtol=_ROUNDING * most))
        quantile = special.stdtrit(spare, 0.5 + 0.5 * confidence)
    first = solver(scatter)[0]
    estimate, half = float(first @ values), float(quantile * math.sqrt(np.sum(first**2 * (variance + scatter))))
    return Interval(estimate, estimate - half, estimate + half, confidence)
