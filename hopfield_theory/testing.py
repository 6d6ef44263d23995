"""Hypothesis strategies for memories and queries, to test your own claims (extra ``testing``).

They draw cases in which wrong theorems fail: one pattern, duplicates, collinear, antipodal and orthogonal patterns,
zero and long ones, extreme β and n, queries at patterns, at zero and half-way. Everything shrinks to few patterns, few
dimensions, and small whole numbers; tensors are float64.

Examples
--------
>>> from hypothesis import given
>>> @given(problems())
... def test_the_update_stays_in_the_ball(problem):
...     memory, query = problem
...     assert memory.update(query).norm() <= memory.radius * (1 + 1e-12)
>>> test_the_update_stays_in_the_ball()
"""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from hopfield_theory.model.memory import Memory
from hopfield_theory.model.separation import Entmax, Separation, SoftmaxN

__all__ = ["betas", "memories", "noops", "pattern_sets", "problems", "queries", "separations"]


def betas() -> st.SearchStrategy[float]:
    """Inverse temperatures from 1e-3 to 1e3; 1 is the simplest.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(betas(), lambda beta: beta > 5)
    6.0
    """
    return st.sampled_from([1.0, 0.1, 10.0, 1e-3, 1e3]) | st.floats(1e-3, 1e3)


def noops() -> st.SearchStrategy[float]:
    """No-op masses: dense, OutEffHop, and any other from tiny to huge.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(noops(), lambda n: n > 1)
    2.0
    """
    return st.sampled_from([0.0, 1.0, 10.0, 1e-30, 1e30]) | st.floats(0, 1e3, allow_subnormal=False)


def separations() -> st.SearchStrategy[Separation]:
    """Separation functions of every kind: softmax_n, and α-entmax with α = 1.5, 2 and others."""
    return st.builds(SoftmaxN, noops()) | st.builds(Entmax, st.sampled_from([1.5, 2.0, 1.25, 3.0]))


def _coordinates(limit: float) -> st.SearchStrategy[float]:
    whole = st.integers(-int(limit), int(limit)).map(float)
    return whole | st.floats(-limit, limit, allow_subnormal=False)


@st.composite
def pattern_sets(
    draw: st.DrawFn, *, min_patterns: int = 1, max_patterns: int = 6, max_dim: int = 5, limit: float = 4.0
) -> Tensor:
    """Pattern sets, shape (M, d), float64, coordinates of at most ``limit``.

    Parameters
    ----------
    min_patterns, max_patterns : int
        Bounds on ``M``.
    max_dim : int
        Bound on ``d``, from 1.
    limit : float
        Largest coordinate, at least 1.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(pattern_sets(), lambda patterns: len(patterns) > 1)
    tensor([[0.],
            [0.]], dtype=torch.float64)
    """
    count, dim = draw(st.integers(min_patterns, max_patterns)), draw(st.integers(1, max_dim))
    rows = draw(arrays(np.float64, (count, dim), elements=_coordinates(limit)))
    kind = draw(st.sampled_from(["free", "duplicates", "collinear", "antipodal", "orthogonal"]))
    if kind == "duplicates":
        rows[1:] = rows[draw(st.integers(0, count - 1))]
    elif kind == "collinear":
        rows = rows[:1] * np.linspace(1, -1, count)[:, None]
    elif kind == "antipodal":
        rows[1::2] = -rows[: count // 2 * 2 : 2]
    elif kind == "orthogonal":
        rows = np.eye(count, dim) * draw(st.sampled_from([1.0, limit]))
    return torch.from_numpy(rows)


@st.composite
def memories(
    draw: st.DrawFn, *, softmax_only: bool = False, min_patterns: int = 1, max_patterns: int = 6, max_dim: int = 5
) -> Memory:
    """Memories over :func:`pattern_sets`, with :func:`betas` and :func:`separations`.

    Parameters
    ----------
    softmax_only : bool
        Only ``SoftmaxN``.
    min_patterns, max_patterns, max_dim : int
        Same as for :func:`pattern_sets`.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(memories(), lambda memory: memory.num_patterns > 1)
    Memory(2 patterns in 1 dimension, beta=1, SoftmaxN(noop=0.0), float64 on cpu)
    """
    patterns = draw(pattern_sets(min_patterns=min_patterns, max_patterns=max_patterns, max_dim=max_dim))
    kind = st.builds(SoftmaxN, noops()) if softmax_only else separations()
    memory = Memory(patterns, draw(betas()), separation=draw(kind))
    # what a failing example prints: a memory shows its shape alone
    note(f"patterns = {patterns.tolist()}, beta = {memory.beta!r}, separation = {memory.separation!r}")
    return memory


@st.composite
def queries(draw: st.DrawFn, memory: Memory) -> Tensor:
    """Queries for a memory, shape (d,): at patterns, at zero, half-way between two, and anywhere near them."""
    index = st.integers(0, memory.num_patterns - 1)
    kind = draw(st.sampled_from(["pattern", "zero", "midpoint", "free"]))
    if kind == "pattern":
        return memory.patterns[draw(index)]
    if kind == "zero":
        return torch.zeros_like(memory.patterns[0])
    if kind == "midpoint":
        return 0.5 * (memory.patterns[draw(index)] + memory.patterns[draw(index)])
    return torch.from_numpy(draw(arrays(np.float64, (memory.dim,), elements=_coordinates(6.0))))


@st.composite
def problems(
    draw: st.DrawFn, *, softmax_only: bool = False, min_patterns: int = 1, max_patterns: int = 6, max_dim: int = 5
) -> tuple[Memory, Tensor]:
    """Pairs of a memory and a query for it; parameters as for :func:`memories`."""
    memory = draw(
        memories(softmax_only=softmax_only, min_patterns=min_patterns, max_patterns=max_patterns, max_dim=max_dim)
    )
    return memory, draw(queries(memory))
