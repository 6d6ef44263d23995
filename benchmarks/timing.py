"""Timing of alternatives in turn, so that a drift of the machine's speed hits all of them equally."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(os.environ.get("RESULTS", Path(__file__).parent.parent / "build" / "results"))
EXPERIMENT = "speed"


def in_turn(alternatives: dict[str, Callable[[], object]], rounds: int = 7) -> dict[str, list[float]]:
    """Seconds of every alternative in every round, after one warm-up each."""
    for run in alternatives.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    for _ in range(rounds):
        for name, run in alternatives.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratios(seconds: dict[str, list[float]], above: str, below: str) -> list[float]:
    """Ratios round by round, in order of size."""
    return sorted(a / b for a, b in zip(seconds[above], seconds[below], strict=True))


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> str:
    """Median of the ratios round by round, with the least and the largest."""
    found = ratios(seconds, above, below)
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def record(
    benchmark: str,
    found: list[tuple[str, str, list[float]]],
    device: str = "cpu",
    folder: Path = RESULTS,
) -> None:
    """Keep ratios in the store of results, in place of those of an earlier run.

    Parameters
    ----------
    benchmark : str
        Its name: one cell of the experiment ``speed``.
    found : list of (str, str, list of float)
        What is above and what is below, as a figure is to name them, and the ratios, one for each round.
    device : str
        Where it was measured.
    folder : path
        Folder of the store.
    """
    import torch

    from hopfield_theory.runs.store import Cell, Store

    rows = [
        {
            "place": place,
            "above": above,
            "below": below,
            "median": statistics.median(rounds),
            "least": min(rounds),
            "largest": max(rounds),
            "rounds": len(rounds),
            "threads": torch.get_num_threads(),
        }
        for place, (above, below, rounds) in enumerate(found)
    ]
    Store(folder).write(Cell(EXPERIMENT, "quick", 0, {"benchmark": benchmark}), rows, 0.0, device)
