"""Overlaps with many patterns, reduced segment by segment: what a sweep of the ball bound keeps of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hopfield_theory.fused import kernels
from hopfield_theory.model.separation import Entmax, Separation

__all__ = ["Segments", "reduced", "tiles"]

# segments of columns in a tile
_TOGETHER = {"cuda": 16}


@dataclass(frozen=True)
class Segments:
    """What is kept of the overlaps with the columns of some segments; shapes (rows, segments)."""

    exact_w: Tensor
    top: Tensor
    least: Tensor
    most: Tensor
    moments: Tensor  # (3, rows, segments)
    nearest: Tensor
    rival: Tensor
    margin_radius: Tensor  # (rows,)


def reduced(
    overlap: Tensor,
    other_square: Tensor,
    norms: Tensor,
    tilt: Tensor,
    indices: Tensor,
    columns: slice,
    tile: int,
    square_error: float,
    separation: Separation,
    score_error: float,
) -> Segments:
    """Reduce a tile of overlaps, which is overwritten, segment by segment."""
    rows = len(overlap)
    if _in_kernel(overlap, tile) and not isinstance(separation, Entmax):
        from hopfield_theory.fused.kernels.ball_sums import segment_sums

        sums, places = segment_sums(
            overlap, other_square, norms, tilt.squeeze(1), indices, columns.start, tile, square_error
        )
        return Segments(sums[0], sums[1], sums[2], sums[3], sums[4:].double(), places[0], places[1], norms)
    segments = max(1, overlap.shape[1] // tile)
    overlap = overlap.view(rows, segments, -1)
    square = torch.add(other_square.view(segments, -1), overlap, alpha=-2).add_(norms.view(-1, 1, 1))
    inside = ((indices >= columns.start) & (indices < columns.stop)).nonzero().flatten()
    place = indices[inside] - columns.start
    itself = (inside, place // overlap.shape[2], place % overlap.shape[2])
    overlap[itself] = -torch.inf

    most = square.amax(-1)
    square[itself] = torch.inf
    least, nearest = square.min(-1)
    square[itself] = 0.0
    top, rival = overlap.max(-1)

    w = square.add_(square_error).clamp_(min=0).sqrt_()
    offset = columns.start + overlap.shape[2] * torch.arange(segments, device=overlap.device)
    picked = rival.unsqueeze(-1)
    moments = overlap.new_zeros(3, rows, segments, dtype=torch.float64)
    margin_radius = norms
    if isinstance(separation, Entmax):
        lead = norms.view(-1, 1, 1) - overlap - (2 * score_error + separation.margin)
        margin_radius = (lead / w).flatten(1).amin(1)
    exact_w = w.gather(-1, picked).squeeze(-1)
    if not isinstance(separation, Entmax):
        terms = (
            overlap.addcmul_(w, tilt.unsqueeze(-1)).sub_(norms.view(-1, 1, 1)).scatter_(-1, picked, -torch.inf).exp_()
        )
        for order in range(3):
            moments[order] = torch.linalg.vecdot(terms, w)
            if order < 2:
                terms.mul_(w)
    return Segments(exact_w, top, least, most, moments, nearest + offset, rival + offset, margin_radius)


def _in_kernel(overlap: Tensor, tile: int) -> bool:
    # the last columns may be fewer than a segment
    return overlap.is_cuda and overlap.shape[1] % tile == 0 and kernels.available()


def tiles(own: Tensor, count: int, tile: int) -> Iterator[slice]:
    """Columns that are swept together: one segment on a CPU, whose cache holds it; many on a GPU."""
    together = _TOGETHER.get(own.device.type, 1) * tile
    whole = count - count % together
    yield from (slice(start, start + together) for start in range(0, whole, together))
    yield from (slice(start, min(start + tile, count)) for start in range(whole, count, tile))
