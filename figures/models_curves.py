"""Kurtosis and infinity norm over held-out loss along the trainings of every model and method."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from figures import style
from figures.output import Drawing
from figures.results import Found
from simulations._architectures import METHODS, MODELS

NEEDS = {"models": ("model", "method", "learnt", "training", "step", "loss", "kurtosis", "norm", "stuck", "last")}
NAMES = {
    "softmax": "softmax",
    "OutEffHop": "OutEff",
    "Clipped_Softmax": "clipped",
    "Clipped_OutEffHop": "clipped OutEff",
    "Gated_Attention": "gated",
    "Gated_OutEffHop": "gated OutEff",
}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw kurtosis above norm, a column per model; dotted where a training is stuck."""
    frame = found["models"].frame
    looks = dict(zip(METHODS, style.ramp(len(METHODS)), strict=True))
    figure = style.blank(page.full, 3.6)
    models = [model for model in MODELS if model in set(frame["model"])]
    panels = figure.subplots(2, len(models), sharex="col", squeeze=False)
    for column, model in enumerate(models):
        rows = frame[(frame["model"] == model) & ~frame["learnt"].astype(bool)]
        for (method, _), each in rows.groupby(["method", "training"], sort=False):
            each, look = each.sort_values("step"), looks[method]
            dash = ":" if bool(each["stuck"].iloc[0]) else "-"
            for panel, value in zip(panels[:, column], ("kurtosis", "norm"), strict=True):
                options = {"marker": look.marker, "markersize": 2.0, "linewidth": 0.7, "gid": f"{model} {method}"}
                panel.plot(each["loss"], each[value], color=look.colour, linestyle=dash, **options)
        # both panels share the axis: to turn it twice would undo it
        panels[0, column].invert_xaxis()
        for panel in panels[:, column]:
            panel.locator_params(nbins=3)
        style.letter(panels[0, column], "abcd"[column], model)
        panels[1, column].set_xlabel("loss")
    panels[0, 0].set_ylabel("average kurtosis")
    panels[1, 0].set_ylabel("infinity norm")
    lines = [
        style.line(panels[0, 0], [], [], looks[method], NAMES[method], marker=looks[method].marker)
        for method in METHODS
        if method in set(frame["method"])
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), columnspacing=1.0, handlelength=1.4)
    return Drawing(
        figure,
        f"""Outliers over held-out loss, which falls to the right, along every training (n = 1); dotted: stuck, ending
        above 0.98 times the loss of a model without input. {stuck(frame)}""",
    )


def stuck(frame: pd.DataFrame) -> str:
    """Say how many trainings are stuck, per model."""
    last = frame[frame["last"].astype(bool)]
    said = [
        f"{int(rows['stuck'].astype(bool).sum())} of {len(rows)} for {model}"
        for model, rows in last.groupby("model", sort=False)
    ]
    return f"Stuck trainings: {', '.join(said)}."
