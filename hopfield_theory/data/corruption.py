"""Queries made from patterns: noise at a given distance, missing coordinates, flipped signs.

Every function takes patterns as a tensor, array, list or data frame, shape ``(..., d)`` with ``d >= 1``, does not
change them, and returns a tensor of queries of the same shape, dtype and device; integers become float64. Random
numbers come from ``generator``, which must be on the device of the patterns; by default from torch's global generator.
Arguments of a wrong type raise TypeError, arguments out of range ValueError.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hopfield_theory import _arguments, _arrays

__all__ = ["add_noise", "flip_signs", "mask", "mask_tail"]


def add_noise(patterns: Any, relative_distance: float, generator: torch.Generator | None = None) -> Tensor:
    """Move each pattern by a given fraction of its own length in a random direction.

    Parameters
    ----------
    patterns : array-like, shape (..., d)
        A zero pattern stays zero.
    relative_distance : float
        ``||query - pattern|| / ||pattern||``, finite and ``>= 0``, exact up to rounding.
    generator : torch.Generator, optional

    Notes
    -----
    ``pattern + relative_distance * ||pattern|| * g / ||g||`` with ``g`` standard normal: the direction is
    uniform on the sphere.

    Examples
    --------
    >>> pattern = torch.tensor([3.0, 4.0], dtype=torch.float64)
    >>> query = add_noise(pattern, 0.5, torch.Generator().manual_seed(0))
    >>> torch.linalg.vector_norm(query - pattern)
    tensor(2.5000, dtype=torch.float64)
    """
    patterns = _patterns(patterns)
    _arguments.real("relative_distance", relative_distance, 0)
    noise = torch.randn(patterns.shape, generator=generator, dtype=patterns.dtype, device=patterns.device)
    norm = torch.linalg.vector_norm(noise, dim=-1, keepdim=True)
    # A normal variable is sometimes exactly 0, and in one dimension it is the whole row.
    zero = norm == 0
    noise[..., :1] += zero
    # by the largest coordinate first: squares overflow and underflow
    size = patterns.abs().amax(-1, keepdim=True)
    distance = relative_distance * torch.linalg.vector_norm(patterns / (size + (size == 0)), dim=-1, keepdim=True)
    return patterns + noise * (distance / (norm + zero)) * size


def mask(patterns: Any, fraction: float, fill: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
    """Overwrite randomly chosen coordinates of each pattern.

    Parameters
    ----------
    patterns : array-like, shape (..., d)
    fraction : float
        In ``[0, 1]``: each row loses exactly ``round(fraction * d)`` coordinates (Python's rounding: a half
        goes to the even neighbour), chosen uniformly and independently of the other rows.
    fill : float
        Their new value, finite in the patterns' dtype.
    generator : torch.Generator, optional

    Examples
    --------
    >>> mask(torch.ones(2, 10), 0.3, generator=torch.Generator().manual_seed(0)).sum(dim=-1)
    tensor([7., 7.])
    """
    patterns = _patterns_for(patterns, fill)
    chosen = _choose(patterns, fraction, generator)
    return patterns.scatter(-1, chosen, fill)


def mask_tail(patterns: Any, fraction: float, fill: float = 0.0) -> Tensor:
    """Overwrite the last coordinates of each pattern, such as the lower part of an image.

    Parameters
    ----------
    patterns : array-like, shape (..., d)
    fraction : float
        In ``[0, 1]``: each row loses its last ``round(fraction * d)`` coordinates (Python's rounding: a half
        goes to the even neighbour).
    fill : float
        Their new value, finite in the patterns' dtype.

    Examples
    --------
    >>> mask_tail(torch.tensor([1.0, 2.0, 3.0, 4.0]), 0.5)
    tensor([1., 2., 0., 0.])
    """
    patterns = _patterns_for(patterns, fill)
    count = _count(patterns, fraction)
    queries = patterns.clone()
    queries[..., patterns.shape[-1] - count :] = fill
    return queries


def flip_signs(patterns: Any, fraction: float, generator: torch.Generator | None = None) -> Tensor:
    """Change the sign of randomly chosen coordinates of each pattern.

    Parameters
    ----------
    patterns : array-like, shape (..., d)
    fraction : float
        In ``[0, 1]``: exactly ``round(fraction * d)`` coordinates of each row change sign (Python's rounding:
        a half goes to the even neighbour), chosen uniformly and independently of the other rows.
    generator : torch.Generator, optional

    Examples
    --------
    >>> flip_signs(torch.ones(2, 10), 0.2, torch.Generator().manual_seed(0)).sum(dim=-1)
    tensor([6., 6.])
    """
    patterns = _patterns(patterns)
    chosen = _choose(patterns, fraction, generator)
    return patterns.scatter(-1, chosen, -patterns.gather(-1, chosen))


def _choose(patterns: Tensor, fraction: float, generator: torch.Generator | None) -> Tensor:
    """Return the indices, shape (..., count), of coordinates chosen without replacement in each row."""
    count = _count(patterns, fraction)
    # Always single precision: in half precision many keys would be equal, and the choice would not be uniform.
    keys = torch.rand(patterns.shape, generator=generator, device=patterns.device, dtype=torch.float32)
    return keys.topk(count, dim=-1, sorted=False).indices


def _count(patterns: Tensor, fraction: float) -> int:
    _arguments.real("fraction", fraction, 0, 1)
    return round(fraction * patterns.shape[-1])


def _patterns_for(patterns: Any, fill: float) -> Tensor:
    """Return patterns whose dtype holds a fill."""
    _arguments.real("fill", fill)
    rows = _patterns(patterns)
    if abs(fill) > torch.finfo(rows.dtype).max:
        raise ValueError(f"fill is {fill:g}: patterns are {rows.dtype}, which ends at {torch.finfo(rows.dtype).max:g}")
    return rows


def _patterns(patterns: Any) -> Tensor:
    rows = _arrays.floating("patterns", patterns)
    if rows.ndim == 0 or rows.shape[-1] == 0:
        raise ValueError(f"patterns has shape {tuple(rows.shape)}: it must be (..., d) with d >= 1")
    return rows
