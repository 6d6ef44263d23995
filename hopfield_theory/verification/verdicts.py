"""The verdicts of one verification together: as sentences, and as a table in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from hopfield_theory._sentences import Told, count, verb
from hopfield_theory.verification.check import Verdict, slack_text

__all__ = ["Verdicts", "how_many_as_expected"]


class Verdicts(Told, list[Verdict]):
    """A list of :class:`~hopfield_theory.Verdict`.

    Examples
    --------
    >>> from hopfield_theory.verification.suite import verify
    >>> verify(["T8", "T10"], instances=100)
    <Verdicts: All 2 verdicts are as expected.>
    """

    def lines(self) -> list[str]:
        """Return the counterexamples, what balls and algebra confirmed, and how many verdicts are as expected."""
        decided = [enclosure.decided is True for verdict in self for enclosure in verdict.enclosures]
        derived = [verdict.statement.name for verdict in self if verdict.derivation is not None]
        said = [line for verdict in self for line in verdict.findings()]
        if decided:
            said.append(f"Capacity bounds re-evaluated in ball arithmetic: {sum(decided)} of {len(decided)} confirmed.")
        if derived:
            said.append(f"Derived by computer algebra: {', '.join(derived)}.")
        return [*said, how_many_as_expected([verdict.as_expected for verdict in self])]

    def __repr__(self) -> str:
        return f"<Verdicts: {self.lines()[-1]}>"

    def _repr_html_(self) -> str:
        cells = (
            (v.statement.name, v.statement.title, v.outcome.value, v.instances, slack_text(v.worst.smallest_slack))
            for v in self
        )
        rows = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in cells)
        head = "".join(f"<th>{name}</th>" for name in ("", "statement", "verdict", "instances", "smallest slack"))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><tr>{head}</tr>{body}</table>{super()._repr_html_()}"


def how_many_as_expected(as_expected: Sequence[bool]) -> str:
    """Return the sentence that says how many verdicts are as expected.

    Examples
    --------
    >>> how_many_as_expected([True, False, True])
    '2 of 3 as expected.'
    """
    whole, expected = len(as_expected), sum(as_expected)
    if not whole or expected < whole:
        return f"{expected} of {whole} as expected."
    return f"{count(whole, whole, 'verdicts', 'verdict')} {verb(whole)} as expected."
