"""Draws from the tail of the overlaps use a table: it is the inverse of the tail probability."""

import math

import numpy as np
import pytest

from hopfield_theory.bounds.cap_heights import log_height
from hopfield_theory.sampled.overlaps import overlap_law


@pytest.mark.parametrize("dim", [3, 10, 100, 10_000])
@pytest.mark.parametrize("log_share", [-math.log(8.0), -5.0, -50.0, -700.0])
def test_the_table_is_the_inverse(dim, log_share):
    excess = np.random.default_rng(0).exponential(size=2000)
    t, across = overlap_law("sphere", dim).tail(log_share)(excess)
    u = np.exp(log_height(log_share - excess, dim))
    np.testing.assert_allclose(t, 1.0 - u, rtol=0, atol=5e-14)
    np.testing.assert_allclose(across, np.sqrt(u * (2.0 - u)), rtol=1e-11)
