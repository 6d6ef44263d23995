"""Change of kurtosis and infinity norm against softmax, at matched steps and at matched loss, per model and method."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from figures import style
from figures.models_curves import NAMES, stuck
from figures.output import Drawing
from figures.results import Found
from simulations._architectures import METHODS, MODELS
from simulations._matched import change, mean

NEEDS = {"models": ("model", "method", "learnt", "training", "step", "loss", "kurtosis", "norm", "stuck", "last")}
_NAMED = (("model", MODELS), ("method", METHODS))
_LOOKS = {"matched steps": style.MODELS["dense"], "matched loss": style.MODELS["OutEffHop"]}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw ratios to softmax, a column per model, kurtosis above norm."""
    frame = found["models"].frame
    models, methods = (list(filter(set(frame[name]).__contains__, every)) for name, every in _NAMED)
    methods = [method for method in methods if method != "softmax"]
    figure = style.blank(page.full, 2.0 + 0.28 * len(methods))
    panels = figure.subplots(2, len(models), sharex="row", sharey=True, squeeze=False)
    for column, model in enumerate(models):
        for panel, value in zip(panels[:, column], ("kurtosis", "norm"), strict=True):
            panel.axvline(1.0, color="#777777", linewidth=0.6, zorder=0)
            panel.locator_params(axis="x", nbins=3)
            for place, (kind, look) in enumerate(_LOOKS.items()):
                ratios = of_methods(frame[frame["model"] == model], methods, value, kind == "matched loss")
                y = np.arange(len(methods)) + 0.2 * (2 * place - 1)
                ends = [ratios["ratio"] - ratios["low"], ratios["high"] - ratios["ratio"]]
                panel.errorbar(
                    ratios["ratio"],
                    y,
                    xerr=np.maximum(ends, 0),
                    color=look.colour,
                    marker=look.marker,
                    linestyle="",
                    elinewidth=0.7,
                    label=kind,
                )
        if frame[frame["model"] == model].query("method == 'softmax'")["stuck"].astype(bool).all():
            panels[0, column].text(0.5, 0.5, "stuck", transform=panels[0, column].transAxes, ha="center")
        style.letter(panels[0, column], "abcd"[column], model)
        panels[0, column].set_xlabel("kurtosis ratio")
        panels[1, column].set_xlabel("norm ratio")
    for panel in panels[:, 0]:
        panel.set_yticks(range(len(methods)), [NAMES[method] for method in methods])
        panel.set_ylim(len(methods) - 0.5, -0.5)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    trainings = frame["training"].nunique()
    said = "with Student's 95% intervals" if trainings >= 3 else "too few for intervals"
    return Drawing(
        figure,
        f"""Kurtosis and infinity norm over those of softmax (n = 1), paired by training ({trainings} each, {said}):
        after equally many steps, and where both first fall to the least loss that all methods reach. Stuck trainings
        are left out, and without a pair nothing is drawn. {stuck(frame)}""",
    )


def common_loss(frame: pd.DataFrame) -> float:
    """Return the least loss that every training that is not stuck reaches."""
    going = frame[~frame["stuck"].astype(bool)]
    return float(going.groupby(["method", "learnt", "training"])["loss"].min().max()) if len(going) else np.nan


def of_methods(frame: pd.DataFrame, methods: list[str], value: str, at_loss: bool) -> pd.DataFrame:
    """Return the ratios of one model with their intervals; NaN where there is no pair."""
    loss, rows = common_loss(frame) if at_loss else None, []
    for method in methods:
        logs = change(frame, method, value, loss)
        logs = logs[np.isfinite(logs)]
        interval, middle = mean(logs), logs.mean() if len(logs) else np.nan
        low, high = (interval.low, interval.high) if interval else (middle, middle)
        rows.append({"method": method, "ratio": np.exp(middle), "low": np.exp(low), "high": np.exp(high)})
    return pd.DataFrame(rows)
