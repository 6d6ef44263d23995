"""Run an experiment: ``python -m simulations NAME``; without a name, list them."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

import simulations
from hopfield_theory.runs import sweep as sweeps
from hopfield_theory.runs.executors import executor
from hopfield_theory.runs.store import Cell, Store
from hopfield_theory.runs.sweep import Advance, Interrupted, Sweep, run
from simulations._shared import presets

NAMES = sorted(module.name for module in pkgutil.iter_modules(simulations.__path__) if not module.name.startswith("_"))
RESULTS = Path("build/results")

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@app.command()
def main(
    name: Annotated[str | None, typer.Argument(help=f"One of {', '.join(NAMES)}.", show_default=False)] = None,
    preset: Annotated[
        str,
        typer.Option(
            metavar="quick|paper|large", help="How fine, and how long; capacity: law|gpu too; models: quick|cpu|gpu."
        ),
    ] = "quick",
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute.")] = "auto",
    with_: Annotated[
        str, typer.Option("--executor", metavar="serial|processes|dask", help="Who computes the cells.")
    ] = "serial",
    workers: Annotated[int | None, typer.Option(help="How many processes; as many as cores if not given.")] = None,
    address: Annotated[str | None, typer.Option(help="Address of the scheduler, for --executor dask.")] = None,
    dims: Annotated[str | None, typer.Option(metavar="d,d,…", help="Dimensions of a grid of your own.")] = None,
    lams: Annotated[str | None, typer.Option(metavar="λ,λ,…", help="Values of λ = κ/d of that grid.")] = None,
    noops: Annotated[str | None, typer.Option(metavar="n,n,…", help="No-op masses of that grid.")] = None,
    ensemble: Annotated[
        str | None, typer.Option(metavar="MODULE:NAME", help="An ensemble of your own, in place of the sphere.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL,…", help="Only cells of these models.")] = None,
    method: Annotated[str | None, typer.Option(metavar="METHOD,…", help="Only cells of these methods.")] = None,
    data: Annotated[str | None, typer.Option(metavar="PATH", help="Text, images or a series of your own.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results, one file per finished cell.")] = RESULTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is left to do, and do nothing.")] = False,
) -> None:
    """Run an experiment over its grid. Finished cells are kept, and a second run measures the others.

    Exit status 0, 1 if a cell failed, 2 for bad input, 130 if interrupted.
    """
    if name is None:
        for known in NAMES:
            print(f"{known:16} {_question(_module(known))}")
        raise typer.Exit
    try:
        grid = {"dims": _listed("dims", dims, int), "lams": _listed("lams", lams, float)}
        grid |= {"noops": _listed("noops", noops, float), "ensemble": ensemble, "data": data}
        own = {key: value for key, value in grid.items() if value is not None}
        only = {"model": model, "method": method}
        only = {key: [part.strip() for part in value.split(",")] for key, value in only.items() if value is not None}
        chosen = _device(device)
        sweep = _sweep(name, preset, seed, own, only, out, chosen)
        if dry_run:
            print(f"{name}, {sweep.preset}: {sweeps.dry_run(sweep, Store(out))}")
            raise typer.Exit
        store = Store(out)
        with executor(with_, workers, address) as who, _Bar(len(sweep.cells)) as bar:
            forget = partial(_forget, name, chosen, seed, store)

            def show(advance: Advance) -> None:
                bar.show(advance)
                forget(advance.cell)

            report = run(sweep, store, who, chosen, progress=show)
            # a killed run may have stored a cell and not come further
            for cell in report.skipped:
                forget(cell)
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"simulations: {' '.join(str(error).split())}", file=sys.stderr)
        raise typer.Exit(2) from None
    except Interrupted as stop:
        print(f"simulations: {stop}", file=sys.stderr)
        raise typer.Exit(130) from None
    for line in report.lines:
        print(line)
    print(f"Results: {out}/")
    raise typer.Exit(report.status)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"simulations.{name}")


def _question(module: ModuleType) -> str:
    """Return the first paragraph of an experiment's text."""
    return " ".join((module.__doc__ or "").split("\n\n")[0].split())


def _listed(name: str, text: str | None, kind: type) -> list[float] | None:
    try:
        return None if text is None else [kind(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{name} is {text!r}: it must be numbers, separated by commas") from None


def _sweep(
    name: str,
    preset: str,
    seed: int,
    own: Mapping[str, Any] | None = None,
    only: Mapping[str, Sequence[str]] | None = None,
    out: Path | None = None,
    device: str = "cpu",
) -> Sweep:
    if name not in NAMES:
        raise ValueError(f"{name}: no such experiment; there are {', '.join(NAMES)}")
    module = _module(name)
    if preset not in presets(module):
        raise ValueError(f"preset is {preset!r}: it must be one of {', '.join(presets(module))}")
    # some measure several models on the same draws, from the seed of the study; some keep what is unfinished
    shared = {"study": seed, "unfinished": None if out is None else str(out / "unfinished")}
    taken = signature(module.measure).parameters
    measure = partial(module.measure, **{key: value for key, value in shared.items() if key in taken})
    cells = module.cells(preset)
    if own:
        takes = signature(module.own_cells).parameters if hasattr(module, "own_cells") else ()
        if not set(own) <= set(takes):
            raise ValueError(f"{name} takes no grid of one's own ({', '.join(set(own) - set(takes))})")
        preset, cells = "own", module.own_cells(preset, **own)
    for key, values in (only or {}).items():
        known = list(dict.fromkeys(cell[key] for cell in cells if key in cell))
        if not known:
            raise ValueError(f"{name} has no {key}s to choose from")
        if wrong := [value for value in values if value not in known]:
            learning = f", which learn from {own['data']}" if own and "data" in own else ""
            raise ValueError(f"{key} is {wrong[0]!r}: it must be one of {', '.join(known)}{learning}")
        cells = [cell for cell in cells if cell.get(key) in values]
    cost = partial(module.cost, device=device) if "device" in signature(module.cost).parameters else module.cost
    return Sweep(name, preset, seed, cells, measure, cost)


def _forget(name: str, device: str, seed: int, store: Store, cell: Cell) -> None:
    """Remove what an experiment kept of a cell while it was unfinished, if the store has the cell."""
    forget = getattr(_module(name), "forget", None)
    if forget is not None and store.has(cell):
        forget(cell.parameters, device, seed, str(store.folder / "unfinished"))


def _device(name: str) -> str:
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device is {name!r}: it must be auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda': there is none here")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


class _Bar:
    """Progress on a terminal: cells and remaining time."""

    def __init__(self, cells: int) -> None:
        console = Console(stderr=True)
        columns = (BarColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("begins", total=cells)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, advance: Advance) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=advance.finished + advance.failed, description=str(advance))


if __name__ == "__main__":
    app()
