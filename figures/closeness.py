"""Who is closer after one update: a no-op slot or none (T10), outliers classified or kept (T11)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from figures import style
from figures.output import Drawing
from figures.results import Found
from hopfield_theory.statistics import wilson

NEEDS = {
    "closeness": ("overshoot", "kept", "dense_error", "noop_error"),
    "outliers": ("norm", "overlap", "outliers", "condition", "closer", "closer_low", "closer_high"),
}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw T10's boundary with the measured winners, and T11's condition with the measured rates."""
    figure = style.blank(page.full, 3.5)
    grid = figure.add_gridspec(2, 3, height_ratios=(1.15, 1))
    plane = figure.add_subplot(grid[0, :])
    right, count = _winners(plane, found["closeness"])
    rows = found["outliers"].frame
    norms, overlaps = sorted(rows["norm"].unique()), sorted(rows["overlap"].unique())
    first = None
    for column, (norm, letter) in enumerate(zip(norms[:3], "bcd", strict=False)):
        panel = figure.add_subplot(grid[1, column], sharey=first)
        for place, (overlap, look) in enumerate(zip(overlaps, style.ramp(len(overlaps)), strict=True)):
            chosen = rows[(rows["norm"] == norm) & (rows["overlap"] == overlap)].sort_values("outliers")
            beside = 2.0 ** style.dodged(np.log2(chosen["outliers"]), place, len(overlaps), 0.16)
            style.measured(panel, chosen, beside, "closer", look, f"{overlap:g}")
            dotted = style.Look(look.colour, dash=":")
            style.line(panel, beside, chosen["condition"], dotted, f"T11 {overlap:g}")
        style.doublings(panel)
        panel.set_xticks(sorted(rows["outliers"].unique()))
        panel.set_xlabel("number of outliers")
        panel.set_ylim(top=1.03)
        style.letter(panel, letter, f"outliers of norm ${norm:g}\\,m$")
        if first is None:
            first = panel
            panel.set_ylabel("share of queries")
        else:
            panel.tick_params(labelleft=False)
    handles, labels = first.get_legend_handles_labels()
    known = zip(handles, labels, strict=True)
    chosen = [(handle, label) for handle, label in known if not label.startswith("T11")]
    chosen.append((handles[labels.index(f"T11 {overlaps[0]:g}")], "T11 holds"))
    figure.axes[-1].legend(
        *zip(*chosen, strict=True),
        title=f"$d = {rows['dim'].iloc[0]:g}$, overlap with cues",
        title_fontsize=7,
        loc="lower right",
        handlelength=1.4,
    )
    held = rows[rows["condition"] >= 0.5]
    return Drawing(
        figure,
        f"""Who is closer to the pattern after one update. (a) On the same memory, by the overshoot ⟨T_0, ξ⟩/‖T_0‖²
        of the dense answer T_0 and what the no-op slot leaves of it, s = 1 − p_0; left of the line ½(1 + s), T10
        says, OutEff is closer: {right} of {count} queries are on the right side (95% interval of the rate
        [{wilson(right, count).low:.3f}, {wilson(right, count).high:.3f}]). (b–d) Outliers among the stored
        patterns: share of queries that come closer where they are classified as one no-op slot than where they are
        kept (solid, 95% intervals), and share for which T11's condition gives the classified memory the smaller
        bound (dotted). Where the condition holds for half of the queries or more, the share that comes closer is
        between {held["closer"].min():.2f} and {held["closer"].max():.2f}: T11 orders bounds, not errors.""",
    )


def _winners(axes: Axes, results: Found) -> tuple[int, int]:
    """Draw every query as its winner, and return how many are on the right side of T10, and of how many."""
    rows = results.frame
    noop = rows["noop_error"] < rows["dense_error"]
    for chosen, model, size in ((~noop, "dense", 2.2), (noop, "OutEffHop", 2.6)):
        look = style.MODELS[model]
        axes.plot(
            rows["overshoot"][chosen],
            rows["kept"][chosen],
            look.marker,
            color=look.colour,
            ms=size,
            mfc="none" if model != "dense" else look.colour,
            mew=0.6,
            label=f"{look.label} closer",
        )
    s = np.linspace(0.0, 1.0, 50)
    style.line(axes, 0.5 * (1.0 + s), s, style.THRESHOLD, r"$\frac{1}{2}(1 + s)$ (T10)", linewidth=1.3)
    axes.set_xlabel(r"overshoot $\langle T_0, \xi\rangle/\|T_0\|^2$")
    axes.set_ylabel("kept, $s = 1 - p_0$")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=3)
    known = rows.iloc[0]
    style.letter(axes, "a", rf"one memory, $n = {known['noop']:g}$ and dense; $d = {known['dim']:g}$")
    return int((noop == (rows["overshoot"] < 0.5 * (1.0 + rows["kept"]))).sum()), len(rows)
