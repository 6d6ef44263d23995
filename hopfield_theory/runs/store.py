"""Finished cells on disk: one Parquet file each, whole or not there, and known by what it was computed from."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hopfield_theory._atomic_write import write_whole

try:
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet
except ImportError as error:  # pragma: no cover
    raise ImportError(f"{error.name} is needed here: pip install 'hopfield-theory[data]'") from error

__all__ = ["Cell", "Distrusted", "Rows", "Scalar", "Store", "canonical"]

Scalar = str | int | float | bool | None
"""What a parameter may be."""
Rows = pd.DataFrame | Sequence[Mapping[str, Any]]
"""What a measurement gives: records of one or more rows."""

_FORMAT = "hopfield_theory.cell/1"
_RECORD, _CHECK = "hopfield_theory.cell", "hopfield_theory.check"
# the digest is of the file with zeros in the digest's place, so that no byte of the file escapes it, nor any byte is
# given to a parser before it is checked
_DIGEST = re.compile(re.escape(f"{_FORMAT} sha256:").encode() + rb"([0-9a-f]{64})")
_NO_DIGEST = "0" * 64
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*-[0-9a-f]{16}\.parquet", re.ASCII)
# as write_whole names them
_PARTIAL = re.compile(rf"{_NAME.pattern}\.(\d+)\.partial", re.ASCII)
_OWN_COLUMNS = ("experiment", "preset", "seed", "version", "device", "seconds")


def canonical(parameters: Mapping[str, Any]) -> str:
    """Write a mapping as JSON in the one way that does not depend on the order of its keys.

    Raises
    ------
    TypeError, ValueError
        Where JSON has no such value.

    Examples
    --------
    >>> canonical({"kappa": 16.0, "dim": 16}) == canonical({"dim": 16, "kappa": 16.0})
    True
    """
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _version() -> str:
    return importlib.metadata.version("hopfield-theory")


@dataclass(frozen=True, eq=False)
class Cell:
    """One point of an experiment's grid, and all that its result depends on.

    Parameters
    ----------
    experiment, preset : str
        Letters, digits, ``.``, ``_`` and ``-``; they begin with a letter or digit.
    seed : int, at least 0
        The experiment's.
    parameters : mapping of str to str, int, float, bool or None
        Finite numbers only. 16 and 16.0 make different cells.
    version : str
        Of the package; this one's by default.

    Raises
    ------
    TypeError, ValueError
        Where a value is of the wrong type or outside its range.

    Notes
    -----
    Cells are equal where their keys are.

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
    version: str = field(default_factory=_version)

    def __post_init__(self) -> None:
        for role, name in (("experiment", self.experiment), ("preset", self.preset)):
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):
                raise ValueError(f"{role} must be a name of letters, digits, '.', '_' and '-', got {name!r}")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise TypeError(f"seed must be an integer, got {self.seed!r}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        for name, value in self.parameters.items():
            _check_parameter(name, value)
        object.__setattr__(self, "parameters", {name: self.parameters[name] for name in sorted(self.parameters)})

    def __str__(self) -> str:
        return f"{self.experiment}({', '.join(f'{name}={value!r}' for name, value in self.parameters.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """Everything that tells this cell from others, as canonical JSON."""
        return canonical(vars(self))

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"{self.experiment}-{hashlib.sha256(self.key.encode()).hexdigest()[:16]}.parquet"


def _check_parameter(name: str, value: Scalar) -> None:
    if not isinstance(name, str) or name in _OWN_COLUMNS or not name:
        raise ValueError(f"a parameter cannot be called {name!r}: {', '.join(_OWN_COLUMNS)} are taken")
    # exact types: a subclass such as numpy's would come back from the file as another type
    if value is not None and type(value) not in (str, int, float, bool):
        raise TypeError(f"parameter {name} must be a str, int, float, bool or None, got {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"parameter {name} must be finite, got {value}: say None where there is no number")


@dataclass(frozen=True)
class Distrusted:
    """A file that is not what its name says.

    Attributes
    ----------
    path : Path
        Where it is now.
    reason : str
        What is wrong with it, and what was done.
    """

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class _UntrustedError(Exception):
    """What is wrong with a file."""


@dataclass(frozen=True)
class _Finished:
    cell: Cell
    device: str
    seconds: float
    table: pa.Table


class Store:
    """A folder of finished cells.

    Parameters
    ----------
    folder : path
        Created where it is missing. Temporary files of processes that were killed while they wrote to it are removed.

    Attributes
    ----------
    folder : Path
    set_aside : list of Distrusted
        Files so far that had a cell's name and were not that cell's, or not whole: they were renamed, never deleted.
    skipped : list of Distrusted
        Files that the last :meth:`gather` did not use; they were left as they are.

    Raises
    ------
    OSError
        If the folder cannot be made or written to; the message names it.

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
        self.set_aside: list[Distrusted] = []
        self.skipped: list[Distrusted] = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"cannot make the folder {self.folder}: {error.strerror}") from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OSError(f"cannot write to the folder {self.folder}: it is read-only")
        self._remove_leftovers()

    def has(self, cell: Cell) -> bool:
        """Tell whether a cell is finished, and make room for it if a file that is not its own has its name.

        Parameters
        ----------
        cell : Cell

        Returns
        -------
        bool
            True only for a whole file of this very cell. Any other file under its name is renamed to
            ``<name>.damaged-<k>`` and added to ``set_aside``.

        Raises
        ------
        OSError
            If the file cannot be read, or not be renamed.
        """
        try:
            self._finished(cell)
        except FileNotFoundError:
            return False
        except _UntrustedError as problem:
            self._put_aside(cell, str(problem))
            return False
        return True

    def seconds(self, cell: Cell) -> float | None:
        """Return how long a cell took, or None if it is not finished; nothing is changed.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        try:
            return self._finished(cell).seconds
        except (FileNotFoundError, _UntrustedError):
            return None

    def write(self, cell: Cell, rows: Rows, seconds: float, device: str) -> None:
        """Keep the result of a cell: its file is written whole or not at all.

        Parameters
        ----------
        cell : Cell
        rows : DataFrame or sequence of mappings
            At least one row; columns that are neither parameters nor ``experiment``, ``preset``, ``seed``,
            ``version``, ``device``, ``seconds``.
        seconds : float
            How long it took.
        device : str
            Where it was computed.

        Raises
        ------
        ValueError
            If the rows are not such, or hold what Parquet cannot.
        OSError
            If the file cannot be written, as on a full disk: the message names folder and reason, and nothing is
            left behind.
        """
        content = _content(_Finished(cell, device, float(seconds), _table(cell, rows)))
        try:
            write_whole(self.folder / cell.name, content)
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"cannot write {cell.name} to {self.folder}: {reason}; the files there are whole") from error

    def read(self, cell: Cell) -> pd.DataFrame:
        """Return the rows of a finished cell.

        Raises
        ------
        FileNotFoundError
            If the cell is not finished.
        ValueError
            If its file is not whole, or not its own.
        OSError
            If the file cannot be read.
        """
        try:
            return self._finished(cell).table.to_pandas()
        except _UntrustedError as problem:
            raise ValueError(f"{self.folder / cell.name}: {problem}") from None

    def gather(self, experiment: str | None = None, preset: str | None = None) -> pd.DataFrame:
        """Put the rows of all finished cells into one frame.

        Parameters
        ----------
        experiment, preset : str, optional
            Take only those of this name.

        Returns
        -------
        DataFrame
            Columns ``experiment``, ``preset``, the parameters, the results, ``seed``, ``version``, ``device``,
            ``seconds`` (of the whole cell). Rows are in the order of names, versions, seeds and parameters. A value
            that a cell lacks is missing. Files that cannot be trusted are left alone and named in ``skipped``.

        Raises
        ------
        OSError
            If a file cannot be read.
        """
        found = [
            finished
            for finished in self._all(experiment)
            if experiment in (None, finished.cell.experiment) and preset in (None, finished.cell.preset)
        ]
        found.sort(key=lambda finished: _order(finished.cell))
        parameters = _in_order(finished.cell.parameters for finished in found)
        results = _in_order(finished.table.column_names for finished in found)
        columns = [*_OWN_COLUMNS[:2], *parameters, *(name for name in results if name not in parameters)]
        records = [record for finished in found for record in _records(finished)]
        return pd.DataFrame(records, columns=pd.Index([*columns, *_OWN_COLUMNS[2:]]))

    def _finished(self, cell: Cell) -> _Finished:
        finished = _parse(self.folder / cell.name)
        if finished.cell != cell:
            raise _UntrustedError(f"it holds {finished.cell} of version {finished.cell.version}, not this cell")
        return finished

    def _all(self, experiment: str | None) -> Iterator[_Finished]:
        self.skipped = []
        for path in sorted(self.folder.glob("*.parquet")):
            if experiment is not None and not path.name.startswith(f"{experiment}-"):
                continue
            try:
                finished = _parse(path)
                if path.name != finished.cell.name:
                    raise _UntrustedError(f"it holds {finished.cell}, whose file is {finished.cell.name}")
                yield finished
            except _UntrustedError as problem:
                self.skipped.append(Distrusted(path, f"{problem}; skipped"))

    def _put_aside(self, cell: Cell, reason: str) -> None:
        path, number = self.folder / cell.name, 1
        while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
            number += 1
        try:
            path.rename(aside)
        except OSError as error:
            raise OSError(f"cannot set {path} aside ({reason}): {error.strerror}") from error
        self.set_aside.append(Distrusted(aside, f"{reason}; it was {path.name}, and {cell} is to be computed again"))

    def _remove_leftovers(self) -> None:
        for path in self.folder.glob("*.partial"):
            match = _PARTIAL.fullmatch(path.name)
            if match and not _alive(int(match[1])):
                path.unlink(missing_ok=True)


def _table(cell: Cell, rows: Rows) -> pa.Table:
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if not len(frame):
        raise ValueError(f"{cell} has no rows")
    taken = [name for name in frame.columns if name in _OWN_COLUMNS or name in cell.parameters]
    if taken:
        raise ValueError(f"the rows of {cell} have columns of names that are taken: {', '.join(map(str, taken))}")
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ValueError(f"the rows of {cell} do not fit a Parquet file: {error}") from error


def _content(finished: _Finished) -> bytes:
    record = {
        "format": _FORMAT,
        "cell": vars(finished.cell),
        "device": finished.device,
        "seconds": finished.seconds,
        "torch": str(torch.__version__),
    }
    buffer = io.BytesIO()
    with parquet.ParquetWriter(buffer, finished.table.schema) as writer:
        writer.write_table(finished.table)
        # the digest last: it is the last match, whatever text the rows and parameters hold
        writer.add_key_value_metadata({_RECORD: canonical(record)})
        writer.add_key_value_metadata({_CHECK: f"{_FORMAT} sha256:{_NO_DIGEST}"})
    content = buffer.getvalue()
    start, end = _digest_at(content)
    return content[:start] + hashlib.sha256(content).hexdigest().encode() + content[end:]


def _digest_at(content: bytes) -> tuple[int, int]:
    spans = [match.span(1) for match in _DIGEST.finditer(content)]
    if not spans:
        raise _UntrustedError("it is not a finished cell's file")
    return spans[-1]


def _parse(path: Path) -> _Finished:
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise _UntrustedError("it is a folder") from None
    if not content:
        raise _UntrustedError("it is empty")
    start, end = _digest_at(content)
    blank = content[:start] + _NO_DIGEST.encode() + content[end:]
    if hashlib.sha256(blank).hexdigest().encode() != content[start:end]:
        raise _UntrustedError("it is damaged: its checksum is another")
    try:
        # no threads: one of Arrow's that lets go of Python's bytes while the interpreter ends aborts the process
        file = parquet.ParquetFile(pa.BufferReader(content))
        record = json.loads(file.metadata.metadata[_RECORD.encode()])
        cell = Cell(**record["cell"])
        return _Finished(cell, str(record["device"]), float(record["seconds"]), file.read(use_threads=False))
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise _UntrustedError(f"it is not a finished cell's file ({error})") from None


def _records(finished: _Finished) -> Iterator[dict[str, Any]]:
    cell = finished.cell
    shared = {"experiment": cell.experiment, "preset": cell.preset, **cell.parameters}
    shared |= {"seed": cell.seed, "version": cell.version, "device": finished.device, "seconds": finished.seconds}
    for row in finished.table.to_pylist():
        yield shared | row


def _order(cell: Cell) -> tuple[Any, ...]:
    """Return a key that sorts cells whose parameters are numbers here and strings or None there."""
    values = [
        (name, 0 if value is None else 2 if isinstance(value, str) else 1, 0 if value is None else value)
        for name, value in cell.parameters.items()
    ]
    return cell.experiment, cell.preset, cell.version, cell.seed, values, cell.key


def _in_order(groups: Iterator[Any]) -> list[str]:
    """Return the names of all groups, each once, as they first appear."""
    return list(dict.fromkeys(name for group in groups for name in group))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
