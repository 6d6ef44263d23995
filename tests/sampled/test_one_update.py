from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
from scipy import stats

from hopfield_theory.bounds import RandomMemory, sphere
from hopfield_theory.sampled.one_update import _query, _simulate, one_update
from hopfield_theory.sampled.overlaps import Streams, overlap_law
from hopfield_theory.sampled.which_are_drawn import Plan

NAMES = ("log_crowd", "target_weight", "along", "error")


def explicit(*, dim, kappa, patterns, log_noop, overlap, noise, trials, seed, ensemble):
    """The definition, with vectors."""
    rng = np.random.default_rng(seed)
    query, target = np.zeros(dim), np.zeros(dim)
    target[0], query[0], query[1] = 1.0, overlap, noise
    found = np.empty((trials, 4))
    for i in range(trials):
        rivals = rng.standard_normal((patterns - 1, dim))
        if ensemble == "sphere":
            rivals /= np.sqrt(np.einsum("ij,ij->i", rivals, rivals))[:, None]
        else:
            rivals /= math.sqrt(dim)
        scores = kappa * (rivals @ query)
        crowd = np.logaddexp.reduce(scores)
        total = np.logaddexp(np.logaddexp(crowd, kappa * overlap), log_noop)
        update = np.exp(scores - total) @ rivals + math.exp(kappa * overlap - total) * target
        miss = update - target
        found[i] = crowd, math.exp(kappa * overlap - total), update[0], math.sqrt(miss @ miss)
    return dict(zip(NAMES, found.T, strict=True))


def distance(first, second):
    """Of Kolmogorov, between two samples."""
    return stats.ks_2samp(first, second, method="asymp").statistic


def critical(first, second, level=1e-6):
    """Two samples of one law differ by more with probability below ``level`` (Smirnov's limit, exact to 0.001)."""
    return math.sqrt(-0.5 * math.log(level / 2.0) * (first + second) / (first * second))


CASES = {
    "two": {"dim": 4, "kappa": 3.0, "patterns": 2, "log_noop": 0.0, "overlap": 1.0, "noise": 0.5},
    "three": {"dim": 2, "kappa": 2.0, "patterns": 3, "log_noop": -math.inf, "overlap": 0.7, "noise": 0.4},
    "ten": {"dim": 3, "kappa": 5.0, "patterns": 10, "log_noop": 1.0, "overlap": 0.9, "noise": 0.3},
    "hundred": {"dim": 10, "kappa": 10.0, "patterns": 100, "log_noop": 8.0, "overlap": 1.0, "noise": 0.0},
    "line": {"dim": 2, "kappa": 9.0, "patterns": 9000, "log_noop": -math.inf, "overlap": 1.0, "noise": 0.3},
    "hot": {"dim": 8, "kappa": 0.5, "patterns": 10_000, "log_noop": 9.0, "overlap": 1.0, "noise": 1.0},
    "condensing": {"dim": 8, "kappa": 24.0, "patterns": 10_000, "log_noop": 5.0, "overlap": 0.8, "noise": 0.2},
    "cold": {"dim": 16, "kappa": 64.0, "patterns": 12_000, "log_noop": -math.inf, "overlap": 0.5, "noise": 0.5},
    "critical": {"dim": 12, "kappa": 14.0, "patterns": 10_000, "log_noop": 10.0, "overlap": 1.0, "noise": 0.0},
}
TRIALS = {"two": 3000, "three": 3000, "ten": 2000, "hundred": 1000, "line": 300}


@pytest.mark.parametrize(
    ("case", "ensemble"),
    [
        *((case, "sphere") for case in CASES),
        *((case, "gaussian") for case in ("three", "ten", "hundred", "condensing")),
    ],
)
def test_the_law_is_that_of_explicit_memories(case, ensemble):
    given, trials = CASES[case], TRIALS.get(case, 120)
    truth = explicit(**given, trials=trials, seed=11, ensemble=ensemble)
    memory = RandomMemory(given["dim"], given["kappa"], given["log_noop"])
    query = {"overlap": given["overlap"], "noise": given["noise"], "ensemble": ensemble}
    drawn = one_update(memory, math.log(given["patterns"]), trials=3_000, seed=5, **query)
    for name in NAMES:
        assert distance(truth[name], getattr(drawn, name)) < critical(trials, 3_000), name


def test_one_hundred_thousand_patterns():
    given = {"dim": 6, "kappa": 12.0, "log_noop": 11.0, "overlap": 1.0, "noise": 0.2}
    truth = explicit(**given, patterns=100_000, trials=40, seed=3, ensemble="sphere")
    memory = RandomMemory(6, 12.0, 11.0)
    drawn = one_update(memory, math.log(100_000), trials=6_000, seed=4, noise=0.2)
    for name in NAMES:
        assert distance(truth[name], getattr(drawn, name)) < critical(40, 6_000), name


def few(law, query, rivals, drawn, trials, seed=0):
    """The simulation with a threshold that only `drawn` rivals exceed in the mean, whatever their number."""
    return _simulate(law, query, Plan(math.log(rivals), float(rivals), drawn), trials, seed)


@pytest.mark.parametrize("drawn", [1.0, 3.0, 30.0])
@pytest.mark.parametrize(("name", "dim", "kappa"), [("sphere", 2, 1.5), ("sphere", 5, 4.0), ("gaussian", 5, 3.0)])
def test_moments_are_exact_whatever_is_drawn(name, dim, kappa, drawn):
    """Sums over drawn rivals and bulk have the true means and covariances, at any threshold."""
    law, rivals, trials = overlap_law(name, dim), 200, 100_000 if drawn < 30.0 else 30_000
    found = few(law, _query(RandomMemory(dim, kappa, -math.inf), 1.0, 0.0), rivals, drawn, trials)
    if name == "sphere":
        mean, mean_twice = (math.exp(float(sphere.log_mgf(k, dim))) for k in (kappa, 2 * kappa))
        tilt, tilt_twice = (float(sphere.bessel_ratio(k, dim)) for k in (kappa, 2 * kappa))
        across = (dim - 1) * tilt_twice / (2 * kappa)
    else:
        mean, mean_twice = math.exp(kappa**2 / (2 * dim)), math.exp(2 * kappa**2 / dim)
        tilt, tilt_twice, across = kappa / dim, 2 * kappa / dim, (dim - 1) / dim
    crowd = np.exp(found.log_crowd)
    total = crowd + math.exp(kappa)
    along = (found.along_query - found.target_weight) * total
    expected = {
        "mean": (crowd, rivals * mean),
        "along": (along, rivals * mean * tilt),
        "variance": ((crowd - rivals * mean) ** 2, rivals * (mean_twice - mean**2)),
        "covariance": (
            (crowd - rivals * mean) * (along - rivals * mean * tilt),
            rivals * (mean_twice * tilt_twice - mean**2 * tilt),
        ),
        "across": ((found.across * total) ** 2, rivals * mean_twice * across),
    }
    for what, (sample, value) in expected.items():
        assert abs(sample.mean() - value) < 5.0 * sample.std() / math.sqrt(trials) + 1e-12, what


def test_planted_errors_are_noticed(monkeypatch):
    """The moments above see a bulk left out, a threshold off by one rival and a density of the wrong power."""
    law, query = overlap_law("sphere", 5), _query(RandomMemory(5, 4.0, -math.inf), 1.0, 0.0)

    def offset(rivals=200, law=law):
        crowd = np.exp(few(law, query, rivals, 3.0, 100_000).log_crowd)
        return abs(crowd.mean() - 200 * math.exp(float(sphere.log_mgf(4.0, 5)))) / (crowd.std() / math.sqrt(1e5))

    assert offset() < 5.0
    assert offset(rivals=201) > 5.0
    assert offset(law=overlap_law("sphere", 6)) > 5.0
    honest = Plan.counts
    with monkeypatch.context() as patch:
        patch.setattr(Plan, "counts", lambda self, *a: honest(self, *a) + 1)
        assert offset() > 5.0
    with monkeypatch.context() as patch:
        patch.setattr(Plan, "log_rest", lambda self, counts: np.full(counts.shape, -50.0))
        assert offset() > 5.0


@pytest.mark.parametrize("name", ["sphere", "gaussian"])
def test_order_statistics_are_those_of_explicit_draws(name):
    law, rivals, trials, drawn = overlap_law(name, 6), 2000, 4000, 40.0
    plan = Plan(math.log(rivals), float(rivals), drawn)
    streams = Streams.of(1)
    counts = plan.counts(streams.counts, trials)
    place = law.tail(plan.log_share)
    t, _ = place(streams.places.standard_exponential((trials, plan.width)))
    tails = -np.sort(-np.where(np.arange(plan.width) < counts[:, None], t, -2.0), axis=1)
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((trials, rivals, 1))[..., 0]
    rest = rng.chisquare(5, (trials, rivals))
    full = vectors / np.sqrt(vectors**2 + rest) if name == "sphere" else vectors / math.sqrt(6)
    full = -np.sort(-full, axis=1)
    for j in (0, 1, 9):
        assert distance(tails[:, j], full[:, j]) < critical(trials, trials)
    threshold = float(place(np.zeros(1))[0][0])
    truth = (full > threshold).sum(axis=1)
    assert abs(counts.mean() - truth.mean()) < 6.0 * math.sqrt(2.0 * drawn / trials)
    assert distance(counts.astype(float), truth.astype(float)) < critical(trials, trials)


@pytest.mark.parametrize("ensemble", ["sphere", "gaussian"])
@pytest.mark.parametrize("dim", [2, 10_000])
@pytest.mark.parametrize("log_patterns", [0.0, math.log(2.0), 9.1, 50.0, 700.0])
def test_extremes_stay_finite(dim, log_patterns, ensemble):
    for kappa in (1e-3, 1.0, 1e5):
        for log_noop, overlap, noise in ((-math.inf, 1.0, 0.0), (1e4, 1.0, 0.5), (-1e4, 0.0, 0.0), (0.0, -1.0, 0.3)):
            query = {"overlap": overlap, "noise": noise, "ensemble": ensemble}
            found = one_update(RandomMemory(dim, kappa, log_noop), log_patterns, trials=3, seed=1, **query)
            for field in fields(found):
                values = np.asarray(getattr(found, field.name))
                if field.name == "log_crowd" and log_patterns == 0.0:
                    assert np.all(values == -np.inf)
                else:
                    assert np.all(np.isfinite(values)), field.name
            assert np.all(found.target_weight + found.noop_weight <= 1.0 + 1e-12)


def test_a_crowd_without_end_draws_to_its_own_mean():
    found = one_update(RandomMemory(100, 50.0), log_patterns=300.0, trials=50, seed=0)
    np.testing.assert_allclose(found.along, float(sphere.bessel_ratio(50.0, 100)), rtol=1e-9)
    np.testing.assert_allclose(found.log_crowd, 300.0 + float(sphere.log_mgf(50.0, 100)), rtol=1e-12)


def test_lengths_agree_with_components():
    found = one_update(RandomMemory(30, 60.0), 25.0, trials=500, seed=0, overlap=0.8, noise=0.4)
    square = found.along_query**2 + (found.across) ** 2
    sine = 0.4 / math.hypot(0.8, 0.4)
    # |T|² from the error and the overlap, against the parts along the query and across it.
    whole = found.error**2 + 2.0 * found.along - 1.0
    own = found.target_weight * sine
    sideways = (
        found.along
        - found.target_weight
        - (found.along_query - found.target_weight * 0.8 / math.hypot(0.8, 0.4)) * 0.8 / math.hypot(0.8, 0.4)
    ) / sine
    np.testing.assert_allclose(whole, square + own**2 + 2.0 * own * sideways, atol=1e-12)


@pytest.mark.parametrize(
    ("log_patterns", "ensemble"), [(3.0, "gaussian"), (7.0, "sphere"), (12.0, "gaussian"), (60.0, "sphere")]
)
def test_one_seed_one_result_whatever_the_batch(monkeypatch, log_patterns, ensemble):
    def run(trials, seed=7):
        return one_update(RandomMemory(5, 9.0), log_patterns, trials, seed, noise=0.3, ensemble=ensemble)

    whole, first = run(60), run(11)
    monkeypatch.setattr("hopfield_theory.sampled.one_update._BLOCK_NUMBERS", 2500)
    small = run(60)
    for name in (*NAMES, "noop_weight", "across", "along_query"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(small, name))
        np.testing.assert_array_equal(getattr(whole, name)[:11], getattr(first, name))
        assert not np.array_equal(run(11, seed=8).error, first.error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_patterns", -0.1),
        ("log_patterns", math.inf),
        ("overlap", math.inf),
        ("noise", -0.1),
        ("noise", math.nan),
        ("trials", 0),
        ("trials", 1.5),
        ("trials", math.nan),
        ("seed", -1),
        ("ensemble", "cube"),
    ],
)
def test_refusals_name_the_argument(name, value):
    good = {"memory": RandomMemory(3, 1.0), "log_patterns": 2.0, "trials": 1, "seed": 0}
    with pytest.raises(ValueError, match=f"^{name} is .*: it must be"):
        one_update(**(good | {name: value}))
