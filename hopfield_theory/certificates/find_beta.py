r"""The inverse temperature from which on a set of patterns is certified as stored, and from which on retrieved."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hopfield_theory.certificates.certify import Storage, certify
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.separation import Separation

__all__ = ["BetaSearch", "beta_grid", "find_beta"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BetaSearch:
    r"""The results for M patterns at the K values of a grid of β.

    Attributes
    ----------
    betas : Tensor, shape (K,)
        The grid, ascending.
    stored : Tensor of bool, shape (K, M)
        Which patterns are certified at each β.
    retrieved : Tensor of bool, shape (K, M)
        Which patterns are retrieved: certified, or retrieval from the pattern itself ends within half the distance to
        the nearest other pattern, at a fixed point that no other pattern shares.
    undecided : Tensor of bool, shape (K, M)
        Which patterns are neither certified nor known to be lost.
    gap, rival, nearest_distance, nearest : Tensor, shape (M,)
        Same as in :class:`~hopfield_theory.Certificate`.
    """

    betas: Tensor
    stored: Tensor
    retrieved: Tensor
    undecided: Tensor
    gap: Tensor
    rival: Tensor
    nearest_distance: Tensor
    nearest: Tensor

    def _from(self, reached: Tensor) -> float:
        """The least β of the grid from which on ``reached`` (K,) is true throughout; infinite if there is none."""
        missed = (~reached).nonzero().flatten()
        first = int(missed[-1]) + 1 if len(missed) else 0
        return float(self.betas[first]) if first < len(self.betas) else math.inf

    @property
    def certified_from(self) -> float:
        """The least β of the grid from which on every pattern is certified; infinite if there is none."""
        return self._from(self.stored.all(1))

    @property
    def retrieved_from(self) -> float:
        """The least β of the grid from which on every pattern is retrieved; infinite if there is none."""
        return self._from(self.retrieved.all(1))

    @property
    def losses(self) -> list[tuple[float, float, list[int]]]:
        """Where retrieval is not monotone: two neighbouring β, and the patterns retrieved only at the lower one."""
        lost = self.retrieved[:-1] & ~self.retrieved[1:] & ~self.undecided[1:]
        return [
            (float(self.betas[k]), float(self.betas[k + 1]), lost[k].nonzero().flatten().tolist())
            for k in lost.any(1).nonzero().flatten().tolist()
        ]

    @property
    def blocking(self) -> dict[int, str]:
        """The patterns that are not certified at the largest β, with the reason for each.

        A pattern inside the convex hull of the others always overlaps one of them at least as much as itself.
        """
        reasons = {}
        for index in (~self.stored[-1]).nonzero().flatten().tolist():
            nearest, rival = int(self.nearest[index]), int(self.rival[index])
            if self.nearest_distance[index] == 0:
                reasons[index] = f"a duplicate of pattern {nearest}"
            elif self.gap[index] <= 0:
                reasons[index] = f"its overlap with pattern {rival} is no less than with itself: no β certifies it"
            else:
                reasons[index] = f"the grid ends too early: its gap to pattern {rival} is {float(self.gap[index]):.3g}"
        return reasons


def beta_grid(radius: float) -> Tensor:
    """Return the default grid: ``β m²`` from 1 to 2²⁰ in steps of a factor √2, shape (41,).

    Parameters
    ----------
    radius : float
        ``m``, the largest norm of a pattern, above 0.

    Examples
    --------
    >>> grid = beta_grid(2.0)
    >>> grid[0].item(), grid[-1].item()
    (0.25, 262144.0)
    """
    even = 2.0 ** torch.arange(21, dtype=torch.float64)
    grid = torch.stack([even, even * math.sqrt(2)], 1).flatten()[:-1] / radius / radius
    if not (grid[0] > 1e-300 and grid[-1] < 1e300):
        raise ValueError(f"patterns reach a norm of {radius:.3g}: their β leave the floats; scale or normalise them")
    return grid


def find_beta(
    patterns: Any,
    noop: float | None = None,
    *,
    separation: Separation | None = None,
    centre: bool = False,
    normalise: bool = False,
    betas: Sequence[float] | Tensor | None = None,
    max_steps: int = 10_000,
    progress: Progress | None = None,
) -> BetaSearch:
    r"""Certify a set of patterns at every β of a grid.

    A pattern certified by a ball smaller than its norm stays certified at larger β: at a fixed radius every term of the
    bound decreases. Retrieval is not monotone: see ``losses``.

    Parameters
    ----------
    patterns, noop, separation, centre, normalise
        Same as for :class:`~hopfield_theory.Memory`; with the default grid, not all patterns may be zero.
    betas : sequence of float, optional
        The grid in any order, at least one value, each finite and above 0; :func:`beta_grid` by default.
    max_steps : int
        Same as for :func:`~hopfield_theory.certify`.
    progress : callable, optional
        Called with the number of finished grid points and of all grid points.

    Examples
    --------
    >>> found = find_beta(torch.eye(3, dtype=torch.float64), betas=[1.0, 4.0, 16.0])
    >>> found.certified_from
    16.0
    """
    reference = Memory(patterns, 1.0, noop, separation=separation, centre=centre, normalise=normalise)
    if betas is None and reference.radius == 0:
        raise ValueError("patterns are all zero: no β stores them; give others")
    grid = beta_grid(reference.radius) if betas is None else torch.as_tensor(betas, dtype=torch.float64).flatten()
    grid = grid.sort().values
    if len(grid) == 0 or not torch.isfinite(grid).all() or grid[0] <= 0:
        raise ValueError(f"betas are {grid.tolist()}: they must be finite numbers above 0, at least one")
    proofs = []
    for index, beta in enumerate(grid.tolist()):
        proofs.append(certify(reference.at(beta=beta), max_steps))
        if progress is not None:
            progress(index + 1, len(grid))
    last = proofs[-1]
    return BetaSearch(
        grid,
        torch.stack([proof.stored for proof in proofs]),
        torch.stack([proof.retrieved for proof in proofs]),
        torch.stack([proof.status == Storage.UNDECIDED for proof in proofs]),
        last.gap,
        last.rival,
        last.nearest_distance,
        last.nearest,
    )
