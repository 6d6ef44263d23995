"""A finished cell's file is whole and the cell's own, or it is not used; nothing is ever deleted."""

import errno
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

import hopfield_theory
from hopfield_theory._atomic_write import write_whole
from hopfield_theory.runs.store import Cell, Store, canonical

CELL = Cell("capacity", "smoke", 3, {"dim": 16, "kappa": 2.5, "log_noop": None, "rule": "stored", "planted": True})
ROWS = [{"patterns": 10, "rate": 0.1}, {"patterns": 2**62 + 1, "rate": 5e-324}]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells")


def kept(store, cell=CELL, rows=ROWS):
    store.write(cell, rows, 1.5, "cpu")
    return store.folder / cell.name


def names(store):
    return sorted(path.name for path in store.folder.iterdir())


def test_a_cell_is_finished_from_its_writing_on(store):
    assert not store.has(CELL)
    assert store.seconds(CELL) is None
    path = kept(store)
    assert store.has(CELL)
    assert Store(store.folder).has(CELL)
    assert store.seconds(CELL) == 1.5
    assert names(store) == [path.name]
    assert not store.set_aside


def test_rows_come_back_exactly(store):
    frame = pd.DataFrame(
        {
            "count": [1, -(2**63), 2**63 - 1],
            "rate": [math.nan, -0.0, 1e-310],
            "limit": [math.inf, -math.inf, np.nextafter(1.0, 2.0)],
            "single": np.array([0.1, 0.2, 0.3], dtype=np.float32),
            "place": ["here", "überall", None],
            "found": [True, False, True],
        }
    )
    store.write(CELL, frame, 0.0, "cuda:0")
    pd.testing.assert_frame_equal(store.read(CELL), frame, check_exact=True)
    assert math.copysign(1.0, store.read(CELL)["rate"][1]) == -1.0


def test_a_file_tells_all_that_it_was_computed_from(store):
    metadata = pyarrow.parquet.read_metadata(kept(store)).metadata
    text = metadata[b"hopfield_theory.cell"].decode()
    for part in (
        CELL.key,
        '"device":"cpu"',
        '"seconds":1.5',
        f'"torch":"{torch.__version__}"',
        "hopfield_theory.cell/1",
    ):
        assert part in text
    assert f'"version":"{hopfield_theory.__version__}"' in CELL.key


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


def test_a_new_version_of_the_package_has_new_files(store, monkeypatch):
    kept(store)
    monkeypatch.setattr(hopfield_theory, "__version__", "9.9.9")
    assert not store.has(Cell("capacity", "smoke", 3, CELL.parameters))
    assert list(store.gather()["version"].unique()) == [CELL.version]


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"experiment": "../escape"}, ValueError, "experiment must be a name"),
        ({"experiment": ""}, ValueError, "experiment must be a name"),
        ({"preset": "a b"}, ValueError, "preset must be a name"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"seed": True}, TypeError, "seed must be an integer"),
        ({"seed": 0.0}, TypeError, "seed must be an integer"),
        ({"parameters": {"x": math.nan}}, ValueError, "x must be finite"),
        ({"parameters": {"x": -math.inf}}, ValueError, "x must be finite"),
        ({"parameters": {"x": [1]}}, TypeError, "x must be a str, int"),
        ({"parameters": {"x": np.float64(1.0)}}, TypeError, "x must be a str, int"),
        ({"parameters": {"seed": 1}}, ValueError, "cannot be called 'seed'"),
        ({"parameters": {1: 1}}, ValueError, "cannot be called 1"),
    ],
)
def test_what_no_cell_can_be(change, error, match):
    with pytest.raises(error, match=match):
        Cell(**{"experiment": "e", "preset": "p", "seed": 0, "parameters": {}, **change})


def set_aside_and_written_anew(store, path, content):
    assert store.seconds(CELL) is None
    with pytest.raises(ValueError, match=path.name):
        store.read(CELL)
    assert path.exists()
    assert not store.has(CELL)
    assert not path.exists()
    aside = store.set_aside[-1]
    assert aside.path.parent == store.folder
    assert aside.path.name.startswith(f"{path.name}.damaged-")
    assert str(aside.path) in str(aside)
    assert path.name in aside.reason
    if content is not None:
        assert aside.path.read_bytes() == content
    kept(store)
    assert store.has(CELL)
    pd.testing.assert_frame_equal(store.read(CELL), pd.DataFrame(ROWS), check_exact=True)


def test_no_flipped_bit_goes_unnoticed(store):
    path = kept(store)
    whole = path.read_bytes()
    for position in random.Random(0).sample(range(8 * len(whole)), 400):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        assert store.seconds(CELL) is None, position
    set_aside_and_written_anew(store, path, bytes(damaged))


def test_no_truncation_goes_unnoticed(store):
    path = kept(store)
    whole = path.read_bytes()
    for length in {0, 1, 4, len(whole) - 1, *random.Random(0).sample(range(len(whole)), 100)}:
        path.write_bytes(whole[:length])
        assert store.seconds(CELL) is None, length
    path.write_bytes(whole + b"\0")
    assert store.seconds(CELL) is None
    path.write_bytes(whole[:-1])
    set_aside_and_written_anew(store, path, whole[:-1])


@pytest.mark.parametrize("kind", ["empty", "text", "binary", "parquet", "another cell", "another version"])
def test_foreign_files_are_set_aside(store, kind):
    path = store.folder / CELL.name
    if kind == "parquet":
        pd.DataFrame(ROWS).to_parquet(path)
    elif kind.startswith("another"):
        version = "0.0.0" if kind == "another version" else CELL.version
        seed = 3 if kind == "another version" else 4
        kept(store, Cell("capacity", "smoke", seed, CELL.parameters, version)).rename(path)
    else:
        path.write_bytes({"empty": b"", "text": b"PAR1 is how such files begin\n", "binary": bytes(range(256))}[kind])
    set_aside_and_written_anew(store, path, path.read_bytes())


def test_a_folder_in_a_files_place_is_set_aside(store):
    path = store.folder / CELL.name
    path.mkdir()
    set_aside_and_written_anew(store, path, None)


def test_files_set_aside_do_not_replace_one_another(store):
    path = store.folder / CELL.name
    for number in range(3):
        path.write_text(str(number))
        assert not store.has(CELL)
    assert [(store.folder / f"{path.name}.damaged-{k}").read_text() for k in (1, 2, 3)] == ["0", "1", "2"]
    assert [aside.path.name for aside in store.set_aside] == [f"{path.name}.damaged-{k}" for k in (1, 2, 3)]


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
    assert not store.skipped


def test_gathering_names_what_it_does_not_trust_and_leaves_it_alone(store):
    path = kept(store)
    copy = store.folder / "capacity-0123456789abcdef.parquet"
    copy.write_bytes(path.read_bytes())
    (store.folder / "capacity-notes.parquet").write_text("notes")
    damaged = kept(store, Cell("capacity", "smoke", 4, {}))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    before = {name: (store.folder / name).read_bytes() for name in names(store)}
    assert len(store.gather("capacity")) == len(ROWS)
    assert sorted(it.path.name for it in store.skipped) == sorted(before.keys() - {path.name})
    assert before == {name: (store.folder / name).read_bytes() for name in names(store)}
    assert len(store.gather("growth")) == 0
    assert not store.skipped


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
        Store(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "cells"):
        with pytest.raises(OSError, match=f"^cannot make the folder {folder}: "):
            Store(folder)


def test_a_file_that_cannot_be_set_aside(store, monkeypatch):
    path = store.folder / CELL.name
    path.touch()

    def refuse(self, target):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match=f"cannot set {path} aside .it is empty.: Read-only file system"):
        store.has(CELL)
    assert path.exists()


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
        write_whole(store.folder / CELL.name, b"")
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
