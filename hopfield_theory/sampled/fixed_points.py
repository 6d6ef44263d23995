"""Fixed points of a memory of up to e^700 random patterns: patterns near the target drawn, the others by their mean.

A fixed point near the target depends on few close patterns, individually, and on many farther ones, collectively. So
the patterns in a cap around the target are drawn as vectors, and the others enter through the mean of their partition
sum, as a function of the state. ``docs/virtual.md`` says what this neglects, and how it was tested.

Lengths are in units of the radius m.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hopfield_theory import _arguments
from hopfield_theory._arguments import Floats
from hopfield_theory.bounds.random_memory import RandomMemory
from hopfield_theory.model.fixed_point import iterate_many
from hopfield_theory.sampled.mean_crowd import MeanCrowd
from hopfield_theory.sampled.overlaps import OverlapLaw, overlap_law
from hopfield_theory.sampled.which_are_drawn import Plan

__all__ = ["FixedPoints", "fixed_points"]

# most numbers in the drawn patterns of a batch of trials
_BATCH = 1 << 21
_TOLERANCE, _STEPS = 1e-8, 2000
_MOST_DRAWN = 1e8
# updates of a whole batch before the converged trials leave it
_TOGETHER = 25


@dataclass(frozen=True)
class FixedPoints:
    """The ends of independent trials that start at their target; every trial has its own patterns.

    Attributes
    ----------
    error : ndarray, shape (trials,), at least 0
        ``|x - ξ_1| / m`` at the end.
    updates : ndarray of int, shape (trials,)
        Number of updates, in steps of 25; at most 2 000.
    at_rest : ndarray of bool, shape (trials,)
        Whether the last step was no longer than 1e-8.
    fluctuation : ndarray, shape (trials,), at least 0
        First-order bound on the root mean square by which fluctuations of the undrawn patterns would move an update at
        the end, in units of m: ``2 sqrt(N E exp(2κ<ξ, x>)) / Z``; 0 if all were drawn.
    """

    error: Floats
    updates: NDArray[np.int64]
    at_rest: NDArray[np.bool_]
    fluctuation: Floats


def fixed_points(
    memory: RandomMemory,
    log_patterns: float,
    trials: int,
    seed: int,
    *,
    drawn: float = 2000.0,
    first: int = 0,
    device: str = "cpu",
) -> FixedPoints:
    r"""Iterate the update from a pattern of a random memory on the sphere, without drawing most of its patterns.

    With the drawn patterns ξ_ν and N others, whose mean weight is :math:`g(x)`,

    .. math:: T(x) = \frac{\sum_\nu e^{\kappa\langle\xi_\nu, x\rangle}\xi_\nu + N\,\nabla g(x)/\kappa}
                          {n + \sum_\nu e^{\kappa\langle\xi_\nu, x\rangle} + N g(x)},

    the CCCP update of the energy in which the others' partition sum is replaced by its mean.

    Parameters
    ----------
    memory : RandomMemory
        Dimension at least 3.
    log_patterns : float, from 0 to 700
        log M, in nats.
    trials : int, at least 1
    seed : int, at least 0
    drawn : float, from 1 to 1e8
        Mean number of patterns, besides the target, that are drawn: those of the largest overlaps with it. If there are
        at most twice as many, all are drawn, and the memory is explicit.
    first : int, at least 0
        Trial i of this call is trial ``first + i`` of the seed and depends only on that number.
    device : str

    Examples
    --------
    >>> found = fixed_points(RandomMemory(dim=64, kappa=64.0), log_patterns=36.0, trials=20, seed=0)
    >>> bool((found.error < 0.5).all()), bool(found.fluctuation.max() < 1e-3)
    (True, True)
    """
    _arguments.instance("memory", memory, RandomMemory)
    dim, trials = _arguments.integer("dim", memory.dim, 3), _arguments.integer("trials", trials, 1)
    log_patterns = _arguments.real("log_patterns", log_patterns, 0.0, 700.0)
    drawn = _arguments.real("drawn", drawn, 1.0, _MOST_DRAWN)
    seed, first = _arguments.integer("seed", seed, 0), _arguments.integer("first", first, 0)
    law, plan = overlap_law("sphere", dim), Plan.of(log_patterns, drawn, 2.0 * drawn)
    crowd = None if plan.complete else MeanCrowd(law, plan.log_share, memory.kappa, device)
    place = None if plan.complete else law.tail(plan.log_share)
    rows = max(1, int(_BATCH / ((plan.width + 1) * dim)))
    parts = []
    for begin in range(first, first + trials, rows):
        own = [_patterns(law, plan, place, seed, i) for i in range(begin, min(begin + rows, first + trials))]
        patterns = torch.nn.utils.rnn.pad_sequence([torch.tensor(it) for it in own], batch_first=True).to(device)
        counts = np.array([len(it) - 1 for it in own])
        log_rest = np.full(counts.shape, -math.inf) if plan.complete else plan.log_rest(counts)
        rest = torch.tensor(log_rest, device=device)
        parts.append(_iterated(patterns, torch.tensor(counts, device=device), rest, crowd, memory))
    error, updates, at_rest, fluctuation = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return FixedPoints(error, updates, at_rest, fluctuation)


def _patterns(
    law: OverlapLaw, plan: Plan, place: Callable[[Floats], tuple[Floats, Floats]] | None, seed: int, trial: int
) -> Floats:
    """Draw the target, along the first axis, and the other drawn patterns of a trial."""
    generator = np.random.default_rng([seed, trial])
    if place is None:
        rivals = generator.standard_normal((plan.width, law.dim))
        rivals /= np.linalg.norm(rivals, axis=1, keepdims=True)
    else:
        [count] = plan.counts(generator, 1)
        along, length = place(generator.standard_exponential(count))
        across = generator.standard_normal((count, law.dim - 1))
        across *= (length / np.linalg.norm(across, axis=1))[:, None]
        rivals = np.column_stack([along, across])
    return np.concatenate([np.eye(1, law.dim), rivals])


def _iterated(
    patterns: Tensor, counts: Tensor, log_rest: Tensor, crowd: MeanCrowd | None, memory: RandomMemory
) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_], Floats]:
    """Iterate from the targets until the last step is short; patterns of shape (B, K, d), padded after the counts."""
    target = patterns[:, 0]
    absent = torch.arange(patterns.shape[1], device=patterns.device) > counts[:, None]

    def step(x: Tensor, patterns: Tensor, absent: Tensor, log_rest: Tensor) -> Tensor:
        return _update(x[:, 0], patterns, absent, log_rest, crowd, memory)[0][:, None]

    found = iterate_many(step, (patterns, absent, log_rest), target[:, None], _TOLERANCE, _STEPS, every=_TOGETHER)
    end = found.state[:, 0]
    fluctuation = torch.zeros_like(log_rest)
    if crowd is not None:
        _, log_sum = _update(end, patterns, absent, log_rest, crowd, memory)
        fluctuation = 2.0 * (0.5 * (log_rest + crowd.log_square(*_parts(end))) - log_sum).exp()
    error = torch.linalg.vector_norm(end - target, dim=1)
    columns = error, found.steps[:, 0], found.converged[:, 0], fluctuation
    return tuple(column.cpu().numpy() for column in columns)  # pyright: ignore[reportReturnType]


def _update(
    x: Tensor,
    patterns: Tensor,
    absent: Tensor,
    log_rest: Tensor,
    crowd: MeanCrowd | None,
    memory: RandomMemory,
) -> tuple[Tensor, Tensor]:
    """Return the update, and the logarithm of the partition sum at x."""
    log_noop = memory.log_noop
    scores = (memory.kappa * torch.bmm(patterns, x[:, :, None])[:, :, 0]).masked_fill_(absent, -math.inf)
    top = scores.amax(1).clamp_min(log_noop)
    weights = (scores - top[:, None]).exp_()
    total = weights.sum(1) + (log_noop - top).exp()
    drawn, log_sum = torch.bmm(weights[:, None], patterns)[:, 0] / total[:, None], top + total.log()
    if crowd is None:
        return drawn, log_sum
    along, across = _parts(x)
    log_mean, mean_along, mean_across = crowd(along, across)
    log_mean = log_mean + log_rest
    direction = x[:, 1:] / across.clamp_min(torch.finfo(x.dtype).tiny)[:, None]
    mean = torch.cat([mean_along[:, None], mean_across[:, None] * direction], 1)
    return torch.lerp(drawn, mean, torch.sigmoid(log_mean - log_sum)[:, None]), torch.logaddexp(log_sum, log_mean)


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the part along the first axis, and the length of the part across."""
    return x[:, 0], torch.linalg.vector_norm(x[:, 1:], dim=1)
