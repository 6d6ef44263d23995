"""The rivals that are not drawn: moments of one, and draws of the sums over all of them as normal variables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hopfield_theory._arguments import Floats
from hopfield_theory.bounds import _quadrature
from hopfield_theory.sampled.overlaps import OverlapLaw

__all__ = ["Bulk", "BulkSums", "bulk_sums"]


@dataclass(frozen=True)
class Bulk:
    """Moments of ``X = exp(κ (t - τ))`` and ``X t`` for a rival below the threshold τ.

    Attributes
    ----------
    log_top : float
        κτ, the logarithm of the unit of X.
    log_mean, log_spread : float
        Logarithms of the mean and the standard deviation of X.
    tilt : float
        Mean of t under the weight X.
    slope, log_residual : float
        Slope of the regression of ``Y = X (t - tilt)`` on X, and logarithm of the standard deviation of its residual.
    log_side : float
        Logarithm of the standard deviation of one coordinate of X times the part across.
    """

    log_top: float
    log_mean: float
    log_spread: float
    tilt: float
    slope: float
    log_residual: float
    log_side: float

    @classmethod
    def below(cls, threshold: float, *, log_share: float, law: OverlapLaw, kappa: float) -> Bulk:
        """Integrate the moments.

        Parameters
        ----------
        threshold : float
            τ.
        log_share : float, below 0
            Logarithm of the tail probability of τ.
        law : OverlapLaw
            Law of t.
        kappa : float, at least 0
            κ.

        Examples
        --------
        >>> from hopfield_theory.sampled.overlaps import overlap_law
        >>> half = Bulk.below(0.0, log_share=math.log(0.5), law=overlap_law("sphere", 3), kappa=1.0)
        >>> round(math.exp(half.log_mean), 12)  # t is uniform in [-1, 0]: 1 - 1/e
        0.632120558829
        """
        t, square_across, log_weight = law.below(log_share, kappa)
        x = kappa * (t - threshold)
        log_mean = _quadrature.log_mean(log_weight, x)
        log_square = _quadrature.log_mean(log_weight, 2.0 * x)
        with np.errstate(divide="ignore"):
            log_gap = np.maximum(x, log_mean) + np.log(-np.expm1(-np.abs(x - log_mean)))
        log_variance = _quadrature.log_mean(log_weight, 2.0 * log_gap) if kappa > 0.0 else -math.inf
        tilt = float(np.exp(log_weight + x - log_mean) @ t)
        twice = np.exp(log_weight + 2.0 * x - log_square)
        lead = float(twice @ (t - tilt))
        slope = lead * math.exp(log_square - log_variance) if kappa > 0.0 else 0.0
        residual = float(twice @ (t - tilt) ** 2) - slope * lead
        return cls(
            log_top=kappa * threshold,
            log_mean=log_mean,
            log_spread=0.5 * log_variance,
            tilt=tilt,
            slope=slope,
            # Where κ is small, Y is a multiple of X up to rounding.
            log_residual=0.5 * (log_square + math.log(residual)) if residual > 0.0 else -math.inf,
            log_side=0.5 * (log_square + math.log(float(twice @ square_across) / (law.dim - 1))),
        )


class BulkSums(NamedTuple):
    """Sums over the undrawn rivals, in units of ``exp(peak)``; each of shape (trials,).

    Attributes
    ----------
    weight, along : ndarray
        Draws of ``Σ X`` and ``Σ X t``.
    side_variance : ndarray
        Variance of one coordinate of ``Σ X a u``, which is isotropic across the query.
    """

    weight: Floats
    along: Floats
    side_variance: Floats


def bulk_sums(bulk: Bulk | None, log_rest: Floats, peak: Floats, normals: Floats) -> BulkSums:
    """Return sums over the undrawn rivals as normal variables with the true means and covariances.

    Parameters
    ----------
    bulk : Bulk or None
        Moments of a rival; None if all are drawn, and the sums are 0.
    log_rest : ndarray, shape (trials,)
        Logarithms of the numbers of undrawn rivals.
    peak : ndarray, shape (trials,)
        Logarithms of the units of the sums.
    normals : ndarray, shape (trials, 2)
        Independent standard normal variables.

    Examples
    --------
    >>> bulk_sums(None, np.zeros(3), np.zeros(3), np.zeros((3, 2))).weight
    array([0., 0., 0.])
    """
    if bulk is None:
        none = np.zeros_like(peak)
        return BulkSums(none, none, none)
    mean = np.exp(bulk.log_top + log_rest + bulk.log_mean - peak)
    log_root = bulk.log_top + 0.5 * log_rest - peak
    spread = np.exp(log_root + bulk.log_spread)
    # A sum of positive terms is positive: cutting the normal law at 0 brings it closer to the true one.
    weight = np.maximum(mean + spread * normals[:, 0], 0.0)
    along = bulk.tilt * weight + bulk.slope * (weight - mean) + np.exp(log_root + bulk.log_residual) * normals[:, 1]
    return BulkSums(weight, along, np.exp(2.0 * (log_root + bulk.log_side)))
