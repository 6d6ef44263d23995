"""One update of a memory of up to e^700 random patterns, simulated without the patterns.

The weights of the patterns depend only on their cosines with the query, and given the cosines the parts of the patterns
across the query are isotropic. So the overlaps of the patterns close to the query are drawn exactly, and the many
others enter through the mean and the covariance of their sums. ``docs/virtual.md`` has the law and the method.
``overlaps`` is the law of the overlaps, ``which_are_drawn`` chooses the rivals (the patterns other than the target)
that are drawn, ``undrawn_sums`` has the others.

Lengths are in units of the radius m.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.sampled.overlaps import OverlapLaw, Streams, cosines, overlap_law
from hopfield_theory.sampled.undrawn_sums import Bulk, bulk_sums
from hopfield_theory.sampled.which_are_drawn import Plan

__all__ = ["OneUpdate", "one_update"]

_BLOCK_NUMBERS = 2**20


@dataclass(frozen=True)
class OneUpdate:
    """Independent trials of one update; every trial has its own patterns.

    Attributes
    ----------
    log_crowd : ndarray, shape (trials,)
        Logarithm of ``S = Σ_{ν>=2} exp(β <ξ_ν, x>)``; ``-inf`` for a single pattern.
    target_weight, noop_weight : ndarray, shape (trials,), in [0, 1]
        p_1 and p_0.
    along : ndarray, shape (trials,)
        ``<T(x), ξ_1> / m²``.
    along_query : ndarray, shape (trials,)
        Component of ``T(x)/m`` along the query.
    across : ndarray, shape (trials,), at least 0
        Length of the others' contribution to ``T(x)/m`` across the query.
    error : ndarray, shape (trials,), at least 0
        ``|T(x) - ξ_1| / m``.
    """

    log_crowd: Floats
    target_weight: Floats
    noop_weight: Floats
    along: Floats
    along_query: Floats
    across: Floats
    error: Floats


def one_update(
    memory: RandomMemory,
    log_patterns: float,
    trials: int,
    seed: int,
    *,
    overlap: float = 1.0,
    noise: float = 0.0,
    ensemble: str = "sphere",
) -> OneUpdate:
    """Simulate one update of a memory of random patterns from the overlaps of the patterns with the query.

    The memory holds a target ξ_1 of norm m and M - 1 independent patterns. The query x has the part ``overlap · ξ_1``
    along the target and a part of length ``noise · m`` across it, in a direction independent of the patterns. Its
    update is ``T(x) = Σ p_ν ξ_ν`` with ``p_ν = exp(β <ξ_ν, x>) / (n + Σ_μ exp(β <ξ_μ, x>))``.

    Up to 8 001 patterns the law is exact. For more, the patterns above a threshold, 1 000 on average, are drawn
    exactly, and the sums over the others as normal variables of the same mean and covariance: no bound on the error of
    that is claimed, and the tests see no error.

    Parameters
    ----------
    memory : RandomMemory
    log_patterns : float, at least 0
        log M, in nats; M is rounded to an integer where it is below 1e15. Tested up to 700.
    trials : int, at least 1
    seed : int, at least 0
        The first trials of a seed do not depend on how many follow.
    overlap : float
        q.
    noise : float, at least 0
        r.
    ensemble : {"sphere", "gaussian"}
        Uniform on the sphere of radius m, or normal with covariance ``m²/d``; the target has norm m in both cases.

    Examples
    --------
    >>> runs = one_update(RandomMemory(dim=100, kappa=100.0), log_patterns=60.0, trials=200, seed=1)
    >>> runs.error.shape, bool(np.median(runs.error) < 0.5)
    ((200,), True)
    >>> float(one_update(RandomMemory(dim=3, kappa=2.0), log_patterns=0.0, trials=1, seed=0).noop_weight[0])
    0.11920292202211755
    """
    _arguments.instance("memory", memory, RandomMemory)
    overlap, noise = _arguments.real("overlap", overlap), _arguments.real("noise", noise, 0.0)
    trials, seed = _arguments.integer("trials", trials, 1), _arguments.integer("seed", seed, 0)
    law = overlap_law(ensemble, memory.dim)
    return _simulate(law, _query(memory, overlap, noise), Plan.of(log_patterns), trials, seed)


@dataclass(frozen=True)
class _Query:
    """Scale ``κ |x|/m`` of the scores, the target's score, and the target's parts along and across the query."""

    kappa: float
    score: float
    cosine: float
    sine: float
    log_noop: float


def _query(memory: RandomMemory, overlap: float, noise: float) -> _Query:
    length = math.hypot(overlap, noise)
    if length == 0.0:
        # For a query at the origin any direction will do.
        return _Query(0.0, 0.0, 1.0, 0.0, memory.log_noop)
    return _Query(memory.kappa * length, memory.kappa * overlap, overlap / length, noise / length, memory.log_noop)


class _Tail(NamedTuple):
    """The map that places rivals above the threshold, and the moments of a rival below it."""

    place: Callable[[Floats], tuple[Floats, Floats]]
    bulk: Bulk


def _tail(law: OverlapLaw, query: _Query, plan: Plan) -> _Tail:
    place = law.tail(plan.log_share)
    threshold = float(place(np.zeros(1))[0][0])
    return _Tail(place, Bulk.below(threshold, log_share=plan.log_share, law=law, kappa=query.kappa))


def _simulate(law: OverlapLaw, query: _Query, plan: Plan, trials: int, seed: int) -> OneUpdate:
    streams = Streams.of(seed)
    tail = None if plan.complete else _tail(law, query, plan)
    rows = max(1, _BLOCK_NUMBERS // max(plan.width, 1))
    sizes = [min(rows, trials - start) for start in range(0, trials, rows)]
    blocks = [_block(law, query, plan, tail, streams, size) for size in sizes]
    columns = (field.name for field in fields(OneUpdate))
    return OneUpdate(*(np.concatenate([getattr(block, name) for block in blocks]) for name in columns))


def _block(law: OverlapLaw, query: _Query, plan: Plan, tail: _Tail | None, streams: Streams, trials: int) -> OneUpdate:
    shape = (trials, plan.width)
    if tail is None:
        t, across = law.draw(streams, shape)
        return _update(law, query, query.kappa * t, t, across, None, np.zeros(trials), streams)
    counts = plan.counts(streams.counts, trials)
    t, across = tail.place(streams.places.standard_exponential(shape))
    scores = np.where(np.arange(plan.width) < counts[:, None], query.kappa * t, -np.inf)
    return _update(law, query, scores, t, across, tail.bulk, plan.log_rest(counts), streams)


def _update(
    law: OverlapLaw,
    query: _Query,
    scores: Floats,
    t: Floats,
    across: Floats,
    bulk: Bulk | None,
    log_rest: Floats,
    streams: Streams,
) -> OneUpdate:
    trials = scores.shape[0]
    peak = scores.max(axis=1, initial=-np.inf)
    if bulk is not None:
        peak = np.maximum(peak, bulk.log_top + log_rest + bulk.log_mean)
    weights = np.exp(scores - peak[:, None])
    lengths = weights * across
    drawn, drawn_along = weights.sum(axis=1), (weights * t).sum(axis=1)
    sums = bulk_sums(bulk, log_rest, peak, streams.bulks.standard_normal((trials, 2)))
    crowd = drawn + sums.weight
    with np.errstate(divide="ignore"):
        log_crowd = peak + np.log(crowd)

    # Relative to the target or the no-op slot, the crowd may be below the smallest float.
    scale = np.maximum(peak, max(query.score, query.log_noop))
    shrink = np.exp(peak - scale)
    target, noop = np.exp(query.score - scale), np.exp(query.log_noop - scale)
    total = shrink * crowd + target + noop
    others_along = shrink * (drawn_along + sums.along) / total
    others_across = shrink * law.across(lengths, sums.side_variance, streams) / total
    turn = cosines(
        streams.sides.standard_normal(trials), streams.side_rests.standard_gamma(0.5 * (law.dim - 2), trials)
    )
    sideways = query.sine * others_across * turn
    # Summing the other weights, in place of 1 - p_1, keeps the digits of small errors.
    lost = (shrink * crowd + noop) / total
    square = (others_along - query.cosine * lost) ** 2 + others_across**2 + (query.sine * lost) ** 2
    return OneUpdate(
        log_crowd=log_crowd,
        target_weight=target / total,
        noop_weight=noop / total,
        along=target / total + query.cosine * others_along + sideways,
        along_query=query.cosine * target / total + others_along,
        across=others_across,
        error=np.sqrt(np.maximum(square - 2.0 * lost * sideways, 0.0)),
    )
