"""A grid is measured once, whatever interrupts it, and the same whoever measures it."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from hopfield_theory.runs.executors import Processes, Serial, WorkerDiedError
from hopfield_theory.runs.store import Store
from hopfield_theory.runs.sweep import Interrupted, Sweep, cell_seed, dry_run, run

# other processes can import what is in a file of its own, wherever this one was loaded from
WORK = """
import os, pathlib, random, signal, time
from hopfield_theory.runs.sweep import Sweep

def cost(parameters):
    return parameters["x"] + 1.0, 1000.0 * parameters["x"]

def measure(parameters, seed, device):
    draw = random.Random(seed).random
    time.sleep(parameters.get("wait") or 0.0)
    return [{"row": row, "draw": draw() * parameters["x"]} for row in range(3)]

def measure_all_but_odd(parameters, seed, device):
    if parameters["x"] % 2:
        raise ArithmeticError("odd")
    return measure(parameters, seed, device)

def measure_without_rows(parameters, seed, device):
    return [] if parameters["x"] == 2 else measure(parameters, seed, device)

def measure_nothing(parameters, seed, device):
    return None if parameters["x"] == 2 else measure(parameters, seed, device)

def measure_what_kills(parameters, seed, device):
    "Kill the worker the first time that one of the cells is tried."
    tries = pathlib.Path(os.environ["TRIES"]) / str(parameters["x"])
    with tries.open("a") as file:
        file.write("x")
    if len(tries.read_text()) <= {3: 1}.get(parameters["x"], 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(parameters, seed, device)

def grid(cells=6, wait=None, measure=measure):
    return Sweep("draws", "smoke", 7, [{"x": x, "wait": wait} for x in range(cells)], measure, cost)
"""

# a process that has loaded everything makes copies of itself that run the sweep, and kills them
KILLING = """
import json, os, pathlib, signal, sys, time
import sweep_work
from hopfield_theory.runs.executors import Serial
from hopfield_theory.runs.store import Store
from hopfield_theory.runs.sweep import dry_run, run

folder, reports = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
sweep = sweep_work.grid(80, 0.02)
write_bytes = pathlib.Path.write_bytes

def kill_in_the_middle(path, content):
    write_bytes(path, content[:len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

def kill_before_renaming(path, target):
    os.kill(os.getpid(), signal.SIGKILL)

def report(advance):
    with reports.open("a") as file:
        file.write("x")

def run_here(moment, ready):
    if moment == "in the middle":
        pathlib.Path.write_bytes = kill_in_the_middle
    if moment == "before renaming":
        pathlib.Path.replace = kill_before_renaming
    store = Store(folder)
    os.write(ready, b"x")
    run(sweep, store, Serial(), progress=report)

reports.touch()
for moment in json.loads(sys.argv[3]):
    begun, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        run_here(moment, ready)
        os._exit(0)
    os.read(begun, 1)
    if not isinstance(moment, str):
        time.sleep(moment)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    names = [path.name for path in folder.iterdir()]
    cells = sum((folder / cell.name).exists() for cell in sweep.grid)
    print(json.dumps([status, names, cells, dry_run(sweep, Store(folder)).finished, reports.stat().st_size]))
"""

INTERRUPTED = """
import sys
import sweep_work
from hopfield_theory.runs.executors import executor
from hopfield_theory.runs.store import Store
from hopfield_theory.runs.sweep import Interrupted, run

if __name__ == "__main__":
    sweep = sweep_work.grid(30, 0.2)
    try:
        with executor("processes") as them:
            run(sweep, Store(sys.argv[1]), them, progress=lambda advance: print(advance, flush=True))
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(130)
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    (folder / "sweep_work.py").write_text(WORK)
    (folder / "killing.py").write_text(KILLING)
    (folder / "interrupted.py").write_text(INTERRUPTED)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        import sweep_work

        yield sweep_work


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells")


def frame(store):
    """What must not depend on who computed it, nor on how often it was interrupted."""
    return store.gather("draws").drop(columns="seconds")


def expected(work, tmp_path, **grid):
    store = Store(tmp_path / "expected")
    assert run(work.grid(**grid), store, Serial()).status == 0
    return frame(store)


def same(left, right):
    pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_finished_cells_are_not_measured_again(work, store, tmp_path):
    first = run(work.grid(3), store, Serial())
    assert [cell.parameters["x"] for cell in first.done] == [0, 1, 2]
    before = {path: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    second = run(work.grid(6), store, Serial())
    assert [cell.parameters["x"] for cell in second.skipped] == [0, 1, 2]
    assert [cell.parameters["x"] for cell in second.done] == [3, 4, 5]
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    same(frame(store), expected(work, tmp_path))
    assert run(work.grid(6), store, Serial()).lines == ["0 cells measured, 6 finished before, 0 failed"]


def test_the_order_of_cells_makes_no_difference(work, store, tmp_path):
    sweep = work.grid()
    turned = Sweep("draws", "smoke", 7, [dict(reversed(p.items())) for p in sweep.cells[::-1]], work.measure, work.cost)
    run(turned, store, Serial())
    same(frame(store), expected(work, tmp_path))


def test_a_cell_alone_is_as_in_a_grid(work, store, tmp_path):
    sweep = work.grid()
    run(Sweep("draws", "smoke", 7, [sweep.cells[4]], work.measure, work.cost), store, Serial())
    whole = expected(work, tmp_path)
    same(frame(store), whole[whole["x"] == 4].reset_index(drop=True))


def test_seeds_differ_between_cells_and_between_sweeps():
    seeds = {cell_seed(seed, {"x": x, "y": y}) for seed in range(10) for x in range(10) for y in (None, 0, 0.5, "0")}
    assert len(seeds) == 400


@pytest.mark.slow
def test_workers_make_no_difference_nor_do_their_deaths(work, store, tmp_path, monkeypatch):
    monkeypatch.setenv("TRIES", str(tmp_path))
    with Processes(2) as workers:
        report = run(work.grid(measure=work.measure_what_kills), store, workers)
    assert [cell.parameters["x"] for cell in report.done] == list(range(6))
    assert [len((tmp_path / str(x)).read_text()) for x in (1, 3)] == [1, 2]
    same(frame(store), expected(work, tmp_path))


def test_a_cell_that_fails_is_named_and_the_others_go_on(work, store, tmp_path):
    report = run(work.grid(measure=work.measure_all_but_odd), store, Serial())
    assert report.status == 1
    assert [cell.parameters["x"] for cell in report.done] == [0, 2, 4]
    assert [str(failure) for failure in report.failed] == [
        f"draws(wait=None, x={x}): ArithmeticError: odd" for x in (1, 3, 5)
    ]
    assert report.lines[-1] == "3 cells measured, 0 finished before, 3 failed"
    assert run(work.grid(), store, Serial()).status == 0
    same(frame(store), expected(work, tmp_path))


@pytest.mark.parametrize("measure", ["measure_without_rows", "measure_nothing"])
def test_rows_that_cannot_be_kept_are_a_failure_of_their_cell(work, store, measure):
    report = run(work.grid(measure=getattr(work, measure)), store, Serial())
    assert [failure.cell.parameters["x"] for failure in report.failed] == [2]
    assert len(report.done) == 5


def test_a_cell_that_kills_every_worker_is_a_failure(work, store):
    class Dying(Serial):
        def run(self, function, items):
            for index, result in super().run(function, items):
                yield index, WorkerDiedError(f"{items[index]}: died") if index == 1 else result

    report = run(work.grid(3), store, Dying())
    assert [str(failure) for failure in report.failed] == [
        "draws(wait=None, x=1): WorkerDiedError: draws(wait=None, x=1): died"
    ]
    assert report.status == 1


def test_cells_of_damaged_files_are_measured_again(work, store, tmp_path):
    sweep = work.grid()
    run(sweep, store, Serial())
    whole = frame(store)
    paths = [store.folder / cell.name for cell in sweep.grid]
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    paths[1].write_bytes(paths[2].read_bytes())
    paths[3].write_bytes(b"")
    paths[4].write_text("not a cell\n")
    report = run(sweep, store, Serial())
    assert [cell.parameters["x"] for cell in report.done] == [0, 1, 3, 4]
    assert report.status == 0
    same(frame(store), whole)
    same(whole, expected(work, tmp_path))


def test_a_full_disk_stops_the_run_with_one_line_and_loses_nothing(work, store, tmp_path, monkeypatch):
    write_bytes, written = Path.write_bytes, []

    def fill(self, content):
        write_bytes(self, content)
        written.append(self)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(OSError, match=f"to {store.folder}: No space left on device"):
            run(work.grid(), store, Serial())
    assert len(list(store.folder.iterdir())) == 3
    assert len(run(work.grid(), store, Serial()).skipped) == 3
    same(frame(store), expected(work, tmp_path))


def test_what_is_left_is_estimated_by_cost(work, store):
    told = []
    run(work.grid(4, wait=0.05), store, Serial(), progress=told.append)
    assert [advance.finished for advance in told] == [1, 2, 3, 4]
    assert told[-1].seconds_left == 0
    assert str(told[-1]) == "4 of 4 cells, about 0 s left"
    # costs 1, 2, 3, 4: after the first, nine times what it took
    assert told[0].seconds_left >= 9 * 0.05
    assert told[0].seconds_left > told[1].seconds_left > told[2].seconds_left
    told.clear()
    run(work.grid(5, wait=0.05), store, Serial(), progress=told.append)
    assert [advance.finished for advance in told] == [5]


def test_a_dry_run_predicts_what_is_left_and_opens_no_file(work, store, monkeypatch):
    sweep = work.grid(4)
    before = dry_run(sweep, store)
    assert (before.cells, before.finished, before.left, before.seconds, before.bytes) == (4, 0, 4, 10.0, 3000.0)
    assert str(before) == "4 cells, 0 finished, 4 left: about 10 s of work, up to 3.0 kB per cell"
    for cell in sweep.grid[:2]:
        store.write(cell, [{"row": 0}], seconds=180.0, device="cpu")
    monkeypatch.setattr(Path, "read_bytes", None)
    after = dry_run(sweep, store)
    assert (after.finished, after.left, after.seconds) == (2, 2, 7.0)
    assert str(after) == "4 cells, 2 finished, 2 left: about 7 s of work, up to 3.0 kB per cell"


def test_a_cell_that_is_there_twice_is_refused(work):
    with pytest.raises(ValueError, match=r"draws\(x=1\) is there twice"):
        Sweep("draws", "smoke", 0, [{"x": 1}, {"x": 2}, {"x": 1}], work.measure, work.cost)


def test_an_interrupt_says_how_to_go_on(work, store):
    def stop(advance):
        if advance.finished == 2:
            raise KeyboardInterrupt

    with pytest.raises(
        Interrupted, match=r"^interrupted: the 2 of 6 cells .* the same command goes on from there$"
    ) as it:
        run(work.grid(), store, Serial(), progress=stop)
    assert isinstance(it.value, KeyboardInterrupt)
    assert str(store.folder) in str(it.value)
    assert len(run(work.grid(), store, Serial()).skipped) == 2


def test_an_interrupt_names_what_failed_before(work, store):
    def fail(parameters, seed, device):
        raise ValueError("no such thing here")

    def stop(advance):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as it:
        run(Sweep("draws", "smoke", 0, [{"x": 1}, {"x": 2}], fail, work.cost), store, Serial(), progress=stop)
    failed, interrupted = str(it.value).splitlines()
    assert failed == "failed: draws(x=1): ValueError: no such thing here"
    assert interrupted.startswith("interrupted: the 0 of 2 cells")


@pytest.mark.slow
def test_runs_killed_at_any_moment_lose_no_more_than_the_cell_at_work(work, store, tmp_path):
    draw = random.Random(1)
    moments = [draw.uniform(0.0, 0.1) for _ in range(14)]
    moments = [*moments[:7], "in the middle", *moments[7:], "before renaming", 0.4]
    grid = {"cells": 80, "wait": 0.02}
    script = Path(work.__file__).with_name("killing.py")
    command = [sys.executable, str(script), str(store.folder), str(tmp_path / "reports"), json.dumps(moments)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kills = [json.loads(line) for line in output.splitlines()]
    assert len(kills) == len(moments)
    finished = 0
    for moment, (status, names, cells, found, reported) in zip(moments, kills, strict=True):
        assert status == signal.SIGKILL
        # whatever has a cell's name is that cell, whole, and all that was reported is there
        assert cells == found >= max(finished, reported)
        partial = [name for name in names if name.endswith(".partial")]
        assert len(partial) == 1 if isinstance(moment, str) else len(partial) <= 1
        assert len(names) == cells + len(partial)
        finished = found
    # no run had the time for all
    assert 0 < finished < 80
    report = run(work.grid(**grid), Store(store.folder), Serial())
    assert len(report.skipped) == finished
    assert {path.name for path in store.folder.iterdir()} == {cell.name for cell in work.grid(**grid).grid}
    same(frame(store), expected(work, tmp_path, **grid))


def members(group):
    """Processes of a group that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            pass
    return found


@pytest.mark.slow
def test_ctrl_c_ends_a_run_at_once_and_the_same_command_goes_on(work, store):
    script = Path(work.__file__).with_name("interrupted.py")
    command = [sys.executable, str(script), str(store.folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for _ in range(3):
            assert " of 30 cells" in process.stdout.readline()
        time.sleep(0.1)
        begin = time.monotonic()
        # as a terminal does it: to every process of the group
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        took = time.monotonic() - begin
    assert process.returncode == 130
    assert took < 5
    assert len(errors.splitlines()) == 1
    assert errors.startswith("interrupted: the ")
    assert "the same command goes on" in errors
    end = time.monotonic() + 5
    while members(process.pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not members(process.pid)
    report = run(Sweep("draws", "smoke", 7, work.grid(30, 0.2).cells[:4], work.measure, work.cost), store, Serial())
    assert len(report.skipped) >= 2
