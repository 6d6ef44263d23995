"""Fixed points without most of the patterns: against explicit memories, quadrature and autograd."""

import math

import numpy as np
import pytest
import torch

from hopfield_theory.bounds import RandomMemory, mean_field
from hopfield_theory.bounds.cap_heights import log_height
from hopfield_theory.measured.capacity import Setting, outcomes
from hopfield_theory.measured.sampled_capacity import fixed_point_capacity
from hopfield_theory.model import batched
from hopfield_theory.sampled.fixed_points import fixed_points
from hopfield_theory.sampled.mean_crowd import MeanCrowd
from hopfield_theory.sampled.overlaps import overlap_law
from hopfield_theory.statistics import wilson


def placed(dim, log_share):
    """The overlap that a rival exceeds with a given probability."""
    return 1.0 - float(np.exp(log_height(log_share, dim)))


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(("dim", "kappa", "log_share"), [(3, 5.0, -3.0), (8, 16.0, -2.0), (200, 200.0, -60.0)])
def test_the_mean_is_that_of_the_patterns_below_the_threshold(dim, kappa, log_share):
    """By another quadrature: over the part across too, by Gauss-Jacobi nodes."""
    from scipy import special

    a, b = 0.5, 0.4
    crowd = MeanCrowd(overlap_law("sphere", dim), log_share, kappa)
    log_mean, along, across = (float(it) for it in crowd(numbers(a), numbers(b)))
    threshold = placed(dim, log_share)
    t, t_weight = np.polynomial.legendre.leggauss(1500)
    t = -1 + (t + 1) * (threshold + 1) / 2
    t_weight = t_weight * (1 - t * t) ** ((dim - 3) / 2)
    power = (dim - 4) / 2
    c, c_weight = special.roots_jacobi(400, power, power) if dim < 100 else np.polynomial.legendre.leggauss(1500)
    c_weight = c_weight if dim < 100 else c_weight * (1 - c * c) ** power
    score = kappa * (a * t[:, None] + b * np.sqrt(1 - t * t)[:, None] * c)
    top = score.max()
    mass = t_weight[:, None] * c_weight * np.exp(score - top)
    total = t_weight.sum() * c_weight.sum()
    assert log_mean == pytest.approx(top + math.log(mass.sum() / total), rel=1e-9)
    assert along == pytest.approx((mass * t[:, None]).sum() / mass.sum(), abs=1e-8)
    assert across == pytest.approx((mass * np.sqrt(1 - t * t)[:, None] * c).sum() / mass.sum(), abs=1e-8)
    twice = MeanCrowd(overlap_law("sphere", dim), log_share, 2 * kappa)
    assert float(crowd.log_square(numbers(a), numbers(b))) == pytest.approx(float(twice(numbers(a), numbers(b))[0]))


def test_the_smallest_shares_of_many_dimensions_are_kept():
    """Beyond e^745 of shares the nodes that carry the mean were once dropped: with no cap to speak of, g is Ψ_d."""
    dim, kappa = 1000, 5000.0
    log_mean, _, _ = MeanCrowd(overlap_law("sphere", dim), -1200.0, kappa)(numbers(1.0), numbers(0.0))
    t = np.linspace(-1, placed(dim, -1200.0), 2_000_001)[1:]
    log_weight = (dim - 3) / 2 * np.log1p(-t * t)
    exact = np.logaddexp.reduce(log_weight + kappa * t) - np.logaddexp.reduce(log_weight)
    assert float(log_mean) == pytest.approx(exact, abs=0.05)


def test_its_gradient_is_that_of_its_logarithm():
    crowd = MeanCrowd(overlap_law("sphere", 12), -5.0, 12.0)
    a, b = (it.requires_grad_() for it in (numbers(0.9, 0.2, -0.3), numbers(0.1, 0.5, 0.7)))
    log_mean, along, across = crowd(a, b)
    by_a, by_b = torch.autograd.grad(log_mean.sum(), (a, b))
    torch.testing.assert_close(along, by_a / 12.0, rtol=0, atol=1e-10)
    torch.testing.assert_close(across, by_b / 12.0, rtol=0, atol=1e-7)


def test_where_all_are_drawn_it_is_the_explicit_memory():
    found = fixed_points(RandomMemory(8, 8.0, 0.5), math.log(40), trials=30, seed=3)
    assert (found.fluctuation == 0).all()
    for trial in (0, 17):
        rivals = np.random.default_rng([3, trial]).standard_normal((39, 8))
        rivals /= np.linalg.norm(rivals, axis=1, keepdims=True)
        patterns = torch.tensor(np.concatenate([np.eye(1, 8), rivals]))[None]
        end = batched.fixed_points(patterns[:, :1], patterns, 8.0, 0.5, tol=1e-12, max_steps=10_000).state
        assert found.error[trial] == pytest.approx(float((end - patterns[:, 0]).norm()), abs=1e-5)


@pytest.mark.parametrize("log_noop", [-math.inf, 4.0])
def test_rates_are_those_of_explicit_memories(log_noop):
    """d = 12, λ = 1, 500 patterns, 100 of them drawn: near the end of storage."""
    memory = RandomMemory(12, 12.0, log_noop)
    explicit = outcomes(Setting(memory), 500, 200, seed=0)
    found = fixed_points(memory, math.log(500), trials=200, seed=1, drawn=100)
    ours = wilson(int((found.error <= 0.5).sum()), 200, 0.999)
    theirs = wilson(int(explicit.sum()), 200, 0.999)
    assert 0.1 < ours.estimate < 0.9
    assert ours.low <= theirs.high
    assert theirs.low <= ours.high


def test_what_is_left_out_is_what_the_bound_says():
    """Trial by trial: an explicit memory against the same memory with its far patterns replaced by their mean."""
    dim, kappa, size = 10, 10.0, 4000
    law = overlap_law("sphere", dim)
    share = math.log(300 / (size - 1))
    threshold, crowd = placed(dim, share), MeanCrowd(law, share, kappa)
    x = torch.zeros(dim, dtype=torch.float64)
    x[0], x[1] = 0.8, 0.2
    shifts = []
    for seed in range(60):
        patterns = np.random.default_rng(seed).standard_normal((size, dim))
        patterns = torch.tensor(patterns / np.linalg.norm(patterns, axis=1, keepdims=True))
        far = patterns[patterns[:, 0] < threshold]
        weights = (kappa * patterns @ x).exp()
        exact = weights @ patterns / weights.sum()
        log_mean, along, across = (float(it) for it in crowd(x[:1], x[1:2]))
        others = len(far) * math.exp(log_mean) * torch.tensor([along, across, *[0.0] * (dim - 2)]).double()
        near = patterns[:, 0] >= threshold
        total = weights[near].sum() + len(far) * math.exp(log_mean)
        mean = (weights[near] @ patterns[near] + others) / total
        bound = 2 * math.sqrt(len(far) * math.exp(float(crowd.log_square(x[:1], x[1:2])))) / float(total)
        shifts.append(float((exact - mean).norm()) / bound)
    root_mean_square = math.sqrt(np.mean(np.square(shifts)))
    assert 0.2 < root_mean_square < 1


def test_trials_do_not_depend_on_how_they_are_batched():
    options = {"memory": RandomMemory(20, 20.0), "log_patterns": 9.5, "drawn": 50.0, "seed": 4}
    whole = fixed_points(**options, trials=20)
    parts = [fixed_points(**options, trials=count, first=first) for first, count in ((0, 7), (7, 13))]
    np.testing.assert_allclose(np.concatenate([part.error for part in parts]), whole.error, atol=1e-9)


@pytest.mark.slow
def test_the_mean_field_fold_is_reached_in_high_dimensions():
    """C5 takes the crowd at its mean, and at d = 40 no more is left of that than 0.2%."""
    memory = RandomMemory.of_lambda(40, 0.5)
    found = fixed_point_capacity(memory, drawn=100, precision=0.1, seed=0)
    assert found.log_patterns.estimate == pytest.approx(mean_field.predicted(memory), rel=2e-3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"memory": RandomMemory(2, 8.0), "log_patterns": 20.0}, "dim is 2: it must be"),
        ({"log_patterns": math.nan}, "log_patterns is nan"),
        ({"drawn": 0.5}, "drawn is 0.5"),
        ({"memory": RandomMemory(2, 8.0)}, "dim is 2: it must be"),
        ({"log_patterns": 701.0}, "log_patterns is 701"),
        ({"drawn": math.inf}, "drawn is inf"),
        ({"trials": 0}, "trials is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"first": 0.5}, "first is 0.5"),
    ],
)
def test_bad_numbers_are_refused(changed, message):
    options = {"memory": RandomMemory(8, 8.0), "log_patterns": 3.0, "trials": 2, "seed": 0}
    with pytest.raises(ValueError, match=message):
        fixed_points(**(options | changed))
