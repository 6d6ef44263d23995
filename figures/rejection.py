"""Telling cues that match nothing: norms of the answer over n, and how well they detect."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from figures import style
from figures.output import Drawing
from figures.results import Found, UnusableError

NEEDS = {
    "rejection": (
        "data",
        "beta",
        "detector",
        "log_noop",
        "auroc",
        "auroc_low",
        "matched_norm",
        "matched_norm_low",
        "unmatched_norm_low",
        "unmatched_bound",
        "false_alarms",
        "detected",
        "detected_low",
    )
}
_OUTEFF = style.MODELS["OutEffHop"]
_CUES = {
    "matched": (_OUTEFF, _OUTEFF.colour),
    "unmatched": (style.Look(_OUTEFF.colour, _OUTEFF.marker, "--"), "white"),
}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw digits with one class held out, at the largest β there is."""
    digits = found["rejection"].where("digits", data="digits")
    betas = sorted(digits["beta"].unique())
    beta = betas[-1]
    chosen = digits[digits["beta"] == beta]
    norms = chosen[chosen["detector"] == "norm"].sort_values("log_noop")
    figure = style.blank(page.full, 2.1)
    left, middle, right = figure.subplots(1, 3)
    for name, (look, face) in _CUES.items():
        style.measured(left, norms, norms["log_noop"], f"{name}_norm", look, name, mfc=face)
    style.line(left, norms["log_noop"], norms["unmatched_bound"], style.THRESHOLD, "bound (T14)")
    left.set(xlabel=r"$\log n$", ylabel=r"norm of the answer $\|T(x)\|/m$", ylim=(-0.03, 1.06))
    left.legend(loc="lower left")
    for level, look in zip(betas, style.ramp(len(betas)), strict=True):
        of = digits[digits["beta"] == level]
        rows = of[of["detector"] == "norm"].sort_values("log_noop")
        style.measured(middle, rows, rows["log_noop"], "auroc", look, rf"$\kappa = {level:g}$")
        energy = of[of["detector"] == "energy"].iloc[0]
        middle.axhline(energy["auroc"], color=look.colour, ls=":", lw=1.0, label="energy" if level == beta else None)
        middle.axhspan(energy["auroc_low"], energy["auroc_high"], color=look.colour, alpha=0.12, lw=0)
    middle.set(xlabel=r"$\log n$", ylabel="area under the ROC curve")
    middle.legend(loc="center left", bbox_to_anchor=(0.0, 0.7), handlelength=1.2)
    usable = norms[norms["matched_norm"] >= 0.9]
    if usable.empty:
        raise UnusableError("rejection: no stored n leaves the matched cues their norm")
    plain, best = 0.0, float(usable.loc[usable["auroc"].idxmax(), "log_noop"])
    points = {}
    shown = sorted({plain, best})
    for log_noop, look in zip(shown, style.masses([math.exp(n) for n in shown]).values(), strict=True):
        roc = chosen[(chosen["detector"] == "roc") & (chosen["log_noop"] == log_noop)].sort_values("false_alarms")
        style.measured(right, roc, roc["false_alarms"], "detected", look, rf"$\log n = {log_noop:g}$")
        points[log_noop] = roc[np.isclose(roc["false_alarms"], 0.02)]
    style.line(right, [0, 1], [0, 1], style.THRESHOLD, "chance")
    right.set(xlabel="unmatched cues accepted", ylabel="matched cues accepted", ylim=(-0.03, 1.05))
    right.legend(loc="lower right")
    titles = (rf"answers, $\kappa = {beta:g}$", "by the norm, and by energy", rf"by the norm, $\kappa = {beta:g}$")
    for panel, name, about in zip((left, middle, right), "abc", titles, strict=True):
        style.letter(panel, name, about)
    told = [(log_noop, point.iloc[0]) for log_noop, point in points.items() if len(point)]
    said = "; ".join(
        f"log n = {n:g}: {row['detected']:.3f} [{row['detected_low']:.3f}, {row['detected_high']:.3f}]"
        for n, row in told
    )
    return Drawing(
        figure,
        f"""Rejection of a held-out class of the handwritten digits, centred and normalised; 95% intervals over the
        ten classes. (a) Norm of the answer to matched cues (noisy stored digits) and unmatched ones (of the class
        held out), κ = β m² = {beta:g}; dotted: the bound T14 at the typical largest score. (b) Area under the ROC
        curve of the norm, and (dotted, with shaded intervals) of the dense model's energy, n = 0. (c) ROC at κ =
        {beta:g}; matched cues accepted where 2% of the unmatched ones are: {said}.""",
    )
