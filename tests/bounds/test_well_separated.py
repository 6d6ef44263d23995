"""C11, the recalled capacity lemma as it holds: its proof step by step, beside C2, and the readings that fail (P35)."""

import math

import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from hopfield_theory.bounds import RandomMemory, sphere, union

P = 1e-3
SEPARATED = {
    "dim": st.integers(2, 300),
    "log_kappa": st.floats(0.0, 60.0),
    "log_p": st.floats(-30.0, -1e-3),
    "noop": st.sampled_from([0.0, 1.0]),
}


@given(**SEPARATED)
def test_each_step_of_the_proof_of_the_mended_lemma(dim, log_kappa, log_p, noop):
    kappa, p = math.exp(log_kappa), math.exp(log_p)
    log_m = union.well_separated(RandomMemory(dim, kappa, -math.inf if noop == 0 else 0.0), p)
    if log_m == -math.inf:
        return
    ball, sides = min(1.0, 0.5 / kappa), dim - 1
    log_c = 4 * (log_m - 0.5 * log_p) / sides
    with ctx.workprec(200):
        size, gap = arb(log_m).exp(), arb(kappa) / (5 * arb(log_c).exp())
        # the gap and the logarithm of the base are rounded, and the gap is their exponential
        lost = arb(2.0**-46) * (gap + abs(log_c) + abs(log_m))
        assert gap + lost > (2 * size / arb(ball)).log() + 1
        others, slot = (size - 1) * (-gap + 2 * arb(kappa) * ball).exp(), noop * (-arb(kappa) * (1 - arb(ball))).exp()
        assert 2 * others + slot <= arb(ball) * lost.exp()
        assert arb(kappa) * (4 * others + slot) < lost.exp()
    log_angle = -0.5 * log_c
    if log_angle < math.log(math.pi):
        height = 2 * math.sin(0.5 * math.exp(log_angle)) ** 2
        pairs = 2 * log_m - math.log(2.0) + float(sphere.log_cap(height, dim))
        assert pairs <= log_p - math.log(2 * math.pi) + 1e-9 * (1 + abs(log_m))


@given(**SEPARATED)
def test_the_pairwise_bound_stores_what_the_mended_lemma_does(dim, log_kappa, log_p, noop):
    memory, p = RandomMemory(dim, math.exp(log_kappa), -math.inf if noop == 0 else 0.0), math.exp(log_p)
    lemma = union.well_separated(memory, p)
    assert union.pairwise(memory, p) >= lemma - 1e-9 * abs(lemma) or lemma == -math.inf


@pytest.mark.parametrize("reading", [{}, {"factor": 0.25}, {"ball": 0.5}])
def test_the_lemma_by_lamberts_function(reading):
    p, factor, ball = 0.3, reading.get("factor", math.sqrt(0.3)), reading.get("ball", 1 / 1200)
    a, b = 4 * (math.log(2 * factor / ball) + 1) / 3, 4 * 600 / (5 * 3)
    size = math.sqrt(p) * (b / special.lambertw(math.exp(a + math.log(b))).real) ** 0.75
    assert math.exp(union.well_separated(RandomMemory(4, 600.0), p, **reading)) == pytest.approx(size, rel=1e-12)


def test_two_readings_of_the_lemma_promise_more_balls_than_have_room():
    # a circle of radius m has room for five balls of half its radius, and none of radius R for more than (1 + m/R)^d
    assert math.exp(union.well_separated(RandomMemory(2, 1e6), 0.5, ball=0.5)) > 6
    p = 1 - 1e-6
    promised = union.well_separated(RandomMemory(3, 4.0), p, factor=-math.expm1(0.5 * math.log(p)))
    assert promised > 3 * math.log(1 + 8)


def test_what_the_mended_lemma_says_nothing_about():
    assert union.well_separated(RandomMemory(20, 171.0, 1e-9), P) == -math.inf
    assert union.well_separated(RandomMemory(20, 5.0), P) == -math.inf
    for name in ("factor", "ball"):
        with pytest.raises(ValueError, match=name):
            union.well_separated(RandomMemory(20, 171.0), P, **{name: 0.0})
