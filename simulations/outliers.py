"""When is it better to classify stored outliers as no-op patterns than to keep them?

Grid: the number of outliers, their length, and how much they point towards the queries; the real patterns are on the
sphere. Kept, the outliers are patterns of a dense memory; classified, they are one no-op slot of mass 1.

Held against: T11, whose condition on the outliers' mass orders the two error bounds, not the errors; and P3,
which has it that they are ordered too.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hopfield_theory.bounds import one_update
from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.measured.capacity import clustered_rate
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.statistics import cluster_bootstrap
from simulations._shared import columns, directions, random_patterns

_COUNTS = (1, 2, 4, 8, 16, 32)
_SCALE = {"quick": (20, 20), "paper": (100, 50), "large": (500, 100)}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    memories, queries = _SCALE[preset]
    return [
        {
            "dim": 16,
            "beta": 12.0,
            "num_patterns": 60,
            "norm": norm,
            "overlap": overlap,
            "memories": memories,
            "queries": queries,
        }
        for norm, overlap in itertools.product((0.5, 1.0, 2.0), (0.0, 0.3, 0.6))
    ]


def measure(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure one cell: one row per number of outliers."""
    dim, beta, queries = parameters["dim"], parameters["beta"], parameters["queries"]
    found: dict[int, list[np.ndarray]] = {count: [] for count in _COUNTS}
    for index in range(parameters["memories"]):
        patterns = random_patterns(parameters["num_patterns"], dim, seed, index, device)
        generator = keyed_generator(seed, index, "queries")
        targets = patterns[:queries]
        cues = targets + 0.4 * directions(queries, dim, generator).to(device)
        common = cues.mean(0) / cues.mean(0).norm()
        for count in _COUNTS:
            outliers = parameters["overlap"] * common + directions(count, dim, generator).to(device)
            outliers = parameters["norm"] * outliers / outliers.norm(dim=-1, keepdim=True)
            kept, classified = Memory(torch.cat([patterns, outliers]), beta, 0.0), Memory(patterns, beta, 1.0)
            distances = [(memory.update(cues) - targets).norm(dim=-1) for memory in (kept, classified)]
            distances += [(retrieve(memory, cues).state - targets).norm(dim=-1) for memory in (kept, classified)]
            distances.append(_condition(beta * cues @ patterns.T, beta * cues @ outliers.T).to(cues))
            found[count].append(torch.stack(distances).cpu().numpy())
    return [_row(count, np.stack(values, 1)) for count, values in found.items()]


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    return 0.1 + 0.03 * parameters["memories"], 2e8


def _condition(scores: torch.Tensor, outliers: torch.Tensor) -> torch.Tensor:
    """Whether T11 gives the classified memory the smaller bound, for query i of pattern i."""
    own = scores.diagonal()
    rest = scores.clone().fill_diagonal_(-torch.inf).logsumexp(-1)
    needed = one_update.log_outlier_threshold(own.cpu().numpy(), rest.cpu().numpy())
    return torch.from_numpy(outliers.logsumexp(-1).cpu().numpy() > needed)


def _row(count: int, found: np.ndarray) -> dict[str, Any]:
    kept, classified, kept_end, classified_end, condition = found
    clusters = np.repeat(np.arange(kept.shape[0]), kept.shape[1])
    row: dict[str, Any] = {"outliers": count, "trials": kept.size}
    for name, values in (
        ("kept", kept),
        ("classified", classified),
        ("kept_end", kept_end),
        ("classified_end", classified_end),
    ):
        row |= columns(name, cluster_bootstrap(values.ravel(), clusters, num_resamples=999, seed=0))
    held = condition.astype(bool)
    for name, values in (("condition", held), ("closer", classified < kept), ("closer_end", classified_end < kept_end)):
        row |= columns(name, clustered_rate(values))
    # T11 orders bounds: how often the errors are ordered the other way where it holds
    row["farther_where_held"] = float((classified > kept)[held].mean()) if held.any() else np.nan
    return row
