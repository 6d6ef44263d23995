"""Kernels for many small memories against the plain updates, in Triton's interpreter."""

import math

import pytest
import torch

from hopfield_theory.model import batched

if torch.cuda.is_available():
    pytest.skip("kernels run on the card here: tests/gpu", allow_module_level=True)
small_memories = pytest.importorskip("hopfield_theory.fused.kernels.small_memories", reason="Triton is not installed")


def drawn(number, count, dim, dtype):
    rows = torch.randn(number, count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(dim))
    return torch.nn.functional.normalize(rows, dim=-1).to(dtype)


# scores beyond the fixed shift too; few and many parts; one pattern; several queries; widths that fill no tile
@pytest.mark.parametrize(
    ("count", "dim", "beta", "noop", "queries", "dtype"),
    [
        (300, 5, 40.0, 1.0, 1, torch.float64),
        (300, 5, 45.0, 0.0, 2, torch.float32),
        (700, 20, 400.0, 1.0, 1, torch.float64),
        (130, 20, 60.0, 1e5, 2, torch.float32),
        (1, 3, 2.0, 1.0, 1, torch.float64),
        (40, 128, 30.0, 0.0, 1, torch.float64),
    ],
)
def test_fixed_points_are_the_plain_ones(count, dim, beta, noop, queries, dtype):
    patterns = drawn(2, count, dim, dtype)
    queries = min(queries, count)
    start = 1.5 * patterns[:, :queries]
    log_noop = math.log(noop) if noop else -math.inf
    tol = 1e-9 if dtype == torch.float64 else 1e-5
    state, steps, residual = small_memories.fixed_points(start, patterns, beta, log_noop, tol, 300)
    right = batched.fixed_points(start.double(), patterns.double(), beta, log_noop, tol=1e-12, max_steps=5000)
    assert right.converged.all()
    assert (residual <= tol).all()
    # the rest of a step over one minus the rate
    assert (state.double() - right.state).norm(dim=-1).max() < 1000 * tol
    moved = (batched.update(state.double(), patterns.double(), beta, log_noop) - state.double()).norm(dim=-1)
    assert (moved < 3 * tol).all()
    # each query ends at the first step that is short enough
    x, first = start.double(), torch.zeros_like(steps)
    for step in range(1, int(steps.max()) + 1):
        before, x = x, batched.update(x, patterns.double(), beta, log_noop)
        first[(first == 0) & ((x - before).norm(dim=-1) <= tol)] = step
    assert steps.dtype == torch.int64
    assert dtype == torch.float32 or torch.equal(first, steps)


@pytest.mark.parametrize("most", [1, 7, 27])
def test_a_number_of_updates(most):
    patterns = drawn(2, 40, 5, torch.float64)
    state, steps, residual = small_memories.fixed_points(patterns[:, :1], patterns, 12.0, 0.0, 0.0, most)
    x = patterns[:, :1]
    for _ in range(most):
        before, x = x, batched.update(x, patterns, 12.0, 0.0)
    torch.testing.assert_close(state, x, rtol=0, atol=1e-13)
    torch.testing.assert_close(residual, (x - before).norm(dim=-1), rtol=1e-6, atol=1e-13)
    assert (steps == most).all()


def test_what_they_are_not_made_for():
    x = torch.ones(2, 1, 4)
    assert small_memories.fixed_points(x.half(), x.half(), 1.0, 0.0, 0.1, 5) is None
    assert small_memories.fixed_points(x[:0], x[:0], 1.0, 0.0, 0.1, 5) is None
    assert small_memories.fixed_points(x, x, 1.0, 0.0, 0.1, 0) is None
    wide = torch.ones(1, 1, 129)
    assert small_memories.fixed_points(wide, wide, 1.0, 0.0, 0.1, 5) is None
