r"""Retrieval: the update of a memory, iterated from every query to its fixed point (CCCP)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hopfield_theory import _arguments, _arrays
from hopfield_theory._sentences import Told, count, many
from hopfield_theory.model import fixed_point
from hopfield_theory.model.fixed_point import FixedPoint, Progress
from hopfield_theory.model.memory import Memory

__all__ = ["Retrieval", "retrieve"]


@dataclass(frozen=True, repr=False)
class Retrieval(Told, FixedPoint):
    """A :class:`~hopfield_theory.model.fixed_point.FixedPoint` with energies and the tolerance.

    States are in the space of the stored (centred, normalised) patterns.

    Attributes
    ----------
    energy : Tensor or None, shape (...)
        Energy of ``state``, if ``energies`` was set.
    tolerance : float
        The tolerance that was used: ``tol``, or the rounding of the dtype if that is larger.
    """

    energy: Tensor | None
    tolerance: float

    def lines(self) -> list[str]:
        """Return how many queries converged, and after how many updates, in sentences."""
        queries = self.steps.numel()
        if not queries:
            return ["No queries."]
        said = [
            f"{count(int(self.converged.sum()), queries, 'queries', 'query')} converged (last step ≤ "
            f"{self.tolerance:.3g}), after {many(int(self.steps.double().median()), 'update')} in the median and "
            f"{int(self.steps.max())} at most."
        ]
        ambiguous = int(self.ambiguous.sum())
        if ambiguous:
            said.append(f"{ambiguous} passed a saddle: without acceleration they may end elsewhere.")
        return said


def retrieve(
    memory: Memory,
    queries: Any,
    tol: float = 1e-8,
    max_steps: int = 1000,
    *,
    accelerate: bool = False,
    energies: bool = False,
    progress: Progress | None = None,
) -> Retrieval:
    r"""Iterate :math:`x_{t+1} = T(x_t)` from every query until a step is no longer than ``tol``.

    Converged queries leave the batch. With softmax_n, nothing of the size queries × patterns is held.

    Parameters
    ----------
    memory : Memory
    queries : array-like, shape (..., d)
        Raw queries; they are centred and normalised like the patterns.
    tol : float
        Length of the last step, above 0, in the units of the patterns. Steps below ``8 ε m`` (ε the rounding unit of
        the dtype, m the radius of the memory) are only rounding; a smaller ``tol`` is raised to that.
    max_steps : int
        Largest number of updates per query, at least 1.
    accelerate : bool
        Use safeguarded Anderson mixing, which never raises the energy and needs fewer updates where convergence is
        slow: about a fifth close to the largest load. Queries for which the plain iteration may reach another fixed
        point are marked ``ambiguous``.
    energies : bool
        Also return the energy of each final state (one more pass).
    progress : callable, optional
        Called with the number of finished queries and of all queries.

    Raises
    ------
    ValueError
        For queries of a wrong shape, with NaN or infinity or whose scores overflow, or ``tol`` or ``max_steps`` out of
        range.

    References
    ----------
    Yuille and Rangarajan 2003 (CCCP); Ramsauer et al. 2021; Hu et al. 2024.

    Examples
    --------
    >>> memory = Memory(torch.eye(3, dtype=torch.float64), beta=20.0)
    >>> found = retrieve(memory, [[0.8, 0.3, 0.0], [0.0, 0.1, 0.7]])
    >>> memory.nearest(found.state)[0], found.converged
    (tensor([0, 2]), tensor([True, True]))
    >>> found
    <Retrieval: All 2 queries converged (last step ≤ 1e-08), after 3 updates in the median and 3 at most.>
    """
    tol, max_steps = _arguments.positive("tol", tol), _arguments.integer("max_steps", max_steps, 1)
    _arguments.instance("memory", memory, Memory)
    with torch.no_grad():
        start = memory.prepare(queries)
        _arrays.check_scores("queries", start, memory.beta * memory.radius, memory._work)
        flat = start.reshape(-1, memory.dim)
        eps = torch.finfo(flat.dtype).eps
        tolerance = max(tol, 8 * eps * memory.radius)
        if accelerate:
            # an energy is a difference of terms of this size
            size = memory.radius**2 + (math.log(memory.num_patterns) + 1) / memory.beta
            found = fixed_point.accelerate(memory._step, flat, tolerance, max_steps, 16 * eps * size, progress)
        else:
            found = fixed_point.iterate(memory._update, flat, tolerance, max_steps, progress)
        whole = {name: tensor.reshape((*start.shape[:-1], *tensor.shape[1:])) for name, tensor in vars(found).items()}
        energy = memory._step(whole["state"])[1] if energies else None
        return Retrieval(**whole, energy=energy, tolerance=tolerance)
