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
from hopfield_theory.bounds import RandomMemory, mean_field, union

NEEDS = {
    "capacity": ("kind", "rule", "log_patterns", "log_low", "log_high"),
    "exponents": ("kind", "dim", "chernoff", "chernoff_typical", "directional", "ceiling", "ceiling_half", "alpha"),
}
LAM, NOOP, FAILURE = 1.0, 1.0, 0.5


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw numbers of patterns, a panel for each meaning of "stored": no bound is drawn where it does not bound."""
    theory = found["exponents"].where("bounds at λ = 1", kind="bounds", lam=LAM).sort_values("dim")
    one = crossings(found["capacity"], "stored")
    every = crossings(found["capacity"], "all patterns")
    figure = style.blank(page.full, 2.6)
    typical, whole, near = panels = figure.subplots(1, 3, sharex=True, sharey=True)
    dims = theory["dim"].to_numpy()
    alpha = float(theory["alpha"].iloc[0])
    fine = np.arange(2, int(dims[-1]) + 1)
    known = [RandomMemory.of_lambda(int(d), LAM, NOOP) for d in fine]
    pairs = np.array([union.pairwise(each, FAILURE) for each in known])
    published = np.array([union.published(each, FAILURE) for each in known])
    one_stored = style.Look("#4C86C6", dash="-")
    style.line(typical, dims, np.exp(theory["ceiling_half"]), style.CEILING, "refuted above (C7)")
    best = theory[["chernoff_typical", "directional"]].max(axis=1)
    style.line(typical, dims, np.exp(best), one_stored, "proved below (C3, C10)")
    # on to the end of the axis: where it is measured the points hide it
    fold = np.array([mean_field.predicted(each) for each in known[::4]])
    seen = np.isfinite(fold)
    style.line(typical, fine[::4][seen], np.exp(fold[seen]), style.HEURISTIC, "predicted (C5)")
    style.line(whole, dims, np.exp(theory["chernoff"]), style.BOUND, "proved below (C3)")
    _named(whole, fine, pairs, style.Look("#5A5A5A", dash=(0, (6, 1, 1, 1, 1, 1))), "union bound (C2)")
    _named(whole, fine, published, style.Look("#000000"), "published (C1)")
    style.line(near, dims, np.exp(theory["ceiling"]), style.CEILING, "refuted above (C7)")
    style.line(near, dims, np.exp(theory["chernoff_typical"]), one_stored, "proved below (C3)")
    for panel in (typical, near):
        style.line(panel, fine, np.exp(alpha * fine), style.THRESHOLD, r"$e^{\alpha_1 d}$ (C4)")
    for panel, rows, look in (
        (typical, one, style.MODELS["OutEffHop"]),
        (whole, every, style.Look("#7A2E00", "v", "")),
    ):
        look = style.Look(look.colour, look.marker, "")
        style.intervals(panel, rows["dim"], *(np.exp(rows[n]) for n in _COLUMNS), look, "measured", markersize=3.4)
    titles = ("a typical one, within $m/2$", "all of them", r"a typical one, within $m/\kappa$")
    for panel, name, about in zip(panels, "abc", titles, strict=True):
        style.letter(panel, name, about)
        panel.set(xlabel="dimension $d$", yscale="log", xlim=(4, dims[-1] + 1))
        panel.set_ylim(1, math.exp(alpha * dims[-1]) * 3)
        panel.legend(loc="upper left", title=rf"OutEff, $\lambda = {LAM:g}$", title_fontsize=7, handlelength=2.4)
    typical.set_ylabel("number of patterns $M$")
    last, first = theory.iloc[-1], int(fine[np.isfinite(published)][0]) if np.isfinite(published).any() else None
    vacuous = f"C1 promises two patterns from d = {first} on. " if first else "C1 promises fewer than two patterns. "
    top = one.iloc[-1]
    return Drawing(
        figure,
        f"""How many random patterns are stored, at λ = κ/d = {LAM:g}, n = {NOOP:g}, p = {FAILURE:g}, for three
        meanings of "stored". Points are measured, with 95% intervals (where none is seen, it is smaller than the
        marker). (a) Half of the patterns have a fixed point within m/2; the better one of C3 and C10 proves it up to
        its line, C7 refutes it above, C5 predicts where it ends. (b) All patterns of half of the memories have one; C1,
        C2 and C3 guarantee it below their lines. (c) A typical pattern has one within m/κ: proved by C3 below, refuted
        by C7 above. At d = {last["dim"]:g}: C1 {_log(published[-1])}, C2 {_log(pairs[-1])}, C3
        {_log(last["chernoff"])}, C7 {_log(last["ceiling"])}, e^(α_1 d)
        {_log(alpha * last["dim"])}. {vacuous}At d = {top["dim"]:g} half of the patterns are stored at log M =
        {top["log_patterns"]:.2f} [{top["log_low"]:.2f}, {top["log_high"]:.2f}].""",
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
