"""All is computed on the device of what is given: results are equal where the default device holds no numbers."""

import pytest
import torch

import hopfield_theory as ht
from hopfield_theory.certificates import segments
from hopfield_theory.certificates.certify import shared_with
from hopfield_theory.fused.attention import fused_attention
from hopfield_theory.fused.gate import gate_, gate_seen_, mass_gradient
from hopfield_theory.model import batched


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


PATTERNS = torch.nn.functional.normalize(normal(40, 6), dim=1)
QUERIES = PATTERNS[:5] + 0.1 * normal(5, 6, seed=1)
ROWS = torch.tensor([0, 2])
MEMORY = ht.Memory(PATTERNS, 20.0)
# one head of single precision, and what a gate changes
Q, K = (x.float()[None, None] for x in (QUERIES, PATTERNS))
SUMS, ROW_MASS = (normal(1, 1, 5, seed=seed, dtype=torch.float32) for seed in (2, 5))
MASK, MASS = torch.arange(40) % 3 > 0, torch.ones(5, 1, dtype=torch.float64)


def attended(**options):
    tensors = [x.clone().requires_grad_() for x in (QUERIES, PATTERNS, PATTERNS)]
    out, lse = fused_attention(*tensors, return_lse=True, **options)
    return (out, lse, *torch.autograd.grad(out.sum() + lse.sum(), tensors))


def gated(function, *more):
    out, lse = Q.clone(), SUMS.clone()
    function(out, lse, 0.5, *more)
    return out, lse


def certified(memory):
    found = ht.certify(memory)
    return found.status, found.radius, found.nearest, found.merged_with


WAYS = {
    "a memory": lambda: ht.Memory(PATTERNS, 20.0, centre=True).update(QUERIES),
    "its energy": lambda: MEMORY.energy(QUERIES),
    "its gradient": lambda: MEMORY.gradient(QUERIES),
    "its Jacobian": lambda: MEMORY.jacobian(QUERIES),
    "its weights": lambda: MEMORY.weights(QUERIES),
    "its nearest patterns": lambda: MEMORY.nearest(QUERIES),
    "retrieval": lambda: ht.retrieve(MEMORY, QUERIES).state,
    "accelerated retrieval": lambda: ht.retrieve(MEMORY, QUERIES, accelerate=True).state,
    "certificates": lambda: certified(MEMORY),
    "certificates of entmax": lambda: certified(ht.Memory(PATTERNS, 20.0, separation=ht.Entmax(1.5))),
    "guarantees": lambda: tuple(ht.guaranteed(MEMORY, QUERIES)),
    "the search for β": lambda: ht.find_beta(PATTERNS).stored_from,
    "shared ends": lambda: shared_with(MEMORY, ROWS, ht.retrieve(MEMORY, PATTERNS[ROWS])),
    "many memories": lambda: (
        batched.fixed_points(QUERIES[None], PATTERNS[None], 20.0, 0.0, tol=1e-9, max_steps=99).state
    ),
    "attention": attended,
    "attention under a mask": lambda: attended(mask=MASK, n=MASS),
    "causal attention": lambda: attended(is_causal=True, log_n=2.0),
    "attention in single precision": lambda: fused_attention(Q, K, K, 3.0),
    "a gate": lambda: gated(gate_),
    "a gate where keys are seen": lambda: gated(gate_seen_, True),
    "the gradient of the mass": lambda: mass_gradient(Q, Q, SUMS, ROW_MASS),
}


def kernels():
    """The same on the kernels, interpreted."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from hopfield_theory.fused.kernels import drawn, gate, mixing, pull, small_memories

    rows = {
        "x": QUERIES, "new": MEMORY.update(QUERIES), "f": MEMORY.update(QUERIES) - QUERIES,
        "dx": normal(5, 8, 6, seed=3), "df": normal(5, 8, 6, seed=4), "depth": torch.arange(5),
        "previous": torch.ones(5, dtype=torch.float64), "was_plain": torch.arange(5) % 2 > 0,
    }  # fmt: skip
    residual, single = QUERIES.norm(dim=1), QUERIES.float()
    return {
        "a gate": lambda: gated(gate.gate_),
        "the gradient of the mass": lambda: gate.mass_gradient(Q, Q, SUMS, ROW_MASS),
        "trial states": lambda: mixing.trial_states(rows, residual, 40.0, 5.0),
        "small memories": lambda: small_memories.fixed_points(QUERIES[None], PATTERNS[None], 20.0, 0.0, 1e-9, 99),
        "held patterns": lambda: pull.pull_float32(single, PATTERNS.float(), PATTERNS.float(), 3.0),
        "held patterns in double precision": lambda: pull.pull_float64(QUERIES, PATTERNS, PATTERNS, 3.0),
        "drawn patterns": lambda: pull.pull_drawn(single, 3, 0, 100, 1.0, 0, 3.0)[:2],
        "rows": lambda: drawn.draw(3, 0, 10, 6, 1.0, 0, torch.device("cpu")),
    }


def compared(compute):
    expected = compute()
    with torch.device("meta"):
        found = compute()
    one, other = (x if isinstance(x, tuple) else (x,) for x in (expected, found))
    torch.testing.assert_close(other, one, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_made_on_the_default_device(way):
    compared(WAYS[way])


@pytest.mark.skipif(torch.cuda.is_available(), reason="kernels run on the card here: tests/gpu")
def test_no_kernel_is_given_what_is_made_on_the_default_device():
    for compute in kernels().values():
        compared(compute)


@pytest.mark.skipif(torch.cuda.is_available(), reason="kernels run on the card here: tests/gpu")
def test_segments_are_summed_on_the_device_of_the_patterns(monkeypatch):
    pytest.importorskip("triton", reason="Triton is not installed")
    monkeypatch.setattr(segments, "_in_kernel", lambda overlap, tile: overlap.shape[1] % tile == 0)
    patterns = torch.nn.functional.normalize(normal(64, 6), dim=1)
    compared(lambda: certified(ht.Memory(patterns, 60.0)))
