r"""Many small memories at once: updates and fixed points of queries, where each batch entry has its own patterns."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hopfield_theory.fused import kernels
from hopfield_theory.model.fixed_point import FixedPoint, Status, iterate_many

__all__ = ["distances", "fixed_points", "storable", "update"]

# updates of a whole batch before the converged queries leave it
_TOGETHER = 25
# queries of a memory up to which a kernel for each is quicker than matrix products
_FEW = 8


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


def fixed_points(
    queries: Tensor, patterns: Tensor, beta: float, log_noop: float, *, tol: float, max_steps: int
) -> FixedPoint:
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
        Largest number of updates.

    Examples
    --------
    >>> patterns = torch.eye(3)[None]
    >>> found = fixed_points(patterns, patterns, 20.0, 0.0, tol=1e-6, max_steps=100)
    >>> (found.state - patterns).norm(dim=-1).max() < 1e-6, found.converged.all()
    (tensor(True), tensor(True))
    """
    if queries.is_cuda and queries.shape[1] <= _FEW and kernels.available():
        from hopfield_theory.fused.kernels import small_memories

        found = small_memories.fixed_points(queries, patterns, beta, log_noop, tol, max_steps)
        if found is not None:
            state, steps, residual = found
            moving = ~(residual <= tol)
            status = moving.long() * int(Status.STEPS_EXHAUSTED)
            return FixedPoint(state, steps, residual, status, torch.zeros_like(moving))
    return iterate_many(
        lambda x, own: update(x, own, beta, log_noop), (patterns,), queries, tol, max_steps, every=_TOGETHER
    )


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
    # differences of squared norms would be lost in rounding where two points coincide
    apart = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    apart.diagonal(dim1=-2, dim2=-1).fill_(math.inf)
    return apart


def storable(patterns: Tensor, fixed_points: Tensor, apart: float) -> Tensor:
    """Tell per memory whether all fixed points are distinct and fit into disjoint balls around their patterns.

    This is necessary for all patterns to be stored: each ball then holds its own fixed point, and the distances of two
    patterns to their fixed points add up to at most their distance.

    Parameters
    ----------
    patterns, fixed_points : Tensor, shape (B, M, d)
        All patterns, and the fixed point that retrieval from each reaches.
    apart : float
        Fixed points closer than this count as the same.

    Returns
    -------
    Tensor of bool, shape (B,)

    Examples
    --------
    >>> patterns = torch.tensor([[[0.0], [3.0]]])
    >>> storable(patterns, patterns, 1e-6), storable(patterns, patterns.mean(1, keepdim=True).expand(-1, 2, -1), 1e-6)
    (tensor([True]), tensor([False]))
    """
    errors = torch.linalg.vector_norm(fixed_points - patterns, dim=-1)
    room = distances(patterns) - errors[:, :, None] - errors[:, None, :]
    return ((room > -apart) & (distances(fixed_points) > apart)).all(-1).all(-1)
