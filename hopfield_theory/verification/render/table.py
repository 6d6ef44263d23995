"""Verdicts as plain data for JSON, and from that as a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from hopfield_theory.statements.statement import Calculation, Experiment, Trend
from hopfield_theory.verification.check import Outcome, PartResult, Verdict, slack_text

__all__ = ["by", "data", "table", "thousands"]

# a table has no room for identifiers; JSON has them
_IDENTIFIER = re.compile(r",? (arXiv:\d+\.\d+|\(docs/[^)]*\))")
_STYLES = {Outcome.FALSIFIED: "red", Outcome.CONTRADICTED: "red", Outcome.UNDECIDED: "yellow"}
_BY = {Experiment: "experiment", Trend: "trend", Calculation: "arithmetic"}
_TOLD = ("title", "claim", "formula", "source", "proof", "why", "proved_in", "kind", "instead", "figure", "said_as")


def data(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return all claims and results; without timings, so that one seed gives one text."""
    return [_verdict(verdict) for verdict in verdicts]


def _verdict(verdict: Verdict) -> dict[str, Any]:
    kinds = {part.name: by(part) for part in verdict.statement.parts}
    return {
        "statement": verdict.statement.name,
        **{name: getattr(verdict.statement, name) for name in _TOLD},
        "verdict": verdict.outcome.value,
        "as_expected": verdict.as_expected,
        "instances": verdict.instances,
        "smallest_slack": verdict.worst.smallest_slack,
        "worst": verdict.worst.name,
        "attack": _attack(verdict),
        "parts": [_part(part, kinds[part.name]) for part in verdict.parts],
        "derivation": verdict.derivation,
        "enclosures": [asdict(enclosure) for enclosure in verdict.enclosures],
    }


def _part(part: PartResult, by: str) -> dict[str, Any]:
    return {
        "name": part.name,
        "by": by,
        "verdict": part.outcome.value,
        "instances": part.instances,
        "smallest_slack": part.smallest_slack,
        "where": part.where,
        "attack": _attack(part),
        "counterexample": None if part.counterexample is None else part.counterexample.data(),
    }


def _attack(attacked: Verdict | PartResult) -> dict[str, Any] | None:
    return {"starts": attacked.starts, "smallest_slack": attacked.attacked_slack} if attacked.starts else None


def by(part: Any) -> str:
    """Say what decides a part of a statement."""
    return _BY.get(type(part), "instances")


def table(verdicts: Sequence[dict[str, Any]]) -> Table:
    """Return the verdict table; below the instances, the starts of an attack and the smallest slack it found."""
    shown = Table(title="Verdicts", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name, share in (("statement", 4), ("source", 5), ("proof", 3)):
        shown.add_column(name, ratio=share, min_width=share + 3, overflow="fold")
    shown.add_column("verdict", no_wrap=True)
    is_attacked = any(verdict["attack"] for verdict in verdicts)
    for name in ("instances\nattacked with" if is_attacked else "instances", "smallest\nslack"):
        shown.add_column(name, justify="right", no_wrap=True)
    for v in verdicts:
        attacks = [v["attack"]] if v["attack"] else []
        shown.add_row(
            f"{v['statement']} {v['title']}",
            _IDENTIFIER.sub("", v["source"]),
            v["proof"],
            Text(v["verdict"], style="" if v["as_expected"] else _STYLES.get(v["verdict"], "")),
            "\n".join([thousands(v["instances"]), *(f"{thousands(attack['starts'])} starts" for attack in attacks)]),
            "\n".join(slack_text(found["smallest_slack"]) for found in (v, *attacks)),
        )
    return shown


def thousands(count: int, space: str = " ") -> str:
    """Return a number with its digits in groups of three."""
    return f"{count:,}".replace(",", space)
