import math
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from hopfield_theory.statistics import Interval, bootstrap, cluster_bootstrap, logistic_fit, wilson


def fewest_covered(simulations: int, confidence: float) -> int:
    """Count that a true coverage of `confidence` falls short of once in 10 000 runs."""
    return int(stats.binom.ppf(1e-4, simulations, confidence))


def test_interval():
    interval = Interval(0.25, 0.125, math.inf, 0.9)
    assert str(interval) == "0.25 [0.125, inf] (90%)"
    assert 0.125 in interval
    assert math.inf in interval
    assert 0.1 not in interval
    assert not interval.__contains__(math.nan)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.999))
def test_wilson_solves_the_score_equation(counts, confidence):
    successes, trials = counts
    interval = wilson(successes, trials, confidence)
    quantile = stats.norm.isf((1 - confidence) / 2)
    rate = successes / trials
    for end in (interval.low, interval.high):
        assert (end - rate) ** 2 == pytest.approx(quantile**2 * end * (1 - end) / trials, rel=1e-6, abs=1e-15)
    assert rate in interval
    assert 0 <= interval.low < interval.high <= 1


@given(st.integers(0, 50), st.floats(0.51, 0.999))
def test_one_sided_wilson_is_an_end_of_a_wider_two_sided_one(successes, confidence):
    both = wilson(successes, 50, 2 * confidence - 1)
    above, below = wilson(successes, 50, confidence, "less"), wilson(successes, 50, confidence, "greater")
    assert (above.low, below.high) == (0, 1)
    assert above.high == pytest.approx(both.high, rel=1e-9)
    assert below.low == pytest.approx(both.low, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ((-1, 5), ValueError, "successes"),
        ((6, 5), ValueError, "successes"),
        ((0.5, 5), ValueError, "successes"),
        ((0, 0), ValueError, "trials"),
        ((True, 5), TypeError, "successes"),
        ((1, 5, 1.0), ValueError, "confidence"),
        ((1, 5, "high"), TypeError, "confidence"),
        ((1, 5, 0.9, "both"), ValueError, "alternative"),
    ],
)
def test_wilson_bad_input(arguments, error, name):
    with pytest.raises(error, match=name):
        wilson(*arguments)


def test_bootstrap_covers():
    rng = np.random.default_rng(0)
    simulations, confidence = 300, 0.8
    covered = sum(
        0.0 in bootstrap(rng.normal(size=60), confidence=confidence, num_resamples=499, seed=rng)
        for _ in range(simulations)
    )
    # The bootstrap of 60 observations is short of its nominal coverage by about the ratio of t to normal quantiles.
    short = 2 * stats.norm.sf(stats.norm.isf(0.1) * math.sqrt(59 / 60)) - 0.2
    assert fewest_covered(simulations, confidence - short - 0.01) <= covered
    assert covered <= simulations - fewest_covered(simulations, 1 - confidence)


def test_bootstrap_of_a_mean_agrees_with_the_normal_interval():
    sample = np.random.default_rng(1).normal(3.0, 2.0, size=2000)
    interval = bootstrap(sample, seed=0)
    error = sample.std() / math.sqrt(len(sample))
    assert interval.estimate == sample.mean()
    assert interval.low == pytest.approx(sample.mean() - 1.96 * error, abs=0.1 * error)
    assert interval.high == pytest.approx(sample.mean() + 1.96 * error, abs=0.1 * error)


def test_bootstrap_takes_a_statistic_without_axis():
    sample = np.random.default_rng(2).exponential(size=40)
    assert bootstrap(sample, lambda values: values.max() - values.min(), num_resamples=99, seed=0).high <= np.ptp(
        sample
    )
    slow = bootstrap(sample, lambda values: float(np.mean(values)), num_resamples=199, seed=3)
    fast = bootstrap(sample, num_resamples=199, seed=3)
    assert (slow.low, slow.high) == pytest.approx((fast.low, fast.high))


@pytest.mark.parametrize("statistic", [np.mean, np.median, np.std])
def test_bootstrap_of_a_constant_sample_has_no_width(statistic):
    interval = bootstrap([2.5] * 5, statistic, num_resamples=99, seed=0)
    assert (interval.low, interval.high) == (interval.estimate, interval.estimate)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=8), st.sampled_from([np.mean, np.median, np.max]))
@example([0, 0, 1], np.max)
def test_bootstrap_is_finite_and_seeded(sample, statistic):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (bootstrap(sample, statistic, num_resamples=99, seed=4) for _ in range(2))
    assert first == second
    assert min(sample) <= first.low <= first.high <= max(sample)


def test_clusters_of_one_are_the_plain_bootstrap():
    sample = np.random.default_rng(5).exponential(size=30)
    plain = bootstrap(sample, num_resamples=499, seed=6)
    clustered = cluster_bootstrap(sample, np.arange(30), num_resamples=499, seed=6)
    assert (clustered.estimate, clustered.low, clustered.high) == pytest.approx((plain.estimate, plain.low, plain.high))


def test_cluster_bootstrap_covers_where_the_plain_one_does_not():
    rng = np.random.default_rng(7)
    simulations, confidence, num_clusters, size = 150, 0.8, 40, 10
    labels = np.repeat(np.arange(num_clusters), size)
    covered = plain = 0
    for _ in range(simulations):
        values = rng.normal(size=num_clusters)[labels] + 0.3 * rng.normal(size=num_clusters * size)
        covered += 0.0 in cluster_bootstrap(values, labels, confidence=confidence, num_resamples=199, seed=rng)
        plain += 0.0 in bootstrap(values, confidence=confidence, num_resamples=199, seed=rng)
    assert fewest_covered(simulations, confidence - 0.02) <= covered
    assert plain < fewest_covered(simulations, confidence - 0.02)


def test_cluster_bootstrap_of_rows():
    rng = np.random.default_rng(8)
    x = rng.uniform(size=200)
    rows = np.stack([x, 2 * x + 0.1 * rng.normal(size=200)], axis=1)
    labels = rng.permutation(np.repeat([f"memory {i}" for i in range(50)], 4))
    interval = cluster_bootstrap(rows, labels, lambda r: np.polyfit(*r.T, 1)[0], num_resamples=499, seed=0)
    error = 0.1 / (math.sqrt(200) * x.std())
    assert 2.0 in interval
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.3)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: bootstrap([1.0], seed=0), "sample"),
        (lambda: bootstrap([[1.0, 2.0]], seed=0), "sample"),
        (lambda: bootstrap([1.0, math.nan], seed=0), "sample"),
        (lambda: bootstrap([1.0, 2.0], confidence=0.0, seed=0), "confidence"),
        (lambda: bootstrap([1.0, 2.0], num_resamples=0, seed=0), "num_resamples"),
        (lambda: cluster_bootstrap([1.0, 2.0], [0], seed=0), "clusters"),
        (lambda: cluster_bootstrap([1.0, 2.0], [0, 0], seed=0), "clusters"),
        (lambda: cluster_bootstrap([1.0, math.inf], [0, 1], seed=0), "values"),
        (lambda: cluster_bootstrap(1.0, 0, seed=0), "values"),
    ],
)
def test_bootstrap_bad_input(call, name):
    with pytest.raises(ValueError, match=name):
        call()


def log_likelihood(a, b, x, successes, trials):
    log_odds = a + b * x
    return np.sum(successes * special.log_expit(log_odds) + (trials - successes) * special.log_expit(-log_odds))


def simulated(seed, trials, *, slope=-3.0, crossing=0.2):
    x = np.linspace(-1, 1, 7)
    successes = np.random.default_rng(seed).binomial(trials, special.expit(slope * (x - crossing)))
    return x, successes, np.full(7, trials)


def test_large_counts_agree_with_the_plain_likelihood():
    x, successes, trials = simulated(0, 10**5)
    fit = logistic_fit(x, successes, trials, increasing=False)
    plain = optimize.minimize(lambda p: -log_likelihood(*p, x, successes, trials) / 1e5, [0.0, 0.0], tol=1e-12).x
    # The penalty is of order 1 and the information of order 1e5.
    assert fit.intercept == pytest.approx(plain[0], abs=1e-4)
    assert fit.slope.estimate == pytest.approx(plain[1], abs=1e-4)
    assert fit.crossing.estimate == pytest.approx(-plain[0] / plain[1], abs=1e-4)
    rate = special.expit(plain[0] + plain[1] * x)
    basis = np.stack([np.ones_like(x), x])
    covariance = np.linalg.inv((basis * trials * rate * (1 - rate)) @ basis.T)
    error = math.sqrt(covariance[1, 1])
    assert fit.slope.high == pytest.approx(plain[1] + 1.96 * error, abs=0.05 * error)
    assert fit.slope.low == pytest.approx(plain[1] - 1.96 * error, abs=0.05 * error)
    gradient = np.array([-1 / plain[1], plain[0] / plain[1] ** 2])
    error = math.sqrt(gradient @ covariance @ gradient)
    assert fit.crossing.high == pytest.approx(fit.crossing.estimate + 1.96 * error, abs=0.05 * error)
    assert fit.crossing.low == pytest.approx(fit.crossing.estimate - 1.96 * error, abs=0.05 * error)


@pytest.mark.parametrize("seed", range(3))
def test_estimates_maximise_the_penalised_likelihood(seed):
    x, successes, trials = simulated(seed, 5)

    def negative(parameters):
        rate = special.expit(parameters[0] + parameters[1] * x)
        basis = np.stack([np.ones_like(x), x])
        information = (basis * trials * rate * (1 - rate)) @ basis.T
        return -log_likelihood(*parameters, x, successes, trials) - np.linalg.slogdet(information)[1] / 2

    fit = logistic_fit(x, successes, trials, increasing=False)
    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000}
    other = optimize.minimize(negative, [0.0, -1.0], method="Nelder-Mead", options=options).x
    assert (fit.intercept, fit.slope.estimate) == pytest.approx(tuple(other), abs=1e-6)
    assert fit.crossing.estimate == pytest.approx(-other[0] / other[1], abs=1e-6)
    assert not fit.extrapolated


@pytest.mark.parametrize("seed", range(3))
def test_ends_lie_where_the_profile_likelihood_ratio_says(seed):
    x, successes, trials = simulated(seed, 15)
    fit = logistic_fit(x, successes, trials, increasing=False, confidence=0.9)

    def best(function):
        return optimize.minimize_scalar(function, bounds=(-40, 40), method="bounded", options={"xatol": 1e-10}).fun

    top = optimize.minimize(lambda p: -log_likelihood(*p, x, successes, trials), [0.0, -1.0], tol=1e-10).fun
    for end in (fit.crossing.low, fit.crossing.high):
        profile = best(lambda b, end=end: -log_likelihood(-b * end, b, x, successes, trials))
        assert 2 * (profile - top) == pytest.approx(stats.chi2.ppf(0.9, 1), abs=1e-4)
    for end in (fit.slope.low, fit.slope.high):
        profile = best(lambda a, end=end: -log_likelihood(a, end, x, successes, trials))
        assert 2 * (profile - top) == pytest.approx(stats.chi2.ppf(0.9, 1), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("slope", "crossing"), [(-2.0, 0.2), (-8.0, -0.1), (-200.0, 0.02), (-200.0, 0.3)])
def test_intervals_cover(slope, crossing):
    simulations = 30
    fits = [
        logistic_fit(*simulated(seed, 40, slope=slope, crossing=crossing), increasing=False)
        for seed in range(simulations)
    ]
    # The chi-squared law of the deviance is off by a few hundredths at 40 trials.
    assert sum(crossing in fit.crossing for fit in fits) >= fewest_covered(simulations, 0.92)
    assert sum(slope in fit.slope for fit in fits) >= fewest_covered(simulations, 0.92)


def test_another_level():
    x, successes, trials = simulated(0, 10**4)
    fit = logistic_fit(x, successes, trials, increasing=False, level=0.9)
    assert 0.2 - math.log(9) / 3 in fit.crossing
    assert special.expit(fit.intercept + fit.slope.estimate * fit.crossing.estimate) == pytest.approx(0.9)


def test_separated_data_give_a_finite_slope_and_leave_the_gap_open():
    fit = logistic_fit([1, 2, 3, 4], [20, 20, 0, 0], [20] * 4, increasing=False)
    assert fit.crossing.estimate == pytest.approx(2.5, abs=1e-6)
    assert (fit.crossing.low, fit.crossing.high) == pytest.approx((2, 3), abs=1e-3)
    assert -20 < fit.slope.estimate < -2
    assert fit.slope.low == -math.inf
    assert fit.slope.high < -2


def test_separated_data_on_very_uneven_x():
    fit = logistic_fit([0, 1e-5, 1], [50, 0, 0], [50] * 3, increasing=False)
    assert fit.crossing.estimate == pytest.approx(5e-6, rel=1e-3)
    assert (fit.crossing.low, fit.crossing.high) == pytest.approx((0, 1e-5), abs=1e-6)


@pytest.mark.parametrize(
    ("successes", "increasing", "estimate", "low", "high"),
    [
        (20, False, math.inf, 3, math.inf),
        (20, True, -math.inf, -math.inf, 1),
        (0, False, -math.inf, -math.inf, 1),
        (0, True, math.inf, 3, math.inf),
    ],
)
def test_data_that_never_cross(successes, increasing, estimate, low, high):
    fit = logistic_fit([1, 2, 3], [successes] * 3, [20] * 3, increasing=increasing)
    assert fit.crossing.estimate == estimate
    assert (fit.crossing.low, fit.crossing.high) == pytest.approx((low, high), abs=1e-3)
    assert fit.extrapolated


def test_a_slope_of_the_other_sign():
    fit = logistic_fit([1, 2, 3], [15, 16, 18], [20] * 3, increasing=False)
    assert fit.slope.estimate > 0
    assert fit.crossing.estimate == math.inf
    assert fit.crossing.high == math.inf
    # The best falling curve is flat, at the rate of all trials together.
    x, successes, trials = np.arange(1, 4), np.array([15, 16, 18]), np.full(3, 20)
    top = log_likelihood(special.logit(49 / 60), 0.0, x, successes, trials)
    slopes = np.linspace(-3, 0, 10_001)
    profile = max(log_likelihood(-b * fit.crossing.low, b, x, successes, trials) for b in slopes)
    assert 2 * (top - profile) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-4)
    fit = logistic_fit([1, 2], [5, 5], [10, 10], increasing=True)
    assert math.isnan(fit.crossing.estimate)
    assert (fit.crossing.low, fit.crossing.high) == (-math.inf, math.inf)
    assert fit.extrapolated


def test_a_crossing_beyond_the_grid_is_called_extrapolated():
    fit = logistic_fit([1, 2, 3], [95, 90, 80], [100] * 3, increasing=False)
    assert fit.crossing.estimate > 3
    assert fit.extrapolated


COUNTS = st.lists(
    st.tuples(st.integers(-8, 8), st.integers(1, 6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))),
    min_size=2,
    max_size=5,
    unique_by=lambda row: row[0],
)


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(COUNTS, st.booleans(), st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.05, 0.95]))
def test_any_counts(rows, increasing, level, confidence):
    x, counts = zip(*rows, strict=True)
    successes, trials = (np.array(column) for column in zip(*counts, strict=True))
    fit = logistic_fit(x, successes, trials, increasing=increasing, level=level, confidence=confidence)
    assert math.isnan(fit.crossing.estimate) or fit.crossing.estimate in fit.crossing
    assert fit.slope.estimate in fit.slope
    assert math.isfinite(fit.slope.estimate)
    # Failures for successes turn the curve over, and shift and scale of x move the crossing along.
    turned = logistic_fit(
        x, trials - successes, trials, increasing=not increasing, level=1 - level, confidence=confidence
    )
    assert (turned.crossing.low, turned.crossing.high) == pytest.approx((fit.crossing.low, fit.crossing.high), abs=1e-3)
    moved = logistic_fit(
        10 - 2 * np.array(x), successes, trials, increasing=not increasing, level=level, confidence=confidence
    )
    expected = (10 - 2 * fit.crossing.high, 10 - 2 * fit.crossing.low)
    assert (moved.crossing.low, moved.crossing.high) == pytest.approx(expected, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "error", "name"),
    [
        ({"x": [1.0, 1.0]}, ValueError, "x is"),
        ({"x": [1.0, math.nan]}, ValueError, "x is"),
        ({"x": [[1.0, 2.0]]}, ValueError, "x is"),
        ({"successes": [1]}, ValueError, "successes"),
        ({"successes": [0.5, 1.0]}, TypeError, "successes"),
        ({"successes": [3, 1]}, ValueError, "successes"),
        ({"successes": [-1, 1]}, ValueError, "successes"),
        ({"trials": [2, 0]}, ValueError, "trials"),
        ({"level": 1.0}, ValueError, "level"),
        ({"confidence": 0.0}, ValueError, "confidence"),
        ({"increasing": 1}, TypeError, "increasing"),
    ],
)
def test_logistic_fit_bad_input(changes, error, name):
    arguments = {"x": [1.0, 2.0], "successes": [1, 1], "trials": [2, 2], "increasing": True} | changes
    with pytest.raises(error, match=name):
        logistic_fit(**arguments)
