"""Measured basins of attraction against certified radii."""

from __future__ import annotations

from collections.abc import Mapping

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {"basins": ("lam", "num_patterns", "distance", "rate", "rate_low", "rate_high", "radius_median", "radius_low")}
CHOICES = ("lam",)


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw rates of return over the distance, a panel for each λ."""
    rows = found["basins"].frame
    lams = sorted(rows["lam"].unique())
    figure = style.blank(page.full, 2.7)
    rates, radii = figure.subplots(2, len(lams), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1))
    said = []
    for rate, radius, lam, letter in zip(rates, radii, lams, "abcdefgh", strict=False):
        sizes = sorted(rows[rows["lam"] == lam]["num_patterns"].unique())
        for place, (size, look) in enumerate(zip(sizes, style.ramp(len(sizes)), strict=True)):
            chosen = rows[(rows["lam"] == lam) & (rows["num_patterns"] == size)].sort_values("distance")
            about = chosen.iloc[0]
            radius.plot([about["radius_low"], about["radius_high"]], [place] * 2, color=look.colour, lw=3, alpha=0.3)
            for name, value, mark in (("certified", "radius_median", "|"), ("half-way", "half_distance", "x")):
                spot = {"ls": "", "marker": mark, "ms": 6, "color": look.colour}
                radius.plot([about[value]], [place], **spot, label=f"{name}, $M = {size:g}$")
            beside = style.dodged(chosen["distance"], place, len(sizes), 0.014)
            style.measured(rate, chosen, beside, "rate", look, f"$M = {size:g}$")
            last = chosen[chosen["rate_low"] >= 0.9]["distance"]
            reach = f"up to {last.max():g} m" if len(last) else "nowhere"
            said.append(f"{about['radius_median']:.3f} m and {reach} (λ = {lam:g}, M = {size:g})")
        style.letter(rate, letter, rf"$d = {rows['dim'].iloc[0]:g}$, $\lambda = {lam:g}$")
        rate.set_ylim(-0.03, 1.05)
        radius.set_xlabel(r"distance from the pattern, in units of $m$")
        radius.set_yticks(range(len(sizes)), [f"{size:g}" for size in sizes])
        radius.set_ylim(len(sizes) - 0.5, -0.5)
        radius.set_xlim(0, float(rows["distance"].max()) * 1.03)
    rates[0].set_ylabel("rate of return")
    radii[0].set_ylabel("$M$")
    drawn = dict(zip(*reversed(rates[0].get_legend_handles_labels()), strict=True))
    drawn |= dict(zip(*reversed(radii[0].get_legend_handles_labels()), strict=True))
    names = {label: label for label in drawn if label.startswith("$")}
    first = next(iter(names))
    names |= {
        f"certified, {first}": "certified radius (median)",
        f"half-way, {first}": "half-way to the nearest pattern",
    }
    figure.legend([drawn[label] for label in names], [*names.values()], loc="outside lower center", ncols=len(names))
    about = rows.iloc[0]
    broken = int(rows.drop_duplicates(["lam", "num_patterns"])["broken_promises"].sum())
    return Drawing(
        figure,
        f"""Basins of attraction, d = {about["dim"]:g}, n = {about["noop"]:g}: rate at which queries at a distance
        from a pattern, in random directions, end at its fixed point, with 95% intervals over memories. Below, for
        each M: median certified radius, with the range of 80% of the patterns (shaded), and
        median of half the distance to the nearest pattern (crosses), beyond which balls around the two are not
        disjoint. Median certified radius, and distance up to which the rate is above 0.9 with its whole interval:
        {"; ".join(said)}. Queries within a certified radius that failed: {broken}.""",
    )
