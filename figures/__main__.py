"""Draw figures from stored results: ``python -m figures``; with names, those alone."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

import figures
from figures import style
from figures.output import DOTS_PER_INCH, FORMATS, save
from figures.results import DEFAULT, Found, UnusableError, load

_PARTS = ("models_table", "output", "results", "results_page", "style", "tables")
NAMES = sorted(
    module.name
    for module in pkgutil.iter_modules(figures.__path__)
    if not module.name.startswith("_") and module.name not in _PARTS
)
FIGURES = Path("build/figures")

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@app.command()
def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help=f"Of {', '.join(NAMES)}; all if none.", show_default=False),
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder of the results, as simulations write them.")] = DEFAULT,
    out: Annotated[Path, typer.Option(help="Folder for the files and a caption of each.")] = FIGURES,
    page: Annotated[str, typer.Option(metavar="icml|neurips", help="Whose widths.")] = "icml",
    dpi: Annotated[int, typer.Option(help="Dots per inch of the PNG.")] = DOTS_PER_INCH,
    format_: Annotated[str, typer.Option("--format", metavar="pdf,png,svg", help="Files to write.")] = "pdf,png",
    look: Annotated[
        Path | None, typer.Option("--style", metavar="FILE", help="A Matplotlib style sheet on top of ours.")
    ] = None,
    lam: Annotated[float | None, typer.Option(help="Draw this λ alone, of a figure that shows several.")] = None,
    noop: Annotated[float | None, typer.Option(help="Draw this no-op mass alone, likewise.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Draw from presets that are not finished too.")] = False,
) -> None:
    """Draw figures; where results are missing, say which command makes them, and draw the others.

    Exit status 0; 2 for bad input or missing results.
    """
    chosen = names or NAMES
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        _refuse(f"{', '.join(unknown)}: no such figure; there are {', '.join(NAMES)}")
    if page not in style.PAGES:
        _refuse(f"page is {page!r}: it must be one of {', '.join(style.PAGES)}")
    if not 10 <= dpi <= 1200:
        _refuse(f"dpi is {dpi}: it must be from 10 to 1200")
    formats = format_.split(",")
    if not formats or not set(formats) <= set(FORMATS):
        _refuse(f"format is {format_!r}: it must be any of {', '.join(FORMATS)}, separated by commas")
    if look is not None and not look.is_file():
        _refuse(f"style is {str(look)!r}: there is no such file")
    only = {name: value for name, value in (("lam", lam), ("noop", noop)) if value is not None}
    missing = 0
    for name in chosen:
        try:
            draw(name, results, out, page, partial, dpi, formats=formats, look=look, only=only)
        except (UnusableError, OSError) as error:
            print(f"figures: {name}: {' '.join(str(error).split())}", file=sys.stderr)
            missing += 1
    if missing < len(chosen):
        print(f"Figures: {out}/")
    raise typer.Exit(2 if missing else 0)


def draw(
    name: str,
    results: Path,
    out: Path,
    page: str = "icml",
    partial: bool = False,
    dpi: int = DOTS_PER_INCH,
    *,
    formats: Sequence[str] = ("pdf", "png"),
    look: Path | None = None,
    only: Mapping[str, float] = MappingProxyType({}),
) -> list[Path]:
    """Draw one figure and return its files.

    ``look`` is a Matplotlib style sheet on top of ours. ``only`` has the values of λ (``lam``) and of n (``noop``) to
    which results are restricted; they become part of the names of the files.

    Raises
    ------
    UnusableError
        If its results are not there, or it does not show several values of what ``only`` names.
    OSError
        If it cannot be written.
    """
    module = importlib.import_module(f"figures.{name}")
    found: dict[str, Found] = {
        experiment: load(results, experiment, columns, partial) for experiment, columns in module.NEEDS.items()
    }
    if fixed := [key for key in only if key not in _choices(name)]:
        others = ", ".join(sorted(each for each in NAMES if set(only) <= _choices(each)))
        raise UnusableError(f"draws no {' or '.join(fixed)} of your choice; only these do: {others or 'none'}")
    found = {experiment: each.only(**only) for experiment, each in found.items()}
    name = "-".join([name, *(f"{key}{value:g}" for key, value in only.items())])
    with style.applied(look):
        return save(name, module.draw(found, style.PAGES[page]), found, out, dpi, formats)


def _choices(name: str) -> set[str]:
    return set(getattr(importlib.import_module(f"figures.{name}"), "CHOICES", ()))


def _refuse(why: str) -> None:
    print(f"figures: {why}", file=sys.stderr)
    raise typer.Exit(2)


if __name__ == "__main__":
    app()
