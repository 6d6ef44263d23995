"""What does the energy look like in the plane, and where do trajectories of the retrieval dynamics run on it?

Grid: the no-op mass n, for one set of five random patterns in two dimensions, of norms from 0.9 to 1.1, one in each
fifth of the directions. Rows of kind ``energy`` tabulate E on a
square, rows of kind ``path`` follow CCCP from a ring of queries.

Held against: T1 (bounds on the energy), T2 (the paths are gradient descent with unit steps), T3 (it never rises), T4
(states stay in the hull), T17 (where the slot lowers the energy).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.model.memory import Memory

_PATTERNS = 5
_SIZE = {"quick": 61, "paper": 161, "large": 401}
_STEPS = 40


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    return [{"noop": noop, "beta": 8.0, "size": _SIZE[preset]} for noop in (0.0, 1.0, 10.0)]


def measure(parameters: Mapping[str, Any], seed: int, device: str, study: int = 0) -> list[dict[str, Any]]:
    """Measure one cell; all cells of a study have the same patterns."""
    del seed
    # on the CPU, so that every device has the same
    place = torch.rand(2, _PATTERNS, generator=keyed_generator(study, "patterns"), dtype=torch.float64)
    norm, turn = 0.9 + 0.2 * place[0], 2 * torch.pi / _PATTERNS * (torch.arange(_PATTERNS) + place[1])
    patterns = torch.stack([norm * turn.cos(), norm * turn.sin()], 1)
    memory = Memory(patterns.to(device), parameters["beta"], parameters["noop"])
    line = torch.linspace(-1.4, 1.4, parameters["size"], dtype=torch.float64, device=device)
    plane = torch.cartesian_prod(line, line)
    rows: list[dict[str, Any]] = [
        {"kind": "pattern", "path": index, "step": 0, "x": x, "y": y, "energy": energy}
        for index, ((x, y), energy) in enumerate(
            zip(patterns.tolist(), memory.energy(memory.patterns).tolist(), strict=True)
        )
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
