"""A finished cell's file is whole and the cell's own, or it is not used."""

import errno
import importlib.metadata
import math
import os
import random
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch

from hopfield_theory._atomic_write import atomic_write
from hopfield_theory._version import version
from hopfield_theory.runs.store import Cell, Store, canonical

CELL = Cell("capacity", "smoke", 3, {"dim": 16, "kappa": 2.5, "log_noop": None, "rule": "stored", "planted": True})
ROWS = [{"patterns": 10, "rate": 0.1}, {"patterns": 2**62 + 1, "rate": 5e-324}]


@pytest.fixture
def store(tmp_path):
    (tmp_path / "cells").mkdir()
    return Store(tmp_path / "cells")


def kept(store, cell=CELL, rows=ROWS):
    store.write(cell, rows, 1.5, "cpu")
    return store.folder / cell.name


def names(store):
    return sorted(path.name for path in store.folder.iterdir())


def test_a_cell_is_finished_from_its_writing_on(store):
    assert not store.has(CELL)
    assert not store.holds_file(CELL)
    path = kept(store)
    assert store.has(CELL)
    assert store.holds_file(CELL)
    assert Store(store.folder).has(CELL)
    assert set(store.read(CELL)["seconds"]) == {1.5}
    assert names(store) == [path.name]


def test_rows_come_back_exactly(store):
    frame = pd.DataFrame(
        {
            "count": [1, -(2**63), 2**63 - 1],
            "rate": [math.nan, -0.0, 1e-310],
            "limit": [math.inf, -math.inf, np.nextafter(1.0, 2.0)],
            "single": np.array([0.1, 0.2, 0.3], dtype=np.float32),
            "place": ["here", "überall", None],
            "found": [True, False, True],
            "image": [np.array([0.1, 0.2]), np.array([]), np.array([0.3])],
        }
    )
    store.write(CELL, frame, 0.0, "cuda:0")
    found = store.read(CELL)[list(frame)]
    pd.testing.assert_frame_equal(found, frame, check_exact=True)
    assert math.copysign(1.0, found["rate"][1]) == -1.0


def test_a_file_tells_all_that_it_was_computed_from_to_pandas_alone(store):
    path = kept(store)
    row = pd.read_parquet(path).iloc[0].to_dict()
    assert row == {
        **{"experiment": "capacity", "preset": "smoke", "seed": 3, "version": CELL.version},
        **{"device": "cpu", "seconds": 1.5, **CELL.parameters, **ROWS[0]},
    }
    assert pyarrow.parquet.read_metadata(path).metadata[b"torch"].decode() == torch.__version__


@pytest.mark.parametrize(
    "other",
    [
        Cell("growth", "smoke", 3, CELL.parameters),
        Cell("capacity", "paper", 3, CELL.parameters),
        Cell("capacity", "smoke", 4, CELL.parameters),
        Cell("capacity", "smoke", 3, CELL.parameters, version="0.0.0"),
        *(
            Cell("capacity", "smoke", 3, {**CELL.parameters, **change})
            for change in (
                {"dim": 17},
                {"dim": 16.0},
                {"log_noop": 0.0},
                {"planted": 1},
                {"rule": None},
                {"extra": None},
            )
        ),
        Cell("capacity", "smoke", 3, {}),
    ],
)
def test_cells_that_differ_have_different_files(store, other):
    kept(store)
    assert other.name != CELL.name
    assert other != CELL
    assert not store.has(other)


def test_the_order_of_parameters_makes_no_difference():
    turned = Cell("capacity", "smoke", 3, dict(reversed(CELL.parameters.items())))
    assert turned == CELL
    assert hash(turned) == hash(CELL)
    assert turned.name == CELL.name
    assert canonical({"b": 1, "a": None}) == '{"a":null,"b":1}'


def test_a_new_version_of_the_package_has_new_files(store, monkeypatch, request):
    kept(store)
    # a process looks it up once
    version.cache_clear()
    request.addfinalizer(version.cache_clear)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9.9")
    assert not store.has(Cell("capacity", "smoke", 3, CELL.parameters))
    assert list(store.gather()["version"].unique()) == [CELL.version]


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"experiment": "../escape"}, ValueError, "it must be a name"),
        ({"experiment": ""}, ValueError, "it must be a name"),
        ({"preset": "a b"}, ValueError, "preset is .a b."),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"seed": True}, TypeError, "seed is True"),
        ({"seed": 0.5}, ValueError, "seed is 0.5"),
        ({"parameters": {"x": math.nan}}, ValueError, "it must be finite"),
        ({"parameters": {"x": -math.inf}}, ValueError, "it must be finite"),
        ({"parameters": {"x": [1]}}, TypeError, "it must be a str, int"),
        ({"parameters": {"x": np.float64(1.0)}}, TypeError, "it must be a str, int"),
        ({"parameters": {"seed": 1}}, ValueError, "is called 'seed'"),
        ({"parameters": {1: 1}}, ValueError, "is called 1"),
    ],
)
def test_what_no_cell_can_be(change, error, match):
    with pytest.raises(error, match=match):
        Cell(**{"experiment": "e", "preset": "p", "seed": 0, "parameters": {}, **change})


def refused_and_written_again(store):
    assert not store.has(CELL)
    with pytest.raises(ValueError, match=CELL.name):
        store.read(CELL)
    kept(store)
    assert store.has(CELL)


def test_no_damaged_byte_changes_a_result(store):
    """Every tenth byte flipped, one by one: the file is refused, or reads as what was written."""
    path = kept(store)
    whole, table = path.read_bytes(), store.read(CELL)
    refused = 0
    for position in range(0, len(whole), 10):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        if store.has(CELL):
            pd.testing.assert_frame_equal(store.read(CELL), table, check_exact=True)
        else:
            refused += 1
    # what may change unread are statistics, sizes and the name of the writer
    assert refused > 0.5 * len(whole) / 10
    path.write_bytes(whole[:4] + bytes(len(whole) - 4))
    refused_and_written_again(store)


def test_no_truncation_goes_unnoticed(store):
    path = kept(store)
    whole = path.read_bytes()
    for length in {0, 1, 4, len(whole) - 1, *random.Random(0).sample(range(len(whole)), 100)}:
        path.write_bytes(whole[:length])
        assert not store.has(CELL), length
    path.write_bytes(whole + b"\0")
    refused_and_written_again(store)


@pytest.mark.parametrize("kind", ["empty", "text", "binary", "parquet", "another cell", "another version"])
def test_foreign_files_are_refused(store, kind):
    path = store.folder / CELL.name
    if kind == "parquet":
        pd.DataFrame(ROWS).to_parquet(path)
    elif kind.startswith("another"):
        version = "0.0.0" if kind == "another version" else CELL.version
        seed = 3 if kind == "another version" else 4
        kept(store, Cell("capacity", "smoke", seed, CELL.parameters, version)).rename(path)
    else:
        path.write_bytes({"empty": b"", "text": b"PAR1 is how such files begin\n", "binary": bytes(range(256))}[kind])
    refused_and_written_again(store)


def test_a_folder_in_a_files_place_is_no_result(store):
    (store.folder / CELL.name).mkdir()
    assert not store.has(CELL)
    with pytest.raises(OSError, match=f"cannot write {CELL.name}"):
        kept(store)


def test_a_file_that_cannot_be_read_is_no_damaged_file(store, monkeypatch):
    path = kept(store)

    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(PermissionError):
            store.has(CELL)
    assert names(store) == [path.name]


def test_a_cell_that_is_not_finished_cannot_be_read(store):
    with pytest.raises(FileNotFoundError):
        store.read(CELL)


def test_gathered_frames_have_every_row_in_the_order_of_parameters(store):
    grid = [{"dim": dim, "noop": noop} for dim in (8, 16, 128) for noop in (None, 0.5, 2)]
    for parameters in random.Random(0).sample(grid, len(grid)):
        store.write(Cell("capacity", "smoke", 0, parameters), [{"rate": parameters["dim"] / 100}] * 2, 1.0, "cpu")
    frame = store.gather("capacity")
    assert list(frame.columns) == [
        "experiment",
        "preset",
        "dim",
        "noop",
        "rate",
        "seed",
        "version",
        "device",
        "seconds",
    ]
    expected = [(p["dim"], math.nan if p["noop"] is None else float(p["noop"])) for p in grid for _ in range(2)]
    np.testing.assert_array_equal(frame[["dim", "noop"]].to_numpy(float), np.array(expected))
    assert list(frame["rate"]) == [dim / 100 for dim, _ in expected]


def test_gathering_takes_what_is_asked_for(store):
    for experiment in ("capacity", "capacity-growth"):
        for preset in ("smoke", "paper"):
            store.write(Cell(experiment, preset, 0, {"x": experiment}), [{"y": preset}], 1.0, "cpu")
    assert len(store.gather()) == 4
    assert list(store.gather("capacity")["x"]) == ["capacity"] * 2
    assert list(store.gather(preset="paper")["y"]) == ["paper"] * 2
    assert len(store.gather("capacity-growth", "paper")) == 1
    assert store.gather("nothing").empty


def test_gathering_names_what_it_does_not_trust_and_leaves_it_alone(store):
    path = kept(store)
    copy = store.folder / "capacity-0123456789abcdef.parquet"
    copy.write_bytes(path.read_bytes())
    (store.folder / "capacity-notes.parquet").write_text("notes")
    damaged = kept(store, Cell("capacity", "smoke", 4, {}))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    before = {name: (store.folder / name).read_bytes() for name in names(store)}
    with pytest.warns(UserWarning, match="is left out") as caught:
        assert len(store.gather("capacity")) == len(ROWS)
    left_out = sorted(Path(str(it.message).split(" is left out")[0]).name for it in caught)
    assert left_out == sorted(before.keys() - {path.name})
    assert before == {name: (store.folder / name).read_bytes() for name in names(store)}
    assert len(store.gather("growth")) == 0


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([], "no rows"),
        (pd.DataFrame({"rate": []}), "no rows"),
        ([{"dim": 16}], "taken: dim"),
        ([{"seed": 16}], "taken: seed"),
        ([{"rate": 1.0}, {"rate": "one"}], "do not fit"),
        ([{"rate": object()}], "do not fit"),
    ],
)
def test_rows_that_cannot_be_kept(store, rows, match):
    with pytest.raises(ValueError, match=match):
        store.write(CELL, rows, 1.0, "cpu")
    assert names(store) == []


def test_a_full_disk_is_one_clear_line_and_no_broken_file(store, monkeypatch):
    path = kept(store, Cell("capacity", "smoke", 4, {}))
    write_bytes = Path.write_bytes

    def write_half(self, content):
        write_bytes(self, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_half)
        with pytest.raises(OSError, match="No space left on device") as caught:
            kept(store)
    assert str(store.folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(store) == [path.name]


def test_a_write_that_the_system_cuts_short_leaves_no_broken_file(store):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=f"cannot write {CELL.name} to .*: File too large"):
            kept(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(store) == []
    kept(store)
    assert store.has(CELL)


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OSError, match=f"^cannot write to the folder {tmp_path}: it is read-only$"):
        Store(tmp_path).prepare()
    assert Store(tmp_path).gather().empty


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "cells"):
        with pytest.raises(OSError, match=f"^cannot make the folder {folder}: "):
            Store(folder)


def test_leftovers_of_killed_processes_are_removed_and_nothing_else(store):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    leftover = f"{CELL.name}.{ended.pid}.partial"
    others = [
        f"{CELL.name}.{os.getppid()}.partial",
        f"{CELL.name}.partial",
        f"notes.{ended.pid}.partial",
        f"capacity.parquet.{ended.pid}.partial",
    ]
    for name in (leftover, *others):
        (store.folder / name).write_bytes(b"half")
    assert store.gather().empty
    # reading changes nothing
    assert names(store) == sorted([leftover, *others])
    path = kept(store)
    assert len(Store(store.folder).gather()) == len(ROWS)
    assert names(store) == sorted([path.name, *others])


def test_leftovers_are_those_that_whole_files_leave(store, monkeypatch):
    left = []

    def remember(self, content):
        left.append(self.name)
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(Path, "write_bytes", remember)
    with pytest.raises(OSError, match="no"):
        atomic_write(store.folder / CELL.name, b"")
    assert left == [f"{CELL.name}.{os.getpid()}.partial"]


def test_reading_starts_no_thread(store):
    """A thread of Arrow's that still held Python's bytes at the end of the interpreter aborted one process in three."""
    for number in range(8):
        kept(store, Cell("capacity", "smoke", number, {"dim": 16}))
    program = f"""
import os
import pyarrow.parquet
from hopfield_theory.runs.store import Store
before = len(os.listdir("/proc/self/task"))
assert len(Store({str(store.folder)!r}).gather("capacity")) == 16
raise SystemExit(len(os.listdir("/proc/self/task")) - before)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
