"""The index of statements: the place, check, experiment, figure and proof of each.

``python -m hopfield_theory.verification.render.index PAGE`` writes it.
"""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

from hopfield_theory._atomic_write import atomic_write
from hopfield_theory.statements.registry import MODULES, STATEMENTS
from hopfield_theory.statements.statement import Statement
from hopfield_theory.verification.render import table
from hopfield_theory.verification.suite import ENCLOSED

__all__ = ["anchor", "page"]

_PACKAGE = Path(__file__).parents[2]
_HEAD = """\
# Statements

Every theorem and claim: the line where its hypotheses and its conclusion are written, the function that evaluates it,
what decides it, the experiments that measure it, the figure that shows it, and its proof. *Instances*: drawn, attacked,
and the worst decided in [ball arithmetic](verification.md#how); *experiment*, *trend*: frequencies,
estimated probabilities and finite sizes; *enclosure*: the bound itself, in ball arithmetic; *algebra*: a derivation;
*arithmetic*: exactly, from published numbers. The verdicts are in [claims.md](claims.md). This page is written by
`make statements`.
"""
_COLUMNS = ("id", "title", "statement", "closed form", "check", "experiment", "figure", "proof")


def page() -> str:
    """Return the page in Markdown.

    Examples
    --------
    >>> print(page().splitlines()[0])
    # Statements
    """
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_row, STATEMENTS.values())]
    return "\n".join([_HEAD, *(f"| {' | '.join(row)} |" for row in rows), "", *map(_section, STATEMENTS.values())])


def anchor(heading: str) -> str:
    """Return the fragment by which GitHub links to a heading.

    Examples
    --------
    >>> anchor("P11 and P12: one update (n = 0)")
    'p11-and-p12-one-update-n--0'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _heading(statement: Statement) -> str:
    return f"{statement.name} {statement.title}"


def _row(statement: Statement) -> tuple[str, ...]:
    here = f"#{anchor(_heading(statement))}"
    checks = dict.fromkeys(map(table.by, statement.parts))
    checks |= dict.fromkeys(["enclosure"] * (statement.name in ENCLOSED) + ["algebra"] * bool(statement.derivation))
    figure, closed = statement.figure, statement.closed_form
    experiments = [name for name in (statement.experiment, *statement.held_in) if name]
    return (
        f"[{statement.name}]({here})",
        statement.title,
        _link(*_lines()[statement.name]),
        f"`{closed}`" if closed else "–",
        ", ".join(checks),
        ", ".join(f"[{name}](../simulations/{name}.py)" for name in experiments) or "–",
        f"[{figure}](figures/{figure}.svg)" if figure else "–",
        f"[below]({here})" if statement.proved_in is None else _proof(statement.proved_in),
    )


def _section(statement: Statement) -> str:
    why = "Why it fails" if statement.is_false else "Why"
    # the page of claims has a section for each of the literature's
    verdict = f" [What came of it](claims.md#{anchor(_heading(statement))})." if statement.said_as else ""
    whole = f" The whole proof: {_proof(statement.proved_in)}." if statement.proved_in else ""
    said = [
        f"## {_heading(statement)}",
        statement.claim,
        f"```math\n{statement.formula}\n```",
        f"Source: {statement.source}. Proof: {statement.proof}.{verdict}",
        f"{why}: {statement.why}{whole}",
    ]
    if statement.instead:
        links = ", ".join(f"[{name}](#{anchor(_heading(STATEMENTS[name]))})" for name in statement.instead)
        said.append(f"{'What holds' if statement.is_false else 'See also'}: {links}.")
    return "\n\n".join(said) + "\n"


def _proof(where: str) -> str:
    target = where.removeprefix("docs/")
    return f"[{target.partition('#')[0]}]({target})"


def _link(module: str, line: int) -> str:
    return f"[{module}.py:{line}](../hopfield_theory/statements/{module}.py#L{line})"


@cache
def _lines() -> dict[str, tuple[str, int]]:
    """Find the module and line of every statement."""
    found = {}
    for module in MODULES:
        name = module.__name__.rpartition(".")[2]
        for node in ast.walk(ast.parse((_PACKAGE / "statements" / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Statement":
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                found[ast.literal_eval(given["name"])] = (name, node.lineno)
    return found


if __name__ == "__main__":
    [target] = sys.argv[1:]
    atomic_write(target, page().encode())
