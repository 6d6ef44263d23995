"""Verdicts as one self-contained web page: no network, no external script, mathematics as MathML."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.verification.check import slack_text
from hopfield_theory.verification.counterexamples import plain
from hopfield_theory.verification.render import table
from hopfield_theory.verification.verdicts import how_many_as_expected

__all__ = ["page"]


def page(
    verdicts: Sequence[dict[str, Any]], *, version: str, level: str, seed: int, figures: Path | None = None
) -> str:
    """Return the page in HTML.

    Parameters
    ----------
    verdicts : sequence of dict
        Result of :func:`hopfield_theory.verification.render.table.data`.
    version, level, seed
        Version of the package, and the arguments of the check.
    figures : Path, optional
        Folder of figures to embed; for missing figures the page names the command that draws them.

    Examples
    --------
    >>> from hopfield_theory.verification.suite import verify
    >>> text = page(table.data(verify(["T8"], instances=100)), version="0", level="quick", seed=0)
    >>> text.count("<math") > 0, "http://" in text.replace("http://www.w3.org", "")
    (True, False)
    """
    try:
        import jinja2
        from latex2mathml.converter import convert
        from markupsafe import Markup
    except ImportError as error:
        raise ImportError("the page needs Jinja2 and latex2mathml: pip install 'hopfield-theory[report]'") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hopfield_theory.verification.render", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "mathematics": lambda latex: Markup(convert(latex, display="block")),
        "plain": plain,
        "slack": slack_text,
        "thousands": lambda count: table.thousands(count, "\u2009"),
    }
    files = {} if figures is None else {file.stem: file for file in figures.glob("*.png")}
    return environment.get_template("page.html.jinja").render(
        verdicts=verdicts,
        summary=how_many_as_expected([verdict["as_expected"] for verdict in verdicts]),
        here={verdict["statement"] for verdict in verdicts},
        titles={name: statement.title for name, statement in STATEMENTS.items()},
        pictures={
            verdict["figure"]: base64.b64encode(files[verdict["figure"]].read_bytes()).decode()
            for verdict in verdicts
            if verdict["figure"] in files
        },
        version=version,
        level=level,
        seed=seed,
    )
