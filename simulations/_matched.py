"""Methods compared at matched loss and matched steps, paired by training, with intervals over trainings."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hopfield_theory.statistics import Interval

__all__ = ["at_loss", "at_losses", "change", "common_loss", "mean"]

_FEWEST = 3


def at_loss(rows: pd.DataFrame, column: str, loss: float) -> float:
    """Return log of a column where a training's loss first falls to ``loss``, linear between measurements; or NaN.

    Examples
    --------
    >>> rows = pd.DataFrame({"step": [0, 1], "loss": [4.0, 2.0], "kurtosis": [1.0, np.e]})
    >>> at_loss(rows, "kurtosis", 3.0), at_loss(rows, "kurtosis", 1.0)
    (0.5, nan)
    """
    return at_losses(rows, column, [loss])[0]


def at_losses(rows: pd.DataFrame, column: str, losses: Iterable[float]) -> list[float]:
    """Return what :func:`at_loss` does for each of some losses."""
    rows = rows.sort_values("step")
    reached, values = rows["loss"].to_numpy(float), np.log(rows[column].to_numpy(float))
    return [_first_at(reached, values, loss) for loss in losses]


def _first_at(reached: NDArray[np.float64], values: NDArray[np.float64], loss: float) -> float:
    below = np.flatnonzero(reached <= loss)
    if not len(below) or reached[0] < loss:
        return np.nan
    after = int(below[0])
    if after == 0:
        return float(values[0])
    share = (reached[after - 1] - loss) / (reached[after - 1] - reached[after])
    return float(values[after - 1] + share * (values[after] - values[after - 1]))


def mean(sample: NDArray[np.float64]) -> Interval | None:
    """Return the mean of independent trainings with Student's 95% interval; None of fewer than three.

    Examples
    --------
    >>> print(mean(np.array([1.0, 2.0, 3.0])))
    2 [-0.4841, 4.484] (95%)
    """
    sample = sample[np.isfinite(sample)]
    if len(sample) < _FEWEST:
        return None
    half = stats.t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample))
    return Interval(float(sample.mean()), float(sample.mean() - half), float(sample.mean() + half), 0.95)


def common_loss(frame: pd.DataFrame) -> float:
    """Return the least loss that every training that is not stuck reaches."""
    going = frame[~frame["stuck"].astype(bool)]
    return float(going.groupby(["method", "learnt", "training"])["loss"].min().max()) if len(going) else np.nan


def change(frame: pd.DataFrame, method: str, column: str, same_loss: bool = False, learnt: bool = False) -> NDArray:
    """Return log ratios of a column, method over softmax, per training of one model; stuck trainings are left out.

    At the last measurement, or where each of the pair first falls to the least loss that all trainings of both reach.
    """
    # rows of few columns are taken far quicker than those of a whole study
    frame = frame.filter(["method", "learnt", "training", "step", "loss", "stuck", column])
    either = (frame["method"] == "softmax") | ((frame["method"] == method) & (frame["learnt"] == learnt))
    loss, found = common_loss(frame[either]), []
    for _, rows in frame[either & ~frame["stuck"].astype(bool)].groupby("training"):
        base = rows["method"] == "softmax"
        pair = [rows[base], rows[~base]]
        if any(each.empty for each in pair):
            continue
        if same_loss:
            before, after = (at_loss(each, column, loss) for each in pair)
        else:
            before, after = (float(np.log(each.loc[each["step"].idxmax(), column])) for each in pair)
        found.append(after - before)
    return np.array(found, dtype=float)
