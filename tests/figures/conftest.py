"""A small store in which every quick experiment is finished, with numbers made up from each cell's parameters."""

import importlib
import math
import zlib

import numpy as np
import pytest

from benchmarks.timing import record
from hopfield_theory.runs.store import Cell, Store, canonical


def interval(name, middle, width):
    return {name: middle, f"{name}_low": middle - width, f"{name}_high": middle + width}


def basins(p, rng):
    about = {"radius_median": 0.3, "radius_low": 0.2, "radius_high": 0.4, "proved_stored": 1.0}
    about |= {"half_distance": 0.5, "broken_promises": 0}
    return [
        about | {"distance": d, "trials": 100} | interval("rate", rng.uniform(0.1, 0.9), 0.05) for d in (0.1, 0.5, 1.0)
    ]


def capacity(p, rng):
    known = {"published": -math.inf, "pairwise": 1.0, "chernoff": 2.0, "ceiling": 4.0}
    if p["kind"] == "crossing":
        middle = 0.4 * p["dim"] + rng.uniform(0, 0.3)
        known |= {"log_patterns": middle, "log_low": middle - 0.1, "log_high": middle + 0.1, "slope": -2.0}
        known |= {"predicted": 1.1 * middle, "fold": 1.1 * middle, "alpha": 0.6}
    rates = [interval("rate", rng.uniform(0.1, 0.9), 0.05) for _ in range(3)]
    return [known | {"num_patterns": m, "trials": 50} | rate for m, rate in zip((10, 30, 60), rates, strict=True)]


def closeness(p, rng):
    names = ("overshoot", "kept", "dense_error", "noop_error")
    return [dict(zip(names, rng.uniform(0.1, 1.0, 4).tolist(), strict=True)) for _ in range(5)]


def convergence(p, rng):
    updates = {"kind": "updates", "num_patterns": 50, "mean": 9.0, "most": 20.0, "converged": 1.0, "retrieved": 1.0}
    rows = [
        updates | interval("median", rng.uniform(5, 50), 1.0) | interval("contraction", rng.uniform(0.1, 0.9), 0.05)
    ]
    for step in range(1, 6):
        size = 0.1 * rng.uniform(0.5, 1.0) ** step
        row = {"kind": "residual", "num_patterns": 50, "step": step, "allowed": 0.9, "worst": size}
        row |= {"drop": 0.7 * size**2, "drop_needed": 0.5 * size**2, "drop_least": 1.1, "posterior": 1.5 * size}
        rows.append(row | interval("median", size, 0.2 * size) | interval("error", 1.2 * size, 0.2 * size))
    return rows if not p["accelerate"] else rows[:1]


def digits(p, rng):
    if p.get("pictured"):
        names = ("query", "after 1", "after 2", "after 3", "answer", "pattern")
        image = rng.uniform(-0.3, 0.3, 64).tolist()
        return [
            {"cue": cue, "picture": name, "beta": 64.0, "image": image, "norm": float(rng.uniform())}
            for cue in ("matched", "unmatched")
            for name in names
        ]
    return [
        {"cue": cue, "proved": float(rng.uniform()), "broken_promises": 0}
        | interval("rate", rng.uniform(0.1, 0.9), 0.05)
        for cue in ("whole", "half hidden")
    ]


def exponents(p, rng):
    if p["kind"] == "bounds":
        typical = 0.5 * p["dim"]
        known = {"alpha": 0.6, "published": -math.inf, "pairwise": 1.0, "chernoff": typical - 1.0, "predicted": typical}
        return [known | {"chernoff_typical": typical - 0.5, "ceiling": typical + 1.0}]
    middle = 0.6 * p["dim"] - rng.uniform(0.5, 1.0)
    row = {"alpha": 0.6, "log_patterns": middle, "log_low": middle - 0.1, "log_high": middle + 0.1}
    return [row | ({"predicted": 1.01 * middle, "fluctuation": 1e-3} if p["kind"] == "fixed point" else {})]


def metastable(p, rng):
    mixed, norm = interval("mixed", rng.uniform(2, 90), 0.5), interval("norm", rng.uniform(0.1, 0.9), 0.05)
    return [mixed | norm | {"contraction": p["beta"], "noop_weight": 0.0, "trials": 100}]


def noise(p, rng):
    return [
        {"strength": s, "trials": 100}
        | interval("rate", rng.uniform(0.1, 0.9), 0.05)
        | interval("error", 0.3 * s, 0.01)
        for s in (0.1, 0.2, 0.3)
    ]


def outliers(p, rng):
    return [
        {"outliers": k, "trials": 100, "condition": float(rng.uniform(0.5, 1.0))}
        | interval("closer", rng.uniform(0.4, 0.9), 0.05)
        for k in (1, 2, 4)
    ]


def rejection(p, rng):
    rows = []
    for log_noop in (0.0, 12.0, 48.0):
        row = {"detector": "norm", "log_noop": log_noop, "unmatched_bound": 0.9} | interval(
            "auroc", rng.uniform(), 0.01
        )
        rows.append(row | interval("matched_norm", 0.95, 0.01) | interval("unmatched_norm", rng.uniform(), 0.01))
        rows += [
            {"detector": "roc", "log_noop": log_noop, "false_alarms": f} | interval("detected", rng.uniform(), 0.05)
            for f in (0.0, 0.02, 1.0)
        ]
    return [*rows, {"detector": "energy", "log_noop": -math.inf} | interval("auroc", rng.uniform(), 0.01)]


MADE_UP = {
    made.__name__: made
    for made in (
        basins, capacity, closeness, convergence, digits, exponents, metastable, noise, outliers, rejection,
    )
}  # fmt: skip


def fill(folder, name, leave=0):
    """Write an experiment's quick cells, but for the last few."""
    store, module = Store(folder), importlib.import_module(f"simulations.{name}")
    grid = module.cells("quick")
    for p in grid[: len(grid) - leave]:
        rng = np.random.default_rng(zlib.crc32(canonical(p).encode()))
        rows = MADE_UP[name](p, rng) if name in MADE_UP else module.measure(p, 0, "cpu")
        store.write(Cell(name, "quick", 0, p), rows, 0.1, "cpu")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return the folder of a store with everything in it."""
    folder = tmp_path_factory.mktemp("results")
    for name in (*MADE_UP, "landscape"):
        fill(folder, name)
    record("update", [("plain", "update", [4.0, 5.0, 6.0]), ("loop", "update", [20.0])], folder=folder)
    return folder


@pytest.fixture
def filled(tmp_path):
    """Return a way to make a store of some experiments, less some cells."""

    def make(*names, leave=0):
        for name in names:
            fill(tmp_path / "results", name, leave)
        return tmp_path / "results"

    return make
