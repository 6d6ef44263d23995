"""How many random patterns are stored, by every rule of success, and how does that grow with the dimension?

Grid: dimension d, λ = κ/d, no-op mass n and rule; for each the number of patterns M at which half of the trials
succeed, found adaptively, with the rates measured on the way. A second kind of cell holds M between the proved bounds
on 'all stored' (C3 from below, C6 from above) in dimensions so small that M stays in the hundreds. A third kind, of the
preset `law`, measures rates about C9.

Held against: the mean-field prediction C5, the finite-size law C9 and the exact exponent α_1 (C4) for 'stored'; C1, C2,
C3, C10 and C6 for all patterns; C3, C10 and C7 for a typical one.
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hopfield_theory.bounds import RandomMemory, finite_size, mean_field, union
from hopfield_theory.bounds.chernoff import chernoff
from hopfield_theory.bounds.crowding import ceiling
from hopfield_theory.data.ensembles import Ensemble, Sphere
from hopfield_theory.measured.capacity import Setting, capacity, outcomes
from hopfield_theory.measured.sampled_capacity import half_weight_error
from hopfield_theory.statistics import wilson
from simulations._shared import columns

_GRIDS: dict[str, dict[str, Any]] = {
    "quick": {"dims": (8, 10, 12), "lams": (0.5, 1.0), "noops": (0.0, 1.0), "precision": 0.15, "ruled": (8, 12)},
    "paper": {
        "dims": (12, 14, 16, 18, 20, 22),
        "lams": (0.5, 1.0),
        "noops": (0.0, 1.0, 10.0, 100.0),
        "precision": 0.05,
        "ruled": (12, 14, 16),
    },
    "large": {
        "dims": (12, 14, 16, 18, 20, 22, 24, 26),
        "lams": (0.5, 1.0, 2.0),
        "noops": (0.0, 1.0, 10.0, 100.0, 1000.0),
        "precision": 0.03,
        "ruled": (12, 14, 16),
    },
}
# C5 has no fold here, only a crossover
_WITHOUT_FOLD = {0.5: (8, 10), 1.0: (8, 10), 1.5: (8, 10, 12), 2.0: (8, 10, 12)}
# d, κ and p of the sandwich: small enough for 'all stored' to be seen failing
_SANDWICH = ((4, 200.0, 0.1), (5, 120.0, 0.1), (6, 100.0, 0.1), (4, 400.0, 0.1))
_TRIALS = {"quick": 120, "paper": 1000, "large": 4000}
PRESETS = ("law", "quick", "paper", "large", "gpu")
# where rates are measured about the law C9, in units of its width, each with so many memories
_PLACES, _MEMORIES = (-1.5, -0.75, 0.0, 0.75, 1.5), 2000
_TRANSITIONS = {
    (0.5, 0.0): (12, 14, 16, 18, 20),
    (0.5, 10.0): (12, 16, 20),
    (1.0, 0.0): (12, 14, 16),
    (1.5, 0.0): (12,),
}
# folds of up to 10⁹ patterns and more, none of which is held: a GPU draws them as it needs them
_FAR = {1.0: (26, 30, 34, 38), 0.5: (26, 30, 34, 38, 40)}
# queried patterns of one memory, which a kernel scores together
_SHARED = 64


def cells(preset: str) -> list[dict[str, Any]]:
    """List the parameters of all cells."""
    if preset == "gpu":
        return [cell for lam, dims in _FAR.items() for cell in own_cells(preset, dims, (lam,))]
    if preset == "law":
        return [
            {"kind": "transition", "rule": "stored", "dim": dim, "lam": lam, "noop": noop, "place": place}
            for (lam, noop), dims in _TRANSITIONS.items()
            for dim, place in itertools.product(dims, _PLACES)
        ]
    grid = _GRIDS[preset]
    crossings = [
        {"kind": "crossing", "rule": "stored", "dim": dim, "lam": lam, "noop": noop, "precision": grid["precision"]}
        for dim, lam, noop in itertools.product(grid["dims"], grid["lams"], grid["noops"])
    ]
    others = [
        {"kind": "crossing", "rule": rule, "dim": dim, "lam": 1.0, "noop": 1.0, "precision": grid["precision"]}
        for rule, dim in itertools.product(("one update", "from noise", "all patterns"), grid["ruled"])
    ]
    for cell in crossings:
        if cell["dim"] >= 22 and cell["lam"] == 1.0:
            # a memory takes a seventh of the time, and a rounding of 1e-7 does not shift the fold of 1e5 patterns
            cell["dtype"] = "float32"
    if preset != "quick":
        crossings += [
            {"kind": "crossing", "rule": "stored", "dim": dim, "lam": lam, "noop": noop, "precision": grid["precision"]}
            for lam, dims in _WITHOUT_FOLD.items()
            for dim, noop in itertools.product(dims, (0.0, 1.0))
            if lam not in grid["lams"] or dim not in grid["dims"]
        ]
    sandwiches = [
        {"kind": "sandwich", "dim": dim, "kappa": kappa, "failure": p, "noop": 0.0, "memories": _TRIALS[preset]}
        for dim, kappa, p in _SANDWICH
    ]
    return [*sandwiches, *crossings, *others]


def own_cells(
    preset: str,
    dims: Sequence[int] | None = None,
    lams: Sequence[float] | None = None,
    noops: Sequence[float] | None = None,
    ensemble: str | None = None,
) -> list[dict[str, Any]]:
    """List the crossings of a grid of one's own; precision, and what is not given, are those of a preset.

    ``ensemble`` is ``MODULE:NAME`` of an ensemble, or of a function of nothing that returns one.
    """
    grid = _GRIDS.get(preset, {"dims": _FAR[1.0], "lams": (1.0,), "noops": (1.0,), "precision": 0.05})
    named = {} if ensemble is None else {"ensemble": ensemble}
    far = {"dtype": "float32", "shared": _SHARED} if preset == "gpu" else {}
    _check_fills(_ensemble(named), named)
    cells = [
        {"kind": "crossing", "rule": "stored", "dim": dim, "lam": lam, "noop": noop, "precision": grid["precision"]}
        for dim, lam, noop in itertools.product(dims or grid["dims"], lams or grid["lams"], noops or grid["noops"])
    ]
    for cell in cells:
        # out of range is refused before anything is measured
        RandomMemory.of_lambda(cell["dim"], cell["lam"], cell["noop"])
    return [cell | far | named for cell in cells]


def _ensemble(parameters: Mapping[str, Any]) -> Ensemble:
    """Import the ensemble that a cell names, by default the unit sphere."""
    if "ensemble" not in parameters:
        return Sphere(1.0)
    module, _, name = parameters["ensemble"].partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"ensemble is {parameters['ensemble']!r}: it must be MODULE:NAME ({error})") from error
    ensemble = found() if callable(found) else found
    if not hasattr(ensemble, "fill"):
        raise ValueError(f"ensemble is {parameters['ensemble']!r}: what it names has no method fill")
    return ensemble


def _check_fills(ensemble: Ensemble, named: Mapping[str, Any]) -> None:
    """Let an ensemble of one's own fill one block, so that what it cannot do is said before anything is measured."""
    block = torch.full((16, 8), math.nan, dtype=torch.float64)
    name = repr(named.get("ensemble"))
    try:
        ensemble.fill(block, torch.Generator().manual_seed(0), torch.Generator().manual_seed(0))
    except Exception as error:
        raise ValueError(f"ensemble is {name}: its fill fails ({type(error).__name__}: {error})") from error
    if not bool(block.isfinite().all()):
        raise ValueError(f"ensemble is {name}: its fill leaves numbers unset, NaN or infinite")


def measure(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure one cell: one row per number of patterns that was tried."""
    kinds = {"sandwich": _sandwich, "crossing": _crossing, "transition": _transition}
    return kinds[parameters["kind"]](parameters, seed, device)


def cost(parameters: Mapping[str, Any], device: str = "cpu") -> tuple[float, float]:
    """Predict seconds and bytes."""
    if parameters["kind"] == "sandwich":
        return 0.01 * parameters["memories"], 2e8
    lam = parameters["lam"]
    if parameters["kind"] == "transition":
        size = math.exp(_law(parameters).log_patterns) * parameters["dim"]
        return 2.0 + 1.2e-3 * size, 2e8 + 24 * size
    log_patterns = 0.9 * float(mean_field.threshold(lam)) * parameters["dim"]
    if "shared" in parameters:
        # some twenty thousand updates of 64 queries, at so many patterns a second
        speed = 6.5e6 if device == "cpu" else 5e9
        return 20 + 2e4 / speed * math.exp(log_patterns), 4e9
    size = (
        math.exp(min(log_patterns * (0.5 if parameters["rule"] == "all patterns" else 1.0), 20.0)) * parameters["dim"]
    )
    return 0.5 + 6e-6 * size * (8 if parameters["rule"] == "all patterns" else 1), 2e8 + 24 * size


def _crossing(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    lam, rule = parameters["lam"], parameters["rule"]
    memory = RandomMemory.of_lambda(parameters["dim"], lam, parameters["noop"])
    noise = 0.5 if rule == "from noise" else 0.0
    setting = Setting(memory, rule, _error(rule, lam), noise, _ensemble(parameters))
    dtype = getattr(torch, parameters.get("dtype", "float64"))
    far = {"shared": parameters["shared"], "most_patterns": 1e11} if "shared" in parameters else {}
    found = capacity(setting, seed, precision=parameters["precision"], dtype=dtype, device=device, **far)
    about = {
        "log_patterns": found.log_patterns.estimate,
        "log_low": found.log_patterns.low,
        "log_high": found.log_patterns.high,
        "slope": found.slope,
    }
    if "ensemble" not in parameters:
        # theory is about the sphere
        fold = mean_field.fold(memory)
        about |= {
            "predicted": mean_field.predicted(memory, setting.error),
            "fold": math.nan if fold is None else fold.log_patterns,
            "alpha": float(mean_field.threshold(lam)),
        }
        about |= _bounds(memory, 0.5, "all" if rule == "all patterns" else "typical")
    rows = zip(found.num_patterns, found.successes, found.trials, strict=True)
    return [about | _rate(size, won, tried) for size, won, tried in rows]


def _law(parameters: Mapping[str, Any]) -> finite_size.Law:
    law = finite_size.law(RandomMemory.of_lambda(parameters["dim"], parameters["lam"], parameters["noop"]))
    assert law is not None
    return law


def _transition(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    """Measure the rate at a size near that of the law, beside the law's own."""
    law = _law(parameters)
    size = max(2, round(math.exp(law.log_patterns + parameters["place"] * law.width)))
    setting = Setting(RandomMemory.of_lambda(parameters["dim"], parameters["lam"], parameters["noop"]))
    # no two places share a memory
    first = _PLACES.index(parameters["place"]) * _MEMORIES
    won = int(outcomes(setting, size, _MEMORIES, seed, first=first, device=device).sum())
    about = {"law": law.log_patterns, "width": law.width, "law_rate": float(law.rate(math.log(size)))}
    return [about | _rate(size, won, _MEMORIES)]


def _bounds(memory: RandomMemory, failure_probability: float, quantifier: str) -> dict[str, float]:
    return {
        "published": union.published(memory, failure_probability),
        "pairwise": union.pairwise(memory, failure_probability),
        "chernoff": chernoff(memory, failure_probability, quantifier),
        "ceiling": ceiling(memory, failure_probability, quantifier),
    }


def _error(rule: str, lam: float) -> float:
    """Return the largest error of a success: ½, but for one update half of its limit as the crowd grows.

    The update tends to ``s ξ``, and ``1 − s`` is below ½ for large λ.
    """
    return half_weight_error(lam) if rule == "one update" else 0.5


def _sandwich(parameters: Mapping[str, Any], seed: int, device: str) -> list[dict[str, Any]]:
    memory = RandomMemory(parameters["dim"], parameters["kappa"], -math.inf)
    about = _bounds(memory, parameters["failure"], "all")
    low, high = about["chernoff"], about["ceiling"]
    setting = Setting(memory, "all patterns")
    rows, used = [], 0
    for log_size in (0.5 * low, low, 0.5 * (low + high), high, high + 0.7):
        size = max(2, math.floor(math.exp(log_size)))
        found = outcomes(setting, size, parameters["memories"], seed, first=used, device=device)
        used += parameters["memories"]
        rows.append(about | _rate(size, int(found.sum()), parameters["memories"]))
    return rows


def _rate(size: int, won: int, tried: int) -> dict[str, Any]:
    return {"num_patterns": size, "successes": won, "trials": tried} | columns("rate", wilson(won, tried))
