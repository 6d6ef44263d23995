"""The page of claims: the claims of the literature, their verdicts, and what holds instead.

``python -m hopfield_theory.verification.render.markdown VERDICTS PAGE`` writes it from the JSON of
``hopfield-theory verify``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hopfield_theory._atomic_write import atomic_write
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statements.statement import Kind
from hopfield_theory.verification.counterexamples import plain
from hopfield_theory.verification.render.table import thousands

__all__ = ["TITLES", "counts", "page"]

_HEAD = """\
# Claims, and what came of them

Claims of the literature, read literally, and common claims about such memories; then the statements of this library.
*Falsified*: all hypotheses are decided true and the conclusion false, in ball arithmetic, at the instance given here;
it is in [`counterexamples/`](counterexamples), and `hopfield-theory replay FILE` decides it again. *Contradicted*: by a
frequency that the claim allows at most once in a million, or by the published numbers themselves. *Holds*: there is a
proof, and an attack from the given number of starts found no counterexample. A claim *stated from memory* was not
compared with its text.

{counts}
"""

TITLES = {
    "printed theorem": "Printed theorems",
    "sentence": "Sentences of papers and of their authors' pages",
    "recalled wording": "Theorems as they are recalled, not compared with their text",
    "reading": "Our readings of such sentences",
    "folklore": "Said of such memories without a source",
}
"""What a claim of the literature is, as a heading."""


def page(verdicts: list[dict[str, Any]]) -> str:
    """Return the page in Markdown.

    Parameters
    ----------
    verdicts : list of dict
        Result of :func:`hopfield_theory.verification.render.table.data`.

    Examples
    --------
    >>> from hopfield_theory.verification.render import table
    >>> from hopfield_theory.verification.suite import verify
    >>> "## Our readings of such sentences" in page(table.data(verify(["P14"])))
    True
    """
    own = [v for v in verdicts if v["said_as"] is None]
    parts = [_HEAD.format(counts=counts())]
    for kind, title in TITLES.items():
        some = [v for v in verdicts if v["said_as"] == kind]
        if some:
            parts += [f"## {title}\n", *map(_claim, sorted(some, key=lambda v: v["proof"] == "false"))]
    if own:
        parts += ["## The statements of this library\n", _table(own)]
    return "\n".join(parts)


def counts() -> str:
    """Return a table of the claims of the literature: what they are, which hold, and which are false.

    Examples
    --------
    >>> counts().splitlines()[2]
    '| Printed theorems | P7, P8 | – |'
    """
    rows = ["| what it is | holds | false |", "| --- | --- | --- |"]
    for kind, title in TITLES.items():
        some = [statement for statement in STATEMENTS.values() if statement.said_as == kind]
        held, failed = (", ".join(s.name for s in some if s.is_false is false) or "–" for false in (False, True))
        rows.append(f"| {title} | {held} | {failed} |")
    return "\n".join(rows)


def _claim(verdict: dict[str, Any]) -> str:
    said = [
        f"### {verdict['statement']} {verdict['title']}\n",
        f"{verdict['claim']}\n",
        f"Source: {verdict['source']}.\n",
    ]
    said += [f"**{verdict['verdict'].capitalize()}.** {_tried(verdict)}\n"]
    for part in verdict["parts"]:
        found = part["counterexample"]
        if found is not None:
            said += ["```text", *_lines(found), *[f"where {found['given']}"] * bool(found["given"]), "```\n"]
        elif part["by"] in ("experiment", "arithmetic"):
            said += ["```text", f"{part['name']}: {part['where']}", "```\n"]
    if verdict["instead"]:
        # of a true claim, what is sharper or says more
        said += ["What holds:\n" if verdict["proof"] == "false" else "See also:\n"]
        said += [f"- {STATEMENTS[name]}" for name in verdict["instead"]] + [""]
    return "\n".join(said)


def _tried(verdict: dict[str, Any]) -> str:
    attack = verdict["attack"]
    if verdict["kind"] == Kind.ARITHMETIC:
        return "By exact arithmetic, the rounding of the published numbers taken in."
    if not attack:
        return f"Instances and memories: {thousands(verdict['instances'])}."
    least = f"smallest slack {attack['smallest_slack']:.2g}"
    return f"Instances: {thousands(verdict['instances'])}; attacked with {thousands(attack['starts'])} starts, {least}."


def _lines(counterexample: dict[str, Any]) -> list[str]:
    decision = counterexample["decision"]
    numbers = ", ".join(f"{name} = {plain(value)}" for name, value in counterexample["values"].items())
    hypotheses = ", ".join(_enclosure(h) for h in decision["hypotheses"]) or "none"
    return [
        f"{counterexample['part']}: {numbers}",
        f"slacks of the hypotheses, all above 0: {hypotheses}",
        f"slack of the conclusion, below 0: {_enclosure(decision['conclusion'])}, at {decision['bits']} bits",
    ]


def _enclosure(slack: dict[str, Any]) -> str:
    return f"[{slack['low']}, {slack['high']}]"


def _table(verdicts: list[dict[str, Any]]) -> str:
    rows = [
        "| statement | proof | verdict | instances | starts | smallest slack |",
        "| --- | --- | --- | --: | --: | --: |",
    ]
    for v in verdicts:
        starts = thousands(v["attack"]["starts"]) if v["attack"] else "–"
        cells = (f"{v['statement']} {v['title']}", v["proof"], v["verdict"], thousands(v["instances"]), starts)
        rows.append(f"| {' | '.join((*cells, format(v['smallest_slack'], '.2g')))} |")
    return "\n".join([*rows, ""])


if __name__ == "__main__":
    source, target = sys.argv[1:]
    atomic_write(target, page(json.loads(Path(source).read_text())["verdicts"]).encode())
