"""On the same memory, when does a no-op slot bring one update closer to the pattern that was sought?

Grid: the no-op mass n and the noise on the cue. One row per query: how much the dense answer overshoots,
``<T_0, ξ> / |T_0|²``, the factor ``s = 1 − p_0`` of the slot, and the distances of both answers from the pattern.

Held against: T10, by which the no-op answer ``s T_0`` is closer exactly where the first is below ``½ (1 + s)``;
so not always, as P1 and P21 have it in two ways.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.model.memory import Memory
from simulations._shared import directions, random_patterns

_SCALE = {"quick": (4, 10), "paper": (20, 20), "large": (100, 40)}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    memories, queries = _SCALE[preset]
    return [
        {
            "dim": 16,
            "beta": 8.0,
            "num_patterns": 60,
            "noop": noop,
            "noise": noise,
            "memories": memories,
            "queries": queries,
        }
        for noop, noise in itertools.product((10.0, 100.0, 1000.0), (0.4, 1.0, 1.6))
    ]


def measure(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure one cell: one row per query."""
    dim, queries = parameters["dim"], parameters["queries"]
    rows = []
    for index in range(parameters["memories"]):
        patterns = random_patterns(parameters["num_patterns"], dim, seed, index, device)
        dense, slotted = (Memory(patterns, parameters["beta"], noop) for noop in (0.0, parameters["noop"]))
        generator = keyed_generator(seed, index, "queries")
        targets = dense.patterns[:queries]
        cues = targets + parameters["noise"] * directions(queries, dim, generator).to(device)
        plain = dense.update(cues)
        columns = {
            "overshoot": (plain * targets).sum(-1) / plain.square().sum(-1),
            "kept": 1.0 - slotted.noop_weight(cues),
            "dense_error": (plain - targets).norm(dim=-1),
            "noop_error": (slotted.update(cues) - targets).norm(dim=-1),
        }
        values = zip(*(column.tolist() for column in columns.values()), strict=True)
        rows += [dict(zip(columns, row, strict=True)) for row in values]
    return rows


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    return 0.05 + 2e-3 * parameters["memories"], 2e8
