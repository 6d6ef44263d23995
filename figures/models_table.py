"""The study of trained models as Markdown tables: ``python -m figures.models_table RESULTS``."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from figures.results import DEFAULT, UnusableError, load
from hopfield_theory.statements import table1
from simulations._architectures import METHODS, MODELS
from simulations._matched import change, mean

__all__ = ["changes", "published", "render", "values"]

_SCORES = {"BERT": "perplexity", "OPT": "perplexity", "ViT": "accuracy", "STanHop": "mse"}
_COLUMNS = ("loss", "kurtosis", "norm", "kurtosis_published", "norm_published", "score", "score_w8a8")


def values(frame: pd.DataFrame) -> str:
    """Return means at the end of the trainings that are not stuck, a row per model, method and kind of n.

    Kurtosis and norm by the library's definition, then by the papers'; the score (perplexity, accuracy or mean square
    error) in floating point, then after W8A8; the layer that has the largest norm in most trainings; and of results
    that say so, the seconds that a training took (one that went on from where it was stopped: from there).
    """
    head = ("model", "method", "n", "trainings", "stuck", "loss", "kurtosis", "norm", "kurtosis, papers'")
    timed = ("seconds",) if "seconds" in frame else ()
    return _markdown((*head, "norm, papers'", "score", "score, W8A8", "largest in", *timed), _values(frame))


def _values(frame: pd.DataFrame) -> Iterator[list[str]]:
    for (model, method, learnt), rows in _groups(frame[frame["last"].astype(bool)]):
        going = rows[~rows["stuck"].astype(bool)]
        score = _SCORES[model]
        # a score that no training of a store has is no column of it
        known = going.reindex(columns=[each.replace("score", score) for each in _COLUMNS]).mean()
        numbers = ["–" if np.isnan(number) else _short(number, 4) for number in known]
        most = going["norm_layer"].mode()
        layer = str(most.iloc[0]) if len(most) else "–"
        last = [layer, _short(rows["seconds"].mean(), 3)] if "seconds" in frame else [layer]
        yield [model, method, _mass(method, learnt), str(len(rows)), str(len(rows) - len(going)), *numbers, *last]


def changes(frame: pd.DataFrame, definition: str = "") -> str:
    """Return kurtosis and norm over those of softmax, after as many steps and at the same loss.

    Paired by training, with Student's 95% interval of the mean logarithm; without three pairs there is none. By the
    library's definition, or by the papers' with ``"_published"``.
    """
    said = ", papers'" * bool(definition)
    head = ("model", "method", "n", "pairs", f"kurtosis{said}, same steps", "same loss", f"norm{said}, same steps")
    return _markdown((*head, "same loss"), _changes(frame, definition))


def _changes(frame: pd.DataFrame, definition: str) -> Iterator[list[str]]:
    for (model, method, learnt), _ in _groups(frame):
        if method == "softmax":
            continue
        ratios = [
            change(frame[frame["model"] == model], method, value + definition, same_loss, learnt)
            for value in ("kurtosis", "norm")
            for same_loss in (False, True)
        ]
        yield [model, method, _mass(method, learnt), str(len(ratios[0])), *map(_ratio, ratios)]


def published() -> str:
    """Return Table 1 of the paper."""
    head = ("model", "method", "kurtosis", "infinity norm", "FP16", "W8A8")
    return _markdown(head, (list(row.values()) for row in table1.ROWS.values()))


def _groups(frame: pd.DataFrame) -> Iterator[tuple[tuple[str, str, bool], pd.DataFrame]]:
    found = dict(iter(frame.groupby(["model", "method", "learnt"])))
    for key in itertools.product(MODELS, METHODS, (False, True)):
        if key in found:
            yield key, found[key]


def _mass(method: str, learnt: bool) -> str:
    return "learnt" if learnt else "1" if "OutEffHop" in method else "0"


def _ratio(logs: np.ndarray) -> str:
    logs = logs[np.isfinite(logs)]
    if not len(logs):
        return "–"
    found = mean(logs)
    around = f" [{_times(found.low)}, {_times(found.high)}]" if found else ""
    return f"{_times(logs.mean())}{around}"


def _times(log: float) -> str:
    ratio = float(np.exp(log))
    return f"{ratio:.2f}" if 0.095 <= ratio < 100 else _short(ratio, 2)


def _short(number: float, digits: int) -> str:
    """Return a number to so many digits, and large ones whole: 23341, not 2.334e+04."""
    return f"{number:.0f}" if 10**digits <= number < 1e7 else f"{number:.{digits}g}"


def _markdown(head: Sequence[str], rows: Iterator[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def render(frame: pd.DataFrame) -> str:
    """Return all tables."""
    return f"{values(frame)}\n\n{changes(frame)}\n\n{changes(frame, '_published')}\n"


def main(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder of the results or of tables.")] = DEFAULT,
    partial: Annotated[bool, typer.Option("--partial", help="Take what there is of an unfinished preset.")] = False,
) -> None:
    """Print what the trained models measured. Exit status 0; 2 if there are no results."""
    try:
        found = load(results, "models", partial=partial)
    except UnusableError as error:
        print(f"models_table: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    print(f"{found}\n\n{render(found.frame)}", end="")


if __name__ == "__main__":
    typer.run(main)
