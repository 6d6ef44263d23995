"""Check statements at a level of effort: instances, attack, experiments, derivations and enclosures."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from hopfield_theory import _arguments
from hopfield_theory.bounds import RandomMemory
from hopfield_theory.data import files
from hopfield_theory.statements.registry import STATEMENTS, chosen
from hopfield_theory.statements.statement import Implication, Kind, Statement
from hopfield_theory.verification import capacity_enclosures
from hopfield_theory.verification.check import PartResult, Verdict, attacked, check
from hopfield_theory.verification.instances import Draws
from hopfield_theory.verification.own import probed
from hopfield_theory.verification.search import FULL, QUICK
from hopfield_theory.verification.verdicts import Verdicts

__all__ = ["ENCLOSED", "INSTANCES", "TABLE", "BudgetError", "digits", "verify"]

INSTANCES = {"quick": 60_000, "full": 600_000}
"""Number of instances per level."""

TABLE = ((20, 1.0, 3.0), (75, 1.0, 1.0), (30, 1.0, 2.0))
"""Dimension, β and K at which capacity bounds are re-evaluated in ball arithmetic, for p = 0.001 and n = 1."""

ENCLOSED = frozenset(("C2", "C3", "C6", "C7", "C10"))
"""The statements of those bounds."""

_FAILURE = 1e-3
# cheap statements that are checked on the same drawn instances
_TOGETHER = 6


class BudgetError(ValueError):
    """The time budget ran out."""


def verify(
    statements: Sequence[str | Statement] | None = None,
    *,
    instances: int | None = None,
    level: str = "quick",
    seed: int = 0,
    budget: float | None = None,
    progress: Callable[[int, int], None] = lambda done, whole: None,
    map_fn: Callable[..., Iterable[Any]] = map,
) -> Verdicts:
    r"""Check statements: on instances, by attack, in experiments, by computer algebra and in ball arithmetic.

    Parameters
    ----------
    statements : sequence of str or Statement, optional
        Names such as ``"T3"``, or claims of one's own, which are attacked and checked in this process; by default all
        statements of the library.
    instances : int, at least 1, optional
        Number of instances drawn for pointwise statements, in place of the level's number.
    level : {"quick", "full"}
        ``full`` draws ten times as many instances and more memories, attacks every pointwise statement, runs all
        derivations by computer algebra, and re-evaluates the capacity bounds of the whole table in ball arithmetic;
        ``quick`` attacks only statements claimed to be false, and re-evaluates the table's first row.
    seed : int, at least 0
        Determines the verdicts.
    budget : float, above 0, optional
        Seconds after which to give up.
    progress : function of (done, whole), optional
    map_fn : function of (function, items)
        ``map``, or the ``map`` of an executor of :mod:`hopfield_theory.runs.executors`; the verdicts are the same.

    Returns
    -------
    Verdicts
        A list that sums itself up, in the order of the registry, or of ``statements``, claims of one's own last.

    Raises
    ------
    TypeError
        For an argument that is not a number.
    ValueError
        For an unknown statement, a claim that cannot be evaluated, a number out of range, or (BudgetError) a budget
        too small to finish.

    Examples
    --------
    >>> [verdict] = verify(["P1"], instances=1000)
    >>> verdict.outcome.value
    'falsified'
    >>> print(*verdict.worst.counterexample.lines(), sep="\n")
    never farther: patterns = [[1]], beta = 1, noop = 1, query = [0]
    slack in [-0.353553390593..., -0.353553390593...], decided at 64 bits
    """
    if isinstance(statements, str | Statement):
        statements = [statements]
    own = probed([s for s in statements or () if isinstance(s, Statement) and STATEMENTS.get(s.name) is not s])
    known = chosen(None if statements is None else [_name(s) for s in statements if s not in own])
    _arguments.one_of("level", level, tuple(INSTANCES))
    seed = _arguments.integer("seed", seed, 0)
    if instances is not None:
        instances = _arguments.integer("instances", instances, 1)
    if budget is not None:
        budget = _arguments.positive("budget", budget)
    full = level == "full"
    effort = _Effort(INSTANCES[level] if instances is None else instances, seed, full, _Deadline(budget))
    jobs = [
        *(functools.partial(_drawn, names, effort) for names in _groups(known)),
        *(
            functools.partial(_attacked, statement.name, index, effort)
            for statement in known
            if full or statement.is_false
            for index in _implications(statement)
        ),
        *(
            functools.partial(_enclosed, row, effort)
            for row in (TABLE if full else TABLE[:1])
            if (ENCLOSED - {"C10"}) & {s.name for s in known}
        ),
        *(
            functools.partial(_enclosed_by_direction, row, effort)
            for row in (TABLE if full else ())
            if "C10" in {s.name for s in known}
        ),
    ]
    # functions of one's own cannot be sent to other processes
    here = [
        *(functools.partial(_drawn, (statement,), effort) for statement in own),
        *(
            functools.partial(_attacked, statement, index, effort)
            for statement in own
            for index in _implications(statement)
        ),
    ]
    found = []
    for done, result in enumerate(itertools.chain(map_fn(_run, jobs), map(_run, here))):
        progress(done, len(jobs) + len(here))
        found += result
    progress(len(jobs) + len(here), len(jobs) + len(here))
    wanted = [*known, *own]
    return Verdicts(_verdict(statement, found, _derived(statement) if full else None) for statement in wanted)


class _Deadline:
    """The time at which to give up, the same in every process."""

    def __init__(self, budget: float | None) -> None:
        self._budget = budget
        self._end = math.inf if budget is None else time.monotonic() + budget

    def check(self, *_: int) -> None:
        if time.monotonic() > self._end:
            raise BudgetError(f"budget is {self._budget:g} s: it ran out before all was checked; allow more")


@dataclass(frozen=True)
class _Effort:
    """The options shared by all jobs of a check."""

    instances: int
    seed: int
    full: bool
    deadline: _Deadline


# what a job finds: results by statement and part, or enclosures
_Found = tuple[str, int, PartResult] | capacity_enclosures.Enclosure


def _run(job: Callable[[], list[_Found]]) -> list[_Found]:
    with _one_thread():
        return job()


def _drawn(statements: tuple[str | Statement, ...], effort: _Effort) -> list[_Found]:
    draws = Draws(effort.seed, effort.instances, digits())
    effort.deadline.check()
    verdicts = check(map(_statement, statements), draws, effort.seed, full=effort.full, progress=effort.deadline.check)
    return [(v.statement.name, index, part) for v in verdicts for index, part in enumerate(v.parts)]


def _attacked(named: str | Statement, index: int, effort: _Effort) -> list[_Found]:
    statement = _statement(named)
    part = cast("Implication", statement.parts[index])
    result = attacked(statement, part, effort.seed, FULL if effort.full else QUICK, progress=effort.deadline.check)
    return [(statement.name, index, result)]


def _statement(named: str | Statement) -> Statement:
    return STATEMENTS[named] if isinstance(named, str) else named


def _name(named: str | Statement) -> str:
    return named if isinstance(named, str) else named.name


def _enclosed(row: tuple[int, float, float], effort: _Effort) -> list[_Found]:
    effort.deadline.check()
    return [*capacity_enclosures.sandwich(RandomMemory.of(*row), _FAILURE)]


def _enclosed_by_direction(row: tuple[int, float, float], effort: _Effort) -> list[_Found]:
    effort.deadline.check()
    return [*capacity_enclosures.by_direction(RandomMemory.of(*row), _FAILURE)]


def _groups(wanted: list[Statement]) -> list[tuple[str, ...]]:
    """Group the statements that are checked on drawn instances or by experiments; expensive ones are separate."""
    # an attack has to find a counterexample to what is known to be false; instances need not be drawn
    drawn = [s for s in wanted if not (s.is_false and _implications(s))]
    costly = [(s.name,) for s in drawn if s.kind is not Kind.POINTWISE]
    cheap = [s.name for s in drawn if s.kind is Kind.POINTWISE]
    return [*costly, *(tuple(cheap[k : k + _TOGETHER]) for k in range(0, len(cheap), _TOGETHER))]


def _implications(statement: Statement) -> list[int]:
    return [index for index, part in enumerate(statement.parts) if isinstance(part, Implication)]


def _verdict(statement: Statement, found: list[_Found], derivation: str | None) -> Verdict:
    parts: dict[int, PartResult] = {}
    for result in found:
        if isinstance(result, tuple) and result[0] == statement.name:
            _, index, part = result
            parts[index] = parts[index].joined(part) if index in parts else part
    enclosures = (r for r in found if isinstance(r, capacity_enclosures.Enclosure) and r.statement == statement.name)
    return Verdict(statement, tuple(parts[index] for index in sorted(parts)), derivation, tuple(enclosures))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: sums then do not depend on the number of cores, and small batches do not gain from more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def digits() -> Tensor | None:
    """Return the real patterns among the instances, or None if scikit-learn (extra ``data``) is not installed."""
    try:
        return files.digits()[0]
    except ImportError:
        return None


def _derived(statement: Statement) -> str | None:
    if statement.derivation is None:
        return None
    identities = statement.derivation()
    listed = identities if isinstance(identities, list) else [identities]
    return "; ".join(f"{identity.lhs} = {identity.rhs}" for identity in listed)
