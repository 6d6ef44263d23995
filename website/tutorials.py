"""Run the tutorials and write what they print, their pictures and their notebooks: ``python -m website.tutorials``."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from hopfield_theory._atomic_write import atomic_write
from website import pages

__all__ = ["FOLDER", "NAMES", "notebook", "notebook_text"]

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
NAMES = ("embeddings", "capacity", "transformer")


def notebook(page: str) -> Any:
    """Return a page as a notebook: prose, code cells, and as their outputs what the page shows."""
    cells = []
    for piece in re.split(r"(^```python\n.*?^```$(?:\n\n```text\n.*?^```$)?)", page, flags=re.MULTILINE | re.DOTALL):
        if found := pages.steps(piece):
            [step] = found
            cell = new_code_cell(step.code.rstrip(), id=f"cell-{len(cells)}")
            cell.outputs = [new_output("stream", name="stdout", text=step.shown)] if step.shown else []
        elif piece.strip():
            cell = new_markdown_cell(piece.strip(), id=f"cell-{len(cells)}")
        else:
            continue
        cells.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def notebook_text(page: str) -> str:
    """Return the file of a page's notebook."""
    return nbformat.writes(notebook(page)) + "\n"


def _write(name: str) -> None:
    path = FOLDER / f"{name}.md"
    page = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        page = pages.with_outputs(page, [printed for _, printed in pages.executed(page)])
        for picture in Path(folder).glob("*.png"):
            atomic_write(FOLDER / picture.name, picture.read_bytes())
    atomic_write(path, page.encode())
    atomic_write(path.with_suffix(".ipynb"), notebook_text(page).encode())


if __name__ == "__main__":
    for name in sys.argv[1:] or NAMES:
        _write(name)
