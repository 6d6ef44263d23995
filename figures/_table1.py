"""Table 1 of Hu et al. 2024 (arXiv:2404.03828): outliers and scores of the paper's models, means over three seeds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

__all__ = ["FILE", "ROWS", "ratio"]

# the score is perplexity, top-1 accuracy in per cent, or mean square error, in FP16 and after W8A8
FILE = Path(__file__).with_suffix(".csv")
ROWS = pd.read_csv(FILE).set_index(["model", "method"])


def ratio(model: str, method: str, column: str) -> float:
    """Return a column over that of softmax; NaN for what is not in the table.

    Examples
    --------
    >>> round(ratio("OPT", "OutEffHop", "norm"), 3)
    0.143
    """
    found = ROWS[column].reindex([(model, method), (model, "softmax")]).to_numpy(float)
    return float(found[0] / found[1])
