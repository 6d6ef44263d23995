"""How well are noisy, masked and sign-flipped patterns retrieved by each model, and how far off are the answers?

Grid: model (dense, OutEffHop, sparsemax, 1.5-entmax), kind of corruption and its strength; random sign patterns of
unit norm. Each memory is queried with several of its patterns, so intervals come from a bootstrap over memories.

Held against: P15 and P16, by which the answers of the sparse models are never farther from the pattern; and T10 (the
no-op slot brings the answer of one update closer only where the dense answer overshoots).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hopfield_theory.data import corruption
from hopfield_theory.data.ensembles import Rademacher
from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.measured.capacity import clustered_rate
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.model.separation import Entmax, Separation, SoftmaxN
from hopfield_theory.statistics import cluster_bootstrap
from simulations._shared import columns, random_patterns

MODELS: dict[str, Separation] = {
    "dense": SoftmaxN(0.0),
    "OutEffHop": SoftmaxN(1.0),
    "sparsemax": Entmax(2.0),
    "entmax-1.5": Entmax(1.5),
}
_STRENGTHS = {
    "noise": (0.25, 0.5, 0.75, 1.0, 1.5),
    "mask": (0.1, 0.3, 0.5, 0.7, 0.9),
    "flips": (0.05, 0.15, 0.25, 0.35, 0.45),
}
_SCALE = {"quick": (20, 200, 10), "paper": (100, 1000, 20), "large": (400, 4000, 50)}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    memories, patterns, queries = _SCALE[preset]
    return [
        {
            "model": model,
            "corruption": kind,
            "dim": 32,
            "beta": 16.0,
            "num_patterns": patterns,
            "memories": memories,
            "queries": queries,
        }
        for model, kind in itertools.product(MODELS, _STRENGTHS)
    ]


def measure(parameters: Mapping[str, Any], seed: int, device: str, study: int = 0) -> list[dict[str, Any]]:
    """Measure one cell: one row per strength; the memories depend on the study's seed, not on the cell."""
    dim, queries = parameters["dim"], parameters["queries"]
    errors = {strength: [] for strength in _STRENGTHS[parameters["corruption"]]}
    for index in range(parameters["memories"]):
        # the same memories for every model: rows differ only in the model
        ensemble = Rademacher(1 / math.sqrt(dim))
        patterns = random_patterns(parameters["num_patterns"], dim, study, index, ensemble=ensemble)
        memory = Memory(patterns.to(device), parameters["beta"], separation=MODELS[parameters["model"]])
        generator = keyed_generator(seed, index, "queries")
        targets = patterns[:queries]
        for strength, found in errors.items():
            cues = _corrupted(targets, parameters["corruption"], strength, generator).to(device)
            state = retrieve(memory, cues, 1e-8, 300).state
            found.append((state - targets.to(device)).norm(dim=-1).cpu().numpy())
    return [_row(strength, np.stack(found)) for strength, found in errors.items()]


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    work = parameters["memories"] * parameters["num_patterns"] * parameters["queries"]
    return 0.2 + (4e-5 if parameters["model"] in ("sparsemax", "entmax-1.5") else 6e-6) * work, 2e8


def _corrupted(patterns: torch.Tensor, kind: str, strength: float, generator: torch.Generator) -> torch.Tensor:
    if kind == "noise":
        return corruption.add_noise(patterns, strength, generator)
    if kind == "mask":
        return corruption.mask(patterns, strength, generator=generator)
    return corruption.flip_signs(patterns, strength, generator)


def _row(strength: float, errors: np.ndarray) -> dict[str, Any]:
    clusters = np.repeat(np.arange(len(errors)), errors.shape[1])
    mean = cluster_bootstrap(errors.ravel(), clusters, num_resamples=999, seed=0)
    rate = columns("rate", clustered_rate(errors <= 0.5))
    return {"strength": strength} | rate | columns("error", mean) | {"trials": errors.size}
