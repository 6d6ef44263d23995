"""Intervals for rates and for statistics of samples; random ones are functions of their seed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from hopfield_theory import _arguments

__all__ = ["Interval", "bootstrap", "cluster_bootstrap", "wilson"]


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it.

    Attributes
    ----------
    estimate : float
    low, high : float
        Ends of the interval, included; infinite where the data give no limit.
    confidence : float
        Nominal probability, in ``(0, 1)``, that such an interval contains the true number.

    Examples
    --------
    >>> interval = Interval(0.5, 0.25, 0.75, 0.95)
    >>> print(interval)
    0.5 [0.25, 0.75] (95%)
    >>> 0.3 in interval, 0.8 in interval
    (True, False)
    """

    estimate: float
    low: float
    high: float
    confidence: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}] ({100 * self.confidence:.4g}%)"


def wilson(
    successes: int,
    trials: int,
    confidence: float = 0.95,
    alternative: Literal["two-sided", "less", "greater"] = "two-sided",
) -> Interval:
    """Wilson's score interval for a success probability.

    Parameters
    ----------
    successes : int
        In ``[0, trials]``.
    trials : int
        Independent trials, ``>= 1``.
    confidence : float
        In ``(0, 1)``.
    alternative : {"two-sided", "less", "greater"}
        "less" bounds the probability from above only (``low`` is 0), "greater" from below only (``high`` is 1).

    Returns
    -------
    Interval
        Within ``[0, 1]``; the estimate is ``successes / trials``.

    Notes
    -----
    The probabilities p with ``|k/N - p| <= z sqrt(p (1 - p) / N)``, ``z`` the normal quantile (Wilson, Journal
    of the American Statistical Association 22, 1927), computed by SciPy.

    Examples
    --------
    >>> print(wilson(9, 10))
    0.9 [0.5958, 0.9821] (95%)
    >>> print(wilson(0, 1000, alternative="less"))
    0 [0, 0.002698] (95%)
    """
    trials = _arguments.integer("trials", trials, 1)
    successes = _arguments.integer("successes", successes, 0, trials)
    _arguments.probability("confidence", confidence)
    _arguments.one_of("alternative", alternative, ("two-sided", "less", "greater"))
    test = scipy.stats.binomtest(successes, trials, alternative=alternative)
    low, high = test.proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(successes / trials, float(low), float(high), confidence)


def bootstrap(
    sample: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    confidence: float = 0.95,
    *,
    num_resamples: int = 9999,
    seed: int | np.random.Generator,
) -> Interval:
    """Bootstrap interval for a statistic of independent observations.

    Parameters
    ----------
    sample : array_like, shape (N,)
        Finite observations, ``N >= 2``.
    statistic : callable
        Function of a 1-D array that returns a number; the mean by default. With a parameter ``axis``, it is evaluated
        on many resamples at once.
    confidence : float
        In ``(0, 1)``.
    num_resamples : int
        ``>= 1``.
    seed : int or numpy.random.Generator
        Source of the resamples.

    Returns
    -------
    Interval
        In the unit of the statistic. The estimate is the statistic of the sample.

    Notes
    -----
    Bias-corrected and accelerated (Efron, Journal of the American Statistical Association 82, 1987), computed
    by SciPy with ``N`` leave-one-out samples. Where that is undefined, for example if the statistic is constant or lies
    beyond all of its resamples, it is the percentile interval of the same resamples. The interval of a constant sample
    has width zero: no variation was seen, which does not exclude it.

    Examples
    --------
    >>> sample = np.random.default_rng(0).exponential(size=50)
    >>> print(bootstrap(sample, seed=0))
    1.114 [0.8636, 1.52] (95%)
    >>> print(bootstrap([1.0, 1.0, 1.0], seed=0))
    1 [1, 1] (95%)
    """
    values = np.asarray(sample, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"sample has shape {values.shape}, {sample!r}: it must be a 1-D array of at least 2 finite numbers"
        )
    estimate = float(statistic(values))
    return _bca(values, statistic, estimate=estimate, confidence=confidence, num_resamples=num_resamples, seed=seed)


def cluster_bootstrap(
    values: ArrayLike,
    clusters: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    confidence: float = 0.95,
    *,
    num_resamples: int = 9999,
    seed: int | np.random.Generator,
) -> Interval:
    """Bootstrap interval for observations that come in clusters, such as queries that share a memory.

    Parameters
    ----------
    values : array_like, shape (N, ...)
        Finite observations, one per row.
    clusters : array_like, shape (N,)
        Label of each observation's cluster. Clusters are independent of each other. There are at least 2; with few
        clusters the interval is unreliable.
    statistic : callable
        Function of an array of rows, shape ``(any, ...)``, that returns a number; the mean by default.
    confidence : float
        In ``(0, 1)``.
    num_resamples : int
        ``>= 1``.
    seed : int or numpy.random.Generator
        Source of the resamples.

    Returns
    -------
    Interval
        In the unit of the statistic. The estimate is the statistic of ``values``.

    Notes
    -----
    Whole clusters are drawn with replacement, each with all of its observations; bias and acceleration are
    corrected as in ``bootstrap``, with one cluster left out at a time.

    Examples
    --------
    >>> values, clusters = [1, 1, 1, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 2, 2, 3]
    >>> print(cluster_bootstrap(values, clusters, seed=0))
    0.75 [0.1429, 1] (95%)
    """
    rows, labels = np.asarray(values, dtype=np.float64), np.asarray(clusters)
    if rows.ndim == 0 or not np.isfinite(rows).all():
        raise ValueError(f"values is {values!r}: it must be an array of finite numbers, one observation per row")
    if labels.shape != rows.shape[:1]:
        raise ValueError(f"clusters has shape {labels.shape}: it must be {rows.shape[:1]}, one label per row of values")
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise ValueError(f"clusters names {len(sizes)}: it must name at least 2")
    members = np.split(np.argsort(inverse, kind="stable"), np.cumsum(sizes)[:-1])
    table = np.stack(members) if sizes.min() == sizes.max() else None

    def of_clusters(drawn: NDArray[Any]) -> float:
        # equal clusters are gathered at once
        taken = np.concatenate([members[cluster] for cluster in drawn]) if table is None else table[drawn].ravel()
        return float(statistic(rows[taken]))

    estimate = float(statistic(rows))
    indices = np.arange(len(sizes))
    return _bca(indices, of_clusters, estimate=estimate, confidence=confidence, num_resamples=num_resamples, seed=seed)


def _bca(
    data: NDArray[Any],
    statistic: Callable[..., Any],
    *,
    estimate: float,
    confidence: float,
    num_resamples: int,
    seed: int | np.random.Generator,
) -> Interval:
    _arguments.probability("confidence", confidence)
    num_resamples = _arguments.integer("num_resamples", num_resamples, 1)

    def of_each(samples: NDArray[Any], axis: int) -> NDArray[Any]:
        # SciPy's own loop over samples takes longer than a mean
        moved = np.moveaxis(samples, axis, -1)
        return np.array([statistic(each) for each in moved.reshape(-1, moved.shape[-1])]).reshape(moved.shape[:-1])

    # All resamples at once would take num_resamples * N numbers.
    batch = max(1, 2**20 // len(data))
    options: dict[str, Any] = {"confidence_level": confidence, "batch": batch, "rng": np.random.default_rng(seed)}
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        result = scipy.stats.bootstrap((data,), of_each, n_resamples=num_resamples, method="BCa", **options)
        low, high = result.confidence_interval
        if not (math.isfinite(low) and math.isfinite(high)):
            options |= {"n_resamples": 0, "bootstrap_result": result}
            low, high = scipy.stats.bootstrap((data,), of_each, method="percentile", **options).confidence_interval
    return Interval(estimate, float(low), float(high), confidence)
