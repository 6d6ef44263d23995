"""The capacity of a random memory by every bound, as one table; loads no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hopfield_theory import _arguments
from hopfield_theory.bounds import finite_size, mean_field, union
from hopfield_theory.bounds.chernoff import chernoff
from hopfield_theory.bounds.crowding import ceiling
from hopfield_theory.bounds.random_memory import RandomMemory

__all__ = ["CapacityRow", "capacity_table"]


@dataclass(frozen=True)
class CapacityRow:
    """One bound.

    Attributes
    ----------
    statement : str
        Name, C1 to C9.
    log_patterns : float
        Natural logarithm of a number of patterns; ``-inf`` for none, ``inf`` if the bound is void, NaN if there is no
        such number.
    how : str
        ``proved``, ``published`` or ``heuristic``.
    meaning : str
        The bound in one sentence.
    """

    statement: str
    log_patterns: float
    how: str
    meaning: str


def capacity_table(memory: RandomMemory, failure_probability: float) -> list[CapacityRow]:
    """Evaluate C1 to C9.

    Parameters
    ----------
    memory : RandomMemory
    failure_probability : float, in (0, 1)
        p.

    Examples
    --------
    >>> rows = capacity_table(RandomMemory.of(dim=20, beta=1.0, scale=3.0), failure_probability=1e-3)
    >>> {row.statement: round(row.log_patterns, 2) for row in rows if row.how == "published"}
    {'C1': 2.0}
    """
    p = _arguments.probability("failure_probability", failure_probability)
    sure = f"with probability {1 - p:g}"
    fold, law = mean_field.fold(memory), finite_size.law(memory)
    return [
        CapacityRow(
            "C1",
            union.published(memory, p),
            "published",
            f"as published for the dense model: so many are all stored {sure}",
        ),
        CapacityRow(
            "C2",
            union.pairwise(memory, p),
            "proved",
            f"so many are all stored {sure}: the worst case for a pair, summed over pairs",
        ),
        CapacityRow(
            "C3",
            chernoff(memory, p, "all"),
            "proved",
            f"so many are all stored {sure}: the sum over all others, by a Chernoff bound",
        ),
        CapacityRow(
            "C6",
            ceiling(memory, p, "all"),
            "proved",
            f"too many for all to be stored {sure}: two so close that they share their limit are too likely",
        ),
        CapacityRow(
            "C3 typical",
            chernoff(memory, p, "typical"),
            "proved",
            f"among so many a given pattern is stored {sure}",
        ),
        CapacityRow(
            "C7",
            ceiling(memory, p, "typical"),
            "proved",
            f"too many for a given pattern to have a fixed point in the ball of C3 {sure}",
        ),
        CapacityRow(
            "C4",
            float(mean_field.threshold(memory.lam)) * memory.dim,
            "proved",
            "exp(α₁ d): the exponent that both sides of C3 and C7 reach as d grows; no bound at this d",
        ),
        CapacityRow(
            "C5",
            math.nan if fold is None else fold.log_patterns,
            "heuristic",
            "where the mean-field retrieval branch ends"
            if fold is not None
            else "the mean-field retrieval branch has no fold here: it fades",
        ),
        CapacityRow(
            "C9",
            math.nan if law is None else law.log_patterns,
            "heuristic",
            "C5 with the crowd's fluctuations: where half of the patterns are lost at this d"
            if law is not None
            else "no expansion about C5 here: it has no fold, or the fluctuations are too large",
        ),
        CapacityRow(
            "C8",
            union.packing(memory),
            "proved",
            "no memory of patterns of this norm stores more, random or not",
        ),
    ]
