"""Claims of one's own: read from a Python file, and tried once in both arithmetics before they are checked."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from hopfield_theory.statements.arithmetic import Arithmetic
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statements.statement import VARIABLES, Calculation, Experiment, Implication, Statement, Trend
from hopfield_theory.verification import ball_arithmetic
from hopfield_theory.verification.search import slacks

__all__ = ["load", "probed"]

_OPERATIONS = sorted(name for name in vars(Arithmetic) if not name.startswith("_"))
# what torch says of mistakes that are likely here, and what they are
_SAID = {
    "data-dependent control flow": (
        "Python's if, max and the like cannot choose by a slack: use xp.if_positive, xp.max or xp.min, and return "
        "hypotheses as a list"
    ),
    "must only return Tensors": "a slack is a plain value of Python: make it from the instance, or by xp.number",
}
_STATE = ["1/2", "-1/4"]
_EXAMPLE = {
    "patterns": [["1", "0"], ["0", "3/4"]],
    "beta": "2",
    "noop": "1",
    "query": _STATE,
    "other": ["1/3", "1/5"],
    "ball": "1/8",
    "outliers": [["1/7", "1/9"]],
}


def load(path: str | os.PathLike[str]) -> list[Statement]:
    """Run a Python file, and return the statements that it defines at its top level, in their order.

    Raises
    ------
    ValueError
        If there is no such file, it fails, or it defines no statement.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "claims.py"
    >>> _ = file.write_text('''
    ... from hopfield_theory import Implication, Statement
    ... Q1 = Statement(name="Q1", title="Never longer", claim="An update is no longer than its state.",
    ...     parts=(Implication("norm", lambda i: i.xp.norm(i.query) - i.xp.norm(i.dynamics.update(i.query))),))
    ... ''')
    >>> [statement.name for statement in load(file)]
    ['Q1']
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location("own_claims", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: no Python file")
    module = importlib.util.module_from_spec(spec)
    # dataclasses and the like look up their module by its name
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    finally:
        del sys.modules[spec.name]
    found = {id(value): value for value in vars(module).values() if isinstance(value, Statement)}
    if not found:
        raise ValueError(f"{path}: defines no Statement")
    return list(found.values())


def probed(statements: Sequence[Statement]) -> list[Statement]:
    """Return statements whose names are free and whose parts can be evaluated, in floats and in ball arithmetic.

    Raises
    ------
    TypeError
        If a name is no text, or the parts are no tuple of parts.
    ValueError
        If a name is taken, or a part cannot be evaluated: it uses something else than numbers, operators, indexing,
        ``@`` and the operations of ``xp``.
    """
    for place, statement in enumerate(statements):
        if not isinstance(statement.name, str):
            raise TypeError(f"{statement.name!r}: the name of a claim must be a text, such as 'Q1'")
        taken = {*STATEMENTS, *(other.name for other in statements[:place])}
        if not statement.name or statement.name.upper() in taken or statement.name in taken:
            raise ValueError(f"{statement.name}: the name of a claim must be new; {', '.join(STATEMENTS)} are taken")
        _check_parts(statement)
        for part in statement.parts:
            if isinstance(part, Implication):
                _probe(statement, part)
    return list(statements)


def _check_parts(statement: Statement) -> None:
    parts = statement.parts
    kinds = Implication | Experiment | Trend | Calculation
    if not isinstance(parts, tuple | list) or not all(isinstance(part, kinds) for part in parts):
        raise TypeError(f"{statement.name}: parts must be a tuple, such as parts=(Implication(...),) with its comma")
    if not parts:
        raise ValueError(f"{statement.name}: has no parts")


def _probe(statement: Statement, part: Implication) -> None:
    unknown = set(part.uses) - set(VARIABLES)
    if unknown or "patterns" not in part.uses:
        raise ValueError(f"{statement.name}, {part.name}: uses must be patterns and any of {', '.join(VARIABLES[1:])}")
    # a pattern per number that the part speaks of
    count = min(max(2, part.min_patterns), part.max_patterns or sys.maxsize)
    values = _EXAMPLE | {"patterns": [["1", f"{k}/4"] for k in range(count)]}
    batch = {name: torch.tensor(_floats(values[name]), dtype=torch.float64)[None] for name in VARIABLES}
    _tried(statement, part, "floats", lambda: _number(slacks([part], batch)))
    _tried(statement, part, "ball arithmetic", lambda: ball_arithmetic.decide(part, {n: values[n] for n in part.uses}))


def _number(found: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    [(hypotheses, conclusion)] = found
    if (hypotheses.ndim, conclusion.ndim) != (2, 1):
        raise ValueError("a slack is a vector, where one number is needed")


def _floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_floats(x) for x in value]
    upper, _, lower = value.partition("/")
    return float(upper) / float(lower or 1)


def _tried(statement: Statement, part: Implication, where: str, evaluate: Callable[[], Any]) -> None:
    try:
        evaluate()
    except Exception as error:
        reason = next((said for words, said in _SAID.items() if words in str(error)), " ".join(str(error).split()))
        raise ValueError(
            f"{statement.name}, {part.name}: cannot be evaluated in {where} ({reason}); slacks "
            f"are numbers, made of operators, indexing, @ and of xp.{', xp.'.join(_OPERATIONS)}; a part names what it "
            "uses"
        ) from error
