"""Can a memory tell that a query matches nothing, and which no-op mass serves best?

Grid: the no-op mass n, for random memories of several sizes and β, and for the handwritten digits with one class held
out. Matched queries are noisy stored patterns; unmatched ones are new patterns of the same kind (or the held-out
class). Scores of the detector: the no-op weight p_0 and the norm of the answer, after one update; for comparison the
dense model's energy. Rows of the detector ``roc`` are points of the norm's curve, at chosen rates of false alarms.

Held against: T14 (an unmatched query returns almost nothing where n is far above M e^s, s its largest score).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy import stats

from hopfield_theory.bounds import one_update
from hopfield_theory.data import files
from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.model.memory import Memory
from hopfield_theory.statistics import Interval, bootstrap
from simulations._shared import columns, directions, random_patterns

_LOG_NOOPS = (-2.0, 0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 32.0, 48.0, 60.0)
_FALSE_ALARMS = (0.0, 0.02, 0.04, 0.06, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
_SCALE = {"quick": (20, 50), "paper": (100, 200), "large": (400, 500)}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    memories, queries = _SCALE[preset]
    random = [
        {"data": "random", "dim": 16, "beta": beta, "num_patterns": size, "memories": memories, "queries": queries}
        for beta, size in itertools.product((8.0, 16.0), (50, 500))
    ]
    digits = [
        {"data": "digits", "dim": 64, "beta": beta, "num_patterns": 0, "memories": 10, "queries": queries}
        for beta in (16.0, 64.0)
    ]
    return random + digits


def measure(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure one cell: one row per no-op mass, and one for the energy of the dense model."""
    scores: dict[float, list[tuple[float, float, float, float]]] = {n: [] for n in _LOG_NOOPS}
    detected: dict[float, list[np.ndarray]] = {n: [] for n in _LOG_NOOPS}
    energies = []
    for index in range(parameters["memories"]):
        patterns, matched, unmatched = (x.to(device) for x in _drawn(parameters, seed, index))
        dense = Memory(patterns, parameters["beta"], 0.0)
        energies.append(_auroc(-dense.energy(matched), -dense.energy(unmatched)))
        top = dense.scores(unmatched).amax(-1).median().item()
        for log_noop in _LOG_NOOPS:
            memory = Memory(patterns, parameters["beta"], math.exp(log_noop))
            ours, theirs = memory.update(matched), memory.update(unmatched)
            scores[log_noop].append(
                (
                    _auroc(ours.norm(dim=-1), theirs.norm(dim=-1)),
                    ours.norm(dim=-1).mean().item(),
                    theirs.norm(dim=-1).mean().item(),
                    math.exp(one_update.log_answer(top, log_patterns=math.log(len(patterns)), log_noop=log_noop)),
                )
            )
            detected[log_noop].append(_detected(ours.norm(dim=-1), theirs.norm(dim=-1)))
    rows = [_row("norm", n, np.array(values)) for n, values in scores.items()]
    rows += [row for n, found in detected.items() for row in _curve(n, np.array(found))]
    return [*rows, _row("energy", -math.inf, np.array(energies)[:, None])]


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    return 0.5 + 0.02 * parameters["memories"], 2e8


def _drawn(parameters: Mapping[str, Any], seed: int, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return stored patterns, matched and unmatched queries, all of unit norm."""
    queries = parameters["queries"]
    generator = keyed_generator(seed, index, "queries")
    if parameters["data"] == "digits":
        images, labels = files.digits()
        centred = images.double() - images.double().mean(0)
        unit = centred / centred.norm(dim=-1, keepdim=True)
        patterns, others = unit[labels != index % 10], unit[labels == index % 10]
        unmatched = others[torch.randperm(len(others), generator=generator)[:queries]]
    else:
        size, dim = parameters["num_patterns"], parameters["dim"]
        drawn = random_patterns(size + queries, dim, seed, index)
        patterns, unmatched = drawn[:size], drawn[size:]
    chosen = torch.randint(len(patterns), (queries,), generator=generator)
    noisy = patterns[chosen] + 0.5 * directions(queries, patterns.shape[1], generator)
    return patterns, noisy / noisy.norm(dim=-1, keepdim=True), unmatched


def _auroc(matched: torch.Tensor, unmatched: torch.Tensor) -> float:
    """Return the probability that a matched query scores above an unmatched one; ties count half."""
    pairs = len(matched) * len(unmatched)
    return float(stats.mannwhitneyu(matched.cpu().numpy(), unmatched.cpu().numpy()).statistic) / pairs


def _detected(matched: torch.Tensor, unmatched: torch.Tensor) -> np.ndarray:
    """Return the share of matched queries above the level exceeded by each share of unmatched ones."""
    falling = unmatched.sort(descending=True).values.cpu().numpy()
    ours, found = matched.cpu().numpy(), []
    for share in _FALSE_ALARMS:
        allowed = round(share * len(falling))
        found.append(1.0 if allowed == len(falling) else float((ours > falling[allowed]).mean()))
    return np.array(found)


def _curve(log_noop: float, detected: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"detector": "roc", "log_noop": log_noop, "false_alarms": share} | _mean("detected", detected[:, index])
        for index, share in enumerate(_FALSE_ALARMS)
    ]


def _row(detector: str, log_noop: float, values: np.ndarray) -> dict[str, Any]:
    row = {"detector": detector, "log_noop": log_noop} | _mean("auroc", values[:, 0])
    if values.shape[1] == 1:
        return row | dict.fromkeys(("matched_norm", "unmatched_norm", "unmatched_bound"), np.nan)
    norms = _mean("matched_norm", values[:, 1]) | _mean("unmatched_norm", values[:, 2])
    return row | norms | {"unmatched_bound": float(values[:, 3].mean())}


def _mean(name: str, values: np.ndarray) -> dict[str, float]:
    mean = float(values.mean())
    found = bootstrap(values, num_resamples=999, seed=0) if values.std() > 0 else Interval(mean, mean, mean, 0.95)
    return columns(name, found)
