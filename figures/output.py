"""A drawn figure on disk: PDF, PNG and caption, which name their results; the same bytes for the same results."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from figures.results import Found
from hopfield_theory import __version__
from hopfield_theory._atomic_write import atomic_write

__all__ = ["DOTS_PER_INCH", "Drawing", "save"]

DOTS_PER_INCH = 300


@dataclass(frozen=True)
class Drawing:
    """A figure and what is to be said below it."""

    figure: Figure
    caption: str


def save(
    name: str, drawing: Drawing, results: Mapping[str, Found], folder: Path, dpi: int = DOTS_PER_INCH
) -> list[Path]:
    """Write ``name.pdf``, ``name.png`` and ``name.md``.

    Raises
    ------
    OSError
        If one cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = "; ".join(str(found) for found in results.values())
    digests = " ".join(f"sha256:{found.digest}" for found in results.values())
    creator = f"hopfield_theory {__version__}"
    pdf = {"Title": name, "Subject": source, "Keywords": digests, "Creator": creator, "CreationDate": None}
    png = {"Title": name, "Description": source, "Comment": digests, "Software": creator}
    caption = f"{' '.join(drawing.caption.split())}\n\nDrawn from {source}.\n"
    contents = {
        "pdf": _rendered(drawing.figure, "pdf", pdf, dpi),
        "png": _rendered(drawing.figure, "png", png, dpi),
        "md": caption.encode(),
    }
    paths = []
    for ending, content in contents.items():
        atomic_write(path := folder / f"{name}.{ending}", content)
        paths.append(path)
    return paths


def _rendered(figure: Figure, kind: str, metadata: dict[str, str | None], dpi: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()
