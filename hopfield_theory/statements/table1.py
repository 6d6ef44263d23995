"""Table 1 of Hu et al. 2024 (arXiv:2404.03828): outliers and scores of the paper's models, means over three seeds."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

__all__ = ["PAIRS", "ROWS", "mean_reduction"]

# the score is perplexity, top-1 accuracy in per cent, or mean square error, in FP16 and after W8A8
with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as _file:
    ROWS = {(row["model"], row["method"]): row for row in csv.DictReader(_file)}
"""The rows by model and method, each cell as it is printed."""

PAIRS = (
    ("softmax", "OutEffHop"),
    ("Clipped_Softmax", "Clipped_OutEffHop"),
    ("Gated_Attention", "Gated_OutEffHop"),
)
"""Each method without the no-op slot, and the same method with it."""


def mean_reduction(
    column: str,
    pairs: Sequence[tuple[str, str]] = PAIRS,
    rows: Mapping[tuple[str, str], Mapping[str, str]] = ROWS,
) -> tuple[Fraction, Fraction]:
    """Return the ends of the mean of ``1 − with/without`` over all models and some pairs, within the rounding.

    Every printed number stands for all that round to it, half a unit of its last digit to either side.

    Parameters
    ----------
    column : {"kurtosis", "norm"}
        Or any other column of positive numbers.
    pairs : sequence of (without, with)
        Names of methods, without the no-op slot and with it; each at most once.
    rows : mapping
        The table, each cell as it is printed.

    Examples
    --------
    >>> [f"{float(end):.4f}" for end in mean_reduction("norm")]
    ['0.2607', '0.2608']
    """
    models = dict.fromkeys(model for model, _ in rows)
    low = high = Fraction(0)
    for model, (without, slot) in itertools.product(models, pairs):
        (least, most), (least_slot, most_slot) = (_rounded(rows[model, each][column]) for each in (without, slot))
        low += 1 - most_slot / least
        high += 1 - least_slot / most
    count = len(models) * len(pairs)
    return low / count, high / count


def _rounded(cell: str) -> tuple[Fraction, Fraction]:
    half = Fraction(1, 2 * 10 ** len(cell.partition(".")[2]))
    return Fraction(cell) - half, Fraction(cell) + half
