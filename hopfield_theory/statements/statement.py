"""Statements: parts with hypotheses and a conclusion that can be evaluated, a source and a proof status."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hopfield_theory.statements.arithmetic import Arithmetic
from hopfield_theory.statements.dynamics import Dynamics
from hopfield_theory.statistics import Interval

if TYPE_CHECKING:
    import sympy

__all__ = ["SAID_AS", "Calculation", "Experiment", "Implication", "Instance", "Kind", "Statement", "Trend"]

VARIABLES = ("patterns", "beta", "noop", "query", "other", "ball", "outliers")
"""All variables of statements; below, common subsets."""
NO_STATE = ("patterns", "beta", "noop")
MOVED = (*NO_STATE, "other")
ONE = (*NO_STATE, "query")
TWO = (*ONE, "other")
OUT = (*ONE, "outliers")
NO_STATE_IN_BALL = (*NO_STATE, "ball")
MOVED_IN_BALL = (*MOVED, "ball")
IN_BALL = (*ONE, "ball")
TWO_IN_BALL = (*TWO, "ball")


SAID_AS = ("printed theorem", "sentence", "recalled wording", "reading", "folklore")
"""What a claim of the literature is: a theorem as printed, a sentence of a paper or of its authors' page, a theorem as
it is recalled, not compared with its text, our reading of a sentence, or said of such memories without a source."""


class Kind(enum.StrEnum):
    """What can refute a statement: an instance, only a frequency or a trend, or a calculation."""

    POINTWISE = "pointwise"
    FIXED_POINT = "fixed point"
    PROBABILISTIC = "probabilistic"
    ASYMPTOTIC = "asymptotic"
    ARITHMETIC = "arithmetic"


@dataclass(frozen=True, eq=False)
class Instance:
    """Values of the variables that statements range over, in one arithmetic.

    Patterns (M, d), of which statements are about the first, β above 0, n of at least 0, a state (d,), a second state
    (or a direction), a radius R, and no-op patterns (K, d).
    """

    patterns: Any
    beta: Any
    noop: Any
    query: Any
    other: Any
    ball: Any
    outliers: Any
    xp: Arithmetic

    @functools.cached_property
    def dynamics(self) -> Dynamics:
        """The model of these patterns, β and n."""
        return Dynamics(self.patterns, self.beta, self.noop, self.xp)

    @functools.cached_property
    def dense(self) -> Dynamics:
        """The model without no-op slot."""
        return Dynamics(self.patterns, self.beta, 0 * self.noop, self.xp)


def has_noop(i: Instance) -> list[Any]:
    """Return the slack of ``n > 0``."""
    return [i.noop]


def has_direction(i: Instance) -> list[Any]:
    """Return the slack of ``v ≠ 0``, for a second state that serves as a direction."""
    return [i.xp.norm(i.other)]


@dataclass(frozen=True)
class Implication:
    """One part of a pointwise statement: where all hypotheses are met, so is the conclusion.

    Slacks are signed and scale-free: a hypothesis is met where its slack is above 0, a conclusion where its slack
    is at least 0. A conclusion that is an identity has the slack ``-|left - right|``.

    Attributes
    ----------
    uses : tuple of str
        The variables that conclusion and hypotheses depend on.
    min_patterns, max_patterns : int, int or None
        Range of M for which the part applies.
    given : str
        Transformation of the variables before evaluation, if any.
    """

    name: str
    conclusion: Callable[[Instance], Any]
    hypotheses: Callable[[Instance], list[Any]] = lambda _: []
    uses: tuple[str, ...] = ONE
    min_patterns: int = 1
    max_patterns: int | None = None
    given: str = ""

    def speaks_of(self, count: int) -> bool:
        """Whether the part applies to ``count`` patterns."""
        return self.min_patterns <= count and (self.max_patterns is None or count <= self.max_patterns)


@dataclass(frozen=True)
class Experiment:
    """One part of a probabilistic statement: an event of a random memory, and a bound on its probability.

    Attributes
    ----------
    name : str
        The event and the model.
    measure : function of (seed, trials, confidence)
        Number of independent memories in which the event happened; for an event too rare to be counted, an interval for
        its probability, each end of which holds separately with that confidence.
    probability : function of nothing
        The bound on its probability.
    at_least : bool
        Whether the bound is a lower bound.
    trials : tuple of two ints
        Number of memories in a quick and in a full check.
    """

    name: str
    measure: Callable[[int, int, float], int | Interval]
    probability: Callable[[], float]
    at_least: bool
    trials: tuple[int, int]


@dataclass(frozen=True)
class Trend:
    """One part of an asymptotic statement: a slack computed at finite sizes, without sampling."""

    name: str
    slack: Callable[[], float]


@dataclass(frozen=True)
class Calculation:
    """One part of a statement about published numbers: what they give in exact arithmetic, and a claimed lower bound.

    Attributes
    ----------
    name : str
    interval : function of nothing
        The least and the largest value that the rounding of the published numbers allows.
    at_least : Fraction
    """

    name: str
    interval: Callable[[], tuple[Fraction, Fraction]]
    at_least: Fraction


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A theorem or a claim, and everything known about it.

    Attributes
    ----------
    name : str
        T1 to T23, C1 to C11, P1, P2, … for readings of published claims, or a new name for a claim of one's own.
    title, claim, formula : str
        A few words, the claim, and the claim in LaTeX.
    source : str
    proof : str
        ``proved here``, ``proved in SOURCE``, ``heuristic``, ``false``, or ``open``.
    why : str
        The reason why it holds or fails, in a few sentences.
    proved_in : str or None
        Document and heading of the long proof, if there is one.
    kind : Kind
    said_as : str or None
        For a claim of the literature, what it is there: one of ``SAID_AS``.
    parts : tuple of Implication, Experiment, Trend or Calculation
        What is checked. For a false claim, each part is one reading of it, and every reading is false.
    near_misses : tuple of Implication
        False variants, which a check has to reject: a constant changed by 5%, a term or a hypothesis left out, or two
        similar quantities exchanged.
    instead : tuple of str
        Names of the statements that hold in place of a claim that fails or is weak.
    derivation : function of nothing, or None
        Proves it by computer algebra and returns the identities.
    experiment, figure : str or None
        The experiment in ``simulations/`` that measures it, and the figure in ``figures/`` that shows it.
    held_in : tuple of str
        Other experiments that it is held against.
    closed_form : str or None
        The function that evaluates it, by its dotted name in ``hopfield_theory``.

    Examples
    --------
    >>> from hopfield_theory.statements.registry import STATEMENTS
    >>> print(STATEMENTS["T3"])
    T3 Sufficient decrease: E(x) − E(Tx) = ½‖x − Tx‖² + KL(p(x) ‖ p(Tx))/β ≥ ½‖x − Tx‖², the no-op slot counted in KL.
    """

    name: str
    title: str
    claim: str
    formula: str = ""
    source: str = "own claim"
    proof: str = "open"
    why: str = ""
    kind: Kind = Kind.POINTWISE
    parts: tuple[Implication | Experiment | Trend | Calculation, ...]
    proved_in: str | None = None
    near_misses: tuple[Implication, ...] = ()
    instead: tuple[str, ...] = ()
    derivation: Callable[[], sympy.Eq | list[sympy.Eq]] | None = None
    experiment: str | None = None
    held_in: tuple[str, ...] = ()
    figure: str | None = None
    closed_form: str | None = None
    said_as: str | None = None

    @property
    def is_false(self) -> bool:
        """Whether the claim is known to fail, so that a check has to find a counterexample."""
        return self.proof == "false"

    def __str__(self) -> str:
        return f"{self.name} {self.title}: {self.claim}"
