r"""Random patterns that are pure functions of their indices, and are never held: drawn where they are used.

Pattern i of a source consists of groups of four coordinates. Group g is made of the four 32-bit numbers
:math:`\mathrm{Philox4{\times}32\text{-}10}(\text{counter} = (i \bmod 2^{32}, \lfloor i/2^{32}\rfloor, g, 0))` under the
64-bit key of the source: two pairs of normal numbers (Box and Muller) of :math:`u = (x + \tfrac12)/2^{32}` and
:math:`2\pi u'`, or four signs. So any part of a source can be drawn anywhere, in any order.

On a GPU with Triton, the rows are drawn in the kernel that uses them. Here stands the reference, in float64 and rounded
to the dtype at the end; the kernel's float32 arithmetic differs from it by at most 2e-6 of a pattern's length. Normal
numbers end at :math:`\sqrt{66\log 2} = 6.76`.

References
----------
Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hopfield_theory import _arguments
from hopfield_theory.data.ensembles import Ensemble, Gaussian, PatternSource, Rademacher, Sphere
from hopfield_theory.data.seeds import derived_seed
from hopfield_theory.fused import kernels

__all__ = ["DrawnPatterns", "draws", "philox"]

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
# widest patterns that a kernel draws, and most queries that it scores together
_WIDEST, _MOST_QUERIES = 128, 1024


def philox(counter: tuple[NDArray[np.uint64], ...], key: int) -> tuple[NDArray[np.uint64], ...]:
    """Return the four 32-bit numbers of Philox4x32-10.

    Parameters
    ----------
    counter : four ndarrays of uint64
        32-bit numbers; the shapes broadcast.
    key : int, in [0, 2**64)
        Its low half is the first word of the key.

    Examples
    --------
    The first of the known answers of the authors' library:

    >>> zero = np.zeros(1, np.uint64)
    >>> [f"{int(x[0]):08x}" for x in philox((zero, zero, zero, zero), 0)]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    a, b, c, d = counter
    words = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        first, second = _MULTIPLIERS[0] * a, _MULTIPLIERS[1] * c
        a, b, c, d = (
            (second >> _SHIFT) ^ b ^ np.uint64(words[0]),
            second & _LOW,
            (first >> _SHIFT) ^ d ^ np.uint64(words[1]),
            first & _LOW,
        )
        words = [(word + step) & 0xFFFFFFFF for word, step in zip(words, _WEYL, strict=True)]
    return a, b, c, d


def draws(ensemble: Ensemble) -> bool:
    """Tell whether :class:`DrawnPatterns` has this ensemble.

    Examples
    --------
    >>> draws(Sphere(1.0)), draws(None)
    (True, False)
    """
    return isinstance(ensemble, (Sphere, Gaussian, Rademacher))


def _kind(ensemble: Ensemble) -> tuple[int, float]:
    """The kernel's number for an ensemble, and its factor."""
    match ensemble:
        case Sphere(radius):
            return 0, radius
        case Gaussian(std):
            return 1, std
        case Rademacher(scale):
            return 2, scale
    raise TypeError(f"ensemble is {ensemble!r}: a pattern is a function of its index for Sphere, Gaussian, Rademacher")


class DrawnPatterns(PatternSource):
    """Patterns of an ensemble, each a function of its index, the same on every device up to rounding.

    Parameters
    ----------
    ensemble : Sphere, Gaussian or Rademacher
    num_patterns : int
        ``M >= 1``, up to 2**63. A larger M adds patterns and does not change the first ones.
    dim : int
        ``d >= 1``.
    seed : int
        Root seed, ``>= 0``.
    cell : tuple of int or str
        Coordinates, names or numbers ``>= 0``, that distinguish draws of the same seed. The key of 64 bits is
        :func:`~hopfield_theory.data.seeds.derived_seed` of both.
    dtype : torch.dtype
        float32 or float64: the same patterns, in float32 rounded.
    device : torch.device or str

    Notes
    -----
    A block of 2**20 numbers takes about ten times as long on a CPU as one of ``RandomPatterns``. On a GPU
    :class:`~hopfield_theory.model.stream.Stream` reads no block of these patterns: a kernel draws them.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, or another ensemble.

    Examples
    --------
    >>> source = DrawnPatterns(Sphere(1.0), 10**12, 8, seed=7)
    >>> source.rows(10**11, 2).norm(dim=1)
    tensor([1.0000, 1.0000])
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
        self.kind, self.scale = _kind(ensemble)
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype is {dtype}: it must be torch.float32 or torch.float64")
        num_patterns = _arguments.integer("num_patterns", num_patterns, 1, 2**63 - 1)
        super().__init__(num_patterns, _arguments.integer("dim", dim, 1), dtype, torch.device(device))
        self.ensemble, self.seed, self.cell = ensemble, seed, tuple(cell)
        self.key = derived_seed(seed, *self.cell)

    def __repr__(self) -> str:
        return (
            f"DrawnPatterns({self.ensemble}, {self.num_patterns}, {self.dim}, seed={self.seed}, cell={self.cell}, "
            f"dtype={self.dtype}, device={str(self.device)!r})"
        )

    def rows(self, start: int, count: int) -> Tensor:
        """Return ``count`` patterns from index ``start`` on, shape (count, d).

        Examples
        --------
        >>> source = DrawnPatterns(Rademacher(), 100, 3, seed=0)
        >>> bool((source.rows(40, 2) == source.tensor()[40:42]).all())
        True
        """
        if not 0 <= start <= start + count <= self.num_patterns:
            raise IndexError(f"rows {start} to {start + count - 1} are asked for: there are {self.num_patterns}")
        if self.on_chip and self.dtype == torch.float32:
            from hopfield_theory.fused.kernels import drawn

            return drawn.draw(self._signed_key, start, count, self.dim, self.scale, self.kind, self.device)
        index = np.arange(start, start + count, dtype=np.uint64)[:, None]
        group = np.arange(-(-self.dim // 4), dtype=np.uint64)
        numbers = np.stack(philox((index & _LOW, index >> _SHIFT, group, np.zeros(1, np.uint64)), self.key), -1)
        if self.kind == 2:
            rows = np.where(numbers >> np.uint64(31), -self.scale, self.scale)
        else:
            uniform = (numbers + 0.5) / 2.0**32
            length, angle = np.sqrt(-2.0 * np.log(uniform[..., ::2])), 2.0 * np.pi * uniform[..., 1::2]
            rows = np.stack([length * np.cos(angle), length * np.sin(angle)], -1)
        rows = rows.reshape(count, -1)[:, : self.dim]
        if self.kind == 0:
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows if self.kind == 2 else rows * self.scale
        return torch.from_numpy(np.ascontiguousarray(rows)).to(self.device, self.dtype)

    @property
    def on_chip(self) -> bool:
        """Whether a kernel draws and uses the patterns, none of which is then written."""
        return self.device.type == "cuda" and self.dim <= _WIDEST and kernels.available()

    def pull(self, queries: Tensor, beta: float, start: int, count: int) -> tuple[Tensor, Tensor, float]:
        """Return softmax average (N, d), log-sum-exp (N,) and largest norm of some patterns, where :attr:`on_chip`.

        Scores and sums are as exact as in float32: the log-sum-exp is about 2⁻²² β m ‖x‖ off, the average 1e-6 m.

        Parameters
        ----------
        queries : Tensor, shape (N, d)
        beta : float
        start, count : int
            The patterns ``start`` to ``start + count − 1``.
        """
        from hopfield_theory.fused.kernels import pull

        found = [
            pull.pull_drawn(some, self._signed_key, start, count, self.scale, self.kind, beta)
            for some in queries.float().split(_MOST_QUERIES)
        ]
        averages, sums, norms = zip(*found, strict=True)
        known = {0: self.scale, 2: self.scale * self.dim**0.5}.get(self.kind)
        return torch.cat(averages), torch.cat(sums), max(norms) if known is None else known

    @property
    def _signed_key(self) -> int:
        # the same 64 bits as a number that kernels take
        return self.key - 2**64 if self.key >= 2**63 else self.key

    def _rows(self, index: int, start: int, rows: int) -> Tensor:
        return self.rows(start, rows)
