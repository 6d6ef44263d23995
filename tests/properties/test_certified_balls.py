"""T12 and T13: what a certificate promises is kept, and it promises no less than the worst case."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hopfield_theory.certificates.certify import Storage, certify, guaranteed
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.testing import memories


def sphere(count, dim, seed, radius=1.0, spread=0.0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, dim, dtype=torch.float64, generator=generator)
    norms = 1 + spread * (2 * torch.rand(count, 1, dtype=torch.float64, generator=generator) - 1)
    return radius * norms * rows / rows.norm(dim=1, keepdim=True)


def error_bound(memory, index, R):
    """ε(R) of one pattern, written out: the sum over the others and the no-op slot as a pattern at zero."""
    pattern = memory.patterns[index]
    others = torch.cat([memory.patterns[:index], memory.patterns[index + 1 :]])
    w = (others - pattern).norm(dim=1)
    g = (pattern - others) @ pattern
    leak = memory.noop * pattern.norm() * torch.exp(-memory.beta * (pattern @ pattern - R * pattern.norm()))
    return float((w * torch.exp(-memory.beta * (g - R * w))).sum() + leak)


def worst_case(memory, index, R):
    """T12: ε(R) and L(R) from the gap, the number and the largest norm alone."""
    m, beta, others = memory.radius, memory.beta, memory.num_patterns - 1
    pattern = memory.patterns[index]
    overlaps = memory.patterns @ pattern
    gap = float(overlaps[index] - torch.cat([overlaps[:index], overlaps[index + 1 :]]).max()) if others else math.inf
    pair = others * math.exp(min(-beta * (gap - 2 * m * R), 700.0)) if others else 0.0
    leak = memory.noop * math.exp(min(-beta * (float(pattern @ pattern) - m * R), 700.0))
    return m * (2 * pair + leak), beta * m * m * (4 * pair + leak)


@settings(max_examples=30)
@given(memories(), st.integers(0, 2**32 - 1))
def test_every_query_of_a_certified_ball_ends_within_the_error(memory, seed):
    proof = certify(memory)
    generator = torch.Generator().manual_seed(seed)
    for index in proof.stored.nonzero().flatten().tolist():
        radius = min(float(proof.radius[index]), 4 * memory.radius + 1)
        directions = torch.randn(8, memory.dim, dtype=torch.float64, generator=generator)
        directions /= directions.norm(dim=1, keepdim=True)
        # at the brim, where the promise is boldest, and inside; the brim itself may be a fixed point
        lengths = torch.cat([torch.full((4, 1), 0.999), torch.rand(4, 1, generator=generator)]).double()
        start = memory.patterns[index] + radius * lengths * directions
        found = retrieve(memory, start, tol=1e-13, max_steps=20_000)
        assert found.converged.all()
        distance = (found.state - memory.patterns[index]).norm(dim=1)
        # T13 turns the last step into the distance that is left to the fixed point
        left = found.residual / (1 - proof.contraction[index])
        assert (distance <= proof.error[index] + left + 1e-14 * memory.radius).all()


@settings(max_examples=30)
@given(memories())
def test_certified_balls_hold_one_fixed_point_each_and_do_not_meet(memory):
    proof = certify(memory)
    stored = proof.stored.nonzero().flatten()
    assert (proof.error[stored] <= proof.radius[stored]).all()
    assert (proof.contraction[stored] < 1).all()
    assert (proof.radius[~proof.stored] == 0).all()
    for a in stored.tolist():
        jacobian = memory.jacobian(memory.patterns[a])
        assert torch.linalg.matrix_norm(jacobian, 2) <= proof.contraction[a] * (1 + 1e-9) + 1e-12 * memory.beta
        for b in stored.tolist():
            if a != b:
                distance = (memory.patterns[a] - memory.patterns[b]).norm()
                assert proof.error[a] + proof.error[b] < distance
                # two balls with a fixed point each, to which all their points go, cannot share a point
                if torch.isfinite(proof.radius[a] + proof.radius[b]):
                    assert proof.radius[a] + proof.radius[b] <= distance * (1 + 1e-9)


@pytest.mark.parametrize(("beta", "noop"), [(2.0, 1.0), (20.0, 0.0), (20.0, 1.0), (45.0, 30.0), (200.0, 1.0)])
@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_never_weaker_than_the_worst_case(beta, noop, spread):
    passed = 0
    memory = Memory(sphere(12, 6, 0, spread=spread), beta, noop)
    proof = certify(memory)
    for index in range(memory.num_patterns):
        for R in torch.linspace(0.002, 1, 60).tolist():
            R *= memory.radius
            error, _ = worst_case(memory, index, R)
            if error > R * (1 - 1e-9):
                continue
            inner = R
            for _ in range(30):
                inner = worst_case(memory, index, inner)[0]
            if worst_case(memory, index, inner)[1] >= 1 - 1e-9:
                continue
            passed += 1
            assert proof.stored[index]
            assert proof.radius[index] >= R * (1 - 1e-9)
            assert proof.error[index] <= inner * (1 + 1e-9) + 1e-15
    assert passed or beta < 10


def test_the_radii_are_the_largest_that_the_sums_allow():
    """Against the sums written out, at radii found by brute force: valid everywhere, and within 2% of the best."""
    for memory in (Memory(sphere(150, 12, 0), 18.0, 1.0), Memory(sphere(80, 8, 1, spread=0.2), 40.0, 5.0)):
        proof = certify(memory)
        assert 10 < int(proof.stored.sum()) < memory.num_patterns
        for index in range(memory.num_patterns):
            if not proof.stored[index]:
                radii = torch.logspace(-4, 0, 400).tolist()
                assert min(error_bound(memory, index, R) - R for R in radii) > -2e-3
                continue
            radius, error = float(proof.radius[index]), float(proof.error[index])
            assert error_bound(memory, index, radius) <= radius
            assert error_bound(memory, index, error) <= error
            assert error_bound(memory, index, 1.021 * radius) > 1.021 * radius
            assert error_bound(memory, index, 0.9 * error) > 0.9 * error
            slope = (error_bound(memory, index, error + 1e-7) - error_bound(memory, index, error - 1e-7)) / 2e-7
            assert slope * (1 - 1e-5) <= proof.contraction[index] <= 1.1 * slope + 1e-9


def test_entmax_balls_are_mapped_onto_the_pattern():
    from hopfield_theory.model.separation import Entmax

    for alpha in (1.5, 2.0, 3.0):
        memory = Memory(sphere(40, 8, 2), 12.0, separation=Entmax(alpha))
        proof = certify(memory)
        assert proof.stored.any()
        for index in proof.stored.nonzero().flatten().tolist():
            pattern = memory.patterns[index]
            others = torch.cat([memory.patterns[:index], memory.patterns[index + 1 :]])
            # the ball touches the half-space of the neighbour that limits it
            w, g = (others - pattern).norm(dim=1), (pattern - others) @ pattern
            limits = (g - 1 / (12.0 * (alpha - 1))) / w
            assert float(proof.radius[index]) == pytest.approx(float(limits.min()), rel=1e-9)
            direction = (others - pattern)[limits.argmin()] / w[limits.argmin()]
            inside = memory.update(pattern + 0.999 * proof.radius[index] * direction)
            outside = memory.update(pattern + 1.02 * proof.radius[index] * direction)
            torch.testing.assert_close(inside, pattern, rtol=0, atol=1e-12)
            assert (outside - pattern).norm() > 1e-6


@settings(max_examples=30)
@given(memories(), st.integers(0, 2**32 - 1))
def test_guaranteed_queries_keep_their_promise(memory, seed):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(6, memory.dim, dtype=torch.float64, generator=generator)
    queries = memory.patterns[torch.arange(6) % memory.num_patterns] + 0.3 * memory.radius * noise
    known = guaranteed(memory, queries)
    pattern, error = known
    assert torch.equal(torch.isnan(error), ~known.decided)
    if known.rejected.any():
        found = retrieve(memory, queries[known.rejected], tol=1e-13, max_steps=20_000)
        assert (found.state.norm(dim=1) <= error[known.rejected] + 1e-6 * memory.radius).all()
    promised = pattern >= 0
    if promised.any():
        found = retrieve(memory, queries[promised], tol=1e-13, max_steps=20_000)
        distance = (found.state - memory.patterns[pattern[promised]]).norm(dim=1)
        assert (distance <= error[promised] + 1e-6 * memory.radius).all()
        assert certify(memory).stored[pattern[promised]].all()


def test_what_is_not_stored_is_followed_and_reported():
    patterns = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.4, 0.4], [1.0, 0.0]], dtype=torch.float64)
    proof = certify(Memory(patterns, 60.0, 0.0))
    assert proof.status.tolist() == [Storage.NOT_STORED, Storage.STORED, Storage.NOT_STORED, Storage.NOT_STORED]
    assert (proof.nearest_distance == 0).nonzero().flatten().tolist() == [0, 3]
    assert proof.gap[2] <= 0
    assert math.isnan(proof.fixed_point_distance[1])
    assert proof.fixed_point_distance[2] > 0.5 * proof.nearest_distance[2]
    assert proof.retrieved.tolist() == [False, True, False, False]


def test_a_single_pattern():
    dense = certify(Memory([[2.0, 0.0]], 1.0, 0.0))
    assert dense.stored.all()
    assert dense.radius.item() == math.inf
    assert dense.error.item() == 0
    assert (dense.nearest.item(), dense.rival.item(), dense.gap.item()) == (-1, -1, math.inf)
    gated = certify(Memory([[2.0, 0.0]], 4.0, 1.0))
    assert gated.stored.all()
    assert 0 < gated.error.item() < gated.radius.item() < 2
    # stored by the definition, since everything ends at one fixed point; the error says how little that is worth
    weak = certify(Memory(torch.tensor([[0.1, 0.0]], dtype=torch.float64), 1.0, 1.0))
    assert weak.stored.all()
    assert 0.05 < weak.error.item() <= 0.1 * (1 + 1e-9)


def test_float32_sweeps_agree_with_float64_within_their_margin(monkeypatch):
    from hopfield_theory.certificates import ball_bound

    memory = Memory(sphere(9000, 16, 5).float(), 60.0, 1.0)
    block = torch.arange(0, 9000, 60)
    narrow = ball_bound.certified_balls(memory, block)
    monkeypatch.setitem(ball_bound._ROUNDING, torch.float32, ball_bound._ROUNDING[torch.float64])
    dtypes = []
    sweep = ball_bound._sweep
    monkeypatch.setattr(ball_bound, "_sweep", lambda *a: dtypes.append(a[-1]) or sweep(*a[:-1], torch.float64))
    wide = ball_bound.certified_balls(memory, block)
    assert torch.float32 in dtypes
    both = (narrow.radius > 0) & (wide.radius > 0)
    assert int(both.sum()) > 100
    # the margin can only cost: never a ball that float64 does not see, and not much of one that it does
    assert not ((narrow.radius > 0) & (wide.radius == 0)).any()
    assert int(((wide.radius > 0) & (narrow.radius == 0)).sum()) <= 3
    assert (narrow.radius[both] <= wide.radius[both] * (1 + 1e-6)).all()
    assert (narrow.radius[both] >= wide.radius[both] * 0.97).all()
    assert (narrow.error[both] >= wide.error[both] * (1 - 1e-6)).all()
    torch.testing.assert_close(narrow.nearest_distance, wide.nearest_distance, rtol=1e-4, atol=0)


def test_close_neighbours_are_decided_in_float64():
    """In float32 the two near patterns could not be told apart."""
    from hopfield_theory.certificates.ball_bound import certified_balls

    patterns = sphere(8200, 8, 6)
    patterns[1] = patterns[0] + 1e-5 * patterns[2]
    found = certified_balls(Memory(patterns, 100.0, 0.0), torch.tensor([0, 1]))
    assert found.nearest.tolist() == [1, 0]
    assert found.nearest_distance[0].item() == pytest.approx(1e-5, rel=1e-6)


def test_certify_refuses_what_it_cannot_certify():
    class Hard:
        def weights(self, scores):
            return torch.nn.functional.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores)

        def conjugate(self, scores):
            return scores.amax(-1)

        def curvature(self, weights):
            return torch.zeros_like(weights), torch.ones_like(weights[..., :1])

    memory = Memory(torch.eye(2), 1.0, separation=Hard())
    with pytest.raises(TypeError, match="separation"):
        certify(memory)
    with pytest.raises(TypeError, match="separation"):
        guaranteed(memory, torch.eye(2))
    with pytest.raises(ValueError, match="max_steps"):
        certify(Memory(torch.eye(2)), max_steps=0)


def test_one_fixed_point_for_all_is_no_storage():
    """At small β the bound holds in huge balls, which are not disjoint: all patterns share one limit."""
    proof = certify(Memory(torch.eye(3, dtype=torch.float64), 0.01, 0.0))
    assert proof.status.tolist() == [Storage.NOT_STORED] * 3
    assert (proof.radius == 0).all()
    # of unequal norms: the ball that the bound gives the larger one holds the limit of the smaller one too
    patterns = torch.tensor([[3.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    memory = Memory(patterns, 0.096, 0.0)
    assert error_bound(memory, 0, 1.6) < 1.6
    limits = retrieve(memory, patterns).state
    torch.testing.assert_close(limits[0], limits[1], rtol=0, atol=1e-6)
    assert not certify(memory).stored.any()


def test_not_stored_is_said_exactly_outside_the_admissible_balls():
    memory = Memory(sphere(400, 12, 7), 16.0, 1.0)
    proof = certify(memory)
    lost, open_ = proof.status == Storage.NOT_STORED, proof.status == Storage.UNDECIDED
    share = proof.fixed_point_distance / proof.nearest_distance
    assert lost.any()
    # but for pairs that meet midway, as near as retrieval tells
    assert ((share[lost] >= 0.5) | ((share[lost] > 0.4999) & (proof.merged_with[lost] >= 0))).all()
    assert (share[open_] < 0.5).all()
    # some undecided ones lie well inside, some near the border: the border is where it is said to be
    assert ((share > 0.1) & (share < 0.5)).any()
    found = retrieve(memory, memory.patterns[lost | open_], max_steps=10_000)
    distance = (found.state - memory.patterns[lost | open_]).norm(dim=1)
    torch.testing.assert_close(distance, proof.fixed_point_distance[lost | open_], rtol=1e-4, atol=1e-6)


def test_guarantees_end_at_the_radius():
    memory = Memory(sphere(60, 10, 8), 40.0, 1.0)
    proof = certify(memory)
    stored = proof.stored.nonzero().flatten()
    assert len(stored) > 30
    toward = sphere(60, 10, 9)[stored]
    for factor, expected in ((0.999, stored), (1.001, torch.full_like(stored, -1))):
        queries = memory.patterns[stored] + factor * proof.radius[stored, None] * toward
        near = memory.nearest(queries)[0] == stored
        assert int(near.sum()) > 25
        assert torch.equal(guaranteed(memory, queries)[0][near], expected[near])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_rounding_of_a_distance_is_left_out_of_a_guarantee(dtype):
    """8 √d ε m, no less and no more: queries off one pattern along another axis, whose distance has one rounding."""
    memory = Memory(torch.eye(4, dtype=dtype), 20.0)
    radius = certify(memory).radius[0].item()
    margin = 8 * 2 * torch.finfo(dtype).eps
    queries = torch.zeros(2, 4, dtype=torch.float64)
    queries[:, 0] = 1.0
    queries[:, 1] = radius - margin * torch.tensor([8.5 / 8, 7.5 / 8], dtype=torch.float64)
    assert guaranteed(memory, queries.to(dtype))[0].tolist() == [0, -1]


def test_guarantees_keep_the_shape_of_the_queries():
    memory = Memory(torch.eye(3, dtype=torch.float64), 20.0)
    queries = torch.eye(3, dtype=torch.float64)[[2, 0, 0, 1, 2, 2]].reshape(2, 1, 3, 3)
    pattern, error = guaranteed(memory, queries)
    assert pattern.tolist() == [[[2, 0, 0]], [[1, 2, 2]]]
    torch.testing.assert_close(error, certify(memory).error[pattern], rtol=0, atol=0)
    assert [t.shape for t in guaranteed(memory, queries[:0])] == [(0, 1, 3)] * 2
    pattern, error = guaranteed(memory, torch.full((3,), 0.5, dtype=torch.float64))
    assert pattern.item() == -1
    assert math.isnan(error.item())


def test_progress_goes_over_the_pairs_and_then_over_what_is_followed(monkeypatch):
    from hopfield_theory.certificates import certify as module

    monkeypatch.setattr(module, "_ROWS", 150)
    memory = Memory(sphere(400, 12, 7), 16.0, 1.0)
    seen = []
    proof = certify(memory, progress=lambda done, whole: seen.append((done, whole)))
    assert seen[:3] == [(150, 400), (300, 400), (400, 400)]
    followed = int((~proof.stored).sum())
    assert seen[-1] == (followed, followed)
    torch.testing.assert_close(vars(proof), vars(certify(memory)), rtol=0, atol=0, equal_nan=True)


def test_what_has_not_converged_is_undecided():
    memory = Memory(sphere(400, 12, 7), 16.0, 1.0)
    proof = certify(memory, max_steps=1)
    followed = ~proof.stored
    assert (proof.status[followed] == Storage.UNDECIDED).all()
    assert torch.isnan(proof.fixed_point_distance).all()
    assert not proof.retrieved[followed].any()
    for wrong in (0, 2.5):
        with pytest.raises(ValueError, match=f"^max_steps is {wrong}: it must be an integer of at least 1"):
            certify(memory, max_steps=wrong)


def test_states_are_said_in_words():
    for status, words in zip(Storage, ("stored: proved", "not stored: retrieval", "undecided: the bound"), strict=True):
        assert status.message.startswith(words)


def test_duplicates_are_found_beside_near_neighbours():
    """In a large memory, whose sweeps are in float32."""
    from hopfield_theory.certificates.ball_bound import certified_balls

    patterns = sphere(8200, 8, 10)
    patterns[1] = patterns[0] + 1e-7 * patterns[3]
    patterns[2] = patterns[0]
    found = certified_balls(Memory(patterns, 60.0, 0.0), torch.tensor([0, 2]))
    assert found.nearest.tolist() == [2, 0]
    assert found.nearest_distance.tolist() == [0.0, 0.0]
    assert (found.radius == 0).all()


def test_reduced_precision_cannot_make_a_proof():
    """A pair that has merged, in a memory that is swept in float32: bfloat16 products would certify it."""
    patterns = sphere(2, 3, 11)
    patterns[1] = patterns[0] + 0.0866 * torch.linalg.cross(patterns[0], patterns[1])
    patterns[1] /= patterns[1].norm()
    memory = Memory(torch.cat([patterns, (-patterns[:1]).expand(8298, -1)]), 480.0, 0.0)
    from hopfield_theory.certificates.ball_bound import certified_balls

    plain = certified_balls(memory, torch.arange(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = certified_balls(memory, torch.arange(2))
    assert torch.equal(plain.radius, mixed.radius)
    assert torch.equal(plain.nearest_distance, mixed.nearest_distance)
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.allclose(
            certified_balls(memory, torch.arange(2)).nearest_distance, plain.nearest_distance, rtol=1e-12, atol=0
        )
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_pattern_without_a_gap_is_never_certified():
    """−1, 0, 1 on a line: the middle one overlaps the others as much as itself, and attracts all at a small β."""
    patterns = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    for beta in (0.5, 5.0, 500.0):
        proof = certify(Memory(patterns, beta))
        assert proof.gap[1] == 0
        assert not proof.stored[1]
    proof = certify(Memory(patterns, 0.5))
    assert proof.fixed_point_distance[1] == 0
    assert (proof.merged_with >= 0).all()
    assert not proof.retrieved.any()


def test_the_rounding_of_log_n_is_in_the_margin():
    """One pattern of norm 0.1 and a tiny n: the exact fixed point, in 1 500 bits, is within the error."""
    import flint

    generator = torch.Generator().manual_seed(12)
    before, flint.ctx.prec = flint.ctx.prec, 1500
    try:
        for exponent in (740.0 + 200 * torch.rand(25, generator=generator, dtype=torch.float64)).tolist():
            n = 2.0**-exponent
            memory = Memory(torch.tensor([[0.1]], dtype=torch.float64), 1.0, n)
            proof = certify(memory)
            xi, x = flint.arb(0.1), flint.arb(0.1)
            for _ in range(6):
                e = (xi * x).exp()
                x = xi * e / (flint.arb(n) + e)
            assert xi - x <= flint.arb(proof.error.item())
    finally:
        flint.ctx.prec = before


def test_duplicates_among_near_duplicates():
    for seed in range(4):
        rows = sphere(24, 8, seed)
        noise = sphere(2, 8, 100 + seed)
        rows[1], rows[2], rows[3] = rows[0], rows[0] + 1e-9 * noise[0], rows[0] + 2e-9 * noise[1]
        proof = certify(Memory(rows, 30.0))
        assert (proof.nearest_distance == 0).nonzero().flatten().tolist() == [0, 1]
        assert (proof.status[:2] == Storage.NOT_STORED).all()
        assert proof.nearest_distance[2].item() == pytest.approx(1e-9, rel=1e-6)


def test_large_memories_report_gaps_and_distances_in_float64():
    memory = Memory(sphere(8300, 16, 13), 40.0)
    from hopfield_theory.certificates.ball_bound import certified_balls

    found = certified_balls(memory, torch.arange(5))
    for index in range(5):
        pattern, nearest, rival = (memory.patterns[i] for i in (index, found.nearest[index], found.rival[index]))
        assert found.nearest_distance[index].item() == pytest.approx((pattern - nearest).norm().item(), rel=1e-14)
        assert found.gap[index].item() == pytest.approx((pattern @ (pattern - rival)).item(), rel=1e-12)


def test_extreme_scales():
    unit = torch.eye(2, dtype=torch.float64)
    # the same memory in other units: the same proof, up to rounding
    reference = certify(Memory(unit, 30.0))
    for scale in (1e-100, 1e100):
        proof = certify(Memory(scale * unit, 30.0 / scale**2))
        torch.testing.assert_close(proof.radius / scale, reference.radius, rtol=1e-9, atol=0)
    tiny = certify(Memory(torch.tensor([[1e-170], [-1e-170]], dtype=torch.float64)))
    assert (tiny.nearest_distance == 0).nonzero().flatten().tolist() == []
    assert tiny.nearest_distance.tolist() == pytest.approx([2e-170] * 2)
    # with n = 1 the fixed point is half-way to zero, although the pattern's squared norm is rounded to zero
    assert certify(Memory(torch.tensor([[1e-172]], dtype=torch.float64))).error[0] >= 5e-173
    # beyond the rounding of the scores nothing is claimed
    assert not certify(Memory(unit, 1e18)).stored.any()
    with pytest.raises(ValueError, match="overflows"):
        Memory(60 * unit, 1e306)


def test_radii_at_a_large_beta_are_not_lost_to_underflow():
    """Where almost every term of the sums underflows, the radius is still the largest that the sums allow."""
    memory = Memory(sphere(300, 7, 14), 1e6, 1.0)
    proof = certify(memory)
    assert proof.stored.all()
    for index in range(0, 300, 10):
        radius = float(proof.radius[index])
        assert error_bound(memory, index, radius) <= radius
        assert error_bound(memory, index, 1.021 * radius) > 1.021 * radius


def near_duplicates(pairs, apart, dim=16):
    """Pairs of unit vectors at a distance, each pair about a direction of its own."""
    generator = torch.Generator().manual_seed(3)
    centres = torch.nn.functional.normalize(torch.randn(pairs, dim, generator=generator, dtype=torch.float64), dim=1)
    aside = torch.nn.functional.normalize(torch.randn(pairs, dim, generator=generator, dtype=torch.float64), dim=1)
    return torch.cat([centres + apart / 2 * aside, centres - apart / 2 * aside])


def test_patterns_that_share_a_fixed_point_are_neither_stored_nor_retrieved():
    """Both members of each close pair end midway; rounding put one of each within half of their distance."""
    memory = Memory(near_duplicates(30, 0.018), 64.0, normalise=True)
    proof = certify(memory)
    ends = retrieve(memory.at(), memory.patterns).state
    assert (ends[:30] - ends[30:]).norm(dim=1).max() < 1e-6
    assert proof.merged_with.tolist() == [*range(30, 60), *range(30)]
    assert (proof.status == Storage.NOT_STORED).all()
    assert not proof.retrieved.any()


def test_patterns_with_fixed_points_of_their_own_are_not_merged():
    patterns, memory = near_duplicates(30, 0.6), Memory(near_duplicates(30, 0.6), 16.0)
    proof = certify(memory)
    assert (proof.status != Storage.STORED).any()
    ends = retrieve(memory, patterns).state
    same = (torch.cdist(ends, ends) < 1e-6).fill_diagonal_(False).any(1)
    assert ((proof.merged_with >= 0) == (same & ~proof.stored)).all()
    assert 0 < int((proof.merged_with >= 0).sum()) < 30
    assert (ends - ends[proof.merged_with])[proof.merged_with >= 0].norm(dim=1).max() < 1e-6
