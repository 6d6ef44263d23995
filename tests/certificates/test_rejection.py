"""T20 and T21 of given memories: queries of the ball around 0 end at one state; from which n on there is one."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hopfield_theory as ht
from hopfield_theory.certificates.rejection import least_noop, rejection
from hopfield_theory.testing import memories


def sphere(count, dim, seed, spread=0.0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.nn.functional.normalize(torch.randn(count, dim, dtype=torch.float64, generator=generator), dim=1)
    return rows * (1 + spread * (2 * torch.rand(count, 1, dtype=torch.float64, generator=generator) - 1))


def around_zero(memory, radius, seed, count=16):
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(count, memory.dim, dtype=torch.float64, generator=generator)
    # along patterns and against them too, where updates are longest
    directions[: count // 2] = memory.patterns[torch.arange(count // 2) % memory.num_patterns]
    directions[: count // 4] *= -1
    return radius * torch.nn.functional.normalize(directions, dim=1)


@settings(max_examples=30)
@given(memories(), st.floats(-3, 60), st.integers(0, 2**32 - 1))
def test_every_query_of_the_ball_ends_at_one_state_within_the_error(memory, log_n, seed):
    memory = memory.at(noop=math.exp(log_n))
    proof = rejection(memory)
    if proof is None:
        return
    radius = min(proof.radius, 4 * memory.radius)
    ends = ht.retrieve(memory, around_zero(memory, 0.999 * radius, seed), tol=1e-13, max_steps=20_000)
    assert ends.converged.all()
    left = ends.residual.max() / (1 - proof.contraction) + 1e-13 * memory.radius
    assert (ends.state.norm(dim=1) <= proof.error + left).all()
    assert (ends.state - ends.state[0]).norm(dim=1).max() <= 2 * left
    jacobians = memory.jacobian(around_zero(memory, proof.error, seed))
    assert (torch.linalg.matrix_norm(jacobians, 2) <= proof.contraction * (1 + 1e-9)).all()
    assert proof.error < 0.5 * memory.patterns.norm(dim=1).min()


def error_bound(memory, R):
    """ε(R) by quadrature, of eigenvalues at the actual norms of the patterns: what the chord may only raise."""
    mass = memory.noop + memory.num_patterns
    norms, start = memory.patterns.norm(dim=1), float(memory.patterns.sum(0).norm()) / mass
    t = torch.linspace(0, R, 801, dtype=torch.float64)
    weights = torch.exp(memory.beta * (norms + start) * t.unsqueeze(1)) / mass
    matrices = torch.einsum("tm,mi,mj->tij", weights, memory.patterns, memory.patterns)
    slopes = memory.beta * torch.linalg.eigvalsh(matrices)[:, -1]
    return start + float(torch.trapezoid(slopes, t))


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_the_radii_are_the_largest_that_the_bound_allows(spread):
    memory = ht.Memory(sphere(40, 6, 0, spread), 12.0, 3e3)
    proof = rejection(memory)
    slack = 1.0001 if spread == 0 else 1.1
    # the trapezoids lie above the convex curve
    assert error_bound(memory, proof.radius) <= proof.radius * (1 + 1e-5)
    assert error_bound(memory, slack * proof.radius) > slack * proof.radius
    assert error_bound(memory, proof.error) <= proof.error * (1 + 1e-9)
    assert error_bound(memory, proof.error / slack) > proof.error / slack


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(1, 20), st.sampled_from([0.0, 0.5]))
def test_it_is_never_weaker_than_the_statement(seed, log_n, spread):
    memory = ht.Memory(sphere(12, 5, seed, spread), 8.0, math.exp(log_n))
    mass, m = memory.noop + 12, memory.radius
    s = float(memory.patterns.sum(0).norm()) / mass
    w, top = m + s, float(torch.linalg.eigvalsh(memory.patterns.mT @ memory.patterns)[-1])
    for R in torch.linspace(0.01, 0.49 * float(memory.patterns.norm(dim=1).min()), 10).tolist():
        error = s + top * math.expm1(8.0 * w * R) / (w * mass)
        if error < R * (1 - 1e-9) and 8.0 * top * math.exp(8.0 * w * R) < mass * (1 - 1e-9):
            assert rejection(memory).radius >= R * (1 - 1e-9)
            assert rejection(memory).error <= error * (1 + 1e-9)


@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
def test_the_least_noop_mass(scale):
    memory = ht.Memory(scale * sphere(30, 6, 1, 0.3), 9.0 / scale**2)
    n = least_noop(memory)
    assert rejection(memory.at(noop=n)) is not None
    assert rejection(memory.at(noop=0.998 * n)) is None
    assert rejection(memory.at(noop=10 * n)) is not None
    # below it by an order of magnitude no state near 0 attracts: 0 itself repels
    jacobian = memory.at(noop=0.05 * n).jacobian(torch.zeros(6, dtype=torch.float64))
    assert torch.linalg.eigvalsh(jacobian)[-1] > 1
    assert n == pytest.approx(least_noop(ht.Memory(sphere(30, 6, 1, 0.3), 9.0)), rel=2e-3)


def test_where_there_is_no_ball():
    patterns = sphere(20, 5, 2)
    assert rejection(ht.Memory(patterns, 9.0)) is None
    assert rejection(ht.Memory(patterns, 0.01, 0.0)) is None
    assert rejection(ht.Memory(patterns, separation=ht.Entmax(1.5))) is None
    assert least_noop(ht.Memory(patterns, separation=ht.Entmax(1.5))) == math.inf
    assert least_noop(ht.Memory(torch.zeros(2, 3))) == math.inf
    # a single slot and a single pattern: one attractor for all, half-way or nearer to the pattern
    assert rejection(ht.Memory(patterns[:1], 0.5)) is None
    everything = rejection(ht.Memory(patterns[:1], 0.5, 1e6))
    assert (everything.radius, everything.score) == (math.inf, math.inf)
    assert everything.error == pytest.approx(1e-6, rel=1e-3)
    assert "Every query is rejected: it ends at" in ht.certify(ht.Memory(patterns[:1], 0.5, 1e6)).summary()


@pytest.mark.parametrize(
    ("known", "end"),
    [
        ((), "rejected."),
        ((math.inf,), "rejected, at any n."),
        # rounded up, so that it is enough
        ((146_601.2,), "rejected; some are from n = 1.467e+05 on."),
    ],
)
def test_the_last_sentence_says_from_which_n_on_something_is_rejected(known, end):
    certificate = ht.certify(ht.Memory(sphere(20, 5, 2), 9.0))
    assert certificate.lines(*known)[-1] == f"No query is proved to be {end}"


def test_what_is_certified_at_no_beta_is_told():
    [first, *_, last] = ht.certify(ht.Memory(torch.eye(3, dtype=torch.float64), 10.0)).lines()
    assert first == "All 3 patterns proved stored at β = 10; 0 not stored, 0 undecided."
    assert "β" not in last
    row = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.1]], dtype=torch.float64)
    [one] = [line for line in ht.certify(ht.Memory(row, 10.0)).lines() if "no β" in line]
    end = "(normalising removes this): pattern"
    lost = "certified at no β and lost at every large one, since another pattern overlaps"
    assert one == f"1 is {lost} it no less than it overlaps itself {end} 0."
    lines = ht.certify(ht.Memory(torch.cat([row, 3 * row[1:2]]), 10.0)).lines()
    assert f"2 are {lost} them no less than they overlap themselves {end}s 0, 1." in lines


@pytest.mark.parametrize(("beta", "log_n"), [(9.0, 7.0), (40.0, 12.0), (40.0, 30.0)])
def test_low_scores_are_rejected(beta, log_n):
    memory = ht.Memory(sphere(30, 8, 3, 0.2), beta, math.exp(log_n))
    proof = rejection(memory)
    queries = 3 * sphere(2000, 8, 4)
    top = memory.scores(queries).amax(1, keepdim=True)
    # scaled so that the largest score is just what is allowed
    queries = queries[top.flatten() > 0] * (proof.score / top[top > 0].unsqueeze(1))
    assert (memory.update(queries).norm(dim=1) < proof.radius).all()
    # patterns that are one: the bound is attained
    same = ht.Memory(torch.ones(30, 1, dtype=torch.float64), beta, math.exp(log_n))
    proof = rejection(same)
    assert float(same.update([proof.score / beta])) == pytest.approx(proof.radius, rel=1e-6)


def test_guaranteed_says_nothing_only_of_what_is_rejected():
    patterns = sphere(40, 16, 5)
    memory = ht.Memory(patterns, 60.0, math.exp(20.0))
    proof = ht.certify(memory)
    assert proof.stored.all()
    assert proof.rejects == rejection(memory)
    assert (patterns.norm(dim=1) - proof.error > proof.rejects.radius).all()
    queries = torch.cat([patterns + 0.02 * sphere(40, 16, 6), sphere(400, 16, 7), 0.6 * sphere(200, 16, 8)])
    known = ht.guaranteed(memory, queries.reshape(2, 320, 16))
    assert known.pattern.shape == known.error.shape == (2, 320)
    pattern, error = (part.flatten() for part in known)
    assert torch.equal(pattern[:40], torch.arange(40))
    rejected = known.rejected.flatten()
    assert 20 < int(rejected.sum()) < 600
    assert int((~known.decided).sum()) > 0
    ends = ht.retrieve(memory, queries[rejected], tol=1e-13)
    assert (ends.state.norm(dim=1) <= error[rejected] + 1e-12).all()
    # low scores suffice
    low = memory.scores(queries).amax(1) <= proof.rejects.score
    assert low.any()
    assert rejected[low].all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_guarantee_of_nothing_ends_at_the_radius(dtype):
    memory = ht.Memory(torch.eye(3, dtype=dtype), 30.0, 1e6)
    radius = rejection(memory).radius
    direction = -torch.ones(3, dtype=torch.float64) / math.sqrt(3)
    inside = ht.guaranteed(memory, torch.stack([0.999 * radius * direction, -0.99 * direction]))
    assert inside.rejected.tolist() == [True, False]
