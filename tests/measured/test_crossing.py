"""The crossing of a rate: its interval holds the truth whatever the curve, and every trial is used once."""

import math

import numpy as np
import pytest
from scipy import special

from hopfield_theory.measured.crossing import crossing

CURVES = {
    "logistic": lambda z: special.expit(-z),
    "steeper above": lambda z: np.exp(-math.log(2) * np.exp(z)),
    "steeper below": lambda z: -np.expm1(-math.log(2) * np.exp(-z)),
}


def measured(curve, truth, slope, seed):
    rng = np.random.default_rng(seed)
    return lambda size, trials, first: int(rng.binomial(trials, CURVES[curve](slope * (math.log(size) - truth))))


@pytest.mark.slow
def test_the_interval_holds_the_truth_where_the_curve_is_not_logistic():
    """A fit to everything that was looked at would hold it in 63 to 69 of 100."""
    held = 0
    for seed in range(24):
        truth = 8 + np.random.default_rng(seed + 1000).uniform(-0.3, 0.3)
        look = measured(("steeper above", "steeper below")[seed % 2], truth, 3.0, seed)
        found = crossing(look, 8.0, 16.0, level=0.5, precision=0.08, most_trials=2000).log_patterns
        held += found.low <= truth <= found.high
    # with a coverage of 0.90, fewer come once in a thousand
    assert held >= 16


@pytest.mark.parametrize("level", [0.1, 0.9])
def test_other_levels_are_found(level):
    truth = 8 - special.logit(level) / 8
    found = crossing(measured("logistic", 8.0, 8.0, 0), 5.0, 16.0, level=level, precision=0.05, most_trials=4000)
    assert abs(found.log_patterns.estimate - truth) < 0.1


def test_counts_are_of_all_trials_and_no_trial_is_used_twice():
    seen = []

    def look(size, trials, first):
        seen.append((size, trials, first))
        return trials if size < 300 else 0

    found = crossing(look, 3.0, 16.0, level=0.5, precision=0.05, most_trials=1000)
    assert [first for _, _, first in seen] == list(np.cumsum([0, *(trials for _, trials, _ in seen)])[:-1])
    assert sum(found.trials) == sum(trials for _, trials, _ in seen)
    assert list(found.num_patterns) == sorted({size for size, _, _ in seen})
    # a step between two neighbouring sizes
    assert found.log_patterns.low <= math.log(299.5) <= found.log_patterns.high
    assert sum(found.trials) < 4 * 1000


def test_a_rate_that_is_nowhere_above_or_nowhere_below():
    nothing = crossing(lambda size, trials, first: 0, 3.0, 16.0, level=0.5, precision=0.05, most_trials=100)
    assert nothing.log_patterns.estimate == nothing.log_patterns.low == -math.inf
    assert nothing.num_patterns[0] == 1
    everything = crossing(lambda size, trials, first: trials, 3.0, 5.0, level=0.5, precision=0.05, most_trials=100)
    assert everything.log_patterns.high == math.inf
    assert everything.log_patterns.low >= 5.0 - 0.6


def test_sizes_beyond_any_float_of_an_integer_are_counted():
    found = crossing(measured("logistic", 600.0, 1.0, 0), 590.0, 700.0, level=0.5, precision=0.2, most_trials=2000)
    assert abs(found.log_patterns.estimate - 600.0) < 0.6


@pytest.mark.parametrize("changed", [{"level": 1.0}, {"precision": 0.0}, {"precision": math.inf}, {"most_trials": 0}])
def test_bad_numbers_are_refused(changed):
    [name] = changed
    with pytest.raises(ValueError, match=f"{name} is"):
        crossing(lambda *_: 0, 3.0, 5.0, **({"level": 0.5, "precision": 0.1, "most_trials": 100} | changed))


def test_rates_without_a_slope_and_a_start_at_the_top():
    flat = crossing(lambda size, trials, first: trials // 2, 5.0, 8.0, level=0.5, precision=0.05, most_trials=200)
    assert not flat.log_patterns.high - flat.log_patterns.low < 1
    for end in (0.0, 5.0):
        top = crossing(lambda size, trials, first: trials, end, end, level=0.5, precision=0.05, most_trials=200)
        assert top.log_patterns.high == math.inf
    with pytest.raises(ValueError, match=r"start is 8\.0 and top 5\.0"):
        crossing(lambda *_: 0, 8.0, 5.0, level=0.5, precision=0.05, most_trials=200)


def test_what_is_far_away_is_found_in_few_looks():
    looks = []

    def look(size, trials, first):
        looks.append(size)
        return trials if math.log(size) < 600.3 else 0

    found = crossing(look, 5.0, 700.0, level=0.5, precision=0.05, most_trials=200)
    assert found.log_patterns.estimate == pytest.approx(600.3, abs=0.3)
    assert len(looks) < 60
    looks.clear()
    crossing(
        lambda size, trials, first: looks.append(size) or trials, 5.0, 700.0, level=0.5, precision=0.05, most_trials=9
    )
    assert len(looks) < 60
