"""The thresholds of `find_beta` against `certify` at every β of the grid."""

import math

import numpy as np
import pytest
import torch

import hopfield_theory as ht
from hopfield_theory.certificates import find_beta as module
from hopfield_theory.certificates.certify import certify
from hopfield_theory.certificates.find_beta import SearchInterruptedError, beta_grid, find_beta


def clusters(count, dim, centres, seed, pairs=0, apart=0.02):
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(centres, dim, generator=generator, dtype=torch.float64)
    middle = torch.nn.functional.normalize(draw, dim=1)
    which = torch.randint(centres, (count,), generator=generator)
    noise = torch.randn(count, dim, generator=generator, dtype=torch.float64) / dim**0.5
    rows = torch.nn.functional.normalize(middle[which] + 0.7 * noise, dim=1)
    aside = torch.randn(pairs, dim, generator=generator, dtype=torch.float64)
    near = rows[:pairs] + apart * torch.nn.functional.normalize(aside, dim=1)
    return torch.cat([rows, torch.nn.functional.normalize(near, dim=1)])


def at_every_beta(memory, betas):
    """What `certify` says at each β, and where it says so from there on."""
    proofs = [certify(memory.at(beta=beta)) for beta in betas.tolist()]
    from_on = [
        torch.stack([getattr(proof, name) for proof in proofs]).flip(0).cumprod(0).flip(0).bool()
        for name in ("stored", "retrieved")
    ]
    return from_on


@pytest.mark.parametrize(
    ("rows", "noop", "separation"),
    [
        (clusters(60, 6, 8, 0, pairs=3), 1.0, None),
        (clusters(60, 5, 60, 1), 0.0, None),
        # norms of their own, and a pattern at zero
        (torch.cat([clusters(60, 6, 60, 2) * torch.linspace(0.2, 1, 60)[:, None], torch.zeros(1, 6)]), 3.0, None),
        (clusters(40, 6, 40, 3), None, ht.Entmax(1.5)),
    ],
    ids=["near pairs", "dense", "norms", "entmax"],
)
def test_thresholds_are_those_of_certificates_at_every_beta(rows, noop, separation):
    grid = beta_grid(float(rows.norm(dim=1).max()))[6:24:3]
    found = find_beta(rows, noop, separation=separation, betas=grid)
    assert torch.equal(torch.cat([found.skipped, found.betas]), grid)
    stored, retrieved = at_every_beta(ht.Memory(rows, 1.0, noop, separation=separation), grid)
    skipped = len(found.skipped)
    assert torch.equal(found.stored, stored[skipped:])
    assert torch.equal(found.retrieved, retrieved[skipped:])
    assert not stored[:skipped].any()
    assert not retrieved[:skipped].any()
    assert int(found.stored_from.isfinite().sum()) > 0


@pytest.mark.slow
def test_a_large_memory_has_the_thresholds_of_a_small_one(monkeypatch):
    """With a sample, the certificates are the same; retrieval is known where half of the sample is retrieved."""
    rows = clusters(120, 8, 12, 4, pairs=4)
    grid = beta_grid(1.0)[4:32:2]
    whole = find_beta(rows, betas=grid)
    monkeypatch.setattr(module, "_ALL", 50)
    monkeypatch.setattr(module, "_SAMPLE", 30)
    found = find_beta(rows, betas=grid)
    assert len(found.sample) == 30
    assert torch.equal(found.stored_from, whole.stored_from)
    known = found.betas >= found.followed_from
    assert int(known.sum()) > 0
    assert torch.equal(found.retrieved[known], whole.retrieved[-len(found.betas) :][known])
    # elsewhere too late, never too early
    assert (found.retrieved_from >= whole.retrieved_from).all()


def test_shares_and_who_holds_out():
    rows = clusters(100, 16, 100, 5, pairs=2, apart=0.02)
    found = find_beta(rows, betas=beta_grid(1.0)[4::3])
    order = found.stored_from.sort().values
    assert [found.stored_for(share) for share in (0.9, 0.99, 1.0)] == [
        order[math.ceil(share * len(rows)) - 1] for share in (0.9, 0.99, 1.0)
    ]
    assert sorted(found.last) == [0, 1, 100, 101]
    assert found.nearest[[0, 1, 100, 101]].tolist() == [100, 101, 0, 1]
    assert found.stored_for(0.9) < 200
    assert 10_000 < found.stored_for() < torch.inf


def test_equal_rows_are_named_and_dropped():
    rows = torch.eye(5, dtype=torch.float64)[[0, 1, 2, 1, 3, 0, 4]]
    found = find_beta(rows)
    assert found.equal_to.tolist() == [-1, -1, -1, 1, -1, 0, -1]
    assert found.stored_from.isinf().tolist() == [True, True, False, True, False, True, False]
    dropped = find_beta(rows, drop_duplicates=True)
    assert torch.equal(dropped.equal_to, found.equal_to)
    alone = find_beta(torch.eye(5, dtype=torch.float64))
    assert torch.equal(dropped.stored_from, alone.stored_from[[0, 1, 2, 1, 3, 0, 4]])
    assert not dropped.blocking
    assert dropped.nearest[6].item() in (0, 1, 2, 4)


def test_a_grid_of_any_stride_is_taken_and_what_is_none_is_named():
    rows, grid = torch.eye(3, dtype=torch.float64), np.geomspace(1.0, 16.0, 5)
    assert torch.equal(find_beta(rows, betas=grid[::-1]).stored_from, find_beta(rows, betas=grid).stored_from)
    with pytest.raises(TypeError, match=r"^betas is str"):
        find_beta(rows, betas="abc")
    with pytest.raises(ValueError, match=r"^betas are .*: they must"):
        find_beta(rows, betas=[1.0, math.nan])
    for steps in (0, 1.5):
        with pytest.raises(ValueError, match=f"^max_steps is {steps}: it must"):
            find_beta(rows, max_steps=steps)


@pytest.mark.slow
def test_an_interrupt_carries_what_was_found(monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "endpoints", interrupt)
    with pytest.raises(SearchInterruptedError) as caught:
        find_beta(clusters(60, 5, 60, 1))
    expected = [certify(ht.Memory(clusters(60, 5, 60, 1), beta)).stored for beta in (16.0, 64.0)]
    found = caught.value.found
    for beta, stored in zip((16.0, 64.0), expected, strict=True):
        assert torch.equal(found.stored_from <= beta * (1 + 1e-9), stored)
