"""The list of all statements."""

from __future__ import annotations

from hopfield_theory.statements import energy, heads, jacobian, one_update, published, random_memories, storage
from hopfield_theory.statements.statement import Statement

__all__ = ["MODULES", "STATEMENTS", "chosen"]

MODULES = (energy, jacobian, one_update, storage, heads, random_memories, published)
"""The modules that define statements."""


def _order(statement: Statement) -> tuple[int, int]:
    return "TCP".index(statement.name[0]), int(statement.name[1:])


_ALL = sorted((statement for module in MODULES for statement in module.STATEMENTS), key=_order)

STATEMENTS: dict[str, Statement] = {statement.name: statement for statement in _ALL}
"""By name, in order: T1 to T23, C1 to C11, P1 to P36."""


def chosen(names: list[str] | None = None) -> list[Statement]:
    """Return the statements of some names (in any case), or all of them; an unknown name raises ValueError.

    Examples
    --------
    >>> [statement.title for statement in chosen(["t8"])]
    ['The gate identity']
    """
    if names is None:
        return list(STATEMENTS.values())
    unknown = [name for name in names if name.upper() not in STATEMENTS]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such statement; there are {', '.join(STATEMENTS)}")
    return [STATEMENTS[name] for name in dict.fromkeys(name.upper() for name in names)]
