import math

import numpy as np
import pytest
from flint import arb, ctx

from hopfield_theory.bounds import RandomMemory, mean_field, sphere


def dense(dim, lam):
    return RandomMemory.of_lambda(dim, lam, 0.0)


@pytest.mark.parametrize(("lam", "alpha"), [(1.0, 0.6226), (0.5, 0.3870), (2.0, 0.9088)])
def test_threshold_values(lam, alpha):
    assert float(mean_field.threshold(lam)) == pytest.approx(alpha, abs=5e-5)


@pytest.mark.parametrize("lam", [1e-10, 1e-6, 1e-3, 0.5, 1.0, 3.87, 1e3, 1e6])
def test_threshold_against_ball_arithmetic(lam):
    ctx.prec = 300
    x = arb(lam)
    s = ((1 + 4 * x * x).sqrt() - 1) / (2 * x)
    reference = x * (1 - s) - (1 - s * s).log() / 2
    ctx.prec = 53
    assert float(mean_field.threshold(lam)) == pytest.approx(float(reference), rel=1e-13)


@pytest.mark.parametrize(
    ("dim", "lam", "size", "overlap"),
    [(16, 1.0, 4589, 0.77), (20, 1.0, 40010, 0.83), (16, 0.5, 84.3, 0.74), (64, 1.0, 7.94e15, 0.96)],
)
def test_published_folds(dim, lam, size, overlap):
    end = mean_field.fold(dense(dim, lam))
    assert math.exp(end.log_patterns) == pytest.approx(size, rel=1e-3)
    assert end.overlap == pytest.approx(overlap, abs=6e-3)


@pytest.mark.parametrize(("lam", "smallest"), [(0.5, 11), (1.0, 13), (2.0, 30), (3.87, 60)])
def test_smallest_dimension_with_a_fold(lam, smallest):
    assert mean_field.fold(dense(smallest - 1, lam)) is None
    assert mean_field.fold(dense(smallest, lam)) is not None


def test_fold_is_a_local_maximum_reached_from_the_top():
    for dim, lam, log_noop in [(16, 1.0, -math.inf), (30, 0.7, 5.0), (64, 1.0, 40.0), (10_000, 1.0, 0.0)]:
        memory = RandomMemory(dim, lam * dim, log_noop)
        end = mean_field.fold(memory)
        q = end.overlap + (1.0 - end.overlap) * np.linspace(-0.02, 0.95, 400)
        curve = mean_field.log_branch(q, memory)
        assert end.log_patterns >= curve.max() - 1e-9
        above = curve[q > end.overlap]
        assert np.all(np.diff(above[np.isfinite(above)]) < 0.0)


def test_branch_solves_the_mean_field_equation():
    # q (n + e^{κq} + M Ψ) = e^{κq} + M Ψ s, written out anew.
    dim, lam, n, q = 12, 1.3, 4.0, 0.8
    kappa = dim * lam
    m = math.exp(mean_field.log_branch(q, RandomMemory.of_lambda(dim, lam, n)))
    psi, s = math.exp(sphere.log_mgf(kappa * q, dim)), float(sphere.bessel_ratio(kappa * q, dim))
    target = math.exp(kappa * q)
    assert q * (n + target + m * psi) == pytest.approx(target + m * psi * s, rel=1e-12)


def test_exponent_of_the_fold_tends_to_the_threshold():
    ratios = [
        mean_field.fold(dense(d, 1.0)).log_patterns / (d * mean_field.threshold(1.0)) for d in (16, 64, 1000, 10_000)
    ]
    assert np.all(np.diff(ratios) > 0.0)
    assert ratios[0] == pytest.approx(0.846, abs=1e-3)
    assert 0.998 < ratios[-1] < 1.0


def test_noop_changes_nothing_below_and_everything_above_lambda():
    dim, lam = 400, 1.0
    without = mean_field.fold(dense(dim, lam)).log_patterns
    below = mean_field.fold(RandomMemory(dim, lam * dim, 0.5 * lam * dim)).log_patterns
    assert below == pytest.approx(without, rel=1e-6)
    assert mean_field.fold(RandomMemory(dim, lam * dim, 1.2 * lam * dim)) is None
    assert mean_field.predicted(RandomMemory(dim, lam * dim, 1.2 * lam * dim)) == -math.inf
    assert mean_field.predicted(RandomMemory(dim, lam * dim, 1e6)) == -math.inf


def test_predicted_follows_the_branch_and_stops_at_the_fold():
    end = mean_field.fold(dense(16, 1.0))
    assert mean_field.predicted(dense(16, 1.0), 0.5) == end.log_patterns
    early = mean_field.predicted(dense(16, 1.0), 0.1)
    assert early == pytest.approx(float(mean_field.log_branch(0.9, dense(16, 1.0))))
    assert early < end.log_patterns
    errors = np.linspace(0.01, 0.99, 12)
    for noop in (0.0, 1.0, 50.0):
        values = [mean_field.predicted(RandomMemory.of_lambda(16, 1.0, noop), e) for e in errors]
        assert values == sorted(values)


def test_predicted_is_infinite_where_the_overlap_never_falls():
    assert mean_field.predicted(dense(30, 3.87), 0.5) == math.inf
    assert mean_field.predicted(dense(30, 116 / 30), 0.1) == pytest.approx(35.572, abs=1e-3)


@pytest.mark.parametrize("dim", [2, 3, 50, 10_000])
@pytest.mark.parametrize("kappa", [1e-6, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("log_noop", [-math.inf, -1e4, 0.0, 30.0, 1e5])
def test_no_overflow_at_the_extremes(dim, kappa, log_noop):
    memory = RandomMemory(dim, kappa, log_noop)
    end = mean_field.fold(memory)
    assert end is None or (math.isfinite(end.log_patterns) and 0.0 < end.overlap < 1.0)
    assert not math.isnan(mean_field.predicted(memory))


def test_the_branch_starts_at_overlap_one_where_doubles_do_not_resolve_it():
    assert mean_field._start(RandomMemory(100_000, 1e17, 0.0)) == pytest.approx(1.0, abs=2e-16)


@pytest.mark.parametrize("kappa", [0.5, 3.0, 4.5, 8.0, 40.0])
@pytest.mark.parametrize("log_noop", [-20.0, -1.0, 0.0, 1.0, 3.0, 30.0])
def test_the_branch_starts_at_the_largest_overlap_that_the_slot_leaves(kappa, log_noop):
    # log(1 − q) − log q + κ q − log n changes its sign at every solution; the last one on a fine grid is the start
    q = np.linspace(0.0, 1.0, 200_001)[1:-1]
    q = np.concatenate(
        [np.exp(np.linspace(-60.0, math.log(q[0]), 20_000)), q, 1.0 - np.exp(np.linspace(-11.5, -36.0, 9))]
    )
    above = np.log1p(-q) - np.log(q) + kappa * q >= log_noop
    last = np.flatnonzero(above)[-1]
    assert q[last] <= mean_field._start(RandomMemory(2, kappa, log_noop)) <= np.append(q, 1.0)[last + 1]


@pytest.mark.parametrize("log_noop", [-math.inf, 0.0, 8.0])
def test_the_slope_is_that_of_the_branch(log_noop):
    memory, step = RandomMemory(16, 16.0, log_noop), 1e-5
    q = np.linspace(0.6, 0.9, 40)
    pull, lead = mean_field._balance(q, memory)
    assert (pull > 0).all()
    assert (lead > 0).all()
    ends = [mean_field.log_branch(q + side * step, memory) for side in (-1, 1)]
    # d log M/dq, scaled by the two positive factors of M; the difference quotient errs by its step squared times a
    # third derivative below 10⁴
    slope = mean_field._slope(q, memory) / (pull * lead)
    np.testing.assert_allclose(slope, (ends[1] - ends[0]) / (2 * step), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("dim", "lam", "overlap"), [(11, 0.4775031, 0.42562), (11, 0.95023198, 0.44456), (12, 0.42129578, 0.43615)]
)
def test_a_fold_between_two_points_of_the_scan_is_found(dim, lam, overlap):
    """Close to where folds begin: one on one side, none on the other."""
    side = -1e-9 if lam > 0.9 else 1e-9
    end = mean_field.fold(dense(dim, lam + side))
    assert end.overlap == pytest.approx(overlap, abs=2e-4)
    assert end.log_patterns == mean_field.log_branch(end.overlap, dense(dim, lam + side))
    assert mean_field.fold(dense(dim, lam - 40 * side)) is None


def test_the_end_of_the_branch_counts_the_slot():
    for log_noop in (3.0, 12.0):
        memory = RandomMemory(16, 16.0, log_noop)
        end = mean_field.fold(memory)
        assert end.log_patterns == mean_field.log_branch(end.overlap, memory)
        assert end.log_patterns != mean_field.log_branch(end.overlap, dense(16, 1.0))
    assert mean_field._start(dense(16, 1.0)) == 1.0
    heavy = RandomMemory(16, 16.0, math.log(1e5))
    assert mean_field.log_branch(0.9, heavy) < mean_field.log_branch(0.9, dense(16, 1.0))
    # an overlap that the slot alone forbids, and one that no crowd can bring down
    assert mean_field.log_branch([0.999999, 1.0], heavy).tolist() == [-math.inf] * 2
    assert mean_field.log_branch(0.5, dense(30, 3.87)) == math.inf


def test_the_error_is_a_half_unless_given():
    assert mean_field.predicted(dense(16, 1.0)) == mean_field.predicted(dense(16, 1.0), 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_field.threshold(0.0), r"lam holds 0.0: it must lie in \[2.22507e-308, 1.79769e\+308\]"),
        (lambda: mean_field.threshold(math.nan), "lam holds nan: it must"),
        (lambda: mean_field.predicted(dense(16, 1.0), 1.0), "error is 1.0: it must"),
        (lambda: mean_field.predicted(dense(16, 1.0), math.nan), "error is nan: it must"),
        (lambda: mean_field.log_branch(1.5, dense(16, 1.0)), r"overlap holds 1.5: it must lie in \[0, 1\]"),
        (lambda: mean_field.log_branch(math.nan, dense(16, 1.0)), "overlap holds nan: it must"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
