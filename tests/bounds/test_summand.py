"""Summands with a random direction against integrals over it, and the best tilt against its definition."""

import math

import numpy as np
import pytest
from scipy import integrate

from hopfield_theory.bounds import sphere
from hopfield_theory.bounds._quadrature import LARGEST_LOG_TILT, heights, log_mean
from hopfield_theory.bounds._summand import Summand


def mean_of_exp(dim, exponent):
    """Return E exp of a function of one coordinate of a uniform unit vector."""
    if dim == 1:
        return 0.5 * (math.exp(exponent(-1.0)) + math.exp(exponent(1.0)))

    def integrand(theta):
        return math.exp(float(sphere.log_density(theta, dim)) + exponent(math.cos(theta)))

    return integrate.quad(integrand, 0.0, math.pi, epsabs=0.0, epsrel=1e-10, limit=200)[0]


@pytest.mark.parametrize("dim", [1, 2, 7, 40])
@pytest.mark.parametrize("share", [1e-6, 0.3, 0.9])
def test_the_exponent_bounds_the_moment_over_the_direction(dim, share):
    rng = np.random.default_rng(0)
    tightest = math.inf
    for y, k, b, g in rng.lognormal(size=(8, 4)):
        f = Summand(np.array([math.log(y)]), np.array([k]), np.array([b**2]), np.array([2 * g**2 / dim]))
        tilt = share * dim / (2 * y * g**2)
        bound = math.log1p(math.exp(f.log_grown(np.zeros(1), math.log(tilt))))
        exact = math.log(mean_of_exp(dim, lambda c, t=tilt * y, k=k, b=b, g=g: t * (k + (b + g * c) ** 2)))
        assert exact <= bound * (1 + 1e-9)
        tightest = min(tightest, bound / exact - 1)
    # to first order in t the two agree, and in high dimension C is nearly normal
    assert tightest < (1e-5 if share < 1e-3 else 0.02 if dim == 40 and share < 0.5 else 1.0)


def test_the_mean_is_the_small_tilt_and_a_pole_proves_nothing():
    f = Summand(np.array([0.3, -900.0]), np.array([2.0, 1.0]), np.array([0.5, 0.0]), np.array([3.0, 0.2]))
    log_weight = np.log([0.25, 0.75])
    small = f.log_grown(log_weight, -40.0)
    assert small == pytest.approx(math.log(0.25) + 0.3 + math.log(2.0 + 0.5 + 1.5) - 40.0, rel=1e-12)
    # a summand below the smallest float counts
    assert f.log_grown(np.array([-math.inf, 0.0]), -5.0) == pytest.approx(math.log(1.1) - 905.0, rel=1e-12)
    pole = -0.3 - math.log(3.0)
    assert math.isfinite(f.log_grown(log_weight, pole - 1e-6))
    assert f.log_grown(log_weight, pole + 1e-6) == math.inf


@pytest.mark.parametrize("log_copies", [-3.0, 0.0, 0.4])
@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_the_best_tilt_is_the_minimum(log_copies, scale):
    rng = np.random.default_rng(1)
    log_weight, log_factor = rng.normal(size=30) - 5.0, rng.normal(size=30)
    square, spread = scale * rng.uniform(size=(2, 30))
    f = Summand(log_factor, np.ones(30), square, 0.3 * spread)
    best = f.best_tilt(log_weight, log_copies)

    def exponent(log_tilt):
        return math.exp(log_copies + f.log_grown(log_weight, log_tilt)) - math.exp(log_tilt)

    assert exponent(best) < 0.0
    assert exponent(best) < min(exponent(best - 1e-3), exponent(best + 1e-3))


@pytest.mark.parametrize(("dim", "kappa"), [(20, 171.0), (300, 400.0), (1000, 900.0), (1000, 3000.0)])
@pytest.mark.parametrize("left", [1e-6, 0.01, 1.0, 30.0])
def test_the_best_tilt_is_found_where_single_nodes_bound_it_far_above(dim, kappa, left):
    height, log_weight = heights(6.0 / kappa, dim)
    w = np.sqrt(2.0 * height)
    f = Summand(math.log(kappa) - kappa * (height - w / kappa), w)
    log_copies = -log_mean(log_weight, f.log_rate) - left
    best = f.best_tilt(log_weight, log_copies)
    # log M + log E[f exp(t f)] vanishes, up to what is left of a step, and rises by that of log t
    at, above = (log_copies + log_mean(log_weight, f.log_rate + np.exp(x + f.log_rate)) for x in (best, best + 1e-3))
    assert abs(at) < above - at


def test_there_is_no_tilt_for_a_mean_of_one_and_none_beyond_the_largest():
    f, log_weight = Summand(np.zeros(2), np.ones(2)), np.full(2, -math.log(2.0))
    assert f.best_tilt(log_weight, 1e-12) == -math.inf
    assert f.best_tilt(log_weight, 5.0) == -math.inf
    assert math.isfinite(f.best_tilt(log_weight, -1e-6))
    assert Summand(np.full(2, -1e3), np.ones(2)).best_tilt(log_weight, 0.0) == LARGEST_LOG_TILT == 300.0
    # a rare summand whose direction ends the tilts
    found = Summand(np.zeros(1), np.ones(1), np.zeros(1), np.ones(1)).best_tilt(np.full(1, -50.0), 0.0)
    assert found == math.log(0.99)
