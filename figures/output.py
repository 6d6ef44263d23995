"""A drawn figure on disk: PDF, PNG and caption, which name their results; the same bytes for the same results."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from figures.results import Found
from hopfield_theory import __version__
from hopfield_theory._atomic_write import atomic_write

__all__ = ["DOTS_PER_INCH", "FORMATS", "Drawing", "save"]

DOTS_PER_INCH = 300
FORMATS = ("pdf", "png", "svg")


@dataclass(frozen=True)
class Drawing:
    """A figure and what is to be said below it."""

    figure: Figure
    caption: str


def save(
    name: str,
    drawing: Drawing,
    results: Mapping[str, Found],
    folder: Path,
    dpi: int = DOTS_PER_INCH,
    formats: Sequence[str] = ("pdf", "png"),
) -> list[Path]:
    """Write one file per format, such as ``name.pdf``, and the caption, ``name.md``.

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
    svg = {"Title": name, "Description": source, "Keywords": digests, "Creator": creator, "Date": None}
    metadata = {"pdf": pdf, "png": png, "svg": svg}
    contents = {kind: _rendered(drawing.figure, kind, metadata[kind], dpi) for kind in formats}
    contents["md"] = caption.encode()
    paths = []
    for ending, content in contents.items():
        atomic_write(path := folder / f"{name}.{ending}", content)
        paths.append(path)
    return paths


def _rendered(figure: Figure, kind: str, metadata: dict[str, str | None], dpi: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()
