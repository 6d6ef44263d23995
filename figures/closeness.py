"""Who is closer after one update: a no-op slot or none (T10)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from figures import style
from figures.output import Drawing
from figures.results import Found
from hopfield_theory.statistics import wilson

NEEDS = {"closeness": ("overshoot", "kept", "dense_error", "noop_error")}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw every query as its winner, and T10's boundary."""
    figure = style.blank(page.full, 2.2)
    axes = figure.add_subplot()
    rows = found["closeness"].frame
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
    axes.set_title(rf"one memory, $n = {known['noop']:g}$ and dense; $d = {known['dim']:g}$", loc="left")
    right = int((noop == (rows["overshoot"] < 0.5 * (1.0 + rows["kept"]))).sum())
    interval = wilson(right, len(rows))
    return Drawing(
        figure,
        f"""Who is closer to the pattern after one update, on the same memory, by the overshoot ⟨T_0, ξ⟩/‖T_0‖² of the
        dense answer T_0 and what the no-op slot leaves of it, s = 1 − p_0; left of the line ½(1 + s), T10 says, OutEff
        is closer: {right} of {len(rows)} queries are on the right side (95% interval of the rate
        [{interval.low:.3f}, {interval.high:.3f}]).""",
    )
