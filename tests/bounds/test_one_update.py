import math

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from hopfield_theory.bounds import one_update


def random_memory(seed, patterns=6, dim=5, radius=2.0):
    rng = np.random.default_rng(seed)
    xi = rng.normal(size=(patterns, dim))
    return radius * xi / np.linalg.norm(xi, axis=1, keepdims=True), rng


def update(patterns, x, beta, n):
    z = beta * patterns @ x
    top = max(z.max(), math.log(n) if n else -math.inf)
    weights = np.exp(z - top)
    return weights @ patterns / (weights.sum() + n * math.exp(-top)), weights / (weights.sum() + n * math.exp(-top))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 5.0), st.sampled_from([0.0, 0.3, 1.0, 20.0]))
def test_t9_bounds_the_error_and_is_below_its_exponential_form(seed, beta, n):
    patterns, rng = random_memory(seed)
    x = patterns[0] + 0.5 * rng.normal(size=5)
    delta = float(np.min((patterns[0] - patterns[1:]) @ x))
    overlap = float(patterns[0] @ x)
    bound = float(np.exp(one_update.log_error(delta, overlap, log_patterns=math.log(6), beta=beta, radius=2.0, noop=n)))
    error = float(np.linalg.norm(update(patterns, x, beta, n)[0] - patterns[0]))
    assert error <= bound * (1 + 1e-12)
    assert bound <= 4.0 * (1 + 1e-12)
    assert bound <= (2 * 2 * 5 * math.exp(-beta * delta) + 2 * n * math.exp(-beta * overlap)) * (1 + 1e-12)


def test_t9_is_attained_by_antipodal_patterns():
    patterns = np.array([[2.0, 0.0], [-2.0, 0.0], [-2.0, 0.0]])
    x = np.array([0.3, 0.0])
    bound = one_update.log_error(1.2, 0.6, log_patterns=math.log(3), beta=0.7, radius=2.0, noop=1.5)
    error = np.linalg.norm(update(patterns, x, 0.7, 1.5)[0] - patterns[0])
    assert float(np.exp(bound)) == pytest.approx(error, rel=1e-13)


@pytest.mark.parametrize("log_noop", [-1e5, 0.0, 1e5])
@pytest.mark.parametrize("log_patterns", [math.log(2), 700.0, 1e4])
@pytest.mark.parametrize("beta", [1e-6, 1.0, 1e6])
def test_t9_against_ball_arithmetic_far_outside_the_floats(log_noop, log_patterns, beta):
    ctx.prec = 2000
    a = (arb(log_patterns).exp() - 1) * (-arb(beta) * arb(0.25)).exp()
    b = (arb(log_noop) - arb(beta) * arb(0.5)).exp()
    reference = (3 * (2 * a + b) / (1 + a + b)).log()
    value = one_update.log_error(0.25, 0.5, log_patterns=log_patterns, beta=beta, radius=3.0, log_noop=log_noop)
    agrees = bool(abs(arb(float(value)) - reference) <= arb(1e-10) * abs(reference) + arb(1e-13))
    ctx.prec = 53
    assert agrees


def test_single_pattern_without_noop_is_exact():
    assert one_update.log_error(math.inf, 1.0, log_patterns=0.0, beta=1.0, noop=0.0) == -math.inf


@settings(max_examples=80, deadline=None)
@given(st.floats(-5, 10), st.floats(-5, 10), st.floats(-8, 10), st.floats(0.01, 50))
def test_t11_threshold_is_where_the_bounds_cross(target, others, out, n):
    """The bounds ``(2a + n)/(S + n)`` and ``(2a + 2 S_out)/(S + S_out)``, written out."""
    a, rest, total = math.exp(others), math.exp(out), math.exp(target) + math.exp(others)
    classified, dense = (2 * a + n) / (total + n), 2 * (a + rest) / (total + rest)
    threshold = float(one_update.log_outlier_threshold(target, others, noop=n))
    assert threshold <= math.log(n / 2) + 1e-12
    if abs(out - threshold) > 1e-6:
        assert (classified < dense) == (out > threshold)


@pytest.mark.parametrize(
    ("kappa", "log_noop"),
    [
        *((100.0, log_noop) for log_noop in (-math.inf, 0.0, 3.0, 90.0, 99.0)),
        # the balls end at m
        *((1.2, log_noop) for log_noop in (-1.0, -0.1, -0.05)),
        (1.05, -0.02),
        (0.9, -0.5),
        (2.0, 0.1),
    ],
)
@pytest.mark.parametrize("size", [2, 1000, 10**9])
def test_the_least_gap_is_the_edge_of_t12(kappa, log_noop, size):
    """Over a grid of balls, with the two conditions of T12 written out in units of m."""
    edge = one_update.least_gap(log_patterns=math.log(size), beta=1.0, radius=math.sqrt(kappa), log_noop=log_noop)
    ball = np.geomspace(1e-4, 1.0, 400_001)
    leak = np.exp(log_noop - kappa * (1 - ball))

    def stored(gap):
        crowd = (size - 1) * np.exp(-gap + 2 * kappa * ball)
        return bool(((2 * crowd + leak <= ball) & (kappa * (4 * crowd + leak) < 1)).any())

    if math.isinf(edge):
        assert not stored(1e9)
    else:
        assert stored(edge * (1 + 1e-6))
        assert not stored(edge * (1 - 1e-6))


def test_no_gap_makes_up_for_a_slot_as_heavy_as_the_pattern():
    # κ = ½ and n = 1: the balls end at m, where the leak is m itself
    assert one_update.least_gap(log_patterns=1.0, beta=0.5, noop=1.0) == math.inf
    assert math.isfinite(one_update.least_gap(log_patterns=1.0, beta=0.5, noop=0.999))


def test_the_least_gap_without_leak_in_closed_form():
    kappa, size = 171.0, 500
    gap = one_update.least_gap(log_patterns=math.log(size), beta=kappa, noop=0.0)
    assert gap == pytest.approx((1 + math.log(4 * kappa * (size - 1))) / kappa, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 3.0), st.sampled_from([0.1, 1.0, 1e4]))
def test_t14_bounds_the_answer(seed, beta, n):
    patterns, rng = random_memory(seed)
    x = rng.normal(size=5)
    scores = beta * patterns @ x
    answer, _ = update(patterns, x, beta, n)
    bound = np.exp(one_update.log_answer(scores.max(), log_patterns=math.log(6), radius=2.0, noop=n))
    assert np.linalg.norm(answer) <= bound * (1 + 1e-12)


def test_arrays_broadcast():
    bound = one_update.log_error(np.ones((3, 1)), np.ones(4), log_patterns=1.0, beta=1.0)
    assert bound.shape == (3, 4)
    assert one_update.posterior_error(0.1, [0.5, 0.75, 1.0]).tolist() == [0.2, 0.4, math.inf]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: one_update.log_error(1.0, 1.0, log_patterns=-1.0, beta=1.0), "log_patterns holds -1.0"),
        (lambda: one_update.log_error(1.0, 1.0, log_patterns=1.0, beta=0.0), "beta is 0.0"),
        (lambda: one_update.log_error(math.nan, 1.0, log_patterns=1.0, beta=1.0), "margin holds nan"),
        (lambda: one_update.log_error(1.0, 1.0, log_patterns=1.0, beta=1.0, noop=-1.0), "noop is -1.0"),
        (lambda: one_update.log_error(1.0, 1.0, log_patterns=1.0, beta=1.0, radius=-1.0), "radius is -1.0"),
        (lambda: one_update.posterior_error(-1.0, 0.5), "step holds -1.0"),
        (lambda: one_update.least_gap(log_patterns=math.nan, beta=1.0), "log_patterns holds nan"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# every function with arguments at which each default matters
CALLS = {
    one_update.log_error: {"margin": 0.7, "overlap": 0.9, "log_patterns": 1.5, "beta": 1.3},
    one_update.log_outlier_threshold: {"log_target": 1.0, "log_others": 0.3},
    one_update.least_gap: {"log_patterns": 1.5, "beta": 6.0},
    one_update.log_answer: {"top_score": 0.4, "log_patterns": 1.5},
}
SCALED = [f for f in CALLS if f is not one_update.log_outlier_threshold]


@pytest.mark.parametrize("function", CALLS)
def test_the_noop_mass_is_one_unless_given_and_its_logarithm_replaces_it(function):
    arguments = CALLS[function]
    default = np.asarray(function(**arguments))
    assert np.isfinite(default).all()
    assert np.array_equal(default, function(**arguments, noop=1.0))
    other = np.asarray(function(**arguments, noop=1.5))
    assert not np.isclose(other, default).any()
    assert np.allclose(other, function(**arguments, log_noop=math.log(1.5)), rtol=1e-14)
    with pytest.raises(ValueError, match=r"noop is 1\.0 and log_noop 0\.0: one must be None"):
        function(**arguments, noop=1.0, log_noop=0.0)


@pytest.mark.parametrize("function", SCALED)
def test_the_radius_is_one_unless_given(function):
    assert np.array_equal(function(**CALLS[function]), function(**CALLS[function], radius=1.0))
    assert not np.isclose(function(**CALLS[function]), function(**CALLS[function], radius=1.1)).any()


REAL, POSITIVE = r"holds nan: it must lie in \[-inf, inf\]", r"holds nan: it must lie in \[0, inf\]"
RANGES = {
    "margin": REAL,
    "overlap": REAL,
    "log_target": REAL,
    "log_others": REAL,
    "top_score": REAL,
    "log_patterns": POSITIVE,
    "step": POSITIVE,
    "lipschitz": POSITIVE,
    "beta": "is nan: it must be a finite number above 0",
    "radius": "is nan: it must be a finite number above 0",
    "noop": "is nan: it must be a finite number of at least 0",
    "log_noop": r"is nan: it must be a number below infinity \(-inf stands for n = 0\)",
}
NAMED = [
    *((f, name) for f, arguments in CALLS.items() for name in (*arguments, "noop", "log_noop")),
    *((f, "radius") for f in SCALED),
    *((one_update.posterior_error, name) for name in ("step", "lipschitz")),
]


@pytest.mark.parametrize(("function", "name"), NAMED)
def test_every_argument_is_refused_by_name_and_range(function, name):
    more = {one_update.posterior_error: {"step": 0.1, "lipschitz": 0.5}}
    with pytest.raises(ValueError, match=rf"^{name} {RANGES[name]}$"):
        function(**{**(CALLS | more)[function], name: math.nan})
