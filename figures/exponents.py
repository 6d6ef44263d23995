"""Growth exponents over λ: finite dimensions approach the exact α_1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from figures import style
from figures.capacity import crossings
from figures.output import Drawing
from figures.results import Found
from hopfield_theory.bounds import thermodynamics

NEEDS = {
    "exponents": ("kind", "lam", "dim", "alpha", "log_patterns", "log_low", "log_high"),
    "capacity": ("kind", "rule", "lam", "log_patterns", "alpha"),
}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw exponents over λ, and below how far finite dimensions are from the limit."""
    virtual = found["exponents"].where("updates", kind="update")
    lams = sorted(virtual["lam"].unique())
    figure = style.blank(page.narrow, 3.4)
    above, below = figure.subplots(2, 1, height_ratios=(1.25, 1))
    fine = np.geomspace(min(lams) / 1.3, max(lams) * 1.3, 200)
    style.line(above, fine, thermodynamics.threshold(fine), style.THRESHOLD, r"$\alpha_1(\lambda)$ (C4)", linewidth=1.3)
    dims = sorted(virtual["dim"].unique())
    shown = [dims[0], dims[-1]]
    once = style.Look(style.MODELS["dense"].colour, style.MODELS["dense"].marker, "")
    for dim in shown:
        rows = virtual[virtual["dim"] == dim].sort_values("lam")
        size = {"markersize": 6.0, "mfc": "none"} if dim == dims[0] else {}
        _exponent(above, rows["lam"], rows, once, f"one update, $d = {dim:g}$", **size)
    measured = found["capacity"].where("stored patterns at n = 1", kind="crossing", rule="stored", noop=1.0)
    explicit = {lam: crossings(found["capacity"], "stored", lam) for lam in sorted(measured["lam"].unique())}
    hollow = {"mfc": "white", "markersize": 3.6}
    for place, label in ((0, "smallest"), (-1, "largest")):
        points = [rows.iloc[[place]] for rows in explicit.values() if len(rows)]
        for number, rows in enumerate(points):
            look = style.Look(style.MODELS["OutEffHop"].colour, "v" if place == 0 else "s", "")
            name = f"fixed points, {label} $d$" if number == 0 else None
            _exponent(above, rows["lam"], rows, look, name, **hollow)
    for lam, look in zip(lams, style.ramp(len(lams)), strict=True):
        rows = virtual[virtual["lam"] == lam].sort_values("dim")
        limit = rows["alpha"] * rows["dim"]
        gaps = [1.0 - rows[name] / limit for name in ("log_patterns", "log_high", "log_low")]
        style.measured(below, rows["dim"], *gaps, look, rf"$\lambda = {lam:g}$")
    for lam, rows in explicit.items():
        if lam in lams and len(rows):
            look = style.ramp(len(lams))[lams.index(lam)]
            limit = rows["alpha"] * rows["dim"]
            gaps = [1.0 - rows[name] / limit for name in ("log_patterns", "log_high", "log_low")]
            style.measured(below, rows["dim"], *gaps, style.Look(look.colour, look.marker, ":"), None, **hollow)
    above.set(xscale="log", xlabel=r"$\lambda = \kappa/d$", ylabel=r"$\log M/d$")
    above.set_xticks(lams, [f"{lam:g}" for lam in lams])
    above.minorticks_off()
    above.legend(loc="upper left")
    below.axhline(0.0, color="black", lw=0.6, ls=":")
    below.set_yscale("symlog", linthresh=1e-4)
    below.set_ylim(-3e-3, 1)
    below.set_yticks([-1e-3, -1e-4, 0, 1e-4, 1e-3, 1e-2, 1e-1, 1])
    below.set(xscale="log", xlabel="dimension $d$", ylabel=r"$1 - \log M/(\alpha_1 d)$")
    # no place inside is free of points or of the line at 0
    below.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=len(lams), handlelength=1.2, columnspacing=1.0)
    style.letter(above, "a")
    style.letter(below, "b")
    last = virtual[virtual["dim"] == dims[-1]]
    gap = (1.0 - last["log_patterns"] / (last["alpha"] * last["dim"])).abs().max()
    ends = ", ".join(
        f"{rows['log_patterns'].iloc[-1] / rows['dim'].iloc[-1]:.3f} for λ = {lam:g} (d = {rows['dim'].iloc[-1]:g})"
        for lam, rows in explicit.items()
        if len(rows)
    )
    return Drawing(
        figure,
        f"""Growth of the capacity, with 95% intervals (within the markers where not seen). (a) Circles: log M/d at
        which one update leaves half of the weight with the pattern (n = 0, overlaps sampled in place of patterns);
        squares and triangles: at which half of the patterns keep a fixed point within m/2 (n = 1, explicit
        memories), at the largest d {ends}. Dotted: the exact exponent α_1(λ) (C4). (b) What is lacking of it, for
        one update (filled) and for fixed points (hollow); at d = {dims[-1]:g}, one update lacks at most
        {style.power_of_ten(gap)}.""",
    )


def _exponent(axes: object, x: object, rows: object, look: style.Look, label: str | None, **options: object) -> None:
    scaled = (rows[name] / rows["dim"] for name in ("log_patterns", "log_low", "log_high"))
    style.measured(axes, x, *scaled, look, label, **options)
