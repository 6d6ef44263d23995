"""The no-op slot as a gate of finished attention, in place, and the gradient of its logarithmic mass."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from hopfield_theory.fused.kernels import launch

__all__ = ["gate_", "mass_gradient"]


@triton.jit(do_not_specialize=["heads", "length", "blocks"])
def _gate(
    out, lse, log_n, heads, length, blocks, out_b, out_h, out_l, lse_b, lse_h, lse_l, mass_b, mass_h, mass_l, width,
    NUMBER: tl.constexpr, UNCHANGED: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    head = program // blocks
    batch = (head // heads).to(tl.int64)
    head = (head % heads).to(tl.int64)
    row = (program % blocks) * ROWS + tl.arange(0, ROWS)
    there = row < length
    far_row = row.to(tl.int64)
    place = lse + batch * lse_b + head * lse_h + far_row * lse_l
    seen = tl.load(place, mask=there, other=0.0)
    if NUMBER:
        mass = tl.zeros((ROWS,), tl.float32) + log_n
    else:
        mass = tl.load(log_n + batch * mass_b + head * mass_h + far_row * mass_l, mask=there, other=0.0).to(tl.float32)
    unknown = seen != seen  # noqa: PLR0124 (NaN)
    some = (seen > float("-inf")) | unknown
    top = tl.maximum(seen, mass)
    shift = tl.where(top == float("-inf"), 0.0, top)
    # finite where no key is seen and n = 0, so that the backward pass finds weights exp(−∞ − ℓ_n) of 0
    joined = tl.where(unknown, seen, shift + tl.log(1.0 + tl.exp(tl.minimum(seen, mass) - shift)))
    share = tl.where(some, tl.exp(seen - joined), 0.0)
    tl.store(place, joined, mask=there)
    column = tl.arange(0, COLUMNS)
    cells = out + batch * out_b + head * out_h + far_row[:, None] * out_l + column[None, :]
    # the product would be rounded to the factor: such rows are not read
    changes = (1.0 - share >= UNCHANGED) | unknown
    inside = (there & changes)[:, None] & (column < width)[None, :]
    values = tl.load(cells, mask=inside, other=0.0).to(tl.float32)
    # an operator may leave NaN where no key is seen
    values = tl.where(some[:, None], values * share[:, None], 0.0)
    tl.store(cells, values.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["heads", "length", "blocks"])
def _mass_gradient(
    out, grad, lse, log_n, result, heads, length, blocks,
    out_b, out_h, out_l, grad_b, grad_h, grad_l, lse_b, lse_h, lse_l, mass_b, mass_h, mass_l, width,
    COLUMNS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    both = program // blocks
    batch = (both // heads).to(tl.int64)
    head = (both % heads).to(tl.int64)
    row = (program % blocks) * ROWS + tl.arange(0, ROWS)
    there = row < length
    far_row = row.to(tl.int64)
    joined = tl.load(lse + batch * lse_b + head * lse_h + far_row * lse_l, mask=there, other=0.0)
    mass = tl.load(log_n + batch * mass_b + head * mass_h + far_row * mass_l, mask=there, other=0.0).to(tl.float32)
    column = tl.arange(0, COLUMNS)
    inside = there[:, None] & (column < width)[None, :]
    x = tl.load(out + batch * out_b + head * out_h + far_row[:, None] * out_l + column[None, :], mask=inside, other=0.0)
    g = tl.load(
        grad + batch * grad_b + head * grad_h + far_row[:, None] * grad_l + column[None, :], mask=inside, other=0.0
    )
    inner = tl.sum(x.to(tl.float32) * g.to(tl.float32), axis=1)
    tl.store(result + both.to(tl.int64) * length + row, -tl.exp(mass - joined) * inner, mask=there)


# x (1 − s) rounds to x for every x if s is below a quarter of the type's ε: neighbours of x are at least ε|x|/2 away
_UNCHANGED = {dtype: torch.finfo(dtype).eps / 4 for dtype in (torch.float16, torch.bfloat16, torch.float32)}


def _tile(width: int) -> tuple[int, int]:
    columns = triton.next_power_of_2(width)
    return columns, max(16, min(128, 4096 // columns))


def gate_(out: Tensor, lse: Tensor, log_n: Tensor | float) -> None:
    """Change ``out`` (B, H, L, V) and ``lse`` (B, H, L) as :func:`hopfield_theory.fused.gate.gate_` says."""
    batch, heads, length, width = out.shape
    columns, rows = _tile(width)
    blocks = triton.cdiv(length, rows)
    number = not isinstance(log_n, Tensor)
    mass = lse if number else log_n.expand(lse.shape)
    launch(
        _gate, (batch * heads * blocks,),
        out, lse, log_n if number else mass, heads, length, blocks, *out.stride()[:3], *lse.stride(), *mass.stride(),
        width, NUMBER=number, UNCHANGED=_UNCHANGED[out.dtype], COLUMNS=columns, ROWS=rows,
    )  # fmt: skip


def mass_gradient(out: Tensor, grad: Tensor, lse: Tensor, log_n: Tensor) -> Tensor:
    """Return what :func:`hopfield_theory.fused.gate.mass_gradient` says."""
    batch, heads, length, width = out.shape
    columns, rows = _tile(width)
    blocks = triton.cdiv(length, rows)
    mass = log_n.expand(lse.shape)
    result = torch.empty(batch, heads, length, dtype=torch.float32, device=out.device)
    launch(
        _mass_gradient, (batch * heads * blocks,),
        out, grad, lse, mass, result, heads, length, blocks,
        *out.stride()[:3], *grad.stride()[:3], *lse.stride(), *mass.stride(), width, COLUMNS=columns, ROWS=rows,
    )  # fmt: skip
    return result
