"""Counterexamples as files, one JSON file each, and their replay: a file is decided again whenever it is read."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hopfield_theory._atomic_write import atomic_write
from hopfield_theory._sentences import many
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statements.statement import VARIABLES, Implication, Statement
from hopfield_theory.verification import ball_arithmetic
from hopfield_theory.verification.counterexamples import Counterexample

__all__ = ["NoCounterexampleError", "file_name", "replay", "write"]

_FORMAT = "hopfield-theory counterexample"
_FIELDS = ("format", "version", "statement", "part", "values", "enclosures")
# an exponent of more digits would be a number of millions of digits
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_LONGEST = 2000
_AXES = {"patterns": 2, "outliers": 2, "query": 1, "other": 1}


class NoCounterexampleError(ValueError):
    """The file is valid, but its instance falsifies nothing."""


def file_name(counterexample: Counterexample) -> str:
    """Return a name for the file of a counterexample.

    Examples
    --------
    >>> nothing = ball_arithmetic.SlackEnclosure("", "", None)
    >>> file_name(Counterexample("P1", "never farther", {}, ball_arithmetic.Decision((), nothing, 64)))
    'P1-never-farther.json'
    """
    # a claim of one's own may have any name, and none may leave the folder
    statement = "-".join(re.findall(r"[\w-]+", counterexample.statement))
    return f"{statement}-{'-'.join(re.findall(r'[a-z0-9]+', counterexample.part.lower()))}.json"


def write(counterexample: Counterexample, folder: str | os.PathLike[str]) -> Path:
    """Write a counterexample to a file: statement, version, numbers as exact decimals, enclosures.

    The folder is created if necessary; the file is named after the statement and its part.
    """
    version = importlib.metadata.version("hopfield-theory")
    data = counterexample.data()
    content = {"format": _FORMAT, "version": version, "statement": data["statement"], "part": data["part"]}
    content |= {"given": data["given"]} if data["given"] else {}
    content |= {"values": data["values"], "enclosures": data["decision"]}
    path = Path(folder) / file_name(counterexample)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    return path


def replay(path: str | os.PathLike[str], statements: Sequence[Statement] = ()) -> Counterexample:
    """Decide the counterexample in a file again; the outcome in the file is ignored.

    ``statements`` are claims of one's own that the file may be about.

    Raises
    ------
    ValueError
        If it is malformed, names an unknown statement or part, or (NoCounterexampleError) is not a counterexample.

    Examples
    --------
    >>> import tempfile
    >>> values = {"patterns": [["1"]], "beta": "1", "noop": "1", "query": ["0"]}
    >>> part = STATEMENTS["P1"].parts[0]
    >>> found = Counterexample("P1", part.name, values, ball_arithmetic.decide(part, values))
    >>> replay(write(found, tempfile.mkdtemp())).decision.falsifies
    True
    """
    data = _read(path)
    part = _part(path, data["statement"], data["part"], STATEMENTS | {own.name: own for own in statements})
    values = _values(path, data["values"], part)
    try:
        decision = ball_arithmetic.decide(part, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not decision.falsifies:
        what = f"{data['statement']}, {part.name}"
        raise NoCounterexampleError(f"{path}: no counterexample to {what}: {_why_not(decision)}")
    return Counterexample(data["statement"], part.name, values, decision, part.given)


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        # numbers stay the decimals that they are written as
        data = json.loads(Path(path).read_text(encoding="utf-8"), parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: malformed: no JSON ({error})") from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise ValueError(f"{path}: malformed: not a file of the format {_FORMAT!r}")
    missing = [name for name in _FIELDS if name not in data]
    if missing:
        raise ValueError(f"{path}: malformed: {', '.join(missing)} missing")
    return data


def _part(path: str | os.PathLike[str], name: Any, part_name: Any, known: Mapping[str, Statement]) -> Implication:
    statement = known.get(name) if isinstance(name, str) else None
    if statement is None:
        raise ValueError(
            f"{path}: {name!r} is no statement; there are {', '.join(known)}, and claims of your own by --from"
        )
    parts = {part.name: part for part in statement.parts if isinstance(part, Implication)}
    part = parts.get(part_name) if isinstance(part_name, str) else None
    if part is None:
        there = ", ".join(parts) or "none that an instance could falsify"
        raise ValueError(f"{path}: {part_name!r} is no part of {name}; there is {there}")
    return part


def _values(path: str | os.PathLike[str], values: Any, part: Implication) -> dict[str, Any]:
    if not isinstance(values, dict) or set(values) != set(part.uses):
        raise ValueError(f"{path}: malformed: values must be those of {', '.join(part.uses)}")
    dims = set()
    for name in VARIABLES:
        if name not in values:
            continue
        value, axes = values[name], _AXES.get(name, 0)
        rows = value if axes == 2 else [value] if axes == 1 else [[value]]
        if not isinstance(rows, list) or not rows or not all(isinstance(row, list) and row for row in rows):
            shape = ("a number", "a list of numbers", "a list of rows of numbers")[axes]
            raise ValueError(f"{path}: malformed: {name} must be {shape}")
        for x in (x for row in rows for x in row):
            if not isinstance(x, str) or len(x) > _LONGEST or not _DECIMAL.fullmatch(x):
                raise ValueError(f"{path}: malformed: {name} holds {str(x)[:40]!r}, which is no decimal number")
        dims |= {len(row) for row in rows} if axes else set()
    if len(dims) > 1:
        raise ValueError(f"{path}: malformed: vectors of {' and '.join(map(str, sorted(dims)))} dimensions")
    count = len(values.get("patterns", [0]))
    if not part.speaks_of(count):
        raise ValueError(f"{path}: {part.name} says nothing about {many(count)}")
    return values


def _why_not(decision: ball_arithmetic.Decision) -> str:
    failed = [h for h in decision.hypotheses if h.met is False]
    if failed:
        return f"a hypothesis is not met, its slack in [{failed[0].low}, {failed[0].high}]"
    if decision.conclusion.met is True:
        return f"the conclusion holds, its slack in [{decision.conclusion.low}, {decision.conclusion.high}]"
    return f"undecided at {decision.bits} bits"
