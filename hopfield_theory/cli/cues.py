"""How often patterns are retrieved from damaged copies of themselves, level by level."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from hopfield_theory._atomic_write import atomic_write
from hopfield_theory._sentences import listed
from hopfield_theory.certificates.certify import guaranteed, shared_with
from hopfield_theory.cli import render
from hopfield_theory.cli.shared import naming
from hopfield_theory.data import corruption
from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.statistics import Interval, wilson

__all__ = ["Level", "check_plot", "data", "lines", "measure", "plot", "table"]

_DAMAGES = {"noise": corruption.add_noise, "mask": lambda rows, level, by: corruption.mask(rows, level, generator=by)}


@dataclass(frozen=True)
class Level:
    """What became of one damaged copy of each pattern."""

    damage: str
    level: float
    outcomes: list[str]
    guaranteed: int

    @property
    def rate(self) -> Interval:
        """Share of the patterns that were retrieved, with its 95% interval."""
        return wilson(self.outcomes.count("retrieved"), len(self.outcomes))

    @property
    def failures(self) -> list[tuple[int, str]]:
        """The other patterns, and where their copies ended."""
        return [(row, said) for row, said in enumerate(self.outcomes) if said != "retrieved"]


def measure(
    memory: Memory,
    patterns: Tensor,
    damages: list[tuple[str, float]],
    seed: int,
    tol: float,
    max_steps: int,
    accelerate: bool,
    progress: Callable[[int, int], None],
) -> list[Level]:
    """Damage every pattern at each level and retrieve it; a masked coordinate is 0, or the mean with centring."""
    mean = torch.zeros_like(memory.patterns[0]) if memory.shift is None else memory.shift
    raw = torch.as_tensor(patterns, dtype=memory.patterns.dtype) - mean
    expected = torch.arange(len(raw))
    levels = []
    for index, (damage, level) in enumerate(damages):
        queries = _DAMAGES[damage](raw, level, keyed_generator(seed, "damage")) + mean
        with naming(f"--{damage} {level:g}"):
            memory.prepare(queries)
        promised = guaranteed(memory, queries)

        def say(done: int, whole: int, before: int = index) -> None:
            progress(before * whole + done, len(damages) * whole)

        found = retrieve(memory, queries, tol, max_steps, accelerate=accelerate, progress=say)
        answers, distances = memory.nearest(found.state)
        outcomes = render.outcomes(expected, answers, shared_with(memory, expected, found))
        closer = torch.linalg.vector_norm(found.state, dim=1) < distances
        for row in closer.nonzero().flatten().tolist() if memory.noop else []:
            outcomes[row] = "ended at the no-op state"
        for row in (~found.converged).nonzero().flatten().tolist():
            outcomes[row] = "not converged"
        levels.append(Level(damage, level, outcomes, int((promised.pattern == expected).sum())))
    return levels


def table(levels: list[Level]) -> Table:
    """Tabulate the rates."""
    shown = render.plain_table(
        "Patterns retrieved from one damaged copy each (sure: guaranteed in advance), and where the others ended",
        *("damage", "right", "95%", "sure", "other", "merged", "no-op", "open"),
    )
    for level in levels:
        kinds = Counter(_kind(said) for said in level.outcomes)
        rate, count = level.rate, len(level.outcomes)
        shown.add_row(
            f"{level.damage} {level.level:g}",
            f"{100 * rate.estimate:.1f}%",
            f"{100 * rate.low:.3g} to {100 * rate.high:.3g}",
            f"{100 * level.guaranteed / count:.1f}%",
            *(str(kinds[kind]) for kind in ("other", "merged", "nothing", "open")),
        )
    return shown


def _kind(outcome: str) -> str:
    if outcome.startswith("merged"):
        return "merged"
    return {"ended at the no-op state": "nothing", "not converged": "open", "retrieved": "retrieved"}.get(
        outcome, "other"
    )


def lines(levels: list[Level]) -> list[str]:
    """Name the first failures of each level."""
    said = []
    for level in levels:
        failures = level.failures
        if failures:
            shown = listed([f"{row} ({what})" for row, what in failures])
            said.append(f"Not retrieved at {level.damage} {level.level:g}: {shown}.")
    return said


def data(levels: list[Level]) -> list[dict[str, Any]]:
    """Return all numbers of all levels."""
    return [
        {
            "damage": level.damage,
            "level": level.level,
            "retrieved": level.rate.estimate,
            "low": level.rate.low,
            "high": level.rate.high,
            "guaranteed": level.guaranteed / len(level.outcomes),
            "outcome": level.outcomes,
        }
        for level in levels
    ]


def check_plot(path: str) -> None:
    """Refuse a file whose ending names no format of figures."""
    from matplotlib.backend_bases import FigureCanvasBase

    ending, known = Path(path).suffix, sorted(FigureCanvasBase.get_supported_filetypes())
    if ending.lower().removeprefix(".") not in known:
        raise ValueError(f"--plot is {path}: its ending must be one of {', '.join(f'.{format}' for format in known)}")


def plot(levels: list[Level], path: str) -> None:
    """Draw the rates with their intervals, and the guaranteed share, against the level."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(level.damage for level in levels))
    figure = Figure(figsize=(4.2 * len(names), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        these = sorted((level for level in levels if level.damage == name), key=lambda level: level.level)
        at, rates = [level.level for level in these], [level.rate for level in these]
        ends = [[r.estimate - r.low for r in rates], [r.high - r.estimate for r in rates]]
        axes.errorbar(at, [r.estimate for r in rates], yerr=ends, marker="o", capsize=3, label="retrieved (95%)")
        axes.plot(at, [level.guaranteed / len(level.outcomes) for level in these], "s--", label="guaranteed")
        axes.set(xlabel=name, ylabel="share of patterns", ylim=(-0.03, 1.03))
        axes.legend()
    image = io.BytesIO()
    figure.savefig(image, format=Path(path).suffix.removeprefix(".").lower())
    atomic_write(path, image.getvalue())
