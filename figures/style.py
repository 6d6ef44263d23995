"""Widths of pages, fonts, and one fixed look for each model and each kind of theory line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

__all__ = [
    "BOUND",
    "CEILING",
    "HEURISTIC",
    "MODELS",
    "PAGES",
    "THRESHOLD",
    "Look",
    "Page",
    "applied",
    "blank",
    "dodged",
    "doublings",
    "intervals",
    "letter",
    "line",
    "mark",
    "masses",
    "measured",
    "power_of_ten",
    "ramp",
    "spread",
]


@dataclass(frozen=True)
class Page:
    """Widths in inches: of a narrow figure, and of one across the page."""

    narrow: float
    full: float


PAGES = {"icml": Page(3.25, 6.75), "neurips": Page(3.25, 5.5)}


@dataclass(frozen=True)
class Look:
    """How one thing is drawn, in every figure."""

    colour: str
    marker: str = ""
    dash: Any = "-"
    label: str = ""


# of lightness 0, 35, 53 and 71 (CIE L*): told apart in grey, and by markers; hues of Okabe and Ito 2008 or near them
MODELS = {
    "dense": Look("#000000", "o", "-", "dense"),
    "OutEffHop": Look("#D55E00", "s", "-", "OutEff"),
    "sparsemax": Look("#1C5598", "^", "--", "sparsemax"),
    "entmax-1.5": Look("#E69F00", "D", "-.", "entmax-1.5"),
}
BOUND = Look("#1C5598", dash="--")
CEILING = Look("#A03070", dash="-.")
HEURISTIC = Look("#777777", dash=(0, (4, 1.5)))
THRESHOLD = Look("#000000", dash=":")

_MARKERS = "osD^vPX"
_RC: dict[str, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.2,
    "legend.frameon": False,
    "legend.handlelength": 2.0,
    "legend.borderaxespad": 0.3,
    "legend.labelspacing": 0.25,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    # journals refuse Type 3 fonts
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.hashsalt": "hopfield_theory",
    # every point that is stored is in the file
    "path.simplify": False,
}


@contextlib.contextmanager
def applied(look: Path | None = None) -> Iterator[None]:
    """Draw and save in this style, whatever settings the user has; with a style sheet of theirs on top, if given."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        if look is not None:
            mpl.rcParams.update(mpl.rc_params_from_file(look, use_default_template=False))
        yield


def ramp(count: int) -> list[Look]:
    """Return looks for an ordered family, from dark to light."""
    shades = mpl.colormaps["viridis"](np.linspace(0.0, 0.82, max(count, 2)))
    return [
        Look(mpl.colors.to_hex(shades[index]), _MARKERS[index % len(_MARKERS)], label=str(index))
        for index in range(count)
    ]


def masses(noops: list[float]) -> dict[float, Look]:
    """Return looks for no-op masses: that of the dense model for 0, that of OutEff for 1, and lighter ones beyond."""
    beyond = [n for n in noops if n not in (0.0, 1.0)]
    base = np.array(mpl.colors.to_rgb(MODELS["OutEffHop"].colour))
    looks = {0.0: MODELS["dense"], 1.0: MODELS["OutEffHop"]}
    for index, n in enumerate(beyond):
        share = 0.3 + 0.28 * index / max(len(beyond) - 1, 1)
        looks[n] = Look(
            mpl.colors.to_hex(base + share * (1.0 - base)), "vPX<>"[index % 5], ("--", "-.", ":")[index % 3]
        )
    return {n: looks[n] for n in noops}


def measured(
    axes: Axes, rows: pd.DataFrame, x: Any, name: str, look: Look, label: str | None = None, **options: Any
) -> ErrorbarContainer:
    """Draw a measured column, each value with its interval."""
    return intervals(axes, x, *(rows[f"{name}{end}"] for end in ("", "_low", "_high")), look, label, **options)


def intervals(
    axes: Axes, x: Any, y: Any, low: Any, high: Any, look: Look, label: str | None = None, **options: Any
) -> ErrorbarContainer:
    """Draw values, each with its interval."""
    x, y, low, high = (np.asarray(values, dtype=float) for values in (x, y, low, high))
    # an interval's end may miss the estimate by its rounding
    sides = np.maximum([y - low, high - y], 0.0)
    settings = {"elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7, "zorder": 3} | options
    return axes.errorbar(
        x, y, yerr=sides, color=look.colour, marker=look.marker, linestyle=look.dash, label=label, **settings
    )


def line(axes: Axes, x: Any, y: Any, look: Look, label: str | None = None, **options: Any) -> Any:
    """Draw a line of theory, without markers."""
    options = {"linewidth": 1.0, "zorder": 2} | options
    return axes.plot(x, y, color=look.colour, linestyle=look.dash, label=label, **options)[0]


def mark(axes: Axes, x: float, look: Look, text: str, side: str = "center") -> Any:
    """Draw a vertical line of theory with its name above it; ``side`` is which side of the name the line is on."""
    axes.text(
        x,
        1.01,
        text,
        transform=axes.get_xaxis_transform(),
        ha=side,
        va="bottom",
        fontsize=7,
        color=look.colour,
    )
    return axes.axvline(x, color=look.colour, linestyle=look.dash, linewidth=1.0, zorder=1, gid=text)


def dodged(x: Any, place: int, of: int, width: float) -> Any:
    """Move x aside, so that points of several curves at one x are all seen."""
    return np.asarray(x, dtype=float) + width * (place - (of - 1) / 2)


def doublings(axes: Axes) -> None:
    """Let x run in powers of two, with plain numbers at its ticks."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")


def spread(axes: Axes, which: str, values: Any) -> None:
    """Give an axis, x or y, few ticks; and let it be logarithmic where its values reach more than fourfold."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values) & (values > 0)]
    span = values.max() / values.min() if len(values) else 1.0
    if span <= 4:
        axes.locator_params(axis=which, nbins=3)
        return
    axes.set(**{f"{which}scale": "log"})
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 15 else (1,), numticks=4))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def power_of_ten(value: float) -> str:
    """Return a number for a caption, to two digits."""
    digits, power = f"{value:.1e}".split("e")
    return f"{digits} × 10^{int(power)}"


def letter(axes: Axes, text: str, about: str = "", pad: float = 3) -> None:
    """Name a panel."""
    axes.set_title(f"({text}) {about}".rstrip(), loc="left", pad=pad)


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of the given size in inches."""
    return Figure(figsize=(width, height))
