r"""An associative memory: patterns, an inverse temperature and a separation function.

.. math:: E(x) = \tfrac12\|x\|^2 - \beta^{-1}\Psi^*(\beta\,\Xi x) + \tfrac12 m^2 + \beta^{-1}\Psi^*(0),
          \qquad T(x) = x - \nabla E(x) = \Xi^\top p, \quad p = \nabla\Psi^*(\beta\,\Xi x),

with :math:`m = \max_\mu\|\xi_\mu\|`. For softmax_n, :math:`\Psi^* = \mathrm{lse}_n` and the constant is
:math:`\beta^{-1}\log(n + M)`; it makes :math:`E \ge \tfrac12(\|x\| - m)^2 \ge 0`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from hopfield_theory import _arguments, _arrays
from hopfield_theory._sentences import many
from hopfield_theory.fused.attention import fused_attention
from hopfield_theory.model import memory_file
from hopfield_theory.model.separation import Separation, SoftmaxN

__all__ = ["Memory"]

# most numbers in one block of rows × patterns where scores cannot be avoided: 32 MiB in float64
_BLOCK = {"cpu": 1 << 22, "cuda": 1 << 27}


class Memory:
    r"""Stored patterns, and the energy, update and derivatives that they define.

    Parameters
    ----------
    patterns : array-like, shape (M, d)
        The patterns :math:`\xi_\mu`, one per row; the memory takes over dtype and device, integers become float64.
        A memory-mapped tensor is not copied.
    beta : float
        Inverse temperature :math:`\beta`, finite and above 0.
    noop : float, optional
        No-op mass :math:`n`, finite and at least 0: 0 is the dense model, 1 (the default) OutEffHop.
    separation : Separation, optional
        Another separation function in place of ``noop``, such as ``Entmax(1.5)``.
    values : array-like, shape (M, v), optional
        Vectors that :meth:`read` mixes in place of the patterns (key → value retrieval).
    centre : bool
        Subtract the mean of the patterns from patterns and queries; patterns that are added later do not change it.
    normalise : bool
        Scale patterns and queries to unit norm (after centring).

    Raises
    ------
    ValueError
        For a wrong shape, NaN or infinity, numbers out of range, a pattern that cannot be normalised, or both
        ``noop`` and ``separation``; methods raise it too.
    TypeError
        For arguments that are not numeric.

    Notes
    -----
    Methods that take a state ``x`` of shape (..., d) expect it in the space of the stored (centred, normalised)
    patterns. :meth:`prepare` brings a raw query there; :func:`hopfield_theory.retrieve` calls it itself.

    References
    ----------
    Hu et al. 2024 (arXiv:2404.03828); for ``noop=0`` Ramsauer et al. 2021 (arXiv:2008.02217).

    Examples
    --------
    >>> memory = Memory([[1.0, 0.0], [0.0, 1.0]], beta=8.0)
    >>> memory.update([0.9, 0.1])
    tensor([0.9976, 0.0017])
    """

    def __init__(
        self,
        patterns: Any,
        beta: float = 1.0,
        noop: float | None = None,
        *,
        separation: Separation | None = None,
        values: Any = None,
        centre: bool = False,
        normalise: bool = False,
    ) -> None:
        if separation is not None and noop is not None:
            raise ValueError(f"noop is {noop} and separation is {separation}: give one of the two")
        raw = _matrix("patterns", patterns)
        self.shift: Tensor | None = raw.double().mean(0).to(raw.dtype) if centre else None
        self.normalise = normalise
        self.patterns: Tensor = self._prepared("pattern", raw)
        self.values: Tensor | None = None if values is None else _values(values, self.patterns)
        self.radius: float = _largest_norm(self.patterns)
        self._settle(beta, SoftmaxN(1.0 if noop is None else noop) if separation is None else separation)

    def _settle(self, beta: float, separation: Separation) -> None:
        """Set β, the separation function, and the constant of the energy."""
        if not isinstance(separation, Separation):
            raise TypeError(
                f"separation is {separation!r}: it must have the methods weights, conjugate and curvature, as SoftmaxN "
                "and Entmax do"
            )
        self.beta, self.separation = _arguments.positive("beta", beta), separation
        limit = torch.finfo(self._work).max / 16
        if not self.radius * self.radius < limit:
            raise ValueError(
                f"patterns reach a norm of {self.radius:.3g}, so that m² overflows {self._work}: scale them down, or "
                "normalise them"
            )
        if not self.beta * self.radius * self.radius < limit:
            raise ValueError(
                f"patterns reach a norm of {self.radius:.3g}, so that β m² overflows {self._work} at "
                f"beta={self.beta:g}: scale them down, normalise them, or lower beta"
            )
        if math.isinf(1 / self.beta):
            raise ValueError(f"beta is {self.beta:g}: it is too small for its inverse, the scale of the energy")
        zeros = torch.zeros(self.num_patterns, dtype=torch.float64, device=self.patterns.device)
        at_zero = separation.conjugate(zeros).item()
        self._offset: float = 0.5 * self.radius**2 + at_zero / self.beta

    @classmethod
    def classified(cls, patterns: Any, is_noop: Any, beta: float = 1.0, *, collapse: bool = True) -> Memory:
        r"""Build the memory of the paper's no-op classification: augment, classify, collapse.

        Patterns get a coordinate that is nonzero exactly for no-op patterns (outliers), and all of those are mapped to
        one vector :math:`\Omega = (0, \dots, 0, C)` orthogonal to every query: as a key it scores 0, as a value it is 0
        once the update is projected back. A dense update on n copies of it and the other patterns is the softmax_n
        update on the other patterns.

        Parameters
        ----------
        patterns : array-like, shape (M, d)
            Real and no-op patterns together.
        is_noop : array-like of bool, shape (M,)
            Which of them are no-op patterns; at least one must not be.
        beta : float
            Inverse temperature.
        collapse : bool
            One no-op slot for all (``n = 1``), as in the paper; ``False`` keeps one for each (``n = K``).

        Returns
        -------
        Memory
            The patterns that are not outliers, with ``noop`` the number of slots (0 if there are no outliers).

        References
        ----------
        Hu et al. 2024 (arXiv:2404.03828).

        Examples
        --------
        >>> memory = Memory.classified([[1.0, 0.0], [0.0, 9.0], [9.0, 9.0]], [False, True, True])
        >>> memory.patterns, memory.noop
        (tensor([[1., 0.]]), 1.0)
        """
        raw = _matrix("patterns", patterns)
        outlier = _arrays.as_tensor("is_noop", is_noop).to(raw.device)
        if outlier.dtype != torch.bool or outlier.shape != raw.shape[:1]:
            raise ValueError(
                f"is_noop is {outlier.dtype} of shape {tuple(outlier.shape)}: it must be one boolean per pattern, "
                f"shape {tuple(raw.shape[:1])}"
            )
        if outlier.all():
            raise ValueError("is_noop is true for every pattern: at least one must remain")
        slots = int(outlier.sum())
        return cls(raw[~outlier], beta, float(min(slots, 1) if collapse else slots))

    @property
    def _work(self) -> torch.dtype:
        """The dtype of scores and energies: float32 at least."""
        return torch.promote_types(self.patterns.dtype, torch.float32)

    @property
    def num_patterns(self) -> int:
        """Number of patterns ``M``."""
        return self.patterns.shape[0]

    @property
    def dim(self) -> int:
        """Dimension ``d``."""
        return self.patterns.shape[1]

    @property
    def noop(self) -> float | None:
        """No-op mass ``n``; ``None`` for a separation that has none."""
        return self.separation.noop if isinstance(self.separation, SoftmaxN) else None

    def __repr__(self) -> str:
        return (
            f"Memory({many(self.num_patterns)} in {many(self.dim, 'dimension')}, beta={self.beta:g}, "
            f"{self.separation}, {str(self.patterns.dtype).removeprefix('torch.')} on {self.patterns.device})"
        )

    # --- the space of the patterns ---

    def prepare(self, queries: Any) -> Tensor:
        """Centre and normalise raw queries, shape (..., d), like the patterns, and in their dtype, on their device.

        Examples
        --------
        >>> Memory([[3.0, 4.0], [0.0, 2.0]], normalise=True).prepare([6.0, 8.0])
        tensor([0.6000, 0.8000])
        """
        states = self._states("queries", queries)
        return self._prepared("query", states.reshape(-1, self.dim)).reshape(states.shape)

    def _prepared(self, name: str, rows: Tensor) -> Tensor:
        if self.shift is not None:
            rows = rows - self.shift
            if not torch.isfinite(rows).all():
                raise ValueError(f"a {name} less the mean overflows {rows.dtype}: use a wider dtype, or scale it down")
        if self.normalise:
            # first by the largest coordinate, since squares overflow and underflow
            rows = rows / (largest := rows.abs().amax(1, keepdim=True)).masked_fill(largest == 0, 1)
            norms = rows.norm(dim=1, keepdim=True)
            if (norms == 0).any():
                row = int((norms == 0).flatten().nonzero()[0])
                how = "equals the mean of the patterns" if self.shift is not None else "is zero"
                raise ValueError(
                    f"{name} {row} {how}: it has no direction and cannot be normalised; "
                    "leave it out, or do not normalise"
                )
            rows = rows / norms
        return rows

    def _states(self, name: str, x: Any) -> Tensor:
        x = _arrays.floating(name, x, self.patterns.dtype, self.patterns.device)
        if x.dim() == 0 or x.shape[-1] != self.dim:
            raise ValueError(f"{name} has shape {tuple(x.shape)}: its last axis must be {self.dim}, as the patterns'")
        if not torch.isfinite(x).all():
            row, column = (~torch.isfinite(x.reshape(-1, self.dim))).nonzero()[0].tolist()
            where = f", first in row {row}, column {column} (from 0)" if x.dim() > 1 else ""
            raise ValueError(f"{name} holds NaN or infinity{where}: every number must be finite")
        return x

    def _scored(self, name: str, x: Any) -> Tensor:
        """Return checked states of which no score overflows."""
        x = self._states(name, x)
        _arrays.check_scores(name, x, self.beta * self.radius, self._work)
        return x

    # --- energy and dynamics ---

    def scores(self, x: Any) -> Tensor:
        r"""Scaled overlaps :math:`z = \beta\,\Xi x`, shape (..., M), in float32 at least.

        Here and below states whose scores would overflow are refused with a ``ValueError``.
        """
        return self._scores(self._scored("x", x))

    def _scores(self, x: Tensor) -> Tensor:
        return self.beta * x.to(self._work) @ self.patterns.to(self._work).mT

    def weights(self, x: Any) -> Tensor:
        r"""Weights :math:`p` on the patterns, shape (..., M), float32 at least; with softmax_n they sum to 1 − p_0.

        Examples
        --------
        >>> Memory([[1.0], [-1.0]], noop=2.0).weights([0.0])
        tensor([0.2500, 0.2500])
        """
        return self.separation.weights(self.scores(x))

    def noop_weight(self, x: Any) -> Tensor:
        r"""Weight :math:`p_0 = 1 - \sum_\mu p_\mu` of the no-op slot, shape (...); zeros for a separation without one.

        Examples
        --------
        >>> Memory([[1.0], [-1.0]], noop=2.0).noop_weight([0.0])
        tensor(0.5000)
        """
        x = self._scored("x", x)
        if not isinstance(self.separation, SoftmaxN):
            return x.new_zeros(x.shape[:-1])
        _, lse = self._mix(x, self.patterns)
        return torch.exp(self.separation.log_n - lse).to(x.dtype)

    def update(self, x: Any) -> Tensor:
        r"""One step of the retrieval dynamics, :math:`T(x) = \Xi^\top p`, shape (..., d); differentiable.

        Examples
        --------
        >>> Memory([[1.0], [-1.0]], noop=0.0).update([1.0])
        tensor([0.7616])
        """
        return self._update(self._scored("x", x))

    def _update(self, x: Tensor) -> Tensor:
        return self._mix(x, self.patterns)[0]

    def read(self, x: Any) -> Tensor:
        r"""Mixture :math:`\sum_\mu p_\mu v_\mu` of the values, shape (..., v).

        If no values were given, they are the patterns, and this is :meth:`update`.

        Examples
        --------
        >>> Memory([[1.0, 0.0], [0.0, 1.0]], beta=9.0, noop=0.0, values=[[7.0], [-7.0]]).read([1.0, 0.0])
        tensor([6.9983])
        """
        return self._mix(self._scored("x", x), self.patterns if self.values is None else self.values)[0]

    def energy(self, x: Any) -> Tensor:
        r"""Energy :math:`E(x) \ge 0`, shape (...), in float32 at least; differentiable.

        Examples
        --------
        >>> Memory([[1.0], [-1.0]], noop=0.0).energy([0.0])
        tensor(0.5000)
        """
        x = self._scored("x", x)
        return self._energy(x, self._mix(x, self.patterns)[1])

    def gradient(self, x: Any) -> Tensor:
        r"""Gradient :math:`\nabla E(x) = x - T(x)`, shape (..., d).

        Examples
        --------
        >>> Memory([[1.0], [-1.0]], noop=0.0).gradient([0.0])
        tensor([0.])
        """
        x = self._scored("x", x)
        return x - self._mix(x, self.patterns)[0]

    def step(self, x: Any) -> tuple[Tensor, Tensor]:
        """Return ``(update(x), energy(x))`` from one pass over the patterns."""
        return self._step(self._scored("x", x))

    def _step(self, x: Tensor) -> tuple[Tensor, Tensor]:
        state, conjugate = self._mix(x, self.patterns)
        return state, self._energy(x, conjugate)

    def jacobian(self, x: Any) -> Tensor:
        r"""Jacobian :math:`J(x) = \partial T/\partial x`, shape (..., d, d): symmetric, positive semi-definite.

        With softmax_n, :math:`J = \beta\,\mathrm{Cov}` of the distribution that puts :math:`p_\mu` on :math:`\xi_\mu`
        and :math:`p_0` on the zero vector; in general
        :math:`J = \beta\,\Xi^\top(\mathrm{diag}(s) - ss^\top/c)\,\Xi` with the curvature :math:`(s, c)` of the
        separation.

        Examples
        --------
        >>> Memory([[1.0], [-1.0]], noop=0.0).jacobian([0.0])
        tensor([[1.]])
        """
        states = self._scored("x", x)
        flat = states.reshape(-1, self.dim)
        # centred on what the state is mapped to, so that the two terms do not cancel
        jacobians, patterns = [], self.patterns.to(self._work)
        for rows in self._row_blocks(flat):
            s, c = self.separation.curvature(self.separation.weights(self._scores(rows)))
            mean = (s @ patterns) / s.sum(-1, keepdim=True).clamp_min(torch.finfo(s.dtype).tiny)
            second = torch.stack(
                [
                    ((patterns - centre).mT * weight) @ (patterns - centre)
                    for weight, centre in zip(s, mean, strict=True)
                ]
            )
            mass = s.sum(-1, keepdim=True)
            rest = (mass * (1 - mass / c)).unsqueeze(-1) * mean.unsqueeze(-1) * mean.unsqueeze(-2)
            jacobians.append(self.beta * (second + rest))
        empty = patterns.new_zeros(0, self.dim, self.dim)
        return torch.cat([empty, *jacobians]).reshape(*states.shape, self.dim)

    def _mix(self, x: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mixture of ``values``, and ``Ψ*(βΞx)``, for checked states."""
        flat = x.reshape(-1, self.dim)
        if isinstance(self.separation, SoftmaxN):
            mixture, conjugate = fused_attention(
                flat, self.patterns, values, log_n=self.separation.log_n, beta=self.beta, return_lse=True
            )
        else:
            pieces = []
            for rows in self._row_blocks(flat):
                scores = self._scores(rows)
                mixed = self.separation.weights(scores) @ values.to(self._work)
                pieces.append((mixed.to(values.dtype), self.separation.conjugate(scores)))
            mixture = torch.cat([flat.new_zeros(0, values.shape[1]), *(piece[0] for piece in pieces)])
            conjugate = torch.cat([flat.new_zeros(0, dtype=self._work), *(piece[1] for piece in pieces)])
        return mixture.reshape(*x.shape[:-1], values.shape[1]), conjugate.reshape(x.shape[:-1])

    def _energy(self, x: Tensor, conjugate: Tensor) -> Tensor:
        x = x.to(conjugate.dtype)
        return 0.5 * (x * x).sum(-1) - conjugate / self.beta + self._offset

    def _row_blocks(self, rows: Tensor) -> Iterator[Tensor]:
        return iter(
            rows.split(max(1, _BLOCK.get(rows.device.type, _BLOCK["cpu"]) // self.num_patterns)) if len(rows) else ()
        )

    # --- comparisons with the patterns ---

    def nearest(self, x: Any) -> tuple[Tensor, Tensor]:
        """Return index (int64) and Euclidean distance of the pattern nearest to each state, shapes (...).

        Where several patterns are nearest, the index is that of the first.

        Examples
        --------
        >>> Memory([[1.0, 0.0], [0.0, 1.0]]).nearest([0.0, 0.5])
        (tensor(1), tensor(0.5000))
        """
        states = self._states("x", x)
        indices, distances = [], []
        # distances from products cancel where the patterns share a large part: subtract that part, and compare the
        # best candidates by their differences
        shared = self.patterns.mean(0, dtype=self._work)
        for rows in states.reshape(-1, self.dim).to(self._work).split(1024):
            score, best = rows.new_zeros(len(rows), 0), rows.new_zeros(len(rows), 0, dtype=torch.int64)
            start = 0
            for block in self.patterns.split(max(1, _BLOCK["cpu"] // 1024)):
                centred = block.to(self._work) - shared
                scores = (centred * centred).sum(1) - 2 * (rows - shared) @ centred.mT
                score = torch.cat([score, scores], 1)
                best = torch.cat(
                    [best, torch.arange(start, start + len(block), device=best.device).expand_as(scores)], 1
                )
                score, place = score.topk(min(8, score.shape[1]), largest=False)
                best = best.gather(1, place)
                start += len(block)
            best = best.sort(1).values
            differences = torch.linalg.vector_norm(rows.unsqueeze(1) - self.patterns[best].to(self._work), dim=-1)
            least, place = differences.min(-1)
            indices.append(best.gather(-1, place.unsqueeze(-1)).squeeze(-1))
            distances.append(least.to(states.dtype))
        empty = states.new_zeros(0)
        index = torch.cat([empty.long(), *indices]).reshape(states.shape[:-1])
        return index, torch.cat([empty, *distances]).reshape(states.shape[:-1])

    def duplicates(self) -> Tensor:
        """Return the indices of the patterns that equal another one, ascending.

        Examples
        --------
        >>> Memory([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]).duplicates()
        tensor([0, 2])
        """
        _, where, counts = torch.unique(self.patterns, dim=0, return_inverse=True, return_counts=True)
        return (counts[where] > 1).nonzero().flatten()

    # --- copies with changes ---

    def _with(self, patterns: Tensor, values: Tensor | None, beta: float, separation: Separation) -> Memory:
        memory = object.__new__(Memory)
        memory.shift = None if self.shift is None else self.shift.to(patterns)
        memory.normalise, memory.patterns, memory.values = self.normalise, patterns, values
        memory.radius = self.radius if patterns is self.patterns else _largest_norm(patterns)
        memory._settle(beta, separation)
        return memory

    def at(self, *, beta: float | None = None, noop: float | None = None, dtype: torch.dtype | None = None) -> Memory:
        """Return the memory with the same patterns, values, centring and scaling at another β, n or dtype.

        Examples
        --------
        >>> memory = Memory([[3.0, 4.0], [0.0, 2.0]], beta=2.0, normalise=True)
        >>> memory.at(beta=8.0, noop=0.0)
        Memory(2 patterns in 2 dimensions, beta=8, SoftmaxN(noop=0.0), float32 on cpu)
        """
        if not isinstance(dtype, torch.dtype | None):
            raise TypeError(f"dtype is {dtype!r}: it must be a torch.dtype, as torch.float64")
        patterns, values = self._cast(self.patterns.dtype if dtype is None else dtype)
        separation = self.separation if noop is None else SoftmaxN(noop)
        return self._with(patterns, values, self.beta if beta is None else beta, separation)

    def with_patterns(self, more: Any, values: Any = None) -> Memory:
        """Return a memory that also holds ``more`` patterns.

        Parameters
        ----------
        more : array-like, shape (K, d)
            Raw patterns; they are centred and normalised like those of the memory.
        values : array-like, shape (K, v), optional
            Their values, required if and only if the memory has values.

        Examples
        --------
        >>> Memory([[1.0, 0.0]]).with_patterns([[0.0, 1.0]]).num_patterns
        2
        """
        if (values is None) != (self.values is None):
            raise ValueError(
                f"values are {'missing: this memory has some' if values is None else 'given: it has none'}"
            )
        rows = self._prepared("pattern", self._states("more", _matrix("more", more)))
        added = None if self.values is None else _values(values, rows)
        both = None if self.values is None or added is None else torch.cat([self.values, added])
        return self._with(torch.cat([self.patterns, rows]), both, self.beta, self.separation)

    def without(self, indices: Any) -> Memory:
        """Return a memory without the patterns at ``indices``.

        Parameters
        ----------
        indices : array-like of int
            Positions from 0 to M − 1, in any order, but not all of them.

        Examples
        --------
        >>> Memory([[1.0], [2.0], [3.0]]).without([0, 2]).patterns
        tensor([[2.]])
        """
        index = _arrays.as_tensor("indices", indices).to(self.patterns.device).reshape(-1)
        if index.numel() and (index.is_floating_point() or index.dtype == torch.bool):
            raise ValueError(f"indices are {index.dtype}: they must be integers")
        index = index.long()
        if ((index < 0) | (index >= self.num_patterns)).any():
            raise ValueError(
                f"indices reach from {index.min()} to {index.max()}: they must be 0 to M − 1 = {self.num_patterns - 1}"
            )
        keep = torch.ones(self.num_patterns, dtype=torch.bool, device=self.patterns.device)
        keep[index] = False
        if not keep.any():
            raise ValueError("indices name every pattern: at least one must remain")
        values = None if self.values is None else self.values[keep]
        return self._with(self.patterns[keep], values, self.beta, self.separation)

    def to(self, *args: Any, **kwargs: Any) -> Memory:
        """Return the memory on another device or in another floating dtype; arguments of ``torch.Tensor.to``.

        Raises
        ------
        TypeError
            For a dtype that is not floating.
        ValueError
            For patterns or values that overflow it.

        Examples
        --------
        >>> Memory([[1.0]]).to(torch.float64).patterns.dtype
        torch.float64
        """
        return self._with(*self._cast(*args, **kwargs), self.beta, self.separation)

    def _cast(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        """Patterns and values by ``torch.Tensor.to``, where they are finite after it."""
        patterns = self.patterns.to(*args, **kwargs)
        if patterns is self.patterns:
            return patterns, self.values
        if not patterns.is_floating_point():
            raise TypeError(f"dtype is {patterns.dtype}: it must be a floating one")
        return _matrix("patterns", patterns), None if self.values is None else _values(self.values, patterns)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the memory to one safetensors file, atomically; an existing file is replaced.

        Raises
        ------
        TypeError
            For a separation other than ``SoftmaxN`` and ``Entmax``.
        OSError
            If the file cannot be written.
        """
        tensors = {"patterns": self.patterns, "values": self.values, "shift": self.shift}
        memory_file.write(path, tensors, self.separation, beta=self.beta, normalise=self.normalise)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Memory:
        """Read a memory that :meth:`save` wrote; it is equal to the last bit.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is damaged or does not contain a memory.

        Examples
        --------
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/memory.safetensors"
        >>> Memory([[1.0, 0.0]], beta=2.0).save(path)
        >>> Memory.load(path)
        Memory(1 pattern in 2 dimensions, beta=2, SoftmaxN(noop=1.0), float32 on cpu)
        """
        tensors, separation, about = memory_file.read(path)
        memory = cls(tensors["patterns"], about["beta"], separation=separation, values=tensors.get("values"))
        memory.shift, memory.normalise = tensors.get("shift"), about["normalise"]
        return memory


def _matrix(name: str, array: Any) -> Tensor:
    """A finite floating (rows, columns) tensor, copied only if necessary."""
    tensor = _arrays.floating(name, array)
    if tensor.dim() != 2 or 0 in tensor.shape:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}: it must be (rows, columns), with at least one each")
    start = 0
    for block in tensor.split(1 << 16):
        bad = ~torch.isfinite(block).all(1)
        if bad.any():
            row = int(bad.nonzero()[0])
            column = int((~torch.isfinite(block[row])).nonzero()[0])
            raise ValueError(
                f"{name} holds NaN or infinity, first in row {start + row}, column {column} (from 0): every number "
                "must be finite"
            )
        start += len(block)
    return tensor


def _largest_norm(patterns: Tensor) -> float:
    """In float64, block by block, and by the largest coordinate first: squares overflow and underflow."""
    norm = 0.0
    for block in patterns.split(1 << 16):
        size = block.abs().max().item()
        if size > 0:
            norm = max(norm, size * (block.double() / size).norm(dim=1).max().item())
    return norm


def _values(values: Any, patterns: Tensor) -> Tensor:
    tensor = _matrix("values", _matrix("values", values).to(patterns))
    if len(tensor) != len(patterns):
        raise ValueError(f"values have {many(len(tensor), 'row')}: there must be one per pattern, {len(patterns)}")
    return tensor
