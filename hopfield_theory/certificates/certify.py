r"""Which patterns of a given memory are provably stored, and from how far away they are reached.

*Stored* means, as Ramsauer et al. (2021) define it: there are disjoint balls around the patterns, and in the ball of
a stored pattern one fixed point to which every query of the ball converges. The proof is the bound of
:mod:`~hopfield_theory.certificates.ball_bound`, never weaker than T12. A ball is *admissible* if its radius is below
half the distance to the nearest other pattern: such balls are disjoint, whichever patterns are stored. A pattern is
stored if a ball that holds its fixed point, by the bound, is admissible, and not stored if the iteration from the
pattern itself ends outside every admissible ball.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from hopfield_theory import _arguments
from hopfield_theory.certificates.ball_bound import CertifiedBalls, certified_balls
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.model.separation import Entmax, SoftmaxN

__all__ = ["Certificate", "Storage", "certify", "guaranteed"]

Progress = Callable[[int, int], None]

# patterns of one block of rows: the pass holds about 16 × _ROWS × M/64 numbers at once
_ROWS = 1024


class Storage(enum.IntEnum):
    """What is known of a pattern; ``message`` says it in words."""

    message: str

    def __new__(cls, value: int, message: str) -> Storage:
        """Make a member of its number and its words."""
        storage = int.__new__(cls, value)
        storage._value_, storage.message = value, message
        return storage

    STORED = 0, "stored: proved that every query within the radius ends at one fixed point nearby"
    NOT_STORED = 1, "not stored: retrieval from the pattern itself ends outside every admissible ball"
    UNDECIDED = 2, "undecided: the bound proves no ball, and retrieval from the pattern does not leave it"


@dataclass(frozen=True)
class Certificate(CertifiedBalls):
    r"""What was proved of each pattern of a memory; tensors of shape (M,), lengths in the units of the patterns.

    The attributes of :class:`~hopfield_theory.certificates.ball_bound.CertifiedBalls` (``radius``, ``error``,
    ``contraction``, ``nearest_distance``, ``nearest``, ``gap``, ``rival``), and:

    Attributes
    ----------
    status : Tensor of int64
        A :class:`Storage` per pattern.
    fixed_point_distance : Tensor
        How far from the pattern retrieval from the pattern itself ended; NaN where stored (it was not followed) and
        where it did not converge.

    Notes
    -----
    ``radius`` says from how far away: every query closer than this ends at the pattern's fixed point. ``error`` says
    how exactly: the fixed point is at most this far from the pattern. ``contraction`` turns a last step into an error
    (T13): :math:`\|x_{t+1} - x^*\| \le L\,\|x_{t+1} - x_t\|/(1 - L)`. A pattern with ``gap`` ≤ 0 is certified at no
    β, since its ``rival`` scores no less at the pattern itself (ε is then at least their distance); it may be stored at
    a small β all the same.
    """

    status: Tensor
    fixed_point_distance: Tensor

    @property
    def stored(self) -> Tensor:
        """Which patterns are proved to be stored."""
        return self.status == Storage.STORED

    @property
    def retrieved(self) -> Tensor:
        """Which patterns retrieval from the pattern itself stays close to: proved, or followed in floating point."""
        return self.stored | (self.fixed_point_distance < 0.5 * self.nearest_distance)


def guaranteed(memory: Memory, queries: Any) -> tuple[Tensor, Tensor]:
    r"""Say of each query, before any retrieval, as which pattern it is guaranteed to be retrieved, and how exactly.

    The balls of the patterns that are nearest to the queries are computed, and no others: the cost is that of a few
    updates.

    Parameters
    ----------
    memory : Memory
        With a separation ``SoftmaxN`` or ``Entmax``.
    queries : array-like, shape (..., d)
        Raw queries: they are centred and normalised as the memory is.

    Returns
    -------
    pattern : Tensor of int64, shape (...)
        The nearest pattern where its certified ball holds the query, −1 elsewhere.
    error : Tensor of float64, shape (...)
        How far from that pattern the query ends at most; NaN elsewhere.

    Raises
    ------
    ValueError
        For queries of a wrong shape, or with NaN or infinity.
    TypeError
        For another separation.

    Examples
    --------
    >>> memory = Memory(torch.eye(2, dtype=torch.float64), beta=50.0)
    >>> guaranteed(memory, [[0.9, 0.1], [0.5, 0.5]])[0]
    tensor([ 0, -1])
    """
    _check_separation(memory)
    nearest, distance = memory.nearest(memory.prepare(queries))
    patterns, where = torch.unique(nearest, return_inverse=True)
    found = _in_blocks(memory, patterns, None)
    # the distance is rounded in the dtype of the memory, in terms of the size of its patterns
    rounding = 8 * memory.dim**0.5 * torch.finfo(distance.dtype).eps * memory.radius
    inside = distance.double() + rounding < found.radius[where]
    return torch.where(inside, nearest, -1), torch.where(inside, found.error[where], torch.nan)


def certify(memory: Memory, max_steps: int = 10_000, progress: Progress | None = None) -> Certificate:
    r"""Decide for every pattern whether it is stored, with the radius, the error and the contraction that are proved.

    One pass over all pairs of patterns in blocks, never M × M at once; then the patterns that no ball certifies are
    followed to their fixed points.

    Parameters
    ----------
    memory : Memory
        With a separation ``SoftmaxN`` or ``Entmax``.
    max_steps : int
        Most updates in following a pattern; one that has not converged by then is undecided.
    progress : callable, optional
        Called with the numbers of patterns done and of patterns in all, in the pass over pairs, and again in the
        following.

    Returns
    -------
    Certificate

    Raises
    ------
    TypeError
        For another separation.
    ValueError
        If ``max_steps`` is out of range.

    Notes
    -----
    "Stored" is proved up to the rounding margins that :mod:`~hopfield_theory.certificates.ball_bound` states. "Not
    stored" rests on an iteration in floating point, whose end must lie outside the admissible balls by more
    than 1 000 of its last step: by T13 that is enough wherever T contracts by a factor below 0.999 there.

    References
    ----------
    Definition of storage: Ramsauer et al. 2021 (arXiv:2008.02217). Bound: T12 with the actual sums.

    Examples
    --------
    >>> proof = certify(Memory(torch.eye(3, dtype=torch.float64), beta=10.0))
    >>> proof.stored, proof.radius[0] > 0.4, proof.error[0] < 0.001
    (tensor([True, True, True]), tensor(True), tensor(True))
    """
    max_steps = _arguments.integer("max_steps", max_steps, 1)
    _check_separation(memory)
    found = _in_blocks(memory, torch.arange(memory.num_patterns, device=memory.patterns.device), progress)
    status, fixed_point_distance = _follow(memory, found.radius > 0, found.nearest_distance, max_steps, progress)
    return Certificate(**vars(found), status=status, fixed_point_distance=fixed_point_distance)


def _check_separation(memory: Memory) -> None:
    if not isinstance(memory.separation, SoftmaxN | Entmax):
        raise TypeError(f"separation is {memory.separation!r}: only SoftmaxN and Entmax have a certificate")


def _in_blocks(memory: Memory, indices: Tensor, progress: Progress | None) -> CertifiedBalls:
    parts, done = [], 0
    for block in indices.split(_ROWS):
        parts.append(certified_balls(memory, block))
        done += len(block)
        if progress is not None:
            progress(done, len(indices))
    return CertifiedBalls(
        **{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(CertifiedBalls)}
    )


def _follow(
    memory: Memory, stored: Tensor, nearest_distance: Tensor, max_steps: int, progress: Progress | None
) -> tuple[Tensor, Tensor]:
    """Status of every pattern, and how far from it retrieval ended for those that are not stored by the bound."""
    status = torch.where(stored, int(Storage.STORED), int(Storage.UNDECIDED))
    fixed_point_distance = torch.full_like(nearest_distance, torch.nan)
    followed = (~stored).nonzero().flatten()
    if len(followed):
        wide = memory.at(dtype=torch.float64)
        # patterns are centred and normalised already, as raw queries are not
        wide.shift, wide.normalise = None, False
        start = wide.patterns[followed]
        with torch.autocast(start.device.type, enabled=False):
            found = retrieve(wide, start, max_steps=max_steps, progress=progress)
        distance = torch.linalg.vector_norm(found.state - start, dim=-1)
        outside = distance - 1000 * found.residual >= 0.5 * nearest_distance[followed]
        status[followed[found.converged & outside]] = Storage.NOT_STORED
        fixed_point_distance[followed] = torch.where(found.converged, distance, torch.nan)
    # a duplicate has no admissible ball at all
    status[nearest_distance == 0] = Storage.NOT_STORED
    return status, fixed_point_distance
