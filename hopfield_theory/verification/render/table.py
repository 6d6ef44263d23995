"""Verdicts as a table, as sentences and as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from hopfield_theory.statements.statement import Experiment, Trend
from hopfield_theory.verification.check import Outcome, PartResult, Verdict

__all__ = ["data", "lines", "table", "thousands"]

# a table has no room for identifiers; JSON has them
_IDENTIFIER = re.compile(r",? (arXiv:\d+\.\d+|\(docs/[^)]*\))")
_STYLES = {Outcome.FALSIFIED: "red", Outcome.CONTRADICTED: "red", Outcome.UNDECIDED: "yellow"}


def table(verdicts: Sequence[Verdict]) -> Table:
    """Return the verdict table.

    Parameters
    ----------
    verdicts : sequence of Verdict

    Returns
    -------
    rich.table.Table
        Statement, source, proof status, verdict, instances, smallest slack; where there was an attack, its starts and
        the smallest slack that they led to stand below.
    """
    shown = Table(title="Verdicts", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name, share in (("statement", 4), ("source", 5), ("proof", 3)):
        shown.add_column(name, ratio=share, min_width=share + 3, overflow="fold")
    shown.add_column("verdict", no_wrap=True)
    is_attacked = any(verdict.starts for verdict in verdicts)
    for name in ("instances\nattacked with" if is_attacked else "instances", "smallest\nslack"):
        shown.add_column(name, justify="right", no_wrap=True)
    for verdict in verdicts:
        statement = verdict.statement
        shown.add_row(
            f"{statement.name} {statement.title}",
            _IDENTIFIER.sub("", statement.source),
            statement.proof,
            Text(verdict.outcome, style="" if verdict.as_expected else _STYLES.get(verdict.outcome, "")),
            "\n".join([thousands(verdict.instances), *[f"{thousands(verdict.starts)} starts"] * bool(verdict.starts)]),
            "\n".join([_slack(verdict.worst.smallest_slack), *[_slack(verdict.attacked_slack)] * bool(verdict.starts)]),
        )
    return shown


def lines(verdicts: Sequence[Verdict]) -> list[str]:
    """Return sentences: counterexamples, what differs from what is expected, what ball arithmetic confirmed.

    Parameters
    ----------
    verdicts : sequence of Verdict

    Returns
    -------
    list of str
    """
    said = []
    for verdict in verdicts:
        worst, statement = verdict.worst, verdict.statement
        if worst.counterexample is not None:
            said += [f"{statement.name} is false: {statement.claim}", *worst.counterexample.lines()]
            said += [f"What holds: {', '.join(statement.instead)}."] * bool(statement.instead)
        if not verdict.as_expected:
            expected = "a counterexample" if statement.is_false else "no contradiction"
            said.append(
                f"{statement.name}: {expected} was expected, and it is {verdict.outcome} "
                f"({worst.name}: {worst.where}, slack {_slack(worst.smallest_slack)})"
            )
    enclosures = [enclosure for verdict in verdicts for enclosure in verdict.enclosures]
    if enclosures:
        decided = sum(enclosure.decided is True for enclosure in enclosures)
        said.append(f"Capacity bounds re-evaluated in ball arithmetic: {decided} of {len(enclosures)} confirmed.")
    derived = [verdict.statement.name for verdict in verdicts if verdict.derivation is not None]
    if derived:
        said.append(f"Derived by computer algebra: {', '.join(derived)}.")
    wrong = sum(not verdict.as_expected for verdict in verdicts)
    said.append(
        f"{len(verdicts) - wrong} of {len(verdicts)} as expected."
        if wrong
        else f"All {len(verdicts)} verdicts are as expected."
    )
    return said


def data(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return everything that was found, as JSON can hold it.

    Parameters
    ----------
    verdicts : sequence of Verdict

    Returns
    -------
    list of dict
        Without timings, so that one seed gives one text.
    """
    return [_verdict(verdict) for verdict in verdicts]


def _verdict(verdict: Verdict) -> dict[str, Any]:
    statement = verdict.statement
    kinds = {part.name: part for part in statement.parts}
    return {
        "statement": statement.name,
        "title": statement.title,
        "claim": statement.claim,
        "source": statement.source,
        "proof": statement.proof,
        "kind": statement.kind.value,
        "verdict": verdict.outcome.value,
        "as_expected": verdict.as_expected,
        "instances": verdict.instances,
        "smallest_slack": verdict.worst.smallest_slack,
        "parts": [_part(part, kinds[part.name]) for part in verdict.parts],
        "derivation": verdict.derivation,
        "enclosures": [asdict(enclosure) for enclosure in verdict.enclosures],
    }


def _part(part: PartResult, of: Any) -> dict[str, Any]:
    kinds = {Experiment: "experiment", Trend: "trend"}
    return {
        "name": part.name,
        "by": kinds.get(type(of), "instances"),
        "verdict": part.outcome.value,
        "instances": part.instances,
        "smallest_slack": part.smallest_slack,
        "where": part.where,
        "attack": {"starts": part.starts, "smallest_slack": part.attacked_slack} if part.starts else None,
        "counterexample": None if part.counterexample is None else part.counterexample.data(),
    }


def _slack(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "0" if value == 0 else f"{value:.1e}"


def thousands(count: int) -> str:
    """Return a number with its digits in groups of three."""
    return f"{count:,}".replace(",", " ")
