"""What the weight of idle tokens on the no-op slot depends on: the length of the sequences, and a bias of the keys."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pandas as pd

from figures import style
from figures.output import Drawing
from figures.results import Found
from figures.sinks import TASKS, WEIGHTS, by_mass, finish, trainings

NEEDS = {
    "sink_conditions": ("task", "noop", "learnt", "training", "length", "key_bias", "slot_idle", "first_idle", "step")
}


def draw(found: Mapping[str, Found], page: style.Page) -> Drawing:
    """Draw for each task the weights over the length, and beside them with and without a key bias."""
    results = found["sink_conditions"]
    at = results.where("layer without a key bias", key_bias=False)["length"].iloc[0]
    frame = results.frame.assign(bare=1 - results.frame["key_bias"].astype(int))
    lengths = sorted(frame["length"].unique())
    figure = style.blank(page.full, 3.2)
    panels = figure.subplots(2, 4, sharex="col", sharey=True, width_ratios=(1.6, 1, 1.6, 1))
    for column, (task, x) in enumerate((task, x) for task in TASKS for x in ("length", "bare")):
        for label, look, rows in by_mass(frame):
            shown = rows[(rows["task"] == task) & (rows["bare"] == 0 if x == "length" else rows["length"] == at)]
            for panel, value in zip(panels[:, column], WEIGHTS, strict=True):
                trainings(panel, shown, x, value, look, label)
        below = panels[1, column]
        if x == "length":
            below.set_xscale("log", base=2)
            below.set_xticks(lengths, [f"{length:g}" for length in lengths])
            below.set_xlabel("length")
        else:
            below.set_xticks([0, 1], ["with", "without"])
            below.set(xlim=(-0.3, 1.3), xlabel="key bias")
        style.letter(panels[0, column], "abcd"[column], TASKS[task] if x == "length" else f"$L = {at:g}$")
    finish(figure, panels)
    return Drawing(
        figure,
        f"""One layer with one head: mean weight of tokens for which the head is not needed, on the no-op slot (above)
        and on the first token (below), after {frame["step"].max()} steps; (a) Backcopy, over the length L of the
        sequences, (b) at L = {at:g}, with and without a bias of the keys, (c, d) averaging likewise; thin:
        {frame["training"].nunique()} trainings each, thick: their mean. {_finding(frame, lengths, at)}""",
    )


def _finding(frame: pd.DataFrame, lengths: list[int], at: int) -> str:
    means = frame[~frame["learnt"].astype(bool)].groupby(["bare", "length", "task", "noop"])["slot_idle"].mean()
    said = []
    for task, noop in itertools.product(TASKS, (1.0, 4.0)):
        shown = means.reindex([*((0, length, task, noop) for length in lengths), (1, at, task, noop)])
        if shown.notna().all():
            *biased, bare = (f"{weight:.2f}" for weight in shown)
            said.append(f"{TASKS[task]}, n = {noop:g}: {', '.join(biased)} and {bare}")
    every = ", ".join(f"{length:g}" for length in lengths)
    return f"On the slot at L = {every} with a bias, and at {at:g} without: {'; '.join(said)}."
