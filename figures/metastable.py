"""How many patterns a fixed point mixes, and what is left of its norm, over β and n."""

from __future__ import annotations

from collections.abc import Mapping

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {
    "metastable": ("beta", "noop", "mixed", "mixed_low", "mixed_high", "norm", "norm_low", "norm_high", "contraction")
}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw participation and norm, a curve for each no-op mass."""
    rows = found["metastable"].frame
    looks = style.masses(sorted(rows["noop"].unique()))
    figure = style.blank(page.full, 2.1)
    left, right = figure.subplots(1, 2)
    for noop, look in looks.items():
        chosen = rows[rows["noop"] == noop].sort_values("beta")
        label = f"{noop:g}" if noop < 1e3 else f"$10^{{{len(f'{noop:.0f}') - 1}}}$"
        for panel, name in ((left, "mixed"), (right, "norm")):
            interval = (chosen[f"{name}{end}"] for end in ("", "_low", "_high"))
            style.measured(panel, chosen["beta"], *interval, look, label)
    # T7's factor is proportional to β
    alone = float((rows["beta"] / rows["contraction"]).min())
    for panel in (left, right):
        panel.axvspan(rows["beta"].min() * 0.9, alone, color="#DDDDDD", lw=0, zorder=0, label="one fixed\npoint (T7)")
        panel.set_xscale("log", base=2)
        panel.set_xlim(rows["beta"].min() * 0.9, rows["beta"].max() * 1.1)
        panel.set_xlabel(r"$\kappa = \beta m^2$")
    left.set(ylabel=r"patterns mixed, $(\Sigma p)^2/\Sigma p^2$", yscale="log")
    right.set(ylabel=r"norm of the fixed point $\|x^*\|/m$", ylim=(-0.03, 1.05))
    right.legend(title="$n$", title_fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    style.letter(left, "a")
    style.letter(right, "b")
    size = rows["num_patterns"].iloc[0]
    said = []
    for noop in looks:
        single = rows[(rows["noop"] == noop) & (rows["mixed"] < 1.5)]["beta"]
        said.append(f"n = {noop:g}: {single.min():g}" if len(single) else f"n = {noop:g}: none")
    return Drawing(
        figure,
        f"""Fixed points reached from stored patterns, d = {rows["dim"].iloc[0]:g}, M = {size:g}, with 95% intervals
        over
        memories: (a) how many patterns they mix (geometric mean of the participation number), (b) their norm. Shaded:
        there
        is a single fixed point for every n (T7). Smallest κ of the grid at which fewer than 1.5 are mixed:
        {", ".join(said)}.""",
    )
