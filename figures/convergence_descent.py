"""Step lengths, energies and errors of retrieval, against what T5, T3 and T13 say of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {
    "convergence": ("share", "step", "median", "allowed", "drop", "drop_needed", "drop_least", "error", "posterior")
}
SHARES = (0.5, 0.8, 0.95, 1.0)
_ABOUT = ("steps (T5)", "decrease (T3)", "error and its estimate")
# below, errors are those of the limit, which is known to about the tolerance
LEAST_STEP = 1e-6


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw three panels, one for each theorem; shades tell how full the memory is."""
    rows = found["convergence"].where("residuals", kind="residual", accelerate=False)
    shares = [share for share in SHARES if (rows["share"] == share).any()] or sorted(rows["share"].unique())
    figure = style.blank(page.full, 2.45)
    steps, energies, errors = figure.subplots(1, 3)
    for share, look in zip(shares, style.ramp(len(shares)), strict=True):
        chosen = rows[rows["share"] == share].sort_values("step")
        label = f"{share:g}"
        every = {"markevery": 3, "markersize": 2.6}
        shown = chosen[chosen["median"] > 1e-12]
        steps.plot(shown["step"], shown["median"], color=look.colour, marker=look.marker, label=label, **every)
        steps.fill_between(
            shown["step"], shown["median_low"], shown["median_high"], color=look.colour, alpha=0.18, lw=0
        )
        style.line(steps, chosen["step"], chosen["allowed"], style.THRESHOLD, f"T5 {label}")
        fallen = chosen[(chosen["median"] > LEAST_STEP) & (chosen["drop"] > 0)]
        energies.plot(
            fallen["drop_needed"], fallen["drop"], look.marker, color=look.colour, ms=2.6, mfc="none", label=label
        )
        sure = chosen[chosen["median"] > LEAST_STEP]
        errors.plot(sure["step"], sure["error"], color=look.colour, marker=look.marker, label=label, **every)
        errors.fill_between(sure["step"], sure["error_low"], sure["error_high"], color=look.colour, alpha=0.18, lw=0)
        estimate = style.Look(style.HEURISTIC.colour, dash="-.")
        style.line(errors, sure["step"], sure["posterior"], estimate, f"T13 {label}", zorder=4)
    steps.set(xlabel="update $t$", ylabel=r"step $\|x_t - x_{t-1}\|/m$", yscale="log", ylim=(1e-10, 4))
    _diagonal(energies)
    energies.set(xlabel=r"$\frac{1}{2}\|x_t - x_{t-1}\|^2/m^2$", ylabel=r"$(E(x_{t-1}) - E(x_t))/m^2$")
    errors.set(xlabel="update $t$", ylabel=r"error $\|x_{t-1} - x^{*}\!\|/m$", yscale="log")
    for panel, name, about in zip((steps, energies, errors), "abc", _ABOUT, strict=True):
        style.letter(panel, name, about)
    for panel in (steps, energies, errors):
        panel.minorticks_off()
    handles, labels = steps.get_legend_handles_labels()
    chosen = [(handle, label) for handle, label in zip(handles, labels, strict=True) if not label.startswith("T5")]
    chosen.append((handles[labels.index(f"T5 {shares[0]:g}")], "bounds T5, T3"))
    estimates, names = errors.get_legend_handles_labels()
    chosen.append((estimates[names.index(f"T13 {shares[0]:g}")], "estimate after T13, no bound"))
    figure.legend(
        *zip(*chosen, strict=True),
        title=r"$\log M/\log M_{\mathrm{fold}}$",
        title_fontsize=7,
        loc="outside lower center",
        ncols=len(chosen),
    )
    reached = rows[rows["drop"] > 0]
    return Drawing(
        figure,
        f"""Retrieval of stored patterns, d = {rows["dim"].iloc[0]:g}, λ = {rows["lam"].iloc[0]:g}, n =
        {rows["noop"].iloc[0]:g}, memories filled to a share of the log M of the fold (C5). Medians over queries; in
        (a) and (c) with the range of 80% of them (shaded). (a) Lengths of the steps, and (dotted) what T5 allows
        the least of them up to t; no query's least step was above {rows["worst"].max():.3f} of that. (b) Energy
        lost in each update against half the squared step, which is the least that T3 allows (dotted); the smallest
        ratio of a single query is {reached["drop_least"].replace(np.inf, np.nan).min():.3f}. (c) Distance to the
        limit, and (dash-dotted) an estimate of it from the next step: T13 with the largest eigenvalue at the limit
        in the place of the Lipschitz constant. It is no bound: that constant need not hold on the way, and at the
        fold it does not.""",
    )


def _diagonal(panel: object) -> None:
    panel.set(xscale="log", yscale="log")
    low, high = panel.get_xlim()
    style.line(panel, [low, high], [low, high], style.THRESHOLD, "T3")
    panel.set_xlim(low, high)
