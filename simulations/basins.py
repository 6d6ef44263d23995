"""From how far away is a pattern reached, and how much of that does the certificate prove?

Grid: λ and the number of patterns. For each pattern of a memory, the certified radius, and the rate at which queries
at multiples of this distance, in random directions, end at the pattern's fixed point.

Held against: the certificate, which proves T12 pattern by pattern (no query within the radius may fail); P24, by which
it proves all of the basin; and half the distance to the nearest pattern, beyond which no ball can be disjoint from its
neighbour's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hopfield_theory.bounds import RandomMemory
from hopfield_theory.certificates.certify import certify
from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.measured.capacity import clustered_rate
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from simulations._shared import columns, directions, random_patterns

_DISTANCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4)
_SCALE = {"quick": (10, 100), "paper": (40, 500), "large": (200, 2000)}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    memories, queries = _SCALE[preset]
    return [
        {"dim": 16, "lam": lam, "noop": 1.0, "num_patterns": patterns, "memories": memories, "queries": queries}
        for lam, patterns in itertools.product((1.0, 2.0), (30, 300))
    ]


def measure(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure one cell: one row per distance."""
    dim, count = parameters["dim"], parameters["num_patterns"]
    queries = min(parameters["queries"], count)
    reached = {distance: [] for distance in _DISTANCES}
    radii, nearest, broken = [], [], 0
    for index in range(parameters["memories"]):
        patterns = random_patterns(count, dim, seed, index, device)
        memory = Memory(patterns, RandomMemory.of_lambda(dim, parameters["lam"]).kappa, parameters["noop"])
        proof = certify(memory)
        radius = torch.where(proof.stored, proof.radius, 0.0)[:queries]
        targets = memory.patterns[:queries]
        home = retrieve(memory, targets, 1e-10, 5000).state
        generator = keyed_generator(seed, index, "queries")
        direction = directions(queries, dim, generator).to(device)
        for distance in _DISTANCES:
            ends = retrieve(memory, targets + distance * direction, 1e-10, 5000).state
            same = (ends - home).norm(dim=-1) < 1e-5
            broken += int((~same & (distance < radius)).sum())
            reached[distance].append(same.cpu().numpy())
        radii.append(radius.cpu().numpy())
        nearest.append(proof.nearest_distance[:queries].cpu().numpy())
    all_radii = np.concatenate(radii)
    about = {
        "radius_median": float(np.median(all_radii)),
        "radius_low": float(np.quantile(all_radii, 0.1)),
        "radius_high": float(np.quantile(all_radii, 0.9)),
        "proved_stored": float((all_radii > 0).mean()),
        "half_distance": float(np.median(np.concatenate(nearest)) / 2),
        "broken_promises": broken,
    }
    return [about | _row(distance, np.stack(found)) for distance, found in reached.items()]


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    queries = min(parameters["queries"], parameters["num_patterns"])
    return 0.5 + 1e-5 * parameters["memories"] * queries * math.sqrt(parameters["num_patterns"]), 2e8


def _row(distance: float, reached: np.ndarray) -> dict[str, Any]:
    return {"distance": distance} | columns("rate", clustered_rate(reached)) | {"trials": reached.size}
