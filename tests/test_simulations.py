"""Every experiment: its grids are what the store takes, its measurements are right where that is known, and it runs."""

import importlib
import inspect
import math
import re
import signal
import sys
import types

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import hopfield_theory as ht
from hopfield_theory.bounds import RandomMemory, chernoff
from hopfield_theory.runs.store import Store
from hopfield_theory.runs.sweep import Sweep
from hopfield_theory.statements.registry import STATEMENTS
from simulations import __main__ as main_module
from simulations.__main__ import NAMES
from simulations._shared import presets


def module(name):
    return importlib.import_module(f"simulations.{name}")


def smallest(name):
    """The cell of a quick grid that costs least, made smaller still where it has a number of memories or steps."""
    cell = min(module(name).cells("quick"), key=lambda cell: module(name).cost(cell)[0])
    return cell | {key: 3 for key in ("memories", "queries", "steps") if key in cell}


def command(*arguments):
    """Run the command in this process."""
    experiments = typer.Typer()
    experiments.command()(main_module.main)
    return CliRunner().invoke(experiments, list(map(str, arguments)))


@pytest.mark.parametrize("name", NAMES)
def test_grids_are_what_a_sweep_takes(name):
    sizes = {}
    for preset in presets(module(name)):
        cells = module(name).cells(preset)
        sweep = Sweep(name, preset, 0, cells, module(name).measure, module(name).cost)
        assert all(seconds > 0 and size > 0 for seconds, size in map(module(name).cost, cells))
        sizes[preset] = sum(sweep.weight(cell) for cell in sweep.grid)
    quick = sizes.pop("quick")
    assert quick < min(sizes.values())
    assert quick < 120
    # models has no such presets: its largest is for another machine
    assert sizes.get("paper", 0.0) <= sizes.get("large", 0.0)


@pytest.mark.parametrize("name", ["capacity", "models"])
def test_what_is_left_is_predicted_for_the_device(name):
    on = {}
    for device in ("cpu", "cuda"):
        sweep = main_module._sweep(name, "gpu", 0, device=device)
        on[device] = sum(sweep.weight(cell) for cell in sweep.grid)
    assert on["cpu"] > 100 * on["cuda"] > 100 * 60


@pytest.mark.parametrize("statement", [it for it in STATEMENTS.values() if it.figure], ids=lambda it: it.name)
def test_a_figure_needs_the_experiment_of_its_statement(statement):
    assert statement.experiment in importlib.import_module(f"figures.{statement.figure}").NEEDS


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_measured_and_kept(name, tmp_path):
    from hopfield_theory.runs.executors import Serial
    from hopfield_theory.runs.sweep import run

    cell = smallest(name)
    sweep = Sweep(name, "quick", 0, [cell], module(name).measure, module(name).cost)
    report = run(sweep, Store(tmp_path), Serial())
    assert report.status == 0, report.lines
    frame = Store(tmp_path).gather(name)
    assert len(frame) > 0
    for low, high in ((c, c.replace("_low", "_high")) for c in frame.columns if c.endswith("_low")):
        middle = low.removesuffix("_low")
        if middle in frame and high in frame:
            held = frame[[low, middle, high]].dropna().replace([np.inf, -np.inf], np.nan).dropna()
            assert (held[low] <= held[middle] + 1e-9).all()
            assert (held[middle] <= held[high] + 1e-9).all()


def test_the_sandwich_holds_at_work():
    """Between C3 and C6 the frequency of 'all stored' falls from above 1 − p to below it."""
    [cell] = [c for c in module("capacity").cells("quick") if c["kind"] == "sandwich" and c["dim"] == 4][:1]
    rows = pd.DataFrame(module("capacity").measure(cell | {"memories": 300}, 0, "cpu"))
    low = chernoff.chernoff(RandomMemory(4, 200.0, -math.inf), 0.1)
    assert rows["chernoff"].iloc[0] == pytest.approx(low)
    stored = rows[np.log(rows["num_patterns"]) <= rows["chernoff"] + 1e-9]
    beyond = rows[np.log(rows["num_patterns"] + 1) > rows["ceiling"]]
    assert (stored["rate_high"] >= 0.9).all()
    assert (beyond["rate_low"] <= 0.9).all()
    assert len(stored) == len(beyond) == 2


def test_no_promise_of_a_certificate_is_broken():
    cell = smallest("basins") | {"memories": 4, "queries": 30}
    rows = pd.DataFrame(module("basins").measure(cell, 1, "cpu"))
    assert (rows["broken_promises"] == 0).all()
    assert rows["rate"].iloc[0] > rows["rate"].iloc[-1]
    digits = pd.DataFrame(module("digits").measure(smallest("digits") | {"patterns": 100, "kappa": 256.0}, 0, "cpu"))
    assert (digits["broken_promises"] == 0).all()


def test_an_experiment_names_the_statements_that_it_is_held_against():
    for name in NAMES:
        _, _, names = module(name).__doc__.partition("Held against:")
        known = {s.name for s in STATEMENTS.values() if name in (s.experiment, *s.held_in)}
        assert set(re.findall(r"\b[TCP]\d+\b", names)) == known, name


def test_energies_of_the_landscape_fall_along_every_path():
    rows = pd.DataFrame(module("landscape").measure(smallest("landscape"), 0, "cpu"))
    for _, path in rows[rows["kind"] == "path"].groupby("path"):
        assert (path.sort_values("step")["energy"].diff().dropna() <= 1e-12).all()
    assert (rows["energy"] >= -1e-12).all()


def test_the_slot_lowers_the_energy_of_the_landscape_where_t17_says():
    cells = [cell | {"size": 41} for cell in module("landscape").cells("quick")]
    dense, *others = (pd.DataFrame(module("landscape").measure(cell, 0, "cpu", study=0)) for cell in cells)
    stored, plane = (dense[dense["kind"] == kind][["x", "y"]].to_numpy() for kind in ("pattern", "energy"))
    total = np.exp(8.0 * plane @ stored.T).sum(1)
    assert 0 < (total < 5).sum() < 30
    for cell, rows in zip(cells[1:], others, strict=True):
        found, without = (each[each["kind"] == "energy"]["energy"].to_numpy() for each in (rows, dense))
        np.testing.assert_allclose(
            found - without, np.log((1 + cell["noop"] / 5) / (1 + cell["noop"] / total)) / 8.0, rtol=0, atol=1e-12
        )


def test_what_theory_says_of_residuals_holds():
    rows = pd.DataFrame(module("convergence").measure(smallest("convergence") | {"accelerate": False}, 0, "cpu"))
    residuals = rows[rows["kind"] == "residual"]
    assert (residuals["worst"] <= 1).all()
    assert rows["converged"].iloc[0] == 1


def test_the_detector_is_no_coin():
    rows = pd.DataFrame(module("rejection").measure(smallest("rejection") | {"memories": 5, "queries": 40}, 0, "cpu"))
    assert rows["auroc"].max() > 0.9
    assert (rows["unmatched_norm"].dropna() <= 1).all()


def test_a_grid_of_one_s_own(tmp_path):
    grid = ("--dims", "5,6", "--lams", "0.7", "--noops", "0,7", "--out", tmp_path)
    assert "capacity, own: 4 cells, 0 finished" in command("capacity", *grid, "--dry-run").stdout
    cells = module("capacity").own_cells("quick", [5, 6], [0.7], [0.0, 7.0])
    assert [(cell["dim"], cell["noop"]) for cell in cells] == [(5, 0.0), (5, 7.0), (6, 0.0), (6, 7.0)]
    sweep = main_module._sweep("capacity", "quick", 0, {"dims": [5], "lams": [0.7], "noops": [0.0]})
    assert len(sweep.grid) == 1


@pytest.mark.slow
def test_an_ensemble_of_one_s_own(monkeypatch):
    mine = types.SimpleNamespace(sphere=ht.Sphere(1.0), larger=lambda: ht.Sphere(1.5))
    monkeypatch.setitem(sys.modules, "mine", mine)
    rows = {}
    for name in (None, "mine:sphere", "mine:larger"):
        [cell] = module("capacity").own_cells("quick", [5], [0.7], [0.0], name)
        rows[name] = pd.DataFrame(module("capacity").measure(cell, 0, "cpu"))
    assert (rows["mine:sphere"]["log_patterns"] == rows[None]["log_patterns"]).all()
    # longer patterns are further apart
    assert rows["mine:larger"]["log_patterns"].iloc[0] > rows[None]["log_patterns"].iloc[0]
    assert "predicted" in rows[None]
    # theory is about the unit sphere
    assert "predicted" not in rows["mine:sphere"]


QUICK = ("capacity", "exponents", "noise")


def slow_marks(name):
    """What trains loads much: one process is enough."""
    group = "trained" if name in ("models", "sinks", "sink_conditions") else name
    return [pytest.mark.slow, pytest.mark.xdist_group(group)]


@pytest.mark.parametrize("name", [pytest.param(n, marks=slow_marks(n) * (n not in QUICK)) for n in NAMES])
def test_another_seed_is_another_set_of_results(name):
    """Of the cells that draw anything: those of the closed forms do not."""
    cell = smallest(name)
    if name == "exponents":
        cell = {"kind": "update", "lam": 0.25, "dim": 25, "trials": 16}
    rows = []
    for seed in (0, 0, 1):
        sweep = main_module._sweep(name, "quick", seed)
        shared = "study" in inspect.signature(module(name).measure).parameters
        found = pd.DataFrame(sweep.measure(cell, 5 if shared else seed, "cpu"))
        rows.append(found.to_csv())
    assert rows[0] == rows[1] != rows[2]


def test_a_run_goes_on_where_it_stopped(tmp_path):
    first = command("landscape", "--out", tmp_path)
    assert first.exit_code == 0, first.stderr
    assert "3 cells measured, 0 finished before, 0 failed" in first.stdout
    second = command("landscape", "--out", tmp_path)
    assert "0 cells measured, 3 finished before, 0 failed" in second.stdout
    planned = command("landscape", "--out", tmp_path, "--dry-run", "--preset", "paper")
    assert "landscape, paper: 3 cells, 0 finished, 3 left: about" in planned.stdout
    planned = command("models", "--model", "ViT, OPT", "--out", tmp_path / "nowhere", "--dry-run")
    assert "models, quick: 12 cells, 0 finished, 12 left: about" in planned.stdout
    assert not (tmp_path / "nowhere").exists()


def test_an_interrupted_run_says_how_to_go_on(tmp_path, monkeypatch):
    write = Store.write

    def interrupt(*arguments):
        write(*arguments)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "write", interrupt)
        result = command("landscape", "--out", tmp_path)
    assert result.exit_code == 130
    (said,) = result.stderr.splitlines()
    assert "the same command goes on from there" in said
    assert "2 cells measured, 1 finished before, 0 failed" in command("landscape", "--out", tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["luck"], "luck: no such experiment; there are basins, capacity,"),
        (["noise", "--preset", "huge"], "preset is 'huge': it must be one of quick, paper, large"),
        (["noise", "--device", "tpu"], "device is 'tpu'"),
        (["noise", "--executor", "threads"], "executor is 'threads'"),
        (["noise", "--out", "/dev/null/here"], "/dev/null/here"),
        (["models", "--preset", "large"], "preset is 'large': it must be one of quick, cpu, gpu"),
        (["models", "--model", "BART"], "model is 'BART': it must be one of BERT, OPT, ViT, STanHop"),
        (["landscape", "--model", "BERT"], "landscape has no models to choose from"),
        (["models", "--data", " "], "data is ' ': it must be a file or a folder"),
        (["models", "--data", "nowhere.csv"], "nowhere.csv: there is no such file or folder"),
        (["models", "--dims", "4"], "models takes no grid of one's own (dims)"),
        (["noise", "--dims", "4"], "noise takes no grid of one's own (dims)"),
        (["capacity", "--dims", "4,x"], "dims is '4,x': it must be numbers, separated by commas"),
        (["capacity", "--dims", "1"], "dim is 1"),
        (["capacity", "--ensemble", "nowhere:x"], "ensemble is 'nowhere:x': it must be MODULE:NAME"),
        (["capacity", "--ensemble", "os:getcwd"], "what it names has no method fill"),
        (["noise", "--seed", "-1"], "seed is -1: it must be an integer of at least 0"),
    ],
)
def test_bad_input_is_one_line(arguments, words):
    result = command(*arguments)
    assert result.exit_code == 2
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert words in line


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (lambda block: None, "its fill fails (TypeError: "),
        (lambda block, generator, common: None, "its fill leaves numbers unset, NaN or infinite"),
        (lambda block, generator, common: block.zero_().log_(), "its fill leaves numbers unset, NaN or infinite"),
    ],
)
def test_an_ensemble_that_does_not_fill_is_refused_before_anything_is_measured(monkeypatch, fill, words):
    mine = types.ModuleType("mine")
    mine.ensemble = types.SimpleNamespace(fill=fill)
    monkeypatch.setitem(sys.modules, "mine", mine)
    result = command("capacity", "--ensemble", "mine:ensemble", "--dry-run")
    assert result.exit_code == 2
    assert f"ensemble is 'mine:ensemble': {words}" in result.stderr


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_both_spellings_of_help(option):
    result = CliRunner().invoke(main_module.app, [option])
    assert result.exit_code == 0
    assert "Usage" in result.stdout
