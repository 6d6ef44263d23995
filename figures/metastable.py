"""How many patterns a fixed point mixes, and what is left of its norm, over β and n."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {
    "metastable": ("beta", "noop", "mixed", "mixed_low", "mixed_high", "norm", "norm_low", "norm_high", "contraction")
}
CHOICES = ("noop",)


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw participation and norm, a curve for each no-op mass."""
    rows = found["metastable"].frame
    looks = style.masses(sorted(rows["noop"].unique()))
    figure = style.blank(page.full, 2.1)
    left, right = figure.subplots(1, 2)
    for place, (noop, look) in enumerate(looks.items()):
        chosen = rows[rows["noop"] == noop].sort_values("beta")
        label = f"{noop:g}" if noop < 1e3 else f"10^{{{len(f'{noop:.0f}') - 1}}}"
        for panel, name in ((left, "mixed"), (right, "norm")):
            beside = 2.0 ** style.dodged(np.log2(chosen["beta"]), place, len(looks), 0.06)
            style.measured(panel, chosen, beside, name, look, label)
    # T7's factor is proportional to β
    alone = float((rows["beta"] / rows["contraction"]).min())
    for panel in (left, right):
        panel.axvspan(rows["beta"].min() * 0.9, alone, color="#DDDDDD", lw=0, zorder=0, label="T7")
        style.doublings(panel)
        panel.set_xlim(rows["beta"].min() * 0.9, rows["beta"].max() * 1.1)
        panel.set_xlabel(r"$\kappa = \beta m^2$")
    left.set(ylabel=r"patterns mixed, $(\Sigma_\mu p_\mu)^2/\Sigma_\mu p_\mu^2$", yscale="log")
    right.set(ylabel=r"norm of the fixed point $\|x^{*}\!\|/m$", ylim=(-0.03, 1.05))
    known = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
    shaded = known.pop("T7")
    handles, names = [*known.values(), shaded], [f"$n = {n}$" for n in known] + ["unique (T7)"]
    left.legend(
        handles, names, loc="lower left", bbox_to_anchor=(alone, 0.0), bbox_transform=left.get_xaxis_transform()
    )
    size = rows["num_patterns"].iloc[0]
    style.letter(left, "a", rf"$d = {rows['dim'].iloc[0]:g}$, $M = {size:g}$")
    style.letter(right, "b", "the same")
    said = []
    for noop in looks:
        single = rows[(rows["noop"] == noop) & (rows["mixed"] < 1.5)]["beta"]
        said.append(f"n = {noop:g}: {single.min():g}" if len(single) else f"n = {noop:g}: none")
    return Drawing(
        figure,
        f"""Fixed points reached from stored patterns, d = {rows["dim"].iloc[0]:g}, M = {size:g}, with 95% intervals
        over memories: (a) how many patterns they mix (geometric mean of the participation number), (b) their norm.
        Shaded: there is a single fixed point for every n (T7). Smallest κ of the grid at which fewer than 1.5 are
        mixed: {", ".join(said)}.""",
    )
