"""How often patterns of random memories are stored, are lost or merge: counted, or by importance sampling.

Experiments run in units of the radius m: patterns are uniform on the unit sphere, and κ = βm² is the inverse
temperature.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hopfield_theory.bounds import RandomMemory
from hopfield_theory.data.seeds import keyed_generator
from hopfield_theory.model import batched
from hopfield_theory.statements import tails
from hopfield_theory.statements.rare_events import ClosePair, QuietCrowd, mean_interval
from hopfield_theory.statements.statement import Experiment
from hopfield_theory.statistics import Interval

# an orbit whose step is shorter has come to rest; ends that are closer than _APART are the same
_AT_REST = 1e-10
_APART = 1e-6
# A state that still moves after so many updates counts as a fixed point. Pairs within 2 per cent of the height 2/κ at
# which pairs separate merge more slowly and count as separate, which favours C1 to C3 and disfavours C6.
_STEPS = 1000
# numbers that a batch of memories may hold: few enough for a cache
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Setting:
    """A random memory, and the probability p of a statement about it."""

    memory: RandomMemory
    failure_probability: float

    def __str__(self) -> str:
        return f"{_described(self.memory)}, p = {self.failure_probability:g}"


def _described(memory: RandomMemory) -> str:
    log_noop = memory.log_noop
    noop = "0" if math.isinf(log_noop) else f"e^{log_noop:g}" if log_noop else "1"
    return f"d = {memory.dim}, κ = {memory.kappa:g}, n = {noop}"


def dense(dim: int, kappa: float, failure_probability: float) -> Setting:
    """Return a setting without a no-op slot, n = 0."""
    return Setting(RandomMemory(dim, kappa, -math.inf), failure_probability)


def slotted(dim: int, kappa: float, failure_probability: float, log_noop: float) -> Setting:
    """Return a setting with log n."""
    return Setting(RandomMemory(dim, kappa, log_noop), failure_probability)


# from a setting to the logarithm of a number of patterns, or to a distance
Bound = Callable[[Setting], float]
# from patterns, shape (B, M, d), the ends of the first Q of them, shape (B, Q, d), which of those are at rest, and a
# radius, to bools of shape (B,)
_Event = Callable[[Tensor, Tensor, Tensor, float], Tensor]


# --- memories and their ends ---


def _ends(patterns: Tensor, queries: int, memory: RandomMemory) -> tuple[Tensor, Tensor]:
    """Return the ends of updates from the first patterns of memories, shape (B, M, d), and which converged."""
    start = patterns[:, :queries]
    found = batched.fixed_points(start, patterns, memory.kappa, memory.log_noop, tol=_AT_REST, max_steps=_STEPS)
    return found.state, found.converged


def _errors(patterns: Tensor, ends: Tensor) -> Tensor:
    return torch.linalg.vector_norm(ends - patterns[:, : ends.shape[1]], dim=-1)


# --- events ---


def _storable(patterns: Tensor, ends: Tensor, _at_rest: Tensor, _radius: float) -> Tensor:
    return batched.storable(patterns, ends, _APART)


def _merged(_patterns: Tensor, ends: Tensor, _at_rest: Tensor, _radius: float) -> Tensor:
    return (batched.distances(ends) <= _APART).any(-1).any(-1)


def _within(patterns: Tensor, ends: Tensor, _at_rest: Tensor, radius: float) -> Tensor:
    return _errors(patterns, ends)[:, 0] <= radius


def _at_rest_and_not(event: _Event) -> _Event:
    """Return the event that a bound excludes, where all limits that it is about are known."""
    return lambda patterns, ends, at_rest, radius: at_rest.all(-1) & ~event(patterns, ends, at_rest, radius)


@dataclass(frozen=True)
class _Kind:
    """The event of a bound: its name, the number of patterns, and whether it is about one of them or all.

    The name may contain a place for the radius. The claimed probability is ``1 - p`` for a likely event, else p.
    """

    name: str
    happens: _Event
    rounded: Callable[[float], int]
    at_least: bool
    typical: bool = False
    likely: bool = False

    def size(self, log_patterns: float) -> int:
        return self.rounded(math.exp(log_patterns))

    def claimed(self, setting: Setting) -> float:
        return 1 - setting.failure_probability if self.likely else setting.failure_probability

    def full_name(self, setting: Setting, radius: Bound | float) -> str:
        return f"{self.name.format(radius)}: {setting}"


def _radius(radius: Bound | float, setting: Setting) -> float:
    return radius(setting) if callable(radius) else radius


def _counted(
    kind: _Kind,
    log_patterns: Bound,
    setting: Setting,
    trials: tuple[int, int],
    radius: Bound | float = math.nan,
) -> Experiment:
    """Count the random memories in which an event happens."""
    name, dim = kind.full_name(setting, radius), setting.memory.dim

    def count(seed: int, trials: int, _: float) -> int:
        generator, size, reach = keyed_generator(seed, name), kind.size(log_patterns(setting)), _radius(radius, setting)
        queries = 1 if kind.typical else size
        batch = max(1, _BLOCK // (size * max(queries, dim)))
        happened = 0
        for begun in range(0, trials, batch):
            # drawn one by one, since the numbers that torch draws depend on how many it draws in one call
            drawn = [
                torch.randn(size, dim, generator=generator, dtype=torch.float64)
                for _ in range(min(batch, trials - begun))
            ]
            patterns = torch.nn.functional.normalize(torch.stack(drawn), dim=-1)
            happened += int(kind.happens(patterns, *_ends(patterns, queries, setting.memory), reach).sum())
        return happened

    return Experiment(name, count, lambda: kind.claimed(setting), kind.at_least, trials)


def _estimated(
    kind: _Kind,
    log_patterns: Bound,
    setting: Setting,
    reach: float,
    trials: tuple[int, int],
    radius: Bound | float = math.nan,
) -> Experiment:
    """Estimate the probability of an event together with a pair closer than the height ``reach/κ``."""
    name, memory = kind.full_name(setting, radius), setting.memory
    cap = reach / memory.kappa

    def estimate(seed: int, trials: int, confidence: float) -> Interval:
        size = kind.size(log_patterns(setting))
        pairs, generator = ClosePair(size, memory.dim, cap, of_first=kind.typical), keyed_generator(seed, name)

        def value(patterns: Tensor, ends: Tensor, at_rest: Tensor) -> Tensor:
            return kind.happens(patterns, ends, at_rest, _radius(radius, setting)) / pairs.count(patterns)

        mean = _mean_value(pairs.draw, value, memory, 1 if kind.typical else size, generator, trials, confidence)
        # an upper bound is refuted by the close pairs, a lower bound only by all events
        rest = math.exp(tails.log_crowd_failure(memory, cap, math.log(size))) if kind.at_least else 0.0
        return _scaled(mean, pairs.log_expected, rest)

    return Experiment(name, estimate, lambda: kind.claimed(setting), kind.at_least, trials)


all_stored = functools.partial(
    _counted,
    _Kind("all limits distinct and in disjoint balls", _storable, math.floor, at_least=True, likely=True),
)
two_merge = functools.partial(_counted, _Kind("two limits coincide", _merged, math.ceil, at_least=True))
typical_stored = functools.partial(
    _counted,
    _Kind("limit of one pattern in its ball", _within, math.floor, at_least=True, typical=True, likely=True),
)
typical_lost = functools.partial(
    _counted,
    _Kind("limit of one pattern within {:g} m", _within, math.ceil, at_least=False, typical=True, likely=True),
)
rarely_lost = functools.partial(
    _estimated,
    _Kind(
        "limits that coincide or do not fit into disjoint balls, through a close pair",
        _at_rest_and_not(_storable),
        math.floor,
        at_least=False,
    ),
)
rarely_off = functools.partial(
    _estimated,
    _Kind(
        "limit of one pattern outside its ball, through a close neighbour",
        _at_rest_and_not(_within),
        math.floor,
        at_least=False,
        typical=True,
    ),
)
rarely_merged = functools.partial(
    _estimated,
    _Kind(
        "two limits coincide",
        # here it is the claim that such events are frequent enough, so that doubt counts as one
        lambda patterns, ends, at_rest, radius: _merged(patterns, ends, at_rest, radius) | ~at_rest.all(-1),
        math.ceil,
        at_least=True,
    ),
)

# from a generator to one memory, shape (M, d)
_Draw = Callable[[torch.Generator], Tensor]
# from memories, their ends and which of those are at rest to numbers of shape (B,) in [0, 1]
_Value = Callable[[Tensor, Tensor, Tensor], Tensor]


def _mean_value(
    draw: _Draw,
    value: _Value,
    memory: RandomMemory,
    queries: int,
    generator: torch.Generator,
    trials: int,
    confidence: float,
) -> Interval:
    """Average a function of the ends of the first ``queries`` patterns over memories."""
    values: list[Tensor] = []
    while (left := trials - sum(map(len, values))) > 0:
        first = draw(generator)
        batch = min(left, max(1, _BLOCK // (len(first) * max(queries, memory.dim))))
        patterns = torch.stack([first, *(draw(generator) for _ in range(batch - 1))])
        values.append(value(patterns, *_ends(patterns, queries, memory)))
    return mean_interval(torch.cat(values), confidence)


def _scaled(interval: Interval, log_factor: float, rest: float = 0.0) -> Interval:
    """Multiply by a known factor, and add a bound on the omitted probability to the upper end."""
    estimate, low, high = (math.exp(log_factor) * x for x in (interval.estimate, interval.low, interval.high))
    return Interval(estimate, low, high + rest, interval.confidence)


# where C7's sum over the crowd begins for these experiments, and the pull, in units of ρ, that counts as quiet
_CAP = 0.4
_QUIET = 0.9


def rarely_near(size: int, error: float, memory: RandomMemory, trials: tuple[int, int]) -> Experiment:
    """Estimate the probability, bounded by C7, that the crowd is quiet and a pattern's fixed point is near it."""
    name = f"limit of one pattern within {error:g} m of it, the crowd quiet: M = {size}, {_described(memory)}"

    def estimate(seed: int, trials: int, confidence: float) -> Interval:
        crowd = QuietCrowd(size, memory.dim, memory.kappa, 0.5 * error, _QUIET * error)

        def value(patterns: Tensor, ends: Tensor, at_rest: Tensor) -> Tensor:
            return (at_rest[:, 0] & _within(patterns, ends, at_rest, error)) * crowd.weight(patterns)

        mean = _mean_value(crowd.draw, value, memory, 1, keyed_generator(seed, name), trials, confidence)
        return _scaled(mean, crowd.log_factor)

    def claimed() -> float:
        return math.exp(tails.log_near(memory, error, _CAP, math.log(size)))

    return Experiment(name, estimate, claimed, at_least=False, trials=trials)
