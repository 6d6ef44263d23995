"""Instances to check statements on: random ensembles, structured corners, and real data.

The instances of a batch have the same number of patterns and dimension; kinds of patterns, norms, κ = β m², no-op
masses, queries and second points are drawn independently of each other, so that all corners are combined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hopfield_theory.data.seeds import keyed_generator

__all__ = ["SHAPES", "Batch", "Draws", "draw"]

SHAPES = ((1, 1), (1, 3), (2, 1), (2, 2), (3, 2), (3, 5), (4, 4), (6, 3), (8, 8), (16, 4), (24, 16))
"""Numbers of patterns and dimensions."""

_OUTLIERS, _SOME_DIGITS = 2, 16
# most numbers in the differences of all pairs of patterns of a batch, so that they fit a cache
_PAIRS = 1 << 20

Generator = torch.Generator


@dataclass(frozen=True)
class Batch:
    """Instances of one shape: the variables of statements, and a description of each instance's patterns and query.

    Values are float64 with a leading batch axis: patterns (B, M, d), query (B, d), beta (B,), ….
    """

    values: dict[str, Tensor]
    kinds: list[str]

    def __len__(self) -> int:
        return len(self.kinds)

    def values_at(self, index: int, names: tuple[str, ...]) -> dict[str, Any]:
        """Return some variables of one instance as Python floats and lists."""
        return {name: self.values[name][index].tolist() for name in names}

    def describe(self, index: int) -> str:
        """Describe an instance in one line."""
        v = self.values
        radius = v["patterns"][index].norm(dim=-1).max().item()
        count, dim = v["patterns"][index].shape
        kappa = v["beta"][index].item() * radius**2
        return f"{self.kinds[index]}; M = {count}, d = {dim}, κ = {kappa:.2g}, n = {v['noop'][index].item():.2g}"


class Draws:
    """About ``number`` instances over all shapes, drawn in batches, again at each iteration.

    Parameters
    ----------
    seed : int
        Determines the instances.
    number : int, at least 1
        Divided evenly among the shapes.
    digits : Tensor, shape (M, 64), optional
        Real patterns, whose sub-memories are an additional shape.

    Examples
    --------
    >>> draws = Draws(0, 110)
    >>> len(draws), sum(len(batch) for batch in draws)
    (11, 110)
    """

    def __init__(self, seed: int, number: int, digits: Tensor | None = None) -> None:
        self._seed, self._digits = seed, digits
        self._shapes = SHAPES if digits is None else (*SHAPES, (_SOME_DIGITS, digits.shape[1]))
        self._each = max(1, round(number / len(self._shapes)))

    def __len__(self) -> int:
        return sum(math.ceil(self._each / _rows(*shape)) for shape in self._shapes)

    def __iter__(self) -> Iterator[Batch]:
        for index, shape in enumerate(self._shapes):
            rows = _rows(*shape)
            for block, start in enumerate(range(0, self._each, rows)):
                number = min(rows, self._each - start)
                generator = keyed_generator(self._seed, block, index)
                if index < len(SHAPES):
                    yield draw(number, *shape, generator)
                elif self._digits is not None:
                    yield _of_digits(number, self._digits, generator)


def _rows(count: int, dim: int) -> int:
    return min(max(_PAIRS // (count * count * dim), 32), 4096)


def draw(number: int, count: int, dim: int, generator: Generator) -> Batch:
    """Draw B = ``number`` instances of M = ``count`` patterns in d = ``dim`` dimensions."""
    names = list(_PATTERNS)
    kinds = torch.randint(len(names), (number,), generator=generator)
    patterns = torch.empty(number, count, dim, dtype=torch.float64)
    for kind, name in enumerate(names):
        chosen = kinds == kind
        patterns[chosen] = _PATTERNS[name](int(chosen.sum()), count, dim, generator)
    patterns = patterns * _log_uniform((number,), -2, 2, generator)[:, None, None]
    return _completed(patterns, [names[kind] for kind in kinds.tolist()], generator)


def _of_digits(number: int, digits: Tensor, generator: Generator) -> Batch:
    rows = torch.stack([torch.randperm(len(digits), generator=generator)[:_SOME_DIGITS] for _ in range(number)])
    patterns = digits[rows].double()
    centred = torch.rand(number, generator=generator) < 0.5
    patterns = torch.where(centred[:, None, None], patterns - digits.double().mean(0), patterns)
    return _completed(patterns, ["digits"] * number, generator)


def _completed(patterns: Tensor, kinds: list[str], generator: Generator) -> Batch:
    number, _, dim = patterns.shape
    radius = patterns.norm(dim=-1).amax(-1)
    unit = torch.where(radius > 0, radius, 1.0)
    kappa = _log_uniform((number,), -3, 4, generator)
    extreme = torch.rand(number, generator=generator)
    kappa = torch.where(extreme < 0.03, 1e-8, torch.where(extreme > 0.97, 1e8, kappa))
    noop = _noops(number, kappa, generator)
    query, query_kinds = _queries(patterns, unit, generator)
    other = (
        query + _directions((number, dim), generator) * (unit * _log_uniform((number,), -7, 0.5, generator))[:, None]
    )
    unrelated = torch.rand(number, generator=generator) < 0.3
    other = torch.where(unrelated[:, None], _normal((number, dim), generator), other)
    ball = unit * _log_uniform((number,), -4, 0, generator)
    usual = torch.rand(number, generator=generator) < 0.5
    ball = torch.where(usual, unit / (2 * kappa), ball)
    toward = torch.rand(number, _OUTLIERS, generator=generator).lt(0.5)[..., None]
    wild = _normal((number, _OUTLIERS, dim), generator)
    outliers = torch.where(toward, query[:, None] + 0.3 * unit[:, None, None] * wild, unit[:, None, None] * wild)
    outliers = outliers * _log_uniform((number,), -1, 1, generator)[:, None, None]
    values = {"patterns": patterns, "beta": kappa / unit**2, "noop": noop, "query": query, "other": other}
    values |= {"ball": ball, "outliers": outliers}
    return Batch(values, [f"{kind}, {query}" for kind, query in zip(kinds, query_kinds, strict=True)])


def _log_uniform(shape: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    return 10.0 ** (low + (high - low) * torch.rand(shape, dtype=torch.float64, generator=generator))


def _normal(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def _directions(shape: tuple[int, ...], generator: Generator) -> Tensor:
    x = _normal(shape, generator)
    return x / x.norm(dim=-1, keepdim=True)


def _noops(number: int, kappa: Tensor, generator: Generator) -> Tensor:
    """Dense and OutEffHop, small and large, extreme ones, and masses that balance a score of the size of κ."""
    balanced = (kappa.clamp(max=600) * (2 * torch.rand(number, dtype=torch.float64, generator=generator) - 1)).exp()
    choices = torch.stack(
        [
            torch.zeros_like(kappa),
            torch.ones_like(kappa),
            _log_uniform((number,), -3, 3, generator),
            balanced,
            torch.where(torch.rand(number, generator=generator) < 0.5, 1e-30, 1e30),
        ]
    )
    shares = torch.tensor([0.2, 0.2, 0.25, 0.3, 0.05])
    kind = torch.multinomial(shares, number, replacement=True, generator=generator)
    return choices.gather(0, kind[None])[0]


def _queries(patterns: Tensor, unit: Tensor, generator: Generator) -> tuple[Tensor, list[str]]:
    number, count, dim = patterns.shape
    first, second = patterns[:, 0], patterns[:, min(1, count - 1)]
    direction = _directions((number, dim), generator)
    near = unit * _log_uniform((number,), -5, 0, generator)
    far = unit * 3 * torch.rand(number, dtype=torch.float64, generator=generator)
    choices = {
        "query at the pattern": first,
        "query near the pattern": first + near[:, None] * direction,
        "query half-way": 0.5 * (first + second),
        "query near half-way": 0.5 * (first + second) + 0.1 * near[:, None] * direction,
        "query at 0": torch.zeros_like(first),
        "query near 0": near[:, None] * direction,
        "query anywhere": far[:, None] * direction,
        "query opposite": -(1 - 1e-6) * first,
        "query far away": 30 * unit[:, None] * direction,
    }
    kinds = torch.randint(len(choices), (number,), generator=generator)
    names = list(choices)
    return torch.stack(list(choices.values()))[kinds, torch.arange(number)], [names[kind] for kind in kinds.tolist()]


# --- patterns of unit size, shape (number, count, dim) ---


def _sphere(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    return _directions((number, count, dim), generator)


def _gaussian(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    return _normal((number, count, dim), generator) / math.sqrt(dim)


def _rademacher(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    bits = torch.randint(2, (number, count, dim), generator=generator).double()
    return (2 * bits - 1) / math.sqrt(dim)


def _spiked(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    spike = _directions((number, 1, dim), generator)
    return _gaussian(number, count, dim, generator) + 3 * _normal((number, count, 1), generator) * spike


def _duplicates(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    return _directions((number, 1, dim), generator).expand(-1, count, -1)


def _twins(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    rows = _sphere(number, count, dim, generator)
    if count > 1:
        rows[:, 1] = rows[:, 0] + _log_uniform((number, 1), -6, 0, generator) * rows[:, 1]
    return rows


def _collinear(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    return torch.linspace(1, -1, count, dtype=torch.float64)[:, None] * _directions((number, 1, dim), generator)


def _orthogonal(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    del generator
    signs = torch.where(torch.arange(count) < dim, 1.0, -1.0).double()[:, None]
    return (torch.eye(dim, dtype=torch.float64)[torch.arange(count) % dim] * signs).expand(number, -1, -1)


def _simplex(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    # corners of a simplex while there is room, the rest on the sphere
    rows = _sphere(number, count, dim, generator)
    corners = min(count, dim + 1)
    if corners > 1:
        flat = torch.linalg.svd(torch.eye(corners, dtype=torch.float64) - 1 / corners)[2][: corners - 1]
        basis = torch.linalg.qr(_normal((number, dim, dim), generator))[0][:, : corners - 1]
        inside = flat.T @ basis
        rows[:, :corners] = inside / inside.norm(dim=-1, keepdim=True)
    return rows


def _ring(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    # equally spaced on a circle: attractors that lie closest together
    angle = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    flat = torch.stack([angle.cos(), angle.sin()], -1)
    basis = torch.linalg.qr(_normal((number, max(dim, 2), max(dim, 2)), generator))[0][:, :2, :dim]
    return flat @ basis


def _antipodes(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    # all others opposite to the first, which may be shorter: where bounds by the largest distance are attained
    axis = _directions((number, 1, dim), generator)
    return torch.cat([_log_uniform((number, 1, 1), -1, 0, generator) * axis, (-axis).expand(-1, count - 1, -1)], 1)


def _with_zero(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    rows = _sphere(number, count, dim, generator)
    rows[:, -1] = 0
    return rows


def _with_giant(number: int, count: int, dim: int, generator: Generator) -> Tensor:
    rows = _sphere(number, count, dim, generator)
    rows[torch.arange(number), torch.randint(count, (number,), generator=generator)] *= 100
    return rows


_PATTERNS: dict[str, Callable[[int, int, int, Generator], Tensor]] = {
    "sphere": _sphere,
    "Gaussian": _gaussian,
    "Rademacher": _rademacher,
    "spiked": _spiked,
    "duplicates": _duplicates,
    "twins": _twins,
    "collinear": _collinear,
    "orthogonal": _orthogonal,
    "simplex": _simplex,
    "ring": _ring,
    "antipodes": _antipodes,
    "one at zero": _with_zero,
    "one giant": _with_giant,
}
