"""The capacity of one update lies where half of the trials fail, and its default error where half of the weight is."""

import math

import numpy as np
import pytest

from hopfield_theory.bounds import RandomMemory, sphere
from hopfield_theory.measured.sampled_capacity import half_weight_error, one_update_capacity
from hopfield_theory.sampled.one_update import one_update


def test_capacity_lies_where_half_fail():
    memory = RandomMemory.of_lambda(8, 1.0, 0.0)
    found = one_update_capacity(memory, 0.2, trials=400, seed=2)
    assert found.low < found.estimate < found.high
    shares = [
        (one_update(memory, at, trials=10_000, seed=9).error <= 0.2).mean()
        for at in (found.estimate, found.low, found.high)
    ]
    assert abs(shares[0] - 0.5) < 4.0 * 0.5 / math.sqrt(400)
    assert shares[1] > 0.5 > shares[2]


def test_capacity_without_an_end_or_a_start():
    assert one_update_capacity(RandomMemory.of_lambda(50, 1.0, 0.0), 0.5, trials=16).estimate == math.inf
    assert one_update_capacity(RandomMemory(50, 50.0, 60.0), 0.5, trials=16).estimate == -math.inf


@pytest.mark.parametrize(("dim", "tolerance", "lam"), [(8, 0.1, 0.25), (8, 3.0, 0.25), (20, 1.0, 1.0), (20, 1e-4, 1.0)])
def test_the_ends_hold_the_estimate_at_any_tolerance(dim, tolerance, lam):
    found = one_update_capacity(RandomMemory.of_lambda(dim, lam, 0.0), trials=16, tolerance=tolerance)
    assert found.low <= found.estimate <= found.high


@pytest.mark.parametrize("lam", [1e-3, 0.25, 1.0, 4.0, 100.0])
def test_the_default_error_is_half_of_what_a_crowd_without_end_leaves(lam):
    assert half_weight_error(lam) == pytest.approx(0.5 * (1.0 - float(sphere.bessel_ratio(lam * 1e6, 10**6))), rel=1e-5)


@pytest.mark.parametrize("lam", [0.5, 2.0])
def test_by_default_half_of_the_weight_is_left(lam):
    memory = RandomMemory.of_lambda(400, lam, 0.0)
    found = one_update_capacity(memory, trials=16)
    assert found == one_update_capacity(memory, half_weight_error(lam), trials=16)
    runs = one_update(memory, found.estimate, trials=16, seed=0)
    assert np.median(runs.target_weight) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("error", 1.0),
        ("trials", 3),
        ("trials", 20.5),
        ("tolerance", 0),
    ],
)
def test_refusals_name_the_argument(name, value):
    with pytest.raises(ValueError, match=f"^{name} is .*must"):
        one_update_capacity(RandomMemory(3, 3.0), **{name: value})


def test_half_of_the_weight_needs_a_finite_lam():
    with pytest.raises(ValueError, match="lam is"):
        half_weight_error(math.inf)
