"""What a sweep of the ball bound keeps of overlaps, in one pass: extremes, and moments of exponentials."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from hopfield_theory.fused.kernels import launch

__all__ = ["segment_sums"]


@triton.jit(do_not_specialize=["start", "segments", "plane"])
def _segment_sums(
    overlap, other_square, own_square, tilt, own, start, segments, plane, square_error, sums, places,
    SEGMENT: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    segment = tl.program_id(1)
    column = segment * SEGMENT + tl.arange(0, SEGMENT)
    z = tl.load(overlap + row * segments * SEGMENT + column)
    mine, at = tl.load(own_square + row), tl.load(tilt + row)
    itself = start + column == tl.load(own + row)
    square = tl.load(other_square + column) - 2.0 * z + mine
    most = tl.max(square, axis=0)
    least, nearest = tl.min(tl.where(itself, float("inf"), square), axis=0, return_indices=True)
    z = tl.where(itself, float("-inf"), z)
    top, rival = tl.max(z, axis=0, return_indices=True)
    w = tl.sqrt(tl.maximum(tl.where(itself, 0.0, square) + tl.load(square_error), 0.0))
    exact = tl.arange(0, SEGMENT) == rival
    term = tl.exp(z + w * at - mine)
    term = tl.where(exact | itself, 0.0, term) * w
    cell = row * segments + segment
    tl.store(sums + cell, tl.sum(tl.where(exact, w, 0.0), axis=0))
    tl.store(sums + plane + cell, top)
    tl.store(sums + 2 * plane + cell, least)
    tl.store(sums + 3 * plane + cell, most)
    tl.store(sums + 4 * plane + cell, tl.sum(term, axis=0))
    term = term * w
    tl.store(sums + 5 * plane + cell, tl.sum(term, axis=0))
    tl.store(sums + 6 * plane + cell, tl.sum(term * w, axis=0))
    first = start + segment * SEGMENT
    tl.store(places + cell, first + nearest)
    tl.store(places + plane + cell, first + rival)


def segment_sums(
    overlap: Tensor, other_square: Tensor, own_square: Tensor, tilt: Tensor, own: Tensor, start: int, segment: int,
    square_error: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Reduce the overlaps of R patterns with C others, C a multiple of ``segment``, a power of two.

    Parameters
    ----------
    overlap : Tensor, shape (R, C), contiguous
    other_square, own_square : Tensor, shapes (C,) and (R,)
        Squared norms.
    tilt : Tensor, shape (R,)
    own : Tensor of int64, shape (R,)
        Indices of the R patterns; the others begin with index ``start``.
    start, segment : int
    square_error : float

    Returns
    -------
    sums : Tensor, shape (7, R, C / segment)
        Distance of the largest overlap, that overlap, least and largest squared distance, three moments of the rest.
    places : Tensor of int64, shape (2, R, C / segment)
        Indices of the nearest pattern and of the largest overlap.
    """
    rows, segments = overlap.shape[0], overlap.shape[1] // segment
    sums = overlap.new_empty(7, rows, segments)
    places = torch.empty(2, rows, segments, dtype=torch.int64, device=overlap.device)
    # a number would be rounded to float32, and the bound with it
    error = overlap.new_full((), square_error)
    launch(
        _segment_sums, (rows, segments),
        overlap, other_square, own_square, tilt, own, start, segments, rows * segments, error, sums, places,
        SEGMENT=segment, num_warps=4,
    )  # fmt: skip
    return sums, places
