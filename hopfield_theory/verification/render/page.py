"""Verdicts as one self-contained web page: no network, no script but its own, mathematics as MathML."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from hopfield_theory.statements.formulas import FORMULAS
from hopfield_theory.statements.proofs import PROOFS
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.verification.check import Verdict
from hopfield_theory.verification.counterexamples import plain
from hopfield_theory.verification.render import table

__all__ = ["FIGURES", "page"]

FIGURES = {
    "landscape": ("T1", "T2"),
    "convergence_descent": ("T3", "T5", "T13"),
    "capacity_rates": ("C1", "C2", "C3", "C6"),
    "capacity": ("C5", "C7", "P9"),
    "exponents": ("C4",),
    "noise": ("P15", "P16"),
    "basins": ("T12", "P24"),
    "closeness": ("T10", "T11", "P1", "P3"),
    "rejection": ("T8", "T14"),
    "metastable": ("T7", "P23"),
    "convergence_slowing": ("T6",),
}
"""Which statements a figure of ``python -m figures`` is about."""


def page(verdicts: Sequence[Verdict], *, version: str, level: str, seed: int, figures: Path | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    verdicts : sequence of Verdict
    version, level, seed
        What was run.
    figures : Path, optional
        A folder; the figures that it holds are embedded, for the others the command that draws them is named.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ImportError
        Without latex2mathml (extra ``report``).

    Examples
    --------
    >>> from hopfield_theory.verification.suite import verify
    >>> text = page(verify(["T8"], instances=100), version="0", level="quick", seed=0)
    >>> text.count("<math") > 0, "http://" in text.replace("http://www.w3.org", "")
    (True, False)
    """
    wrong = sum(not verdict.as_expected for verdict in verdicts)
    said = f"All {len(verdicts)} verdicts are as expected." if not wrong else f"{wrong} verdicts are not as expected."
    outcomes = sorted({verdict.outcome.value for verdict in verdicts})
    options = "".join(f"<option>{outcome}</option>" for outcome in outcomes)
    rows = "".join(_row(verdict) for verdict in verdicts)
    here = {verdict.statement.name for verdict in verdicts}
    details = "".join(_details(verdict, here, level, seed, figures) for verdict in verdicts)
    heads = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{name}</button></th>'
        for name in ("Statement", "Proof", "Verdict", "Instances", "Smallest slack", "Attack starts", "Attack's slack")
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>Verdicts · hopfield_theory</title>'
        f"<style>{_own('css')}</style></head><body>"
        f"<header><h1>Verdicts</h1><p><strong>{said}</strong> hopfield_theory {html.escape(version)}, "
        f"level {html.escape(level)}, seed {seed}.</p></header><main>"
        '<form role="search" onsubmit="return false"><label>Find <input id="find" type="search" '
        'placeholder="T12, sparse, Ramsauer …"></label> <label>Verdict <select id="verdict">'
        f'<option value="">all</option>{options}</select></label> '
        '<output id="shown" aria-live="polite"></output></form>'
        f'<div class="wide"><table><caption>Select a heading to sort, a statement to read it.</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{details}</main>"
        f"<script>{_own('js')}</script></body></html>\n"
    )


def _own(kind: str) -> str:
    return resources.files("hopfield_theory.verification").joinpath(f"page.{kind}").read_text(encoding="utf-8")


def _row(verdict: Verdict) -> str:
    statement = verdict.statement
    state = "expected" if verdict.as_expected else "wrong"
    cells = [
        ("Proof", "", html.escape(statement.proof)),
        ("Verdict", "", f'<span class="{verdict.outcome.value} {state}">{verdict.outcome.value}</span>'),
        ("Instances", verdict.instances, f"{verdict.instances:,}".replace(",", "\u2009")),
        ("Smallest slack", *_slack(verdict.worst.smallest_slack)),
        ("Attack starts", verdict.starts, f"{verdict.starts:,}".replace(",", "\u2009") if verdict.starts else "–"),
        ("Attack's slack", *_slack(verdict.attacked_slack)),
    ]
    told = " ".join((str(statement), statement.source, statement.proof)).lower()
    return (
        f'<tr data-told="{html.escape(told)}" data-verdict="{verdict.outcome.value}"><th scope="row">'
        f'<a href="#{statement.name}">{statement.name}</a> {html.escape(statement.title)}</th>'
        + "".join(f'<td data-name="{name}" data-value="{value}">{text}</td>' for name, value, text in cells)
        + "</tr>"
    )


def _slack(value: float) -> tuple[str, str]:
    return ("", "–") if math.isnan(value) else (repr(value), "0" if value == 0 else f"{value:.1e}")


def _details(verdict: Verdict, here: set[str], level: str, seed: int, figures: Path | None) -> str:
    statement = verdict.statement
    parts = "".join(_part(part) for part in table.data([verdict])[0]["parts"])
    instead = ", ".join(_link(name, here) for name in statement.instead)
    holds = f"<p>{'What holds' if statement.is_false else 'See also'}: {instead}.</p>" if instead else ""
    derived = html.escape(verdict.derivation or "")
    derived = f"<p>Derived by computer algebra: <code>{derived}</code></p>" if derived else ""
    why = "Why it fails" if statement.is_false else "Proof"
    proof = f"<details><summary>{why}</summary><p>{html.escape(PROOFS[statement.name])}</p>{derived}</details>"
    again = f"hopfield-theory verify {statement.name} --level {level} --seed {seed}"
    return (
        f'<article id="{statement.name}" data-verdict="{verdict.outcome.value}"><h2>{statement.name} '
        f'{html.escape(statement.title)} <span class="{verdict.outcome.value}">{verdict.outcome.value}</span></h2>'
        f'<div class="formula">{_mathematics(FORMULAS[statement.name])}</div><p>{html.escape(statement.claim)}</p>'
        f"<p>Source: {html.escape(statement.source)}. Proof: {html.escape(statement.proof)}.</p>{holds}{proof}"
        f"<details><summary>What was checked</summary><ul>{parts}</ul><p>Again: <code>{again}</code></p></details>"
        f"{_figure(statement.name, figures)}</article>"
    )


def _link(name: str, here: set[str]) -> str:
    text = f"{name} {html.escape(STATEMENTS[name].title)}"
    return f'<a href="#{name}">{text}</a>' if name in here else text


def _part(part: dict[str, Any]) -> str:
    number = f"{part['instances']:,}".replace(",", "\u2009")
    said = f"<strong>{html.escape(part['name'])}</strong>: {part['verdict']}; {part['by']}: {number}"
    said += f", smallest slack {part['smallest_slack']:.2g} ({html.escape(part['where'])})"
    if part["attack"]:
        said += (
            f"; attacked from {part['attack']['starts']} starts, smallest slack {part['attack']['smallest_slack']:.2g}"
        )
    found = part["counterexample"]
    if found:
        numbers = "\n".join(f"{name} = {plain(value)}" for name, value in found["values"].items())
        slack = found["decision"]["conclusion"]
        numbers += f"\n({found['given']})" if found["given"] else ""
        said += f"<pre>{html.escape(numbers)}\nslack in [{slack['low']}, {slack['high']}]</pre>"
    return f"<li>{said}</li>"


def _mathematics(latex: str) -> str:
    try:
        from latex2mathml.converter import convert
    except ImportError as error:
        raise ImportError("the page needs latex2mathml: pip install 'hopfield-theory[report]'") from error
    return convert(latex, display="block")


def _figure(name: str, folder: Path | None) -> str:
    figure = next((figure for figure, names in FIGURES.items() if name in names), None)
    if figure is None:
        return ""
    file = None if folder is None else folder / f"{figure}.png"
    if file is None or not file.is_file():
        return f"<p>Its figure: <code>python -m figures {figure}</code></p>"
    picture = base64.b64encode(file.read_bytes()).decode()
    return f'<figure><img alt="Figure {figure}" loading="lazy" src="data:image/png;base64,{picture}"></figure>'
