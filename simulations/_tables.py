"""Aggregate stored results into the small tables of ``results/``: ``python -m simulations._tables FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from hopfield_theory.engine.store import Store

TABLES = Path(__file__).parent.parent / "results"

_CROSSING = ["rule", "dim", "lam", "noop", "log_patterns", "log_low", "log_high", "predicted", "fold", "alpha"]
_SANDWICH = ["dim", "kappa", "noop", "failure", "num_patterns", "trials", "rate", "rate_low", "rate_high"]
_BOUNDS = ["published", "pairwise", "chernoff", "ceiling"]


def main() -> None:
    """Write the tables of what a folder holds."""
    found = Store(sys.argv[1]).gather("capacity")
    crossings = found[found["kind"] == "crossing"].drop_duplicates(["rule", "dim", "lam", "noop", "preset"])
    _write("capacity", crossings[[*_CROSSING, *_BOUNDS, "preset", "seed", "version"]])
    sandwich = found[found["kind"] == "sandwich"]
    _write("sandwich", sandwich[[*_SANDWICH, *_BOUNDS, "preset", "seed", "version"]])


def _write(name: str, frame: pd.DataFrame) -> None:
    path = TABLES / f"{name}.csv"
    frame.to_csv(path, index=False, float_format="%.6g")
    print(f"{path}: {len(frame)} rows")


if __name__ == "__main__":
    main()
