"""Where a rate that falls with the number of patterns crosses a level: found with few trials, then measured again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hopfield_theory import _arguments
from hopfield_theory.statistics import Interval, LogisticFit, logistic_fit

__all__ = ["Crossing", "crossing"]

Measure = Callable[[int, int, int], int]
Counts = Mapping[int, tuple[int, int]]

# trials per number of patterns in the search (a look), and in each round near the crossing
_LOOK, _ROUND = 24, 48
_STRIDE = 0.6
# looks at that stride; after these the stride doubles
_NEARBY = 8
_ROUNDS = 2
# Points of the last measurement are this far from the crossing, in units of the inverse slope: a rate of 0.38 and 0.62
# for the level ½. Closer points would not determine the slope; at farther ones no rate is exactly logistic.
_BESIDE = 0.5
_NEAR = 2.5
# A last measurement that is so much less precise than expected was not near the crossing, and is repeated.
_SLACK = 2.0
_ATTEMPTS = 4
_NORMAL = 1.959964


@dataclass(frozen=True)
class Crossing:
    """Where the rate crosses the level.

    Attributes
    ----------
    log_patterns : Interval
        Natural logarithm of M; ``-inf`` if not even one pattern reaches the level.
    slope : float
        Fitted change of the log-odds per unit of log M at the crossing.
    num_patterns, successes, trials : tuple of int
        All measurements, in the order of M.
    """

    log_patterns: Interval
    slope: float
    num_patterns: tuple[int, ...]
    successes: tuple[int, ...]
    trials: tuple[int, ...]


class _Counts:
    """The rates measured so far, each with separate trials."""

    def __init__(self, measure: Measure) -> None:
        self._measure, self.used = measure, 0
        self.counts: dict[int, tuple[int, int]] = {}

    def add(self, size: int, trials: int) -> tuple[int, int]:
        """Measure, and return only the new counts."""
        won = self._measure(size, trials, self.used)
        self.used += trials
        before = self.counts.get(size, (0, 0))
        self.counts[size] = before[0] + won, before[1] + trials
        return won, trials

    def rate(self, size: int, trials: int) -> float:
        self.add(size, trials)
        won, tried = self.counts[size]
        return won / tried


def crossing(
    measure: Measure, start: float, top: float, *, level: float, precision: float, most_trials: int
) -> Crossing:
    """Find the number of patterns at which a falling rate of success crosses a level.

    Looks with few trials find the crossing and the slope approximately. The reported result rests on new trials: as
    many as the precision needs, on both sides of the crossing, so close that a logistic curve approximates any rate. A
    fit to all looks would take its slope from distant points, where rates are not logistic, and trials selected by
    their own outcomes would make the interval too narrow.

    Parameters
    ----------
    measure : function of M, trials and first
        Counts the successes of trials ``first`` to ``first + trials - 1`` at M patterns.
    start, top : float, ``0 <= start <= top``
        First and largest log M.
    level : float, in (0, 1)
    precision : float, above 0
        Desired half width of the interval for log M.
    most_trials : int, at least 1
        Largest number of trials in a last measurement, rounded up to an even number.

    Returns
    -------
    Crossing
        If the rate is not monotone, one of several. The interval is that of a logistic fit to the last measurement; to
        all measurements near the crossing, if four last measurements did not reach their expected precision (a step);
        to all measurements, and an extrapolation, if the rate is above the level even at the top.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> found = crossing(
    ...     lambda size, trials, first: rng.binomial(trials, 1 / (1 + (size / 1000) ** 8)),
    ...     start=5.0, top=16.0, level=0.5, precision=0.05, most_trials=2000,
    ... )
    >>> abs(found.log_patterns.estimate - math.log(1000)) < 0.1
    True
    """
    if not 0.0 <= start <= top < math.inf:
        raise ValueError(f"start is {start} and top {top}: they must be finite, in order, and at least 0")
    level, precision = _arguments.probability("level", level), _arguments.positive("precision", precision)
    most_trials = _arguments.integer("most_trials", most_trials, 1)
    seen = _Counts(measure)
    if not _bracketed(seen, start, level, top):
        return _result(seen, Interval(-math.inf, -math.inf, 0.0, 0.95), math.nan)
    for _ in range(_ROUNDS):
        place = _local(seen.counts, level)
        # a constant rate has no crossing
        if math.isfinite(place.crossing.estimate):
            for size in _beside(place, 1.0, top):
                seen.add(size, _ROUND // 2)
    for _ in range(_ATTEMPTS):
        place = _local(seen.counts, level)
        if not -math.inf < place.crossing.estimate < top:
            break
        steepness = abs(place.slope.estimate)
        each = 0.5 * (2.0 * _NORMAL / (steepness * precision)) ** 2
        trials = math.ceil(min(max(each, _ROUND), max(most_trials / 2, 1)))
        found = _fit({size: seen.add(size, trials) for size in _beside(place, _BESIDE, top)}, level)
        expected = 2.0 * _NORMAL / (steepness * math.sqrt(2 * trials))
        if found.crossing.high - found.crossing.low <= 2.0 * _SLACK * expected:
            return _result(seen, found.crossing, found.slope.estimate)
    fit = _local(seen.counts, level)
    return _result(seen, fit.crossing, fit.slope.estimate)


def _bracketed(seen: _Counts, start: float, level: float, top: float) -> bool:
    """Search from a start until the rate was seen on both sides of the level; False if it is never above."""

    def above(place: float) -> bool:
        return seen.rate(_size(place), _LOOK) >= level

    place, begun, looks = start, above(start), 0
    stride = _STRIDE if begun else -_STRIDE
    while 0.0 < place < top or place == start:
        looks += 1
        stride *= 2.0 if looks > _NEARBY else 1.0
        before, place = place, min(max(place + stride, 0.0), top)
        if above(place) != begun:
            while abs(place - before) > 2.0 * _STRIDE:
                middle = 0.5 * (before + place)
                before, place = (middle, place) if above(middle) == begun else (before, middle)
            return True
        if place in (0.0, top):
            break
    if begun and len(seen.counts) == 1:
        # a single size does not determine a slope
        size = _size(place)
        seen.rate(size - 1 if size > 1 else 2, _LOOK)
    return begun


def _fit(counts: Counts, level: float) -> LogisticFit:
    sizes = sorted(counts)
    won, tried = zip(*(counts[size] for size in sizes), strict=True)
    return logistic_fit([math.log(size) for size in sizes], won, tried, increasing=False, level=level)


def _local(counts: Counts, level: float) -> LogisticFit:
    """Fit the points near the crossing of a fit to all points, if there are some on both sides."""
    fit = _fit(counts, level)
    centre, reach = fit.crossing.estimate, _NEAR / max(abs(fit.slope.estimate), 1e-9)
    near = {size: count for size, count in counts.items() if abs(math.log(size) - centre) <= reach}
    if len(near) < 2 or not min(near) < math.exp(min(centre, 709.0)) < max(near):
        return fit
    local = _fit(near, level)
    return local if math.isfinite(local.crossing.estimate) else fit


def _beside(fit: LogisticFit, share: float, top: float) -> tuple[int, int]:
    """Return two different sizes on both sides of the crossing, a share of the inverse slope away."""
    width = min(share / max(abs(fit.slope.estimate), 1e-9), _STRIDE)
    centre = min(max(fit.crossing.estimate, 0.0), top)
    low, high = (_size(min(max(centre + side, 0.0), top)) for side in (-width, width))
    return (low, high) if low < high else (max(low - 1, 1), max(low, 2))


def _size(log_patterns: float) -> int:
    return max(1, round(math.exp(log_patterns)))


def _result(seen: _Counts, log_patterns: Interval, slope: float) -> Crossing:
    sizes = sorted(seen.counts)
    won, tried = zip(*(seen.counts[size] for size in sizes), strict=True)
    return Crossing(log_patterns, slope, tuple(sizes), won, tried)
