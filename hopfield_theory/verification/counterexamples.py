"""Certified counterexamples: found in floats, decided in balls, and made as small as possible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hopfield_theory.statements.statement import Implication, Statement
from hopfield_theory.verification import ball_arithmetic

__all__ = ["Counterexample", "lines", "plain"]

_DIGITS = range(1, 12)


@dataclass(frozen=True)
class Counterexample:
    """An instance that meets all hypotheses of a part and fails its conclusion, both decided in ball arithmetic.

    Its values are exact decimals: strings, in nested lists for vectors and matrices. ``given`` is the transformation
    that the part applies to them first, if any.
    """

    statement: str
    part: str
    values: dict[str, Any]
    decision: ball_arithmetic.Decision
    given: str = ""

    @classmethod
    def shrunk(cls, statement: Statement, part: Implication, values: dict[str, Any]) -> Counterexample:
        """Shrink a counterexample: fewer patterns, then fewer dimensions, then numbers with fewer digits.

        Raises
        ------
        ValueError
            If the instance falsifies nothing.
        """
        decision = ball_arithmetic.decide(part, values)
        if not decision.falsifies:
            raise ValueError(f"{statement.name}, {part.name}: the instance is no counterexample")
        # what takes far more digits to decide is not simpler, and most of what is undecided by then stays so
        bits = 2 * decision.bits
        while True:
            smaller = next((v for v in _smaller(part, values) if _falsifies(part, v, bits)), None)
            if smaller is None:
                break
            values = smaller
        # the decimal that a float prints as is another number than the float
        short = {name: _mapped(value, _text) for name, value in values.items()}
        if not _falsifies(part, short, bits):
            # a float is a binary fraction, which has finitely many decimals
            short = {name: _mapped(value, lambda x: str(Decimal(x))) for name, value in values.items()}
        return cls(statement.name, part.name, short, ball_arithmetic.decide(part, short), part.given)

    def data(self) -> dict[str, Any]:
        """Return the counterexample as plain data for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the instance and the enclosure of its slack, as lines of text."""
        return lines(self.data())


def lines(found: dict[str, Any]) -> list[str]:
    """Return the lines of a counterexample that :meth:`Counterexample.data` returned."""
    numbers = ", ".join(f"{name} = {plain(value)}" for name, value in found["values"].items())
    slack, given = found["decision"]["conclusion"], f" ({found['given']})" if found["given"] else ""
    return [
        f"{found['part']}: {numbers}{given}",
        f"slack in [{slack['low']}, {slack['high']}], decided at {found['decision']['bits']} bits",
    ]


def _falsifies(part: Implication, values: dict[str, Any], most_bits: int) -> bool:
    try:
        return ball_arithmetic.decide(part, values, most_bits).falsifies
    except ValueError:
        # rounding has left the domain, such as β = 0
        return False


def _smaller(part: Implication, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    patterns = values["patterns"]
    for left_out in range(len(patterns) - 1, 0, -1):
        if len(patterns) > part.min_patterns:
            yield {**values, "patterns": [row for index, row in enumerate(patterns) if index != left_out]}
    if len(values.get("outliers", [])) > 1:
        yield {**values, "outliers": values["outliers"][1:]}
    for axis in range(len(patterns[0]) if len(patterns[0]) > 1 else 0):
        yield {name: _without_axis(value, axis) if isinstance(value, list) else value for name, value in values.items()}
    for name, value in values.items():
        simple = [_mapped(value, lambda _, digit=digit: digit) for digit in ("0", "1")]
        rounded = [_mapped(value, lambda x, digits=digits: _rounded(x, digits)) for digits in (0, *_DIGITS)]
        for candidate in (*simple, *rounded):
            if _size(candidate) < _size(value):
                yield {**values, name: candidate}


def _without_axis(value: list[Any], axis: int) -> list[Any]:
    if isinstance(value[0], list):
        return [_without_axis(row, axis) for row in value]
    return [x for index, x in enumerate(value) if index != axis]


def _mapped(value: Any, of: Any) -> Any:
    return [_mapped(x, of) for x in value] if isinstance(value, list) else of(value)


def _rounded(x: Any, digits: int) -> str:
    """Round to significant digits; to a whole number for none."""
    value = float(Fraction(x))
    return _text(float(round(value))) if digits == 0 else _text(float(f"{value:.{digits - 1}e}"))


def _text(x: Any) -> str:
    return x if isinstance(x, str) else f"{x:g}" if float(f"{x:g}") == x else repr(x)


def _size(value: Any) -> int:
    """Return a measure of length: 0 is shortest, then 1, then other single digits, then longer numbers."""
    if isinstance(value, list):
        return sum(map(_size, value))
    text = _text(value)
    return {"0": 0, "1": 1}.get(text, 1 + len(text))


def plain(value: Any) -> str:
    """Return nested lists of decimals as a line of text, without quotes."""
    return f"[{', '.join(map(plain, value))}]" if isinstance(value, list) else str(value)
