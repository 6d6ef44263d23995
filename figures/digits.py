"""Handwritten digits: two cues on their way through three memories, and how many digits are stored and completed."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
_WAY = {"after 1": "$x_1$", "after 2": "$x_2$", "answer": "$x^*$"}
_CUES = ("matched", "unmatched")
_PREPARATIONS = ("raw", "centred", "normalised")


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw images above and rates below."""
    figure = style.blank(page.full, page.full * 0.56)
    above, below = figure.subfigures(2, 1, height_ratios=(1.0, 1.15))
    norms = _pictures(above, found["digits"])
    said = _rates(below, found["digits"])
    about = found["digits"].where("pictures", picture="answer").iloc[0]
    return Drawing(
        figure,
        f"""Handwritten digits ({about["patterns"]:g} images). (a) Centred and normalised, κ = {about["kappa"]:g}: a
        stored
        digit with its lower half hidden and the same digit with its pixels shuffled, after one and two updates and at
        the
        limit; grey is 0, and the number is the norm. {norms} (b–d) Share of images retrieved from themselves and from
        their
        upper half, with 95% intervals, and share proved stored; dense (n = 0) and OutEff (n = 1). {said}""",
    )


def _pictures(figure: SubFigure, results: Found) -> str:
    rows = results.where("pictures", preparation="normalised").dropna(subset=["picture"])
    noops = sorted(rows["noop"].unique())
    # a narrow empty column before each memory
    widths = [1.0] + [0.2, 1.0, 1.0, 1.0] * len(noops)
    panels = figure.subplots(len(_CUES), len(widths), width_ratios=widths, squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    ends = []
    for row, cue in enumerate(_CUES):
        of = rows[rows["cue"] == cue]
        _image(panels[row, 0], of[of["picture"] == "query"].iloc[0])
        panels[row, 0].text(-0.12, 0.5, cue, transform=panels[row, 0].transAxes, rotation=90, va="center", ha="right")
        for place, noop in enumerate(noops):
            for step, picture in enumerate(_WAY):
                chosen = of[(of["noop"] == noop) & (of["picture"] == picture)].iloc[0]
                _image(panels[row, 2 + 4 * place + step], chosen)
            ends.append(f"{chosen['norm']:.2g} ({cue}, {_mass(noop, plain=True)})")
    panels[0, 0].set_title("(a)\ncue", fontsize=7, pad=2)
    for place, noop in enumerate(noops):
        for step, name in enumerate(_WAY.values()):
            axes = panels[0, 2 + 4 * place + step]
            axes.set_title(f"{_mass(noop)}\n{name}" if step == 1 else name, fontsize=7, pad=2)
    return f"Norms at the limit: {', '.join(ends)}."


def _mass(noop: float, plain: bool = False) -> str:
    if noop == 0.0:
        return "dense"
    if noop < 1e3:
        return f"OutEff, n = {noop:g}" if plain else f"OutEff, $n = {noop:g}$"
    power = f"{math.log(noop):.3g}"
    return f"OutEff, n = e^{power}" if plain else f"OutEff, $n = e^{{{power}}}$"


def _image(axes: Axes, row: pd.Series) -> None:
    pixels = np.asarray(row["image"], dtype=float)
    side = math.isqrt(len(pixels))
    axes.imshow(pixels.reshape(side, side), cmap="gray_r", vmin=-0.35, vmax=0.35, interpolation="nearest")
    axes.text(0.5, -0.06, f"{row['norm']:.2f}", transform=axes.transAxes, ha="center", va="top", fontsize=6)


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
                interval = (chosen[name] for name in ("rate", "rate_low", "rate_high"))
                drawn = style.Look(look.colour, look.marker, dash)
                style.measured(panel, chosen["kappa"] * aside, *interval, drawn, f"{look.label}, {cue}", mfc=face)
                if cue == "whole":
                    dotted = style.Look(look.colour, dash=":")
                    style.line(panel, chosen["kappa"] * aside, chosen["proved"], dotted, f"{look.label}, proved stored")
        panel.set_xscale("log", base=2)
        panel.set_xlabel(r"$\kappa = \beta m^2$")
        panel.set_ylim(-0.03, 1.05)
        style.letter(panel, letter, preparation)
    panels[0].set_ylabel("share of digits")
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=6.2)
    best = rows[(rows["preparation"] == "normalised") & (rows["kappa"] == rows["kappa"].max()) & (rows["noop"] == 1.0)]
    told = {cue: best[best["cue"] == cue].iloc[0] for cue in ("whole", "half hidden") if (best["cue"] == cue).any()}
    said = ", ".join(f"{cue} {r['rate']:.3f} [{r['rate_low']:.3f}, {r['rate_high']:.3f}]" for cue, r in told.items())
    return f"Normalised, n = 1, κ = {rows['kappa'].max():g}: {said}."
