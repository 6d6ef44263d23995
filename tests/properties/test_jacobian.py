"""T7: the Jacobian is β times a covariance, and the bounds that follow."""

import torch
from hypothesis import given

from hopfield_theory.model.separation import SoftmaxN
from hopfield_theory.testing import problems

EPS = torch.finfo(torch.float64).eps


@given(problems())
def test_t7_symmetric_positive_semidefinite_and_bounded_by_the_diameter(problem):
    memory, x = problem
    jacobian = memory.jacobian(x)
    size = memory.beta * memory.radius**2
    tolerance = 256 * EPS * size * (1 + memory.beta * memory.radius * x.norm().item())
    assert (jacobian - jacobian.mT).abs().max() <= tolerance
    eigenvalues = torch.linalg.eigvalsh(0.5 * (jacobian + jacobian.mT))
    assert eigenvalues.min() >= -tolerance
    if isinstance(memory.separation, SoftmaxN):
        points = memory.patterns
        if memory.noop:
            points = torch.cat([points, torch.zeros_like(points[:1])])
        diameter = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").max()
        assert eigenvalues.max() <= memory.beta * diameter**2 / 4 + tolerance
        weights, noop_weight = memory.weights(x), memory.noop_weight(x)
        for index in range(memory.num_patterns):
            others = weights.sum() - weights[index]
            assert eigenvalues.max() <= size * (4 * others + noop_weight) + tolerance


@given(problems())
def test_the_jacobian_is_the_derivative_of_the_update(problem):
    memory, x = problem
    if isinstance(memory.separation, SoftmaxN):
        # through the plain formula: the fused one has first derivatives alone, which are its gradient
        automatic = torch.autograd.functional.jacobian(
            lambda y: memory.separation.weights(memory.beta * memory.patterns @ y) @ memory.patterns, x
        )
        fused = torch.autograd.functional.jacobian(memory.update, x)
    else:
        automatic = fused = torch.autograd.functional.jacobian(memory.update, x)
    size = memory.beta * memory.radius**2
    tolerance = 256 * EPS * size * (1 + memory.beta * memory.radius * (x.norm().item() + memory.radius))
    torch.testing.assert_close(memory.jacobian(x), automatic, rtol=0, atol=max(tolerance, 1e-14))
    torch.testing.assert_close(fused, automatic, rtol=0, atol=max(tolerance, 1e-14))
