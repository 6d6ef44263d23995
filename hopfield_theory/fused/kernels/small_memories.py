r"""Fixed points of a few queries of each of many memories: an update is two launches for all of them.

A query at rest is left alone by a flag, so that nothing has to be sorted out and no update waits for the host.
Scores are shifted by the bound :math:`\beta\|x\|m` where no exponential can then underflow, else by their running
maxima, one for each lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from hopfield_theory.fused.kernels import launch

__all__ = ["fixed_points"]

# updates between two looks of the host at the flags
_TOGETHER = 25
# numbers of a tile of patterns, and of the parts that one program joins
_TILE, _JOINED = 4096, 8192
# exponents that are well inside of each type
_DEEPEST = {torch.float32: 80.0, torch.float64: 600.0}
_WIDEST = 128
# programs that fill a large GPU
_PROGRAMS = 132 * 16


# a stride that is a multiple of 16 lets it read several numbers at once
@triton.jit(do_not_specialize=["count", "span", "queries"])
def _pull_parts(
    x, patterns, constants, done, sums, tops, means, count, stride, span, queries,
    width: tl.constexpr, COLUMNS: tl.constexpr, TILE: tl.constexpr, RUNNING: tl.constexpr,
):  # fmt: skip
    query = tl.program_id(0).to(tl.int64)
    part, parts = tl.program_id(1), tl.num_programs(1)
    if tl.load(done + query) == 0:
        column = tl.arange(0, COLUMNS)
        live = column < width
        state = tl.load(x + query * width + column, mask=live, other=0.0) * tl.load(constants)
        own = patterns + (query // queries) * width * stride
        shift = tl.load(constants + 1)
        total = tl.zeros((TILE,), state.dtype)
        mixed = tl.zeros((COLUMNS, TILE), state.dtype)
        most = tl.zeros((TILE,), state.dtype) + shift
        end = tl.minimum((part + 1) * span, count)
        for first in range(part * span, end, TILE):
            row = first + tl.arange(0, TILE)
            held = row < end
            k = tl.load(own + column[:, None] * stride + row[None, :], mask=live[:, None] & held[None, :], other=0.0)
            z = tl.where(held, tl.sum(k * state[:, None], axis=0), float("-inf"))
            if RUNNING:
                new = tl.maximum(most, z)
                again = tl.exp(most - new)
                total *= again
                mixed *= again[None, :]
                most = new
            weight = tl.exp(z - most)
            total += weight
            mixed += weight[None, :] * k
        top = tl.max(most, axis=0)
        if RUNNING:
            again = tl.exp(most - top)
            total *= again
            mixed *= again[None, :]
        cell = query * parts + part
        tl.store(sums + cell, tl.sum(total, axis=0))
        tl.store(tops + cell, top)
        tl.store(means + cell * width + column, tl.sum(mixed, axis=1), mask=live)


@triton.jit(do_not_specialize=["parts"])
def _join_parts(
    x, constants, done, steps, residual, sums, tops, means, parts,
    width: tl.constexpr, COLUMNS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    query = tl.program_id(0).to(tl.int64)
    if tl.load(done + query) == 0:
        column, part = tl.arange(0, COLUMNS), tl.arange(0, PARTS)
        live, held = column < width, part < parts
        cell = query * parts + part
        log_noop = tl.load(constants + 2)
        tops_here = tl.load(tops + cell, mask=held, other=float("-inf"))
        top = tl.maximum(tl.max(tops_here, axis=0), log_noop)
        share = tl.exp(tops_here - top)
        total = tl.sum(share * tl.load(sums + cell, mask=held, other=0.0), axis=0) + tl.exp(log_noop - top)
        mixed = tl.load(means + cell[:, None] * width + column[None, :], mask=held[:, None] & live[None, :], other=0.0)
        new = tl.fdiv(tl.sum(share[:, None] * mixed, axis=0), total)
        old = tl.load(x + query * width + column, mask=live, other=0.0)
        moved = tl.sqrt(tl.sum((new - old) * (new - old), axis=0))
        tl.store(x + query * width + column, new, mask=live)
        tl.store(residual + query, moved)
        tl.store(steps + query, tl.load(steps + query) + 1)
        tl.store(done + query, tl.where(moved <= tl.load(constants + 3), 1, 0))


def fixed_points(
    queries: Tensor, patterns: Tensor, beta: float, log_noop: float, tol: float, max_steps: int
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Iterate as :func:`hopfield_theory.model.batched.fixed_points` does; each query ends at its own update.

    Parameters
    ----------
    queries : Tensor, shape (B, Q, d)
    patterns : Tensor, shape (B, M, d)
        float32 or float64, like the queries.
    beta, log_noop, tol, max_steps
        As there.

    Returns
    -------
    tuple of Tensor, shapes (B, Q, d), (B, Q), (B, Q), or None
        States, numbers of updates, and lengths of the last steps; ``None`` for what the kernels are not made for:
        other types, d above 128, nothing to do.
    """
    (memories, each, width), count = queries.shape, patterns.shape[1]
    if queries.dtype not in _DEEPEST or width > _WIDEST or max_steps < 1 or min(memories * each, width, count) == 0:
        return None
    number = memories * each
    columns = max(16, triton.next_power_of_2(width))
    tile = _TILE // columns
    parts = max(1, min(triton.cdiv(_PROGRAMS, number), triton.cdiv(count, tile), _JOINED // columns))
    span = -(-count // (parts * tile)) * tile
    parts = -(-count // span)
    like: dict[str, Any] = {"dtype": queries.dtype, "device": queries.device}
    x = queries.reshape(number, width).clone()
    longest = torch.stack([torch.linalg.vector_norm(y, dim=-1).max() for y in (patterns, x)]).tolist()
    # an update is no longer than the longest pattern
    bound = 1.001 * abs(beta) * longest[0] * max(longest)
    running = not 2.0 * bound <= _DEEPEST[queries.dtype]
    lowest = -1e30 if running else bound
    constants = torch.tensor([beta, lowest, log_noop, tol], **like)
    stride = -(-count // 16) * 16
    whole = torch.empty(memories, width, stride, **like)
    whole[..., :count].copy_(patterns.mT)
    done = torch.zeros(number, dtype=torch.int32, device=queries.device)
    steps = torch.zeros(number, dtype=torch.int64, device=queries.device)
    residual = torch.full((number,), math.inf, **like)
    sums, tops = torch.empty(number, parts, **like), torch.empty(number, parts, **like)
    means = torch.empty(number, parts, width, **like)

    def update(times: int) -> None:
        for _ in range(times):
            launch(
                _pull_parts, (number, parts),
                x, whole, constants, done, sums, tops, means, count, stride, span, each, width=width, COLUMNS=columns,
                TILE=tile, RUNNING=running, num_warps=4,
            )  # fmt: skip
            launch(
                _join_parts, (number,),
                x, constants, done, steps, residual, sums, tops, means, parts, width=width, COLUMNS=columns,
                PARTS=_JOINED // columns, num_warps=4,
            )  # fmt: skip

    replay: Callable[[], None] | None = None
    for begun in range(0, max_steps, _TOGETHER):
        times = min(_TOGETHER, max_steps - begun)
        if begun and times == _TOGETHER and x.is_cuda:
            replay = replay or _recorded(x.device, lambda: update(_TOGETHER))
            replay()
        else:
            update(times)
        if bool(done.all()):
            break
    shape = queries.shape[:2]
    return x.view(queries.shape), steps.view(shape), residual.view(shape)


def _recorded(device: torch.device, run: Callable[[], None]) -> Callable[[], None]:
    """Record launches as a CUDA graph; the caller keeps the tensors alive that they read and write."""
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        graph.capture_begin(capture_error_mode="thread_local")
        run()
        graph.capture_end()
    torch.cuda.current_stream(device).wait_stream(stream)
    return graph.replay
