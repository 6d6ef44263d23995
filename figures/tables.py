"""Write what figures are drawn from as one table each: ``python -m figures.tables FROM TO``.

The SHA-256 of a table is the hash that a figure drawn from these results carries.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from figures.__main__ import NAMES
from figures.results import UnusableError, load
from hopfield_theory._atomic_write import atomic_write

# the energies of whole planes; a second makes them again
_LARGE = {"landscape"}


def main(
    results: Annotated[Path, typer.Argument(metavar="FROM", help="Folder of the results, as simulations write them.")],
    out: Annotated[Path, typer.Argument(metavar="TO", help="Folder for a CSV file of each experiment.")],
    only: Annotated[list[str] | None, typer.Option(help="These experiments alone.", show_default=False)] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Take presets that are not finished too.")] = False,
) -> None:
    """Write the results of every experiment that a figure needs.

    Exit status 0; 2 for missing results, or a folder that cannot be written.
    """
    needed = {name for figure in NAMES for name in importlib.import_module(f"figures.{figure}").NEEDS}
    for experiment in sorted(only or needed - _LARGE):
        try:
            found = load(results, experiment, partial=partial)
            out.mkdir(parents=True, exist_ok=True)
            atomic_write(path := out / f"{experiment}.csv", found.table.encode())
        except (UnusableError, OSError) as error:
            print(f"tables: {experiment}: {' '.join(str(error).split())}", file=sys.stderr)
            raise typer.Exit(2) from error
        print(f"{path}: {len(found.frame)} rows, preset {found.preset}, sha256 {found.digest[:16]}")


if __name__ == "__main__":
    typer.run(main)
