"""Where a success rate crosses a level: penalised logistic fit, and the profile-likelihood interval of the crossing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy import optimize, special

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.statistics.intervals import Interval

__all__ = ["LogisticFit", "logistic_fit"]


@dataclass(frozen=True)
class LogisticFit:
    """A success rate that rises or falls with x, fitted by ``logistic_fit``.

    Attributes
    ----------
    crossing : Interval
        The x at which the rate is ``level``.
    slope : Interval
        Change of the log-odds per unit of x.
    intercept : float
        Log-odds at ``x = 0``: the fitted rate is ``1 / (1 + exp(-intercept - slope.estimate * x))``.
    level : float
        The rate at the crossing.
    extrapolated : bool
        Whether the estimated crossing lies outside the range of the measured x (or is undefined), so that it rests
        only on the logistic form.
    """

    crossing: Interval
    slope: Interval
    intercept: float
    level: float
    extrapolated: bool


def logistic_fit(
    x: ArrayLike,
    successes: ArrayLike,
    trials: ArrayLike,
    *,
    increasing: bool,
    level: float = 0.5,
    confidence: float = 0.95,
) -> LogisticFit:
    """Find where a success rate crosses a level.

    Parameters
    ----------
    x : array_like, shape (K,)
        Where the rate was measured, finite, at least two different values.
    successes : array_like of int, shape (K,)
        In ``[0, trials]``.
    trials : array_like of int, shape (K,)
        Independent trials at each x, ``>= 1``.
    increasing : bool
        Whether the rate rises with x. The crossing is sought among curves of this direction; without it, data
        that never cross would not show on which side the crossing lies.
    level : float
        In ``(0, 1)``.
    confidence : float
        Confidence of both intervals, in ``(0, 1)``.

    Returns
    -------
    LogisticFit
        Crossing and slope, each with its interval. If all trials succeed or all fail, or if the fitted slope has the
        other sign, the estimated crossing is infinite, on the side where the level must be (NaN if no side is
        preferred). An end of its interval is infinite if the data do not exclude that the rate never crosses. An end
        of the slope's interval is infinite if they do not exclude a step, as with perfectly separated data. The slope
        may have either sign.

    Notes
    -----
    The log-odds are ``a + b x``. The estimates maximise the binomial log-likelihood plus Firth's penalty,
    half the log-determinant of the Fisher information (Biometrika 80, 1993), which keeps the slope finite
    where the data are perfectly separated. The intervals contain the values whose profile likelihood is within
    half a chi-squared quantile of the maximum; for the crossing, both maxima are over the curves of the
    stated direction. The intervals do without the penalty because it favours gentle slopes: where the rate is
    nearly a step between two neighbouring x, the penalised interval can be narrower than the spacing and never
    cover the true value; the unpenalised interval always does.

    Examples
    --------
    >>> fit = logistic_fit([1, 2, 3, 4, 5], [20, 19, 12, 2, 0], [20] * 5, increasing=False)
    >>> print(fit.crossing)
    3.149 [2.879, 3.421] (95%)
    >>> print(logistic_fit([1, 2, 3], [20, 20, 20], [20] * 3, increasing=False).crossing)
    inf [3, inf] (95%)
    """
    points, won, tried = _checked_counts(x, successes, trials)
    _arguments.probability("level", level)
    _arguments.probability("confidence", confidence)
    if not isinstance(increasing, bool | np.bool_):
        raise TypeError(f"increasing is {increasing!r}: it must be True or False")
    sign, target = (1 if increasing else -1), float(special.logit(level))
    quantile = float(scipy.stats.chi2.ppf(confidence, df=1))
    middle, half = (points.max() + points.min()) / 2, (points.max() - points.min()) / 2
    model = _Logistic((points - middle) / half, won, tried)

    steepest = model.climb(model.likelihood, np.zeros(2))
    # If the spacing of x is very uneven, the penalised likelihood may have two maxima.
    summits = [model.climb(model.penalised, start) for start in (np.zeros(2), steepest)]
    intercept, slope = max(summits, key=lambda summit: float(model.penalised(summit @ model.basis))).tolist()
    # With successes only it would be infinite; the difference is beyond double precision.
    constant = float(np.clip(special.logit(won.sum() / tried.sum()), -50, 50))
    best = float(model.likelihood(steepest @ model.basis))
    best_directed = best if steepest[1] * sign > 0 else model.constant(constant)

    def slope_deviance(at: float) -> float:
        return 2 * (best - model.at_slope(min(max(at, -_STEP), _STEP)))

    def crossing_deviance(at: float) -> float:
        if math.isfinite(at):
            return 2 * (best_directed - model.at_crossing(at, target, sign))
        # As the crossing tends to infinity, only a constant rate on one side of the level remains.
        near = min(constant, target) if at * sign > 0 else max(constant, target)
        return 2 * (best_directed - model.constant(near))

    if slope * sign > 0 and 0 < won.sum() < tried.sum():
        crossing = (target - intercept) / slope
    else:
        crossing = min((-math.inf, math.inf), key=crossing_deviance)
    low, high = _ends(crossing_deviance, crossing, quantile)
    slope_low, slope_high = _ends(slope_deviance, slope, quantile)
    if math.isinf(crossing) and math.isclose(crossing_deviance(-crossing), crossing_deviance(crossing), abs_tol=1e-9):
        crossing = math.nan
    crossing, low, high = (float(middle + half * at) for at in (crossing, low, high))
    return LogisticFit(
        crossing=Interval(crossing, low, high, confidence),
        slope=Interval(slope / half, slope_low / half, slope_high / half, confidence),
        intercept=intercept - slope * middle / half,
        level=level,
        extrapolated=not points.min() <= crossing <= points.max(),
    )


_STEP = 1e8  # Log-odds so steep across the range of x that the rate is a step.


class _Logistic:
    """Binomial counts with log-odds ``a + b z``, z in [-1, 1]."""

    def __init__(self, z: Floats, successes: Floats, trials: Floats) -> None:
        self.z, self.successes, self.trials = z, successes, trials
        self.basis = np.stack([np.ones_like(z), z])

    def likelihood(self, log_odds: Floats) -> Floats:
        """Log-likelihood of log-odds of shape (..., K); the result has shape (...)."""
        failures = self.trials - self.successes
        return (self.successes * special.log_expit(log_odds) + failures * special.log_expit(-log_odds)).sum(-1)

    def penalised(self, log_odds: Floats) -> Floats:
        """Add Firth's penalty."""
        largest, _, total, _, spread = self._information(log_odds)
        with np.errstate(divide="ignore"):
            return self.likelihood(log_odds) + largest + (np.log(total) + np.log(spread)) / 2

    def _information(self, log_odds: Floats) -> tuple[Floats, ...]:
        """Split the Fisher information so that it does not underflow at steep slopes."""
        log_weight = np.log(self.trials) + special.log_expit(log_odds) + special.log_expit(-log_odds)
        largest = log_weight.max(-1)
        weight = np.exp(log_weight - largest[..., None])
        total = weight.sum(-1)
        offset = self.z - ((weight * self.z).sum(-1) / total)[..., None]
        return largest, weight, total, offset, (weight * offset**2).sum(-1)

    def climb(self, objective: Callable[[Floats], Floats], start: Floats) -> Floats:
        """Maximise the likelihood, penalised or not, from a start; return a and b."""

        def gradient(parameters: Floats) -> Floats:
            log_odds = parameters @ self.basis
            rate = special.expit(log_odds)
            residual = self.successes - self.trials * rate
            if objective == self.penalised:
                _, weight, total, offset, spread = self._information(log_odds)
                residual += weight * (1 / total + offset**2 / spread) * (0.5 - rate)
            return -self.basis @ residual

        def information(parameters: Floats) -> Floats:
            rate = special.expit(parameters @ self.basis)
            return (self.basis * (self.trials * rate * (1 - rate))) @ self.basis.T

        return optimize.minimize(
            lambda parameters: -float(objective(parameters @ self.basis)),
            start,
            jac=gradient,
            hess=information,
            method="trust-exact",
            options={"gtol": 1e-10 + 1e-14 * self.trials.sum(), "maxiter": 1000, "max_trust_radius": 1e8},
        ).x

    def constant(self, log_odds: float) -> float:
        """Likelihood of the same rate everywhere."""
        return float(self.likelihood(np.full_like(self.z, log_odds)))

    def at_slope(self, slope: float) -> float:
        """Likelihood, maximised over a."""
        turns = -slope * self.z
        reach = math.log(self.trials.sum()) + 25
        grid = np.concatenate([turns, np.linspace(turns.min() - reach, turns.max() + reach, 201)])
        return _largest(lambda a: self.likelihood(a[:, None] + slope * self.z), np.sort(grid))

    def at_crossing(self, crossing: float, target: float, sign: int) -> float:
        """Likelihood, maximised over the slopes of a sign, where the log-odds are the target at the crossing."""
        away = sign * (self.z - crossing)
        slopes = np.concatenate([[0.0], np.logspace(-3, 8, 111)]) / np.abs(away).max()
        return _largest(lambda b: self.likelihood(target + b[:, None] * away), slopes)


def _largest(function: Callable[[Floats], Floats], grid: Floats) -> float:
    """Maximise on a grid that is refined five times, each time to a sixteenth of the width."""
    best = -math.inf
    for _ in range(6):
        values = function(grid)
        at = int(values.argmax())
        best = max(best, float(values[at]))
        grid = np.linspace(grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)], 33)
    return best


def _ends(deviance: Callable[[float], float], estimate: float, quantile: float) -> tuple[float, float]:
    """Find where the deviance passes a quantile on both sides of an estimate."""
    # The estimate minimises another function: at a low confidence its own deviance may exceed the quantile.
    threshold = max(quantile, deviance(estimate))

    def end(side: int) -> float:
        if deviance(side * math.inf) <= threshold:
            return side * math.inf
        inside = estimate
        if math.isinf(estimate):
            inside = 0.0
            while deviance(inside) > threshold:
                inside = 2 * inside - side
        step = 2.0**-6
        while deviance(inside + side * step) <= threshold:
            step *= 2
        bracket = (inside, inside + side * step)
        return float(optimize.root_scalar(lambda at: deviance(at) - threshold, bracket=bracket, method="brentq").root)

    return end(-1), end(1)


def _checked_counts(x: ArrayLike, successes: ArrayLike, trials: ArrayLike) -> tuple[Floats, Floats, Floats]:
    points, won, tried = np.asarray(x, dtype=np.float64), np.asarray(successes), np.asarray(trials)
    if points.ndim != 1 or not np.isfinite(points).all() or len(np.unique(points)) < 2:
        raise ValueError(f"x is {x!r}: it must be a 1-D array of finite numbers, at least two of them different")
    for name, counts, given in [("successes", won, successes), ("trials", tried, trials)]:
        if counts.shape != points.shape:
            raise ValueError(f"{name} has shape {counts.shape}: it must be that of x, {points.shape}")
        if counts.dtype.kind not in "iu":
            raise TypeError(f"{name} is {given!r}: it must hold integers")
    if (tried < 1).any():
        raise ValueError(f"trials is {trials!r}: each must be at least 1")
    if (won < 0).any() or (won > tried).any():
        raise ValueError(f"successes is {successes!r} of {trials!r}: each must be in [0, trials]")
    return points, won.astype(np.float64), tried.astype(np.float64)
