r"""Where retrieval from a pattern ends, as exactly as it takes to say whether it stays with the pattern.

Near its end an iteration shrinks its steps by a factor :math:`\lambda < 1`, and
:math:`\|x_{t+1} - x_t\|\,\lambda/(1 - \lambda)` is what is left to go. With twice that as its doubt, from the larger of
the last two factors, an iteration is settled once the doubt is below 1% of the distance that decides. This is
an estimate, not a proof.

Within ρ of a pattern the weight of another one is at most :math:`e^{-\beta(g_\nu - \rho w_\nu)}` of the pattern's own
(:mod:`~hopfield_theory.certificates.ball_bound` has the notation). At a large β this leaves a few neighbours, and only
those are visited until the iteration leaves that ball.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hopfield_theory.model.memory import Memory

__all__ = ["endpoints"]

# rows in a block; most neighbours of a local iteration; exponent below which a weight is negligible
_ROWS, _NEIGHBOURS, _NEGLIGIBLE = 1024, 31, 60.0


def endpoints(memory: Memory, rows: Tensor, reach: Tensor, max_steps: int, *, leave: bool) -> tuple[Tensor, Tensor]:
    """Follow patterns until it is settled whether they end within ``reach`` of where they start.

    Parameters
    ----------
    rows : Tensor of int64, shape (K,)
        Indices of the patterns, on the CPU like ``reach`` and the second result.
    reach : Tensor, shape (K,)
        Distance that decides, above 0; half the distance to the nearest other pattern.
    leave : bool
        Stop where an iteration got farther than 1.25 times ``reach``: it moves outwards, and is taken not to return.

    Returns
    -------
    state : Tensor, shape (K, d)
        Last states, within 1% of ``reach`` of their ends unless they left.
    inside : Tensor of bool, shape (K,)
        Which end within ``reach``; not where the end is on the boundary, or unsettled after ``max_steps`` updates.
    """
    # in float32 the weights are rounded by a thousandth at most
    small = memory.num_patterns > 2048 and memory.beta * memory.radius**2 < 1600
    narrow = (reach > 1e-3 * memory.radius) & small
    state = torch.empty(len(rows), memory.dim, dtype=torch.float64, device=memory.patterns.device)
    inside = torch.zeros(len(rows), dtype=torch.bool)
    for part, dtype in ((narrow, torch.float32), (~narrow, torch.float64)):
        if bool(part.any()):
            wide, place = memory.at(dtype=dtype), part.nonzero().flatten()
            with torch.no_grad(), torch.autocast(state.device.type, enabled=False):
                for block in place.split(_ROWS):
                    index = rows[block].to(state.device)
                    ends, stays = _ends(wide, index, reach[block].to(wide.patterns), max_steps, leave)
                    state[block.to(state.device)], inside[block] = ends.double(), stays.cpu()
    return state, inside


def _ends(memory: Memory, rows: Tensor, reach: Tensor, max_steps: int, leave: bool) -> tuple[Tensor, Tensor]:
    start = memory.patterns[rows]
    ends, stays = start.clone(), torch.zeros_like(rows, dtype=torch.bool)
    index, needed = _neighbours(memory, start, 1.25 * reach)
    alone = index.shape[1] <= needed.sum(1)
    local = (~alone).nonzero().flatten()
    left = torch.ones_like(stays)
    if len(local):
        width = int(needed[local].sum(1).max())
        patterns = memory.patterns[index[local, :width]]
        update = _local(memory, patterns)
        ends[local], stays[local], left[local] = _follow(
            update, memory, start[local], start[local], reach[local], max_steps, True
        )
    rest = (alone | (left & (not leave))).nonzero().flatten()
    if len(rest):
        ends[rest], stays[rest], _ = _follow(
            lambda x, place: memory._update(x), memory, start[rest], ends[rest], reach[rest], max_steps, leave
        )
    return ends, stays


def _neighbours(memory: Memory, start: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
    """The patterns of the largest weights within ``reach``, largest first, and which of them are not negligible."""
    patterns = memory.patterns
    overlap = start @ patterns.mT
    norms = (start * start).sum(1, keepdim=True)
    distance = (norms - 2 * overlap + (patterns * patterns).sum(1)).clamp_min(0).sqrt_()
    overlap.addcmul_(distance, reach.unsqueeze(1)).sub_(norms)
    most, index = overlap.topk(min(_NEIGHBOURS + 1, len(patterns)))
    return index, memory.beta * most > -_NEGLIGIBLE


def _local(memory: Memory, patterns: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    def update(x: Tensor, place: Tensor) -> Tensor:
        near = patterns if len(place) == len(patterns) else patterns[place]
        weights = memory.separation.weights(memory.beta * (near @ x.unsqueeze(-1)).squeeze(-1))
        return (weights.unsqueeze(1) @ near).squeeze(1)

    return update


def _follow(
    update: Callable[[Tensor, Tensor], Tensor],
    memory: Memory,
    origin: Tensor,
    start: Tensor,
    reach: Tensor,
    max_steps: int,
    leave: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Last states; which end within ``reach`` of the origin; which left."""
    ends, stays, left = (
        start.clone(),
        torch.zeros_like(reach, dtype=torch.bool),
        torch.zeros_like(reach, dtype=torch.bool),
    )
    rounding = 8 * torch.finfo(start.dtype).eps * memory.radius
    place, x = torch.arange(len(start), device=start.device), start
    length, factor = torch.full_like(reach, torch.inf), torch.full_like(reach, torch.inf)
    for _ in range(max_steps):
        image = update(x, place)
        step = torch.linalg.vector_norm(image - x, dim=1)
        before, factor = factor, step / length
        rate = torch.maximum(factor, before)
        doubt = torch.where(rate < 0.999, 2 * step * rate / (1 - rate), torch.inf)
        doubt = torch.where(step <= rounding, 2 * step, doubt)
        x, length = image, step
        distance = torch.linalg.vector_norm(x - origin[place], dim=1)
        away = (distance > 1.25 * reach) & leave
        settled = (doubt <= 0.01 * reach) & ((distance - reach).abs() > doubt)
        settled |= (doubt <= torch.clamp(1e-6 * reach, min=2 * rounding)) | away
        ends[place], left[place] = x, away
        # an end on the boundary is no end inside, whatever its rounding
        stays[place] = settled & (distance + doubt + 4 * rounding < (1 - 1e-5) * reach)
        going = (~settled).nonzero().squeeze(1)
        if not len(going):
            break
        place, x, reach, length, factor = place[going], x[going], reach[going], length[going], factor[going]
    return ends, stays, left
