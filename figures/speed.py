"""Speed: ratios of times that were measured in turn within one run."""

from __future__ import annotations

from collections.abc import Mapping

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {"speed": ("benchmark", "above", "below", "median", "least", "largest")}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw a dot for each ratio, with the least and the largest of its rounds."""
    rows = found["speed"].frame.sort_values(["benchmark", "place"], kind="stable").reset_index(drop=True)
    names = [f"{_said(row['above'])} / {_said(row['below'])}" for _, row in rows.iterrows()]
    figure = style.blank(page.full, 0.6 + 0.2 * len(rows))
    axes = figure.subplots()
    benchmarks = list(dict.fromkeys(rows["benchmark"]))
    for benchmark, look in zip(benchmarks, style.ramp(len(benchmarks)), strict=True):
        of = rows[rows["benchmark"] == benchmark]
        axes.errorbar(
            of["median"],
            of.index,
            xerr=[of["median"] - of["least"], of["largest"] - of["median"]],
            color=look.colour,
            marker=look.marker,
            linestyle="",
            elinewidth=0.8,
            capsize=2,
            label=benchmark,
        )
    axes.grid(axis="x", lw=0.3, color="#CCCCCC")
    axes.axvline(1.0, color="black", lw=0.8, ls=":")
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(xscale="log", xlabel="time of the first / time of the second")
    axes.legend(loc="upper right")
    low, high = rows["least"].min(), rows["largest"].max()
    axes.set_xlim(min(low, 1.0) / 1.25, max(high, 1.0) * 1.25)
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low / 1.25 <= t <= high * 1.25 or t == 1]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    said = "; ".join(
        f"{name} {row['median']:.2f} ({row['least']:.2f} to {row['largest']:.2f})"
        for name, (_, row) in zip(names, rows.iterrows(), strict=True)
    )
    where = ", ".join(f"{count:g} thread{'s' if count > 1 else ''}" for count in sorted(set(rows["threads"])))
    return Drawing(
        figure,
        f"""Ratios of times, medians over rounds in which the alternatives ran in turn, with the least and the
        largest ({where}). Attention: length × width, both passes; "no mask" and "causal" are the masks. Above 1
        (dotted), the second is the faster: {said.replace("softmax$_n$", "softmax_n")}.""",
    )


def _said(name: str) -> str:
    """A row's name, short enough for the page; "plain" attention has no mask, and is not that by the plain formula."""
    return (
        name.replace("softmax_n attention, length ", "softmax$_n$, ")
        .replace(", width ", " × ")
        .replace(", plain", ", no mask")
    )
