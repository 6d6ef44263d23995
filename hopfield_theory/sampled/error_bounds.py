"""How far the law of one update may be from the true one where the rivals not drawn are summed as normal variables.

The proofs are in ``docs/virtual.md``.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
from scipy import optimize, special

from hopfield_theory._arguments import Floats
from hopfield_theory.sampled.overlaps import OverlapLaw
from hopfield_theory.sampled.undrawn_sums import Bulk
from hopfield_theory.sampled.which_are_drawn import MOST_COUNTED, Plan

__all__ = ["displacement", "distribution_error"]

# Shevtsova, arXiv:1111.6554: the Berry-Esseen constant of identically distributed summands.
_BERRY_ESSEEN = 0.4748
_QUANTILES = 1024


def distribution_error(law: OverlapLaw, kappa: float, plan: Plan, bulk: Bulk) -> float:
    """Bound the Kolmogorov distance of the law of ``log S``: Berry and Esseen, or the smoothing by the largest term.

    Parameters
    ----------
    law : OverlapLaw
        Law of a rival's overlap t.
    kappa : float, at least 0
        κ of the scores ``κ t``.
    plan : Plan
        Which rivals are drawn.
    bulk : Bulk
        Moments of a rival that is not, for these three.

    Examples
    --------
    >>> from hopfield_theory.sampled.overlaps import overlap_law
    >>> law, plan = overlap_law("sphere", 100), Plan.of(60.0)
    >>> threshold = float(law.quantile(np.array(plan.log_share)))
    >>> bulk = Bulk.below(threshold, log_share=plan.log_share, law=law, kappa=100.0)
    >>> distribution_error(law, 100.0, plan, bulk) < 0.01
    True
    """
    if kappa == 0.0:
        return plan.counting_error
    fewest = max(plan.rivals - plan.width, 1.0)
    log_normal = math.log(_BERRY_ESSEEN) + bulk.log_third - 3.0 * bulk.log_spread - 0.5 * math.log(fewest)
    normal = math.exp(min(log_normal, 0.0))
    return min(1.0, min(normal, _smoothed(law, kappa, plan, bulk)) + plan.counting_error)


def _smoothed(law: OverlapLaw, kappa: float, plan: Plan, bulk: Bulk) -> float:
    if plan.log_share > -math.log(2.0):
        return 1.0
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    if plan.rivals <= MOST_COUNTED:
        log_share = np.log(special.betaincinv(2.0, plan.rivals - 1.0, levels))
    else:
        log_share = np.log(special.gammaincinv(2.0, levels)) - plan.log_rivals
    log_share = np.minimum(log_share, -math.log(2.0))
    log_distance = bulk.log_third - 2.0 * bulk.log_spread
    log_width = log_distance - math.log(kappa) - (kappa * law.quantile(log_share) - bulk.log_top)
    return float(np.exp(np.minimum(law.log_concentration(log_share, log_width), 0.0)).mean())


def displacement(shift: Floats, counting_error: float) -> float:
    """Bound the Prokhorov distance of the law of ``T(x)/m``: the δ with ``mean min(1, 16 h²/δ²) + counting error = δ``.

    Parameters
    ----------
    shift : ndarray, shape (trials,), at least 0
        h²: mean squared shift of ``T(x)/m`` by the fluctuations of the sums over the rivals not drawn.
    counting_error : float, in [0, 1]
        Total variation distance of the law of the number drawn from the true one.

    Examples
    --------
    >>> round(displacement(np.full(3, 0.1**3 / 16.0), 0.0), 6)
    0.1
    """

    def excess(log_delta: float) -> float:
        with np.errstate(over="ignore"):
            chance = np.minimum(1.0, 16.0 * shift * math.exp(-2.0 * log_delta)).mean()
        return float(chance) + counting_error - math.exp(log_delta)

    low = -300.0
    if excess(low) <= 0.0:
        return 0.0
    return math.exp(cast(float, optimize.brentq(excess, low, 0.7, xtol=1e-9)))
