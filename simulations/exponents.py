"""How does the logarithm of the capacity grow with the dimension, far beyond memories that can be held?

Grid: λ = κ/d and the dimension d. Cells of kind ``update``: the number of patterns, sampled by their overlaps alone, at
which one update leaves half of the weight with the pattern. Cells of kind ``fixed point``: at which half of the
patterns lose theirs, with the patterns of a cap drawn and the others by their mean. For λ above 1 the mean leaves a
state no hold across its direction, and fluctuations decide: there all patterns of an overlap above 0.4 are drawn. Cells
of kind ``bounds``: the closed forms at λ = 1, n = 1 and p = ½, which measure nothing.

Held against: the exact exponent α_1(λ) (C4), and the mean-field prediction C5 for fixed points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from hopfield_theory.bounds import mean_field, union
from hopfield_theory.measured.sampled_capacity import fixed_point_capacity, one_update_capacity
from hopfield_theory.sampled.fixed_points import limits

PRESETS = ("quick", "paper", "large")

_LAMS = {
    "quick": (0.25, 0.5, 1.0, 2.0),
    "paper": (0.125, 0.25, 0.5, 1.0, 2.0, 4.0),
    "large": tuple(2.0 ** (k / 2) for k in range(-6, 7)),
}
_DIMS = {"quick": (25, 50, 400), "paper": (25, 50, 100, 200, 400, 700), "large": (25, 50, 100, 200, 400, 700, 1000)}
_TRIALS = {"quick": 100, "paper": 400, "large": 1000}
_LIMIT_DIMS = {"quick": (16, 32), "paper": (12, 16, 20, 24, 32, 48, 64), "large": (12, 16, 20, 24, 32, 48, 64, 96, 128)}
# by dimension, at λ = 2: those of an overlap above 0.4 where half are stored
_MANY_DRAWN = {14: 2e4}
_CHECKED = 64
_DRAWN = {"quick": 200.0, "paper": 1000.0, "large": 4000.0}
_BOUND_DIMS = {"quick": (8, 12, 16, 24, 32, 48, 64), "paper": tuple(range(8, 65, 4)), "large": tuple(range(8, 129, 4))}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    updates = [
        {"kind": "update", "lam": lam, "dim": dim, "trials": _TRIALS[preset]}
        for lam, dim in itertools.product(_LAMS[preset], _DIMS[preset])
    ]
    limits = [
        {"kind": "fixed point", "lam": lam, "dim": dim, "drawn": _DRAWN[preset]}
        for lam, dim in itertools.product((0.5, 1.0), _LIMIT_DIMS[preset])
    ]
    if preset != "quick":
        limits += [{"kind": "fixed point", "lam": 2.0, "dim": dim, "drawn": many} for dim, many in _MANY_DRAWN.items()]
    return updates + limits + [{"kind": "bounds", "lam": 1.0, "dim": dim} for dim in _BOUND_DIMS[preset]]


def measure(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure one cell: one row."""
    dim, lam = parameters["dim"], parameters["lam"]
    alpha = float(mean_field.threshold(lam))
    if parameters["kind"] == "bounds":
        known = {"dim": dim, "beta": 1.0, "scale": math.sqrt(lam * dim / (dim - 1)), "failure_probability": 0.5}
        return [
            {
                "alpha": alpha,
                "published": union.published(**known),
                "pairwise": union.pairwise(**known, noop=1.0),
                "chernoff": union.chernoff(**known, noop=1.0, quantifier="all"),
                "chernoff_typical": union.chernoff(**known, noop=1.0, quantifier="typical"),
                # what a typical pattern cannot pass, all patterns together cannot either
                "ceiling": union.ceiling(**known, noop=1.0, quantifier="typical"),
                "predicted": mean_field.predicted(dim, lam, 1.0, 0.5),
            }
        ]
    if parameters["kind"] == "fixed point":
        return _fixed_point(dim, lam, parameters["drawn"], seed, device)
    found = one_update_capacity(dim=dim, lam=lam, trials=parameters["trials"], seed=seed)
    return [{"alpha": alpha, "log_patterns": found.estimate, "log_low": found.low, "log_high": found.high}]


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    kind = parameters["kind"]
    if kind == "fixed point":
        size = parameters["drawn"] * parameters["dim"]
        # near a fold, which there is for λ up to 1 only, fixed points take ten times as many updates
        return (1.6e-3 if parameters["lam"] <= 1.0 else 1.5e-4) * size, 2e8 + 100 * size
    return (5.0, 2e8) if kind == "bounds" else (0.02 * parameters["trials"], 4e8)


def _fixed_point(dim: int, lam: float, drawn: float, seed: int, device: str) -> list[dict[str, Any]]:
    memory = {"dim": dim, "drawn": drawn, "seed": seed, "device": device}
    found = fixed_point_capacity(**memory, lam=lam, precision=0.05 if lam <= 1.0 else 0.1).log_patterns
    # trials after those of the search
    there = limits(**memory, kappa=lam * dim, log_patterns=found.estimate, trials=_CHECKED, first=1_000_000)
    stored = there.error <= 0.5
    return [
        {
            "alpha": float(mean_field.threshold(lam)),
            "log_patterns": found.estimate,
            "log_low": found.low,
            "log_high": found.high,
            "predicted": mean_field.predicted(dim, lam, 0.0, 0.5),
            "fluctuation": float(there.fluctuation[stored].max(initial=0.0)),
        }
    ]
