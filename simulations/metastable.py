"""How many patterns does a fixed point mix, from one to all, over β and n?

Grid: β and the no-op mass, for random patterns on the sphere. The number of patterns in a state is the inverse
participation ratio of its weights, (Σ p)² / Σ p²; a state that mixes more than one and fewer than all is metastable.

Held against: T7 (below β D²/4 = 1 there is a single fixed point, the mixture of all) and T14 (a large n drains the
answer).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.statistics import cluster_bootstrap
from simulations._shared import columns, random_patterns

_BETAS = {
    "quick": (0.5, 1, 2, 4, 6, 8, 12, 16, 24, 32),
    "paper": tuple(2.0 ** (k / 3) for k in range(-3, 19)),
    "large": tuple(2.0 ** (k / 6) for k in range(-6, 37)),
}
_SCALE = {"quick": (20, 20), "paper": (100, 50), "large": (400, 100)}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    memories, queries = _SCALE[preset]
    return [
        {"dim": 16, "num_patterns": 100, "beta": float(beta), "noop": noop, "memories": memories, "queries": queries}
        for beta, noop in itertools.product(_BETAS[preset], (0.0, 1.0, 100.0, 1e4))
    ]


def measure(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure one cell: one row."""
    mixed, drained, norms, diameters = [], [], [], []
    for index in range(parameters["memories"]):
        patterns = random_patterns(parameters["num_patterns"], parameters["dim"], seed, index, device)
        memory = Memory(patterns, parameters["beta"], parameters["noop"])
        state = retrieve(memory, memory.patterns[: parameters["queries"]], 1e-8, 3000).state
        weights = memory.weights(state)
        mixed.append((weights.sum(-1).square() / weights.square().sum(-1)).cpu().numpy())
        drained.append(memory.noop_weight(state).cpu().numpy())
        norms.append(state.norm(dim=-1).cpu().numpy())
        diameters.append(max(torch.pdist(memory.patterns).max().item(), 1.0 if parameters["noop"] > 0 else 0.0))
    clusters = np.repeat(np.arange(len(mixed)), parameters["queries"])
    number = np.concatenate(mixed)
    mean = cluster_bootstrap(np.log(number), clusters, num_resamples=999, seed=0)
    norm = cluster_bootstrap(np.concatenate(norms), clusters, num_resamples=999, seed=0)
    return [
        {
            "mixed": float(np.exp(mean.estimate)),
            "mixed_low": float(np.exp(mean.low)),
            "mixed_high": float(np.exp(mean.high)),
            "single": float((number < 1.5).mean()),
            "all": float((number > 0.8 * parameters["num_patterns"]).mean()),
            "noop_weight": float(np.concatenate(drained).mean()),
            **columns("norm", norm),
            "contraction": parameters["beta"] * max(diameters) ** 2 / 4,
            "trials": number.size,
        }
    ]


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    return 0.05 + 2e-4 * parameters["memories"] * parameters["queries"], 2e8
