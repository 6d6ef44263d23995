"""Trial states of the accelerated iteration, a program for each row: on a GPU each small operation costs a launch."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from hopfield_theory.fused.kernels import launch

__all__ = ["takes", "trial_states"]

_WIDEST = 128
# rows of a tile: the differences, and the step that they are to explain
_ITEMS = tl.constexpr(16)


@triton.jit
def _trial_states(
    x, new, f, dx, df, depth, residual, previous, was_plain, trial, sure,
    width: tl.constexpr, COLUMNS: tl.constexpr, WINDOW: tl.constexpr, RIDGE: tl.constexpr, TINY: tl.constexpr,
    TRUST: tl.constexpr, RELAXATION: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    column, item, other = tl.arange(0, COLUMNS), tl.arange(0, _ITEMS), tl.arange(0, _ITEMS)
    live = column < width
    at = row * width + column
    state, image, step = (
        tl.load(x + at, mask=live, other=0.0), tl.load(new + at, mask=live, other=0.0),
        tl.load(f + at, mask=live, other=0.0),
    )  # fmt: skip
    places = row * WINDOW * width + item[:, None] * width + column[None, :]
    inside = (item < WINDOW)[:, None] & live[None, :]
    moves, changes = tl.load(dx + places, mask=inside, other=0.0), tl.load(df + places, mask=inside, other=0.0)
    count, size = tl.load(depth + row), tl.load(residual + row)

    last = tl.sum(tl.where((item == 0)[:, None], moves, 0.0), axis=0)
    change = tl.sum(tl.where((item == 0)[:, None], changes, 0.0), axis=0)
    contraction = 1.0 + tl.sum(last * change, axis=0) / tl.maximum(tl.sum(last * last, axis=0), TINY)

    # Gram and Schmidt's method, modified, of the unit columns on top of a ridge; the step is the last column
    valid = item < count
    norms = tl.sqrt(tl.sum(changes * changes, axis=1))
    norms = tl.where(valid & (norms > 0.0), norms, 1.0)
    rest = tl.where(valid[:, None], changes / norms[:, None], 0.0)
    rest = tl.where((item == WINDOW)[:, None], step[None, :], rest)
    ridge = tl.where((item[:, None] == other[None, :]) & (item < WINDOW)[:, None], RIDGE, 0.0).to(state.dtype)
    # the triangle's row i is column i
    triangle = tl.zeros((_ITEMS, _ITEMS), state.dtype)
    for i in tl.static_range(WINDOW):  # pyright: ignore[reportGeneralTypeIssues]
        here = (item == i)[:, None]
        unit, unit_ridge = tl.sum(tl.where(here, rest, 0.0), axis=0), tl.sum(tl.where(here, ridge, 0.0), axis=0)
        length = tl.sqrt(tl.sum(unit * unit, axis=0) + tl.sum(unit_ridge * unit_ridge, axis=0))
        unit, unit_ridge = unit / length, unit_ridge / length
        dots = tl.sum(rest * unit[None, :], axis=1) + tl.sum(ridge * unit_ridge[None, :], axis=1)
        dots = tl.where(item > i, dots, 0.0)
        triangle = tl.where((other == i)[None, :], tl.where(item == i, length, dots)[:, None], triangle)
        rest -= dots[:, None] * unit[None, :]
        ridge -= dots[:, None] * unit_ridge[None, :]
    weights = tl.zeros((_ITEMS,), state.dtype)
    for k in tl.static_range(WINDOW):  # pyright: ignore[reportGeneralTypeIssues]
        line = tl.sum(tl.where((other == WINDOW - 1 - k)[None, :], triangle, 0.0), axis=1)
        known = tl.where((item > WINDOW - 1 - k) & (item < WINDOW), line * weights, 0.0)
        open_ = tl.sum(tl.where(item == WINDOW, line, 0.0) - known, axis=0)
        found = tl.fdiv(open_, tl.sum(tl.where(item == WINDOW - 1 - k, line, 0.0), axis=0))
        weights = tl.where(item == WINDOW - 1 - k, found, weights)

    move = step - tl.sum((weights / norms)[:, None] * (moves + changes), axis=0)
    length = tl.sqrt(tl.sum(move * move, axis=0))
    move *= tl.minimum(TRUST * size / tl.maximum(length, TINY), 1.0)
    begun = count >= 1
    rises = tl.sum(move * step, axis=0) <= 0.0  # pyright: ignore[reportOperatorIssue]
    mixed = begun & (size < tl.load(previous + row)) & (contraction < 1.0) & (rises == 0)
    factor = tl.where(contraction < 1.0, 1.0 / tl.maximum(1.0 - contraction, 0.1 / RELAXATION), RELAXATION)
    factor = tl.minimum(tl.maximum(factor, 1.0), RELAXATION)
    relaxed = begun & (mixed == 0) & (tl.load(was_plain + row) != 0) & (factor > 1.0)
    plain = (mixed == 0) & (relaxed == 0)
    chosen = tl.where(mixed, state + move, state + factor * step)
    # not x + f, which loses T(x) where x is far longer
    tl.store(trial + at, tl.where(plain, image, chosen), mask=live)
    tl.store(sure + row, plain.to(tl.int8))


def trial_states(rows: dict[str, Tensor], residual: Tensor, trust: float, relaxation: float) -> tuple[Tensor, Tensor]:
    """Return trial states (N, d), and which of them are plain updates (N,), by one launch.

    ``rows`` and ``residual`` are those of :func:`hopfield_theory.model.fixed_point.accelerate`.
    """
    x, window = rows["x"], rows["df"].shape[1]
    number, width = x.shape
    info = torch.finfo(x.dtype)
    trial, sure = torch.empty_like(x), torch.empty(number, dtype=torch.int8, device=x.device)
    launch(
        _trial_states, (number,),
        *(rows[name].contiguous() for name in ("x", "new", "f", "dx", "df", "depth")), residual.contiguous(),
        rows["previous"].contiguous(), rows["was_plain"].to(torch.int8), trial, sure, width=width,
        COLUMNS=max(16, triton.next_power_of_2(width)), WINDOW=window, RIDGE=info.eps**0.625, TINY=info.tiny,
        TRUST=trust, RELAXATION=relaxation, num_warps=2,
    )  # fmt: skip
    return trial, sure.bool()


def takes(x: Tensor) -> bool:
    """Tell whether the kernel is made for these states, shape (N, d)."""
    return x.dtype in (torch.float32, torch.float64) and 0 < x.shape[1] <= _WIDEST and len(x) > 0
