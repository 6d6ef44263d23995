"""What the commands share: bad input in one line, checks before the work, progress, and what is written after it."""

from __future__ import annotations

import csv
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hopfield_theory import _arguments
from hopfield_theory._atomic_write import atomic_write
from hopfield_theory._version import version

if TYPE_CHECKING:
    from torch import Tensor

    from hopfield_theory.bounds import RandomMemory

__all__ = [
    "Choice",
    "check_folder",
    "check_numbers",
    "check_output",
    "levels_of",
    "load",
    "load_queries",
    "naming",
    "one_line_errors",
    "progress_bar",
    "progress_words",
    "random_memory",
    "report",
]

# between two lines of progress
_SECONDS = 10.0
# arguments of the library that errors begin with, perhaps after the name of a file, and that are options here
_OPTIONS = re.compile(
    r"^(?:[^:]*: )?(betas?|noop|dim|scale|norm|kappa|failure_probability|precision|seed|level|budget)(?= (is|are) )"
)

_CHOICES = re.compile(r"--(name|columns|drop)\b")


@contextmanager
def one_line_errors(source: str) -> Iterator[None]:
    """Turn bad input into one line on standard error and exit status 2."""
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        print("hopfield-theory: interrupted; every file that was written is whole", file=sys.stderr)
        raise typer.Exit(130) from None
    except (ValueError, TypeError, OSError, ImportError, MemoryError, ArithmeticError) as error:
        message = str(error) or type(error).__name__
        if isinstance(error, MemoryError):
            message = f"{source}: too large for this machine's memory ({message}); use fewer patterns, or a mapped file"
        elif isinstance(error, OSError) and error.strerror:
            message = f"{error.filename or 'standard output'}: {error.strerror}"
        message = _OPTIONS.sub(lambda found: "--" + found[1].replace("_", "-"), message)
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        message = f"{source}: too large for this machine's memory; use fewer patterns, or a mapped file"
    else:
        return
    print(f"hopfield-theory: {' '.join(message.split())}", file=sys.stderr)
    raise typer.Exit(2)


def check_numbers(**numbers: float) -> None:
    """Refuse a β or a no-op mass out of range."""
    for name, value in numbers.items():
        least = "above 0" if name == "beta" else "of at least 0"
        if not (value > 0 if name == "beta" else value >= 0) or value == float("inf"):
            raise ValueError(f"--{name} is {value:g}: it must be a finite number {least}")


def random_memory(
    dim: int, beta: float | None, scale: float | None, norm: float | None, kappa: float | None, noop: float
) -> tuple[RandomMemory, str, dict[str, float | None]]:
    """Return the random memory that options describe, a sentence about it, and what was given."""
    from hopfield_theory.bounds import RandomMemory

    if kappa is not None and not beta is scale is norm is None:
        raise ValueError("--kappa stands in place of --beta, --scale and --norm: give it alone")
    if scale is not None and norm is not None:
        raise ValueError("--scale and --norm both give the norm of the patterns: give one of the two")
    length = ""
    if kappa is not None:
        memory = RandomMemory(dim, kappa, _arguments.log_noop(noop))
    elif beta is None:
        raise ValueError("--beta, with --norm or --scale, or --kappa: one of them is needed")
    elif norm is not None:
        memory, length = RandomMemory.of_norm(dim, beta, norm, noop), f"norm {norm:g}, β = {beta:g}, "
    else:
        scale = 1.0 if scale is None else scale
        memory = RandomMemory.of(dim, beta, scale, noop)
        length = f"norm {scale * (dim - 1) ** 0.5:.4g} (K = {scale:g} times √(d − 1)), β = {beta:g}, "
    described = (
        f"Random patterns in {dim} dimensions, {length}n = {noop:g}: κ = β m² = {memory.kappa:.4g}, "
        f"λ = κ/d = {memory.lam:.4g}"
    )
    return (
        memory,
        described,
        {"dim": dim, "beta": beta, "scale": scale, "norm": norm, "kappa": memory.kappa, "noop": noop},
    )


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Name the input in errors that the library raises about its values."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def check_output(json: str | None, *inputs: str, option: str = "--json", other: str | None = None) -> None:
    """Check before the work that the result can be written after it, and not to the file of another result."""
    if json is None or json == "-":
        return
    path = Path(json)
    if other is not None and path.resolve() == Path(other).resolve():
        raise ValueError(f"{option} {json}: another result is written to this file; name another file")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"{option} {json}: it must name a file in a folder that exists")
    if path.exists() and not path.is_file():
        raise ValueError(f"{option} {json}: it must name a regular file")
    if any(path.exists() and Path(name).exists() and path.samefile(name) for name in inputs):
        raise ValueError(f"{option} {json}: this is the input; name another file")
    try:
        atomic_write(path.with_name(f"{path.name}.trial"), b"")
        path.with_name(f"{path.name}.trial").unlink()
    except OSError as error:
        raise ValueError(f"{option} {json}: cannot be written ({error.strerror}); name another file") from error


def levels_of(option: str, levels: str | None, most: float = float("inf")) -> list[float]:
    """Return the numbers of an option with commas between them; none if it was not given."""
    try:
        numbers = [] if levels is None else [float(level) for level in levels.split(",")]
    except ValueError:
        raise ValueError(f"{option} is {levels!r}: it must be numbers with commas between them") from None
    for number in numbers:
        _arguments.real(option, number, 0, most)
    return numbers


def check_folder(name: str) -> None:
    """Make the folder, and check that files can be written there."""
    try:
        Path(name).mkdir(parents=True, exist_ok=True)
        atomic_write(Path(name) / "trial", b"")
        (Path(name) / "trial").unlink()
    except OSError as error:
        raise ValueError(f"{name}: no file can be written there ({error.strerror}); name another folder") from error


@dataclass(frozen=True)
class Choice:
    """What of a file is read: an array by name, columns of a table, or all but some; as given on the command line."""

    name: str | None = None
    columns: str | None = None
    drop: str | None = None
    prefix: str = "--"

    @property
    def is_given(self) -> bool:
        """Whether any of the options was given."""
        return not self.name is self.columns is self.drop is None

    def options(self) -> dict[str, Any]:
        """Return the arguments of the library's functions that open files."""
        if self.columns is not None and self.drop is not None:
            raise ValueError(f"{self.prefix}columns and {self.prefix}drop: give one of them")
        # a name that has a comma stands in quotes
        chosen, left_out = (
            None if names is None else [name.strip() for name in next(csv.reader([names], skipinitialspace=True), [])]
            for names in (self.columns, self.drop)
        )
        return {"name": self.name, "columns": chosen, "drop": left_out, "finite": True}


def load(source: str, choice: Choice) -> Tensor:
    """Read the patterns of a file, or the digits."""
    from hopfield_theory.data import files

    if source == "digits" and not Path(source).exists():
        if choice.is_given:
            raise ValueError("--name, --columns and --drop are for files, not for the digits")
        return files.digits()[0]
    return files.open_patterns(source, **choice.options())


def load_queries(query: str, source: str, choice: Choice, own: Choice) -> Tensor:
    """Read the queries of a file: by their own choice, or else as the patterns of another."""
    from hopfield_theory.data import files

    if query == "digits" and not Path(query).exists():
        return load(query, own)
    try:
        if own.is_given:
            return files.open_patterns(query, **own.options())
        return files.open_queries(query, source, **choice.options())
    except ValueError as error:
        # what a message recommends for patterns has another name for queries
        raise ValueError(_CHOICES.sub(rf"{own.prefix}\1", str(error))) from error


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress on standard error: a bar on a terminal, elsewhere a line every ten seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(what)
        return
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)


@contextmanager
def progress_words(what: str) -> Iterator[Callable[[str], None]]:
    """Say on standard error what is done: beside a spinner on a terminal, elsewhere in a line every ten seconds."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        said = time.monotonic()

        def say(doing: str) -> None:
            nonlocal said
            if time.monotonic() - said >= _SECONDS:
                said = time.monotonic()
                print(f"{what}: {doing}", file=sys.stderr, flush=True)

        yield say
        return
    with console.status(what) as status:
        yield lambda doing: status.update(f"{what}: {doing}")


def _lines(what: str) -> Callable[[int, int], None]:
    begun = said = time.monotonic()

    def say(done: int, whole: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < _SECONDS:
            return
        said = now
        # the first pieces of work are not of the usual size
        known = 10 * done >= whole
        left = f"about {(now - begun) * (whole - done) / done:.0f} s left" if known else "time left unknown"
        print(f"{what}: {done} of {whole} after {now - begun:.0f} s, {left}", file=sys.stderr, flush=True)

    return say


def report(json: str | None, data: dict[str, Any], *blocks: Any) -> None:
    """Print sentences and tables; write JSON if asked for. With ``-`` standard output has only the JSON."""
    from rich.console import Console

    from hopfield_theory.cli import render

    data = {"version": version()} | data
    console = Console(stderr=json == "-", highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # a pipe has no width: tables are as wide as their content
        console.width = 10_000
    for block in blocks:
        if isinstance(block, str):
            console.print(block, markup=False, soft_wrap=True)
        else:
            console.print(block)
    if json == "-":
        sys.stdout.write(render.json_text(data))
    elif json is not None:
        atomic_write(json, render.json_text(data).encode())
        console.print(f"Written: {json}", markup=False)
