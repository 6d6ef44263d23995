"""Shared by the experiments: presets, memories, directions, and the columns of an interval."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from hopfield_theory.data.ensembles import Ensemble, RandomPatterns, Sphere
from hopfield_theory.statistics import Interval

PRESETS = ("quick", "paper", "large")


def presets(experiment: ModuleType) -> tuple[str, ...]:
    """Return the names of an experiment's presets, from the quickest to the longest."""
    return getattr(experiment, "PRESETS", PRESETS)


def random_patterns(
    count: int, dim: int, seed: int, index: int, device: str = "cpu", ensemble: Ensemble | None = None
) -> Tensor:
    """Draw the patterns of one memory of a seed, shape (count, dim); by default on the unit sphere."""
    chosen = Sphere(1.0) if ensemble is None else ensemble
    return RandomPatterns(chosen, count, dim, seed=seed, cell=(index,), dtype=torch.float64, device=device).tensor()


def directions(count: int, dim: int, generator: torch.Generator) -> Tensor:
    """Draw unit vectors, shape (count, dim), on the CPU."""
    x = torch.randn(count, dim, dtype=torch.float64, generator=generator)
    return x / x.norm(dim=-1, keepdim=True)


def columns(name: str, interval: Interval) -> dict[str, float]:
    """Return an estimate and the ends of its interval as named columns."""
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
