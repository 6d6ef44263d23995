"""Heights of caps are those whose share ball arithmetic encloses, down to shares of e^-700."""

import math

import numpy as np
import pytest
from flint import arb, ctx

from hopfield_theory.bounds import sphere
from hopfield_theory.bounds.cap_heights import log_height, widest


@pytest.mark.parametrize("dim", [2, 3, 4, 5, 10, 100, 1000, 10_000])
def test_heights_against_ball_arithmetic(dim):
    shares = [-0.694, -0.7, -1.0, -3.0, -10.0, -100.0, -400.0, -500.5, -700.0]
    before, ctx.prec = ctx.prec, 300
    try:
        for share, v in zip(shares, log_height(shares, dim), strict=True):
            u, a = arb(float(v)).exp(), arb(dim - 1) / 2
            x = u * (2 - u)
            cap = (x.beta_lower(a, arb(1) / 2, regularized=True) / 2).log()
            # Half an ulp of the root moves the share by this much.
            rounding = abs(float(v)) * 2.3e-16 * 0.5 * dim
            assert abs(float(cap) - share) < 1e-12 * abs(share) + rounding
    finally:
        ctx.prec = before


@pytest.mark.parametrize("dim", [2, 3, 7, 100, 10_000])
def test_heights_undo_caps(dim):
    heights = np.array([0.02, 0.3, 0.7, 0.99, 1.0, 1.01, 1.3])
    shares = sphere.log_cap(heights, dim)
    # Past the half sphere the share is so close to one that only its complement tells.
    kept = (shares < -1e-9) & (shares > -600.0)
    np.testing.assert_allclose(np.exp(log_height(shares[kept], dim)), heights[kept], rtol=1e-6)
    kept &= heights <= 1.0
    np.testing.assert_allclose(np.exp(log_height(shares[kept], dim)), heights[kept], rtol=1e-12)


@pytest.mark.parametrize("dim", [2, 3, 20, 1000, 100_000])
def test_the_widest_cap_does_not_exceed_its_share_and_no_wider_one_keeps_it(dim):
    for log_share in (-600.0, -30.0, -1.0, -0.7):
        height = widest(log_share, dim)
        if height > 1e-200:
            assert float(sphere.log_cap(height, dim)) <= log_share < float(sphere.log_cap(height * (1 + 1e-9), dim))
    assert widest(0.0, dim) == widest(-math.log(2.0), dim) == pytest.approx(1.0)
    assert widest(-math.inf, dim) == 0.0


def test_heights_at_the_ends():
    assert log_height(-math.inf, 5) == -math.inf
    assert float(log_height(0.0, 5)) == pytest.approx(math.log(2.0))
    assert float(log_height(-1e5, 3)) == pytest.approx(math.log(2.0) - 1e5)
    assert log_height(np.full((2, 3), -1.0), 4).shape == (2, 3)


def test_shares_above_one_are_refused():
    with pytest.raises(ValueError, match="log_share holds"):
        log_height(0.1, 3)
