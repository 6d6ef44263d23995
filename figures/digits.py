"""Handwritten digits: two cues on their way through three memories, and how many digits are stored and completed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {
    "digits": ("cue", "picture", "image", "norm", "rate", "rate_low", "rate_high", "proved", "kappa", "preparation")
}
_WAY = {"after 1": "$x_1$", "after 2": "$x_2$", "answer": "$x^{*}$"}
_CUES = ("matched", "unmatched")
# few pixels are beyond
_INK = 0.4
_PREPARATIONS = ("raw", "centred", "normalised")


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw images above and rates below."""
    figure = style.blank(page.full, page.full * 0.6)
    above, below = figure.subfigures(2, 1, height_ratios=(1.0, 1.3))
    _pictures(above, found["digits"])
    said = _rates(below, found["digits"])
    about = found["digits"].where("pictures", picture="answer").iloc[0]
    return Drawing(
        figure,
        f"""Handwritten digits ({about["patterns"]:g} images). (a) Centred and normalised, κ = {about["kappa"]:g}: a
        stored digit with its lower half hidden (matched), and the same digit with its pixels shuffled (unmatched),
        after one and two updates and at the limit; black is {_INK:g} m or more, grey 0, white −{_INK:g} m or less,
        and the number ‖x‖/m. (b–d) Share of images retrieved from themselves (filled) and from their upper half
        (hollow), with 95% intervals, and share proved stored (dotted); dense (n = 0) and OutEff (n = 1). {said}""",
    )


def _pictures(figure: SubFigure, results: Found) -> None:
    rows = results.where("pictures", preparation="normalised").dropna(subset=["picture"])
    noops = sorted(rows["noop"].unique())
    # a narrow empty column before each memory
    widths = [1.0] + [0.2, 1.0, 1.0, 1.0] * len(noops)
    panels = figure.subplots(len(_CUES), len(widths), width_ratios=widths, squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    for row, cue in enumerate(_CUES):
        of = rows[rows["cue"] == cue]
        _image(panels[row, 0], of[of["picture"] == "query"].iloc[0])
        panels[row, 0].text(-0.12, 0.5, cue, transform=panels[row, 0].transAxes, rotation=90, va="center", ha="right")
        for place, noop in enumerate(noops):
            for step, picture in enumerate(_WAY):
                chosen = of[(of["noop"] == noop) & (of["picture"] == picture)].iloc[0]
                _image(panels[row, 2 + 4 * place + step], chosen)
    panels[0, 0].set_title("cue", fontsize=7, pad=2)
    _above(panels[0, 0], 0.0, "(a)", ha="left", fontsize=8)
    for place, noop in enumerate(noops):
        for step, name in enumerate(_WAY.values()):
            axes = panels[0, 2 + 4 * place + step]
            axes.set_title(name, fontsize=7, pad=2)
        _above(panels[0, 3 + 4 * place], 0.5, _mass(noop), ha="center", fontsize=7)


def _above(axes: Axes, x: float, text: str, **options: Any) -> None:
    """Write above a title; a title of two lines would not stand on the line of the others."""
    axes.annotate(text, (x, 1.0), (0, 13), xycoords="axes fraction", textcoords="offset points", **options)


def _mass(noop: float) -> str:
    if noop == 0.0:
        return "dense"
    mass = f"{noop:g}" if noop < 1e3 else f"e^{{{math.log(noop):.3g}}}"
    return f"OutEff, $n = {mass}$"


def _image(axes: Axes, row: pd.Series) -> None:
    pixels = np.asarray(row["image"], dtype=float)
    side = math.isqrt(len(pixels))
    axes.imshow(pixels.reshape(side, side), cmap="gray_r", vmin=-_INK, vmax=_INK, interpolation="nearest")
    axes.text(0.5, -0.06, f"{row['norm']:.2f}", transform=axes.transAxes, ha="center", va="top", fontsize=7)


def _rates(figure: SubFigure, results: Found) -> str:
    rows = results.frame[results.frame["picture"].isna()]
    panels = figure.subplots(1, len(_PREPARATIONS), sharey=True)
    for panel, preparation, letter in zip(panels, _PREPARATIONS, "bcd", strict=True):
        # beside each other: the two models often agree to the last digit
        for noop, model, aside in ((0.0, "dense", 2**-0.1), (1.0, "OutEffHop", 2**0.1)):
            look = style.MODELS[model]
            for cue, dash, face in (("whole", "-", look.colour), ("half hidden", "--", "white")):
                chosen = rows[(rows["preparation"] == preparation) & (rows["noop"] == noop) & (rows["cue"] == cue)]
                chosen = chosen.sort_values("kappa")
                drawn = style.Look(look.colour, look.marker, dash)
                style.measured(panel, chosen, chosen["kappa"] * aside, "rate", drawn, f"{look.label}, {cue}", mfc=face)
                if cue == "whole":
                    dotted = style.Look(look.colour, dash=":")
                    style.line(panel, chosen["kappa"] * aside, chosen["proved"], dotted, f"{look.label}, proved stored")
        style.doublings(panel)
        panel.set_xlabel(r"$\kappa = \beta m^2$")
        panel.set_ylim(-0.03, 1.05)
        style.letter(panel, letter, preparation)
    panels[0].set_ylabel("share of digits")
    # the layout of a subfigure does not see ticks that change with its size
    panels[0].set_yticks(np.linspace(0.0, 1.0, 6))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    best = rows[(rows["preparation"] == "normalised") & (rows["kappa"] == rows["kappa"].max()) & (rows["noop"] == 1.0)]
    told = {cue: best[best["cue"] == cue].iloc[0] for cue in ("whole", "half hidden") if (best["cue"] == cue).any()}
    said = ", ".join(f"{cue} {r['rate']:.3f} [{r['rate_low']:.3f}, {r['rate_high']:.3f}]" for cue, r in told.items())
    return f"Normalised, n = 1, κ = {rows['kappa'].max():g}: {said}."
