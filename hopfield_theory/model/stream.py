r"""A memory too large to hold: update, energy and fixed point from blocks of patterns, none of which is kept.

Each block gives a pair :math:`(\ell, o)`, log-sum-exp and softmax average of its patterns, and pairs are merged:

.. math:: \ell = \log(e^{\ell_1} + e^{\ell_2}), \quad o = e^{\ell_1 - \ell} o_1 + e^{\ell_2 - \ell} o_2.

Blocks are merged in order into parts of fixed size, and parts in order into the whole, in double precision, so that the
result does not depend on which worker computes which part.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hopfield_theory import _arguments, _arrays
from hopfield_theory.data.ensembles import PatternSource
from hopfield_theory.fused.attention import fused_attention
from hopfield_theory.fused.drawn import DrawnPatterns
from hopfield_theory.model import fixed_point
from hopfield_theory.model.fixed_point import FixedPoint, Progress

__all__ = ["Pull", "Stream", "in_threads"]

# patterns per part where a kernel draws them
_ON_CHIP = 1 << 30
# blocks per part: a few seconds of work at most, and many parts for the workers to share if there are many blocks
_BLOCKS = 8

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Apply a function to items, and yield the results in the order of the items."""


@dataclass(frozen=True)
class Pull:
    r"""The pull of some patterns on N queries.

    Attributes
    ----------
    log_sum : Tensor, shape (N,), float64
        :math:`\log\sum e^{\beta\langle\xi, x\rangle}`; ``-inf`` for no pattern.
    average : Tensor, shape (N, d), float64
        Average of the patterns under softmax weights.
    radius : float
        Largest norm of the patterns.
    """

    log_sum: Tensor
    average: Tensor
    radius: float

    @classmethod
    def none(cls, queries: Tensor) -> Pull:
        """Return the pull of no pattern."""
        zero = torch.zeros(queries.shape, dtype=torch.float64, device=queries.device)
        return cls(torch.full_like(zero[:, 0], -math.inf), zero, 0.0)

    def __add__(self, other: Pull) -> Pull:
        log_sum = torch.logaddexp(self.log_sum, other.log_sum)
        shift = torch.where(log_sum == -math.inf, 0.0, log_sum)
        mine, theirs = (torch.exp(part.log_sum - shift)[:, None] for part in (self, other))
        average = mine * self.average + theirs * other.average
        return Pull(log_sum, average, max(self.radius, other.radius))


def in_threads(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """Apply a function to items in as many threads as torch has, each with one core; keep the order.

    Examples
    --------
    >>> list(in_threads(lambda x: x * x, range(4)))
    [0, 1, 4, 9]
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class Stream:
    r"""The memory of a source of patterns; no pattern is kept.

    Parameters
    ----------
    source : PatternSource
        Any number of random patterns, or a mapped file. Its dtype and device are used; sums over blocks are in
        double precision. On a GPU with Triton, :class:`~hopfield_theory.fused.drawn.DrawnPatterns` are drawn by the
        kernel that uses them, in float32: none is ever written.
    beta : float
        Inverse temperature :math:`\beta`, above 0.
    noop, log_noop : float
        No-op mass :math:`n \ge 0` (1 by default), or its logarithm.
    map_fn : function, optional
        Computes the parts: a function like ``map`` that keeps the order, such as the ``map`` of an executor. By
        default the threads of this process, as many as torch has.

    Raises
    ------
    ValueError
        For numbers out of range, and in the methods for queries of a wrong shape, with NaN or infinity, or whose scores
        overflow, as for patterns that do.
    TypeError
        For queries that are not numeric, in the methods.

    Notes
    -----
    The weights carry a relative rounding error of about ``β m ‖x‖`` units of the source's dtype, like the scores.

    Examples
    --------
    >>> from hopfield_theory.data.ensembles import RandomPatterns, Sphere
    >>> source = RandomPatterns(Sphere(4.0), 200_000, 32, seed=0)
    >>> stream = Stream(source, beta=2.0)
    >>> target = source.block(0)[:1]
    >>> (stream.update(target) - target).norm() < 0.5
    tensor(True)
    """

    def __init__(
        self,
        source: PatternSource,
        beta: float,
        noop: float | None = None,
        *,
        log_noop: float | None = None,
        map_fn: Mapper | None = None,
    ) -> None:
        self.source, self.beta = source, _arguments.positive("beta", beta)
        self.log_noop = _arguments.log_noop(noop, log_noop)
        self._map_fn = map_fn or (in_threads if source.device.type == "cpu" else map)

    @property
    def num_parts(self) -> int:
        """Number of parts into which the patterns are divided."""
        if self._on_chip is not None:
            return math.ceil(self.source.num_patterns / _ON_CHIP)
        return math.ceil(self.source.num_blocks / _BLOCKS)

    @property
    def _on_chip(self) -> DrawnPatterns | None:
        """The source, if a kernel draws its patterns as it uses them."""
        source = self.source
        return source if isinstance(source, DrawnPatterns) and source.on_chip else None

    def part(self, queries: Tensor, index: int) -> Pull:
        """Return the pull of one part.

        Parameters
        ----------
        queries : Tensor, shape (N, d)
            Queries in the source's dtype, on its device.
        index : int
            Number of the part, in ``[0, num_parts)``.
        """
        if (source := self._on_chip) is not None:
            start = index * _ON_CHIP
            count = min(_ON_CHIP, source.num_patterns - start)
            average, log_sum, radius = source.pull(queries, self.beta, start, count)
            return Pull(log_sum, average, radius)
        pull = Pull.none(queries)
        with torch.no_grad():
            for block in range(index * _BLOCKS, min((index + 1) * _BLOCKS, self.source.num_blocks)):
                patterns = self.source.block(block)
                average, log_sum = fused_attention(queries, patterns, patterns, 0.0, beta=self.beta, return_lse=True)
                radius = torch.linalg.vector_norm(patterns, dim=-1).amax().item()
                pull = pull + Pull(log_sum.double(), average.double(), radius)
        return pull

    def pull(self, queries: Any, progress: Progress | None = None) -> Pull:
        """Return the pull of all patterns.

        Parameters
        ----------
        queries : array-like, shape (N, d) or (d,)
        progress : callable, optional
            Called with the number of finished parts and of all parts.
        """
        rows = self._rows(queries)
        pull = Pull.none(rows)
        for done, part in enumerate(self._map_fn(_Part(self, rows), range(self.num_parts)), 1):
            pull = pull + part
            if progress is not None:
                progress(done, self.num_parts)
        if not math.isfinite(pull.radius):
            raise ValueError(f"patterns overflow {self.source.dtype}: use a wider dtype, or scale them down")
        _arrays.check_scores("queries", rows, self.beta * pull.radius, torch.promote_types(rows.dtype, torch.float32))
        return pull

    def update(self, queries: Any, progress: Progress | None = None) -> Tensor:
        r"""Return :math:`T(x) = \Xi^\top\mathrm{softmax}_n(\beta\,\Xi x)`, in the source's dtype."""
        return self.step(queries, progress)[0]

    def energy(self, queries: Any, progress: Progress | None = None) -> Tensor:
        r"""Return :math:`E(x)`, float64."""
        return self.step(queries, progress)[1]

    def step(self, queries: Any, progress: Progress | None = None) -> tuple[Tensor, Tensor]:
        """Return update and energy from one pass; parameters as in :meth:`pull`."""
        rows, shape = self._rows(queries), np.shape(queries)
        pull = self.pull(rows, progress)
        log_partition = torch.logaddexp(pull.log_sum, torch.full_like(pull.log_sum, self.log_noop))
        update = pull.average * torch.exp(pull.log_sum - log_partition)[:, None]
        count = math.log(self.source.num_patterns)
        at_zero = max(count, self.log_noop) + math.log1p(math.exp(-abs(count - self.log_noop)))
        energy = 0.5 * (rows.double().square().sum(-1) + pull.radius**2) + (at_zero - log_partition) / self.beta
        return update.to(rows.dtype).reshape(shape), energy.reshape(shape[:-1])

    def retrieve(
        self, queries: Any, tol: float = 1e-5, max_steps: int = 100, progress: Progress | None = None
    ) -> FixedPoint:
        """Iterate the update from every query until a step is no longer than ``tol``.

        Each update of the queries that have not converged is a pass over all patterns.

        Parameters
        ----------
        queries : array-like, shape (N, d)
        tol : float
            Length of the last step, above 0.
        max_steps : int
            Largest number of passes, at least 1.
        progress : callable, optional
            Called with the number of finished queries and of all queries.
        """
        tol, max_steps = _arguments.positive("tol", tol), _arguments.integer("max_steps", max_steps, 1)
        return fixed_point.iterate(self.update, self._rows(queries), tol, max_steps, progress)

    def _rows(self, queries: Any) -> Tensor:
        rows = _arrays.floating("queries", queries, self.source.dtype, self.source.device)
        if rows.dim() not in (1, 2) or rows.shape[-1] != self.source.dim:
            raise ValueError(f"queries have shape {tuple(rows.shape)}: they must be (N, {self.source.dim})")
        if not bool(rows.isfinite().all()):
            raise ValueError("queries must be finite: they hold NaN or infinity")
        return rows.reshape(-1, self.source.dim)


@dataclass(frozen=True)
class _Part:
    """A part of a stream as a function of its index only, which can be sent to other processes."""

    stream: Stream
    queries: Tensor

    def __call__(self, index: int) -> Pull:
        return self.stream.part(self.queries, index)

    def __getstate__(self) -> tuple[Any, ...]:
        s = self.stream
        return s.source, s.beta, s.log_noop, self.queries

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        source, beta, log_noop, queries = state
        object.__setattr__(self, "stream", Stream(source, beta, log_noop=log_noop))
        object.__setattr__(self, "queries", queries)
