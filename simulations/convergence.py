"""How fast does retrieval converge, and how does it slow down as the memory fills up?

Grid: the number of patterns as a share of the mean-field fold (C5), in logarithms; plain and accelerated iteration.

Held against: T3 (the energy falls by at least half the squared step), T5 (a step of at most sqrt(2 E/τ) among τ), T6
(every iteration converges), T7 and T13 (the contraction factor near the fixed point bounds the error of a state by its
next step), and the fold, where the factor reaches 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from hopfield_theory.bounds import RandomMemory, mean_field, one_update
from hopfield_theory.model.fixed_point import Status
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.statistics import cluster_bootstrap
from simulations._shared import columns, random_patterns

_SHARES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05)
_SCALE = {"quick": (16, 12, 8), "paper": (16, 60, 32), "large": (20, 100, 64)}
_TOLERANCE, _MOST, _FOLLOWED = 1e-8, 20_000, 30
# a shorter step lowers the energy by less than its rounding
_SHORTEST = 1e-5


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    dim, memories, queries = _SCALE[preset]
    return [
        {
            "dim": dim,
            "lam": 1.0,
            "noop": 1.0,
            "share": share,
            "accelerate": fast,
            "memories": memories,
            "queries": queries,
        }
        for share, fast in itertools.product(_SHARES, (False, True))
    ]


def measure(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure one cell: one row of counts, and for the plain iteration rows of residuals and of the bound of T5."""
    dim = parameters["dim"]
    kappa = RandomMemory.of_lambda(dim, parameters["lam"]).kappa
    size = _size(parameters)
    steps, rates, reached, ambiguous = [], [], [], []
    residuals, allowed, drops, errors, betrayed, kept = [], [], [], [], [], []
    for index in range(parameters["memories"]):
        memory = Memory(random_patterns(size, dim, seed, index, device), kappa, parameters["noop"])
        start = memory.patterns[: parameters["queries"]]
        found = retrieve(memory, start, _TOLERANCE, _MOST, accelerate=parameters["accelerate"])
        steps.append(found.steps.cpu().numpy())
        reached.append((found.status == Status.CONVERGED).cpu().numpy())
        ambiguous.append(found.ambiguous.cpu().numpy())
        kept.append(((found.state - start).norm(dim=-1) <= 0.5).cpu().numpy())
        rates.append(torch.linalg.eigvalsh(memory.jacobian(found.state))[..., -1].cpu().numpy())
        if not parameters["accelerate"]:
            path, limit, drop, error = _path(memory, start, found.state)
            residuals.append(path)
            allowed.append(limit)
            drops.append(drop)
            errors.append(error)
            betrayed.append(one_update.posterior_error(path, np.maximum(rates[-1], 0.0)[:, None]))
    clusters = np.repeat(np.arange(parameters["memories"]), parameters["queries"])
    spent = np.concatenate(steps).astype(float)
    median = cluster_bootstrap(spent, clusters, np.median, num_resamples=999, seed=0)
    contraction = cluster_bootstrap(np.concatenate(rates), clusters, np.median, num_resamples=999, seed=0)
    row = {
        "kind": "updates",
        "num_patterns": size,
        **columns("median", median),
        "mean": spent.mean(),
        "most": spent.max(),
        "converged": np.concatenate(reached).mean(),
        "retrieved": np.concatenate(kept).mean(),
        "ambiguous": np.concatenate(ambiguous).mean(),
        **columns("contraction", contraction),
    }
    if not residuals:
        return [row]
    seen, bound = np.concatenate(residuals), np.concatenate(allowed)
    fallen, off, said = np.concatenate(drops), np.concatenate(errors), np.concatenate(betrayed)
    # of the step from a state: how much of T3's decrease it brings
    share = np.where(seen > _SHORTEST, fallen / (0.5 * np.square(np.maximum(seen, _SHORTEST))), np.inf)
    return [row] + [
        {
            "kind": "residual",
            "num_patterns": size,
            "step": step + 1,
            "median": float(np.median(seen[:, step])),
            "median_low": float(np.quantile(seen[:, step], 0.1)),
            "median_high": float(np.quantile(seen[:, step], 0.9)),
            "allowed": float(np.median(bound[:, step])),
            "worst": float((seen[:, : step + 1].min(1) / bound[:, step]).max()),
            "drop": float(np.median(fallen[:, step])),
            "drop_needed": float(np.median(0.5 * seen[:, step] ** 2)),
            "drop_least": float(share[:, step].min()),
            "error": float(np.median(off[:, step])),
            "error_low": float(np.quantile(off[:, step], 0.1)),
            "error_high": float(np.quantile(off[:, step], 0.9)),
            "posterior": float(np.median(said[:, step])),
        }
        for step in range(_FOLLOWED)
    ]


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    work = parameters["memories"] * parameters["queries"] * _size(parameters)
    slow = 1 / max(1.06 - parameters["share"], 0.01)
    return 0.1 + 4e-8 * work * slow * (0.4 if parameters["accelerate"] else 1), 3e8


def _size(parameters: Mapping[str, Any]) -> int:
    return round(math.exp(parameters["share"] * _fold(parameters["dim"], parameters["lam"], parameters["noop"])))


@cache
def _fold(dim: int, lam: float, noop: float) -> float:
    fold = mean_field.fold(RandomMemory.of_lambda(dim, lam, noop))
    assert fold is not None
    return fold.log_patterns


def _path(memory: Memory, start: torch.Tensor, end: torch.Tensor) -> tuple[np.ndarray, ...]:
    """Residuals of the first updates, the bound of T5, the decrease of the energy, and the errors before."""
    energy = memory.energy(start)
    state, residuals, energies, errors = start, [], [energy], []
    for _ in range(_FOLLOWED):
        before, state = state, memory.update(state)
        residuals.append((state - before).norm(dim=-1))
        energies.append(memory.energy(state))
        errors.append((before - end).norm(dim=-1))
    steps = torch.arange(1, _FOLLOWED + 1, device=start.device)
    allowed = (2 * energy[:, None] / steps).sqrt()
    drops = -torch.stack(energies, 1).diff(dim=1)
    found = (torch.stack(residuals, 1), allowed, drops, torch.stack(errors, 1))
    return tuple(values.cpu().numpy() for values in found)
