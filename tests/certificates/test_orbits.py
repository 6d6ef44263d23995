"""Proofs that retrieval from a pattern ends where it seems to, and that two patterns share their end."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hopfield_theory as ht
from hopfield_theory.certificates.orbits import arrives, attracting_ball
from hopfield_theory.testing import memories


def unit(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, dtype=torch.float64, generator=generator), dim=-1)


@settings(max_examples=12)
@given(memories(softmax_only=True), st.integers(0, 2**32 - 1))
def test_all_of_an_attracting_ball_ends_at_one_point(memory, seed):
    end = ht.retrieve(memory, memory.patterns[0], tol=1e-13, max_steps=2000).state
    found = attracting_ball(memory, end)
    if found is None:
        return
    error, radius = found
    start = (
        end + min(radius, 4 * memory.radius) * unit(12, memory.dim, seed=seed) * torch.linspace(0, 0.999, 12)[:, None]
    )
    ends = ht.retrieve(memory, start, tol=1e-13, max_steps=20_000)
    assert ends.converged.all()
    assert ((ends.state - end).norm(dim=1) <= 2 * error + 1e-6 * memory.radius).all()


def displacement_bound(memory, centre, R):
    """ε(R) by quadrature, of eigenvalues at the actual distances."""
    slot = memory.noop_weight(centre).reshape(1)
    image = memory.update(centre)
    away = torch.cat([memory.patterns - image, -image.unsqueeze(0)])
    t = torch.linspace(0, R, 401, dtype=torch.float64)
    weights = torch.cat([memory.weights(centre), slot]) * torch.exp(memory.beta * away.norm(dim=1) * t.unsqueeze(1))
    matrices = torch.einsum("tm,mi,mj->tij", weights, away, away)
    slopes = memory.beta * torch.linalg.eigvalsh(matrices)[:, -1]
    return float((image - centre).norm() + torch.trapezoid(slopes, t))


@pytest.mark.parametrize(("beta", "noop", "row"), [(3.0, 1.0, 0), (6.0, 0.0, 0), (6.0, 5.0, 3)])
def test_the_radius_of_an_attracting_ball_is_what_the_sums_allow(beta, noop, row):
    memory = ht.Memory(unit(30, 5, seed=1), beta, noop)
    end = ht.retrieve(memory, memory.patterns[row], tol=1e-15, max_steps=5000).state
    error, radius = attracting_ball(memory, end)
    assert error < 1e-11
    assert displacement_bound(memory, end, radius) <= radius
    assert displacement_bound(memory, end, 1.35 * radius) > 1.35 * radius


def test_no_ball_around_what_does_not_attract():
    memory = ht.Memory(torch.tensor([[1.0], [-1.0]], dtype=torch.float64), 2.0, 0.0)
    assert attracting_ball(memory, torch.zeros(1, dtype=torch.float64)) is None
    assert attracting_ball(memory, torch.tensor([0.5], dtype=torch.float64)) is None


def test_an_orbit_arrives_only_where_it_goes():
    memory = ht.Memory(torch.tensor([[1.0], [-1.0]], dtype=torch.float64), 2.0, 0.0)
    start = torch.tensor([[1.0], [1.0], [-1.0], [1e-9]], dtype=torch.float64)
    end = ht.retrieve(memory, start[:1]).state.expand(4, 1)
    radii = torch.full((4,), attracting_ball(memory, end[0])[1], dtype=torch.float64)
    assert arrives(memory, start, end, radii, 100).tolist() == [True, True, False, True]
    assert not arrives(memory, start, end, 0 * radii, 100).any()
    # a start that rounding could take to either side
    assert not arrives(memory, torch.full((1, 1), 1e-17, dtype=torch.float64), end[:1], radii[:1], 200).any()


def pairs(apart, seed, count=10, dim=12):
    """Pairs at a distance of this share of 2/√β, where they are about to separate."""
    beta = 40.0
    centres, aside = unit(count, dim, seed=seed), unit(count, dim, seed=seed + 1)
    aside = torch.nn.functional.normalize(aside - (aside * centres).sum(1, keepdim=True) * centres, dim=1)
    half = apart / math.sqrt(beta)
    return ht.Memory(torch.cat([centres + half * aside, centres - half * aside]), beta, normalise=True)


@settings(max_examples=12)
@given(st.floats(0.2, 0.9) | st.floats(1.1, 1.3), st.integers(0, 10_000))
def test_patterns_proved_to_merge_share_the_one_fixed_point_between_them(apart, seed):
    memory = pairs(apart, seed, 3)
    proof = ht.certify(memory)
    assert (~proof.loss_proved | (proof.status == ht.Storage.NOT_STORED)).all()
    for first in (proof.loss_proved & (proof.merged_with >= 0)).nonzero().flatten().tolist():
        second = int(proof.merged_with[first])
        ends = ht.retrieve(memory, memory.patterns[[first, second]], tol=1e-14, max_steps=2000).state
        assert (ends[0] - ends[1]).norm() < 1e-7
        slopes = torch.linalg.matrix_norm(memory.jacobian(ends), 2)
        assert (slopes < 1).all()


@pytest.mark.parametrize(("apart", "merge"), [(0.3, True), (0.9, True), (1.2, False), (1.6, False)])
def test_which_pairs_merge(apart, merge):
    proof = ht.certify(pairs(apart, 5))
    assert (proof.merged_with >= 0).all() == merge
    assert proof.loss_proved.all() == merge
    assert proof.loss_proved.any() == merge


def test_what_ends_far_from_its_pattern_is_proved_lost_without_a_partner():
    # one pattern, pulled half-way to the slot; another stays alone
    memory = ht.Memory(torch.tensor([[1.0, 0.0], [0.0, 4.0], [0.0, -4.0]], dtype=torch.float64), 1.5, 3.0)
    proof = ht.certify(memory)
    assert proof.status.tolist() == [ht.Storage.UNDECIDED, ht.Storage.STORED, ht.Storage.STORED]
    lost = ht.Memory(torch.tensor([[1.0, 0.0], [1.0, 1.2], [4.0, 0.0]], dtype=torch.float64), 1.5, 1.0)
    proof = ht.certify(lost)
    assert proof.status.tolist() == [ht.Storage.NOT_STORED, ht.Storage.NOT_STORED, ht.Storage.STORED]
    assert proof.loss_proved.tolist() == [True, True, False]
    assert (proof.fixed_point_distance[:2] > 0.5 * proof.nearest_distance[:2]).all()


def test_a_pattern_that_keeps_the_fixed_point_at_which_another_ends_may_be_stored():
    """On a line both end at 0.787: all of [0.7, 1.3] converges there, and the ball of the other may be small."""
    memory = ht.Memory(torch.tensor([[1.0], [0.3]], dtype=torch.float64), 1.5, 0.0)
    ball = torch.linspace(0.7, 1.3, 25, dtype=torch.float64)[:, None]
    assert (ht.retrieve(memory, ball).state - ball[0]).abs().max() < 0.3
    assert (memory.jacobian(ball) < 1).all()
    proof = ht.certify(memory)
    assert proof.merged_with.tolist() == [1, 0]
    assert proof.status.tolist() == [ht.Storage.UNDECIDED, ht.Storage.NOT_STORED]
    assert proof.loss_proved.tolist() == [False, True]
    assert "not both stored: patterns 0 (with 1), 1 (with 0)" in proof.summary()


def test_duplicates_are_proved_lost_and_entmax_claims_nothing():
    patterns = unit(6, 4, seed=3)
    patterns[1] = patterns[0]
    assert ht.certify(ht.Memory(patterns, 200.0)).loss_proved.tolist() == [True, True, False, False, False, False]
    proof = ht.certify(ht.Memory(patterns, 0.1, separation=ht.Entmax(1.5)))
    assert (proof.status == ht.Storage.NOT_STORED).all()
    assert proof.loss_proved.tolist() == [True, True, False, False, False, False]
