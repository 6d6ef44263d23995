r"""Many small memories at once: updates and limits of queries, each batch entry with patterns of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["distances", "limits", "storable", "update"]

# updates that queries of a batch take together, before those at rest are left behind
_TOGETHER = 25


def update(x: Tensor, patterns: Tensor, beta: float, log_noop: float) -> Tensor:
    r"""Update queries of many memories, :math:`T(x) = \Xi^\top\mathrm{softmax}_n(\beta\,\Xi x)`.

    Parameters
    ----------
    x : Tensor, shape (B, Q, d)
    patterns : Tensor, shape (B, M, d)
    beta, log_noop : float
        β, and log n (``-inf`` for the dense model).

    Returns
    -------
    Tensor, shape (B, Q, d)

    Examples
    --------
    >>> update(torch.zeros(1, 1, 2), torch.eye(2)[None], 1.0, 0.0)
    tensor([[[0.3333, 0.3333]]])
    """
    scores = beta * x @ patterns.mT
    top = scores.amax(-1, keepdim=True).clamp_min(log_noop)
    masses = (scores - top).exp_()
    return masses @ patterns / (masses.sum(-1, keepdim=True) + (log_noop - top).exp())


def limits(
    queries: Tensor, patterns: Tensor, beta: float, log_noop: float, *, tol: float, max_steps: int
) -> tuple[Tensor, Tensor]:
    """Iterate the updates of queries of many memories until a step is no longer than ``tol``.

    Parameters
    ----------
    queries : Tensor, shape (B, Q, d)
    patterns : Tensor, shape (B, M, d)
    beta, log_noop : float
        β, and log n (``-inf`` for the dense model).
    tol : float
        Length of the last step.
    max_steps : int
        Most updates.

    Returns
    -------
    limits : Tensor, shape (B, Q, d)
    at_rest : Tensor of bool, shape (B, Q)
        Whether the last step was that short.

    Examples
    --------
    >>> patterns = torch.eye(3)[None]
    >>> found, at_rest = limits(patterns, patterns, 20.0, 0.0, tol=1e-6, max_steps=100)
    >>> (found - patterns).norm(dim=-1).max() < 1e-6, at_rest.all()
    (tensor(True), tensor(True))
    """
    found, at_rest = queries.clone(), torch.zeros(queries.shape[:2], dtype=torch.bool, device=queries.device)
    memory = torch.arange(len(queries), device=queries.device)
    place = torch.arange(queries.shape[1], device=queries.device).expand(len(queries), -1)
    x, before, own = queries, queries, patterns
    for begun in range(0, max_steps, _TOGETHER):
        for _ in range(min(_TOGETHER, max_steps - begun)):
            before, x = x, update(x, own, beta, log_noop)
        moving = torch.linalg.vector_norm(x - before, dim=-1) > tol
        found[memory[:, None], place], at_rest[memory[:, None], place] = x, ~moving
        most = int(moving.sum(-1).max()) if moving.numel() else 0
        if most == 0:
            break
        if most < x.shape[1]:
            # those that move first; some at rest fill the rows of memories that have fewer
            order = torch.argsort(moving.int(), dim=-1, descending=True, stable=True)[:, :most]
            x, place = x.gather(1, order[..., None].expand(-1, -1, x.shape[-1])), place.gather(1, order)
        going = moving.any(-1)
        if not bool(going.all()):
            memory, place, x, own = memory[going], place[going], x[going], own[going]
    return found, at_rest


def distances(points: Tensor) -> Tensor:
    """Return the distances between the points of each set, infinite from a point to itself.

    Parameters
    ----------
    points : Tensor, shape (B, Q, d)

    Returns
    -------
    Tensor, shape (B, Q, Q)

    Examples
    --------
    >>> distances(torch.tensor([[[0.0], [3.0]]]))
    tensor([[[inf, 3.],
             [3., inf]]])
    """
    # differences of squared norms would drown in rounding where two points coincide
    apart = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    apart.diagonal(dim1=-2, dim2=-1).fill_(math.inf)
    return apart


def storable(patterns: Tensor, limits: Tensor, apart: float) -> Tensor:
    """Tell of each memory whether all limits are distinct and fit into disjoint balls around their patterns.

    All patterns stored implies it: each ball then holds its own limit, and the distances of two patterns to their
    limits add up to at most their distance.

    Parameters
    ----------
    patterns, limits : Tensor, shape (B, M, d)
        All patterns, and where retrieval from each ends.
    apart : float
        Limits that are closer than this are the same.

    Returns
    -------
    Tensor of bool, shape (B,)

    Examples
    --------
    >>> patterns = torch.tensor([[[0.0], [3.0]]])
    >>> storable(patterns, patterns, 1e-6), storable(patterns, patterns.mean(1, keepdim=True).expand(-1, 2, -1), 1e-6)
    (tensor([True]), tensor([False]))
    """
    errors = torch.linalg.vector_norm(limits - patterns, dim=-1)
    room = distances(patterns) - errors[:, :, None] - errors[:, None, :]
    return ((room > -apart) & (distances(limits) > apart)).all(-1).all(-1)
