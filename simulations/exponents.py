"""How does the logarithm of the capacity grow with the dimension, far beyond memories that can be held?

Grid: λ = κ/d and the dimension d. Cells of kind ``update``: the number of patterns, sampled by their overlaps, at which
one update leaves half of the weight with the pattern. Cells of kind ``fixed point``: the number of patterns at which
half of them lose their fixed point, with the patterns of a cap drawn and the others replaced by their mean. For λ above
1 the mean does not fix the direction of a state, and fluctuations matter: there all patterns with an overlap above 0.4
are drawn. Cells of kind ``bounds``: the closed forms at λ = 1, n = 1 and p = ½; they measure nothing.

Held against: the exact exponent α_1(λ) (C4), and the mean-field prediction C5 for fixed points.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from hopfield_theory.bounds import RandomMemory, mean_field, union
from hopfield_theory.bounds.chernoff import chernoff
from hopfield_theory.bounds.crowding import ceiling
from hopfield_theory.bounds.directional import directional
from hopfield_theory.measured.sampled_capacity import fixed_point_capacity, one_update_capacity
from hopfield_theory.sampled.fixed_points import fixed_points

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
_BOUND_DIMS = {"quick": (8, 16, 32, 64), "paper": tuple(range(8, 65, 4)), "large": tuple(range(8, 129, 4))}


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    updates = [
        {"kind": "update", "lam": lam, "dim": dim, "trials": _TRIALS[preset]}
        for lam, dim in itertools.product(_LAMS[preset], _DIMS[preset])
    ]
    fixed = [
        {"kind": "fixed point", "lam": lam, "dim": dim, "drawn": _DRAWN[preset]}
        for lam, dim in itertools.product((0.5, 1.0), _LIMIT_DIMS[preset])
    ]
    if preset != "quick":
        fixed += [{"kind": "fixed point", "lam": 2.0, "dim": dim, "drawn": many} for dim, many in _MANY_DRAWN.items()]
    return updates + fixed + [{"kind": "bounds", "lam": 1.0, "dim": dim} for dim in _BOUND_DIMS[preset]]


def measure(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure one cell: one row."""
    dim, lam = parameters["dim"], parameters["lam"]
    alpha = {"alpha": float(mean_field.threshold(lam))}
    if parameters["kind"] == "bounds":
        return [alpha | _bounds(RandomMemory.of_lambda(dim, lam))]
    dense = RandomMemory.of_lambda(dim, lam, noop=0.0)
    if parameters["kind"] == "fixed point":
        return [alpha | _fixed_point(dense, parameters["drawn"], seed, device)]
    found = one_update_capacity(dense, trials=parameters["trials"], seed=seed)
    return [alpha | {"log_patterns": found.estimate, "log_low": found.low, "log_high": found.high}]


def cost(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """Predict seconds and bytes."""
    kind = parameters["kind"]
    if kind == "fixed point":
        size = parameters["drawn"] * parameters["dim"]
        # near a fold, which there is for λ up to 1 only, fixed points take ten times as many updates
        return (1.6e-3 if parameters["lam"] <= 1.0 else 1.5e-4) * size, 2e8 + 100 * size
    return (13.0, 2e8) if kind == "bounds" else (0.02 * parameters["trials"], 4e8)


def _bounds(memory: RandomMemory) -> dict[str, Any]:
    return {
        "published": union.published(memory, 0.5),
        "pairwise": union.pairwise(memory, 0.5),
        "chernoff": chernoff(memory, 0.5, "all"),
        "chernoff_typical": chernoff(memory, 0.5, "typical"),
        "directional": directional(memory, 0.5, "typical"),
        # an upper bound for a typical pattern is one for all patterns together
        "ceiling": ceiling(memory, 0.5, "typical"),
        "ceiling_half": ceiling(memory, 0.5, "typical", error=0.5),
        "predicted": mean_field.predicted(memory),
    }


def _fixed_point(memory: RandomMemory, drawn: float, seed: int, device: str) -> dict[str, Any]:
    precision = 0.05 if memory.lam <= 1.0 else 0.1
    found = fixed_point_capacity(memory, drawn=drawn, precision=precision, seed=seed, device=device).log_patterns
    # trials after those of the search
    there = fixed_points(memory, found.estimate, _CHECKED, seed, drawn=drawn, first=1_000_000, device=device)
    stored = there.error <= 0.5
    return {
        "log_patterns": found.estimate,
        "log_low": found.low,
        "log_high": found.high,
        "predicted": mean_field.predicted(memory),
        "fluctuation": float(there.fluctuation[stored].max(initial=0.0)),
    }
