"""Accelerated retrieval close to the transition: updates needed, and how often it ends elsewhere."""

from __future__ import annotations

import torch

from hopfield_theory import Memory, retrieve
from hopfield_theory.statistics import wilson

MEMORIES, QUERIES, PATTERNS, DIM, RADIUS = 16, 64, 4383, 16, 4.0


def main() -> None:
    generator = torch.Generator().manual_seed(2026)
    plain_steps, fast_steps, apart, marked = [], [], [], []
    for _ in range(MEMORIES):
        rows = torch.randn(PATTERNS, DIM, dtype=torch.float64, generator=generator)
        memory = Memory(RADIUS * rows / rows.norm(dim=1, keepdim=True), 1.0, 0.0)
        queries = memory.patterns[:QUERIES]
        plain = retrieve(memory, queries, max_steps=50_000)
        fast = retrieve(memory, queries, max_steps=50_000, accelerate=True)
        assert plain.converged.all()
        assert fast.converged.all()
        plain_steps.append(plain.steps)
        fast_steps.append(fast.steps)
        apart.append((plain.state - fast.state).norm(dim=1) > 1e-3 * RADIUS)
        marked.append(fast.ambiguous)
    plain_all, fast_all = torch.cat(plain_steps).double(), torch.cat(fast_steps).double()
    elsewhere, ambiguous = torch.cat(apart), torch.cat(marked)
    count = len(elsewhere)
    print(f"Acceleration, {MEMORIES} memories of {PATTERNS} patterns in d = {DIM}, β m² = {RADIUS**2:g}, n = 0")
    print(f"  updates, plain: median {plain_all.median():.0f}, mean {plain_all.mean():.0f}, most {plain_all.max():.0f}")
    print(f"  accelerated: median {fast_all.median():.0f}, mean {fast_all.mean():.0f}, most {fast_all.max():.0f}")
    print(f"  ratio of the medians {float(fast_all.median() / plain_all.median()):.3f}")
    # queries of one memory are not independent: the interval is the narrowest that can be claimed
    print(f"  ended elsewhere: {wilson(int(elsewhere.sum()), count)}; marked ambiguous: {int(ambiguous.sum())}")
    print(f"  ended elsewhere and not marked: {wilson(int((elsewhere & ~ambiguous).sum()), count)}")


if __name__ == "__main__":
    main()
