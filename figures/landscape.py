"""Energy landscape in the plane, with trajectories of the retrieval dynamics, for several no-op masses."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {"landscape": ("kind", "noop", "x", "y", "energy", "path", "step")}
CHOICES = ("noop",)


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw E/m² as a map, patterns as stars and every path from its start (ring) to its end (dot)."""
    rows = found["landscape"].frame
    noops = sorted(rows["noop"].unique())
    patterns = found["landscape"].where("patterns", kind="pattern")
    square = float((patterns["x"] ** 2 + patterns["y"] ** 2).max())
    energies = found["landscape"].where("energies", kind="energy")["energy"] / square
    # steps of the map grow with the energy: the valleys are what is to be seen
    lowest, highest = float(energies.min()), float(energies.max())
    levels = lowest + (highest - lowest) * np.linspace(0.0, 1.0, 15) ** 1.8
    figure = style.blank(page.full, page.full * 0.39)
    panels = figure.subplots(1, len(noops), sharex=True, sharey=True, squeeze=False)[0]
    ends = {}
    for panel, noop, name in zip(panels, noops, "abcdefgh", strict=False):
        chosen = rows[rows["noop"] == noop]
        shades = _map(panel, chosen, square, levels)
        if noop > 0.0 and 0.0 in noops:
            _lower(panel, chosen, rows[rows["noop"] == 0.0])
        ends[noop] = _paths(panel, chosen)
        stars = chosen[chosen["kind"] == "pattern"]
        panel.plot(stars["x"], stars["y"], "*", ms=7, mfc="#FFD24D", mec="black", mew=0.6, zorder=5, label="patterns")
        style.letter(panel, name, f"$n = {noop:g}$")
        panel.set_aspect("equal")
        panel.set_xticks([-1, 0, 1])
        panel.set_yticks([-1, 0, 1])
        panel.set_xlabel("first coordinate of $x$")
    panels[0].set_ylabel("second coordinate of $x$")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4)
    bar = figure.colorbar(shades, ax=panels, label="$E/m^2$", fraction=0.05, pad=0.01, aspect=20, shrink=0.86)
    bar.set_ticks(levels[::2], labels=[f"{level:.2f}" for level in levels[::2]])
    bar.minorticks_off()
    beta, paths = float(rows["beta"].iloc[0]), len(rows[rows["kind"] == "path"].groupby("path"))
    slot = " Dashed: where E_n = E_0 (T17: inside of it the slot lowers the energy)." if 0.0 in noops[:-1] else ""
    said = ", ".join(f"{count} at n = {noop:g}" for noop, count in ends.items())
    return Drawing(
        figure,
        f"""Energy landscape E/m² of {len(patterns) // len(noops)} patterns (stars) in the plane, β = {beta:g}, and
        the paths of CCCP from {paths} queries around them (white rings to black dots). Different ends of the paths:
        {said}. The largest change of the energy from one state of a path to the next is
        {style.power_of_ten(_largest_rise(rows))} (T3: above 0 by rounding alone).{slot}""",
    )


def _legend() -> list[Line2D]:
    spot = {"color": "black", "ls": ""}
    return [
        Line2D([], [], **spot, marker="*", ms=7, mfc="#FFD24D", mew=0.6, label="pattern"),
        Line2D([], [], **spot, marker="o", ms=3, mfc="white", mew=0.5, label="query"),
        Line2D([], [], color="black", lw=0.7, label="path"),
        Line2D([], [], **spot, marker="o", ms=3, mec="white", mew=0.4, label="end"),
    ]


def _largest_rise(rows: pd.DataFrame) -> float:
    steps = rows[rows["kind"] == "path"].sort_values("step").groupby(["noop", "path"])["energy"]
    return float(steps.diff().max())


def _map(panel: Axes, chosen: pd.DataFrame, square: float, levels: np.ndarray) -> mpl.contour.QuadContourSet:
    grid = chosen[chosen["kind"] == "energy"].pivot(index="y", columns="x", values="energy") / square
    tones = mpl.colors.ListedColormap(mpl.colormaps["Blues_r"](np.linspace(0.18, 0.98, 256)))
    norm = mpl.colors.BoundaryNorm(levels, tones.N)
    shades = panel.contourf(grid.columns, grid.index, grid.to_numpy(), levels=levels, cmap=tones, norm=norm)
    panel.contour(grid.columns, grid.index, grid.to_numpy(), levels=levels, colors="#333333", linewidths=0.25)
    return shades


def _lower(panel: Axes, chosen: pd.DataFrame, dense: pd.DataFrame) -> None:
    """Draw the edge of where the energy with the slot is below the one without."""
    with_slot, without = (
        each[each["kind"] == "energy"].pivot(index="y", columns="x", values="energy") for each in (chosen, dense)
    )
    edge = with_slot - without
    panel.contour(
        edge.columns, edge.index, edge.to_numpy(), levels=[0.0], colors="#C2410C", linewidths=1.0, linestyles="--"
    )


def _paths(panel: Axes, chosen: pd.DataFrame) -> int:
    """Draw all paths, and return how many different ends they have."""
    paths, ends = chosen[chosen["kind"] == "path"], []
    for index, path in paths.sort_values("step").groupby("path"):
        x, y = path["x"].to_numpy(), path["y"].to_numpy()
        panel.plot(x, y, "-", color="black", lw=0.7, zorder=3, label=f"path {index}")
        panel.plot(x[:1], y[:1], "o", ms=2.4, mfc="white", mec="black", mew=0.5, zorder=4)
        panel.plot(x[-1:], y[-1:], "o", ms=2.8, mfc="black", mec="white", mew=0.4, zorder=6)
        ends.append((round(x[-1], 3), round(y[-1], 3)))
    return len(set(ends))
