r"""The pull of many patterns on some queries, in one pass: scores, their maximum and sum, the weighted sum of values.

Products on tensor cores, as exact as in float32: a number x in units in which :math:`|x| \le 2^{10}` is the sum of two
numbers of float16, :math:`h = \mathrm{f16}(x)` and :math:`l = \mathrm{f16}(x - h)`, up to
:math:`2^{-23}|x| + 2^{-25}`. A product is :math:`hh' + hl' + lh'` in a float32 accumulator; :math:`ll'`, some
:math:`2^{-24}` of the lengths, is left out. Weights, at most 1, are split alike in units of :math:`2^{-15}`. Tensor
cores cut off what they add, so only the sums of one tile are theirs.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from hopfield_theory.fused.kernels import launch
from hopfield_theory.fused.kernels.drawn import unit_rows

__all__ = ["pull_drawn", "pull_float32", "pull_float64"]

_HELD = tl.constexpr(-1)
_LOG2E = math.log2(math.e)
# patterns of one part: the error of its weights stays below 2⁻²³ of its sum
_PART = 1 << 17
_UNIT = 1024.0


@triton.jit
def _halves(x):
    high = x.to(tl.float16)
    return high, (x - high.to(tl.float32)).to(tl.float16)


@triton.jit
def _unit(x):
    """Return the power of two that brings the largest number into [2⁹, 2¹⁰), if it is above 2⁻¹⁰⁰, and its inverse."""
    most = tl.max(tl.max(tl.abs(x), axis=1), axis=0)
    exponent = tl.maximum((tl.cast(most, tl.int32, bitcast=True) >> 23) & 0xFF, 27)
    up, down = (263 - exponent) << 23, (exponent - 9) << 23
    return tl.cast(up, tl.float32, bitcast=True), tl.cast(down, tl.float32, bitcast=True)


@triton.jit(do_not_specialize=["seed", "first", "count", "tiles", "queries"])
def _pull(
    query_high, query_low, factor, keys, values,
    seed: tl.int64, first: tl.int64,  # pyright: ignore[reportInvalidTypeForm]
    count, tiles, size,
    top, total, mean, longest, queries,
    width: tl.constexpr, value_width: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr, WIDTH: tl.constexpr,
    VALUE_WIDTH: tl.constexpr, KIND: tl.constexpr, SAME: tl.constexpr,
):  # fmt: skip
    part = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    column, value_column = tl.arange(0, WIDTH), tl.arange(0, VALUE_WIDTH)
    there = row < queries
    inside = there[:, None] & (column < width)[None, :]
    cells = row[:, None] * width + column[None, :]
    qh = tl.load(query_high + cells, mask=inside, other=0.0)
    ql = tl.load(query_low + cells, mask=inside, other=0.0)
    to_score = tl.load(factor + row, mask=there, other=0.0)
    most = tl.full((ROWS,), float("-inf"), tl.float32)
    sums = tl.zeros((ROWS,), tl.float32)
    mixed = tl.zeros((ROWS, VALUE_WIDTH), tl.float32)
    far = tl.zeros((TILE,), tl.float32)
    begin = part * tiles * TILE
    for tile in range(0, tiles):
        start = begin + tile * TILE
        index = start + tl.arange(0, TILE).to(tl.int64)
        held = index < count
        if KIND == _HELD:
            k = tl.load(
                keys + index[:, None] * width + column[None, :],
                mask=held[:, None] & (column < width)[None, :], other=0.0,
            )  # fmt: skip
            unit, of_keys = _unit(k)
            k = k * unit
        else:
            of_keys = 1.0
            k = unit_rows(seed, first + start, size, width, TILE, WIDTH, KIND)
            if KIND == 1:
                far = tl.maximum(far, tl.where(held, tl.sum(k * k, axis=1), 0.0))
        kh, kl = _halves(k)
        z = tl.dot(qh, tl.trans(kl))
        z = tl.dot(ql, tl.trans(kh), z)
        z = tl.dot(qh, tl.trans(kh), z)
        z = tl.where(held[None, :], z * (to_score * of_keys)[:, None], float("-inf"))
        new = tl.maximum(most, tl.max(z, axis=1))
        shift = tl.where(new == float("-inf"), 0.0, new)
        again = tl.exp2(most - shift)
        weights = tl.where(held[None, :], tl.exp2(z - shift[:, None]), 0.0)
        sums = sums * again + tl.sum(weights, axis=1)
        ph, pl = _halves(weights * 32768.0)
        if SAME:
            vh, vl = kh, kl
            of_values = of_keys
        else:
            v = tl.load(
                values + index[:, None] * value_width + value_column[None, :],
                mask=held[:, None] & (value_column < value_width)[None, :], other=0.0,
            )  # fmt: skip
            unit, of_values = _unit(v)
            vh, vl = _halves(v * unit)
        added = tl.dot(ph, vl)
        added = tl.dot(pl, vh, added)
        added = tl.dot(ph, vh, added)
        mixed = mixed * again[:, None] + added * (of_values * 0.000030517578125)
        most = new
    place = part * queries + row
    tl.store(top + place, most, mask=there)
    tl.store(total + place, sums, mask=there)
    tl.store(
        mean + place[:, None] * value_width + value_column[None, :], mixed,
        mask=there[:, None] & (value_column < value_width)[None, :],
    )  # fmt: skip
    if KIND == 1:
        tl.store(longest + part, tl.max(far, axis=0))


@triton.jit(do_not_specialize=["count", "tiles", "queries"])
def _pull_double(
    query, keys, values, count, tiles, top, total, mean, queries, width: tl.constexpr, value_width: tl.constexpr,
    ROWS: tl.constexpr, TILE: tl.constexpr, WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr, SAME: tl.constexpr,
):  # fmt: skip
    part = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    column, value_column = tl.arange(0, WIDTH), tl.arange(0, VALUE_WIDTH)
    there = row < queries
    q = tl.load(
        query + row[:, None] * width + column[None, :], mask=there[:, None] & (column < width)[None, :], other=0.0
    )
    most = tl.full((ROWS,), float("-inf"), tl.float64)
    sums = tl.zeros((ROWS,), tl.float64)
    mixed = tl.zeros((ROWS, VALUE_WIDTH), tl.float64)
    begin = part * tiles * TILE
    for tile in range(0, tiles):
        index = begin + tile * TILE + tl.arange(0, TILE).to(tl.int64)
        held = index < count
        k = tl.load(
            keys + index[:, None] * width + column[None, :], mask=held[:, None] & (column < width)[None, :], other=0.0
        )
        z = tl.dot(q, tl.trans(k), out_dtype=tl.float64)
        z = tl.where(held[None, :], z, float("-inf"))
        new = tl.maximum(most, tl.max(z, axis=1))
        shift = tl.where(new == float("-inf"), 0.0, new)
        again = tl.exp(most - shift)
        weights = tl.where(held[None, :], tl.exp(z - shift[:, None]), 0.0)
        sums = sums * again + tl.sum(weights, axis=1)
        if SAME:
            v = k
        else:
            v = tl.load(
                values + index[:, None] * value_width + value_column[None, :],
                mask=held[:, None] & (value_column < value_width)[None, :], other=0.0,
            )  # fmt: skip
        mixed = tl.dot(weights, v, mixed * again[:, None], out_dtype=tl.float64)
        most = new
    place = part * queries + row
    tl.store(top + place, most, mask=there)
    tl.store(total + place, sums, mask=there)
    tl.store(
        mean + place[:, None] * value_width + value_column[None, :], mixed,
        mask=there[:, None] & (value_column < value_width)[None, :],
    )  # fmt: skip


def _columns(width: int) -> int:
    return max(16, triton.next_power_of_2(width))


def _parts(count: int, tile: int, parts: int, most: int) -> tuple[int, int]:
    """Number of parts, and of tiles in each, so that no part has more patterns than ``most``."""
    tiles = max(1, min(triton.cdiv(triton.cdiv(count, tile), parts), most // tile))
    return triton.cdiv(count, tile * tiles), tiles


def _exponents(largest: Tensor) -> Tensor:
    """Exponents e ≥ −100 with ``largest < 2ᵉ``, int32: a power of two beyond them is no number of float32."""
    return torch.frexp(largest)[1].clamp_min(-100)


def _merged(top: Tensor, total: Tensor, mean: Tensor, base: float) -> tuple[Tensor, Tensor]:
    """Average and log-sum-exp over all parts, in float64; scores are logarithms to the base."""
    high = top.amax(0)
    shift = torch.where(high == -math.inf, 0.0, high)
    shares = torch.exp((top - shift).double() * math.log(base))
    whole = (shares * total).sum(0)
    average = (shares.unsqueeze(-1) * mean).sum(0) / whole.unsqueeze(-1)
    return average, shift.double() * math.log(base) + whole.log()


def _prepared(query: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Queries in two halves, and the factor that makes base-2 scores of products."""
    exponent = _exponents(query.abs().amax(1))
    scaled = torch.ldexp(query, (10 - exponent).unsqueeze(1))
    high = scaled.half()
    factor = torch.ldexp(torch.ones_like(exponent, dtype=torch.float64), exponent - 10) * (scale * _LOG2E)
    return high, (scaled - high.float()).half(), factor.float()


def _launch(query, factors, keys, values, drawn, count, parts, kind, size):
    queries, width = query[0].shape
    value_width = values.shape[1]
    narrow = max(width, value_width) <= 64
    # tried on a card of compute capability 9.0, for held and for drawn patterns
    rows, tile = 128 if narrow and kind < 0 and queries > 64 else 64, 64 if narrow else 32
    options = {"num_warps": rows // 16, "num_stages": 3 if narrow else 2}
    if rows == 128 or max(width, value_width) <= 32:
        options["maxnreg"] = 128
    number, tiles = _parts(count, tile, parts, _PART)
    new = {"device": factors.device, "dtype": torch.float32}
    top, total = torch.empty(number, queries, **new), torch.empty(number, queries, **new)
    mean, longest = torch.empty(number, queries, value_width, **new), torch.empty(number, **new)
    seed, first = drawn
    launch(
        _pull, (number, triton.cdiv(queries, rows)),
        *query, factors, keys, values, seed, first, count, tiles, size,
        top, total, mean, longest, queries, width=width, value_width=value_width, ROWS=rows, TILE=tile,
        WIDTH=_columns(width), VALUE_WIDTH=_columns(value_width), KIND=kind, SAME=values is keys, **options,
    )  # fmt: skip
    return top, total, mean, longest


def pull_float32(query: Tensor, keys: Tensor, values: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Return softmax average (N, V) and log-sum-exp (N,) of all keys, float64, from float32.

    ``query`` is (N, d), ``keys`` (M, d) and ``values`` (M, V), contiguous; widths are at most 128.
    """
    high, low, factors = _prepared(query, beta)
    top, total, mean, _ = _launch(
        (high, low), factors, keys, values, (0, 0), len(keys), 1056 if len(query) <= 64 else 264, -1, 1.0
    )
    return _merged(top, total, mean, 2.0)


def pull_drawn(
    query: Tensor, seed: int, first: int, count: int, scale: float, kind: int, beta: float
) -> tuple[Tensor, Tensor, float | None]:
    """Return softmax average, log-sum-exp and largest norm of rows ``first`` on, none of which is ever written.

    ``kind`` is that of :func:`~hopfield_theory.fused.kernels.drawn.unit_rows`; the norm is ``None`` where it is known.
    The parts depend on ``count`` alone, so that sums do not depend on the GPU.
    """
    # normal numbers reach 6.8
    size = _UNIT if kind == 0 else _UNIT / 8
    high, low, factors = _prepared(query, beta * scale / size)
    top, total, mean, longest = _launch((high, low), factors, query, query, (seed, first), count, 4096, kind, size)
    average, lse = _merged(top, total, mean, 2.0)
    norm = math.sqrt(longest.max().item()) * scale / size if kind == 1 else None
    return average * (scale / size), lse, norm


def pull_float64(query: Tensor, keys: Tensor, values: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Return what :func:`pull_float32` returns, from float64, on tensor cores of that type."""
    queries, (count, width), value_width = len(query), keys.shape, values.shape[1]
    number, tiles = _parts(count, 32, 132 if queries > 64 else 1056, count + 32)
    top, total = query.new_empty(number, queries), query.new_empty(number, queries)
    mean = query.new_empty(number, queries, value_width)
    launch(
        _pull_double, (number, triton.cdiv(queries, 64)),
        (query * beta).contiguous(), keys, values, count, tiles, top, total, mean, queries, width=width,
        value_width=value_width, ROWS=64, TILE=32, WIDTH=_columns(width), VALUE_WIDTH=_columns(value_width),
        SAME=values is keys, num_warps=4, num_stages=2,
    )  # fmt: skip
    return _merged(top, total, mean, math.e)
