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
    figure = style.blank(page.full, 2.2)
    panels = figure.subplots(1, len(lams), sharey=True, squeeze=False)[0]
    said = []
    for panel, lam, letter in zip(panels, lams, "abcdefgh", strict=False):
        sizes = sorted(rows[rows["lam"] == lam]["num_patterns"].unique())
        for place, (size, look) in enumerate(zip(sizes, style.ramp(len(sizes)), strict=True)):
            chosen = rows[(rows["lam"] == lam) & (rows["num_patterns"] == size)].sort_values("distance")
            about = chosen.iloc[0]
            # a strip for each size, below the rates of the short distances: these marks would hide each other
            strip = {"ymin": 0.6 * place / len(sizes), "ymax": 0.6 * (place + 1) / len(sizes), "color": look.colour}
            panel.axvspan(about["radius_low"], about["radius_high"], **strip, alpha=0.25, lw=0)
            panel.axvline(about["radius_median"], **strip, lw=1.2, ls="--", label=f"certified, $M = {size:g}$")
            panel.axvline(about["half_distance"], **strip, lw=1.2, ls=":", label=f"half-way, $M = {size:g}$")
            beside = style.dodged(chosen["distance"], place, len(sizes), 0.014)
            style.measured(panel, chosen, beside, "rate", look, f"$M = {size:g}$")
            last = chosen[chosen["rate_low"] >= 0.9]["distance"]
            reach = f"up to {last.max():g} m" if len(last) else "nowhere"
            said.append(f"{about['radius_median']:.3f} m and {reach} (λ = {lam:g}, M = {size:g})")
        style.letter(panel, letter, rf"$\lambda = {lam:g}$")
        panel.set_xlabel(r"distance of the query $\|x_0 - \xi\|/m$")
        panel.set_ylim(-0.03, 1.05)
        panel.set_xlim(0, float(rows["distance"].max()) * 1.03)
    panels[0].set_ylabel("rate of return")
    drawn = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
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
        from a pattern, in random directions, end at its fixed point, with 95% intervals over memories. Below, in
        the colour of M: median certified radius (dashed), with the range of 80% of the patterns (shaded), and
        median of half the distance to the nearest pattern (dotted), beyond which balls around the two are not
        disjoint. Median certified radius, and distance up to which the rate is above 0.9 with its whole interval:
        {"; ".join(said)}. Queries within a certified radius that failed: {broken}.""",
    )
