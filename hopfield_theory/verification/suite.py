"""One call that checks statements at a level of effort: instances, experiments, derivations and enclosures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from hopfield_theory import pattern_files
from hopfield_theory.statements.registry import chosen
from hopfield_theory.statements.statement import Statement
from hopfield_theory.verification import exact_capacity, symbolic
from hopfield_theory.verification.check import Verdict, check
from hopfield_theory.verification.instances import Draws

__all__ = ["INSTANCES", "TABLE", "BudgetError", "digits", "verify"]

INSTANCES = {"quick": 60_000, "full": 600_000}
"""Instances that each level draws."""

TABLE = ((20, 1.0, 3.0), (75, 1.0, 1.0), (30, 1.0, 2.0))
"""Dimension, β and K at which capacity bounds are re-evaluated in ball arithmetic, for p = 0.001 and n = 1."""

_FAILURE = 1e-3


class BudgetError(ValueError):
    """The time that was allowed ran out."""


def verify(
    statements: Sequence[str] | None = None,
    *,
    instances: int | None = None,
    level: str = "quick",
    seed: int = 0,
    budget: float | None = None,
    progress: Callable[[int, int], None] = lambda done, whole: None,
) -> list[Verdict]:
    r"""Check statements: on instances, in experiments, by computer algebra and in ball arithmetic.

    Parameters
    ----------
    statements : sequence of str, optional
        Names such as ``"T3"``; all of them if not given.
    instances : int, at least 1, optional
        How many instances are drawn for pointwise statements, in place of the level's number.
    level : {"quick", "full"}
        ``full`` draws ten times as many instances and more memories, derives by computer algebra what has a derivation,
        and re-evaluates the capacity bounds of the whole table in ball arithmetic (``quick``: of its first row).
    seed : int, at least 0
        One seed, one set of verdicts.
    budget : float, above 0, optional
        Seconds after which to give up.
    progress : function of (done, whole), optional

    Returns
    -------
    list of Verdict
        In the order of the registry, or of ``statements``.

    Raises
    ------
    TypeError
        For a seed or instances that are no integers, or a budget that is no number.
    ValueError
        For an unknown statement, a number out of range, or (BudgetError) a budget too small to finish.

    Examples
    --------
    >>> [verdict] = verify(["P1"], instances=1000)
    >>> verdict.outcome.value
    'falsified'
    >>> print(*verdict.worst.counterexample.lines(), sep="\n")
    never farther: patterns = [[1]], beta = 1, noop = 1, query = [0]
    slack in [-0.353553390593..., -0.353553390593...], decided at 64 bits
    """
    if isinstance(statements, str):
        statements = [statements]
    wanted = chosen(None if statements is None else [str(name) for name in statements])
    if level not in INSTANCES:
        raise ValueError(f"level is {level!r}: it must be quick or full")
    for name, value in (("instances", instances), ("seed", seed)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"{name} is {value!r}: it must be an integer")
    if instances is not None and instances < 1:
        raise ValueError(f"instances is {instances}: it must be at least 1")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}: it must be at least 0 and below 2**32")
    if budget is not None and not isinstance(budget, int | float):
        raise TypeError(f"budget is {budget!r}: it must be a number of seconds")
    if budget is not None and not 0 < budget < float("inf"):
        raise ValueError(f"budget is {budget}: it must be a finite number of seconds above 0")
    start = time.perf_counter()

    def within_budget(done: int, whole: int) -> None:
        if budget is not None and time.perf_counter() - start > budget:
            raise BudgetError(f"budget is {budget:g} s: it ran out before all was checked; allow more")
        progress(done, whole)

    draws = Draws(seed, INSTANCES[level] if instances is None else instances, digits())
    with _one_thread():
        verdicts = check(wanted, draws, seed, full=level == "full", progress=within_budget)
    rows = TABLE if level == "full" else TABLE[:1]
    enclosures = _enclosures(wanted, rows, lambda: within_budget(1, 1))
    derivations = _derivations(wanted) if level == "full" else {}
    return [
        dataclasses.replace(
            verdict,
            derivation=derivations.get(verdict.statement.name),
            enclosures=tuple(enclosures.get(verdict.statement.name, ())),
        )
        for verdict in verdicts
    ]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums that do not depend on the number of cores; batches are too small to gain from more than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def digits() -> Tensor | None:
    """Return the real patterns among the instances, or None where scikit-learn (extra ``data``) is not installed."""
    try:
        return pattern_files.digits()[0]
    except ImportError:
        return None


def _derivations(wanted: list[Statement]) -> dict[str, str]:
    def text(name: str) -> str:
        identities = symbolic.DERIVATIONS[name]()
        listed = identities if isinstance(identities, list) else [identities]
        return "; ".join(f"{identity.lhs} = {identity.rhs}" for identity in listed)

    return {s.name: text(s.name) for s in wanted if s.name in symbolic.DERIVATIONS}


def _enclosures(
    wanted: list[Statement], rows: tuple[tuple[int, float, float], ...], tick: Callable[[], None]
) -> dict[str, list[exact_capacity.Enclosure]]:
    names = {s.name for s in wanted} & {"C2", "C3", "C6", "C7"}
    found: dict[str, list[exact_capacity.Enclosure]] = {name: [] for name in names}
    for dim, beta, scale in rows if names else ():
        tick()
        for enclosure in exact_capacity.sandwich(dim, beta, scale, _FAILURE):
            if enclosure.statement in names:
                found[enclosure.statement].append(enclosure)
    return found
