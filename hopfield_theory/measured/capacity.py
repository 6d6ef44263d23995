r"""Measured capacity: rules of success, the rate of success, and the number of patterns at which it crosses a level.

Lengths are in units of the patterns' norm m. Each memory has its own stream of random numbers.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hopfield_theory import _arguments
from hopfield_theory.bounds import mean_field
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.data.ensembles import Ensemble, RandomPatterns, Sphere, derived_seed
from hopfield_theory.measured.crossing import Crossing, crossing
from hopfield_theory.model import batched
from hopfield_theory.model.stream import Stream, in_threads
from hopfield_theory.statistics import Interval, cluster_bootstrap, wilson

__all__ = ["Rule", "Setting", "capacity", "clustered_rate", "outcomes", "rate"]

# most numbers in a batch of memories, which a GPU wants large, and in one memory that is held; larger ones are streamed
_BATCH, _HELD = {"cpu": 1 << 20, "cuda": 1 << 28}, 1 << 26
# A step of this length is the last; fixed points closer than _APART, well above the remaining error, are the same.
_TOLERANCE, _APART, _STEPS = 1e-8, 1e-5, 2000


class Rule(enum.StrEnum):
    """When a pattern counts as retrieved: its query ends within ``error`` of it."""

    STORED = "stored"
    """The fixed point reached from the pattern itself."""
    ONE_UPDATE = "one update"
    """The first update of the pattern."""
    FROM_NOISE = "from noise"
    """The fixed point reached from a query at distance ``noise``, in a random direction."""
    ALL = "all patterns"
    """All fixed points reached from the patterns of a memory, distinct and in disjoint balls."""


@dataclass(frozen=True)
class Setting:
    """A random memory, and the rule of success.

    Parameters
    ----------
    memory : RandomMemory
    rule : Rule or str
    error : float, above 0
        ε: the distance, in units of m, up to which an answer counts as the pattern.
    noise : float, at least 0
        Distance of the query from the pattern, in units of m, for the rule ``"from noise"``.
    ensemble : Ensemble
        The distribution of patterns in units of m: β of the memory is κ. By default the unit sphere, which is what
        the bounds are about.

    Examples
    --------
    >>> Setting(RandomMemory(16, 16.0)).rule.value
    'stored'
    """

    memory: RandomMemory
    rule: Rule | str = Rule.STORED
    error: float = 0.5
    noise: float = 0.0
    ensemble: Ensemble = field(default_factory=lambda: Sphere(1.0))

    def __post_init__(self) -> None:
        _arguments.positive("error", self.error)
        _arguments.real("noise", self.noise, 0.0)
        object.__setattr__(self, "rule", Rule(self.rule))


def outcomes(
    setting: Setting,
    num_patterns: int,
    memories: int,
    seed: int,
    *,
    first: int = 0,
    queries: int = 1,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
) -> NDArray[np.bool_]:
    """Draw memories, and return which queries of each succeed, shape (memories, queries); (memories, 1) for ALL.

    Parameters
    ----------
    setting : Setting
    num_patterns, memories : int, at least 1
        M, and the number of independent memories.
    seed : int
    first : int
        Memory i of this call is memory ``first + i`` of the seed: calls with disjoint ranges are independent.
    queries : int, at least 1
        Queried patterns per memory, at most M; for the rule "all patterns" all are queried, with one outcome together.
    dtype : torch.dtype
        float32 or float64; they draw different patterns.
    device : str

    Examples
    --------
    >>> outcomes(Setting(RandomMemory(16, 16.0)), 100, memories=3, seed=0).all()
    np.True_
    """
    for name, value in (("num_patterns", num_patterns), ("memories", memories), ("queries", queries)):
        _arguments.integer(name, value, 1)
    if setting.rule == Rule.ALL:
        queries = num_patterns
    if queries > num_patterns:
        raise ValueError(f"queries is {queries}: it must be at most num_patterns, {num_patterns}")
    task = _Task(setting, num_patterns, seed, queries, dtype, device)
    numbers = _BATCH.get(torch.device(device).type, _BATCH["cpu"])
    size = max(1, numbers // (num_patterns * max(setting.memory.dim, queries)))
    batches = [range(first + i, first + min(i + size, memories)) for i in range(0, memories, size)]
    alone = device == "cpu" and num_patterns * setting.memory.dim <= _HELD
    return np.concatenate(list((in_threads if alone else map)(task, batches)))


@dataclass(frozen=True)
class _Task:
    """Outcomes of some memories of a seed, as a function of their indices."""

    setting: Setting
    num_patterns: int
    seed: int
    queries: int
    dtype: torch.dtype
    device: str

    def __call__(self, indices: range) -> NDArray[np.bool_]:
        setting = self.setting
        sources = [self._source(index) for index in indices]
        targets = torch.stack([_first(source, self.queries) for source in sources])
        start = targets
        if setting.rule == Rule.FROM_NOISE:
            start = targets + setting.noise * torch.stack([self._directions(index) for index in indices])
        if setting.rule == Rule.ALL:
            ends = self._ends(start, targets)
            near = (torch.linalg.vector_norm(ends - targets, dim=-1) <= setting.error).all(-1)
            return (near & batched.storable(targets, ends, _APART)).cpu().numpy()[:, None]
        if self.num_patterns * setting.memory.dim > _HELD:
            ends = torch.stack([self._streamed(*pair) for pair in zip(sources, start, strict=True)])
        else:
            patterns = torch.stack([source.tensor() for source in sources])
            ends = self._ends(start, patterns)
        return (torch.linalg.vector_norm(ends - targets, dim=-1) <= setting.error).cpu().numpy()

    def _source(self, index: int) -> RandomPatterns:
        return RandomPatterns(
            self.setting.ensemble,
            self.num_patterns,
            self.setting.memory.dim,
            seed=self.seed,
            cell=(index,),
            dtype=self.dtype,
            device=self.device,
        )

    def _directions(self, index: int) -> Tensor:
        generator = torch.Generator(self.device).manual_seed(derived_seed(self.seed, index, 1))
        shape = (self.queries, self.setting.memory.dim)
        x = torch.randn(shape, dtype=self.dtype, device=self.device, generator=generator)
        return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)

    def _ends(self, start: Tensor, patterns: Tensor) -> Tensor:
        memory = self.setting.memory
        if self.setting.rule == Rule.ONE_UPDATE:
            return batched.update(start, patterns, memory.kappa, memory.log_noop)
        tol = max(_TOLERANCE, 16 * torch.finfo(self.dtype).eps)
        return batched.fixed_points(start, patterns, memory.kappa, memory.log_noop, tol=tol, max_steps=_STEPS).state

    def _streamed(self, source: RandomPatterns, start: Tensor) -> Tensor:
        stream = Stream(source, self.setting.memory.kappa, log_noop=self.setting.memory.log_noop)
        if self.setting.rule == Rule.ONE_UPDATE:
            return stream.update(start)
        return stream.retrieve(start, tol=1e-5, max_steps=200).state


def _first(source: RandomPatterns, count: int) -> Tensor:
    rows, block = [], 0
    while sum(map(len, rows)) < count:
        rows.append(source.block(block))
        block += 1
    return torch.cat(rows)[:count]


def rate(
    setting: Setting,
    num_patterns: int,
    memories: int,
    seed: int,
    *,
    queries: int = 1,
    confidence: float = 0.95,
    **options: Any,
) -> Interval:
    """Measure the rate of success.

    Parameters
    ----------
    setting, num_patterns, memories, seed, queries
        Same as for :func:`outcomes`, which also takes ``options``.
    confidence : float, in (0, 1)

    Returns
    -------
    Interval
        Wilson's if each memory has one outcome, else from a bootstrap over memories.

    Examples
    --------
    >>> print(rate(Setting(RandomMemory(16, 16.0)), 100, memories=50, seed=0))
    1 [0.9287, 1] (95%)
    """
    return clustered_rate(outcomes(setting, num_patterns, memories, seed, queries=queries, **options), confidence)


def clustered_rate(found: NDArray[np.bool_], confidence: float = 0.95) -> Interval:
    """Return the rate of successes of queries that share memories, with an interval for independent memories.

    Parameters
    ----------
    found : ndarray of bool, shape (memories, queries)
    confidence : float, in (0, 1)

    Returns
    -------
    Interval
        From a bootstrap over memories; Wilson's, with memories as trials, if each has one outcome, or if all outcomes
        are equal, since a bootstrap could not allow for others.

    Examples
    --------
    >>> print(clustered_rate(np.ones((20, 5), bool)))
    1 [0.8389, 1] (95%)
    """
    memories, queries = found.shape
    if queries == 1 or found.all() or not found.any():
        return wilson(int(found[:, 0].sum()), memories, confidence)
    clusters = np.repeat(np.arange(memories), queries)
    return cluster_bootstrap(found.ravel().astype(float), clusters, confidence=confidence, num_resamples=999, seed=0)


def capacity(
    setting: Setting,
    seed: int,
    *,
    level: float = 0.5,
    precision: float = 0.05,
    most_trials: int = 2000,
    most_patterns: float = 1e7,
    progress: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Crossing:
    """Find the number of patterns at which the rate of success crosses a level.

    Parameters
    ----------
    setting : Setting
    seed : int
    level : float, in (0, 1)
    precision : float, above 0
        Desired half width of the interval for log M.
    most_trials : int
        Largest number of memories in the last measurement.
    most_patterns : float
        Largest number of patterns; if the rate is above the level there, the crossing is an extrapolation.
    progress : function of a str, optional
    options
        ``dtype`` and ``device`` of :func:`outcomes`.

    Returns
    -------
    Crossing
        Its interval is that of a logistic fit near the crossing, with independent memories.

    Examples
    --------
    >>> found = capacity(Setting(RandomMemory(8, 8.0)), seed=0, precision=0.3)
    >>> 2.5 < found.log_patterns.estimate < 4.5
    True
    """

    def measure(size: int, trials: int, first: int) -> int:
        progress(f"M = {size}")
        return int(outcomes(setting, size, trials, seed, first=first, **options)[:, 0].sum())

    top = math.log(most_patterns)
    return crossing(measure, _guess(setting, top), top, level=level, precision=precision, most_trials=most_trials)


def _guess(setting: Setting, top: float) -> float:
    guess = 0.4 if setting.rule == Rule.ALL else 0.8
    return min(max(guess * float(mean_field.threshold(setting.memory.lam)) * setting.memory.dim, 1.0), top)
