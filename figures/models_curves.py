"""Kurtosis and infinity norm over held-out loss along the trainings of every model and method."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd

from figures import style
from figures.output import Drawing
from figures.results import Found
from simulations._architectures import METHODS, MODELS
from simulations._matched import at_losses, common_loss

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
    """Draw kurtosis above norm, a column per model; dashed where n is learnt, dotted where a training is stuck."""
    frame = found["models"].frame
    others = style.ramp(len(METHODS))[2:]
    looks = dict(zip(METHODS, (style.MODELS["dense"], style.MODELS["OutEffHop"], *others), strict=True))
    figure = style.blank(page.full, 3.6)
    models = [model for model in MODELS if model in set(frame["model"])]
    panels = figure.subplots(2, len(models), sharex="col", squeeze=False)
    for column, model in enumerate(models):
        rows = frame[frame["model"] == model]
        for (method, learnt, _), each in rows.groupby(["method", "learnt", "training"], sort=False):
            each, look = each.sort_values("step"), looks[method]
            dash = ":" if bool(each["stuck"].iloc[0]) else "--" if learnt else "-"
            # a mark at every measurement would hide the lines
            mark = {"marker": look.marker, "markersize": 3.0, "markevery": [len(each) - 1]}
            mark |= {"markerfacecolor": "white"} if learnt else {}
            for panel, value in zip(panels[:, column], ("kurtosis", "norm"), strict=True):
                gid = " ".join([model, method, *["learnt"] * bool(learnt)])
                panel.plot(each["loss"], each[value], color=look.colour, linestyle=dash, linewidth=0.6, gid=gid, **mark)
        for (method, _), each in rows.groupby(["method", "learnt"], sort=False):
            for panel, value in zip(panels[:, column], ("kurtosis", "norm"), strict=True):
                panel.fill_between(*band(each, value), color=looks[method].colour, alpha=0.15, linewidth=0)
        # both panels share the axis: to turn it twice would undo it
        panels[0, column].invert_xaxis()
        for panel, value in zip(panels[:, column], ("kurtosis", "norm"), strict=True):
            panel.locator_params(axis="x", nbins=3)
            style.spread(panel, "y", rows[value])
        style.letter(panels[0, column], "abcd"[column], model)
        panels[1, column].set_xlabel("loss")
    panels[0, 0].set_ylabel("average kurtosis")
    panels[1, 0].set_ylabel("infinity norm")
    lines = [
        style.line(panels[0, 0], [], [], looks[method], NAMES[method], marker=looks[method].marker)
        for method in METHODS
        if method in set(frame["method"])
    ]
    either = any(learnt for _, learnt in kinds(frame))
    if either:
        look = style.Look("#555555", dash="--")
        lines.append(style.line(panels[0, 0], [], [], look, "n learnt", marker="o", markerfacecolor="white"))
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), columnspacing=1.0, handlelength=1.8)
    return Drawing(
        figure,
        f"""Outliers over held-out loss, drawn falling to the right, along every training, with a mark at its end (n =
        1{"; dashed and an open mark: n learnt" * either}), and shaded what the trainings of a cell span where their
        loss first falls so far; dotted: stuck, ending above 0.98 times the loss of a model without input.
        {stuck(frame)}""",
    )


def band(rows: pd.DataFrame, value: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return losses that all trainings of a cell reach, and the least and the largest value where they first do."""
    going = [each for _, each in rows[~rows["stuck"].astype(bool)].groupby("training")]
    if len(going) < 2 or not np.isfinite(least := common_loss(rows)):
        return np.empty(0), np.empty(0), np.empty(0)
    losses = np.linspace(min(each["loss"].max() for each in going), least, 100)
    values = np.exp([at_losses(each, value, losses) for each in going])
    known = np.isfinite(values).all(0)
    return losses[known], values[:, known].min(0), values[:, known].max(0)


def kinds(frame: pd.DataFrame) -> list[tuple[str, bool]]:
    """Return the methods that were trained, each with whether n is learnt, in one order."""
    trained = set(zip(frame["method"], frame["learnt"].astype(bool), strict=True))
    return [kind for kind in itertools.product(METHODS, (False, True)) if kind in trained]


def stuck(frame: pd.DataFrame) -> str:
    """Say how many trainings are stuck, per model."""
    last = frame[frame["last"].astype(bool)]
    counts = {model: last[last["model"] == model]["stuck"].astype(bool) for model in MODELS}
    said = [f"{each.sum()} of {len(each)} for {model}" for model, each in counts.items() if len(each)]
    return f"Stuck trainings: {', '.join(said)}."
