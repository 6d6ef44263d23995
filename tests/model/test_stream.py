"""A streamed memory is the memory, whoever computes which part of it."""

import math
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from hopfield_theory.data.ensembles import ArrayPatterns, Gaussian, RandomPatterns, Sphere
from hopfield_theory.model import fixed_point
from hopfield_theory.model import stream as module
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.model.stream import Pull, Stream, in_threads


def source(count=70_000, dim=40, dtype=torch.float64, ensemble=None):
    return RandomPatterns(ensemble or Sphere(3.0), count, dim, seed=11, dtype=dtype)


@pytest.fixture(scope="module")
def patterns():
    return source().tensor()


@pytest.fixture(scope="module")
def queries(patterns):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(5, patterns.shape[1], dtype=torch.float64, generator=generator)
    return torch.cat([patterns[:3] + 0.1 * noise[:3], 0.1 * noise[3:]])


@pytest.mark.parametrize("noop", [0.0, 1.0, 1e5])
def test_update_and_energy_are_the_memory_s(patterns, queries, noop):
    assert source().num_blocks > 2
    stream, memory = Stream(source(), 2.0, noop), Memory(patterns, 2.0, noop)
    update, energy = stream.step(queries)
    torch.testing.assert_close(update, memory.update(queries), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(energy, memory.energy(queries), rtol=1e-12, atol=1e-12)
    assert torch.equal(stream.update(queries), update)
    assert torch.equal(stream.energy(queries), energy)
    assert stream.update(queries[0]).shape == (40,)
    torch.testing.assert_close(stream.update(queries[0]), update[0], rtol=1e-13, atol=1e-13)


def test_fixed_points_are_the_memory_s(patterns, queries):
    found = Stream(source(), 2.0).retrieve(queries, tol=1e-9)
    alone = retrieve(Memory(patterns, 2.0, 1.0), queries, 1e-9, 100)
    assert (found.status == fixed_point.Status.CONVERGED).all()
    torch.testing.assert_close(found.state, alone.state, rtol=0, atol=1e-8)


def test_single_precision_is_within_its_rounding(patterns, queries):
    # scores reach β m² = 18, and each carries a few units of rounding of that size
    single = ArrayPatterns(patterns.float())
    update = Stream(single, 2.0).update(queries)
    assert update.dtype == torch.float32
    error = (update.double() - Memory(patterns, 2.0, 1.0).update(queries)).norm(dim=-1)
    assert error.max() < 3.0 * 18 * 16 * torch.finfo(torch.float32).eps


def test_the_order_of_the_sum_is_fixed(queries, monkeypatch):
    monkeypatch.setattr(module, "_BLOCKS", 1)
    stream = Stream(source(), 2.0)
    assert stream.num_parts > 2
    one_by_one = Stream(source(), 2.0, map_fn=map).pull(queries)

    def backwards(function, items):
        return reversed([function(item) for item in reversed(list(items))])

    for over in (in_threads, backwards):
        pull = Stream(source(), 2.0, map_fn=over).pull(queries)
        if over is backwards:
            assert torch.equal(pull.log_sum, one_by_one.log_sum)
            assert torch.equal(pull.average, one_by_one.average)
        # other numbers of threads round otherwise within a block
        torch.testing.assert_close(pull.average, one_by_one.average, rtol=1e-13, atol=1e-13)


def test_threads_keep_order_and_leave_torch_as_it_was():
    before = torch.get_num_threads()
    assert list(in_threads(lambda x: (x, torch.get_num_threads()), range(50))) == [(x, 1) for x in range(50)]
    assert torch.get_num_threads() == before

    def fails(x):
        if x == 3:
            raise ArithmeticError("three")
        return x

    with pytest.raises(ArithmeticError, match="three"):
        list(in_threads(fails, range(50)))


def test_pulls_merge_in_any_grouping_and_none_is_neutral(queries):
    stream = Stream(source(), 2.0)
    rows = queries
    generator = torch.Generator().manual_seed(3)
    pulls = []
    for _ in range(3):
        patterns = torch.randn(9, 40, dtype=torch.float64, generator=generator)
        scores = 2.0 * rows @ patterns.T
        pulls.append(Pull(scores.logsumexp(-1), scores.softmax(-1) @ patterns, patterns.norm(dim=-1).max().item()))
    a, b, c = pulls
    left, right = (a + b) + c, a + (b + c)
    torch.testing.assert_close(left.average, right.average, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(left.log_sum, right.log_sum, rtol=1e-14, atol=1e-14)
    assert left.radius == max(p.radius for p in pulls)
    none = Pull.none(rows)
    assert torch.equal((none + a).average, a.average)
    assert torch.equal((none + none).log_sum, none.log_sum)
    assert torch.equal((none + none).average, none.average)
    assert stream.num_parts == 1


def test_a_part_can_be_sent_to_another_process(queries):
    stream = Stream(source(), 2.0, log_noop=3.0)
    part = module._Part(stream, queries)
    again = pickle.loads(pickle.dumps(part))
    assert again.stream.log_noop == 3.0
    assert torch.equal(again(0).average, part(0).average)


@pytest.mark.parametrize("log_noop", [-math.inf, -1e4, 1e4])
def test_extreme_no_op_masses(patterns, queries, log_noop):
    update, energy = Stream(source(), 2.0, log_noop=log_noop).step(queries)
    assert update.isfinite().all()
    assert energy.isfinite().all()
    if log_noop > 0:
        assert (update == 0).all()
    else:
        torch.testing.assert_close(update, Memory(patterns, 2.0, 0.0).update(queries), rtol=1e-12, atol=1e-12)


def test_gaussian_patterns_and_progress(queries):
    seen = []
    gaussian = source(ensemble=Gaussian(0.4))
    stream = Stream(gaussian, 1.5)
    update = stream.update(queries, progress=lambda done, whole: seen.append((done, whole)))
    assert seen == [(k + 1, stream.num_parts) for k in range(stream.num_parts)]
    expected = Memory(gaussian.tensor(), 1.5, 1.0).update(queries)
    torch.testing.assert_close(update, expected, rtol=1e-12, atol=1e-12)


def test_what_is_refused(queries):
    with pytest.raises(ValueError, match=r"noop is 5\.0 and log_noop 0\.0: one must be None"):
        Stream(source(), 1.0, 5.0, log_noop=0.0)
    for beta in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="beta is"):
            Stream(source(), beta)
    with pytest.raises(ValueError, match=r"queries have shape \(2, 3\): they must be \(N, 40\)"):
        Stream(source(), 1.0).update(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="NaN or infinity"):
        Stream(source(), 1.0).update(torch.full((40,), math.nan))
    with pytest.raises(ValueError, match="tol is 0"):
        Stream(source(), 1.0).retrieve(queries, tol=0)
    with pytest.raises(ValueError, match="max_steps is 0"):
        Stream(source(), 1.0).retrieve(queries, max_steps=0)


def test_queries_are_taken_and_refused_as_by_a_memory(patterns):
    stream, memory = Stream(ArrayPatterns(patterns), 2.0), Memory(patterns, 2.0)
    rows = np.linspace(-1.0, 1.0, 2 * memory.dim).reshape(2, -1)
    for queries in (rows[::-1], pd.DataFrame(rows), rows.astype(">f4"), list(rows)):
        torch.testing.assert_close(stream.update(queries), memory.update(queries))
        assert stream.energy(queries).shape == (2,)
    for queries in (np.ma.masked_array(rows, mask=rows > 0.5), rows + 0j, "abc", None):
        with pytest.raises(TypeError, match=r"^queries"):
            stream.update(queries)


def test_what_overflows_is_refused():
    with pytest.raises(ValueError, match=r"^queries with coordinates up to 1e\+38: scores overflow torch.float32"):
        Stream(source(9, 4, torch.float32), 1.0).update(torch.full((1, 4), 1e38))
    with pytest.raises(ValueError, match=r"^patterns overflow torch.float32"):
        Stream(source(9, 4, torch.float32, Sphere(1e300)), 1.0).energy(torch.zeros(4))


def test_patterns_are_never_held():
    """A million patterns of 128 MB pass through: the peak grows by a fraction of that."""
    code = """
import resource, torch
from hopfield_theory.model.stream import Stream
from hopfield_theory.data.ensembles import RandomPatterns, Sphere
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
few, many = (RandomPatterns(Sphere(1.0), count, 32, seed=0) for count in (100_000, 1_000_000))
x = few.block(0)[:64]
Stream(few, 5.0).update(x)
before = peak()
Stream(many, 5.0).update(x)
assert peak() - before < 60, peak() - before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_same_on_a_gpu(patterns, queries):
    found = Stream(ArrayPatterns(patterns.cuda()), 2.0).update(queries.cuda())
    torch.testing.assert_close(found.cpu(), Memory(patterns, 2.0, 1.0).update(queries), rtol=1e-11, atol=1e-11)
