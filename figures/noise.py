"""Retrieval of corrupted patterns: rate and error over noise, masking and flipped signs, for four models."""

from __future__ import annotations

from collections.abc import Mapping

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {"noise": ("model", "corruption", "strength", "rate", "rate_low", "rate_high", "error", "error_low")}
_KINDS = {
    "noise": r"noise $\|x_0 - \xi\|/m$",
    "mask": "share of entries masked",
    "flips": "share of signs flipped",
}
_TITLES = ("noise", "masks", "flipped signs")


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw rates above errors, a column for each kind of corruption."""
    results = found["noise"]
    figure = style.blank(page.full, 3.1)
    panels = figure.subplots(2, 3, sharex="col", sharey="row")
    for column, (kind, name) in enumerate(_KINDS.items()):
        for place, (model, look) in enumerate(style.MODELS.items()):
            rows = results.where(f"{model} under {kind}", corruption=kind, model=model).sort_values("strength")
            for panel, value in zip(panels[:, column], ("rate", "error"), strict=True):
                beside = style.dodged(rows["strength"], place, len(style.MODELS), 0.012 * rows["strength"].max())
                style.measured(panel, rows, beside, value, look, look.label)
        panels[1, column].set_xlabel(name)
    panels[0, 0].set_ylabel("share retrieved")
    panels[1, 0].set_ylabel(r"error $\|x^{*} - \xi\|/m$")
    panels[0, 0].set_ylim(-0.03, 1.05)
    # sparse models retrieve without any error
    panels[1, 0].set_yscale("symlog", linthresh=1e-3)
    panels[1, 0].set_ylim(-2e-4, 3)
    panels[1, 0].set_yticks([0, 1e-3, 1e-2, 1e-1, 1])
    panels[0, 0].legend(loc="lower left", title=rf"$d = {results.frame['dim'].iloc[0]:g}$", title_fontsize=7)
    for panel, letter, about in zip(panels.flat, "abcdef", _TITLES * 2, strict=True):
        style.letter(panel, letter, about)
    about = results.frame.iloc[0]
    return Drawing(
        figure,
        f"""Retrieval of random sign patterns (d = {about["dim"]:g}, κ = β m² = {about["beta"]:g}, M =
        {about["num_patterns"]:g}) from corrupted cues: share retrieved to within m/2 and mean error of the limit,
        with 95% intervals over memories; the scale of the errors is linear below 10^-3. {_finding(results)}""",
    )


def _finding(results: Found) -> str:
    hardest = results.where("flips", corruption="flips")
    strength = sorted(hardest["strength"].unique())[2]
    rates = {
        look.label: hardest[(hardest["model"] == model) & (hardest["strength"] == strength)].iloc[0]
        for model, look in style.MODELS.items()
    }
    said = ", ".join(f"{n} {r['rate']:.2f} [{r['rate_low']:.2f}, {r['rate_high']:.2f}]" for n, r in rates.items())
    return f"With {strength:.0%} of the signs flipped: {said}."
