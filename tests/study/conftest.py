"""A series of one's own."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def series_file(tmp_path):
    def write(rows=60, spoil=None):
        dates = pd.date_range("2020-01-01", periods=rows, freq="h")
        frame = pd.DataFrame({"date": dates, "A": np.sin(np.arange(rows)), "B": np.arange(rows, dtype=float)})
        frame = frame if spoil is None else spoil(frame)
        frame.to_csv(tmp_path / "own.csv", index=False)
        return str(tmp_path / "own.csv")

    return write
