"""What does the energy look like in the plane, and where do trajectories of the retrieval dynamics run on it?

Grid: the no-op mass n, for one set of five patterns in two dimensions. Rows of kind ``energy`` tabulate E on a
square, rows of kind ``path`` follow CCCP from a ring of queries.

Held against: T1 (bounds on the energy), T2 (the paths are gradient descent with unit steps), T3 (it never rises), T4
(states stay in the hull).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hopfield_theory.model.memory import Memory

_PATTERNS = [[1.0, 0.1], [-0.4, 0.95], [-0.8, -0.55], [0.35, -0.9], [0.75, 0.65]]
_SIZE = {"quick": 61, "paper": 161, "large": 401}
_STEPS = 40


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    return [{"noop": noop, "beta": 8.0, "size": _SIZE[preset]} for noop in (0.0, 1.0, 10.0)]


def measure(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure one cell."""
    del seed
    memory = Memory(torch.tensor(_PATTERNS, dtype=torch.float64, device=device), parameters["beta"], parameters["noop"])
    line = torch.linspace(-1.4, 1.4, parameters["size"], dtype=torch.float64, device=device)
    plane = torch.cartesian_prod(line, line)
    rows: list[dict[str, Any]] = [
        {"kind": "pattern", "path": index, "step": 0, "x": x, "y": y, "energy": energy}
        for index, ((x, y), energy) in enumerate(zip(_PATTERNS, memory.energy(memory.patterns).tolist(), strict=True))
    ]
    for (x, y), energy in zip(plane.tolist(), memory.energy(plane).tolist(), strict=True):
        rows.append({"kind": "energy", "path": -1, "step": 0, "x": x, "y": y, "energy": energy})
    angle = torch.arange(16, dtype=torch.float64, device=device) * (2 * torch.pi / 16) + 0.1
    state = 1.3 * torch.stack([angle.cos(), angle.sin()], -1)
    for step in range(_STEPS + 1):
        for path, ((x, y), energy) in enumerate(zip(state.tolist(), memory.energy(state).tolist(), strict=True)):
            rows.append({"kind": "path", "path": path, "step": step, "x": x, "y": y, "energy": energy})
        state = memory.update(state)
    return rows


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    return 1e-5 * parameters["size"] ** 2 + 0.1, 2e3 * parameters["size"] ** 2
