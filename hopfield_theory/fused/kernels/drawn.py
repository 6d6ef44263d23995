"""Patterns drawn on the chip: Philox4x32-10, Box–Muller, and rows of an ensemble as functions of their indices."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from hopfield_theory.fused.kernels import launch

__all__ = ["draw", "unit_rows"]


@triton.jit
def _cos_sin(x):
    """Return cos and sin of 2π (x + ½) / 2³²: reflected into the first octant, there by polynomials."""
    octant = x >> 29
    within = x & 0x1FFFFFFF
    # measured from the nearest multiple of π/2
    within = tl.where((octant & 1) != 0, 0x1FFFFFFF - within, within)
    angle = (within.to(tl.float32) + 0.5) * 1.4629180792671596e-09
    square = angle * angle
    sine = square * (-0.00019841270 + square * 2.7557319e-06)
    sine = angle * (1.0 + square * (-0.16666667 + square * (0.008333333 + sine)))
    cosine = square * (-0.0013888889 + square * 2.4801588e-05)
    cosine = 1.0 + square * (-0.5 + square * (0.041666668 + cosine))
    swap = ((octant + 1) & 2) != 0
    first = tl.where(swap, sine, cosine)
    second = tl.where(swap, cosine, sine)
    first = tl.where(((octant + 2) & 4) != 0, -first, first)
    return first, tl.where((octant & 4) != 0, -second, second)


@triton.jit
def _length(x):
    """Return √(−2 log((x + ½) / 2³²)), also where the logarithm is nearly 0 to a few units of float32."""
    uniform = x.to(tl.float32) * 2.3283064365386963e-10 + 1.1641532182693481e-10
    # 1 − (x + ½) / 2³², of which a float32 near 1 would keep too little
    rest = (~x).to(tl.float32) * 2.3283064365386963e-10 + 1.1641532182693481e-10
    series = 0.25 + rest * (0.2 + rest * (0.16666667 + rest * 0.14285714))
    series = rest * (1.0 + rest * (0.5 + rest * (0.33333334 + rest * series)))
    return tl.sqrt(2.0 * tl.where(rest < 0.0625, series, -tl.log(uniform)))


@triton.jit
def _sign(x):
    return tl.where((x >> 31) != 0, -1.0, 1.0)


@triton.jit
def unit_rows(seed, start, size, width: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr, KIND: tl.constexpr):
    """Return rows ``start`` on, times ``size``: (ROWS, WIDTH), zeros beyond ``width``.

    KIND 0: of unit length; 1: standard normal; 2: signs.
    """
    index = start + tl.arange(0, ROWS).to(tl.int64)
    low = (index & 0xFFFFFFFF).to(tl.uint32)[:, None]
    high = ((index >> 32) & 0xFFFFFFFF).to(tl.uint32)[:, None]
    group = tl.arange(0, WIDTH // 4).to(tl.uint32)[None, :]
    zero = low * 0 + group * 0
    a, b, c, d = tl.philox(seed.to(tl.int64), low + zero, high + zero, group + zero, zero)
    if KIND == 2:
        x0, x1, x2, x3 = _sign(a), _sign(b), _sign(c), _sign(d)
    else:
        r, s = _length(a), _length(c)
        x0, x1 = _cos_sin(b)
        x2, x3 = _cos_sin(d)
        x0, x1, x2, x3 = r * x0, r * x1, s * x2, s * x3
    if width < WIDTH:
        place = tl.arange(0, WIDTH // 4)[None, :] * 4
        x0 = tl.where(place < width, x0, 0.0)
        x1 = tl.where(place + 1 < width, x1, 0.0)
        x2 = tl.where(place + 2 < width, x2, 0.0)
        x3 = tl.where(place + 3 < width, x3, 0.0)
    # not an expression: the compiler decides it
    if KIND == 0:  # noqa: SIM108
        factor = (size / tl.sqrt(tl.sum(x0 * x0 + x1 * x1 + x2 * x2 + x3 * x3, axis=1)))[:, None]
    else:
        factor = size
    x0, x1, x2, x3 = x0 * factor, x1 * factor, x2 * factor, x3 * factor
    return tl.reshape(tl.join(tl.join(x0, x2), tl.join(x1, x3)), (ROWS, WIDTH))


@triton.jit(do_not_specialize=["seed", "first", "count"])
def _draw(
    out,
    seed: tl.int64, first: tl.int64,  # pyright: ignore[reportInvalidTypeForm]
    count, size, width: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr, KIND: tl.constexpr,
):  # fmt: skip
    start = tl.program_id(0).to(tl.int64) * ROWS
    x = unit_rows(seed, first + start, size, width, ROWS, WIDTH, KIND)
    row = start + tl.arange(0, ROWS).to(tl.int64)
    column = tl.arange(0, WIDTH)
    tl.store(out + row[:, None] * width + column[None, :], x, mask=(row < count)[:, None] & (column < width)[None, :])


def draw(seed: int, first: int, count: int, width: int, size: float, kind: int, device: torch.device) -> Tensor:
    """Return rows ``first`` to ``first + count − 1``, shape (count, width), float32."""
    out = torch.empty(count, width, device=device)
    columns = max(16, triton.next_power_of_2(width))
    rows = max(1, min(128, 8192 // columns))
    launch(
        _draw, (triton.cdiv(count, rows),),
        out, seed, first, count, size, width=width, ROWS=rows, WIDTH=columns, KIND=kind,
    )  # fmt: skip
    return out
