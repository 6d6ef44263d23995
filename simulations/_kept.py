"""Tensors kept in files for the next run; a damaged file counts as absent."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch

from hopfield_theory._atomic_write import atomic_write

__all__ = ["read", "write"]


def write(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all; the folder is made."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, buffer.getvalue())


def read(path: Path, device: str = "cpu") -> dict[str, Any] | None:
    """Return what was written; None if there is no file, or, with a line on standard error, if it is damaged."""
    if not path.exists():
        return None
    content = io.BytesIO(path.read_bytes())
    # the checksums are those of the format: torch.load does not look at them
    if not _is_whole(content):
        print(f"{path} is damaged: what it held is computed again", file=sys.stderr)
        return None
    content.seek(0)
    return torch.load(content, map_location=device, weights_only=True)


def _is_whole(content: io.BytesIO) -> bool:
    try:
        with zipfile.ZipFile(content) as file:
            return file.testzip() is None
    except Exception:  # a damaged archive may raise anything
        return False
