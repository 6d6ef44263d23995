"""Quadratures and searches against their definitions: closed forms, QUADPACK, and counted calls."""

import math

import numpy as np
import pytest
from flint import arb, ctx
from scipy import integrate

from hopfield_theory import _arguments
from hopfield_theory.bounds import _quadrature, sphere

EPS = np.finfo(float).eps


def mean(function, dim, low, points=()):
    first = math.acos(1.0 - low)
    places = sorted({*np.linspace(first, math.pi, 7)[1:-1], *(math.acos(1.0 - u) for u in points)})

    def integrand(theta):
        return math.exp(float(sphere.log_density(theta, dim))) * function(1.0 - math.cos(theta))

    return integrate.quad(integrand, first, math.pi, points=places, epsabs=0.0, epsrel=1e-12, limit=500)[0]


@pytest.mark.parametrize("dim", [2, 3, 40, 2000])
@pytest.mark.parametrize("low", [1e-3, 0.3, 1.5])
def test_weights_are_those_of_the_sphere_above_a_height(dim, low):
    nodes, log_weights = _quadrature.heights(low, dim)
    assert nodes.min() > low
    assert nodes.max() < 2.0
    assert np.all(np.diff(nodes) > 0.0)
    share = -math.expm1(float(sphere.log_cap(low, dim)))
    assert math.exp(_quadrature.log_mean(log_weights, np.zeros_like(nodes))) == pytest.approx(share, rel=1e-10)


@pytest.mark.parametrize("kappa", [1e2, 1e6, 1e17])
def test_integrals_are_exact_to_a_tenth_of_the_margin_up_to_the_largest_dimension(kappa):
    dim = _quadrature.LARGEST_DIM
    nodes, log_weights = _quadrature.heights(min(1e-9, 0.1 * dim / kappa), dim)
    k, order = arb(kappa), arb(dim) / 2 - 1
    with ctx.workprec(400):
        expected = (order + 1).lgamma() + order * (2 / k).log() + k.bessel_i(order).log() - k
        error = expected - arb(_quadrature.log_mean(log_weights, -kappa * nodes))
    assert abs(float(error)) < 0.1 * _quadrature._MARGIN


@pytest.mark.parametrize("kink", [0.4, 0.9, 1.3])
def test_a_kink_at_the_end_of_a_panel_costs_nothing(kink):
    expected = mean(lambda u: abs(u - kink), 7, 0.1, [kink])
    errors = []
    # heights outside the range are no kinks of it
    for kinks in ((0.05, kink, 2.5), ()):
        nodes, log_weights = _quadrature.heights(0.1, 7, kinks)
        errors.append(abs(float(np.exp(log_weights) @ np.abs(nodes - kink)) / expected - 1.0))
    assert errors[0] < 1e-12
    assert errors[1] > 100 * errors[0]


def test_a_peak_at_the_rim_is_resolved():
    # e^{-10^4 u}, above the height 0.1 of the sphere in three dimensions: uniform in u
    nodes, log_weights = _quadrature.heights(0.1, 3)
    found = _quadrature.log_mean(log_weights, -1e4 * (nodes - 0.1))
    assert found == pytest.approx(math.log(0.5 / 1e4), abs=1e-10)


def test_means_and_growths_are_their_definitions():
    rng = np.random.default_rng(0)
    log_weight, log_rate = rng.normal(size=9), rng.normal(size=9)
    expected = math.log(np.exp(log_weight) @ np.exp(log_rate))
    assert _quadrature.log_mean(log_weight, log_rate) == pytest.approx(expected, rel=1e-13)
    assert _quadrature.log_mean(log_weight - 5e4, log_rate - 5e4) == pytest.approx(expected - 1e5, rel=1e-13)
    assert _quadrature.log_mean(log_weight, np.full(9, -np.inf)) == -math.inf
    tilted = math.log(np.exp(log_weight) @ np.expm1(3.0 * np.exp(log_rate)))
    assert _quadrature.Growth(log_rate, log_weight)(math.log(3.0)) == pytest.approx(tilted, rel=1e-13)
    # e^x − 1 = x far below the floats, and on both sides of where the form changes
    assert _quadrature.Growth(np.array([-2000.0]), np.array([-1.0]))(7.0) == -1994.0
    for x in (-35.999, -36.001):
        assert _quadrature.log_grown(np.array([x]), np.zeros(1)) == pytest.approx(x, rel=4 * EPS)
    # what grows beyond e^600 may weigh less than what grows little
    exponents, log_weights = np.array([0.5, 610.0]), np.array([0.0, -700.0])
    assert _quadrature.Growth(np.log(exponents), log_weights)(0.0) == pytest.approx(
        math.log(math.expm1(0.5)), rel=1e-13
    )


def test_the_gap_of_a_gain_over_a_loss():
    assert _quadrature.log_gap(1.0, 0.5) == pytest.approx(math.exp(0.5) - math.exp(1.0), rel=1e-14)
    assert _quadrature.log_gap(0.5, 1.0) == 0.0
    # beyond the floats less is claimed
    assert _quadrature.log_gap(2000.0, 1.0) == _quadrature.log_gap(701.0, 1.0) == -math.exp(700.0)
    # a margin of rounding proves nothing
    assert _quadrature.log_gap(1.0 + 0.9e-9, 1.0) == 0.0
    assert _quadrature.log_gap(1.0 + 1.1e-9, 1.0) < 0.0


@pytest.mark.parametrize("steps", [1, 7, 60])
def test_bisection_halves_the_interval_at_every_call(steps):
    places = []
    found = _quadrature.largest(lambda x: places.append(x) or x <= 0.7, 0.0, 1.0, steps=steps)
    assert len(places) == steps
    assert 0.7 - 0.5**steps - EPS <= found <= 0.7
    assert _quadrature.largest(lambda x: x <= 0.7, 0.0, 1.0) == pytest.approx(0.7, abs=2 * EPS)


@pytest.mark.parametrize(
    ("rising", "level", "last"),
    [
        (lambda x: x**3, 0.343, 0.7),
        # what is certain is sure to fail: a tail that is proved only up to some number of patterns
        (lambda x: -5.0 + x if x <= 0.7 else 0.0, -1.0, 0.7),
        (lambda x: -math.exp(700.0 * (0.99 - x)), -1.0, 0.99),
        (lambda x: -math.inf if x < 0.3 else x, 0.7, 0.7),
        (lambda x: x, 2.0, 1.0),
        (lambda x: math.inf if x > 0.0 else -1.0, 0.0, 0.0),
    ],
)
def test_the_last_point_below_a_level(rising, level, last):
    found = _quadrature.last_below(rising, level, 0.0, 1.0)
    assert rising(found) <= level
    assert found == pytest.approx(last, abs=3e-9)


@pytest.mark.parametrize("place", [0.05, 0.3, 0.77])
@pytest.mark.parametrize("steps", [5, 24])
def test_golden_section_keeps_the_minimum_between_its_ends(place, steps):
    places = []
    found, value = _quadrature.minimum(lambda x: places.append(x) or abs(x - place), 0.0, 1.0, steps=steps)
    # two at first and one a step, each of which takes off all but the golden ratio
    assert len(places) == steps + 2
    assert value == abs(found - place) == min(abs(x - place) for x in places)
    assert abs(found - place) <= (0.5 * (math.sqrt(5.0) - 1.0)) ** steps
    assert all(0.0 < x < 1.0 for x in places)


def test_the_default_of_golden_section():
    assert _quadrature.minimum(lambda x: (x - 1.0) ** 2, 0.0, 3.0)[0] == pytest.approx(1.0, abs=3 * 0.62**24)


def test_arguments_become_floats():
    assert _arguments.array("x", [1, 2]).dtype == np.float64
    assert _arguments.array("x", 3).shape == ()
    assert _arguments.array("x", [-1e308, 1e308]).tolist() == [-1e308, 1e308]
    assert isinstance(_arguments.integer("dim", 3.0, 2), int)
    assert isinstance(_arguments.positive("x", 2), float)
    assert _arguments.one_of("x", "b", ("a", "b")) == "b"
    assert (_arguments.log_noop(1.0), _arguments.log_noop(0.0)) == (0.0, -math.inf)
    assert _arguments.log_noop(None) == 0.0
    assert _arguments.log_noop(None, -math.inf) == -math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _arguments.array("x", [0.5, 2.5], 0.0, 2.0), r"x holds 2\.5: it must lie in \[0, 2\]"),
        (lambda: _arguments.array("x", math.nan), r"x holds nan: it must lie in \[-inf, inf\]"),
        (lambda: _arguments.positive("x", 0.0), r"x is 0\.0: it must be a finite number above 0"),
        (lambda: _arguments.positive("x", math.inf), "x is inf: it must be a finite number above 0"),
        (lambda: _arguments.probability("x", 1.0), r"x is 1\.0: it must lie strictly between 0 and 1"),
        (lambda: _arguments.probability("x", 0.0), r"x is 0\.0: it must lie strictly between 0 and 1"),
        (lambda: _arguments.one_of("x", "c", ("a", "b")), "x is 'c': it must be one of 'a', 'b'"),
        (lambda: _arguments.log_noop(-1.0), r"noop is -1\.0: it must be a finite number of at least 0"),
        (lambda: _arguments.log_noop(math.inf), "noop is inf: it must be a finite number of at least 0"),
        (lambda: _arguments.log_noop(None, math.nan), "log_noop is nan: it must be a number below infinity .*"),
        (lambda: _arguments.log_noop(None, math.inf), "log_noop is inf: it must be a number below infinity .*"),
        (lambda: _arguments.integer("dim", 1, 2), "dim is 1: it must be an integer of at least 2"),
        (lambda: _arguments.integer("dim", math.inf, 2), "dim is inf: it must be an integer of at least 2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()
