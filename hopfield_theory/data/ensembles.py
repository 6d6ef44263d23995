"""Sources of patterns: arrays, mapped files and random ensembles, in fixed blocks.

A ``PatternSource`` returns the rows of an ``(M, d)`` matrix block by block. The number of rows per block depends only
on ``d`` (``rows_per_block``), and a random block only on the seed and its index. So blocks can be drawn in any order,
by any number of workers, and the patterns are the same. Arguments of a wrong type raise TypeError, arguments out of
range ValueError.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from hopfield_theory import _arguments, _arrays
from hopfield_theory._sentences import many
from hopfield_theory.data.seeds import coordinates, generator_of, root

__all__ = [
    "ArrayPatterns",
    "Ensemble",
    "Gaussian",
    "PatternSource",
    "Rademacher",
    "RandomPatterns",
    "Sphere",
    "SpikedCovariance",
    "rows_per_block",
]

_BLOCK_NUMBERS = 2**20
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_NATIVE = {torch.float16: np.dtype("f2"), torch.float32: np.dtype("f4"), torch.float64: np.dtype("f8")}


def rows_per_block(dim: int) -> int:
    """Return the number of rows of a full block, for patterns of dimension ``dim >= 1``.

    It is ``max(1, floor(2**20 / d))``, rounded down to a multiple of 16 above 16: about a million numbers, 4 MiB in
    float32.

    Examples
    --------
    >>> rows_per_block(32), rows_per_block(100), rows_per_block(3_000_000)
    (32768, 10480, 1)
    """
    rows = max(1, _BLOCK_NUMBERS // _arguments.integer("dim", dim, 1))
    return rows - rows % 16 if rows > 16 else rows


class PatternSource(abc.ABC):
    """An ``(M, d)`` matrix of patterns, read in blocks of rows.

    Attributes
    ----------
    num_patterns : int
        ``M >= 1``.
    dim : int
        ``d >= 1``.
    dtype : torch.dtype
    device : torch.device
    """

    def __init__(self, num_patterns: int, dim: int, dtype: torch.dtype, device: torch.device) -> None:
        self.num_patterns = num_patterns
        self.dim = dim
        self.dtype = dtype
        self.device = device

    @property
    def rows_per_block(self) -> int:
        """Rows of every block except the last, which may be shorter."""
        return rows_per_block(self.dim)

    @property
    def num_blocks(self) -> int:
        """Number of blocks, at least 1."""
        return -(-self.num_patterns // self.rows_per_block)

    def block(self, index: int) -> Tensor:
        """Return one block.

        Parameters
        ----------
        index : int
            In ``[0, num_blocks)``; otherwise IndexError.

        Returns
        -------
        Tensor
            The patterns from ``index * rows_per_block`` on, shape ``(rows, dim)``. Do not write to it: it may share
            memory with the source.
        """
        if not 0 <= index < self.num_blocks:
            raise IndexError(f"index is {index}: it must be in [0, {self.num_blocks})")
        start = index * self.rows_per_block
        return self._rows(index, start, min(self.rows_per_block, self.num_patterns - start))

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Iterate over the blocks in order, each with the index of its first pattern."""
        for index in range(self.num_blocks):
            yield index * self.rows_per_block, self.block(index)

    def tensor(self) -> Tensor:
        """Return all patterns, shape (num_patterns, dim). Do not write to it: it may share memory with the source."""
        patterns = torch.empty(self.num_patterns, self.dim, dtype=self.dtype, device=self.device)
        for start, block in self.blocks():
            patterns[start : start + len(block)] = block
        return patterns

    @abc.abstractmethod
    def _rows(self, index: int, start: int, rows: int) -> Tensor: ...


class ArrayPatterns(PatternSource):
    """Patterns that already exist: a tensor, an array, a mapped file, or anything ``numpy.asarray`` takes.

    Parameters
    ----------
    patterns : Tensor or array_like, shape (M, d)
        Real numbers, ``M >= 1`` and ``d >= 1``. Floats of 16, 32 or 64 bits keep their precision; integers
        and booleans become float64.

    Notes
    -----
    Nothing is copied on construction. A block is a view where torch can share the memory (a tensor; a
    writable array of native floats in C order); otherwise only that block is copied or converted, so that
    a mapped file may be larger than the memory.

    Examples
    --------
    >>> source = ArrayPatterns([[1, 2], [3, 4], [5, 6]])
    >>> source.num_patterns, source.dim, source.dtype, source.num_blocks
    (3, 2, torch.float64, 1)
    >>> source.block(0)[1]
    tensor([3., 4.], dtype=torch.float64)
    """

    def __init__(self, patterns: Any) -> None:
        self._data: Tensor | np.ndarray = patterns if isinstance(patterns, Tensor) else np.asarray(patterns)
        problem = "an array with masked numbers" if _arrays.has_masked(patterns) else _problem(self._data)
        if problem:
            raise ValueError(f"patterns is {problem}: it must hold real numbers, of shape (M, d)")
        device = self._data.device if isinstance(self._data, Tensor) else torch.device("cpu")
        num_patterns, dim = self._data.shape
        super().__init__(int(num_patterns), int(dim), _pattern_dtype(self._data), device)

    def __repr__(self) -> str:
        return f"ArrayPatterns(<{self.num_patterns} x {self.dim}, {self.dtype}, {self.device}>)"

    def tensor(self) -> Tensor:  # noqa: D102
        return _as_tensor(self._data)

    def _rows(self, index: int, start: int, rows: int) -> Tensor:
        return _as_tensor(self._data[start : start + rows])


class Ensemble(Protocol):
    """A distribution of patterns: the rows are independent and identically distributed."""

    def fill(self, block: Tensor, generator: torch.Generator, common: torch.Generator) -> None:
        """Overwrite a block with fresh patterns.

        Parameters
        ----------
        block : Tensor, shape (rows, dim)
            Contiguous, float32 or float64.
        generator : torch.Generator
            The block's own generator.
        common : torch.Generator
            In the same state for every block of a source: for what all patterns share.
        """
        ...


@dataclass(frozen=True)
class Sphere:
    """Patterns uniform on the sphere of a radius.

    Parameters
    ----------
    radius : float
        Euclidean norm of every pattern, finite and ``> 0``.

    Notes
    -----
    ``radius * g / ||g||`` with ``g`` standard normal.

    Examples
    --------
    >>> RandomPatterns(Sphere(2.0), 3, 5, seed=0).tensor().norm(dim=1)
    tensor([2.0000, 2.0000, 2.0000])
    """

    radius: float

    def __post_init__(self) -> None:
        _arguments.positive("radius", self.radius)

    def fill(self, block: Tensor, generator: torch.Generator, common: torch.Generator) -> None:
        """Overwrite a block, as ``Ensemble.fill`` says."""
        block.normal_(generator=generator)
        norm = torch.linalg.vector_norm(block, dim=1, keepdim=True)
        # A float32 normal is exactly 0 about once in 2**24 draws, so in one dimension a zero row is possible.
        zero = norm == 0
        block[:, :1].add_(zero)
        block.mul_(self.radius / norm.add_(zero))


@dataclass(frozen=True)
class Gaussian:
    """Patterns of independent normal coordinates.

    Parameters
    ----------
    std : float
        Standard deviation of every coordinate, finite and ``> 0``.

    Examples
    --------
    >>> round(RandomPatterns(Gaussian(3.0), 10_000, 10, seed=0).tensor().std().item(), 1)
    3.0
    """

    std: float = 1.0

    def __post_init__(self) -> None:
        _arguments.positive("std", self.std)

    def fill(self, block: Tensor, generator: torch.Generator, common: torch.Generator) -> None:
        """Overwrite a block, as ``Ensemble.fill`` says."""
        block.normal_(0.0, self.std, generator=generator)


@dataclass(frozen=True)
class Rademacher:
    """Patterns of independent fair signs times a scale.

    Parameters
    ----------
    scale : float
        Absolute value of every coordinate, finite and ``> 0``.

    Examples
    --------
    >>> RandomPatterns(Rademacher(0.5), 100, 10, seed=0).tensor().unique()
    tensor([-0.5000,  0.5000])
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        _arguments.positive("scale", self.scale)

    def fill(self, block: Tensor, generator: torch.Generator, common: torch.Generator) -> None:
        """Overwrite a block, as ``Ensemble.fill`` says."""
        block.random_(0, 2, generator=generator).mul_(2 * self.scale).sub_(self.scale)


@dataclass(frozen=True)
class SpikedCovariance:
    """Normal patterns that vary more along one direction: the simplest correlated patterns.

    Parameters
    ----------
    spike : float
        Excess variance ``>= 0``, finite: along the direction a pattern has variance ``1 + spike``, across
        it 1. At 0 the ensemble is ``Gaussian``.
    scale : float
        Factor of every pattern, finite and ``> 0``.

    Notes
    -----
    A pattern is ``scale * (g + sqrt(spike) h u)`` with ``g`` and ``h`` standard normal and independent, so its
    covariance is ``scale**2 * (I + spike * u u^T)``. The unit direction ``u`` is uniform on the sphere, one for all
    patterns of a source, drawn from its seed. The model is Johnstone's (Annals of Statistics 29, 2001).

    Examples
    --------
    >>> patterns = RandomPatterns(SpikedCovariance(8.0), 20_000, 3, seed=0).tensor()
    >>> torch.linalg.eigvalsh(torch.cov(patterns.T)).round()
    tensor([1., 1., 9.])
    """

    spike: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        _arguments.real("spike", self.spike, 0)
        _arguments.positive("scale", self.scale)

    def fill(self, block: Tensor, generator: torch.Generator, common: torch.Generator) -> None:
        """Overwrite a block, as ``Ensemble.fill`` says."""
        direction = block.new_empty(1, block.shape[1])
        Sphere(1.0).fill(direction, common, common)
        # The excess is drawn, not projected out of the block: a matrix-vector product may round a row differently if
        # there are fewer rows. It is drawn first and in full, so that a short block begins like the full one.
        excess = block.new_empty(rows_per_block(block.shape[1]), 1).normal_(generator=generator)
        block.normal_(0.0, self.scale, generator=generator)
        block.addcmul_(excess[: len(block)], direction, value=self.scale * math.sqrt(self.spike))


class RandomPatterns(PatternSource):
    """Patterns drawn from an ensemble; any block can be drawn at any time.

    Parameters
    ----------
    ensemble : Ensemble
        ``Sphere``, ``Gaussian``, ``Rademacher``, ``SpikedCovariance``, or anything with the same ``fill``.
    num_patterns : int
        ``M >= 1``. A larger M adds patterns and does not change the first ones.
    dim : int
        ``d >= 1``.
    seed : int
        Root seed, ``>= 0``.
    cell : tuple of int or str
        Coordinates, names or numbers ``>= 0``, that distinguish draws of the same seed.
    dtype : torch.dtype
        float32 or float64. The two draw different patterns.
    device : torch.device or str
        The CPU and CUDA draw different patterns from one seed. On one device the patterns also depend on the version
        of torch.

    Notes
    -----
    Each block has its own generator, keyed by the seed, the cell and the index of the block as ``keyed_generator`` is
    by its arguments; the generator for what all blocks share has index -1.

    Examples
    --------
    >>> source = RandomPatterns(Sphere(1.0), 100_000, 32, seed=7)
    >>> source.num_blocks, source.block(3).shape
    (4, torch.Size([1696, 32]))
    >>> fewer = RandomPatterns(Sphere(1.0), 10, 32, seed=7)
    >>> torch.equal(fewer.tensor(), source.block(0)[:10])
    True
    """

    def __init__(
        self,
        ensemble: Ensemble,
        num_patterns: int,
        dim: int,
        *,
        seed: int,
        cell: tuple[int | str, ...] = (),
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if not callable(getattr(ensemble, "fill", None)):
            raise TypeError(f"ensemble is {ensemble!r}: it must have a method fill, as Sphere(1.0) has")
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype is {dtype}: it must be torch.float32 or torch.float64")
        num_patterns, dim = _arguments.integer("num_patterns", num_patterns, 1), _arguments.integer("dim", dim, 1)
        super().__init__(num_patterns, dim, dtype, torch.device(device))
        self.ensemble = ensemble
        self.seed = root(seed)
        self.cell = coordinates(cell)

    def __repr__(self) -> str:
        return (
            f"RandomPatterns({self.ensemble}, {self.num_patterns}, {self.dim}, seed={self.seed}, cell={self.cell}, "
            f"dtype={self.dtype}, device={str(self.device)!r})"
        )

    def _rows(self, index: int, start: int, rows: int) -> Tensor:
        # torch fills in groups of 16 on the CPU and draws an incomplete last group again; on a GPU the order of
        # the stream depends on the size. In both cases a short block must begin like the full one.
        drawn = self.rows_per_block if self.device.type != "cpu" else min(rows + -rows % 16, self.rows_per_block)
        block = torch.empty(drawn, self.dim, dtype=self.dtype, device=self.device)
        own, common = (generator_of(self.device, "block", i, self.seed, *self.cell) for i in (index, -1))
        self.ensemble.fill(block, own, common)
        return block[:rows]


def _problem(data: Tensor | np.ndarray) -> str | None:
    """Say why the data cannot be patterns, if so."""
    shape = tuple(data.shape)
    if isinstance(data, Tensor):
        real = data.layout == torch.strided and not data.is_quantized
        real = real and (data.dtype in _FLOATS or not (data.is_floating_point() or data.is_complex()))
    else:
        real = data.dtype.kind in "biu" or (data.dtype.kind == "f" and data.dtype.itemsize <= 8)
    if not real:
        return f"an array of {data.dtype}" + ("" if isinstance(data, np.ndarray) else f" ({data.layout})")
    if len(shape) != 2:
        return f"an array of shape {shape}, with {many(len(shape), 'dimension')}"
    if 0 in shape:
        return f"an array of shape {shape}, with no {'row' if shape[0] == 0 else 'column'}"
    return None


def _pattern_dtype(data: Tensor | np.ndarray) -> torch.dtype:
    if isinstance(data, Tensor):
        return data.dtype if data.is_floating_point() else torch.float64
    names = {2: torch.float16, 4: torch.float32, 8: torch.float64}
    return names[data.dtype.itemsize] if data.dtype.kind == "f" else torch.float64


def _as_tensor(data: Tensor | np.ndarray) -> Tensor:
    """Share the memory if torch can, otherwise copy."""
    dtype = _pattern_dtype(data)
    if isinstance(data, Tensor):
        return data.detach().to(dtype)
    if data.dtype != _NATIVE[dtype] or not data.flags.carray:
        data = np.array(data, dtype=_NATIVE[dtype], order="C")
    return torch.from_numpy(data)
