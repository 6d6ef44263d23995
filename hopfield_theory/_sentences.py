"""Results in plain sentences: one text for a terminal, for Python and for a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

__all__ = ["SHOWN", "Told", "count", "listed", "many", "rows_named", "up", "verb"]

SHOWN = 10
"""Number of patterns, or of what else there may be many, that are named one by one."""


class Told:
    """A result that says in sentences what it is: printed in a few words, and in full by :meth:`summary`."""

    def lines(self) -> list[str]:
        """Return the sentences, one per line; the first one says the most."""
        raise NotImplementedError

    def summary(self) -> str:
        """Return the result in a few plain sentences, one per line."""
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.lines()[0]}>"

    def _repr_html_(self) -> str:
        return f"<p>{'<br>'.join(map(escape, self.lines()))}</p>"


def count(part: int, whole: int, noun: str = "patterns", singular: str = "pattern") -> str:
    """Return "3 of 5 patterns", "All 5 patterns" or "The one pattern"."""
    if part == whole and whole:
        return f"All {whole} {noun}" if whole > 1 else f"The one {singular}"
    return f"{part} of {whole} {singular if whole == 1 else noun}"


def many(number: int, noun: str = "pattern") -> str:
    """Return "1 pattern" or "5 patterns", for a noun with a regular plural."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def verb(number: int) -> str:
    """Return "is" for one, "are" for any other number."""
    return "is" if number == 1 else "are"


def rows_named(names: Sequence[object]) -> str:
    """Return "pattern 3" or "patterns 3, 4", with no more names than :func:`listed` has."""
    return f"pattern{'' if len(names) == 1 else 's'} {listed(names)}"


def listed(names: Sequence[object]) -> str:
    """Return the first names with commas between them, and how many there are if those are not all."""
    shown = ", ".join(map(str, names[:SHOWN]))
    return shown + (f", … ({len(names)} in all)" if len(names) > SHOWN else "")


def up(beta: float) -> str:
    """Return four digits, rounded up: a property that holds from ``beta`` on holds from there on."""
    step = 10.0 ** (math.floor(math.log10(beta)) - 3)
    return f"{math.ceil(beta / step) * step:.4g}"
