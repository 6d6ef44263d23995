"""P1, P2, …: claims of the literature, read literally; the statement that holds instead is named where one fails."""

from __future__ import annotations

from typing import Any

from hopfield_theory.statements.statement import Implication, Instance, Kind, Statement

__all__ = ["STATEMENTS"]


def _not_farther(i: Instance) -> Any:
    x, target, d = i.query, i.patterns[0], i.dynamics
    return (i.xp.norm(i.dense.update(x) - target) - i.xp.norm(d.update(x) - target)) / d.length()


def _has_noop(i: Instance) -> list[Any]:
    return [i.noop]


STATEMENTS = (
    Statement(
        "P1",
        "The strong claim of a tighter error",
        "On the same memory, for every n > 0, one OutEffHop update is never farther from a pattern than the dense one: "
        "‖T_n(x) − ξ_μ‖ ≤ ‖T_0(x) − ξ_μ‖. What holds instead: T10 pointwise, T11 for memories with outliers.",
        "the strongest reading of 'tighter retrieval error' in Hu et al. 2024, arXiv:2404.03828",
        "false",
        Kind.POINTWISE,
        (Implication("never farther", _not_farther, _has_noop),),
    ),
)
