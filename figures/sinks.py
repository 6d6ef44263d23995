"""A head with nothing to do: its weight on the first token and on the no-op slot, along training, for each n."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from figures import style
from figures.output import Drawing
from figures.results import Found

NEEDS = {"sinks": ("task", "noop", "learnt", "training", "step", "slot_idle", "first_idle", "loss_busy")}
_TASKS = {"backcopy": "Backcopy", "averaging": "averaging"}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw the weight on the slot above the weight on the first token, a column for each task."""
    results = found["sinks"]
    frame = results.frame.assign(learnt=results.frame["learnt"].astype(bool))
    masses = list(frame[["noop", "learnt"]].drop_duplicates().sort_values(["learnt", "noop"]).itertuples(index=False))
    looks = style.ramp(len(masses))
    figure = style.blank(page.full, 3.2)
    panels = figure.subplots(2, 2, sharex="col", sharey=True)
    for column, (task, name) in enumerate(_TASKS.items()):
        for (noop, learnt), look in zip(masses, looks, strict=True):
            of = frame[(frame["task"] == task) & (frame["noop"] == noop) & (frame["learnt"] == learnt)]
            for panel, value in zip(panels[:, column], ("slot_idle", "first_idle"), strict=True):
                for _, training in of.sort_values("step").groupby("training"):
                    style.line(panel, training["step"], training[value], look, linewidth=0.5, alpha=0.5)
                middle = of.groupby("step")[value].mean()
                panel.plot(
                    middle.index,
                    middle,
                    color=look.colour,
                    marker=look.marker,
                    label=_name(noop, learnt),
                    markersize=3.4,
                )
        style.letter(panels[0, column], "ab"[column], name)
        panels[1, column].set_xlabel("step")
    panels[0, 0].set_ylabel("weight on the slot")
    panels[1, 0].set_ylabel("weight on the first token")
    panels[0, 0].set_ylim(-0.03, 1.03)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), title="no-op mass n")
    trainings = frame["training"].nunique()
    return Drawing(
        figure,
        f"""One layer with one head: mean weight of tokens for which the head is not needed, on the no-op slot
        (above) and on the first token (below), along training; thin: {trainings} trainings each, thick: their mean.
        {_finding(frame)}""",
    )


def _name(noop: float, learnt: bool) -> str:
    return "learnt" if learnt else f"{noop:g}"


def _finding(frame: pd.DataFrame) -> str:
    last = frame[(frame["step"] == frame["step"].max()) & ~frame["learnt"]]
    said = [
        f"{_TASKS[task]}, n = {noop:g}: {rows['slot_idle'].mean():.2f} and {rows['first_idle'].mean():.2f}"
        for (task, noop), rows in last.groupby(["task", "noop"], sort=False)
        if noop in (0.0, 1.0, 4.0)
    ]
    return f"At the end, on the slot and on the first token: {'; '.join(said)}."
