"""Measured basins of attraction against certified radii."""

from __future__ import annotations

from collections.abc import Mapping

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {"basins": ("lam", "num_patterns", "distance", "rate", "rate_low", "rate_high", "radius_median", "radius_low")}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw rates of return over the distance, a panel for each λ."""
    rows = found["basins"].frame
    lams = sorted(rows["lam"].unique())
    figure = style.blank(page.full, 2.1)
    panels = figure.subplots(1, len(lams), sharey=True, squeeze=False)[0]
    said = []
    for panel, lam, letter in zip(panels, lams, "abcdefgh", strict=False):
        sizes = sorted(rows[rows["lam"] == lam]["num_patterns"].unique())
        for place, (size, look) in enumerate(zip(sizes, style.ramp(len(sizes)), strict=True)):
            chosen = rows[(rows["lam"] == lam) & (rows["num_patterns"] == size)].sort_values("distance")
            about = chosen.iloc[0]
            panel.axvspan(about["radius_low"], about["radius_high"], color=look.colour, alpha=0.18, lw=0)
            panel.axvline(
                about["radius_median"], color=look.colour, lw=1.0, ls="--", label=f"certified, $M = {size:g}$"
            )
            panel.axvline(about["half_distance"], color=look.colour, lw=1.0, ls=":", label=f"half-way, $M = {size:g}$")
            interval = (chosen[name] for name in ("rate", "rate_low", "rate_high"))
            beside = style.dodged(chosen["distance"], place, len(sizes), 0.014)
            style.measured(panel, beside, *interval, look, f"returned, $M = {size:g}$")
            last = chosen[chosen["rate_low"] >= 0.9]["distance"]
            reach = f"up to {last.max():g} m" if len(last) else "nowhere"
            said.append(f"{about['radius_median']:.3f} m certified and {reach} in fact at λ = {lam:g}, M = {size:g}")
        style.letter(panel, letter, rf"$\lambda = {lam:g}$")
        panel.set_xlabel("distance of the query from the pattern, $/m$")
        panel.set_ylim(-0.03, 1.05)
        panel.set_xlim(0, float(rows["distance"].max()) * 1.03)
    panels[0].set_ylabel("rate of return")
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    about = rows.iloc[0]
    broken = int(rows.drop_duplicates(["lam", "num_patterns"])["broken_promises"].sum())
    return Drawing(
        figure,
        f"""Basins of attraction, d = {about["dim"]:g}, n = {about["noop"]:g}: rate at which queries in random
        directions end
        at the pattern's fixed point, with 95% intervals. Dashed: median certified radius, shaded the range of 80% of
        patterns; dotted: half the distance to the nearest pattern, beyond which no ball is disjoint from its
        neighbour's.
        Median radii, and distances at which the rate is above 0.9 for sure: {"; ".join(said)}. Queries within a
        certified
        radius that failed: {broken}.""",
    )
