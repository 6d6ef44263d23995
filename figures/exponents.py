"""Growth exponents over λ: finite dimensions approach the exact α_1, and fixed points the mean-field prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from figures import style
from figures.capacity import crossings
from figures.output import Drawing
from figures.results import Found
from hopfield_theory.bounds import mean_field

NEEDS = {
    "exponents": ("kind", "lam", "dim", "alpha", "log_patterns", "log_low", "log_high", "predicted"),
    "capacity": ("kind", "rule", "lam", "log_patterns", "alpha", "predicted"),
}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw exponents over λ, how far finite dimensions are from the limit, and fixed points from their prediction."""
    updates = found["exponents"].where("updates", kind="update")
    lams = sorted(updates["lam"].unique())
    limits = found["exponents"].where("fixed points", kind="fixed point")
    figure = style.blank(page.narrow, 5.4)
    above, middle, below = figure.subplots(3, 1, height_ratios=(1.1, 1.1, 1))
    fine = np.geomspace(min(lams) / 1.3, max(lams) * 1.3, 200)
    style.line(above, fine, mean_field.threshold(fine), style.THRESHOLD, r"$\alpha_1(\lambda)$ (C4)", linewidth=1.3)
    dims = sorted(updates["dim"].unique())
    shown = [dims[0], dims[-1]]
    once = style.Look(style.MODELS["dense"].colour, style.MODELS["dense"].marker, "")
    for dim in shown:
        rows = updates[updates["dim"] == dim].sort_values("lam")
        size = {"markersize": 6.0, "mfc": "none"} if dim == dims[0] else {}
        _exponent(above, rows["lam"], rows, once, f"one update, $d = {dim:g}$", **size)
    measured = found["capacity"].where("stored patterns at n = 1", kind="crossing", rule="stored", noop=1.0)
    explicit = {lam: crossings(found["capacity"], "stored", lam) for lam in sorted(measured["lam"].unique())}
    hollow = {"mfc": "white", "markersize": 3.6}
    for place in (0, -1):
        points = [rows.iloc[[place]] for rows in explicit.values() if len(rows)]
        ends = sorted(rows["dim"].iloc[0] for rows in points)
        for number, rows in enumerate(points):
            look = style.Look(style.MODELS["OutEffHop"].colour, "v" if place == 0 else "s", "")
            name = f"fixed points, $d = {ends[0]:g}$ to {ends[-1]:g}" if number == 0 else None
            _exponent(above, rows["lam"], rows, look, name, **hollow)
    looks = dict(zip(lams, style.ramp(len(lams)), strict=True))
    for lam, look in looks.items():
        rows = updates[updates["lam"] == lam].sort_values("dim")
        style.intervals(
            middle, rows["dim"], *_lacking(rows, rows["alpha"] * rows["dim"]), look, rf"$\lambda = {lam:g}$"
        )
    for lam in sorted(limits["lam"].unique()):
        look, rows = looks[lam], limits[limits["lam"] == lam].sort_values("dim")
        dotted = style.Look(look.colour, look.marker, ":")
        style.intervals(middle, rows["dim"], *_lacking(rows, rows["alpha"] * rows["dim"]), dotted, None, **hollow)
        if math.isinf(rows["predicted"].iloc[0]):
            continue
        known = explicit[lam]
        style.intervals(
            below,
            known["dim"],
            *_lacking(known, known["predicted"]),
            dotted,
            rf"$\lambda = {lam:g}$, OutEff, all drawn",
            **hollow,
        )
        style.intervals(
            below, rows["dim"], *_lacking(rows, rows["predicted"]), look, rf"$\lambda = {lam:g}$, dense, sampled"
        )
    # no place inside is free of points or of lines of theory
    beside = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.98), "handlelength": 1.2, "columnspacing": 1.0}
    above.set(xscale="log", xlabel=r"$\lambda = \kappa/d$", ylabel=r"$\log M/d$")
    above.set_xticks(lams, [f"{lam:g}" for lam in lams])
    above.minorticks_off()
    above.legend(**beside, ncols=2, title="one update: dense; fixed points: OutEff", title_fontsize=7)
    middle.axhline(0.0, color="black", lw=0.6, ls=":")
    middle.set_yscale("symlog", linthresh=1e-4)
    middle.set_ylim(-3e-3, 1)
    middle.set_yticks([-1e-3, -1e-4, 0, 1e-4, 1e-3, 1e-2, 1e-1, 1])
    middle.set(xlabel="dimension $d$", ylabel=r"$1 - \log M/(\alpha_1 d)$")
    middle.legend(
        **beside, ncols=min(len(lams), 3), title="dense; filled: one update, hollow: fixed points", title_fontsize=7
    )
    below.axhline(0.0, color="black", lw=0.6, ls=":")
    below.set_yscale("symlog", linthresh=1e-3)
    below.set_ylim(-1e-2, 1)
    below.set_yticks([-1e-2, -1e-3, 0, 1e-3, 1e-2, 1e-1, 1])
    below.set(xlabel="dimension $d$", ylabel=r"$1 - \log M/$C5")
    below.legend(**beside, ncols=2)
    for panel in (middle, below):
        style.doublings(panel)
    for panel, name in zip((above, middle, below), "abc", strict=True):
        style.letter(panel, name)
    last = updates[updates["dim"] == dims[-1]]
    gap = (1.0 - last["log_patterns"] / (last["alpha"] * last["dim"])).abs().max()
    farthest = limits[limits["dim"] == limits["dim"].max()]
    short = (1.0 - farthest["log_patterns"] / farthest["predicted"]).abs().max()
    ends = ", ".join(
        f"{rows['log_patterns'].iloc[-1] / rows['dim'].iloc[-1]:.3f} for λ = {lam:g} (d = {rows['dim'].iloc[-1]:g})"
        for lam, rows in explicit.items()
        if len(rows)
    )
    return Drawing(
        figure,
        f"""Growth of the capacity, with 95% intervals (where none is seen, it is smaller than the marker). (a) Circles:
        log M/d at which one update leaves half of the weight with the pattern (n = 0, overlaps sampled in place of
        patterns); squares and triangles: at which half of the patterns keep a fixed point within m/2 (n = 1, explicit
        memories), at the largest d {ends}. Dotted: the exact exponent α_1(λ) (C4). (b) What is lacking of it, for
        one update (filled) and for fixed points (hollow; n = 0, patterns about the target drawn, the others by
        their mean); at d = {dims[-1]:g}, one update lacks at most {style.power_of_ten(gap)}. (c) What fixed points
        lack of the mean-field prediction C5, of explicit memories (n = 1) and sampled ones (n = 0); at
        d = {farthest["dim"].iloc[0]:g} at most {style.power_of_ten(short)}.""",
    )


def _lacking(rows: pd.DataFrame, of: pd.Series) -> list[pd.Series]:
    return [1.0 - rows[name] / of for name in ("log_patterns", "log_high", "log_low")]


def _exponent(axes: object, x: object, rows: object, look: style.Look, label: str | None, **options: object) -> None:
    scaled = (rows[name] / rows["dim"] for name in ("log_patterns", "log_low", "log_high"))
    style.intervals(axes, x, *scaled, look, label, **options)
