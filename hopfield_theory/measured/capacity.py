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
from hopfield_theory.bounds import _quadrature, finite_size, mean_field
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.certificates.ball_bound import certified_balls
from hopfield_theory.data.ensembles import Ensemble, PatternSource, RandomPatterns, Sphere
from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.fused import kernels
from hopfield_theory.fused.drawn import DrawnPatterns, draws
from hopfield_theory.measured.crossing import Crossing, crossing
from hopfield_theory.model import batched
from hopfield_theory.model.memory import Memory
from hopfield_theory.model.stream import Stream, in_threads
from hopfield_theory.statistics import Interval, cluster_bootstrap, wilson

__all__ = ["Rule", "Setting", "capacity", "clustered_rate", "outcomes", "rate"]

# most numbers in a batch of memories, which a GPU wants large, and in one memory that is held; larger ones are streamed
_BATCH, _HELD = {"cpu": 1 << 20, "cuda": 1 << 28}, 1 << 26
# A step of this length is the last; fixed points closer than _APART, well above the remaining error, are the same.
_TOLERANCE, _APART, _STEPS = 1e-8, 1e-5, 2000
_STREAMED_TOLERANCE = 1e-5
# whose exponential is a float
_LARGEST_LOG_NOOP = 709.0
# queries of a memory from which on drawing its patterns at each update is quicker than reading them
_MANY = 16


class Rule(enum.StrEnum):
    """When a pattern counts as retrieved: its query ends within ``error`` of it.

    The rules "stored" and "stored alone" differ where patterns are close to each other, that is in few dimensions, and
    less and less in more: at λ = 1 and n = 1 the capacity by the second is smaller by 0.43, 0.31 and 0.13 in log M at
    d = 8, 10 and 12, each ± 0.1. Bounds on typical patterns and the mean-field prediction (C3, C5, C7) are about
    distances, as "stored" is, and so are the experiments.
    """

    STORED = "stored"
    """The fixed point reached from the pattern itself. Only the distance counts: another pattern may end there too,
    in which case certificates call neither stored."""
    ALONE = "stored alone"
    """The same, and the nearest other pattern does not end at that fixed point too from within ``error`` of it, unless
    a ball around the queried pattern is certified, which then keeps the fixed point: as for
    :func:`~hopfield_theory.certificates.certify.shared_with`."""
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

    Notes
    -----
    Memories that are held are iterated to a step of 1e-8 (in float32 2e-6), in at most 2000 updates. Those of more than
    2²⁶ numbers are streamed, to 1e-5 in at most 200, and so are, on a GPU with Triton, those of float32 with 16 queries
    or more: a kernel draws their patterns, which are others than those of memories that are held.

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
        if self._is_streamed:
            found = [self._streamed_success(*three) for three in zip(sources, start, targets, strict=True)]
            return torch.stack(found).cpu().numpy()
        patterns = torch.stack([source.tensor() for source in sources])
        ends = self._ends(start, patterns)
        near = torch.linalg.vector_norm(ends - targets, dim=-1) <= setting.error
        if setting.rule == Rule.ALONE:
            near &= ~self._shared(near, ends, patterns)
        return near.cpu().numpy()

    def _shared(self, near: Tensor, ends: Tensor, patterns: Tensor) -> Tensor:
        """Tell which of the fixed points near their patterns another pattern reaches too, shape (memories, queries)."""
        rivals, distances = _nearest_other(ends, patterns)
        close = near & (distances <= self.setting.error)
        some = close.any(-1)
        shared = torch.zeros_like(near)
        if bool(some.any()):
            met = torch.linalg.vector_norm(self._ends(rivals[some], patterns[some]) - ends[some], dim=-1) <= _APART
            shared[some] = met & close[some]
        for index in shared.any(-1).nonzero().flatten().tolist():
            shared[index] &= ~self._certified(patterns[index], shared[index])
        return shared

    def _certified(self, patterns: Tensor, queries: Tensor) -> Tensor:
        """Tell which of the queried patterns of one memory have a certified ball, false for those not asked for."""
        memory, found = self.setting.memory, torch.zeros_like(queries)
        if memory.log_noop > _LARGEST_LOG_NOOP:
            return found
        rows = queries.nonzero().flatten()
        held = Memory(patterns, memory.kappa, math.exp(memory.log_noop))
        found[rows] = certified_balls(held, rows).radius > 0
        return found

    @property
    def _can_draw(self) -> bool:
        """Whether a kernel draws the patterns that it uses."""
        cuda = torch.device(self.device).type == "cuda"
        return cuda and self.dtype == torch.float32 and draws(self.setting.ensemble) and kernels.available()

    @property
    def _is_streamed(self) -> bool:
        large = self.num_patterns * self.setting.memory.dim > _HELD
        many = self.queries >= _MANY and self.setting.rule != Rule.ALL
        return large or (many and self._can_draw)

    def _source(self, index: int) -> PatternSource:
        ensemble, dim = self.setting.ensemble, self.setting.memory.dim
        kind = DrawnPatterns if self._is_streamed and self._can_draw else RandomPatterns
        options: dict[str, Any] = {"seed": self.seed, "cell": (index,), "dtype": self.dtype, "device": self.device}
        return kind(ensemble, self.num_patterns, dim, **options)

    def _directions(self, index: int) -> Tensor:
        generator = keyed_generator(self.seed, index, "queries", device=self.device)
        shape = (self.queries, self.setting.memory.dim)
        x = torch.randn(shape, dtype=self.dtype, device=self.device, generator=generator)
        return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)

    def _ends(self, start: Tensor, patterns: Tensor) -> Tensor:
        memory = self.setting.memory
        if self.setting.rule == Rule.ONE_UPDATE:
            return batched.update(start, patterns, memory.kappa, memory.log_noop)
        tol = max(_TOLERANCE, 16 * torch.finfo(self.dtype).eps)
        return batched.fixed_points(start, patterns, memory.kappa, memory.log_noop, tol=tol, max_steps=_STEPS).state

    def _streamed(self, source: PatternSource, start: Tensor) -> Tensor:
        stream = Stream(source, self.setting.memory.kappa, log_noop=self.setting.memory.log_noop)
        if self.setting.rule == Rule.ONE_UPDATE:
            return stream.update(start)
        return stream.retrieve(start, tol=_STREAMED_TOLERANCE, max_steps=200).state

    def _streamed_success(self, source: PatternSource, start: Tensor, targets: Tensor) -> Tensor:
        setting = self.setting
        ends = self._streamed(source, start)
        near = torch.linalg.vector_norm(ends - targets, dim=-1) <= setting.error
        if setting.rule != Rule.ALONE or not bool(near.any()):
            return near
        found = [_nearest_other(ends[None], block[None], first) for first, block in source.blocks()]
        rivals, distances = (torch.cat(parts) for parts in zip(*found, strict=True))
        least = distances.min(0)
        rival = rivals[least.indices, torch.arange(len(ends), device=ends.device)]
        close = near & (least.values <= setting.error)
        shared = torch.zeros_like(near)
        if bool(close.any()):
            met = torch.linalg.vector_norm(self._streamed(source, rival[close]) - ends[close], dim=-1)
            # of the last step, the same number of times as where patterns are held
            shared[close] = met <= _APART / _TOLERANCE * _STREAMED_TOLERANCE
        return near & ~shared


def _nearest_other(ends: Tensor, patterns: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
    """Return the pattern nearest to the end of each query but the queried one, and its distance.

    Shapes (B, Q, d) and (B, M, d). Row i of ``patterns`` is pattern ``first + i``, query q that of pattern q; without
    another pattern the distance is infinite.
    """
    squares = (patterns * patterns).sum(-1).unsqueeze(-2) - 2 * ends @ patterns.mT
    own = torch.arange(first, max(first, min(ends.shape[-2], first + patterns.shape[-2])), device=ends.device)
    squares[:, own, own - first] = torch.inf
    least = squares.min(-1)
    rivals = patterns.gather(-2, least.indices.unsqueeze(-1).expand(ends.shape))
    distances = torch.linalg.vector_norm(rivals - ends, dim=-1)
    return rivals, torch.where(least.values == torch.inf, torch.inf, distances)


def _first(source: PatternSource, count: int) -> Tensor:
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
    shared: int = 1,
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
    shared : int, at least 1
        Number of queried patterns of one memory, each a trial. More than one saves memories, where one is costly; the
        interval takes trials as independent, which the patterns of one memory are only as far as they are far apart.
    progress : function of a str, optional
    options
        ``dtype`` and ``device`` of :func:`outcomes`.

    Returns
    -------
    Crossing
        Its interval is that of a logistic fit near the crossing, with independent memories.

    Notes
    -----
    The search begins at the finite-size law C9 for the rules that it is about, or at C5 where there is no law; this
    decides how long it takes, not what it finds.

    Examples
    --------
    >>> found = capacity(Setting(RandomMemory(8, 8.0)), seed=0, precision=0.3)
    >>> 2.5 < found.log_patterns.estimate < 4.5
    True
    """

    def measure(size: int, trials: int, first: int) -> int:
        progress(f"M = {size}, {trials} memories")
        each = min(shared, size)
        more: dict[str, Any] = options if each == 1 else options | {"queries": each}
        found = outcomes(setting, size, math.ceil(trials / each), seed, first=first, **more)
        return int(found.ravel()[:trials].sum())

    top = math.log(most_patterns)
    return crossing(measure, _guess(setting, top), top, level=level, precision=precision, most_trials=most_trials)


def _guess(setting: Setting, top: float) -> float:
    """Return where the search begins: at the law C9, at the curve C5, or at a share of the random-energy limit."""
    memory = setting.memory
    guess = (0.4 if setting.rule == Rule.ALL else 0.8) * float(mean_field.threshold(memory.lam)) * memory.dim
    reaches = setting.rule == Rule.FROM_NOISE and setting.noise <= 1.0
    known = reaches or setting.rule in (Rule.STORED, Rule.ALONE)
    if known and setting.error < 1.0 and memory.dim <= _quadrature.LARGEST_DIM:
        predicted = mean_field.predicted(memory, setting.error)
        law = finite_size.law(memory, setting.error, setting.noise if reaches else 0.0)
        guess = predicted if math.isfinite(predicted) else guess
        guess = guess if law is None else min(guess, law.log_patterns)
    return min(max(guess, 1.0), top)
