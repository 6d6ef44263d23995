"""T2, T3, T4 and T8 on every memory that Hypothesis draws, against formulas written out here."""

import math

import torch
from hypothesis import given

from hopfield_theory.model.memory import Memory
from hopfield_theory.model.separation import SoftmaxN, lse_n
from hopfield_theory.testing import problems

EPS = torch.finfo(torch.float64).eps


def size(memory: Memory, x: torch.Tensor) -> float:
    """The scale m² + ‖x‖² + 1/β of energies; every quantity below is a sum of a few terms of this size."""
    return memory.radius**2 + float(x @ x) + (1 + math.log(memory.num_patterns)) / memory.beta


def slots(memory: Memory, x: torch.Tensor) -> torch.Tensor:
    """Weights of the patterns, and of the no-op slot behind them."""
    return torch.cat([memory.weights(x), memory.noop_weight(x).reshape(1)])


@given(problems())
def test_t1_the_energy_lies_between_its_bounds(problem):
    memory, x = problem
    tolerance = 64 * EPS * (size(memory, x) + abs(memory.separation.conjugate(torch.zeros(1)).item()) / memory.beta)
    energy = memory.energy(x).item()
    assert energy >= 0.5 * (x.norm().item() - memory.radius) ** 2 - tolerance
    if x.norm() <= memory.radius:
        assert energy <= 2 * memory.radius**2 + tolerance


@given(problems())
def test_t2_the_update_is_a_unit_gradient_step(problem):
    memory, x = problem
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(memory.energy(leaf), leaf)
    # a score is rounded by about β m ‖x‖ ε, which moves the update by that times m
    tolerance = 64 * EPS * (1 + memory.beta * memory.radius * x.norm().item()) * (memory.radius + x.norm().item() + 1)
    torch.testing.assert_close(memory.update(x), x - gradient, rtol=0, atol=tolerance)
    torch.testing.assert_close(memory.gradient(x), gradient, rtol=0, atol=tolerance)
    if isinstance(memory.separation, SoftmaxN):
        # and the energy is its definition, term by term, by a path that shares nothing with the fused one
        n, count = memory.separation.noop, memory.num_patterns
        written = (
            0.5 * x @ x
            - lse_n(memory.beta * memory.patterns @ x, n) / memory.beta
            + 0.5 * memory.patterns.norm(dim=1).max() ** 2
            + math.log(n + count) / memory.beta
        )
        at_n = abs(math.log(n)) if n else 0.0
        assert abs(memory.energy(x) - written) <= 64 * EPS * (size(memory, x) + at_n / memory.beta)


@given(problems())
def test_t3_the_decrease_is_half_the_squared_step_and_a_divergence(problem):
    memory, x = problem
    new, energy = memory.step(x)
    decrease = energy - memory.energy(new)
    step = 0.5 * (x - new) @ (x - new)
    offset = abs(memory.separation.log_n) if isinstance(memory.separation, SoftmaxN) and memory.noop else 0.0
    tolerance = 256 * EPS * (size(memory, x) + offset / memory.beta)
    assert decrease >= step - tolerance
    if isinstance(memory.separation, SoftmaxN):
        p, q = slots(memory, x), slots(memory, new)
        # log(p/q) of weights that underflow is taken from the scores
        scores = torch.cat([memory.scores(x), x.new_tensor([memory.separation.log_n])]) - memory.separation.conjugate(
            memory.scores(x)
        )
        after = torch.cat([memory.scores(new), x.new_tensor([memory.separation.log_n])]) - memory.separation.conjugate(
            memory.scores(new)
        )
        divergence = torch.where(p > 0, p * (scores - after), 0.0).sum()
        assert q.sum() > 0
        assert abs(decrease - step - divergence / memory.beta) <= tolerance


@given(problems())
def test_t4_updates_lie_in_the_hull_of_the_patterns_and_zero(problem):
    memory, x = problem
    weights, noop_weight = memory.weights(x), memory.noop_weight(x)
    slack = 16 * EPS * (1 + memory.num_patterns) * (1 + memory.beta * memory.radius * x.norm().item())
    assert (weights >= 0).all()
    assert abs(weights.sum() + noop_weight - 1) <= max(slack, 1e-12)
    update = memory.update(x)
    torch.testing.assert_close(update, weights @ memory.patterns, rtol=0, atol=slack * (1 + memory.radius))
    assert update.norm() <= (1 - noop_weight) * memory.radius + slack * (1 + memory.radius)


@given(problems(softmax_only=True))
def test_t8_the_noop_slot_is_a_gate_of_the_dense_update(problem):
    memory, x = problem
    dense = Memory(memory.patterns, memory.beta, 0.0)
    gate = torch.sigmoid(dense.separation.conjugate(dense.scores(x)) - memory.separation.log_n)
    slack = 64 * EPS * (1 + memory.beta * memory.radius * x.norm().item()) * (1 + memory.radius)
    torch.testing.assert_close(memory.update(x), gate * dense.update(x), rtol=0, atol=slack)
