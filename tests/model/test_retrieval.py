"""Retrieval and the fixed-point iterations under it: limits, statuses, T5, and what acceleration may do."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hopfield_theory.certificates.certify import certify, guaranteed
from hopfield_theory.model import fixed_point
from hopfield_theory.model.fixed_point import Status, accelerate, iterate
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.testing import problems


def sphere(count, dim, radius, seed):
    rows = torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return radius * rows / rows.norm(dim=1, keepdim=True)


@given(problems(), st.booleans())
def test_converged_states_are_fixed_points_and_energy_fell(problem, fast):
    memory, query = problem
    found = retrieve(memory, query, tol=1e-7, max_steps=4000, accelerate=fast, energies=True)
    assert found.state.shape == query.shape
    assert found.residual.shape == found.steps.shape == found.energy.shape == ()
    offset = 1 + math.log(memory.num_patterns) + abs(memory.separation.conjugate(torch.zeros(1)).item())
    rounding = 64 * 2.0**-52 * (memory.radius**2 + float(query @ query) + offset / memory.beta)
    assert found.energy <= memory.energy(query) + rounding
    if found.converged:
        assert found.residual <= found.tolerance
        # a step can only shrink by J, whose norm is at most β D²/4 ≤ β m²
        growth = 1 + memory.beta * memory.radius**2
        assert (memory.update(found.state) - found.state).norm() <= growth * found.tolerance


@settings(max_examples=20)
@given(problems())
def test_t5_the_smallest_step_is_bounded_by_the_energy_spent(problem):
    memory, query = problem
    start, steps = memory.energy(query).item(), []
    x = query
    for count in range(1, 20):
        new = memory.update(x)
        steps.append((new - x).norm().item())
        x = new
        rounding = 256 * 2.0**-52 * (memory.radius**2 + float(query @ query) + 2 / memory.beta)
        spent = start - memory.energy(x).item()
        assert min(steps) <= math.sqrt(2 * max(spent, 0) / count) + math.sqrt(2 * rounding / count)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_least_squares_of_a_batch_are_those_of_lapack(dtype):
    """The ridge included, in float64, with nearly parallel and missing differences among them."""
    generator = torch.Generator().manual_seed(0)
    df = torch.randn(40, fixed_point._WINDOW, 20, generator=generator, dtype=torch.float64)
    df[:, 1] = df[:, 0] + 1e-4 * df[:, 1]
    df, f = df.to(dtype), torch.randn(40, 20, generator=generator, dtype=torch.float64).to(dtype)
    valid = torch.arange(fixed_point._WINDOW) < torch.arange(40).remainder(fixed_point._WINDOW + 1).unsqueeze(1)
    found, eps = fixed_point._least_squares(df, f, valid), torch.finfo(dtype).eps
    assert (found[~valid] == 0).all()
    for row in range(40):
        columns, norms = df[row][valid[row]].double().T, df[row][valid[row]].double().norm(dim=-1)
        whole = torch.cat([columns / norms, eps**0.625 * torch.eye(len(norms), dtype=torch.float64)])
        right = torch.nn.functional.pad(f[row].double(), (0, len(norms)))
        best, own = torch.linalg.lstsq(whole, right.unsqueeze(-1)).solution[:, 0], found[row][valid[row]] * norms
        least, left = ((right - whole @ x).norm() for x in (best, own))
        # backward stability: as good as an exact solution of columns that are off by a few roundings
        assert left <= least + 64 * eps * (own.norm() + right.norm())


def test_rows_leave_when_they_converge_and_count_their_own_steps():
    calls = []

    def update(x):
        calls.append(len(x))
        return 0.5 * x

    start = torch.tensor([[1.0], [64.0], [0.0]], dtype=torch.float64)
    found = iterate(update, start, tol=0.25, max_steps=100)
    assert found.steps.tolist() == [2, 8, 1]
    assert calls == [3, 2, *[1] * 6]
    assert found.state.flatten().tolist() == [0.25, 0.25, 0.0]
    assert found.residual.flatten().tolist() == [0.25, 0.25, 0.0]
    assert (found.status == Status.CONVERGED).all()


@pytest.mark.parametrize("fast", [False, True])
def test_running_out_of_steps_is_a_status_and_keeps_the_last_state(fast):
    memory = Memory(torch.eye(3, dtype=torch.float64), 4.0, 0.0)
    query = torch.tensor([[0.5, 0.4, 0.1], [1.0, 0.0, 0.0]], dtype=torch.float64)
    once = retrieve(memory, query, max_steps=1, accelerate=fast)
    assert once.steps.tolist() == [1, 1]
    torch.testing.assert_close(once.state, memory.update(query), rtol=0, atol=0)
    torch.testing.assert_close(once.residual, (memory.update(query) - query).norm(dim=1))
    assert (once.status == Status.STEPS_EXHAUSTED).all()
    assert not once.converged.any()
    some = retrieve(memory, query, max_steps=3, accelerate=fast)
    assert (some.steps <= 3).all()
    assert "largest number of updates" in Status.STEPS_EXHAUSTED.message
    assert "converged" in Status.CONVERGED.message


def test_acceleration_reaches_the_same_fixed_points_where_the_memory_is_easy():
    memory = Memory(sphere(300, 16, 4.0, 0), 1.0)
    queries = memory.patterns + 0.5 * sphere(300, 16, 1.0, 1)
    plain, fast = retrieve(memory, queries, tol=1e-10), retrieve(memory, queries, tol=1e-10, accelerate=True)
    assert plain.converged.all()
    assert fast.converged.all()
    same = ~fast.ambiguous
    assert int(same.sum()) > 250
    assert ((plain.state - fast.state).norm(dim=1)[same] < 1e-7).all()
    assert not plain.ambiguous.any()


@pytest.mark.slow
def test_acceleration_near_the_transition():
    """Few updates where the plain iteration needs hundreds, and never another end without a mark."""
    plain_steps, fast_steps, elsewhere, unmarked = [], [], 0, 0
    for seed in range(2):
        memory = Memory(sphere(4383, 16, 4.0, seed), 1.0, 0.0)
        queries = memory.patterns[:48]
        plain = retrieve(memory, queries, max_steps=20_000)
        fast = retrieve(memory, queries, max_steps=20_000, accelerate=True)
        assert plain.converged.all()
        assert fast.converged.all()
        apart = (plain.state - fast.state).norm(dim=1) > 4e-3
        elsewhere += int(apart.sum())
        unmarked += int((apart & ~fast.ambiguous).sum())
        plain_steps.append(plain.steps)
        fast_steps.append(fast.steps)
    ratio = torch.cat(fast_steps).double().median() / torch.cat(plain_steps).double().median()
    assert ratio <= 0.2
    assert unmarked == 0
    assert elsewhere <= 0.06 * 2 * 48


@settings(max_examples=50)
@given(problems())
def test_acceleration_never_raises_the_energy(problem):
    memory, query = problem
    energies = []

    def watched(x):
        state, energy = memory.step(x)
        energies.append((x.clone(), energy.clone()))
        return state, energy

    offset = 1 + math.log(memory.num_patterns) + abs(memory.separation.conjugate(torch.zeros(1)).item())
    rounding = 64 * 2.0**-52 * (memory.radius**2 + float(query @ query) + offset / memory.beta)
    found = accelerate(watched, query.unsqueeze(0), 1e-7, 300, rounding)
    # whatever was tried, the state that was kept is T of one whose energy is the least met, up to rounding
    least = min(float(energy) for _, energy in energies)
    assert memory.energy(found.state[0]).item() <= least + 2 * rounding
    assert int(found.steps) == len(energies)


def test_a_saddle_between_two_patterns_is_a_fixed_point():
    memory = Memory(torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64), 3.0, 0.0)
    found = retrieve(memory, torch.zeros(2, dtype=torch.float64))
    assert found.converged
    assert found.state.norm() == 0


@pytest.mark.parametrize("fast", [False, True])
def test_float32_converges_to_its_own_rounding(fast):
    memory = Memory(sphere(500, 16, 4.0, 3).float(), 1.0)
    found = retrieve(memory, memory.patterns[:32], accelerate=fast)
    assert found.converged.all()
    assert found.tolerance == pytest.approx(8 * 2.0**-23 * memory.radius)
    exact = retrieve(memory.to(torch.float64), memory.patterns[:32])
    # residual / (1 − L), with L below 0.9 at this load
    assert ((found.state.double() - exact.state).norm(dim=1) < 20 * found.tolerance).all()


def test_progress_is_reported_to_the_end():
    for fast in (False, True):
        seen = []
        memory = Memory(sphere(50, 8, 3.0, 4), 1.0)
        retrieve(memory, memory.patterns, accelerate=fast, progress=lambda done, whole: seen.append((done, whole)))  # noqa: B023
        assert seen[-1] == (50, 50)
        assert seen == sorted(seen)


def test_no_queries():
    memory = Memory(torch.eye(2))
    for fast in (False, True):
        found = retrieve(memory, torch.zeros(0, 2), accelerate=fast, energies=True)
        assert found.state.shape == (0, 2)
        assert found.energy.shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"tol": 0.0}, "^tol is 0.0: it must be a finite number above 0"),
        ({"tol": math.nan}, "^tol is nan"),
        ({"tol": math.inf}, "^tol is inf"),
        ({"max_steps": 0}, "^max_steps is 0: it must be an integer of at least 1"),
        ({"max_steps": 2.5}, "^max_steps is 2.5"),
        ({"max_steps": math.inf}, "^max_steps is inf"),
        ({"queries": [[1.0]]}, "^queries has shape"),
        ({"queries": [[math.nan, 0.0]]}, "^queries holds NaN"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, match):
    with pytest.raises(ValueError, match=match):
        retrieve(Memory(torch.eye(2)), **({"queries": [[1.0, 0.0]]} | arguments))


@pytest.mark.parametrize(("dtype", "far"), [(torch.float32, 1e8), (torch.float64, 1e20)])
def test_accelerated_queries_from_far_away_keep_their_first_update(dtype, far):
    memory = Memory(torch.eye(3, dtype=dtype), 5.0)
    query = torch.tensor([far, 0.0, -far], dtype=dtype)
    for steps in (1, 1000):
        plain, fast = (retrieve(memory, query, max_steps=steps, accelerate=fast) for fast in (False, True))
        torch.testing.assert_close(fast.state, plain.state, rtol=0, atol=1e-5)


def test_iterations_get_the_tolerance_and_the_rounding_of_the_memory(monkeypatch):
    from hopfield_theory.model import fixed_point

    calls = {}
    for name in ("iterate", "accelerate"):
        original = getattr(fixed_point, name)
        monkeypatch.setattr(
            fixed_point, name, lambda *a, name=name, original=original: calls.update({name: a}) or original(*a)
        )
    memory, eps = Memory(sphere(7, 3, 5.0, 8).float(), 2.0), 2.0**-23
    for fast in (False, True):
        for tol in (1e-12, 1e-2):
            found = retrieve(memory, memory.patterns, tol, 50, accelerate=fast)
            update, start, tolerance, steps, *rounding, progress = calls["accelerate" if fast else "iterate"]
            assert (update, steps, progress) == (memory._step if fast else memory._update, 50, None)
            assert torch.equal(start, memory.patterns)
            assert found.tolerance == tolerance == max(tol, 8 * eps * memory.radius)
            # an energy is a sum of terms of the size m² + (log M + 1)/β
            assert rounding == ([16 * eps * (memory.radius**2 + (math.log(7) + 1) / 2.0)] if fast else [])


def test_scores_may_reach_a_sixteenth_of_the_largest_number():
    memory = Memory(torch.eye(4, dtype=torch.float64), 2.0)
    # β m · √d |x|_∞ against max / 16
    edge = torch.finfo(torch.float64).max / 16 / 4
    query = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    assert retrieve(memory, 0.99 * edge * query).converged
    with pytest.raises(ValueError, match=r"^queries with coordinates up to 2\.84e\+306: scores overflow torch.float64"):
        retrieve(memory, 1.01 * edge * query)


def test_energies_are_those_of_the_final_states():
    memory = Memory(sphere(20, 6, 3.0, 5), 1.0)
    queries = memory.patterns.reshape(4, 5, 6)
    found = retrieve(memory, queries, energies=True)
    assert torch.equal(found.energy, memory.energy(found.state))
    assert [t.shape for t in (found.steps, found.residual, found.status, found.energy, found.ambiguous)] == [(4, 5)] * 5
    assert retrieve(memory, queries).energy is None
    assert not found.state.requires_grad


def test_any_number_of_steps_is_taken():
    for fast in (False, True):
        assert retrieve(Memory(torch.eye(2)), torch.eye(2), max_steps=10**20, accelerate=fast).converged.all()


@pytest.mark.parametrize("function", [retrieve, guaranteed, lambda patterns, _: certify(patterns)])
def test_patterns_alone_are_no_memory(function):
    with pytest.raises(TypeError, match=r"memory is ndarray: it must be a Memory, as of Memory\(patterns, beta\)"):
        function(np.eye(3), np.eye(3))
