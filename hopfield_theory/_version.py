"""The version of the library, installed or run from its source tree."""

from __future__ import annotations

import importlib.metadata
import tomllib
from functools import cache
from pathlib import Path

__all__ = ["version"]


# every cell of a sweep asks for it
@cache
def version() -> str:
    """Return the version.

    Examples
    --------
    >>> version().count(".")
    2
    """
    try:
        return importlib.metadata.version("hopfield-theory")
    except importlib.metadata.PackageNotFoundError:
        project = Path(__file__).parents[1] / "pyproject.toml"
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
