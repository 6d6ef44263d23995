r"""Which patterns of a given memory are provably stored, and from how far away they are reached.

*Stored* is defined as in Ramsauer et al. (2021): there are disjoint balls around the patterns, and the ball of a stored
pattern contains one fixed point, to which every query in the ball converges. The proof is the bound of
:mod:`~hopfield_theory.certificates.ball_bound`, never weaker than T12. A ball is *admissible* if its radius is below
half the distance to the nearest other pattern: such balls are disjoint, whichever patterns are stored. A pattern is
stored if the bound proves an admissible ball for it, and not stored if the iteration from the pattern itself ends
outside every admissible ball. Of two patterns that end at one fixed point at least one does, since disjoint balls
cannot both hold that point; if they meet midway, as near as retrieval tells, both count as lost. Where such an end is
proved (:mod:`~hopfield_theory.certificates.orbits`), so is the loss.

Queries far from every pattern end at the no-op state if there is one (:mod:`~hopfield_theory.certificates.rejection`).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from hopfield_theory import _arguments
from hopfield_theory._sentences import Told, count, rows_named, up, verb
from hopfield_theory.certificates.ball_bound import CertifiedBalls, certified_balls
from hopfield_theory.certificates.orbits import arrives, attracting_ball, one_update
from hopfield_theory.certificates.rejection import Rejection, rejection
from hopfield_theory.model.fixed_point import FixedPoint
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.model.separation import Entmax, SoftmaxN

__all__ = ["Certificate", "Guarantee", "Storage", "certify", "check_separation", "guaranteed", "shared_with"]

Progress = Callable[[int, int], None]

# patterns per block of rows: the pass holds about 16 × _ROWS × M/64 numbers at once, on a GPU a tile of 2¹⁴ columns too
_ROWS, _ROWS_ON_GPU = 1024, 1 << 15
# in place of a pattern
_UNDECIDED, _NOTHING = -1, -2


class Storage(enum.IntEnum):
    """The decision about a pattern; ``message`` is the explanation."""

    message: str

    def __new__(cls, value: int, message: str) -> Storage:
        """Make a member from its number and its message."""
        storage = int.__new__(cls, value)
        storage._value_, storage.message = value, message
        return storage

    STORED = 0, "stored: proved that every query within the radius ends at one fixed point nearby"
    NOT_STORED = 1, "not stored: retrieval from the pattern ends outside every admissible ball"
    UNDECIDED = 2, "undecided: the bound proves no ball, and retrieval from the pattern does not leave it"


@dataclass(frozen=True, repr=False)
class Certificate(Told, CertifiedBalls):
    r"""What was proved about each pattern of a memory; tensors of shape (M,), lengths in the units of the patterns.

    It has the attributes of :class:`~hopfield_theory.certificates.ball_bound.CertifiedBalls` (``radius``, ``error``,
    ``contraction``, ``nearest_distance``, ``nearest``, ``gap``, ``rival``), and:

    Attributes
    ----------
    status : Tensor of int64
        A :class:`Storage` per pattern.
    fixed_point_distance : Tensor
        Distance from the pattern to where retrieval from the pattern itself ended; NaN for stored patterns (they are
        not followed) and where it did not converge.
    merged_with : Tensor of int64
        Another pattern from which retrieval ends at the same fixed point, so that not both are stored; −1 for none,
        and for a certified pattern, which keeps its fixed point.
    loss_proved : Tensor of bool
        Which patterns are proved not to be stored: retrieval from the pattern is proved to end outside every admissible
        ball, or at one fixed point with ``merged_with``, so that not both are stored, and midway between the two, as
        near as retrieval tells (1 000 of its last step): by so little the nearer one may be stored after all.
    rejects : Rejection or None
        The ball around 0 whose queries end at the no-op state, with its radius and error and a score below which every
        query is rejected; None if none is proved.
    beta, memory_radius : float
        β, and the largest norm of a pattern.

    Notes
    -----
    Every query closer than ``radius`` ends at the pattern's fixed point, which is at most ``error`` away from the
    pattern. ``contraction`` turns the last step into an error (T13):
    :math:`\|x_{t+1} - x^*\| \le L\,\|x_{t+1} - x_t\|/(1 - L)`. A pattern with ``gap`` ≤ 0 cannot be certified at any
    β, since at the pattern itself its ``rival`` scores at least as high (ε is then at least their distance); it may
    still be stored at a small β.

    Examples
    --------
    >>> certify(Memory(torch.eye(3, dtype=torch.float64), beta=10.0))
    <Certificate: All 3 patterns proved stored at β = 10; 0 not stored, 0 undecided.>
    """

    status: Tensor
    fixed_point_distance: Tensor
    merged_with: Tensor
    loss_proved: Tensor
    rejects: Rejection | None
    beta: float
    memory_radius: float

    @property
    def stored(self) -> Tensor:
        """Which patterns are proved to be stored."""
        return self.status == Storage.STORED

    @property
    def retrieved(self) -> Tensor:
        """Whether retrieval from each pattern ends close to it, and from no other there: proved, or followed."""
        return self.stored | ((self.fixed_point_distance < 0.5 * self.nearest_distance) & (self.merged_with < 0))

    def lines(self, least_noop: float | None = None) -> list[str]:
        """Return what was proved, in sentences.

        Parameters
        ----------
        least_noop : float, optional
            The result of :func:`~hopfield_theory.least_noop` for the memory, to be named if no query is rejected.
        """
        stored, lost, open_ = (int((self.status == status).sum()) for status in Storage)
        proved = f" (of which {int(self.loss_proved.sum())} proved)" if lost else ""
        said = [
            f"{count(stored, len(self.status))} proved stored at β = {self.beta:g}; {lost} not stored{proved}, "
            f"{open_} undecided."
        ]
        if stored:
            radii, errors = self.radius[self.stored], self.error[self.stored]
            said.append(
                f"Every query closer to a stored pattern than its radius ends at it: radii from {radii.min():.4g} "
                f"(median {radii.median():.4g}) in a memory of radius {self.memory_radius:.4g}, final errors at most "
                f"{errors.max():.3g}."
            )
        if open_:
            followed = int((self.retrieved & ~self.stored).sum())
            said.append(
                f"Of the undecided, {followed} {verb(followed)} retrieved in fact when the query is the pattern itself "
                "(not a proof)."
            )
        again = self.nearest_distance == 0
        merged = _rows((self.merged_with >= 0) & ~again)
        if merged:
            pairs = [f"{index} (with {int(self.merged_with[index])})" for index in merged]
            said.append(f"Merged, ending at one fixed point with another, so not both stored: {rows_named(pairs)}.")
        repeated = _rows(again)
        if repeated:
            said.append(
                f"{len(repeated)} rows equal another row, and a pattern cannot be stored twice: {rows_named(repeated)}."
            )
        blocked = _rows((self.gap <= 0) & ~again)
        if blocked:
            than = (
                "it no less than it overlaps itself"
                if len(blocked) == 1
                else "them no less than they overlap themselves"
            )
            said.append(
                f"{len(blocked)} {verb(len(blocked))} certified at no β and lost at every large one, since another "
                f"pattern overlaps {than} (normalising removes this): {rows_named(blocked)}."
            )
        return [*said, self._rejection_line(least_noop)]

    def _rejection_line(self, least_noop: float | None) -> str:
        rejects = self.rejects
        if rejects is not None:
            near = f" closer to 0 than {rejects.radius:.4g}" if rejects.radius < math.inf else ""
            scores = f", or with scores of at most {rejects.score:.4g}," if rejects.score < math.inf else ""
            end = f"it ends at the no-op state, at most {rejects.error:.3g} from 0"
            return f"Every query{near}{scores} is rejected: {end}."
        if least_noop is None:
            return "No query is proved to be rejected."
        if least_noop < math.inf:
            return f"No query is proved to be rejected; some are from n = {up(least_noop)} on."
        return "No query is proved to be rejected, at any n."


class Guarantee(NamedTuple):
    """What is known of queries before retrieval; the leading shape is theirs.

    Attributes
    ----------
    pattern : Tensor of int64
        The pattern as which a query is retrieved; −1 if undecided, −2 if it is retrieved as none and ends at the no-op
        state.
    error : Tensor of float64
        Largest distance from that pattern, or from 0 for the no-op state, at which the query can end; NaN if undecided.
    """

    pattern: Tensor
    error: Tensor

    @property
    def decided(self) -> Tensor:
        """Which queries have a guarantee."""
        return self.pattern != _UNDECIDED

    @property
    def rejected(self) -> Tensor:
        """Which queries are guaranteed to end at the no-op state."""
        return self.pattern == _NOTHING


def guaranteed(memory: Memory, queries: Any) -> Guarantee:
    r"""Return the pattern as which each query is guaranteed to be retrieved, and how exactly, without retrieval.

    Only the balls of the patterns nearest to the queries are computed, at the cost of about ten updates. A query is
    guaranteed to be retrieved as nothing if it or its first update is in the ball of the no-op state.

    Parameters
    ----------
    memory : Memory
        A memory with the separation ``SoftmaxN`` or ``Entmax``; TypeError for others.
    queries : array-like, shape (..., d)
        Raw queries; they are centred and normalised like the patterns.

    Examples
    --------
    >>> memory = Memory(torch.eye(2, dtype=torch.float64), beta=50.0, noop=1e6)
    >>> guaranteed(memory, [[0.9, 0.1], [0.4, 0.4], [-0.1, 0.1]]).pattern
    tensor([ 0, -1, -2])
    """
    check_separation(memory)
    states = memory.prepare(queries)
    nearest, distance = memory.nearest(states)
    # distances are rounded in the dtype of the memory, relative to the size of its patterns
    rounding = 8 * memory.dim**0.5 * torch.finfo(distance.dtype).eps * memory.radius
    distance = distance.double() + rounding
    patterns, where = torch.unique(nearest, return_inverse=True)
    blank = distance.new_full(patterns.shape, torch.nan)
    low, high = (
        blank.scatter_reduce(0, where.flatten(), distance.flatten(), how, include_self=False)
        for how in ("amin", "amax")
    )
    found = _in_blocks(memory, patterns, None, (low, high))
    inside = distance < found.radius[where]
    pattern = torch.where(inside, nearest, _UNDECIDED)
    error = torch.where(inside, found.error[where], torch.nan)
    proof = rejection(memory)
    if proof is not None:
        nothing = ~inside & (torch.linalg.vector_norm(states.double(), dim=-1) * (1 + 1e-12) < proof.radius)
        rest = ~inside & ~nothing
        if bool(rest.any()):
            image, moved = one_update(_as_stored(memory), states[rest].double())
            nothing[rest] = torch.linalg.vector_norm(image, dim=-1) * (1 + 1e-12) + moved < proof.radius
        pattern[nothing], error[nothing] = _NOTHING, proof.error
    return Guarantee(pattern, error)


def certify(memory: Memory, max_steps: int = 10_000, progress: Progress | None = None) -> Certificate:
    r"""Decide for every pattern whether it is stored, and prove a radius, an error and a contraction.

    First one pass over all pairs of patterns in blocks, never M × M at once; then retrieval from the patterns that no
    ball certifies.

    Parameters
    ----------
    memory : Memory
        A memory with the separation ``SoftmaxN`` or ``Entmax``; TypeError for others.
    max_steps : int
        Largest number of updates per pattern, at least 1; a pattern that has not converged by then is undecided.
    progress : callable, optional
        Called with the number of finished patterns and of all patterns, in the pass over pairs and again in retrieval.

    Notes
    -----
    "Stored" is proved, with the rounding margins of :mod:`~hopfield_theory.certificates.ball_bound`. "Not stored" rests
    on an iteration in floating point whose end must lie outside the admissible balls by more than 1 000 times its last
    step: by T13 this is enough if T contracts by a factor below 0.999 there. ``loss_proved`` says where it is proved.

    References
    ----------
    Definition of storage: Ramsauer et al. 2021 (arXiv:2008.02217). Bound: T12, with the actual sums.

    Examples
    --------
    >>> proof = certify(Memory(torch.eye(3, dtype=torch.float64), beta=10.0))
    >>> proof.stored, proof.radius[0] > 0.4, proof.error[0] < 0.001
    (tensor([True, True, True]), tensor(True), tensor(True))
    """
    max_steps = _arguments.integer("max_steps", max_steps, 1)
    check_separation(memory)
    found = _in_blocks(memory, torch.arange(memory.num_patterns, device=memory.patterns.device), progress)
    followed = _follow(memory, found.radius, found.nearest_distance, max_steps, progress)
    return Certificate(
        **vars(found), **followed, rejects=rejection(memory), beta=memory.beta, memory_radius=memory.radius
    )


def shared_with(memory: Memory, patterns: Tensor, found: FixedPoint) -> Tensor:
    """Return for each pattern, and the end of a query for it, the nearest other pattern if that one ends there too.

    Two patterns that share a fixed point are not both stored, and a query that ends there retrieves neither. −1 for
    none, and for a pattern with a certified ball, which keeps its fixed point.

    Parameters
    ----------
    memory : Memory
        A memory with the separation ``SoftmaxN`` or ``Entmax``; TypeError for others.
    patterns : Tensor of int64, shape (K,)
    found : FixedPoint
        Where the queries ended, shapes (K, d) and (K,).

    Examples
    --------
    >>> memory = Memory(torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]], dtype=torch.float64), beta=8.0)
    >>> shared_with(memory, torch.tensor([0, 2]), retrieve(memory, memory.patterns[[0, 2]]))
    tensor([ 1, -1])
    """
    check_separation(memory)
    other = torch.full_like(patterns, -1)
    if memory.num_patterns == 1 or not len(patterns):
        return other
    wide = _as_stored(memory)
    squares = (wide.patterns * wide.patterns).sum(1)
    nearest = []
    for rows, block in zip(patterns.split(_ROWS), found.state.double().split(_ROWS), strict=True):
        scores = squares - 2 * block @ wide.patterns.mT
        nearest.append(scores.scatter_(1, rows.unsqueeze(1), torch.inf).argmin(1))
    nearest = torch.cat(nearest)
    followed, where = torch.unique(nearest, return_inverse=True)
    ends = retrieve(wide, wide.patterns[followed], max_steps=10_000)
    # what is left to go is taken for up to 1 000 of the last step
    reach = (
        1000 * (found.residual.double() + ends.residual[where]) + 16 * torch.finfo(torch.float64).eps * memory.radius
    )
    apart = torch.linalg.vector_norm(ends.state[where] - found.state.double(), dim=1)
    shared = (found.converged & ends.converged[where] & (apart <= reach)).nonzero().flatten()
    if len(shared):
        own, back = torch.unique(patterns[shared], return_inverse=True)
        shared = shared[_in_blocks(memory, own, None).radius[back] == 0]
    other[shared] = nearest[shared]
    return other


def _as_stored(memory: Memory) -> Memory:
    """Return the memory in float64, for queries that are centred and normalised already."""
    wide = memory.at(dtype=torch.float64)
    wide.shift, wide.normalise = None, False
    return wide


def check_separation(memory: Memory) -> None:
    """Refuse what has no certificate."""
    _arguments.instance("memory", memory, Memory)
    if not isinstance(memory.separation, SoftmaxN | Entmax):
        raise TypeError(f"separation is {memory.separation!r}: only SoftmaxN and Entmax have a certificate")


def _rows(which: Tensor) -> list[int]:
    return which.nonzero().flatten().tolist()


def _in_blocks(
    memory: Memory, indices: Tensor, progress: Progress | None, decides: tuple[Tensor, Tensor] | None = None
) -> CertifiedBalls:
    parts, done = [], 0
    for block in indices.split(_ROWS_ON_GPU if memory.patterns.device.type == "cuda" else _ROWS):
        rows = slice(done, done + len(block))
        compared = None if decides is None else (decides[0][rows], decides[1][rows])
        parts.append(certified_balls(memory, block, decides=compared))
        done += len(block)
        if progress is not None:
            progress(done, len(indices))
    return CertifiedBalls(
        **{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(CertifiedBalls)}
    )


def _follow(
    memory: Memory, radius: Tensor, nearest_distance: Tensor, max_steps: int, progress: Progress | None
) -> dict[str, Tensor]:
    """Status of every pattern; where retrieval ended, and with which other, for those not stored by the bound."""
    stored = radius > 0
    status = torch.where(stored, int(Storage.STORED), int(Storage.UNDECIDED))
    fixed_point_distance, merged_with = torch.full_like(nearest_distance, torch.nan), torch.full_like(status, -1)
    loss_proved = nearest_distance == 0
    followed = (~stored).nonzero().flatten()
    if len(followed):
        wide = _as_stored(memory)
        start = wide.patterns[followed]
        with torch.autocast(start.device.type, enabled=False):
            found = retrieve(wide, start, max_steps=max_steps, progress=progress)
        distance = torch.linalg.vector_norm(found.state - start, dim=-1)
        half, doubt = 0.5 * nearest_distance[followed], 1000 * found.residual
        status[followed[found.converged & (distance - doubt >= half)]] = Storage.NOT_STORED
        fixed_point_distance[followed] = torch.where(found.converged, distance, torch.nan)
        partner = _partners(found)
        nearest, left = wide.nearest(found.state)
        # by the bound, all of a certified ball ends at its fixed point
        certified = found.converged & (left < radius[nearest]) & (nearest != followed)
        merged_with[followed] = torch.where(partner >= 0, followed[partner], torch.where(certified, nearest, -1))
        # two that meet midway are on the border of their largest balls, as near as retrieval tells
        status[followed[(merged_with[followed] >= 0) & (distance + doubt >= half)]] = Storage.NOT_STORED
        if isinstance(memory.separation, SoftmaxN):
            stored_at = torch.where(certified, nearest, -1)
            loss_proved[followed] |= _proved_losses(wide, start, found, half, partner, stored_at, radius)
    # a duplicate has no admissible ball
    status[nearest_distance == 0] = Storage.NOT_STORED
    return {
        "status": status,
        "fixed_point_distance": fixed_point_distance,
        "merged_with": merged_with,
        "loss_proved": loss_proved & (status == Storage.NOT_STORED),
    }


def _proved_losses(
    memory: Memory, start: Tensor, found: FixedPoint, half: Tensor, partner: Tensor, stored_at: Tensor, radius: Tensor
) -> Tensor:
    """Which starts are proved to end outside the balls of radius ``half``, or where their partner or a stored one does.

    ``partner`` has a row and ``stored_at`` a stored pattern in whose ball the row ends, or −1.
    """
    rows = (found.converged & ((partner >= 0) | (stored_at >= 0) | _outside(start, found.state, half))).nonzero()
    rows = rows.flatten()
    centres, radii, errors = memory.patterns[stored_at], torch.zeros_like(half), torch.zeros_like(half)
    ball = torch.full_like(partner, -1)
    radii[stored_at >= 0] = radius[stored_at[stored_at >= 0]]
    left = rows[stored_at[rows] < 0]
    while len(left):
        centre = found.state[left[0]]
        error, reach = attracting_ball(memory, centre) or (0.0, 0.0)
        # one ball for all that end in it
        near = torch.linalg.vector_norm(found.state[left] - centre, dim=1) <= max(0.5 * reach, 1e-6 * memory.radius)
        same = left[near]
        centres[same], radii[same], errors[same], ball[same] = centre, reach, error, left[0]
        left = left[~near]
    arrived = torch.zeros_like(found.converged)
    arrived[rows] = arrives(memory, start[rows], centres[rows], radii[rows], int(found.steps.max()))
    shared = (stored_at >= 0) | ((partner >= 0) & arrived[partner] & (ball[partner] == ball))
    return arrived & (shared | _outside(start, centres, half + errors))


def _outside(start: Tensor, end: Tensor, reach: Tensor) -> Tensor:
    return torch.linalg.vector_norm(end - start, dim=1) * (1 - 1e-9) >= reach


def _partners(found: FixedPoint) -> Tensor:
    """Return for each row another one that converged to the same fixed point, −1 for none."""
    rows = found.converged.nonzero().flatten()
    partner = torch.full_like(found.steps, -1)
    if len(rows) < 2:
        return partner
    states = found.state[rows].cpu().numpy()
    # as for what is outside a ball: what is left to go is taken for up to 1 000 of the last step
    reach = 2000 * float(found.residual[rows].max()) + 16 * np.finfo(float).eps * float(np.abs(states).max())
    nearest: Any = KDTree(states).query(states, k=2, distance_upper_bound=reach)
    distance, place = nearest
    # of two equal states either may come first
    other = np.where(place[:, 0] == np.arange(len(rows)), place[:, 1], place[:, 0])
    met = np.isfinite(distance[:, 1])
    partner[rows[torch.as_tensor(met, device=rows.device)]] = rows[torch.as_tensor(other[met], device=rows.device)]
    return partner
