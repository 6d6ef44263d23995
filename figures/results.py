"""Stored results as figures need them: whole, of this version, one preset and one seed; or one line on why not."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import shlex
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from hopfield_theory import __version__
from hopfield_theory.runs.store import Cell, Store
from simulations._shared import PRESETS, presets

__all__ = ["DEFAULT", "Found", "UnusableError", "load"]

DEFAULT = Path("build/results")


class UnusableError(ValueError):
    """What results are missing, and which command makes them."""


@dataclass(frozen=True)
class Found:
    """Results of one experiment.

    Attributes
    ----------
    frame : DataFrame
        The parameter of :meth:`hopfield_theory.runs.store.Store.gather`.
    experiment, preset, seed, version
        What they are of.
    cells, expected : int
        How many cells are there, and how many the preset has.
    """

    frame: pd.DataFrame
    experiment: str
    preset: str
    seed: int
    version: str
    cells: int
    expected: int

    @cached_property
    def table(self) -> str:
        """The rows as comma-separated values, without how long they took and where."""
        return self.frame.drop(columns=["seconds", "device"], errors="ignore").to_csv(index=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the table."""
        return hashlib.sha256(self.table.encode()).hexdigest()

    def __str__(self) -> str:
        some = "" if self.cells >= self.expected else f", {self.cells} of {self.expected} cells"
        return (
            f"{self.experiment} (preset {self.preset}, seed {self.seed}{some}, version {self.version}, "
            f"sha256 {self.digest[:16]})"
        )

    def where(self, need: str, **values: object) -> pd.DataFrame:
        """Return the rows with these values, or say that there are none."""
        rows = self.frame
        for name, value in values.items():
            rows = rows[rows[name] == value]
        if rows.empty:
            raise UnusableError(f"the stored results of {self.experiment}, {self.preset}, have no {need}")
        return rows

    def only(self, **values: float) -> Found:
        """Return the rows with these values alone, as results of a part; or say which values there are."""
        rows = self.frame
        for name, value in values.items():
            kept = rows[rows[name] == value]
            if kept.empty:
                there = ", ".join(f"{known:g}" for known in sorted(rows[name].dropna().unique()))
                raise UnusableError(
                    f"the stored results of {self.experiment}, {self.preset}, have nothing at {name} = {value:g}; "
                    f"there are {there}"
                )
            rows = kept
        return replace(self, frame=rows.reset_index(drop=True))


def load(folder: Path, experiment: str, columns: Sequence[str] = (), partial: bool = False) -> Found:
    """Read what a figure needs.

    Parameters
    ----------
    folder : path
        Folder of the store, or of tables that ``figures.tables`` wrote. Nothing in it is changed.
    experiment : str
    columns : sequence of str
        That must be there.
    partial : bool
        Take what there is of the finest preset, finished or not.

    Returns
    -------
    Found
        Results of the finest preset that is finished (or, ``partial``, begun), and of its least seed.

    Raises
    ------
    UnusableError
        In one line: what is missing, damaged or too old, and the command that puts it right.
    """
    if folder.is_file():
        raise UnusableError(f"{folder} is a file: it must be the folder of the results")
    if not folder.is_dir():
        raise UnusableError(f"{folder}: no such folder; {_command(experiment, folder)} makes it")
    if (table := folder / f"{experiment}.csv").is_file():
        return _of_table(table, experiment)
    try:
        store = Store(folder)
        with warnings.catch_warnings(record=True) as skipped:
            warnings.simplefilter("always")
            every = store.gather(experiment)
        current = every[every["version"] == __version__]
        # where every file was read whole, its name is enough
        finished = store.has if skipped else store.holds_file
        choices = [_choice(finished, experiment, *key) for key in _keys(current, experiment)]
    except OSError as error:
        raise UnusableError(f"{' '.join(str(error).split())}") from error
    damage = f" ({skipped[0].message})" if skipped else ""
    if current.empty:
        others = ", ".join(sorted(set(every["version"])))
        why = f"results of {experiment} of version {others} only" if others else f"no results of {experiment}"
        raise UnusableError(f"{folder} holds {why}{damage}; {_command(experiment, folder)} makes them")
    whole = [choice for choice in choices if choice[2] >= choice[3]]
    if not whole and not partial:
        preset, seed, cells, expected = choices[0]
        raise UnusableError(
            f"{folder} holds {cells} of the {expected} cells of {experiment}, {preset}{damage}; "
            f"{_command(experiment, folder, preset, seed)} completes them, --partial draws them as they are"
        )
    preset, seed, cells, expected = (choices if partial else whole)[0]
    frame = current[(current["preset"] == preset) & (current["seed"] == seed)]
    frame = _of_the_grid(frame, _grid(experiment, preset, seed)).reset_index(drop=True)
    # of trained models, one's own data and the size of the preset they were learnt at
    own = [name for name in ("digest", "steps") if name in frame]
    if "digest" in frame and (frame.groupby("model")[own].nunique() > 1).any(axis=None):
        raise UnusableError(
            f"the results of {experiment} in {folder} are of several data sets or presets: give each its own folder"
        )
    lacking = [name for name in columns if name not in frame or frame[name].isna().all()]
    if lacking:
        raise UnusableError(
            f"the results of {experiment}, {preset}, in {folder} have no {', '.join(lacking)}: they are of an "
            f"earlier state; move {experiment}-*.parquet away, and {_command(experiment, folder, preset, seed)} makes "
            "them again"
        )
    return Found(frame, experiment, preset, seed, __version__, cells, expected)


def _of_table(path: Path, experiment: str) -> Found:
    """Read a table back, to the last bit of every number."""
    frame = pd.read_csv(path)
    for name in frame.columns[[bool(frame[name].astype(str).str.startswith("[").any()) for name in frame]]:
        frame[name] = [json.loads(text) if isinstance(text, str) else text for text in frame[name]]
    preset, seed = str(frame["preset"].iloc[0]), int(frame["seed"].iloc[0])
    grid = _grid(experiment, preset, seed)
    parameters = sorted({name for cell in grid for name in cell.parameters} & set(frame))
    cells = len(frame[parameters].astype(str).drop_duplicates())
    # speed has no version, and no grid
    version = str(frame.get("version", pd.Series([__version__])).iloc[0])
    return Found(frame, experiment, preset, seed, version, cells, len(grid) or cells)


def _keys(frame: pd.DataFrame, experiment: str) -> list[tuple[str, int]]:
    known = presets(importlib.import_module(f"simulations.{experiment}")) if _known(experiment) else PRESETS
    present = {(str(preset), int(seed)) for preset, seed in zip(frame["preset"], frame["seed"], strict=True)}
    order = {name: place for place, name in enumerate(reversed(known))}
    return sorted(present, key=lambda key: (order.get(key[0], len(order)), key))


def _choice(finished: Callable[[Cell], bool], experiment: str, preset: str, seed: int) -> tuple[str, int, int, int]:
    """Return preset and seed, with how many cells are there and how many there should be."""
    grid = _grid(experiment, preset, seed)
    return preset, seed, sum(map(finished, grid)), len(grid)


def _grid(experiment: str, preset: str, seed: int) -> list[Cell]:
    """Return the cells that an experiment has, none where there is no such experiment or preset."""
    module = importlib.import_module(f"simulations.{experiment}") if _known(experiment) else None
    if module is None or preset not in presets(module):
        return []
    return [Cell(experiment, preset, seed, parameters) for parameters in module.cells(preset)]


def _of_the_grid(frame: pd.DataFrame, grid: list[Cell]) -> pd.DataFrame:
    """Leave out what a store still holds of an earlier grid of the preset."""
    if not grid:
        return frame
    names = {name for cell in grid for name in cell.parameters}
    wanted = {frozenset(cell.parameters.items()) for cell in grid}
    records = frame[[name for name in frame if name in names]].to_dict("records")
    kept = [frozenset(item for item in record.items() if not pd.isna(item[1])) in wanted for record in records]
    return frame[kept]


def _known(experiment: str) -> bool:
    return importlib.util.find_spec(f"simulations.{experiment}") is not None


def _command(experiment: str, folder: Path, preset: str = "quick", seed: int = 0) -> str:
    if not _known(experiment):
        return "`python -m benchmarks`"
    words = ["python", "-m", "simulations", experiment]
    words += ["--preset", preset] if preset != "quick" else []
    words += ["--seed", str(seed)] if seed else []
    words += ["--out", str(folder)] if folder != DEFAULT else []
    return f"`{shlex.join(words)}`"
