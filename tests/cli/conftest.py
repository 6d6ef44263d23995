"""Patterns for the commands, in memory and in a file."""

import numpy as np
import pytest
import torch

pytest.register_assert_rewrite("tests.cli.running")


@pytest.fixture(scope="session")
def patterns():
    rows = torch.randn(30, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return rows / rows.norm(dim=1, keepdim=True)


@pytest.fixture
def source(tmp_path, patterns):
    path = tmp_path / "patterns.npy"
    np.save(path, patterns.numpy())
    return str(path)
