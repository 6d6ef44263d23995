import itertools
import math

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from hopfield_theory.bounds import codes, sphere

DIMS = [2, 3, 4, 5, 10, 30, 64, 100, 122, 200, 299, 300, 301, 1000, 10_000]
KAPPAS = [1e-6, 1e-3, 0.1, 1.0, 3.0, 20.0, 59.0, 61.0, 100.0, 447.0, 632.0, 1e4, 1e6]
HEIGHTS = [1e-12, 1e-6, 1e-3, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9, 1.0, 1.1, 1.5, 1.9, 1.999, 2.0 - 1e-9]


@pytest.fixture(autouse=True)
def _precision():
    before = ctx.prec
    ctx.prec = 400
    yield
    ctx.prec = before


def agrees(value: float, reference: arb, tolerance: float = 1e-10) -> bool:
    return bool(abs(arb(float(value)) - reference) < tolerance * abs(reference))


def exact_log_mgf(kappa: float, dim: int) -> arb:
    k, nu = arb(kappa), arb(dim) / 2 - 1
    return (nu + 1).lgamma() + nu * (2 / k).log() + k.bessel_i(nu).log()


def exact_log_cap(height: float, dim: int) -> arb:
    u, a = arb(height), arb(dim - 1) / 2
    small = 2 - u if height > 1 else u
    x = small * (2 - small)
    if height < 0.3 or height > 1.7:
        scale = a * x.log() + (1 - small).log() - (2 * a).log() + (a + arb(1) / 2).lgamma() - a.lgamma()
        tail = scale - arb.pi().log() / 2 + x.hypgeom_2f1(a + arb(1) / 2, 1, a + 1).log()
    else:
        tail = (x.beta_lower(a, arb(1) / 2, regularized=True) / 2).log()
    return (-tail.exp()).log1p() if height > 1 else tail


@pytest.mark.parametrize("dim", DIMS)
def test_log_mgf_and_ratio_against_ball_arithmetic(dim):
    values, ratios = sphere.log_mgf(KAPPAS, dim), sphere.bessel_ratio(KAPPAS, dim)
    for kappa, value, ratio in zip(KAPPAS, values, ratios, strict=True):
        assert agrees(value, exact_log_mgf(kappa, dim)), kappa
        nu = arb(dim) / 2 - 1
        assert agrees(ratio, arb(kappa).bessel_i(nu + 1) / arb(kappa).bessel_i(nu)), kappa


@pytest.mark.parametrize("dim", DIMS)
def test_log_cap_against_ball_arithmetic(dim):
    for height, value in zip(HEIGHTS, sphere.log_cap(HEIGHTS, dim), strict=True):
        reference = exact_log_cap(height, dim)
        assert reference.is_finite()
        # Beyond the smallest float the logarithm of the whole sphere less a cap is zero.
        assert agrees(value, reference) or (value == 0.0 and abs(reference) < 1e-300), height


@pytest.mark.parametrize("dim", [10**6, 10**9])
def test_caps_of_almost_half_a_sphere_in_very_many_dimensions(dim):
    # the share is e^-500 and less; the series has up to 50 000 terms here
    for log_share in (-600.0, -5e3, -1e-3 * dim):
        height = 1.0 - math.sqrt(-math.expm1(2.0 * log_share / dim))
        u, a = arb(height), arb(dim - 1) / 2
        expected = (u * (2 - u)).beta_lower(a, arb(1) / 2, regularized=True).log() - arb(2).log()
        assert agrees(float(sphere.log_cap(height, dim)), expected)


@pytest.mark.parametrize("dim", [3, 9_999, 20_003, 100_000, 10**9])
def test_caps_of_less_than_half_a_sphere_by_little(dim):
    for below in (0.4, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-9, -1e-4):
        if dim * below**2 < 1000:
            height = 1.0 - below
            assert agrees(float(sphere.log_cap(height, dim)), exact_log_cap(height, dim), 1e-13), height


def test_log_cap_ends():
    assert sphere.log_cap(0.0, 7) == -math.inf
    assert sphere.log_cap(2.0, 7) == 0.0
    assert sphere.log_cap(1.0, 9999) == pytest.approx(math.log(0.5), rel=1e-14)


@pytest.mark.parametrize("dim", [2, 3, 7, 40, 1000])
def test_density_integrates_to_the_cap(dim):
    nodes, weights = np.polynomial.legendre.leggauss(400)
    theta = 0.5 * (nodes + 1.0)
    mass = float(np.sum(0.5 * weights * np.exp(sphere.log_density(theta, dim))))
    assert math.log(mass) == pytest.approx(float(sphere.log_cap(1.0 - math.cos(1.0), dim)), rel=1e-9)


@pytest.mark.parametrize("dim", [2, 5, 50])
def test_mgf_is_the_series_of_moments(dim):
    powers = np.arange(0, 120, 2)
    # E |cos θ|^k = Γ(d/2) Γ((k + 1)/2)/(√π Γ((d + k)/2))
    log_moments = special.betaln(0.5 * (dim - 1), 0.5 * (powers + 1)) - special.betaln(0.5 * (dim - 1), 0.5)
    terms = powers * math.log(4.0) - np.array([math.lgamma(k + 1.0) for k in powers]) + log_moments
    assert float(np.logaddexp.reduce(terms)) == pytest.approx(float(sphere.log_mgf(4.0, dim)), rel=1e-13)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 10_000), st.floats(-6.0, 6.0), st.floats(1e-4, 0.5))
def test_mgf_is_increasing_and_convex_with_the_ratio_as_slope(dim, log_kappa, step):
    kappa = 10.0**log_kappa
    grid = kappa * (1.0 + step * np.array([0.0, 1.0]))
    low, high = sphere.log_mgf(grid, dim)
    slope = sphere.bessel_ratio(grid, dim)
    width, noise = grid[1] - grid[0], 1e-10 * high
    assert slope[0] * width - noise <= high - low <= slope[1] * width + noise
    # Term by term comparison of series.
    assert high <= grid[1] ** 2 / (2 * dim) * (1 + 1e-10)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 10_000), st.floats(0.0, 2.0), st.floats(0.0, 2.0))
def test_caps_are_nested_and_complementary(dim, first, second):
    low, high = sorted((first, second))
    small, large = sphere.log_cap([low, high], dim)
    assert small <= large
    assert np.exp(sphere.log_cap(low, dim)) + np.exp(sphere.log_cap(2.0 - low, dim)) == pytest.approx(1.0, abs=1e-12)


def test_code_bounds_known_values():
    kissing = {3: 13.2857142857, 4: 26.0, 8: 240.0, 24: 196560.0}
    for dim, size in kissing.items():
        assert math.exp(codes.log_code_size(0.5, dim)) == pytest.approx(size, rel=1e-9)
    assert math.exp(codes.log_code_size(1.0, 5)) == pytest.approx(10.0)
    # The simplex of d + 1 points, and an antipodal pair.
    assert math.exp(codes.log_code_size(1.0 + 1.0 / 5.0, 5)) == pytest.approx(6.0)
    assert math.exp(codes.log_code_size(2.0, 5)) == pytest.approx(2.0)


@pytest.mark.parametrize("points", [5, 6, 7, 20, 60])
def test_code_bound_is_sharp_on_the_circle(points):
    height = 1.0 - math.cos(2.0 * math.pi / points)
    assert points * (1 - 1e-9) <= math.exp(codes.log_code_size(height * (1 - 1e-12), 2)) < points + 0.5


def test_code_bound_holds_for_the_icosahedron_and_grows_as_points_may_come_closer():
    golden = (1 + math.sqrt(5)) / 2
    corners = [(0.0, a, b * golden) for a, b in itertools.product((1, -1), repeat=2)]
    icosahedron = np.array([np.roll(corner, shift) for corner in corners for shift in range(3)])
    icosahedron /= np.linalg.norm(icosahedron, axis=1, keepdims=True)
    cosines = icosahedron @ icosahedron.T - 2.0 * np.eye(12)
    height = 1.0 - float(cosines.max())
    assert 12 * (1 - 1e-9) <= math.exp(codes.log_code_size(height * (1 - 1e-12), 3)) < 12.01
    sizes = [codes.log_code_size(u, 12) for u in (1.3, 1.0, 0.9, 0.5, 0.1, 1e-3, 1e-9)]
    assert sizes == sorted(sizes)


def test_levenshtein_reaches_to_degree_100():
    edge = codes._largest_zero(100, 1, 1, 5)
    assert math.isfinite(codes._log_levenshtein(edge * (1 - 1e-12), 5))
    assert codes._log_levenshtein(edge * (1 + 1e-12), 5) == math.inf


@pytest.mark.parametrize(
    ("function", "name", "low", "high"),
    [
        (sphere.log_cap, "height", 0.0, 2.0),
        (sphere.log_density, "angle", 0.0, math.pi),
        (sphere.log_mgf, "kappa", 0.0, 1.7976931348623157e308),
        (sphere.log_mgf_across, "kappa", 0.0, 1.7976931348623157e308),
        (sphere.bessel_ratio, "kappa", 0.0, 1.7976931348623157e308),
        (codes.log_code_size, "height", 2.2250738585072014e-308, 2.0),
    ],
)
def test_ranges_are_as_stated_and_named(function, name, low, high):
    for wrong in (math.nan, math.nextafter(low, -math.inf), math.nextafter(high, math.inf)):
        with pytest.raises(
            ValueError, match=rf"^{name} holds .*: it must lie in \[{low:g}, {high:g}\]$".replace("+", "\\+")
        ):
            function(wrong, 2)
    for end in (low, high):
        assert not math.isnan(function(end, 2))
    for dim in (1, 2.5, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"^dim is {dim!r}: it must be an integer of at least 2$"):
            function(0.5, dim)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sphere.log_cap(2.1, 3), "height holds 2.1"),
        (lambda: sphere.log_cap(math.nan, 3), "height holds nan"),
        (lambda: sphere.log_mgf(-1.0, 3), "kappa holds -1.0"),
        (lambda: sphere.log_mgf(1.0, 1), "dim is 1"),
        (lambda: sphere.bessel_ratio(1.0, 2.5), "dim is 2.5"),
        (lambda: codes.log_code_size(0.0, 3), "height holds 0.0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_moments_far_beyond_the_range_of_use():
    assert float(sphere.log_mgf(1e200, 50)) == pytest.approx(1e200)
    assert float(sphere.log_mgf_across(1e200, 2)) == pytest.approx(1e200)
    assert float(sphere.bessel_ratio(1e200, 50)) == 1.0


@pytest.mark.parametrize("kappa", [1e-6, 0.5, 0.999, 1.001, 3.0, 50.0])
def test_moment_across_the_plane_is_cosh(kappa):
    assert agrees(float(sphere.log_mgf_across(kappa, 2)), arb(kappa).cosh().log())
    assert float(sphere.log_mgf_across(kappa, 9)) == float(sphere.log_mgf(kappa, 8))
