"""The capacity of a random memory by every bound, as one table; loads no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from hopfield_theory import _arguments
from hopfield_theory.bounds import _quadrature, finite_size, mean_field, union
from hopfield_theory.bounds.chernoff import chernoff
from hopfield_theory.bounds.crowding import ceiling
from hopfield_theory.bounds.directional import directional
from hopfield_theory.bounds.merging import pair_witness
from hopfield_theory.bounds.random_memory import RandomMemory

__all__ = ["CapacityRow", "capacity_table"]


@dataclass(frozen=True)
class CapacityRow:
    """One bound.

    Attributes
    ----------
    statement : str
        Name, C1 to C10.
    log_patterns : float
        Natural logarithm of a number of patterns; ``-inf`` for none, ``inf`` if the bound is void, NaN if there is no
        such number, or if it is not evaluated in so many dimensions.
    how : str
        ``proved``, ``published`` or ``heuristic``.
    meaning : str
        The bound in one sentence.
    """

    statement: str
    log_patterns: float
    how: str
    meaning: str


# beyond it, and below its inverse, doubles do not resolve the pull of a crowd
_LARGEST_KAPPA_PER_DIM = 1e12
# beyond it κ itself is rounded to more than the digits of a logarithm that are printed
_LARGEST_KAPPA = 1e13
# beyond it the relative error of the special functions, 1e-10, is too much of a logarithm
_LARGEST_DIM = 10**9
_INTEGRALS = ("C3", "C10", "C6", "C3 typical", "C10 typical", "C7", "C9")
_ABSENT = {
    "C5": "the mean-field retrieval branch has no fold here: it fades",
    "C9": "no expansion here: not even one pattern is stored, or the fluctuations are too large",
}


def capacity_table(
    memory: RandomMemory, failure_probability: float, progress: Callable[[int, int], None] = lambda done, whole: None
) -> list[CapacityRow]:
    """Evaluate C1 to C10.

    Parameters
    ----------
    memory : RandomMemory
    failure_probability : float, in (0, 1)
        p.
    progress : function of (done, whole), optional
        Told before each bound, and at the end.

    Raises
    ------
    ValueError
        If p is out of range, or κ or d is so extreme that doubles do not resolve the bounds.

    Examples
    --------
    >>> rows = capacity_table(RandomMemory.of(dim=2, beta=1.0, scale=5.0), failure_probability=1e-3)
    >>> {row.statement: round(row.log_patterns, 2) for row in rows if row.statement in ("C2", "C6", "C8")}
    {'C2': 0.02, 'C6': 0.06, 'C8': 5.05}
    """
    _arguments.instance("memory", memory, RandomMemory)
    p = _arguments.probability("failure_probability", failure_probability)
    _arguments.integer("dim", memory.dim, 2, _LARGEST_DIM)
    lowest = memory.dim / _LARGEST_KAPPA_PER_DIM
    highest = min(memory.dim * _LARGEST_KAPPA_PER_DIM, _LARGEST_KAPPA)
    if not lowest <= memory.kappa <= highest:
        raise ValueError(
            f"kappa is {memory.kappa:g}: the bounds are evaluated for κ = β m² from {lowest:g} to {highest:g} only"
        )
    sure = f"with probability {1 - p:g}"
    asked = "as published for the dense model"

    def fold() -> float:
        end = mean_field.fold(memory)
        return math.nan if end is None else end.log_patterns

    def law() -> float:
        found = finite_size.law(memory)
        return math.nan if found is None else found.log_patterns

    def merged() -> float:
        # below κ = 1 the update contracts the whole space (T7), and two patterns share its one fixed point
        return math.log(2.0) if memory.kappa < 1.0 else pair_witness(memory, p).log_patterns

    bounds: list[tuple[str, Callable[[], float], str, str]] = [
        (
            "C1",
            lambda: union.published(memory, p),
            "published",
            f"{asked}: so many are all stored {sure}"
            if memory.kappa >= 1.0
            else f"{asked}, but void here: below κ = 1 there is a single fixed point",
        ),
        (
            "C2",
            lambda: union.pairwise(memory, p),
            "proved",
            f"so many are all stored {sure}: the worst case for a pair, summed over pairs",
        ),
        (
            "C3",
            lambda: chernoff(memory, p, "all"),
            "proved",
            f"so many are all stored {sure}: the sum over all others, by a Chernoff bound",
        ),
        (
            "C10",
            lambda: directional(memory, p, "all"),
            "proved",
            f"so many are all stored {sure}, in balls of its own: the sum over all others, by direction",
        ),
        (
            "C6",
            merged,
            "proved",
            f"too many for all to be stored {sure}: two so close that they share their limit are too likely",
        ),
        (
            "C3 typical",
            lambda: chernoff(memory, p, "typical"),
            "proved",
            f"among so many a given pattern is stored {sure}",
        ),
        (
            "C10 typical",
            lambda: directional(memory, p, "typical"),
            "proved",
            f"among so many a given pattern is stored {sure}, in a ball of its own",
        ),
        (
            "C7",
            lambda: ceiling(memory, p, "typical"),
            "proved",
            f"too many for a given pattern to have a fixed point in the ball of C3 {sure}",
        ),
        (
            "C4",
            lambda: float(mean_field.threshold(memory.lam)) * memory.dim,
            "proved",
            "exp(α₁ d): the exponent that both sides of C3 and C7 reach as d grows; no bound at this d",
        ),
        ("C5", fold, "heuristic", "where the mean-field retrieval branch ends"),
        ("C9", law, "heuristic", "C5 with the crowd's fluctuations: where half of the patterns are lost at this d"),
        (
            "C8",
            lambda: union.packing(memory),
            "proved",
            "no memory of patterns of this norm stores more, random or not",
        ),
    ]
    rows = []
    for done, (statement, evaluate, how, meaning) in enumerate(bounds):
        progress(done, len(bounds))
        # below κ = 1 C6 is one sentence, without integrals
        short = statement not in _INTEGRALS or (statement == "C6" and memory.kappa < 1.0)
        if memory.dim > _quadrature.LARGEST_DIM and not short:
            log_patterns, said = math.nan, f"left out: not evaluated above d = {_quadrature.LARGEST_DIM}"
        else:
            log_patterns = evaluate()
            said = _ABSENT[statement] if math.isnan(log_patterns) else meaning
            if log_patterns == math.inf:
                said = f"no number is proved {meaning}"
        rows.append(CapacityRow(statement, log_patterns, how, said))
    progress(len(bounds), len(bounds))
    return rows
