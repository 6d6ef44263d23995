"""Measured capacity over the dimension: a panel per λ, a line per no-op mass, for any grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {"capacity": ("kind", "rule", "dim", "lam", "noop", "log_patterns", "log_low", "log_high")}
CHOICES = ("lam", "noop")
_PANELS = 4


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw the crossings of the rule 'stored', with C5 where it was stored with them."""
    rows = found["capacity"].where("crossings of typical patterns", kind="crossing", rule="stored")
    rows = rows.drop_duplicates(["dim", "lam", "noop"]).sort_values("dim")
    # no point where nothing is stored
    rows = rows[np.isfinite(rows["log_patterns"])]
    lams, noops = sorted(rows["lam"].unique()), sorted(rows["noop"].unique())
    shown = lams[:_PANELS]
    figure = style.blank(page.full if len(shown) > 1 else page.narrow, 2.4)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for place, (axes, lam) in enumerate(zip(panels, shown, strict=True)):
        for noop, look in zip(noops, style.ramp(len(noops)), strict=True):
            some = rows[(rows["lam"] == lam) & (rows["noop"] == noop)]
            if some.empty:
                continue
            spots = style.Look(look.colour, look.marker, "")
            columns = (some[name] for name in ("log_patterns", "log_low", "log_high"))
            style.intervals(axes, some["dim"], *columns, spots, f"n = {noop:g}")
            if "predicted" in some and some["predicted"].notna().any():
                style.line(axes, some["dim"], some["predicted"], style.Look(look.colour, dash=style.HEURISTIC.dash))
        axes.set(xlabel="dimension $d$", title=f"λ = {lam:g}")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        if place == 0:
            axes.set_ylabel(r"$\log M$, half stored")
            axes.legend(loc="upper left")
    rest = f" Not drawn: λ = {', '.join(f'{lam:g}' for lam in lams[_PANELS:])}." if lams[_PANELS:] else ""
    kinds = sorted(set(rows["ensemble"].dropna())) if "ensemble" in rows else []
    drawn_from = f"Patterns drawn from {', '.join(kinds)}." if kinds else "Patterns uniform on the sphere."
    theory = "Dashed: where C5 predicts it. " if "predicted" in rows and rows["predicted"].notna().any() else ""
    return Drawing(
        figure,
        f"""Number of patterns M, as log M, at which half of the patterns have a fixed point within m/2, with 95%
        intervals, over the dimension, for the no-op masses n of the legend. {theory}{drawn_from}{rest}""",
    )
