"""What docs/outliers.md says of heads with nothing to do is what the tables in results/ hold."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simulations._matched import mean

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "outliers.md").read_text(encoding="utf-8")
TASKS = {"Backcopy": "backcopy", "averaging": "averaging"}
MODELS = {name: (task, 1) for name, task in TASKS.items()} | {"Backcopy, 3 layers": ("backcopy", 3)}
MASSES = {"0": (0.0, False), "¼": (0.25, False), "1": (1.0, False), "4": (4.0, False), "learnt": (1.0, True)}


def ends(experiment):
    """The last measurement of each training."""
    found = pd.read_csv(ROOT / "results" / f"{experiment}.csv")
    assert set(found["preset"]) == {"paper"}
    return found[found["step"] == found["steps"]].assign(layers=found.get("layers", 1))


def said(values):
    """Three trainings, as the page writes them."""
    return ", ".join(f"{value:.3f}".removeprefix("-").removeprefix("0") for value in values)


def table(head):
    """The rows of the table that has this head."""
    found = re.search(rf"^\| {re.escape(' | '.join(head))} \|\n\|[- |]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found, head
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in found[1].splitlines()]


def held(head, experiment, columns):
    """Compare a table; columns are a measured value and what its rows have in common."""
    frame, rows = ends(experiment), table(head)
    for task, mass, *cells in rows:
        noop, learnt = MASSES[mass]
        model = pd.Series([*MODELS[task], noop, learnt], ["task", "layers", "noop", "learnt"])
        of = frame[(frame[model.index] == model).all(axis=1)]
        for cell, (value, common) in zip(cells, columns, strict=True):
            chosen = of[(of[list(common)] == pd.Series(common)).all(axis=1)].sort_values("training")
            assert len(chosen) == 3
            wanted = "0, 0, 0" if noop == 0 and value.startswith("slot") else said(chosen[value])
            assert cell == wanted, (task, mass, value, common)
    return rows


def test_the_table_of_each_n():
    head = ("task", "n", "on the slot", "on the first token")
    assert len(held(head, "sinks", [("slot_idle", {}), ("first_idle", {})])) == 15


def test_the_table_of_norms_and_kurtosis():
    head = ("task", "n", "value", "residual state", "kurtosis", "of the first token")
    columns = [(name, {}) for name in ("first_value", "first_state", "kurtosis", "first_kurtosis")]
    assert len(held(head, "sinks", columns)) == 15


def around(frame, name, layers=3, mass="0", over=None):
    """Geometric mean of three trainings of Backcopy, or of ratios to those of another n, with Student's interval."""
    logs = []
    for noop, learnt in (MASSES[each] for each in (mass, over) if each):
        of = frame[(frame["noop"] == noop) & (frame["learnt"] == learnt) & (frame["layers"] == layers)]
        logs.append(np.log(of[of["task"] == "backcopy"].sort_values("training")[name].to_numpy()))
    found = mean(logs[0] - sum(logs[1:]))
    return np.exp([found.estimate, found.low, found.high])


@pytest.mark.parametrize(
    ("name", "of", "numbers"),
    [
        ("first_value", {}, ".34 [.24, .49]"),
        ("first_value", {"layers": 1}, ".29 [.24, .35]"),
        ("first_value", {"mass": "1", "over": "0"}, "1.50 [1.28, 1.75]"),
        ("first_value", {"mass": "4", "over": "0"}, "2.04 [1.36, 3.07]"),
        ("first_state", {}, "1.15 [.93, 1.42]"),
        ("first_state", {"layers": 1}, "1.12 [.81, 1.55]"),
        ("first_state", {"mass": "1", "over": "0"}, ".83 [.75, .92]"),
        ("first_state", {"mass": "4", "over": "0"}, ".77 [.62, .95]"),
        ("first_state", {"layers": 1, "mass": "1", "over": "0"}, ".99 [.97, 1.02]"),
        ("kurtosis", {"mass": "1", "over": "0"}, ".989 [.982, .996]"),
        ("kurtosis", {"mass": "4", "over": "0"}, ".964 [.945, .983]"),
        ("kurtosis", {"mass": "learnt", "over": "0"}, ".990 [.977, 1.003]"),
        ("first_kurtosis", {}, "4.3 [2.1, 8.8]"),
        ("first_kurtosis", {"mass": "1", "over": "0"}, ".77 [.53, 1.12]"),
    ],
)
def test_the_intervals_of_norms_and_kurtosis(name, of, numbers):
    assert numbers in " ".join(PAGE.split())
    digits = len(numbers.split(" ")[0].split(".")[1])
    wanted = [float(number) for number in re.findall(r"[\d.]+", numbers)]
    assert around(ends("sinks"), name, **of).round(digits).tolist() == wanted


def test_what_the_page_says_of_norms_and_kurtosis():
    frame = pd.read_csv(ROOT / "results" / "sinks.csv")
    begin = frame.query("step == 0 and layers == 3 and noop == 0")["first_state"]
    assert round(begin.mean(), 2) == 0.98
    last = ends("sinks")
    assert last["kurtosis"].between(2.7, 3.2).all()
    assert len(last) == 45
    three = last.query("layers == 3 and noop == 1")
    assert between(three["slot_idle"], 0.91, 0.97)
    softmax = last[last["noop"] == 0]
    assert (softmax["first_idle"] > 0.6).all()
    assert between(softmax.query("task == 'backcopy'")["first_value"], 0.28, 0.40)
    assert between(softmax.query("task == 'averaging'")["first_value"], 0.46, 0.83)


def test_the_table_of_lengths():
    head = ("task", "n", *(f"{what}, L = {length}" for what in ("slot", "first") for length in (12, 24, 48)))
    columns = [
        (value, {"length": length, "key_bias": True})
        for value in ("slot_idle", "first_idle")
        for length in (12, 24, 48)
    ]
    assert len(held(head, "sink_conditions", columns)) == 10


def test_the_table_of_places():
    head = ("task", "n", "slot, early", "slot, late")
    common = {"length": 48, "key_bias": True}
    rows = held(head, "sink_conditions", [("slot_early", common), ("slot_late", common)])
    assert [row[:2] for row in rows] == [[task, mass] for task in TASKS for mass in ("¼", "1", "4", "learnt")]


def test_the_table_of_key_biases():
    head = ("task", "n", "slot, with", "slot, without", "first, with", "first, without")
    columns = [
        (value, {"length": 24, "key_bias": key_bias})
        for value in ("slot_idle", "first_idle")
        for key_bias in (True, False)
    ]
    assert len(held(head, "sink_conditions", columns)) == 10


def test_both_experiments_measured_the_same_trainings():
    shared = ["task", "layers", "noop", "learnt", "training"]
    frame = ends("sink_conditions")
    both = frame[(frame["length"] == 24) & frame["key_bias"]].merge(ends("sinks"), on=shared)
    assert len(both) == 30
    assert both["slot_idle_x"].to_numpy() == pytest.approx(both["slot_idle_y"].to_numpy(), abs=1e-6)


def between(values, low, high):
    """Whether values, rounded, reach from one number of the page to the other."""
    return (round(values.min(), 2), round(values.max(), 2)) == (low, high)


def test_what_the_page_says_beside_its_tables():
    frame = ends("sink_conditions")
    backcopy, averaging = (frame[frame["task"] == task] for task in TASKS.values())
    biased, without = frame[frame["key_bias"]], frame[~frame["key_bias"]]
    # lengths
    assert between(backcopy.query("length == 48")["loss_busy"], 0.39, 0.60)
    assert between(backcopy.query("length == 24 and key_bias")["loss_busy"], 0.04, 0.26)
    odds = averaging.query("noop == 4 and key_bias").assign(odds=lambda f: f["slot_idle"] / (1 - f["slot_idle"]))
    odds = odds.groupby("length")["odds"].agg(lambda x: x.prod() ** (1 / 3))
    assert round(odds[12] / odds[24]) == 6
    assert odds[24] < 1.2 * odds[48]
    slot = biased[(biased["slot_late"] > 0.05) & (biased["length"] == 48)]
    late, early = (slot[name] / (1 - slot[name]) for name in ("slot_late", "slot_early"))
    assert len(slot) > 10
    assert (late > 0.5 * early).all()
    # key biases
    same = ["slot_idle", "first_idle", "loss_busy"]
    dense = [
        part.query("noop == 0 and length == 24").sort_values(["task", "training"])[same] for part in (biased, without)
    ]
    assert dense[0].to_numpy() == pytest.approx(dense[1].to_numpy(), abs=2e-3)
    four = without.query("noop == 4")
    assert (four["slot_idle"] > 0.03).sum() == 1
    assert four.loc[four["slot_idle"].idxmax(), "task"] == "averaging"
    learnt = frame[frame["learnt"] & (frame["length"] == 24)].assign(mass=lambda f: np.exp(f["log_noop"]))
    assert between(learnt.query("not key_bias")["mass"], 0.50, 0.68)
    chosen = learnt.query("key_bias").groupby("task")["mass"].agg(["min", "max"]).round(1)
    assert chosen.loc["backcopy"].tolist() == [1.4, 1.8]
    assert chosen.loc["averaging"].tolist() == [1.0, 1.0]
    triggers = backcopy.query("length == 24 and noop > 0").pivot(
        index=["noop", "learnt", "training"], columns="key_bias", values="loss_busy"
    )
    assert len(triggers) == 12
    assert (triggers[False] > triggers[True]).all()
    assert between(triggers[False], 0.14, 0.57)
    assert between(triggers[True], 0.04, 0.26)
    paid = averaging.query("length == 24 and noop == 4")
    assert between(paid.query("not key_bias")["slot_busy"], 0.28, 0.36)
    assert between(paid.query("key_bias")["slot_busy"], 0.11, 0.13)
