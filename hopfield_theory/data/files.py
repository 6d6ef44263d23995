"""Patterns from files of all common formats, memory-mapped if the format allows it, and never unpickled."""

from __future__ import annotations

import contextlib
import csv
import importlib
import itertools
import json
import math
import mmap
import os
import pickle
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hopfield_theory._sentences import many
from hopfield_theory.data.ensembles import _NATIVE, _as_tensor, _pattern_dtype, _problem

__all__ = ["digits", "open_patterns", "open_queries"]

_SAFETENSORS_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
_BLANKS = r"\s+"
_PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip", ".7z"}
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
# what pandas reads as a missing number
_MISSING = {"NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "null", "NULL", "None", "NaN", "nan", "-NaN", "-nan"}
# Older Pythons lack the name of this flag. Without it Linux refuses to map a file larger than the memory as writable,
# even to private pages that are never written.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


# of columns that number or name the rows, such as "id", "image_id", "userId" or "label"
_ROW_NAME = re.compile(r"(?i:(.*[\W_])?(id|ids|idx|index|uuid|key|label|labels|target|class))|.*[a-z]I[dD]")
# in fewer rows whole numbers may be consecutive by chance
_MANY_ROWS = 10
_CHOOSE = "choose columns, or drop some (in the command line by --columns or --drop)"


@dataclass(frozen=True)
class Choice:
    """The columns of a table that are read, those in ``columns`` or all but those in ``drop``; only finite if asked."""

    columns: Sequence[str] | None = None
    drop: Sequence[str] | None = None
    finite: bool = False

    @property
    def is_all(self) -> bool:
        """Whether nothing was chosen."""
        return self.columns is None and self.drop is None

    def of(self, path: Path, held: Sequence[str]) -> list[int]:
        """Return the places of the chosen columns among those that a table holds, in the order asked for."""
        unknown = [name for name in (*(self.columns or ()), *(self.drop or ())) if name not in held]
        if unknown:
            raise ValueError(f"{path}: has no column {', '.join(map(repr, unknown))}; it has {_listed(held)}")
        if self.columns is not None:
            return [place for name in self.columns for place, other in enumerate(held) if other == name]
        return [place for place, name in enumerate(held) if name not in (self.drop or ())]


def open_patterns(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
    finite: bool = False,
) -> Tensor:
    """Open a file of patterns, one per row. Nothing in it is ever unpickled.

    Parameters
    ----------
    path : path
        A file with one of the endings

        - ``.npy``, ``.safetensors``: mapped, so that it may be larger than the memory;
        - ``.pt``: mapped, up to the size of the memory; a tensor, or a dictionary of tensors;
        - ``.npz``: read completely;
        - ``.csv``, ``.tsv``, ``.txt``: read completely, separated by commas, semicolons, tabs or blanks, with or
          without a line of column names. A first line ``0,1,2,...`` of three or more columns is taken as the names
          that pandas gives to unnamed columns; one of numbers and missing values is a pattern;
        - ``.parquet``: read completely, one column per coordinate, or columns of lists.

        The last two need the extra ``data``.
    name : str, optional
        The array of a ``.npz``, ``.pt`` or ``.safetensors`` file to open. By default the only one, or else
        the one called "patterns".
    columns, drop : sequence of str, optional
        Columns of a table (text or Parquet) to read, or to leave out; columns without names are called ``0``, ``1``, ….
        What may be no coordinate is read only if it is in ``columns``: a column with the name of a key ("id", "index",
        "label", …), one that counts the rows in any order, one with another whole number in each row where most columns
        have fractions, numbers beside lists, and several columns of lists.
    finite : bool
        Whether a table is refused that has missing or infinite numbers, with the line and the column of the first.

    Returns
    -------
    Tensor
        Shape ``(M, d)``, on the CPU, ``M >= 1`` and ``d >= 1``. Floats of 16, 32 or 64 bits are not converted;
        integers and booleans become float64. Writing to a mapped tensor changes memory only, never the file.
        Values are not checked unless ``finite`` says so: there may be NaN.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        If the file does not exist, is a directory, or cannot be read.
    ValueError
        If the ending is unknown, the content is damaged, pickled, not real or not two-dimensional, no array or
        column has the name, a column is not of numbers, or the file must be read completely and is larger than the
        available memory.
    ImportError
        If pandas or pyarrow is needed and missing.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/patterns.npy", np.ones((3, 2), dtype=np.float32))
    ...     patterns = open_patterns(f"{folder}/patterns.npy")
    >>> patterns.shape, patterns.dtype
    (torch.Size([3, 2]), torch.float32)
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file; check the path")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: this is a directory; name a file in it")
    if not path.is_file():
        raise ValueError(f"{path}: this is no regular file; name one")
    ending = path.suffix.lower()
    if ending in _PACKED:
        raise ValueError(f"{path}: this is a compressed file; unpack it first")
    if ending not in {**_ARRAYS, **_TABLES}:
        raise ValueError(f"{path}: unknown ending {ending!r}; convert it to one of {', '.join([*_ARRAYS, *_TABLES])}")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except PermissionError:
        raise PermissionError(f"{path}: you may not read this file; change its permissions") from None
    if empty:
        raise ValueError(f"{path}: the file is empty; write it again")

    if columns is not None and drop is not None:
        raise ValueError("columns and drop: give one of them")
    choice = Choice(columns, drop, finite)
    if ending in _TABLES:
        data = _TABLES[ending](path, name, choice)
    elif choice.is_all:
        data = _ARRAYS[ending](path, name)
    else:
        raise ValueError(f"{path}: an array has no columns with names; columns and drop are for {', '.join(_TABLES)}")
    problem = _problem(data)
    if problem:
        raise ValueError(f"{path}: holds {problem}; patterns must be real numbers of shape (M, d), one pattern a row")
    dtype = _pattern_dtype(data)
    if data.dtype == (dtype if isinstance(data, Tensor) else _NATIVE[dtype]):
        return torch.as_tensor(data)
    _check_fits(path, math.prod(data.shape) * dtype.itemsize)
    return _as_tensor(data)


def open_queries(
    path: str | os.PathLike[str],
    patterns: str | os.PathLike[str],
    name: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
    finite: bool = False,
) -> Tensor:
    r"""Open a file of queries for the patterns of another file, as that one was opened.

    Of a table the columns of the names that the patterns have are read, in their order, whatever else it holds; of
    other files the array ``name``, if there is one. Where one of the two files has no names, the queries are read by
    themselves, as by ``open_patterns(path)``.

    Parameters
    ----------
    path : path
        The file of the queries.
    patterns : path
        The file of the patterns.
    name, columns, drop, finite
        What ``open_patterns`` was given for the patterns.

    Returns
    -------
    Tensor
        Shape ``(N, d)``, as from ``open_patterns``.

    Raises
    ------
    ValueError
        If a table of queries has names and lacks some of those of the patterns, and as for ``open_patterns``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (known, asked) = (pathlib.Path(folder, name) for name in ("known.csv", "asked.csv"))
    ...     _ = known.write_text("x,y\n1.5,2.5\n"), asked.write_text("y,text,x\n4.5,a,3.5\n")
    ...     open_queries(asked, known).tolist()
    [[3.5, 4.5]]
    """
    path, patterns = Path(path), Path(patterns)
    if not all(file.is_file() and file.suffix.lower() in _TABLES for file in (path, patterns)):
        try:
            return open_patterns(path, name, finite=finite)
        except NoSuchArrayError:
            return open_patterns(path, finite=finite)
    held, known = _column_names(path), _column_names(patterns)
    wanted = [known[place] for place in Choice(columns, drop).of(patterns, known)]
    if len({*wanted}) == len(wanted) and {*wanted} <= {*held}:
        return open_patterns(path, columns=wanted, finite=finite)
    if wanted == held or _nameless(held) or _nameless(wanted):
        return open_patterns(path, finite=finite)
    missing = [column for column in wanted if column not in held]
    lack = f"has no column {_listed(missing)}, as the patterns have" if missing else "has columns of equal names"
    raise ValueError(
        f"{path}: {lack}; it has {_listed(held)}; choose its own (in the command line by --columns or --drop)"
    )


def _column_names(path: Path) -> list[str]:
    if path.suffix.lower() != ".parquet":
        return _head(path).columns
    with _reading(path):
        schema = _extra("pyarrow.parquet").read_schema(path)
    # pandas keeps the index of a frame among the columns
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in schema.names if name not in index]


def _line(path: Path, row: int) -> str:
    """Say where a row of a table is: by its line in a text."""
    if path.suffix.lower() == ".parquet":
        return f"row {row} (from 0)"
    head = _head(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = itertools.islice(_records(file, head.separator), head.skipped, None)
        lines = (line for line, fields in records if len(fields) > 1 or "".join(fields).strip())
        return f"line {next(itertools.islice(lines, row, None))}"


def _nameless(columns: list[str]) -> bool:
    return columns == [str(place) for place in range(len(columns))]


def digits() -> tuple[Tensor, Tensor]:
    """Load the handwritten digits that come with scikit-learn (no download).

    Returns
    -------
    patterns : Tensor, shape (1797, 64)
        Images of 8 x 8 pixels, one per row, grey levels 0 to 16 in float64.
    labels : Tensor, shape (1797,)
        The digit in each image, int64.

    Notes
    -----
    The test half of the UCI set "Optical recognition of handwritten digits" (Alpaydin and Kaynak, 1998).

    Examples
    --------
    >>> patterns, labels = digits()
    >>> patterns.shape, patterns.min().item(), patterns.max().item(), labels[:4]
    (torch.Size([1797, 64]), 0.0, 16.0, tensor([0, 1, 2, 3]))
    """
    images, labels = _extra("sklearn.datasets").load_digits(return_X_y=True)
    return torch.from_numpy(images.astype(np.float64)), torch.from_numpy(labels.astype(np.int64))


def _extra(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("sklearn", "scikit-learn")
        raise ImportError(f"{package} is needed here: pip install 'hopfield-theory[data]'") from error


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn any error of a parser into one line."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        remedy = "save it as UTF-8" if isinstance(error, UnicodeError) else "write it again as plain numbers"
        raise ValueError(f"{path}: cannot be read as {path.suffix.lower()} ({reason}); {remedy}") from error


def _check_fits(path: Path, num_bytes: float) -> None:
    """Refuse a file that must be held in memory and does not fit."""
    available = _available_memory()
    if num_bytes > available:
        raise ValueError(
            f"{path}: needs {num_bytes / 2**30:.3g} GiB of memory, of which {available / 2**30:.3g} GiB are available; "
            "convert it to .npy or .safetensors with floats, which are mapped instead of read"
        )


def _available_memory() -> float:
    with contextlib.suppress(OSError), open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return math.inf


class NoSuchArrayError(ValueError):
    """A file has no array of the name that was asked for."""


def _choose(path: Path, names: Sequence[str], name: str | None) -> str:
    """Choose the array to open among those of a file."""
    if name is None:
        name = names[0] if len(names) == 1 else "patterns"
    if name not in names:
        held = f"{_listed(names)} (in the command line by --name)" if names else "no array"
        raise NoSuchArrayError(f"{path}: holds no array called {name!r}; name one of those it holds: {held}")
    return name


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")


def _check_nameless(path: Path, name: str | None) -> None:
    if name is not None:
        raise NoSuchArrayError(
            f"{path}: holds one array without a name, so {name!r} cannot be asked for; leave name out"
        )


def _map(path: Path) -> mmap.mmap:
    """Map a file to private pages: torch may write to them, and the file does not change."""
    with path.open("rb") as file:
        if sys.platform == "win32":
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        flags = mmap.MAP_PRIVATE | _NO_RESERVE
        return mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def _open_npy(path: Path, name: str | None) -> np.ndarray:
    _check_nameless(path, name)
    with _reading(path), path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"format version {version}, which only structured arrays have")
        shape, fortran_order, dtype = readers[version](file)
        offset = file.tell()
        if dtype.hasobject:
            raise ValueError("it holds pickled Python objects, which are never loaded")
        missing = offset + math.prod(shape) * dtype.itemsize - path.stat().st_size
        if missing > 0:
            raise ValueError(f"it is truncated: {many(missing, 'byte')} missing")
        return np.ndarray(shape, dtype, buffer=_map(path), offset=offset, order="F" if fortran_order else "C")


def _open_npz(path: Path, name: str | None) -> np.ndarray:
    with _reading(path):
        archive = zipfile.ZipFile(path)
    with archive:
        sizes = {info.filename[:-4]: info.file_size for info in archive.infolist() if info.filename.endswith(".npy")}
        chosen = _choose(path, list(sizes), name)
        _check_fits(path, sizes[chosen])
        with _reading(path), archive.open(f"{chosen}.npy") as file:
            return np.lib.format.read_array(file, allow_pickle=False)


@dataclass(frozen=True)
class _Head:
    """What the first lines of a table of text say: its separator, its columns, and how many lines hold their names."""

    separator: str
    columns: list[str]
    skipped: int
    unnamed_first: bool


def _records(file: Any, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record ends, and its fields; none for a blank line."""
    if separator == _BLANKS:
        yield from ((number, line.split()) for number, line in enumerate(file, start=1))
    else:
        reader = csv.reader(file, delimiter=separator)
        yield from ((reader.line_num, fields) for fields in reader)


def _head(path: Path) -> _Head:
    decimal_commas = False
    with _reading(path), path.open(encoding="utf-8-sig", newline="") as file:
        head = ""
        for line in file:
            head += line
            # a quoted name may have several lines
            if head.strip() and head.count('"') % 2 == 0:
                break
        if not head.strip():
            raise ValueError("it has blank lines only")
        unquoted = re.sub('"[^"]*"', "", head)
        separator = next((mark for mark in ",;\t" if mark in unquoted), _BLANKS)
        for mark in (";", "\t", None):
            fields = [field.strip() for field in head.split(mark)]
            numeric = all(not field or _is_number(field.replace(",", ".")) for field in fields)
            decimal_commas |= numeric and len(fields) > 1 and any(map(_DECIMAL_COMMA.fullmatch, fields))
        file.seek(0)
        records = _records(file, separator)
        count, split = next((count, fields) for count, (_, fields) in enumerate(records, start=1) if fields)
        below = any(any(fields) for _, fields in records)
    if decimal_commas:
        raise ValueError(f"{path}: its numbers have decimal commas; write numbers with a decimal point")
    first = [field.strip() for field in split]
    numbering = [str(column) for column in range(len(first))]
    numbers = [field for field in first if _is_number(field)]
    words = [field for field in first if field and not _is_number(field) and field not in _MISSING]
    # pandas numbers nameless columns from 0, and may number the rows in a first column without a name
    counted = numbers == numbering[: len(numbers)] and (bool(words) or first[0] == "" or len(first) >= 3)
    if words and numbers and not counted:
        raise ValueError(
            f"{path}: its first line mixes words ({words[0]!r}) and numbers, so it may be names or patterns; "
            "write a line of names above it"
        )
    has_names = bool(words) or (counted and bool(numbers))
    if has_names and not below:
        raise ValueError(f"{path}: has a line of names and no row below it; write one pattern a row")
    columns = [field or f"Unnamed: {place}" for place, field in enumerate(first)] if has_names else numbering
    return _Head(separator, columns, count if has_names else 0, has_names and first[0] == "")


def _open_csv(path: Path, name: str | None, choice: Choice) -> np.ndarray:
    _check_nameless(path, name)
    pandas = _extra("pandas")
    _check_fits(path, path.stat().st_size)
    head = _head(path)
    with _reading(path):
        frame = pandas.read_csv(
            path,
            sep=head.separator,
            header=None,
            skiprows=head.skipped,
            encoding="utf-8-sig",
            low_memory=False,
            # before version 3 the default lost digits; from then on it is exact and the option deprecated
            **({"float_precision": "round_trip"} if int(pandas.__version__.partition(".")[0]) < 3 else {}),
        )
        if frame.shape[1] != len(head.columns):
            raise ValueError(f"{many(len(head.columns), 'column')} in the first line, {frame.shape[1]} in the next")
    frame.columns = head.columns
    if head.unnamed_first and choice.is_all:
        raise ValueError(
            f"{path}: its first column has no name, so it may number the rows; drop it by the name 'Unnamed: 0' "
            "(in the command line by --drop)"
        )
    return _numbers_of(path, frame, choice)


def _open_parquet(path: Path, name: str | None, choice: Choice) -> np.ndarray:
    _check_nameless(path, name)
    parquet, _ = _extra("pyarrow.parquet"), _extra("pandas")
    with _reading(path):
        file = parquet.ParquetFile(path)
    with file:
        held = file.metadata
        lists = sum(held.row_group(group).total_byte_size for group in range(held.num_row_groups))
        _check_fits(path, max(8 * held.num_rows * held.num_columns, lists))
        with _reading(path):
            frame = file.read().to_pandas()
    return _numbers_of(path, frame, choice)


def _numbers_of(path: Path, frame: Any, choice: Choice) -> np.ndarray:
    """Turn the chosen columns of a pandas frame, each of numbers or of lists of numbers, into an array."""
    frame = frame.iloc[:, choice.of(path, [str(column) for column in frame.columns])]
    types = _extra("pandas").api.types
    listed = [place for place in range(frame.shape[1]) if _holds_lists(frame.iloc[:, place])]
    texts = [
        (str(column), frame.iloc[:, place])
        for place, (column, dtype) in enumerate(zip(frame.columns, frame.dtypes, strict=True))
        if place not in listed and not types.is_numeric_dtype(dtype)
    ]
    if texts:
        names, example = ", ".join(repr(column) for column, _ in texts), texts[0][1].dropna().head(1).tolist()
        comma = bool(example) and re.fullmatch(r"[-+]?\d+,\d+", str(example[0]).strip())
        hint = "write numbers with a decimal point" if comma else _CHOOSE
        raise ValueError(f"{path}: not of numbers: {names} (such as {', '.join(map(repr, example))}); {hint}")
    if choice.columns is None and frame.shape[1] > 1 and len(frame):
        _check_coordinates(path, frame, listed)
    parts = [_stacked(path, frame.iloc[:, place]) for place in range(frame.shape[1])] if listed else []
    if parts:
        numbers = np.hstack(parts)
    elif all(isinstance(dtype, np.dtype) and dtype.kind == "f" for dtype in frame.dtypes):
        numbers = frame.to_numpy()
    else:
        numbers = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    if choice.finite and not np.isfinite(numbers).all():
        row, place = np.argwhere(~np.isfinite(numbers))[0].tolist()
        column = frame.columns[
            np.repeat(range(len(parts)), [part.shape[1] for part in parts])[place] if parts else place
        ]
        what = "no number" if np.isnan(numbers[row, place]) else f"{numbers[row, place]}"
        rows = int((~np.isfinite(numbers)).any(axis=1).sum())
        others = f" ({rows} such rows in all)" if rows > 1 else ""
        raise ValueError(
            f"{path}: {_line(path, row)} has {what} in column {str(column)!r}{others}; every cell must be a number"
        )
    # pandas may return a read-only view, and stores by columns, while patterns are rows.
    return np.require(numbers, requirements=["C", "W"])


def _check_coordinates(path: Path, frame: Any, listed: list[int]) -> None:
    """Refuse columns that are hardly coordinates: numbers beside lists, several lists, keys and numbers of the rows."""
    columns = [str(column) for column in frame.columns]
    single = [column for place, column in enumerate(columns) if place not in listed]
    if listed and single:
        raise ValueError(f"{path}: beside lists it holds single numbers in {_listed(single)}; {_CHOOSE}")
    if len(listed) > 1:
        raise ValueError(
            f"{path}: holds several columns of lists, {_listed(columns)}, which are joined only if columns are chosen "
            "(in the command line by --columns)"
        )

    def numbers_in(place: int) -> np.ndarray:
        return frame.iloc[:, place].to_numpy(dtype=np.float64, na_value=np.nan)

    shares = [float(np.mean(numbers == np.rint(numbers))) for numbers in map(numbers_in, range(len(single)))]
    mostly_broken = 2 * sum(share < 0.5 for share in shares) >= len(shares)
    for place, name in enumerate(single):
        what = _numbering(numbers_in(place), mostly_broken) if shares[place] == 1.0 else ""
        if not what and _ROW_NAME.fullmatch(name):
            what = "is called like a key or a label"
        if what:
            raise ValueError(f"{path}: its column {name!r} {what}, so it may be no coordinate; {_CHOOSE}")


def _numbering(numbers: np.ndarray, alone: bool) -> str:
    """Say how whole numbers tell the rows apart, if they do; ``alone`` says that the other columns have fractions."""
    if len(numbers) < 3 or not np.isfinite(numbers).all():
        return ""
    steps = np.diff(np.sort(numbers))
    first = f"({numbers[0]:.0f}, {numbers[1]:.0f}, ...)"
    if (np.diff(numbers) == 1.0).all():
        return f"counts the rows {first}"
    if len(numbers) >= _MANY_ROWS and (steps == 1.0).all():
        return f"counts the rows in another order {first}"
    return f"holds another whole number in each row {first}" if alone and (steps > 0.0).all() else ""


def _holds_lists(column: Any) -> bool:
    held = column.dropna() if column.dtype == object else ()
    return len(held) > 0 and isinstance(held.iloc[0], list | tuple | np.ndarray)


def _stacked(path: Path, column: Any) -> np.ndarray:
    """One column as a matrix: a list per row, or a number per row."""
    if not _holds_lists(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)[:, None]
    missing = np.flatnonzero(column.isna())
    if missing.size:
        raise ValueError(f"{path}: row {missing[0]} (from 0) has no list in column {str(column.name)!r}")
    try:
        stacked = np.stack([np.asarray(row) for row in column]).astype(np.result_type(np.float16, column.iloc[0].dtype))
    except (TypeError, ValueError, AttributeError):
        stacked = np.empty(())
    if stacked.ndim != 2 or stacked.dtype.kind != "f":
        raise ValueError(
            f"{path}: column {str(column.name)!r} holds lists of different lengths, or not of numbers; "
            "write one list of numbers per row, all of one length"
        )
    return stacked


def _is_number(text: str) -> bool:
    with contextlib.suppress(ValueError):
        float(text)
        return True
    return text.lower() in ("true", "false")


def _open_pt(path: Path, name: str | None) -> Tensor:
    with _reading(path):
        if not zipfile.is_zipfile(path):
            raise ValueError("it is not the zip archive that torch.save writes")
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except pickle.UnpicklingError:
            raise ValueError("it holds pickled Python objects, which are never loaded") from None
        except RuntimeError as error:
            if "unable to mmap" in str(error):
                raise ValueError("it is larger than the memory, which only .npy and .safetensors may be") from None
            raise
    if isinstance(loaded, Tensor):
        _check_nameless(path, name)
        return loaded.detach()
    if not isinstance(loaded, dict):
        raise ValueError(f"{path}: holds a {type(loaded).__name__}; save a tensor, or a dictionary of tensors")
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    return tensors[_choose(path, list(tensors), name)].detach()


def _open_safetensors(path: Path, name: str | None) -> Tensor:
    from safetensors import safe_open

    # safetensors checks the header, but its own mapping fails for a file larger than the memory.
    with _reading(path), safe_open(path, framework="numpy") as file:
        names = list(file.keys())
    chosen = _choose(path, names, name)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[chosen]
    if entry["dtype"] not in _SAFETENSORS_DTYPES:
        raise ValueError(
            f"{path}: {chosen!r} is an array of {entry['dtype']}; convert it to floats of 16, 32 or 64 bits"
        )
    dtype, shape = _SAFETENSORS_DTYPES[entry["dtype"]], entry["shape"]
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    offset = 8 + length + entry["data_offsets"][0]
    return torch.frombuffer(_map(path), dtype=dtype, count=math.prod(shape), offset=offset).reshape(shape)


_ARRAYS: dict[str, Callable[[Path, str | None], Tensor | np.ndarray]] = {
    ".npy": _open_npy,
    ".npz": _open_npz,
    ".pt": _open_pt,
    ".safetensors": _open_safetensors,
}
_TABLES: dict[str, Callable[[Path, str | None, Choice], np.ndarray]] = {
    ".csv": _open_csv,
    ".tsv": _open_csv,
    ".txt": _open_csv,
    ".parquet": _open_parquet,
}
