"""Success rates over the number of patterns, with every bound marked."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from figures import style
from figures.output import Drawing
from figures.results import Found

_BOUNDS = ("published", "pairwise", "chernoff", "ceiling")
NEEDS = {
    "capacity": (
        "kind",
        "rule",
        "rate",
        "rate_low",
        "rate_high",
        "slope",
        "log_patterns",
        "predicted",
        "alpha",
        *_BOUNDS,
    )
}
DIMS = 3


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw a typical pattern, all patterns, and the sandwich in a dimension where it can be seen from both sides."""
    results = found["capacity"]
    typical = results.where("typical patterns at λ = 1, n = 1", kind="crossing", rule="stored", lam=1.0, noop=1.0)
    every = results.where("'all patterns' at λ = 1, n = 1", kind="crossing", rule="all patterns", lam=1.0, noop=1.0)
    sandwich = results.where("sandwich", kind="sandwich")
    dim, kappa = sandwich["dim"].iloc[0], sandwich["kappa"].iloc[0]
    sandwich = sandwich[(sandwich["dim"] == dim) & (sandwich["kappa"] == kappa)]
    figure = style.blank(page.full, 2.1)
    one, whole, small = figure.subplots(1, 3, sharey=True, width_ratios=(5, 4, 4))
    about = _rates(one, typical, style.ramp(DIMS))
    style.mark(one, about["chernoff"], style.BOUND, "C3")
    style.mark(one, about["predicted"], style.HEURISTIC, "C5")
    style.mark(one, about["alpha"] * about["dim"], style.THRESHOLD, r"$\alpha_1 d$", "left")
    above = _rates(whole, every, style.ramp(DIMS))
    style.mark(whole, above["pairwise"], style.BOUND, "C2")
    style.mark(whole, above["chernoff"], style.BOUND, "C3")
    below = _rates(small, sandwich, [style.MODELS["dense"]])
    for name, text, look in (("pairwise", "C2", "BOUND"), ("chernoff", "C3", "BOUND"), ("ceiling", "C6", "CEILING")):
        style.mark(small, below[name], getattr(style, look), text)
    promised = 1.0 - float(below["failure"])
    style.line(small, [0, 1], [promised] * 2, style.THRESHOLD, "$1 - p$", transform=small.get_yaxis_transform())
    small.text(
        0.99, promised + 0.015, "$1-p$", transform=small.get_yaxis_transform(), ha="right", va="bottom", fontsize=7
    )
    published = {panel: row["published"] for panel, row in ((one, about), (whole, above), (small, below))}
    for panel, height in published.items():
        if math.isfinite(height):
            style.mark(panel, height, style.BOUND, "C1")
    titles = (
        f"a typical pattern (marks: $d = {about['dim']:g}$)",
        f"every pattern (marks: $d = {above['dim']:g}$)",
        f"disjoint balls, $d = {dim:g}$",
    )
    for panel, name, text in zip((one, whole, small), "abc", titles, strict=True):
        style.letter(panel, name, text, pad=12)
        panel.set_xlabel(r"$\log M$")
        panel.set_ylim(-0.02, 1.03)
    for panel in (one, whole):
        # room for the legend below the flat beginning of the curves
        low, high = panel.get_xlim()
        panel.set_xlim(low - 0.22 * (high - low), high)
        panel.legend(title="$d$", title_fontsize=7, loc="lower left", handlelength=1.0)
    one.set_ylabel("success rate")
    nothing = [name for panel, name in ((one, "a"), (whole, "b"), (small, "c")) if not math.isfinite(published[panel])]
    vacuous = (
        f" C1 promises fewer than two patterns in {', '.join(f'({name})' for name in nothing)} and has no mark."
        if nothing
        else ""
    )
    return Drawing(
        figure,
        f"""Success rates over log M with 95% intervals. Lines: logistic fits to the last trials, about the crossing.
        (a) One pattern has its fixed point within m/2, λ = 1, n = 1: half succeed at log M =
        {about["log_patterns"]:.2f} [{about["log_low"]:.2f}, {about["log_high"]:.2f}] for d = {about["dim"]:g}; marked
        for that d are C3 (proved from there down, at p = ½), the mean-field prediction C5 (heuristic) and α_1 d. C7,
        which is about fixed points within m/κ, bounds nothing here. (b) All patterns, λ = 1, n = 1; marks for d =
        {above["dim"]:g}: C2 and C3 from below. (c) All limits distinct and in disjoint balls, d = {dim:g}, κ =
        {kappa:g}, n = 0: C3 promises a rate of at least 1 − p = {promised:g}, C6 at most that from there
        on.{vacuous}""",
    )


def _rates(panel: Axes, rows: pd.DataFrame, looks: list[style.Look]) -> pd.Series:
    """Draw a curve for each of the largest dimensions, the very largest in the first look, and return a row of it."""
    dims = sorted(rows["dim"].unique())[-DIMS:]
    for dim, look in zip(dims, looks[len(dims) - 1 :: -1], strict=True):
        chosen = rows[rows["dim"] == dim].sort_values("num_patterns")
        x = np.log(chosen["num_patterns"])
        points = style.Look(look.colour, look.marker, "")
        style.measured(panel, chosen, x, "rate", points, f"{dim:g}")
        _curve(panel, chosen, look)
    return rows[rows["dim"] == dims[-1]].iloc[0]


def _curve(panel: Axes, chosen: pd.DataFrame, look: style.Look) -> None:
    """Draw the stored logistic fit; a sandwich has points alone."""
    slope, centre = (float(chosen[name].iloc[0]) for name in ("slope", "log_patterns"))
    if not (math.isfinite(slope) and math.isfinite(centre)):
        return
    x = centre + np.linspace(-2.5, 2.5, 121) / abs(slope)
    panel.plot(x, 1.0 / (1.0 + np.exp(-slope * (x - centre))), "-", color=look.colour, lw=0.8, zorder=2)
