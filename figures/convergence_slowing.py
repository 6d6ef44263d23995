"""Critical slowing down: updates until convergence as the memory fills up, plain and accelerated."""

from __future__ import annotations

from collections.abc import Mapping

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {
    "convergence": ("share", "accelerate", "median", "median_low", "median_high", "contraction", "contraction_low")
}
_OUTEFF = style.MODELS["OutEffHop"]
_PLAIN, _FAST = _OUTEFF, style.Look(_OUTEFF.colour, _OUTEFF.marker, "--")


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw updates above the contraction factor that explains them."""
    rows = found["convergence"].where("updates", kind="updates")
    figure = style.blank(page.narrow, 2.9)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
    ends = {}
    for fast, look, label, face in ((False, _PLAIN, "plain", _PLAIN.colour), (True, _FAST, "accelerated", "white")):
        chosen = rows[rows["accelerate"] == fast].sort_values("share")
        style.measured(above, chosen, chosen["share"], "median", look, label, mfc=face)
        near = chosen[chosen["share"] <= 1.0]
        ends[label] = (near if len(near) else chosen).iloc[-1]
    plain = rows[~rows["accelerate"].astype(bool)].sort_values("share")
    style.measured(below, plain, plain["share"], "contraction", _PLAIN, "contraction")
    for panel in (above, below):
        panel.axvline(1.0, color=style.HEURISTIC.colour, ls=style.HEURISTIC.dash, lw=0.9, zorder=1, gid="fold (C5)")
    above.text(0.995, 0.03, "fold (C5)", transform=above.get_xaxis_transform(), ha="right", fontsize=7, color="#555555")
    below.axhline(1.0, color="black", ls=":", lw=0.9)
    above.set(ylabel="updates (median)", yscale="log")
    below.set(ylabel="contraction factor", xlabel=r"$\log M/\log M_{\mathrm{fold}}$", ylim=(-0.03, 1.08))
    above.legend(loc="upper left")
    about = rows.iloc[0]
    style.letter(above, "a", rf"OutEff, $d = {about['dim']:g}$, $\lambda = {about['lam']:g}$")
    style.letter(below, "b", "at the fixed point")
    said = "; ".join(
        f"{label} {row['median']:g} [{row['median_low']:g}, {row['median_high']:g}]" for label, row in ends.items()
    )
    return Drawing(
        figure,
        f"""Critical slowing down, d = {about["dim"]:g}, λ = {about["lam"]:g}, n = {about["noop"]:g}: (a) updates
        until a step is shorter than 10^-8 m, (b) contraction factor: the largest eigenvalue of the Jacobian at the
        limit, of the plain dynamics. Medians with 95% intervals over memories (where none is seen, it is smaller than
        the marker); dashed: the fold of the mean-field prediction C5. At log M/log M_fold =
        {ends["plain"]["share"]:g}: {said}.""",
    )
