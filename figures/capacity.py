"""Capacity over the dimension: measured, between rigorous bounds, beside the published bound and the asymptotics."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures import style
from figures.output import Drawing
from figures.results import Found
from hopfield_theory.bounds import RandomMemory, union

NEEDS = {
    "capacity": ("kind", "rule", "log_patterns", "log_low", "log_high"),
    "exponents": ("kind", "dim", "chernoff", "chernoff_typical", "ceiling", "alpha"),
}
LAM, NOOP, FAILURE = 1.0, 1.0, 0.5


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw numbers of patterns on one logarithmic scale."""
    theory = found["exponents"].where("bounds at λ = 1", kind="bounds", lam=LAM).sort_values("dim")
    one = crossings(found["capacity"], "stored")
    every = crossings(found["capacity"], "all patterns")
    figure = style.blank(page.narrow, 2.75)
    axes = figure.subplots()
    dims = theory["dim"].to_numpy()
    band = axes.fill_between(
        dims, np.exp(theory["chernoff"]), np.exp(theory["ceiling"]), color="#1C5598", alpha=0.2, lw=0
    )
    band.set_label("between C3 and C6, C7")
    style.line(axes, dims, np.exp(theory["ceiling"]), style.CEILING, "ceiling (C6, C7)")
    typical = style.Look("#4C86C6", dash="-")
    style.line(axes, dims, np.exp(theory["chernoff_typical"]), typical, "typical stored (C3)")
    style.line(axes, dims, np.exp(theory["chernoff"]), style.BOUND, "all stored (C3)")
    alpha = float(theory["alpha"].iloc[0])
    fine = np.arange(2, int(dims[-1]) + 1)
    style.line(axes, fine, np.exp(alpha * fine), style.THRESHOLD, r"$e^{\alpha_1 d}$ (C4)")
    known = [RandomMemory.of_lambda(int(d), LAM, NOOP) for d in fine]
    pairs = np.array([union.pairwise(each, FAILURE) for each in known])
    published = np.array([union.published(each, FAILURE) for each in known])
    _named(axes, fine, pairs, style.Look("#5A5A5A", dash=(0, (6, 1, 1, 1, 1, 1))), "union bound (C2)")
    _named(axes, fine, published, style.Look("#000000"), "published (C1)")
    for rows, look, label in (
        (one, style.MODELS["OutEffHop"], "typical, measured"),
        (every, style.Look("#7A2E00", "v", ""), "all, measured"),
    ):
        look = style.Look(look.colour, look.marker, "")
        style.intervals(axes, rows["dim"], *(np.exp(rows[n]) for n in _COLUMNS), look, label, markersize=3.4)
    axes.set(xlabel="dimension $d$", ylabel="number of patterns $M$", yscale="log", xlim=(4, dims[-1] + 1))
    axes.set_ylim(1, math.exp(alpha * dims[-1]) * 3)
    axes.legend(loc="upper left", handlelength=2.4)
    last, first = theory.iloc[-1], int(fine[np.isfinite(published)][0]) if np.isfinite(published).any() else None
    vacuous = f"C1 promises two patterns from d = {first} on. " if first else "C1 promises fewer than two patterns. "
    top = one.iloc[-1]
    return Drawing(
        figure,
        f"""Capacity at λ = κ/d = {LAM:g}, n = {NOOP:g}, p = {FAILURE:g}. Measured, with 95% intervals (within the
        markers where not seen): M at which half of the patterns have a fixed point within m/2 (squares), and at
        which all have in half of the memories (triangles). Band: that all are stored is proved below it (C3), and
        refuted above it (C6, C7); solid: below it, a typical pattern is proved stored (C3). At d = {last["dim"]:g}:
        C1 {_log(published[-1])}, C2 {_log(pairs[-1])}, C3 {_log(last["chernoff"])}, ceiling
        {_log(last["ceiling"])}, e^(α_1 d) {_log(alpha * last["dim"])}. {vacuous}At the largest measured d =
        {top["dim"]:g} half of the patterns are stored at log M = {top["log_patterns"]:.2f} [{top["log_low"]:.2f},
        {top["log_high"]:.2f}]. C7 speaks of fixed points within 1/κ of the pattern, so that the squares may lie
        above it.""",
    )


def _named(axes: Axes, dims: np.ndarray, log_patterns: np.ndarray, look: style.Look, name: str) -> None:
    """Draw a bound where it promises anything, with its name above its end."""
    known = np.isfinite(log_patterns)
    style.line(axes, dims[known], np.exp(log_patterns[known]), look, linewidth=1.3, gid=name)
    if known.any():
        end = float(log_patterns[known][-1])
        axes.text(dims[known][-1], math.exp(end + 1.2), name, fontsize=7, color=look.colour, ha="right", va="bottom")


_COLUMNS = ("log_patterns", "log_low", "log_high")


def crossings(results: Found, rule: str, lam: float = LAM, noop: float = NOOP) -> pd.DataFrame:
    """Return one row for each dimension whose crossing was found."""
    rows = results.where(f"{rule!r} at λ = {lam:g}, n = {noop:g}", kind="crossing", rule=rule, lam=lam, noop=noop)
    rows = rows.drop_duplicates("dim").sort_values("dim")
    return rows[np.isfinite(rows["log_patterns"])]


def _log(value: float) -> str:
    return f"e^{value:.1f}" if math.isfinite(value) else "nothing"
