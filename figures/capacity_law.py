"""How far measured capacities lie from the mean-field curve, and from the law that allows for fluctuations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from figures import style
from figures.output import Drawing
from figures.results import Found, UnusableError
from hopfield_theory.bounds import RandomMemory, finite_size, mean_field

NEEDS = {"capacity": ("kind", "rule", "dim", "lam", "noop", "log_patterns", "log_low", "log_high")}
_MISSES = {"curve": "C5", "law": "C9"}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw log M less its prediction, C5 above C9, a column for each λ."""
    rows = compared(found["capacity"])
    lams, noops = sorted(rows["lam"].unique()), sorted(rows["noop"].unique())
    figure = style.blank(page.full if len(lams) > 1 else page.narrow, 3.2)
    panels = figure.subplots(2, len(lams), sharex=True, sharey=True, squeeze=False)
    for column, lam in enumerate(lams):
        for axes, (prediction, name) in zip(panels[:, column], _MISSES.items(), strict=True):
            axes.axhline(0.0, color="black", linewidth=0.6, zorder=1)
            for place, (noop, look) in enumerate(style.masses(noops).items()):
                some = rows[(rows["lam"] == lam) & (rows["noop"] == noop)]
                if some.empty:
                    continue
                misses = (some[end] - some[prediction] for end in ("log_patterns", "log_low", "log_high"))
                spots = style.Look(look.colour, look.marker, "")
                x = style.dodged(some["dim"], place, len(noops), 0.28)
                style.intervals(axes, x, *misses, spots, f"n = {noop:g}")
            if rows.loc[rows["lam"] == lam, prediction].isna().all():
                axes.text(0.5, 0.5, f"{name} has no end here", transform=axes.transAxes, ha="center")
            style.letter(axes, "abcdefgh"[column + len(lams) * (axes is panels[1, column])], f"{name}, λ = {lam:g}")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        panels[1, column].set_xlabel("dimension $d$")
    for axes, name in zip(panels[:, 0], _MISSES.values(), strict=True):
        axes.set_ylabel(rf"$\log M$ − {name}")
    max(panels[1], key=lambda axes: len(axes.get_legend_handles_labels()[1])).legend(loc="lower right", ncols=2)
    both = rows.dropna(subset=list(_MISSES))
    scores = [
        f"{name} {np.sqrt(np.mean(((both['log_patterns'] - both[prediction]) / both['half']) ** 2)):.1f}"
        for prediction, name in _MISSES.items()
    ]
    scored = f" Root mean square where there are both, in halves of an interval: {' and '.join(scores)}."
    return Drawing(
        figure,
        f"""Measured less predicted: log M at which half of the patterns have a fixed point within m/2, with 95%
        intervals, less the mean-field curve C5 (above) and less the finite-size law C9 (below), wherever there is such
        a prediction. C9 has no free parameter: it takes the fluctuations of the crowd to first order.
        {scored if len(both) else ""}""",
    )


def compared(results: Found) -> pd.DataFrame:
    """Return the measured crossings that C5 or C9 predicts, one row each, with these and half an interval."""
    rows = results.where("crossings of typical patterns", kind="crossing", rule="stored")
    rows = rows.drop_duplicates(["dim", "lam", "noop"]).sort_values(["lam", "noop", "dim"])
    # no difference where nothing is stored
    rows = rows[np.isfinite(rows["log_patterns"])]
    memories = [RandomMemory.of_lambda(int(row.dim), row.lam, row.noop) for row in rows.itertuples()]
    laws = [finite_size.law(memory) for memory in memories]
    rows = rows.assign(
        curve=[mean_field.predicted(memory) for memory in memories],
        law=[np.nan if each is None else each.log_patterns for each in laws],
        half=0.5 * (rows["log_high"] - rows["log_low"]),
    ).replace([-np.inf, np.inf], np.nan)
    rows = rows.dropna(subset=list(_MISSES), how="all")
    if rows.empty:
        raise UnusableError(f"the stored results of capacity, {results.preset}, have no memory that C5 or C9 predicts")
    return rows
