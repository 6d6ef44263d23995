"""Change of kurtosis and infinity norm against softmax, at matched steps and at matched loss, beside the paper's."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from figures import style
from figures.models_curves import NAMES, kinds, stuck
from figures.output import Drawing
from figures.results import Found, UnusableError
from hopfield_theory.statements.table1 import ROWS
from simulations._architectures import MODELS
from simulations._matched import change, mean

# by the papers' definition, as what they stand beside
_VALUES = {"kurtosis": "kurtosis_published", "norm": "norm_published"}
NEEDS = {"models": ("model", "method", "learnt", "training", "step", "loss", *_VALUES.values(), "stuck", "last")}
_LOOKS = {"matched steps": style.MODELS["dense"], "matched loss": style.MODELS["OutEffHop"]}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw ratios to softmax, a column per model, kurtosis above norm; a method with n learnt is one of its own."""
    frame = found["models"].frame
    models = [model for model in MODELS if model in set(frame["model"])]
    shown = [kind for kind in kinds(frame) if kind[0] != "softmax"]
    if not shown:
        raise UnusableError("the stored results of models have softmax alone: there is nothing to compare")
    figure = style.blank(page.full, 2.0 + 0.28 * len(shown))
    panels = figure.subplots(2, len(models), sharex="row", sharey=True, squeeze=False)
    pairs: set[int] = set()
    for row, (value, column) in zip(panels, _VALUES.items(), strict=True):
        reached = []
        for panel, model in zip(row, models, strict=True):
            rows = frame[frame["model"] == model]
            panel.axvline(1.0, color="#777777", linewidth=0.6, zorder=0)
            for place, (kind, look) in enumerate(_LOOKS.items()):
                ratios = of_kinds(rows, shown, column, kind == "matched loss")
                y = np.arange(len(shown)) + 0.2 * (2 * place - 1)
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
                reached += [ratios["low"], ratios["high"]]
                pairs |= set(ratios["pairs"])
            theirs = [math.nan if learnt else _theirs(model, method, value) for method, learnt in shown]
            panel.plot(theirs, range(len(shown)), "s", color="#777777", markerfacecolor="none", label="Hu et al.")
            reached.append(theirs)
            panel.set_xlabel(f"{value} ratio")
        style.spread(row[0], "x", np.concatenate(reached))
    for place, (panel, model) in enumerate(zip(panels[0], models, strict=True)):
        style.letter(panel, "abcd"[place], model)
        base = frame[(frame["model"] == model) & (frame["method"] == "softmax")]["stuck"].astype(bool)
        if base.all():
            why = "softmax is stuck" if len(base) else "without softmax"
            panel.text(0.5, 0.5, why, transform=panel.transAxes, ha="center")
    for panel in panels[:, 0]:
        panel.set_yticks(range(len(shown)), [NAMES[method] + ", n learnt" * learnt for method, learnt in shown])
        panel.set_ylim(len(shown) - 0.5, -0.5)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    either = " or learnt" * any(learnt for _, learnt in shown)
    return Drawing(
        figure,
        f"""Kurtosis and infinity norm over those of softmax (n = 1{either}), paired by training ({_paired(pairs)}):
        after equally many steps, and where both first fall to the least loss that all trainings of the two reach; by
        the papers' definition, and open squares: the ratios of the paper's Table 1, of larger models. Stuck trainings
        are left out, and without a pair nothing is drawn. {stuck(frame)}""",
    )


def _theirs(model: str, method: str, column: str) -> float:
    return float(ROWS[model, method][column]) / float(ROWS[model, "softmax"][column])


def _paired(pairs: set[int]) -> str:
    if not (counts := pairs - {0}):
        return "no pair"
    fewest, most = min(counts), max(counts)
    each = f"{most} each" if fewest == most else f"{fewest} to {most} each"
    if most < 3:
        return f"{each}, too few for intervals"
    return f"{each}, with Student's 95% intervals{'' if fewest >= 3 else ' from 3 on'}"


def of_kinds(frame: pd.DataFrame, shown: list[tuple[str, bool]], value: str, at_loss: bool) -> pd.DataFrame:
    """Return the ratios of one model with their intervals and numbers of pairs; NaN where there is no pair."""
    rows = []
    for method, learnt in shown:
        logs = change(frame, method, value, at_loss, learnt)
        logs = logs[np.isfinite(logs)]
        interval, middle = mean(logs), logs.mean() if len(logs) else np.nan
        low, high = (interval.low, interval.high) if interval else (middle, middle)
        rows.append({"ratio": np.exp(middle), "low": np.exp(low), "high": np.exp(high), "pairs": len(logs)})
    return pd.DataFrame(rows)
