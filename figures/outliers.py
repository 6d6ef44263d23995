"""Outliers among the stored patterns: classified as one no-op slot, or kept (T11)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {"outliers": ("norm", "overlap", "outliers", "condition", "closer", "closer_low", "closer_high")}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw T11's condition with the measured rates."""
    figure = style.blank(page.full, 2.0)
    grid = figure.add_gridspec(1, 3)
    rows = found["outliers"].frame
    norms, overlaps = sorted(rows["norm"].unique()), sorted(rows["overlap"].unique())
    first = None
    for column, (norm, letter) in enumerate(zip(norms[:3], "abc", strict=False)):
        panel = figure.add_subplot(grid[0, column], sharey=first)
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
        f"""Outliers among the stored patterns: share of queries that come closer where they are classified as one no-op
        slot than where they are kept (solid, 95% intervals), and share for which T11's condition gives the classified
        memory the smaller bound (dotted). Where the condition holds for half of the queries or more, the share that
        comes closer is between {held["closer"].min():.2f} and {held["closer"].max():.2f}: T11 orders bounds, not
        errors.""",
    )
