"""A small store in which every quick experiment is finished, with numbers made up from each cell's parameters."""

import functools
import importlib
import math
import zlib

import numpy as np
import pytest

from benchmarks.timing import record
from figures import style
from hopfield_theory.runs.store import Cell, Store, canonical
from tests.figures.stored import unrendered


def around(name, middle, width=0.05):
    return {name: middle, f"{name}_low": middle - width, f"{name}_high": middle + width}


def capacity(p, rng):
    known = {"published": -math.inf, "pairwise": 1.0, "chernoff": 2.0, "ceiling": 4.0}
    if p["kind"] == "crossing":
        middle = 0.4 * p["dim"] + rng.uniform(0, 0.3)
        known |= {"log_patterns": middle, "log_low": middle - 0.1, "log_high": middle + 0.1, "slope": -2.0}
        known |= {"predicted": 1.1 * middle, "fold": 1.1 * middle, "alpha": 0.6}
    return [known | {"num_patterns": m, "trials": 50} | around("rate", rng.uniform(0.1, 0.9)) for m in (10, 30, 60)]


def convergence(p, rng):
    updates = {"kind": "updates", "num_patterns": 50, "mean": 9.0, "most": 20.0, "converged": 1.0, "retrieved": 1.0}
    updates |= around("median", rng.uniform(5, 50), 1.0) | around("contraction", rng.uniform(0.1, 0.9))
    rows = [updates]
    for step in range(1, 1 if p["accelerate"] else 6):
        size = 0.1 * rng.uniform(0.5, 1.0) ** step
        row = {"kind": "residual", "num_patterns": 50, "step": step, "allowed": 0.9, "worst": size}
        row |= {"drop": 0.7 * size**2, "drop_needed": 0.5 * size**2, "drop_least": 1.1, "posterior": 1.5 * size}
        rows.append(row | around("median", size, 0.2 * size) | around("error", 1.2 * size, 0.2 * size))
    return rows


def digits(p, rng):
    if not p.get("pictured"):
        proved = {"proved": float(rng.uniform()), "broken_promises": 0}
        return [proved | {"cue": cue} | around("rate", rng.uniform(0.1, 0.9)) for cue in ("whole", "half hidden")]
    about = {"beta": 64.0, "image": rng.uniform(-0.3, 0.3, 64).tolist()}
    return [
        about | {"cue": cue, "picture": name, "norm": float(rng.uniform())}
        for cue in ("matched", "unmatched")
        for name in ("query", "after 1", "after 2", "after 3", "answer", "pattern")
    ]


def exponents(p, rng):
    if p["kind"] == "bounds":
        typical = 0.5 * p["dim"]
        known = {"alpha": 0.6, "published": -math.inf, "pairwise": 1.0, "chernoff": typical - 1.0, "predicted": typical}
        # C10 is the larger one in high dimensions
        known |= {"chernoff_typical": typical - 0.5, "directional": 1.1 * typical - 2.0}
        return [known | {"ceiling": typical + 1.0, "ceiling_half": typical + 2.0}]
    middle = 0.6 * p["dim"] - rng.uniform(0.5, 1.0)
    row = {"alpha": 0.6, "log_patterns": middle, "log_low": middle - 0.1, "log_high": middle + 0.1}
    return [row | ({"predicted": 1.01 * middle, "fluctuation": 1e-3} if p["kind"] == "fixed point" else {})]


def rejection(p, rng):
    rows = [{"detector": "energy", "log_noop": -math.inf} | around("auroc", rng.uniform())]
    for log_noop in (0.0, 12.0, 48.0):
        row = {"detector": "norm", "log_noop": log_noop, "unmatched_bound": 0.9} | around("auroc", rng.uniform())
        rows.append(row | around("matched_norm", 0.95) | around("unmatched_norm", rng.uniform()))
        roc = {"detector": "roc", "log_noop": log_noop}
        rows += [roc | {"false_alarms": share} | around("detected", rng.uniform()) for share in (0.0, 0.02, 1.0)]
    return rows


def models(p, rng):
    rows = []
    for step in (0, 10, 20):
        row = {"step": step, "loss": 3.0 - 0.1 * step * rng.uniform(0.8, 1.0), "kurtosis": 3.0 + step * rng.uniform()}
        row |= {"norm": 5.0 + step * rng.uniform(), "stuck": p["method"] == "Gated_Attention", "last": step == 20}
        row |= {"kurtosis_published": 2.0 + step * rng.uniform(), "norm_published": 4.0 + step * rng.uniform()}
        rows.append(row)
    return rows


def sinks(p, rng):
    names = ("loss_busy", "slot_idle", "slot_busy", "first_idle", "first_busy")
    return [{"step": step} | {name: float(rng.uniform()) for name in names} for step in (0, 250, 500)]


BASINS = {"proved_stored": 1.0, "half_distance": 0.5, "broken_promises": 0, "trials": 100}
BASINS |= {"radius_median": 0.3, "radius_low": 0.2, "radius_high": 0.4}
MADE_UP = {
    "basins": lambda _, rng: [
        BASINS | {"distance": d} | around("rate", rng.uniform(0.1, 0.9)) for d in (0.1, 0.5, 1.0)
    ],
    "capacity": capacity,
    "closeness": lambda _, rng: [
        {name: float(rng.uniform(0.1, 1.0)) for name in ("overshoot", "kept", "dense_error", "noop_error")}
        for _ in range(5)
    ],
    "convergence": convergence,
    "digits": digits,
    "exponents": exponents,
    "metastable": lambda p, rng: [
        {"contraction": p["beta"], "noop_weight": 0.0, "trials": 100}
        | around("mixed", rng.uniform(2, 90), 0.5)
        | around("norm", rng.uniform(0.1, 0.9))
    ],
    "noise": lambda _, rng: [
        {"strength": s, "trials": 100} | around("rate", rng.uniform(0.1, 0.9)) | around("error", 0.3 * s, 0.01)
        for s in (0.1, 0.2, 0.3)
    ],
    "outliers": lambda _, rng: [
        {"outliers": k, "condition": rng.uniform(0.5, 1.0)} | around("closer", rng.uniform(0.4, 0.9)) for k in (1, 2, 4)
    ],
    "models": models,
    "rejection": rejection,
    "sinks": sinks,
    "sink_conditions": lambda p, rng: [sinks(p, rng)[-1] | {"slot_early": 0.5, "slot_late": float(rng.uniform())}],
}


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


@pytest.fixture(scope="session")
def drawn(made):
    """Return a way to draw a figure: its axes, in the order in which they were made, and the results, by experiment."""

    @functools.cache
    def draw_once(name):
        figure, found = unrendered(name, made)
        return figure.axes, {experiment: each.frame for experiment, each in found.items()}

    return draw_once


@pytest.fixture
def filled(tmp_path):
    """Return a way to make a store of some experiments, less some cells."""

    def make(*names, leave=0):
        for name in names:
            fill(tmp_path / "results", name, leave)
        return tmp_path / "results"

    return make


def _words(figure):
    """Every text that is seen in a figure."""
    texts = [text for legend in figure.legends for text in [*legend.get_texts(), legend.get_title()]]
    for axes in figure.axes:
        legend = axes.get_legend()
        texts += [*legend.get_texts(), legend.get_title()] if legend else []
        texts += [*axes.texts, axes.title, axes._left_title]
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = axis.get_major_ticks() + axis.get_minor_ticks()
                texts += [
                    each for tick in ticks if low <= tick.get_loc() <= high for each in (tick.label1, tick.label2)
                ]
                texts.append(axis.label)
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


@pytest.fixture(scope="session")
def readable():
    """Return a way to assert that every text of a figure is large enough, within it, and on no other."""

    def check(figure):
        with style.applied():
            figure.draw_without_rendering()
            texts = _words(figure)
            seen = [(text.get_text(), text.get_window_extent()) for text in texts]
            assert min(text.get_fontsize() for text in texts) >= 7
        for index, (text, box) in enumerate(seen):
            assert figure.bbox.x0 <= box.x0, text
            assert figure.bbox.y0 <= box.y0, text
            assert box.x1 <= figure.bbox.x1, text
            assert box.y1 <= figure.bbox.y1, text
            for other, its in seen[index + 1 :]:
                # boxes are of whole lines, letters are not
                width = min(box.x1, its.x1) - max(box.x0, its.x0)
                height = min(box.y1, its.y1) - max(box.y0, its.y0)
                assert min(width, height) <= 1.0, f"{text!r} lies on {other!r}"

    return check
