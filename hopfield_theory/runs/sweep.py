"""Grids of cells: measured by an executor, written one by one to a store; a second run measures the missing ones."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from hopfield_theory._sentences import many
from hopfield_theory.data.seeds import derived_seed
from hopfield_theory.runs.executors import Executor
from hopfield_theory.runs.store import Cell, Rows, Scalar, Store, canonical

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Advance", "DryRun", "Failure", "Interrupted", "Sweep", "SweepResult", "cell_seed", "dry_run", "run"]

Parameters = Mapping[str, Scalar]
Measure = Callable[[Parameters, int, str], Rows]
Cost = Callable[[Parameters], tuple[float, float]]


@dataclass(frozen=True)
class Sweep:
    """The grid of an experiment, and how to measure a cell.

    Parameters
    ----------
    experiment, preset : str
        Names, as in :class:`~hopfield_theory.runs.store.Cell`.
    seed : int, at least 0
    cells : sequence of mappings
        The parameters of each cell, all different.
    measure : function of parameters, seed and device
        Returns the rows of a cell, from the cell's own seed; an importable function, so that it can be sent to other
        processes.
    cost : function of parameters
        Predicts the seconds and the bytes of memory that a cell takes.
    """

    experiment: str
    preset: str
    seed: int
    cells: Sequence[Parameters]
    measure: Measure
    cost: Cost

    def __post_init__(self) -> None:
        seen = set()
        for cell in self.grid:
            if cell in seen:
                raise ValueError(f"{cell} is there twice")
            seen.add(cell)

    @cached_property
    def grid(self) -> tuple[Cell, ...]:
        """The cells of the grid."""
        return tuple(Cell(self.experiment, self.preset, self.seed, parameters) for parameters in self.cells)

    def weight(self, cell: Cell) -> float:
        """Return the predicted seconds of a cell, above 0."""
        return max(float(self.cost(cell.parameters)[0]), 1e-9)


@dataclass(frozen=True)
class Failure:
    """A cell without a result.

    Attributes
    ----------
    cell : Cell
    error : Exception
        Exception of its measurement, or :class:`~hopfield_theory.runs.executors.WorkerDiedError`.
    """

    cell: Cell
    error: Exception

    def __str__(self) -> str:
        return f"{self.cell}: {type(self.error).__name__}: {self.error}"


@dataclass(frozen=True)
class Advance:
    """Progress of a run.

    Attributes
    ----------
    cell : Cell
        The last cell that finished or failed.
    finished, cells : int
        Number of finished cells, including those of earlier runs, and of all cells.
    failed : int
    seconds_left : float
        Estimated from the time of the cells of this run and the predicted cost of the remaining ones.
    """

    cell: Cell
    finished: int
    cells: int
    failed: int
    seconds_left: float

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.finished} of {many(self.cells, 'cell')}{failed}, about {_duration(self.seconds_left)} left"


@dataclass(frozen=True)
class SweepResult:
    """The result of a run.

    Attributes
    ----------
    done : list of Cell
        Measured and written, in the order of the sweep.
    skipped : list of Cell
        Finished before.
    failed : list of Failure
    """

    done: list[Cell] = field(default_factory=list)
    skipped: list[Cell] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Exit status: 0, or 1 if a cell failed."""
        return 1 if self.failed else 0

    @property
    def lines(self) -> list[str]:
        """Failures and a count, as lines of text."""
        count = (
            f"{many(len(self.done), 'cell')} measured, {len(self.skipped)} finished before, {len(self.failed)} failed"
        )
        return [*(f"failed: {it}" for it in self.failed), count]


class Interrupted(KeyboardInterrupt):
    """A run was interrupted; the message says how to continue."""


@dataclass(frozen=True)
class DryRun:
    """Prediction of what a run would do.

    Attributes
    ----------
    cells, finished, left : int
        Number of all cells, of cells with a file, and of the remaining ones.
    seconds : float
        Predicted for the remaining cells, one after the other.
    bytes : float
        Memory predicted for the largest remaining cell. Each worker holds one cell.
    """

    cells: int
    finished: int
    left: int
    seconds: float
    bytes: float

    def __str__(self) -> str:
        cost = f": about {_duration(self.seconds)} of work, up to {_size(self.bytes)} per cell" if self.left else ""
        return f"{many(self.cells, 'cell')}, {self.finished} finished, {self.left} left{cost}"


def cell_seed(seed: int, parameters: Parameters) -> int:
    """Return the seed of a cell's measurement, in ``[0, 2**64)``, from the sweep's seed and the cell's parameters.

    Examples
    --------
    >>> cell_seed(0, {"dim": 16, "kappa": 2.0}) == cell_seed(0, {"kappa": 2.0, "dim": 16})
    True
    """
    return derived_seed(seed, canonical(parameters))


@dataclass(frozen=True)
class _Measured:
    """A measurement as a function of the cell only, which can be sent to other processes."""

    measure: Measure
    device: str

    def __call__(self, cell: Cell) -> tuple[pd.DataFrame, float]:
        import pandas as pd

        begin = time.perf_counter()
        rows = self.measure(cell.parameters, cell_seed(cell.seed, cell.parameters), self.device)
        # convert here, not in the parent: rows that cannot be converted are then a failure of this cell
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        return frame, time.perf_counter() - begin


def run(
    sweep: Sweep,
    store: Store,
    executor: Executor,
    device: str = "cpu",
    progress: Callable[[Advance], None] | None = None,
) -> SweepResult:
    """Measure the unfinished cells, and write each as soon as it is measured.

    Parameters
    ----------
    sweep : Sweep
    store : Store
    executor : Executor
    device : str
        Where to measure.
    progress : callable, optional
        Called after each cell.

    Returns
    -------
    SweepResult
        A cell that raises, or whose rows cannot be written, does not stop the others; it is in ``failed``.

    Raises
    ------
    Interrupted
        On Ctrl-C. The cells finished so far are in the store.
    OSError
        If a file cannot be read or written. The cells finished so far are in the store.

    Examples
    --------
    >>> import tempfile
    >>> from hopfield_theory.runs.executors import Serial
    >>> def measure(parameters, seed, device):
    ...     return [{"square": parameters["x"] ** 2}]
    >>> sweep = Sweep("squares", "smoke", 0, [{"x": x} for x in range(3)], measure, lambda parameters: (1.0, 8.0))
    >>> store = Store(tempfile.mkdtemp())
    >>> report = run(sweep, store, Serial())
    >>> report.lines, report.status
    (['3 cells measured, 0 finished before, 0 failed'], 0)
    >>> list(store.gather("squares")["square"])
    [0, 1, 4]
    >>> print(dry_run(sweep, store))
    3 cells, 3 finished, 0 left
    """
    report = SweepResult()
    store.prepare()
    try:
        left = [cell for cell in sweep.grid if not store.has(cell)]
        waiting = set(left)
        report.skipped.extend(cell for cell in sweep.grid if cell not in waiting)
        clock = _Clock(sweep, left)
        with contextlib.closing(executor.run(_Measured(sweep.measure, device), left)) as outcomes:
            for index, outcome in outcomes:
                _keep(store, left[index], outcome, device, report)
                seconds = clock.left_after(left[index])
                if progress is not None:
                    finished = len(report.skipped) + len(report.done)
                    progress(Advance(left[index], finished, len(sweep.grid), len(report.failed), seconds))
    except KeyboardInterrupt:
        # what failed would fail again
        raise Interrupted(
            "".join(f"failed: {it}\n" for it in report.failed)
            + f"interrupted: the {len(report.skipped) + len(report.done)} of {len(sweep.grid)} cells that are finished "
            f"are kept in {store.folder}; the same command goes on from there"
        ) from None
    places = {cell: place for place, cell in enumerate(sweep.grid)}
    report.done.sort(key=lambda cell: places[cell])
    report.failed.sort(key=lambda failure: places[failure.cell])
    return report


def _keep(store: Store, cell: Cell, outcome: object, device: str, report: SweepResult) -> None:
    if isinstance(outcome, Exception):
        report.failed.append(Failure(cell, outcome))
        return
    rows, seconds = outcome  # pyright: ignore[reportGeneralTypeIssues]
    try:
        store.write(cell, rows, seconds, device)
    except ValueError as error:
        report.failed.append(Failure(cell, error))
    else:
        report.done.append(cell)


class _Clock:
    """Estimate of the remaining time from the cost of the cells, for any number of workers."""

    def __init__(self, sweep: Sweep, left: Sequence[Cell]) -> None:
        self._weights = {cell: sweep.weight(cell) for cell in left}
        self._spent = 0.0
        self._begin = time.monotonic()

    def left_after(self, cell: Cell) -> float:
        self._spent += self._weights.pop(cell)
        return (time.monotonic() - self._begin) / self._spent * math.fsum(self._weights.values())


def dry_run(sweep: Sweep, store: Store) -> DryRun:
    """Predict what a run would do; files are not opened, so that a damaged one counts as finished."""
    left = [cell for cell in sweep.grid if not store.holds_file(cell)]
    return DryRun(
        cells=len(sweep.grid),
        finished=len(sweep.grid) - len(left),
        left=len(left),
        seconds=math.fsum(sweep.weight(cell) for cell in left),
        bytes=max((float(sweep.cost(cell.parameters)[1]) for cell in left), default=0.0),
    )


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _size(count: float) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"
