"""Retrieval, streams, certificates and capacities on the card against float64 on the CPU."""

import math
from dataclasses import fields

import pytest
import torch

import hopfield_theory as ht
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.certificates.ball_bound import CertifiedBalls
from hopfield_theory.data.ensembles import Gaussian, Rademacher, Sphere
from hopfield_theory.fused import retrieval
from hopfield_theory.fused.drawn import DrawnPatterns
from hopfield_theory.measured.capacity import Setting, outcomes
from hopfield_theory.model import batched
from hopfield_theory.model.stream import Stream

if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)


def patterns(count, dim, dtype, scale=1.0):
    generator = torch.Generator().manual_seed(count + dim)
    rows = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    return (scale * rows / rows.norm(dim=1, keepdim=True)).to(dtype)


@pytest.mark.parametrize("noop", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("queries", [1, 64, 300])
@pytest.mark.parametrize(("count", "dim"), [(100_000, 64), (70_001, 33), (16_384, 128), (50_000, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_an_update_is_as_exact_as_its_dtype(dtype, count, dim, queries, noop):
    stored, query = patterns(count, dim, dtype), 1.3 * patterns(queries, dim, dtype)
    beta = 40.0
    memory = ht.Memory(stored.cuda(), beta, noop)
    update, energy = memory.step(query.cuda())
    right = ht.Memory(stored.double(), beta, noop)
    expected, expected_energy = right.step(query.double())
    # scores of about 50 carry their rounding into weights, sums and energies
    eps = (1e-5, 2e-5) if dtype == torch.float32 else (1e-12, 1e-12)
    assert (update.cpu().double() - expected).norm(dim=1).max() < eps[0]
    assert (energy.cpu().double() - expected_energy).abs().max() < eps[1]
    assert retrieval.applies(
        query.cuda()[None, None], stored.cuda()[None, None], stored.cuda()[None, None], None, False
    ) == (dtype == torch.float32 or (torch.cuda.get_device_capability() in ((8, 0), (9, 0)) and dim <= 64))


def test_tf32_is_never_used_by_accident():
    stored, query = patterns(100_000, 64, torch.float32), patterns(50, 64, torch.float32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        update = ht.Memory(stored.cuda(), 100.0).update(query.cuda())
    finally:
        torch.set_float32_matmul_precision(before)
    expected = ht.Memory(stored.double(), 100.0).update(query.double())
    assert (update.cpu().double() - expected).norm(dim=1).max() < 2e-5


def test_retrieval_ends_where_it_does_on_a_cpu():
    stored = patterns(20_000, 32, torch.float64)
    cues = stored[:200] + 0.1 * patterns(200, 32, torch.float64)
    expected = ht.retrieve(ht.Memory(stored, 30.0), cues)
    for accelerate in (False, True):
        found = ht.retrieve(ht.Memory(stored.cuda(), 30.0), cues.cuda(), accelerate=accelerate)
        assert (found.state.cpu() - expected.state).norm(dim=1).max() < 1e-6


@pytest.mark.parametrize("dim", [3, 16, 22, 32, 64, 128])
@pytest.mark.parametrize("ensemble", [Sphere(2.0), Gaussian(0.5), Rademacher(3.0)], ids=str)
def test_drawn_patterns_are_the_cpu_s(ensemble, dim):
    for start in (0, 2**32 - 100, 2**45):
        there = DrawnPatterns(ensemble, 2**50, dim, seed=3, cell=(1, 2), device="cuda").rows(start, 1000)
        here = DrawnPatterns(ensemble, 2**50, dim, seed=3, cell=(1, 2), dtype=torch.float64).rows(start, 1000)
        scale = ensemble.radius if isinstance(ensemble, Sphere) else 6.8 * here.abs().max().item()
        assert (there.cpu().double() - here).abs().max().item() < 2e-6 * scale


@pytest.mark.parametrize("queries", [1, 64, 70, 256])
@pytest.mark.parametrize(
    ("dim", "ensemble"), [(32, Sphere(1.0)), (18, Sphere(4.0)), (16, Gaussian(0.3)), (24, Rademacher())]
)
def test_a_stream_of_drawn_patterns_is_that_of_the_same_patterns_held(ensemble, dim, queries):
    count = 200_003
    source = DrawnPatterns(ensemble, count, dim, seed=5, device="cuda")
    rows = DrawnPatterns(ensemble, count, dim, seed=5, dtype=torch.float64).tensor()
    query = rows[:queries].float()
    length = rows.norm(dim=1).max().item()
    beta = 20.0 / length**2
    update, energy = Stream(source, beta).step(query.cuda())
    expected, expected_energy = ht.Memory(rows, beta).step(query.double())
    assert (update.cpu().double() - expected).norm(dim=1).max().item() < 2e-5 * length
    assert (energy.cpu() - expected_energy).abs().max().item() < 2e-5 * length**2


def test_sums_do_not_depend_on_how_a_stream_is_divided(monkeypatch):
    query = patterns(10, 32, torch.float32).cuda()
    source = DrawnPatterns(Sphere(1.0), 3_000_000, 32, seed=5, device="cuda")
    whole = Stream(source, 20.0).update(query)
    monkeypatch.setattr("hopfield_theory.model.stream._ON_CHIP", 1 << 20)
    parted = Stream(source, 20.0).update(query)
    assert (whole - parted).abs().max() < 1e-6


@pytest.mark.parametrize(("count", "beta", "noop"), [(20_000, 60.0, 1.0), (9_000, 25.0, 0.0), (3_000, 40.0, 7.0)])
def test_certificates_are_the_cpu_s(monkeypatch, count, beta, noop):
    stored = patterns(count, 48, torch.float64)
    stored[5], stored[6] = stored[4], stored[7] + 1e-3
    # so that the CPU's first sweep is in float64, as the card's
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    here, there = ht.certify(ht.Memory(stored, beta, noop)), ht.certify(ht.Memory(stored.cuda(), beta, noop))
    assert torch.equal(here.status, there.status.cpu())
    for field in fields(CertifiedBalls):
        one, other = getattr(here, field.name), getattr(there, field.name).cpu()
        if one.dtype == torch.int64:
            assert torch.equal(one, other) or field.name == "rival"
        else:
            torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-9, equal_nan=True)


def test_the_search_for_beta_is_the_cpu_s():
    # clusters: some followed patterns stay and others leave at the same β
    near = patterns(600, 24, torch.float64)
    near[300:] = near[:300] + 0.2 * near[300:]
    here, there = (ht.find_beta(stored, noop=1.0, normalise=True) for stored in (near, near.cuda()))
    torch.testing.assert_close(there.betas.cpu(), here.betas, rtol=1e-12, atol=0)
    for one, other in ((here.stored, there.stored), (here.retrieved, there.retrieved)):
        # a bound that is met to the last digit may be decided either way
        assert (one != other.cpu()).double().mean() < 1e-3


@pytest.mark.parametrize(
    ("count", "dim", "beta", "queries"), [(13_000, 18, 18.0, 1), (700, 22, 500.0, 2), (9, 3, 4.0, 8)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_limits_of_many_memories_are_the_cpu_s(dtype, count, dim, beta, queries):
    generator = torch.Generator().manual_seed(3)
    stored = torch.nn.functional.normalize(torch.randn(20, count, dim, generator=generator, dtype=torch.float64), dim=2)
    tol = 1e-9 if dtype == torch.float64 else 1e-5
    here = batched.fixed_points(stored[:, :queries], stored, beta, 0.0, tol=1e-9, max_steps=5000)
    there = batched.fixed_points(
        stored[:, :queries].to("cuda", dtype), stored.to("cuda", dtype), beta, 0.0, tol=tol, max_steps=5000
    )
    assert there.converged.all()
    # slow queries stop with a rest of a step over one minus the rate
    assert (there.state.cpu().double() - here.state).norm(dim=-1).max() < 300 * tol
    # the CPU goes on to a multiple of 25 updates, and with a memory's other queries
    late = here.steps - there.steps.cpu()
    assert dtype == torch.float32 or ((late >= 0) & ((late < 25) | (queries > 1))).all()


def test_outcomes_have_the_cpu_s_law():
    setting = Setting(RandomMemory(14, 14.0))
    here, there = (
        outcomes(setting, 1500, 400, seed=1, device=device, dtype=torch.float32).mean() for device in ("cpu", "cuda")
    )
    # two shares of 400 differ by more than this once in a million runs
    assert abs(here - there) < 5 * math.sqrt(0.5 / 400)
