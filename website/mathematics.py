"""Mathematics as MathML, at build time: browsers render it without a script or a font.

Formulas come in two notations: LaTeX in fenced ``math`` blocks, and plain text such as ``e^{−κ(u_ν − ρ w_ν)}`` in the
code spans and indented blocks of proofs, where a reader of the Markdown wants no LaTeX.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from latex2mathml.converter import convert

__all__ = ["fence", "inline", "is_formula", "latex", "rewrite"]

_FUNCTIONS = {"exp", "log", "ln", "cos", "tanh", "max", "min"}
_OPERATORS = {"Var", "Cov"}
_IN_FORMULAS = _FUNCTIONS | _OPERATORS | {"for", "all"}
_SYMBOLS = {
    "Σ": r"\sum ", "Π": r"\prod ", "∫": r"\int ", "∇": r"\nabla ", "√": r"\sqrt ",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "±": r"\pm ", "−": "-", "·": r"\cdot ", "→": r"\to ",
    "←": r"\leftarrow ", "⟂": r"\perp ", "⊥": r"\perp ", "⟨": r"\langle ", "⟩": r"\rangle ", "‖": r"\|", "…": r"\dots ",
    "½": r"\tfrac12 ", "¼": r"\tfrac14 ", "∎": r"\quad\blacksquare ", "*": "^{*}", "′": r"^{\prime}", "₊": "_{+}",
    "ᵀ": r"^{\top}", "²": "^{2}", "³": "^{3}", "⁻¹": "^{-1}", "⁴": "^{4}",
}  # fmt: skip
_SPAN = re.compile(r"`([^`]+)`")
_LETTER = re.compile(r"(?<!\w)[^\W\d_][_^]\w(?!\w)")  # such as ξ_1 and R^d in a sentence
_ACCENTS = {"\u0302": "hat", "\u0304": "bar"}
_TOKEN = re.compile(
    r"(?P<word>[A-Za-z]{3,}(?: [A-Za-z]{2,})*|ln)|(?P<accent>\w[\u0302\u0304])|(?P<open>[_^]?\{)|(?P<close>\})"
    r"|(?P<group>[_^]\()|(?P<root>√\()|(?P<letter>√\w)|(?P<gap> {2,})|(?P<inverse>⁻¹)|(?P<other>.)",
    re.DOTALL,
)


def fence(source: str, language: str, css_class: str, options: Any, md: Any, **kwargs: Any) -> str:
    """Format a fenced block of LaTeX, for ``pymdownx.superfences``."""
    return f'<div class="{css_class}">{convert(source, display="block")}</div>'


def inline(source: str, language: str, css_class: str, md: Any) -> str:
    """Format a code span of LaTeX, for ``pymdownx.inlinehilite``."""
    return convert(source)


def is_formula(span: str) -> bool:
    """Whether a code span is a formula: every word of three letters or more is a function, and no name has a dot.

    Examples
    --------
    >>> [is_formula(span) for span in ("r_ν ≤ e^{−κu}", "exp(−t)", "log_height", "overlaps", "p_0")]
    [True, True, False, False, True]
    """
    words = re.findall(r"[A-Za-z]{3,}", span)
    return all(word in _IN_FORMULAS for word in words) and not re.search(r"(?:log|max)_[a-z]{2}|[a-z]\.[a-z]", span)


def latex(text: str) -> str:
    r"""Translate a formula in plain text to LaTeX.

    Sub- and superscripts are written as in LaTeX or as Unicode characters, roots as √(…); other braces are themselves.

    Examples
    --------
    >>> print(latex("w_ν² ≤ e^{−κu}"))
    w_ν^{2}\le e^{-κu}
    >>> print(latex("{a : √(a − 1) ≤ h}"))
    \{a : \sqrt{a - 1}\le h\}
    """
    parts: list[str] = []
    closes: list[str] = []  # what closes each bracket that is open
    for match in _TOKEN.finditer(unicodedata.normalize("NFC", text)):
        token = match[0]
        match match.lastgroup:
            case "word":
                parts.append(_word(token))
            case "accent":
                parts.append(rf"\{_ACCENTS[token[1]]}{{{token[0]}}}")
            case "open":
                closes.append("}" if len(token) == 2 else r"\}")
                parts.append(token if len(token) == 2 else r"\{")
            case "group":
                closes.append(")}")
                parts.append(f"{token[0]}{{(")
            case "root":
                closes.append("}")
                parts.append(r"\sqrt{")
            case "letter":
                parts.append(rf"\sqrt{{{token[1]}}}")
            case "close":
                parts.append(closes.pop())
            case "gap":
                parts.append(r"\qquad ")
            case "inverse":
                parts.append(_SYMBOLS[token])
            case _:
                if token in "([":
                    closes.append({"(": ")", "[": "]"}[token])
                    parts.append(token)
                elif token in ")]":
                    # half-open intervals close with the other bracket
                    expected = closes.pop() if closes else token
                    parts.append(token if expected in ")]" else expected)
                else:
                    parts.append(_SYMBOLS.get(token, token))
    return re.sub(r" +(?=\\(?:le|ge|ne|perp|approx|cdot|dots)\b)", "", re.sub(" +", " ", "".join(parts))).strip()


def _word(words: str) -> str:
    first, _, rest = words.partition(" ")
    if first in _FUNCTIONS:
        return rf"\{first} {latex(rest)}" if rest else rf"\{first} "
    if first in _OPERATORS:
        return rf"\operatorname{{{first}}}"
    return rf"\text{{ {words} }}"


def _display(lines: list[str]) -> str:
    """A block of indented lines: one formula, its continuations aligned at the first relation."""
    rows = []
    for line in lines:
        formula, _, tag = re.fullmatch(r"(.*?)(\s+\(([A-Z]′?'?)\))?", line.strip()).groups()
        row = latex(formula)
        if len(lines) > 1:
            row = re.sub(r"(\\le |\\ge |=)", r"&\1", row, count=1)
        rows.append(row + (rf"\qquad\text{{({tag})}}" if tag else ""))
    return rows[0] if len(rows) == 1 else r"\begin{align*}" + r" \\ ".join(rows) + r"\end{align*}"


def rewrite(markdown: str) -> str:
    r"""Turn the formulas of a page in plain text, code spans and indented blocks, into LaTeX for the two formats above.

    Examples
    --------
    >>> print(rewrite("With `p_0 ≤ 1` and `overlaps`:\n\n    a = b.\n"))
    With `:::math p_0\le 1` and `overlaps`:
    <BLANKLINE>
    ```math
    a = b.
    ```
    <BLANKLINE>
    """
    return _outside_fences(_spans, _outside_fences(_blocks, markdown))


def _outside_fences(change: Callable[[str], str], markdown: str) -> str:
    pieces = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(piece if piece.startswith("```") else change(piece) for piece in pieces)


def _spans(text: str) -> str:
    def span(match: re.Match[str]) -> str:
        formula = " ".join(match[1].split())
        return f"`:::math {latex(formula)}`" if is_formula(formula) else match[0]

    def letter(match: re.Match[str]) -> str:
        return f"`:::math {latex(match[0])}`"

    pieces = re.split(r"(`[^`]+`|\]\([^)]*\))", text)
    return "".join(_SPAN.sub(span, piece) if piece.startswith("`") else _LETTER.sub(letter, piece) for piece in pieces)


def _blocks(text: str) -> str:
    def block(match: re.Match[str]) -> str:
        return f"\n```math\n{_display(match[1].splitlines())}\n```\n"

    return re.sub(r"(?<=\n)\n((?: {4,}\S.*\n)+)", block, text)
