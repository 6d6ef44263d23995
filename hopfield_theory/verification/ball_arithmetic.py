"""Deciding a part of a statement at one instance, in ball arithmetic.

Every number of the instance enters exactly, every operation encloses its result, and the precision is raised until the
signs of all slacks are decided. Only this can call a statement false.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx, fmpq

from hopfield_theory.statements.statement import VARIABLES, Implication, Instance

__all__ = ["BallArithmetic", "Decision", "SlackEnclosure", "decide"]

Values = Mapping[str, Any]
"""Exact numbers of an instance: fractions, in nested lists for vectors and matrices."""

_LEAST_BITS, _MOST_BITS = 64, 4096
_HUGE, _TINY = "1e1000000000000", "1e-1000000000000"
# Newton steps with a Jacobian of floats gain some 50 bits each, up to the precision at which to give up.
_UPDATES, _NEWTON_STEPS, _HALVINGS = 40, 80, 40


def _logarithm(x: Any) -> Any:
    return arb("-inf") if x.is_zero() else x.log()


_exp, _log, _abs = (np.frompyfunc(f, 1, 1) for f in (lambda x: x.exp(), _logarithm, abs))


class UndecidedError(ArithmeticError):
    """No enclosure of a fixed point was found."""


class BallArithmetic:
    """Ball arithmetic through python-flint, at the precision of its context.

    Examples
    --------
    >>> BallArithmetic().norm(np.array([arb(3), arb(4)], dtype=object))
    5.00000000000000
    """

    def number(self, x: float) -> Any:  # noqa: D102
        return arb(x)

    def stack(self, numbers: list[Any]) -> Any:  # noqa: D102
        return np.array(numbers, dtype=object)

    def rows(self, upper: Any, lower: Any) -> Any:  # noqa: D102
        return np.concatenate([upper, lower])

    def exp(self, x: Any) -> Any:  # noqa: D102
        return _exp(x)

    def log(self, x: Any) -> Any:  # noqa: D102
        return _log(x)

    def sqrt(self, x: Any) -> Any:  # noqa: D102
        return x.nonnegative_part().sqrt()

    def abs(self, x: Any) -> Any:  # noqa: D102
        return _abs(x)

    def sum(self, x: Any) -> Any:  # noqa: D102
        return x.sum(-1) if len(x) else arb(0)

    def max(self, x: Any) -> Any:  # noqa: D102
        return _folded(lambda a, b: a.max(b), x)

    def min(self, x: Any) -> Any:  # noqa: D102
        return _folded(lambda a, b: a.min(b), x)

    def descending(self, x: Any) -> Any:
        """Enclose each order statistic between those of the lower and of the upper ends."""
        lower, upper = (sorted((end(ball) for ball in x), reverse=True) for end in (arb.lower, arb.upper))
        return np.array([low.union(high) for low, high in zip(lower, upper, strict=True)], dtype=object)

    def cumulative(self, x: Any) -> Any:  # noqa: D102
        return np.array(list(itertools.accumulate(x)), dtype=object)

    def norm(self, x: Any) -> Any:  # noqa: D102
        squares = (x * x).sum(-1)
        return np.frompyfunc(self.sqrt, 1, 1)(squares)

    def largest_eigenvalue(self, x: Any) -> Any:
        """Enclose it by the trace of a high power, which is between one and d times the power of the eigenvalue."""
        trace = np.trace(x)
        if not trace > 0:
            return arb(0).union(trace)
        squarings = ctx.prec // 2
        power = arb_mat((x / trace).tolist())
        for _ in range(squarings):
            power = power * power
        total = sum((power[k, k] for k in range(len(x))), arb(0))
        ends = (total / len(x), total)
        low, high = (trace * (end.log() / arb(2) ** squarings).exp() for end in ends)
        return low.union(high)

    def log_sum_exp(self, x: Any, mass: Any) -> Any:  # noqa: D102
        return (mass + _exp(x).sum(-1)).log()

    def if_positive(self, condition: Any, yes: Any, no: Any) -> Any:  # noqa: D102
        if condition > 0:
            return yes
        if condition <= 0:
            return no
        return np.frompyfunc(lambda a, b: a.union(b), 2, 1)(yes, no)

    def fixed_point(self, update: Callable[[Any], Any], jacobian: Callable[[Any], Any], start: Any) -> Any:
        """Enclose the fixed point that an orbit runs to (T13).

        If the Jacobian is at most ``L < 1`` on a ball of radius r around c, and the update moves c by at most
        ``(1 - L) r``, then the ball contains exactly one fixed point. The centre c is found by Newton steps from the
        end of an orbit of midpoints. From every state inside a wider such ball the orbit converges to that fixed point;
        the orbit itself, in balls, is followed until it is inside.

        Raises
        ------
        UndecidedError
            If the orbit ends where the Jacobian is not below 1, or does not arrive in time.
        """
        centre = start
        for _ in range(_UPDATES):
            before, centre = centre, _middle(update(centre))
            if (centre == before).all():
                break
        for _ in range(_NEWTON_STEPS):
            slope = np.eye(len(centre)) - jacobian(centre).astype(float)
            if not np.isfinite(slope).all() or np.linalg.cond(slope) > 1 / np.finfo(float).eps:
                raise UndecidedError("an orbit ends where the fixed point is not isolated")
            residual = _middle(update(centre) - centre)
            size = max(abs(residual))
            if size <= max(abs(centre)) * arb(2) ** (4 - ctx.prec):
                break
            # in units of the residual, which may lie below the smallest float
            centre = _middle(centre + size * _ball_array(np.linalg.solve(slope, (residual / size).astype(float))))
        moved = self.norm(update(centre) - centre).upper()
        for widening in (2, 16, 256, 1 << 16):
            radius = moved * widening
            lipschitz = _spectral_norm(jacobian(_box(centre, radius)))
            if lipschitz < 1 and moved <= (1 - lipschitz) * radius:
                self._arrive(update, jacobian, start, centre, radius)
                return _box(centre, radius)
        raise UndecidedError("a fixed point does not attract")

    def _arrive(self, update: Any, jacobian: Any, start: Any, centre: Any, radius: Any) -> None:
        """Follow an orbit in balls into a ball around ``centre`` in which every state converges to its fixed point."""
        reaches = [(self.norm(centre).upper() + radius) / 2**k for k in range(_HALVINGS)]
        reach = next((r for r in reaches if _spectral_norm(jacobian(_box(centre, r))) < 1), arb(0))
        state = start
        for _ in range(_UPDATES + _UPDATES):
            if self.norm(state - centre) + 2 * radius < reach:
                return
            state = update(state)
        raise UndecidedError("an orbit does not arrive")


def _box(centre: Any, radius: Any) -> Any:
    return centre + np.array([arb(0, radius)] * len(centre), dtype=object)


def _middle(x: Any) -> Any:
    return np.frompyfunc(lambda ball: ball.mid(), 1, 1)(x)


def _ball_array(x: Any) -> Any:
    return np.array([arb(value) for value in x.tolist()], dtype=object)


def _folded(of: Callable[[Any, Any], Any], x: Any) -> Any:
    if x.ndim > 1:
        return np.array([_folded(of, row) for row in x], dtype=object)
    best = x[0]
    for value in x[1:]:
        best = of(best, value)
    return best


def _spectral_norm(symmetric: Any) -> Any:
    """Bound the norm of a symmetric matrix by that of its 16th power, whose entries' squares are summed."""
    power = arb_mat(symmetric.tolist())
    for _ in range(4):
        power = power * power
    # the root of a ball around zero would be no number
    return sum((x * x for x in power.entries()), arb(0)).upper().root(32)


@dataclass(frozen=True)
class SlackEnclosure:
    """Enclosure of a slack: its ends, rounded outward, and whether it meets the claim (None if undecided)."""

    low: str
    high: str
    met: bool | None

    @classmethod
    def of(cls, slack: Any, met: bool | None) -> SlackEnclosure:
        """Enclose a ball."""
        return cls(_decimal(slack.lower(), ROUND_FLOOR), _decimal(slack.upper(), ROUND_CEILING), met)


def _decimal(x: Any, rounding: str) -> str:
    """Return the end of a ball as a decimal of 18 digits, rounded outward."""
    if not x.is_finite():
        return str(float(x))
    if x < 0:
        other = ROUND_CEILING if rounding == ROUND_FLOOR else ROUND_FLOOR
        size = _decimal(-x, other)
        return "0" if size == "0" else f"-{size}"
    up = rounding == ROUND_CEILING
    # of exponents too long to print the order is said
    if x > arb(_HUGE):
        return "inf" if up else _HUGE
    if 0 < x < arb(_TINY):
        return _TINY if up else "0"
    nearest = x.str(25, radius=False)
    if (arb(nearest) - x).is_zero():
        return nearest
    context = Context(prec=18, rounding=rounding, Emin=-(10**15), Emax=10**15)
    value = context.plus(Decimal(nearest))
    # the nearest of 25 digits may lie on the wrong side by less than a unit of the 18th
    return str(value.next_plus(context) if up else value.next_minus(context))


@dataclass(frozen=True)
class Decision:
    """What ball arithmetic says about one instance, at the precision that was needed or the highest tried.

    A hypothesis is met if its slack is above 0, the conclusion if its slack is at least 0.
    """

    hypotheses: tuple[SlackEnclosure, ...]
    conclusion: SlackEnclosure
    bits: int

    @property
    def falsifies(self) -> bool:
        """Whether all hypotheses are decided true and the conclusion is decided false."""
        return all(h.met is True for h in self.hypotheses) and self.conclusion.met is False

    @property
    def settled(self) -> bool:
        """Whether a higher precision cannot change the decision."""
        if any(h.met is False for h in self.hypotheses):
            return True
        return self.conclusion.met is not None and all(h.met is not None for h in self.hypotheses)


def exact(values: Values) -> dict[str, Any]:
    """Return numbers (floats, integers, strings of decimals or fractions, nested lists of them) as fractions.

    Raises
    ------
    ValueError
        If β is not above 0, or n or R below 0.
    """

    def fraction(x: Any) -> Any:
        return [fraction(y) for y in x] if isinstance(x, list | tuple) else Fraction(x)

    numbers = {name: fraction(value) for name, value in values.items()}
    for name, least in (("beta", "above 0"), ("noop", "at least 0"), ("ball", "at least 0")):
        value = numbers.get(name, 1)
        if value < 0 or (name == "beta" and value == 0):
            raise ValueError(f"{name} is {values[name]}: it must be {least}")
    return numbers


def decide(part: Implication, values: Values, most_bits: int = _MOST_BITS) -> Decision:
    """Decide hypotheses and conclusion of a part of a statement at one instance, or give up at the highest precision.

    Values are given for the variables that the part uses: numbers, and nested lists for vectors (d) and matrices
    (M, d). Floats are exact binary fractions; strings may be decimals or fractions.

    Raises
    ------
    ValueError
        If β is not above 0, or n or R below 0.

    Examples
    --------
    >>> from hopfield_theory.statements.registry import STATEMENTS
    >>> claim = STATEMENTS["P1"].parts[0]
    >>> decide(claim, {"patterns": [[1]], "beta": 1, "noop": 1, "query": [0]}).falsifies
    True
    """
    numbers = exact(values)
    bits = _LEAST_BITS
    while True:
        with ctx.workprec(bits):
            decision = _at_precision(part, numbers, bits)
        if decision.settled or 2 * bits > most_bits:
            return decision
        bits *= 2


def _at_precision(part: Implication, numbers: Values, bits: int) -> Decision:
    instance = Instance(**{name: _balls(numbers.get(name)) for name in VARIABLES}, xp=BallArithmetic())
    try:
        slacks, conclusion = part.hypotheses(instance), part.conclusion(instance)
    except UndecidedError:
        unknown = SlackEnclosure("-inf", "inf", None)
        return Decision((unknown,), unknown, bits)
    hypotheses = tuple(SlackEnclosure.of(s, True if s > 0 else False if s <= 0 else None) for s in slacks)
    return Decision(
        hypotheses,
        SlackEnclosure.of(conclusion, True if conclusion >= 0 else False if conclusion < 0 else None),
        bits,
    )


def _balls(value: Any) -> Any:
    if isinstance(value, list):
        return np.array([_balls(x) for x in value], dtype=object)
    return None if value is None else arb(fmpq(value.numerator, value.denominator))
