"""Verdicts as one self-contained web page: no network, no external script, mathematics as MathML."""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.verification.counterexamples import plain
from hopfield_theory.verification.render import markdown, table, typeset
from hopfield_theory.verification.verdicts import how_many_as_expected

__all__ = ["citation", "page"]

_OWN = "Statements of this library"
_NAME = "{hopfield_theory}"
_AUTHOR = "{The hopfield_theory authors}"
_PAPER = """@inproceedings{hu2024outlier,
  title = {Outlier-Efficient Hopfield Layers for Large Transformer-Based Models},
  author = {Hu, Jerry Yao-Chieh and Chang, Pei-Hsuan and Luo, Robin and Chen, Hong-Yu and Li, Weijian and Wang, Wei-Po
            and Liu, Han},
  booktitle = {International Conference on Machine Learning},
  year = {2024},
  eprint = {2404.03828},
  archiveprefix = {arXiv}
}"""


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
        "beside": lambda verdict: Markup(typeset.typeset(typeset.beside(verdict["claim"]))),
        "linked": lambda text: Markup(typeset.linked(text)),
        "mathematics": lambda latex: Markup(convert(latex, display="block")),
        "minus": _minus,
        "plain": plain,
        "proof": lambda where: Markup(typeset.proof(where) or ""),
        "slack": lambda value: Markup(_number(value)),
        "thousands": lambda count: table.thousands(count, "\u2009"),
        "typeset": lambda text: Markup(typeset.typeset(text)),
    }
    files = {} if figures is None else {file.stem: file for file in figures.glob("*.png")}
    # each figure and each proof once, where it is first needed
    first = {name: {v[name]: v["statement"] for v in reversed(verdicts) if v[name]} for name in ("figure", "proved_in")}
    return environment.get_template("page.html.jinja").render(
        verdicts=verdicts,
        summary=how_many_as_expected([verdict["as_expected"] for verdict in verdicts]),
        here={verdict["statement"] for verdict in verdicts},
        titles={name: statement.title for name, statement in STATEMENTS.items()},
        pictures={name: _picture(files[name]) for name in first["figure"] if name in files},
        first=first,
        kinds=_kinds(verdicts),
        cite=partial(citation, version),
        version=version,
        level=level,
        seed=seed,
    )


def citation(version: str, verdict: dict[str, Any] | None = None) -> str:
    """Return BibTeX for a statement, or for the library and the paper whose models it implements.

    Parameters
    ----------
    version : str
    verdict : dict, optional
        One of the verdicts of :func:`page`.

    Examples
    --------
    >>> print(citation("0.1.0").splitlines()[0])
    @software{hopfield_theory,
    """
    software = f"{_NAME}, version {version}"
    if verdict is None:
        fields = {"title": _NAME, "author": _AUTHOR, "version": version}
        return f"{_entry('software', 'hopfield_theory', fields)}\n\n{_PAPER}"
    name = verdict["statement"]
    fields = {
        "title": f"{{{name}: {verdict['title']}}}",
        "author": _AUTHOR,
        "howpublished": f"{software}, statement {name}",
        "note": f"Source: {verdict['source']}",
    }
    numbers = re.findall(r"arXiv:(\d{4}\.\d{4,5})", verdict["source"])
    if len(set(numbers)) == 1:
        fields |= {"eprint": numbers[0], "archiveprefix": "arXiv"}
    return _entry("misc", f"hopfield_theory-{name}", fields)


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{_escaped(value)}}}" for name, value in fields.items()]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def _escaped(value: str) -> str:
    """Mark what is special in BibTeX; a name that LaTeX must not take apart has braces of its own."""
    return re.sub(r"([&%#_])", r"\\\1", value)


def _minus(text: str) -> str:
    """Write minus signs in place of hyphens."""
    return text.replace("-", "−")


def _number(value: float) -> str:
    """Return a number to two digits, in HTML; a dash for NaN."""
    if math.isnan(value):
        return "–"
    if value == 0 or math.isinf(value) or 1e-3 <= abs(value) < 1e4:
        return _minus(f"{value:.2g}").replace("inf", "∞")
    mantissa, exponent = f"{value:.1e}".split("e")
    return _minus(f"{mantissa}·10<sup>{int(exponent)}</sup>")


def _picture(file: Path) -> dict[str, str]:
    """Return a figure and the caption beside it, if there is one."""
    caption = file.with_suffix(".md")
    return {
        "png": base64.b64encode(file.read_bytes()).decode(),
        "caption": caption.read_text(encoding="utf-8").strip() if caption.is_file() else "",
    }


def _kinds(verdicts: Sequence[dict[str, Any]]) -> list[tuple[str, str, dict[str, int]]]:
    """Return what claims are, as a word and as a heading, and how often they have which verdict."""
    some = {kind: Counter(v["verdict"] for v in verdicts if (v["said_as"] or "own") == kind) for kind in _headings()}
    return [(kind, _headings()[kind], dict(counted)) for kind, counted in some.items() if counted]


def _headings() -> dict[str, str]:
    return {**markdown.TITLES, "own": _OWN}
