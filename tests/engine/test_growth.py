"""Fits of growth find planted limits, and their intervals hold them as often as they say, however wide the data's."""

import math

import numpy as np
import pytest

from hopfield_theory.bounds import thermodynamics
from hopfield_theory.engine.growth import growth_exponent
from hopfield_theory.engine.virtual_capacity import one_update_capacity
from hopfield_theory.statistics import Interval

DIMS = (12, 14, 16, 18, 20, 22)


def known(value, deviation, confidence=0.95, quantile=1.959964):
    return Interval(value, value - quantile * deviation, value + quantile * deviation, confidence)


def test_growth_of_capacities():
    dims = (10, 14, 20, 30, 50)
    exact = [0.62 * d + 1.5 * math.log(d) - 2.0 for d in dims]
    found = growth_exponent(dims, [known(value, 0.01) for value in exact])
    assert found.limit.estimate == pytest.approx(0.62, abs=1e-9)
    assert found.limit.low < 0.62 < found.limit.high
    assert found.slope.estimate == pytest.approx(np.polyfit(dims, exact, 1)[0], abs=1e-9)
    # the confidence of each interval is its own
    narrow = growth_exponent(dims, [known(value, 0.01, 0.6827, 1.0) for value in exact])
    assert narrow.limit.low == pytest.approx(found.limit.low, abs=1e-5)
    wide = growth_exponent(dims, [known(value, 0.01) for value in exact], confidence=0.9999)
    assert wide.limit.high - wide.limit.low > 1.9 * (found.limit.high - found.limit.low)


@pytest.mark.parametrize(
    ("deviations", "scatter"),
    [
        ((0.03,) * 6, 0.0),
        ((0.01, 0.01, 0.02, 0.05, 0.1, 0.1), 0.0),
        ((0.0,) * 6, 0.03),
        ((0.02,) * 6, 0.05),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(deviations, scatter):
    """Noise that the capacities' intervals tell, alike or not, and scatter that they do not."""
    rng, trials, held = np.random.default_rng(0), 400, np.zeros(2)
    for _ in range(trials):
        noise = rng.standard_normal(6) * np.hypot(deviations, scatter)
        capacities = [known(0.62 * d + e, s) for d, e, s in zip(DIMS, noise, deviations, strict=True)]
        found = growth_exponent(DIMS, capacities)
        held += [0.62 in found.slope, 0.62 in found.limit]
    # at 95% each, fewer than 365 of 400 come once in a thousand
    assert (held >= 365).all()


def test_weights_are_those_of_the_intervals_where_these_explain_the_scatter():
    capacities = [
        known(0.5 * d + e, s) for d, e, s in zip((10, 20, 30, 40), (0, 0, 0, 1), (0.1, 0.1, 0.1, 9), strict=True)
    ]
    found = growth_exponent((10, 20, 30, 40), capacities)
    assert found.slope.estimate == pytest.approx(0.5, abs=1e-4)
    assert found.limit.estimate == pytest.approx(0.5, abs=1e-2)


def test_capacities_of_no_width_weigh_alike():
    """One interval a billion times as narrow as another does not decide alone where the form does not fit."""
    bent = [0.5 * d + 3.0 / d for d in DIMS]
    none = growth_exponent(DIMS, [known(value, 0.0) for value in bent])
    some = growth_exponent(DIMS, [known(value, s) for value, s in zip(bent, (1e-5, 1e-14, 0, 0, 0, 0), strict=True)])
    plain = np.linalg.lstsq(np.array([[1.0, math.log(d) / d, 1.0 / d] for d in DIMS]), np.array(bent) / DIMS)[0][0]
    assert none.limit.estimate == pytest.approx(plain, rel=1e-9)
    assert some.limit.estimate == pytest.approx(plain, rel=1e-3)
    assert 0.0 < none.slope.high - none.slope.low < 0.1


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_capacities_that_do_not_grow(value):
    found = growth_exponent((10, 20, 30, 40), [known(value, 0.0)] * 4)
    assert found.slope.estimate == pytest.approx(0.0, abs=1e-12)
    assert found.limit.estimate == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("lam", [0.5, 1.0, 2.0])
def test_one_update_reaches_the_exact_exponent(lam):
    dims, alpha = (50, 100, 200, 400, 700), float(thermodynamics.threshold(lam))
    found = growth_exponent(dims, [one_update_capacity(dim=dim, lam=lam, trials=50) for dim in dims])
    assert found.limit.estimate == pytest.approx(alpha, rel=1e-3)
    assert found.limit.low < alpha < found.limit.high < alpha * 1.001


def test_what_cannot_be_fitted_is_refused():
    for dims in ([10, 20], [10, 20, 20], [10, 20, 30, 40], [0, 10, 20], [10, 20, math.inf]):
        with pytest.raises(ValueError, match="at least 3 different"):
            growth_exponent(dims, [known(1.0, 0.1)] * min(len(dims), 3))
    for unknown in (Interval(-math.inf, -math.inf, 0, 0.95), Interval(1.0, 0.0, math.inf, 0.95)):
        with pytest.raises(ValueError, match="must be finite"):
            growth_exponent([1, 2, 3], [unknown] * 3)
    with pytest.raises(ValueError, match="confidence is 1"):
        growth_exponent([1, 2, 3], [known(1.0, 0.1)] * 3, confidence=1)
