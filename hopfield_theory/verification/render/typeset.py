"""Claims and proofs as HTML: indices lowered, exponents raised, arXiv numbers as links, proofs from ``docs/``."""

from __future__ import annotations

import html
import re
from pathlib import Path

from hopfield_theory.verification.render.index import anchor

__all__ = ["beside", "linked", "proof", "typeset"]

_SYMBOLS = {"lse", "softmax", "sparsemax", "exp", "log", "ln", "min", "max", "over", "of", "cos", "Cov", "KL", "Tx"}
_SEPARATOR = re.compile(r"(: |; (?!and )|\. |, (?=(?:with|the|for|where|each)\b)| (?=with\b))")
_DOCUMENT = re.compile(r" ?\(docs/[\w.-]+\)")
# docs/ is beside the package in a checkout, and in it in a wheel
_ROOTS = (Path(__file__).parents[3], Path(__file__).parents[2])


def beside(claim: str) -> str:
    """Return what a claim says beside its formula: without the clauses that are nothing but symbols.

    Examples
    --------
    >>> beside("An update never raises the energy: E(Tx) ≤ E(x).")
    'An update never raises the energy.'
    >>> beside("‖T_n − ξ‖ ≤ m(2A + B), with A = (M − 1)e^{−βδ}.")
    'With A = (M − 1)e^{−βδ}.'
    """
    # not within brackets
    cuts = [cut for cut in _SEPARATOR.finditer(claim.removesuffix(".")) if _is_balanced(claim[: cut.start()])]
    starts, ends = [0, *(cut.end() for cut in cuts)], [*(cut.start() for cut in cuts), len(claim.removesuffix("."))]
    kept = ""
    for before, start, end in zip(["", *(cut[0] for cut in cuts)], starts, ends, strict=True):
        clause = claim[start:end]
        if set(re.findall(r"[A-Za-z]{2,}", clause)) - _SYMBOLS:
            kept += (before if kept else "") + clause
        elif before == ". " and kept:
            kept += "."
    return f"{kept[:1].upper()}{kept[1:]}." if kept else ""


def _is_balanced(clause: str) -> bool:
    return all(clause.count(left) == clause.count(right) for left, right in ("()", "[]", "{}", "⟨⟩"))


def typeset(text: str) -> str:
    """Return plain text with formulas as HTML.

    Examples
    --------
    >>> typeset("A < e^{−βx_{t+1}}, T_n, s_(1)")
    'A &lt; e<sup>−βx<sub>t+1</sub></sup>, T<sub>n</sub>, s<sub>(1)</sub>'
    """
    text = html.escape(_DOCUMENT.sub("", text), quote=False)
    before = None
    while text != before:
        # the innermost braces first
        before, text = text, re.sub(r"([_^])\{([^{}]*)\}", _shifted, text)
    return re.sub(r"([_^])(\(\w+\)|[A-Za-z0-9\u0370-\u03ff]+|[∞*])", _shifted, text)


def _shifted(found: re.Match[str]) -> str:
    tag = "sub" if found[1] == "_" else "sup"
    return f"<{tag}>{found[2]}</{tag}>"


def linked(text: str) -> str:
    """Return a source in HTML, with links to arXiv.

    Examples
    --------
    >>> linked("Hu et al. 2024, arXiv:2404.03828")
    'Hu et al. 2024, <a href="https://arxiv.org/abs/2404.03828">arXiv:2404.03828</a>'
    """
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r'<a href="https://arxiv.org/abs/\1">\g<0></a>', typeset(text))


def proof(where: str) -> str | None:
    """Return a section of a document in HTML; None if there is no such document or section.

    Parameters
    ----------
    where : str
        Path and fragment, as in :attr:`hopfield_theory.statements.statement.Statement.proved_in`.

    Examples
    --------
    >>> proof("docs/retrieval-proofs.md#t17-the-energy-with-and-without-the-slot")[:50]
    '<p><span class="symbols">E<sub>n</sub>(x) − E<sub>'
    """
    from markdown_it import MarkdownIt

    path, _, fragment = where.partition("#")
    file = next((root / path for root in _ROOTS if (root / path).is_file()), None)
    if file is None:
        return None
    parts = re.split(r"^## (.*)\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = {anchor(heading): body for heading, body in zip(parts[1::2], parts[2::2], strict=True)}
    section = sections.get(fragment)
    if section is None:
        return None
    reader = MarkdownIt()
    reader.add_render_rule("code_inline", lambda _, tokens, at, *rest: _symbols("span", tokens[at].content))
    reader.add_render_rule("text", lambda _, tokens, at, *rest: typeset(tokens[at].content))
    reader.add_render_rule("code_block", lambda _, tokens, at, *rest: _symbols("pre", tokens[at].content))
    # documents link to each other, and here they are not
    return re.sub(r"<a [^>]*>(.*?)</a>", r"\1", reader.render(section))


def _symbols(tag: str, formula: str) -> str:
    if re.fullmatch("[a-z_]{4,}", formula):
        return f"<code>{formula}</code>"
    return f'<{tag} class="symbols">{typeset(formula)}</{tag}>'
