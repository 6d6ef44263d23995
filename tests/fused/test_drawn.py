"""Patterns that are functions of their indices: Philox's known answers, the law of the stream, and the kernels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hopfield_theory.data.ensembles import Gaussian, Rademacher, Sphere, SpikedCovariance
from hopfield_theory.fused import retrieval
from hopfield_theory.fused.attention import fused_attention
from hopfield_theory.fused.drawn import DrawnPatterns, philox
from hopfield_theory.model.stream import Stream

ENSEMBLES = [Sphere(2.0), Gaussian(0.5), Rademacher(3.0)]
# a value that passes with probability 1 − 1e-6 for a right stream; the streams are fixed
RARE = 1e-6


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        # the known answers of Random123, kat_vectors
        ([0] * 4, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, 0xFFFFFFFFFFFFFFFF, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            0x299F31D0A4093822,
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_its_known_answers(counter, key, answer):
    words = philox(tuple(np.array([c], np.uint64) for c in counter), key)
    assert " ".join(f"{int(word[0]):08x}" for word in words) == answer


@settings(max_examples=25)
@given(st.sampled_from(ENSEMBLES), st.integers(1, 40), st.sampled_from([0, 7, 2**32 - 3, 2**40]), st.integers(0, 2**70))
def test_a_pattern_depends_on_its_index_alone(ensemble, dim, start, seed):
    source = DrawnPatterns(ensemble, 2**41, dim, seed=seed, dtype=torch.float64)
    rows = source.rows(start, 9)
    assert torch.equal(rows[4:6], source.rows(start + 4, 2))
    assert torch.equal(rows, DrawnPatterns(ensemble, start + 9, dim, seed=seed, dtype=torch.float64).rows(start, 9))
    # float32 rounds the same numbers
    single = DrawnPatterns(ensemble, 2**41, dim, seed=seed).rows(start, 9)
    assert torch.equal(single, rows.float())
    # fewer dimensions are the first coordinates, up to the length
    if not isinstance(ensemble, Sphere) and dim > 1:
        assert torch.equal(
            DrawnPatterns(ensemble, 2**41, dim - 1, seed=seed, dtype=torch.float64).rows(start, 9), rows[:, :-1]
        )


def test_blocks_are_the_rows():
    source = DrawnPatterns(Sphere(1.0), 70_000, 32, seed=1)
    assert torch.equal(source.block(2), source.rows(65_536, 4464))
    assert torch.equal(source.tensor()[65_536:], source.block(2))


def test_cells_and_seeds_have_keys_of_64_bits():
    keys = {DrawnPatterns(Sphere(1.0), 1, 1, seed=seed, cell=(cell,)).key for seed in range(40) for cell in range(100)}
    assert len(keys) == 4000
    assert sum(key >= 2**63 for key in keys) == pytest.approx(2000, abs=5 * math.sqrt(1000))


def test_what_is_no_function_of_an_index_is_refused():
    with pytest.raises(TypeError, match="function of its index"):
        DrawnPatterns(SpikedCovariance(1.0), 10, 4, seed=0)
    with pytest.raises(IndexError, match="there are 10"):
        DrawnPatterns(Sphere(1.0), 10, 4, seed=0).rows(9, 2)


# --- the law ---


def test_moments_and_normality():
    rows = DrawnPatterns(Gaussian(), 1 << 17, 6, seed=3, dtype=torch.float64).tensor().numpy()
    count = len(rows)
    quantile = stats.norm.isf(RARE / 2)
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10_395 - 225)):
        deviation = ((rows**power).mean(0) - mean) * math.sqrt(count / variance)
        assert np.abs(deviation).max() < quantile, power
    assert all(stats.kstest(column, "norm").pvalue > RARE for column in rows.T)


@pytest.mark.parametrize("level", [3.0, 5.0, 6.0])
def test_the_tail_of_a_radius_is_exact_in_the_integers(level):
    # the radius of a pair exceeds t for a share of e^{−t²/2} of the 32-bit numbers
    share = 2.0**32 * math.exp(-(level**2) / 2)
    number = np.array([math.floor(share) - 1, math.ceil(share) + 1], dtype=float)
    radius = np.sqrt(-2 * np.log((number + 0.5) / 2.0**32))
    assert radius[0] > level > radius[1]


def test_counts_beyond_four_and_five_deviations():
    rows = DrawnPatterns(Gaussian(), 1 << 18, 64, seed=11, dtype=torch.float64).tensor().numpy()
    for level in (4.0, 5.0):
        expected = rows.size * 2 * stats.norm.sf(level)
        found = int((np.abs(rows) > level).sum())
        assert stats.poisson.sf(found - 1, expected) > RARE
        assert stats.poisson.cdf(found, expected) > RARE


def test_overlaps_on_the_sphere_have_their_law():
    dim = 5
    rows = DrawnPatterns(Sphere(1.0), 40_000, dim, seed=5, dtype=torch.float64).tensor().numpy()
    overlaps = (rows[::2] * rows[1::2]).sum(1)
    # t/√(1 − t²)·√(d − 1) of an overlap t has Student's law
    statistic = overlaps / np.sqrt(1 - overlaps**2) * math.sqrt(dim - 1)
    assert stats.kstest(statistic, "t", args=(dim - 1,)).pvalue > RARE


@pytest.mark.parametrize("other", ["next pattern", "next group", "next key", "next seed", "far pattern"])
def test_neighbours_are_uncorrelated(other):
    count, dim = 1 << 16, 8
    source = DrawnPatterns(Gaussian(), 2**40, dim, seed=2, dtype=torch.float64)
    rows = source.rows(0, count)
    if other == "next pattern":
        pairs = rows[:-1], rows[1:]
    elif other == "next group":
        pairs = rows[:, :4], rows[:, 4:]
    elif other == "far pattern":
        pairs = rows, source.rows(2**32, count)
    else:
        close = DrawnPatterns(Gaussian(), 2**40, dim, seed=3 if other == "next seed" else 2, dtype=torch.float64)
        close.key = source.key + 1 if other == "next key" else close.key
        pairs = rows, close.rows(0, count)
    for power in (1, 2):
        x, y = (torch.as_tensor(stats.zscore(p.numpy() ** power, axis=0)) for p in pairs)
        correlations = (x.T @ y / math.sqrt(len(x))).flatten()
        assert correlations.abs().max() < stats.norm.isf(RARE / 2 / len(correlations))


def test_signs_are_fair_and_independent():
    rows = DrawnPatterns(Rademacher(), 1 << 16, 16, seed=9, dtype=torch.float64).tensor()
    products = (rows.T @ rows / math.sqrt(len(rows))).fill_diagonal_(0)
    assert products.abs().max() < stats.norm.isf(RARE / 240)
    assert (rows.sum(0) / math.sqrt(len(rows))).abs().max() < stats.norm.isf(RARE / 32)


# --- the kernels, in Triton's interpreter ---


@pytest.fixture
def kernels():
    pytest.importorskip("triton", reason="Triton is not installed")
    from hopfield_theory.fused.kernels import drawn, pull

    return drawn, pull


@pytest.mark.parametrize("dim", [1, 3, 20, 33])
@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=lambda e: type(e).__name__)
def test_the_kernel_draws_the_reference(kernels, ensemble, dim):
    source = DrawnPatterns(ensemble, 2**40, dim, seed=5, dtype=torch.float64)
    for start in (2**32 - 5, 2**37):
        rows = kernels[0].draw(source._signed_key, start, 20, dim, source.scale, source.kind, torch.device("cpu"))
        torch.testing.assert_close(rows, source.rows(start, 20), rtol=0, atol=2e-6 * source.scale, check_dtype=False)


def test_short_vectors_are_drawn_as_exactly_as_long_ones(kernels):
    """A normal number near 0 is the root of the logarithm of a number near 1, and normalising blows its error up."""
    source = DrawnPatterns(Sphere(1.0), 2**40, 3, seed=5, dtype=torch.float64)
    normal = DrawnPatterns(Gaussian(1.0), 2**40, 3, seed=5, dtype=torch.float64)
    shortest = normal.rows(0, 20_000).norm(dim=1).topk(8, largest=False).indices.tolist()
    for start in shortest:
        row = kernels[0].draw(source._signed_key, start, 1, 3, 1.0, 0, torch.device("cpu"))
        torch.testing.assert_close(row, source.rows(start, 1), rtol=0, atol=5e-7, check_dtype=False)


@pytest.mark.parametrize(("queries", "dim", "count"), [(1, 20, 700), (70, 7, 129)])
@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=lambda e: type(e).__name__)
def test_drawn_patterns_are_pulled_on_as_if_they_were_held(kernels, ensemble, queries, dim, count):
    source = DrawnPatterns(ensemble, 2**40, dim, seed=5, dtype=torch.float64)
    generator = torch.Generator().manual_seed(queries)
    query = torch.randn(queries, dim, generator=generator)
    beta, start = 0.7, 2**32 - 100
    average, lse, _ = source.pull(query, beta, start, count)
    rows = source.rows(start, count)
    scores = beta * query.double() @ rows.T
    length = rows.norm(dim=1).max().item()
    # scores carry some 2⁻²² of the lengths
    size = beta * length * query.norm(dim=1).max().item()
    torch.testing.assert_close(lse, scores.logsumexp(1), rtol=0, atol=1e-6 * (1 + size))
    torch.testing.assert_close(average, scores.softmax(1) @ rows, rtol=0, atol=1e-6 * (1 + size) * length)
    assert source.pull(query, beta, start, count)[2] == pytest.approx(length, rel=1e-6)


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_held_patterns_are_pulled_on_exactly(kernels, dtype, same, scale):
    generator = torch.Generator().manual_seed(1)
    query = torch.randn(66, 20, generator=generator, dtype=dtype) / scale
    keys = scale * torch.randn(300, 20, generator=generator, dtype=dtype)
    values = keys if same else torch.randn(300, 9, generator=generator, dtype=dtype)
    # one query is zero, one large; and a beta that float32 does not hold
    query[0], query[1] = 0.0, 30 * query[1]
    compute = kernels[1].pull_float32 if dtype == torch.float32 else kernels[1].pull_float64
    average, lse = compute(query, keys, values, 0.3)
    scores = 0.3 * query.double() @ keys.double().T
    eps = 1e-6 if dtype == torch.float32 else 1e-14
    size = 0.3 * (query.norm(dim=1) * keys.norm(dim=1).max()).double()
    assert ((lse - scores.logsumexp(1)).abs() <= eps * (1 + size)).all()
    error = (average - scores.softmax(1) @ values.double()).norm(dim=1)
    assert (error <= 2 * eps * (1 + size) * values.norm(dim=1).max()).all()


def test_numbers_that_are_none_stay_so(kernels):
    query, keys = torch.ones(2, 4), torch.ones(20, 4)
    query[0, 1] = math.nan
    average, lse = kernels[1].pull_float32(query, keys, keys, 1.0)
    assert average[0].isnan().all()
    assert lse[0].isnan()
    assert torch.equal(average[1], torch.ones(4, dtype=torch.float64))


# --- who takes them ---


@pytest.fixture
def on_chip(monkeypatch, kernels):
    monkeypatch.setattr(DrawnPatterns, "on_chip", True)


def test_a_stream_has_its_patterns_drawn_where_they_are_used(on_chip, monkeypatch):
    source = DrawnPatterns(Sphere(4.0), 1000, 16, seed=0)
    monkeypatch.setattr("hopfield_theory.model.stream._ON_CHIP", 384)
    monkeypatch.setattr(DrawnPatterns, "_rows", lambda *_: pytest.fail("a pattern was written"))
    # Triton's interpreter runs one kernel at a time
    stream = Stream(source, beta=2.0, map_fn=map)
    query = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    assert stream.num_parts == 3
    update, energy = stream.step(query)
    monkeypatch.undo()
    held = Stream(DrawnPatterns(Sphere(4.0), 1000, 16, seed=0), beta=2.0)
    expected, expected_energy = held.step(query)
    torch.testing.assert_close(update, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(energy, expected_energy, rtol=0, atol=1e-5)


def test_few_queries_on_many_keys_of_one_head_are_a_kernel_s(kernels, monkeypatch):
    monkeypatch.setattr(retrieval, "applies", lambda query, key, value, mask, causal: query.shape[:2] == (1, 1))
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(3, 8, generator=generator, requires_grad=True)
    keys = torch.randn(200, 8, generator=generator)
    out, lse = fused_attention(query, keys, keys, 2.0, beta=0.5, return_lse=True)
    gradient = torch.autograd.grad(out.square().sum() + lse.sum(), query)
    monkeypatch.undo()
    expected = fused_attention(query, keys, keys, 2.0, beta=0.5, return_lse=True)
    torch.testing.assert_close((out, lse), expected, rtol=1e-5, atol=1e-6)
    right = torch.autograd.grad(expected[0].square().sum() + expected[1].sum(), query)
    torch.testing.assert_close(gradient, right, rtol=1e-5, atol=1e-5)


def test_what_a_kernel_is_not_made_for_is_left_to_others():
    x = torch.zeros(1, 1, 1 << 15, 8)
    assert not retrieval.applies(x[:, :, :4], x, x, None, False)
