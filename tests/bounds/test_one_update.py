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
    assert one_update.log_stored_ball(math.inf, log_patterns=0.0, beta=1.0, noop=0.0) == -math.inf


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 3.0), st.floats(0.05, 5.0))
def test_t10_sign_is_who_is_closer(seed, beta, n):
    patterns, rng = random_memory(seed)
    x = patterns[0] + rng.normal(size=5)
    dense, _ = update(patterns, x, beta, 0.0)
    gated, weights = update(patterns, x, beta, n)
    slack = float(one_update.closeness_slack(dense @ patterns[0], dense @ dense, 1.0 - weights.sum()))
    gain = np.linalg.norm(dense - patterns[0]) - np.linalg.norm(gated - patterns[0])
    assert abs(slack) < 1e-9 or (slack > 0) == (gain > 0)


@settings(max_examples=80, deadline=None)
@given(st.floats(-5, 10), st.floats(-5, 10), st.floats(-8, 10), st.floats(0.01, 50))
def test_t11_threshold_is_where_the_bounds_cross(target, others, out, n):
    classified, dense = one_update.log_outlier_errors(target, others, out, noop=n)
    threshold = float(one_update.log_outlier_threshold(target, others, noop=n))
    assert threshold <= math.log(n / 2) + 1e-12
    if abs(out - threshold) > 1e-6:
        assert (classified < dense) == (out > threshold)


def test_t11_bounds_hold_with_larger_outliers():
    rng = np.random.default_rng(3)
    real, x = rng.normal(size=(5, 4)), rng.normal(size=4)
    noisy = 3.0 * rng.normal(size=(2, 4))
    m, m_out = (float(np.linalg.norm(p, axis=1).max()) for p in (real, noisy))
    z = real @ x
    args = (z[0], np.logaddexp.reduce(z[1:]), np.logaddexp.reduce(noisy @ x))
    classified, dense = np.exp(one_update.log_outlier_errors(*args, radius=m, outlier_radius=m_out, noop=1.0))
    assert np.linalg.norm(update(real, x, 1.0, 1.0)[0] - real[0]) <= classified
    assert np.linalg.norm(update(np.vstack([real, noisy]), x, 1.0, 0.0)[0] - real[0]) <= dense
    a, s, out = np.exp(z[1:]).sum(), np.exp(z).sum(), np.exp(noisy @ x).sum()
    assert dense == pytest.approx((2 * m * a + (m + m_out) * out) / (s + out), rel=1e-12)
    assert classified == pytest.approx(m * (2 * a + 1) / (s + 1), rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 8.0), st.sampled_from([0.0, 1.0, 30.0]))
def test_t12_ball_is_mapped_into_itself_and_contracted(seed, beta, n):
    patterns, rng = random_memory(seed, patterns=3, dim=12)
    gap = float(np.min(patterns[0] @ (patterns[0] - patterns[1:]).T))
    log_ball = float(one_update.log_stored_ball(gap, log_patterns=math.log(3), beta=beta, radius=2.0, noop=n))
    if math.isnan(log_ball):
        return
    ball = math.exp(log_ball)
    assert ball <= 2.0
    kwargs = {"log_patterns": math.log(3), "beta": beta, "radius": 2.0, "noop": n}
    assert float(one_update.log_displacement(ball, gap, **kwargs)) == pytest.approx(log_ball, abs=1e-9)
    rate = math.exp(float(one_update.log_lipschitz(ball, gap, **kwargs)))
    assert rate < 1.0
    ends = rng.normal(size=(2, 12))
    x, y = (patterns[0] + ball * e / np.linalg.norm(e) for e in ends)
    fx, fy = update(patterns, x, beta, n)[0], update(patterns, y, beta, n)[0]
    assert np.linalg.norm(fx - patterns[0]) <= ball * (1 + 1e-9)
    assert np.linalg.norm(fx - fy) <= rate * np.linalg.norm(x - y) + 1e-12
    for _ in range(200):
        fx = update(patterns, fx, beta, n)[0]
    step = np.linalg.norm(update(patterns, x, beta, n)[0] - x)
    assert np.linalg.norm(x - fx) <= float(one_update.posterior_error(step, rate)) * (1 + 1e-9) + 1e-12


def test_t12_terms_written_out():
    crowd, leak = 6 * math.exp(-0.8 * (3.0 - 2 * 1.5 * 0.2)), 2.5 * math.exp(-0.8 * 1.2 * (1.2 - 0.2))
    kwargs = {"log_patterns": math.log(7), "beta": 0.8, "radius": 1.5, "norm": 1.2, "noop": 2.5}
    displacement = math.exp(one_update.log_displacement(0.2, 3.0, **kwargs))
    assert displacement == pytest.approx(2 * 1.5 * crowd + 1.5 * leak, rel=1e-12)
    rate = math.exp(one_update.log_lipschitz(0.2, 3.0, **kwargs))
    assert rate == pytest.approx(0.8 * 1.5**2 * (4 * crowd + leak), rel=1e-12)


@pytest.mark.parametrize("log_noop", [-math.inf, 0.0, 3.0, 90.0, 99.0])
@pytest.mark.parametrize("size", [2, 1000, 10**9])
def test_separation_is_the_edge_of_t12(log_noop, size):
    kwargs = {"log_patterns": math.log(size), "beta": 1.0, "radius": 10.0, "log_noop": log_noop}
    edge = one_update.separation(**kwargs)
    if math.isinf(edge):
        assert math.isnan(one_update.log_stored_ball(1e9, **kwargs))
        return
    assert not math.isnan(one_update.log_stored_ball(edge * (1 + 1e-9), **kwargs))
    assert math.isnan(one_update.log_stored_ball(edge * (1 - 1e-6), **kwargs))


def test_no_gap_makes_up_for_a_slot_as_heavy_as_the_pattern():
    # κ = ½ and n = 1: the balls end at m, where the leak is m itself
    assert one_update.separation(log_patterns=1.0, beta=0.5, noop=1.0) == math.inf
    assert math.isfinite(one_update.separation(log_patterns=1.0, beta=0.5, noop=0.999))


def test_separation_without_leak_in_closed_form():
    kappa, size = 171.0, 500
    gap = one_update.separation(log_patterns=math.log(size), beta=kappa, noop=0.0)
    assert gap == pytest.approx((1 + math.log(4 * kappa * (size - 1))) / kappa, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 3.0), st.sampled_from([0.1, 1.0, 1e4]))
def test_t14_bounds_answer_and_noop_weight(seed, beta, n):
    patterns, rng = random_memory(seed)
    x = rng.normal(size=5)
    scores = beta * patterns @ x
    answer, weights = update(patterns, x, beta, n)
    bound = np.exp(one_update.log_answer(scores.max(), log_patterns=math.log(6), radius=2.0, noop=n))
    assert np.linalg.norm(answer) <= bound * (1 + 1e-12)
    most = np.exp(one_update.log_noop_weight(scores.mean(), log_patterns=math.log(6), noop=n))
    assert 1.0 - weights.sum() <= most * (1 + 1e-9)
    equal = np.exp(one_update.log_noop_weight(0.7, log_patterns=math.log(6), noop=n))
    assert equal == pytest.approx(n / (n + 6 * math.exp(0.7)), rel=1e-12)


def test_arrays_broadcast():
    bound = one_update.log_error(np.ones((3, 1)), np.ones(4), log_patterns=1.0, beta=1.0)
    assert bound.shape == (3, 4)
    assert one_update.log_stored_ball(np.full((2, 3), 30.0), log_patterns=1.0, beta=1.0, radius=5.0).shape == (2, 3)
    assert one_update.log_noop_weight(np.zeros(3), log_patterns=1.0, noop=0.0).tolist() == [-math.inf] * 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: one_update.log_error(1.0, 1.0, log_patterns=-1.0, beta=1.0), "log_patterns holds -1.0"),
        (lambda: one_update.log_error(1.0, 1.0, log_patterns=1.0, beta=0.0), "beta is 0.0"),
        (lambda: one_update.log_error(math.nan, 1.0, log_patterns=1.0, beta=1.0), "separation holds nan"),
        (lambda: one_update.log_error(1.0, 1.0, log_patterns=1.0, beta=1.0, noop=-1.0), "noop is -1.0"),
        (lambda: one_update.log_error(1.0, 1.0, log_patterns=1.0, beta=1.0, radius=-1.0), "radius is -1.0"),
        (lambda: one_update.closeness_slack(1.0, 1.0, 1.5), "noop_weight holds 1.5"),
        (lambda: one_update.log_stored_ball(1.0, log_patterns=1.0, beta=1.0, norm=2.0), "norm holds 2.0"),
        (lambda: one_update.posterior_error(-1.0, 0.5), "step holds -1.0"),
        (lambda: one_update.separation(log_patterns=math.nan, beta=1.0), "log_patterns holds nan"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# every function with arguments at which each default matters
CALLS = {
    one_update.log_error: {"separation": 0.7, "overlap": 0.9, "log_patterns": 1.5, "beta": 1.3},
    one_update.log_outlier_errors: {"log_target": 1.0, "log_others": 0.3, "log_outliers": 0.8},
    one_update.log_outlier_threshold: {"log_target": 1.0, "log_others": 0.3},
    one_update.log_displacement: {"ball": 0.1, "gap": 0.9, "log_patterns": 1.5, "beta": 1.3},
    one_update.log_lipschitz: {"ball": 0.1, "gap": 0.9, "log_patterns": 1.5, "beta": 1.3},
    one_update.log_stored_ball: {"gap": 1.9, "log_patterns": 1.5, "beta": 14.0},
    one_update.separation: {"log_patterns": 1.5, "beta": 6.0},
    one_update.log_answer: {"top_score": 0.4, "log_patterns": 1.5},
    one_update.log_noop_weight: {"mean_score": 0.4, "log_patterns": 1.5},
}
SCALED = [f for f in CALLS if f not in (one_update.log_outlier_threshold, one_update.log_noop_weight)]


@pytest.mark.parametrize("function", CALLS)
def test_the_noop_mass_is_one_unless_given_and_its_logarithm_replaces_it(function):
    arguments = CALLS[function]
    default = np.asarray(function(**arguments))
    assert np.isfinite(default).all()
    assert np.array_equal(default, function(**arguments, noop=1.0))
    other = np.asarray(function(**arguments, noop=1.5))
    assert not np.isclose(other, default).any() or function is one_update.log_outlier_errors
    assert np.allclose(other, function(**arguments, noop=77.0, log_noop=math.log(1.5)), rtol=1e-14)


@pytest.mark.parametrize("function", SCALED)
def test_the_radius_is_one_unless_given(function):
    assert np.array_equal(function(**CALLS[function]), function(**CALLS[function], radius=1.0))
    assert not np.isclose(function(**CALLS[function]), function(**CALLS[function], radius=1.1)).any()


@pytest.mark.parametrize(
    "function", [one_update.log_displacement, one_update.log_lipschitz, one_update.log_stored_ball]
)
def test_the_norm_of_a_pattern_is_the_radius_unless_given(function):
    arguments = {**CALLS[function], "radius": 1.1}
    assert function(**arguments) == function(**arguments, norm=1.1)
    assert not np.isclose(function(**arguments), function(**arguments, norm=1.0))


@pytest.mark.parametrize("argument", ["gap", "log_patterns", "norm"])
def test_a_stored_ball_has_the_shape_of_its_arguments(argument):
    arguments = {**CALLS[one_update.log_stored_ball], "norm": 1.0}
    alone = one_update.log_stored_ball(**arguments)
    assert np.shape(alone) == ()
    many = one_update.log_stored_ball(**{**arguments, argument: np.full(3, arguments[argument])})
    assert many.tolist() == [alone] * 3


REAL, POSITIVE = r"holds nan; it must lie in \[-inf, inf\]", r"holds nan; it must lie in \[0, inf\]"
RANGES = {
    "separation": REAL,
    "overlap": REAL,
    "gap": REAL,
    "log_target": REAL,
    "log_others": REAL,
    "log_outliers": REAL,
    "top_score": REAL,
    "mean_score": REAL,
    "log_patterns": POSITIVE,
    "ball": POSITIVE,
    "squared_norm": POSITIVE,
    "step": POSITIVE,
    "lipschitz": POSITIVE,
    "noop_weight": r"holds nan; it must lie in \[0, 1\]",
    "norm": r"holds nan; it must lie in \[0, 1\]",
    "beta": "is nan; it must be a finite number above 0",
    "radius": "is nan; it must be a finite number above 0",
    "outlier_radius": "is nan; it must be a finite number above 0",
    "noop": "is nan; it must be a finite number of at least 0",
    "log_noop": "is nan; it must be a real number or -inf",
}
NAMED = [
    *((f, name) for f, arguments in CALLS.items() for name in (*arguments, "noop", "log_noop")),
    *((f, "radius") for f in SCALED),
    (one_update.log_outlier_errors, "outlier_radius"),
    *((f, "norm") for f in (one_update.log_displacement, one_update.log_lipschitz, one_update.log_stored_ball)),
    *((one_update.closeness_slack, name) for name in ("overlap", "squared_norm", "noop_weight")),
    *((one_update.posterior_error, name) for name in ("step", "lipschitz")),
]


@pytest.mark.parametrize(("function", "name"), NAMED)
def test_every_argument_is_refused_by_name_and_range(function, name):
    more = {
        one_update.closeness_slack: {"overlap": 0.5, "squared_norm": 0.5, "noop_weight": 0.5},
        one_update.posterior_error: {"step": 0.1, "lipschitz": 0.5},
    }
    with pytest.raises(ValueError, match=rf"^{name} {RANGES[name]}$"):
        function(**{**(CALLS | more)[function], name: math.nan})
