"""Many memories at once give what each gives alone."""

import math

import pytest
import torch

from hopfield_theory.model import batched
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve


def memories(number, count, dim, seed=0):
    rows = torch.randn(number, count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=-1)


@pytest.mark.parametrize("noop", [0.0, 1.0, 50.0])
def test_updates_are_the_memory_s(noop):
    patterns = memories(3, 7, 4)
    x = memories(3, 2, 4, seed=1)
    log_noop = math.log(noop) if noop else -math.inf
    for own, query, found in zip(patterns, x, batched.update(x, patterns, 6.0, log_noop), strict=True):
        torch.testing.assert_close(found, Memory(own, 6.0, noop).update(query), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("count", "beta"), [(40, 12.0), (5, 300.0), (1, 2.0)])
def test_limits_are_those_of_retrieval(count, beta):
    """Near a fold some queries take hundreds of updates and others three: they part, and none is mixed up."""
    patterns = memories(6, count, 5)
    there = batched.fixed_points(patterns, patterns, beta, 0.0, tol=1e-10, max_steps=3000)
    found, at_rest = there.state, there.converged
    assert at_rest.all()
    for own, limit in zip(patterns, found, strict=True):
        alone = retrieve(Memory(own, beta, 1.0), own, 1e-10, 3000)
        # slow queries stop with a rest of a step over one minus the rate: at most a few hundred times the tolerance
        torch.testing.assert_close(limit, alone.state, rtol=0, atol=1e-7)


def test_queries_that_still_move_are_told():
    patterns = memories(4, 40, 5)
    there = batched.fixed_points(patterns, patterns, 12.0, 0.0, tol=1e-10, max_steps=30)
    found, at_rest = there.state, there.converged
    assert 0 < at_rest.sum() < at_rest.numel()
    moved = (batched.update(found, patterns, 12.0, 0.0) - found).norm(dim=-1)
    assert (moved[at_rest] <= 1e-10).all()
    assert (moved[~at_rest] > 1e-11).all()


def test_no_queries_and_no_memories():
    patterns = memories(2, 3, 4)
    for empty in (patterns[:, :0], patterns[:0]):
        there = batched.fixed_points(empty, patterns[: len(empty)], 1.0, 0.0, tol=1e-6, max_steps=5)
        found, at_rest = there.state, there.converged
        assert found.shape == empty.shape
        assert at_rest.shape == empty.shape[:2]
