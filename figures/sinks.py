"""A head with nothing to do: its weight on the first token and on the no-op slot, along training, for each n."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {"sinks": ("task", "layers", "noop", "learnt", "training", "step", "slot_idle", "first_idle", "loss_busy")}
TASKS = {"backcopy": "Backcopy", "averaging": "averaging"}
_MODELS = {(task, 1): name for task, name in TASKS.items()} | {("backcopy", 3): "Backcopy, 3 layers"}
WEIGHTS = {"slot_idle": "weight on the slot", "first_idle": "weight on the first token"}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw the weight on the slot above the weight on the first token, a column for each model."""
    frame = found["sinks"].frame
    figure = style.blank(page.full, 3.2)
    panels = figure.subplots(2, len(_MODELS), sharex="col", sharey=True)
    for column, ((task, layers), name) in enumerate(_MODELS.items()):
        for label, look, rows in by_mass(frame[(frame["task"] == task) & (frame["layers"] == layers)]):
            for panel, value in zip(panels[:, column], WEIGHTS, strict=True):
                trainings(panel, rows, "step", value, look, label)
        style.letter(panels[0, column], "abc"[column], name)
        panels[1, column].set_xlabel("step")
    finish(figure, panels)
    return Drawing(
        figure,
        f"""Layers of one head, one layer but in (c): mean weight, in the last, of tokens for which the head is not
        needed, on the no-op slot (above) and on the first token (below), along training; thin:
        {frame["training"].nunique()} trainings each, thick: their mean. {_finding(frame)}""",
    )


def by_mass(frame: pd.DataFrame) -> Iterator[tuple[str, style.Look, pd.DataFrame]]:
    """Yield the name, the look and the rows of each no-op mass, the learnt one last."""
    masses = list(frame.groupby(["learnt", "noop"]))
    for ((learnt, noop), rows), look in zip(masses, style.ramp(len(masses)), strict=True):
        yield "learnt" if learnt else f"{noop:g}", look, rows


def trainings(panel: Axes, rows: pd.DataFrame, x: str, value: str, look: style.Look, label: str) -> None:
    """Draw every training as a thin line, and their mean as a thick one."""
    for _, training in rows.sort_values(x).groupby("training"):
        style.line(panel, training[x], training[value], look, linewidth=0.5, alpha=0.5)
    middle = rows.groupby(x)[value].mean()
    panel.plot(middle.index, middle, color=look.colour, marker=look.marker, label=label, markersize=3.4)


def finish(figure: Figure, panels: np.ndarray) -> None:
    """Name the rows of panels, of weights that share an axis, and the masses."""
    for panel, name in zip(panels[:, 0], WEIGHTS.values(), strict=True):
        panel.set_ylabel(name)
    panels[0, 0].set_ylim(-0.03, 1.03)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), title="no-op mass n")


def _finding(frame: pd.DataFrame) -> str:
    last = frame[(frame["step"] == frame["step"].max()) & ~frame["learnt"].astype(bool)]
    said = [
        f"{_MODELS[task, layers]}, n = {noop:g}: {rows['slot_idle'].mean():.2f} and {rows['first_idle'].mean():.2f}"
        for (task, layers, noop), rows in last.groupby(["task", "layers", "noop"])
        if noop in (0.0, 1.0, 4.0)
    ]
    return f"At the end, on the slot and on the first token: {'; '.join(said)}."
