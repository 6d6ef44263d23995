"""Finished cells on disk: one Parquet file per cell, written atomically.

A file is a plain table that pandas reads without this module: the cell (experiment, preset, seed, version, parameters),
where and how long it was measured (device, seconds), and its results. Pages carry Parquet's own checksums, and the
metadata a digest of the decoded table: a damaged file is never read as a result.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import math
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopfield_theory import _arguments
from hopfield_theory._atomic_write import atomic_write
from hopfield_theory._version import version

try:
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet
except ImportError as error:  # pragma: no cover
    raise ImportError(f"{error.name} is needed here: pip install 'hopfield-theory[data]'") from error

__all__ = ["Cell", "Rows", "Scalar", "Store", "canonical"]

Scalar = str | int | float | bool | None
"""A parameter."""
Rows = pd.DataFrame | Sequence[Mapping[str, Any]]
"""The result of a measurement: one or more rows."""

# parameters stand between the two, results after them
_WHO, _WHERE = ("experiment", "preset", "seed", "version"), ("device", "seconds")
_DIGEST, _TORCH = b"hopfield_theory.sha256", b"torch"
# the name that atomic_write gives to an unfinished file
_PARTIAL = re.compile(r"[A-Za-z0-9][\w.-]*-[0-9a-f]{16}\.parquet\.(\d+)\.partial", re.ASCII)


def canonical(parameters: Mapping[str, Any]) -> str:
    """Write a mapping as JSON, independent of the order of its keys; values that JSON lacks raise.

    Examples
    --------
    >>> canonical({"kappa": 16.0, "dim": 16}) == canonical({"dim": 16, "kappa": 16.0})
    True
    """
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, eq=False)
class Cell:
    """One point of an experiment's grid, with everything its result depends on. Equal keys mean equal cells.

    Parameters
    ----------
    experiment, preset : str
        Letters, digits, ``.``, ``_`` and ``-``; the first is a letter or digit.
    seed : int, at least 0
        Seed of the experiment.
    parameters : mapping of str to str, int, float, bool or None
        Finite numbers only. 16 and 16.0 make different cells.
    version : str
        Version of the package, by default the installed one.

    Examples
    --------
    >>> cell = Cell("capacity", "smoke", 0, {"kappa": 16.0, "dim": 16})
    >>> print(cell)
    capacity(dim=16, kappa=16.0)
    >>> cell.name.startswith("capacity-"), cell == Cell("capacity", "smoke", 0, {"dim": 16, "kappa": 16.0})
    (True, True)
    """

    experiment: str
    preset: str
    seed: int
    parameters: Mapping[str, Scalar]
    version: str = field(default_factory=version)

    def __post_init__(self) -> None:
        for role, name in (("experiment", self.experiment), ("preset", self.preset)):
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):
                raise ValueError(f"{role} is {name!r}: it must be a name of letters, digits, '.', '_' and '-'")
        object.__setattr__(self, "seed", _arguments.integer("seed", self.seed, 0))
        for name, value in self.parameters.items():
            if not isinstance(name, str) or name in (*_WHO, *_WHERE, ""):
                raise ValueError(f"a parameter is called {name!r}: {', '.join((*_WHO, *_WHERE))} are taken")
            # exact types: a subclass such as numpy's would come back from the file as another type
            if value is not None and type(value) not in (str, int, float, bool):
                raise TypeError(f"parameter {name} is {value!r}: it must be a str, int, float, bool or None")
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"parameter {name} is {value}: it must be finite; say None where there is no number")
        object.__setattr__(self, "parameters", {name: self.parameters[name] for name in sorted(self.parameters)})

    def __str__(self) -> str:
        return f"{self.experiment}({', '.join(f'{name}={value!r}' for name, value in self.parameters.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """Everything that identifies the cell, as canonical JSON."""
        return canonical(vars(self))

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"{self.experiment}-{hashlib.sha256(self.key.encode()).hexdigest()[:16]}.parquet"


class _DamagedError(Exception):
    """What is wrong with a file."""


class Store:
    """A folder of finished cells.

    Parameters
    ----------
    folder : path
        It is left as it is until something is written; OSError if it, or a folder above it, is a file.

    Examples
    --------
    >>> import tempfile
    >>> store, cell = Store(tempfile.mkdtemp()), Cell("squares", "smoke", 0, {"x": 3})
    >>> store.has(cell)
    False
    >>> store.write(cell, [{"square": 9}], seconds=0.5, device="cpu")
    >>> store.has(cell)
    True
    >>> store.gather()[["experiment", "preset", "x", "square", "seed", "device", "seconds"]]
      experiment preset  x  square  seed device  seconds
    0    squares  smoke  3       9     0    cpu      0.5
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._is_ready = False
        there = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        if not there.is_dir():
            raise OSError(f"cannot make the folder {self.folder}: {there} is a file")

    def prepare(self) -> None:
        """Make the folder, and remove what processes that were killed while writing have left; once, before a write.

        Raises
        ------
        OSError
            If the folder cannot be made, or is read-only.
        """
        if self._is_ready:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"cannot make the folder {self.folder}: {error.strerror}") from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OSError(f"cannot write to the folder {self.folder}: it is read-only")
        for path in self.folder.glob("*.partial"):
            match = _PARTIAL.fullmatch(path.name)
            if match and not _alive(int(match[1])):
                path.unlink(missing_ok=True)
        self._is_ready = True

    def has(self, cell: Cell) -> bool:
        """Tell whether a cell is finished: its file exists, is undamaged and belongs to the cell."""
        try:
            self.read(cell)
        except (FileNotFoundError, ValueError):
            return False
        return True

    def holds_file(self, cell: Cell) -> bool:
        """Tell whether the cell's file exists, without opening it."""
        return (self.folder / cell.name).is_file()

    def write(self, cell: Cell, rows: Rows, seconds: float, device: str) -> None:
        """Write the result of a cell atomically; an existing file is replaced.

        Parameters
        ----------
        cell : Cell
        rows : DataFrame or sequence of mappings
            At least one row; no column may have the name of a parameter, nor ``experiment``, ``preset``, ``seed``,
            ``version``, ``device``, ``seconds``.
        seconds : float
            How long it took.
        device : str
            Where it was computed.

        Raises
        ------
        ValueError
            For other rows, or values that Parquet cannot hold.
        OSError
            If the file cannot be written, for example on a full disk; no partial file is left.
        """
        self.prepare()
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        if not len(frame):
            raise ValueError(f"{cell} has no rows")
        shared = {name: getattr(cell, name) for name in _WHO}
        shared |= {**cell.parameters, "device": device, "seconds": float(seconds)}
        taken = [str(name) for name in frame.columns if name in shared]
        if taken:
            raise ValueError(f"the rows of {cell} have columns of names that are taken: {', '.join(taken)}")
        try:
            results = pa.Table.from_pandas(frame, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise ValueError(f"the rows of {cell} do not fit a Parquet file: {error}") from error
        names = [*shared, *results.column_names]
        table = pa.table([*(pa.array([value] * len(frame)) for value in shared.values()), *results.columns], names)
        about = {_DIGEST: _digest(table), _TORCH: importlib.metadata.version("torch").encode()}
        content = io.BytesIO()
        # the name that Arrow gives to the items of a list is part of the digest, and stays
        table = table.replace_schema_metadata(about)
        parquet.write_table(table, content, write_page_checksum=True, use_compliant_nested_type=False)
        try:
            atomic_write(self.folder / cell.name, content.getvalue())
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"cannot write {cell.name} to {self.folder}: {reason}; the files there are whole") from error

    def read(self, cell: Cell) -> pd.DataFrame:
        """Return the rows of a finished cell, with all columns of its file.

        Raises
        ------
        FileNotFoundError
            If the cell has no file.
        ValueError
            If its file is damaged, or belongs to another cell.
        """
        path = self.folder / cell.name
        try:
            found, table = _read(path)
        except _DamagedError as problem:
            raise ValueError(f"{path}: {problem}") from None
        if found != cell:
            raise ValueError(f"{path}: it holds {found} of version {found.version}, not this cell")
        return table.to_pandas()

    def gather(self, experiment: str | None = None, preset: str | None = None) -> pd.DataFrame:
        """Return the rows of all finished cells, or of those of an experiment or preset, as one frame.

        Returns
        -------
        DataFrame
            Columns ``experiment``, ``preset``, the parameters, the results, ``seed``, ``version``, ``device``,
            ``seconds`` (of the whole cell). Rows are in the order of names, versions, seeds and parameters. Columns
            that a cell lacks are missing values. A damaged file is left out, with a warning that names it.
        """
        found = []
        for path in sorted(self.folder.glob("*.parquet" if experiment is None else f"{experiment}-*.parquet")):
            try:
                cell, table = _read(path)
                if path.name != cell.name:
                    raise _DamagedError(f"it holds {cell}, whose file is {cell.name}")
            except _DamagedError as problem:
                warnings.warn(f"{path} is left out: {problem}", stacklevel=2)
                continue
            if experiment in (None, cell.experiment) and preset in (None, cell.preset):
                found.append((cell, table))
        found.sort(key=lambda one: _order(one[0]))
        parameters = _in_order(cell.parameters for cell, _ in found)
        last = (*_WHO[2:], *_WHERE)
        results = _in_order(table.column_names for _, table in found)
        columns = [*_WHO[:2], *parameters, *(name for name in results if name not in (*_WHO, *_WHERE, *parameters))]
        records = [row for _, table in found for row in table.to_pylist()]
        return pd.DataFrame(records, columns=pd.Index([*columns, *last]))


def _digest(table: pa.Table) -> bytes:
    return hashlib.sha256(repr((table.schema.types, table.to_pydict())).encode()).hexdigest().encode()


def _read(path: Path) -> tuple[Cell, pa.Table]:
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise _DamagedError("it is a folder") from None
    try:
        # no threads: an Arrow thread that releases Python's bytes while the interpreter exits aborts the process
        file = parquet.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        table = file.read(use_threads=False)
        if (table.schema.metadata or {}).get(_DIGEST) != _digest(table):
            raise _DamagedError("its digest is another")
        names, first = table.column_names, table.slice(0, 1).to_pylist()[0]
        parameters = names[len(_WHO) : names.index("device")]
        return Cell(**{n: first[n] for n in _WHO}, parameters={n: first[n] for n in parameters}), table
    except (pa.ArrowException, OSError, KeyError, IndexError, TypeError, ValueError) as error:
        raise _DamagedError(f"it is damaged, or no finished cell's file ({error})") from None


def _order(cell: Cell) -> tuple[Any, ...]:
    """Return a sort key; the same parameter may be a number, a string or None."""
    values = [
        (name, 0 if value is None else 2 if isinstance(value, str) else 1, 0 if value is None else value)
        for name, value in cell.parameters.items()
    ]
    return cell.experiment, cell.preset, cell.version, cell.seed, values, cell.key


def _in_order(groups: Iterable[Iterable[str]]) -> list[str]:
    """Return the names of all groups, each once, in the order of first appearance."""
    return list(dict.fromkeys(name for group in groups for name in group))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
