"""T22 and T23: heads with nothing to do, which need a sink or the slot, and key biases, which act as n does."""

from __future__ import annotations

from functools import partial
from typing import Any

from hopfield_theory.statements import derivations
from hopfield_theory.statements.dynamics import Dynamics
from hopfield_theory.statements.statement import TWO, Implication, Instance, Statement, has_direction

__all__ = ["STATEMENTS", "components", "has_one_side"]

_TASK = "trigger-conditional averaging, the task of Ran-Milo 2026, arXiv:2603.11487"
_BUILT = ("patterns", "noop", "ball")
_TRIGGERED = (*TWO, "outliers")


def components(i: Instance, direction: Any) -> tuple[Any, Any]:
    """Return ``a``, the least component of the patterns but the first along a direction, and ``−b``, the first's."""
    along = i.patterns @ direction / i.xp.norm(direction)
    return i.xp.min(along[1:]), along[0]


def has_one_side(i: Instance) -> list[Any]:
    """Return the slacks of ``v ≠ 0`` and of ``a > 0``."""
    return [*has_direction(i), components(i, i.other)[0] / i.dynamics.length()]


def _missing(i: Instance, direction: Any, slot: float = 1.0, first: float = 1.0, value: float = 1.0) -> Any:
    """Return ``a − p₀ a − p_1(a + b)``."""
    d, x = i.dynamics, i.query
    least, of_first = components(i, direction)
    return least * (1 - slot * d.noop_weight(x) - first * d.weights(x)[0]) + value * of_first * d.weights(x)[0]


def _somewhere(i: Instance, **variant: float) -> Any:
    d = i.dynamics
    return (i.xp.norm(d.update(i.query)) - _missing(i, i.other, **variant)) / d.length()


def _triggered(i: Instance) -> list[Any]:
    """Return the slacks of ``v ≠ 0``, ``a > 0`` and ``⟨T(y), v⟩ > 0``, for the first no-op pattern as direction."""
    d, v = i.dynamics, i.outliers[0]
    return [i.xp.norm(v), components(i, v)[0] / d.length(), d.update(i.other) @ v / (d.length() * i.xp.norm(v))]


def _by_both_answers(i: Instance, largest: bool = True, **variant: float) -> Any:
    d, v = i.dynamics, i.outliers[0]
    answer = d.update(i.other) @ v / i.xp.norm(v)
    bound = i.xp.max(i.patterns @ v) / i.xp.norm(v) if largest else components(i, v)[0]
    return (bound * i.xp.norm(d.update(i.query)) - answer * _missing(i, v, **variant)) / d.square()


class _Built:
    """The head of T22 on a sequence: a first token, the patterns as contents, and a trigger that sees all of them.

    A token is its content and three flags: first, ordinary, trigger. Values read the content, queries and keys the
    flags: ``scores[k][l]`` is that of a key of kind l for a query of kind k.
    """

    def __init__(self, i: Instance, mass: bool = True, tokens: bool = True, on: float = 1.0) -> None:
        xp = self.xp = i.xp
        count = len(i.patterns)
        nothing = 0 * i.patterns[:1]
        self.contents = xp.rows(xp.rows(nothing, i.patterns), nothing)
        kinds = [0, *[1] * count, 2]
        self._flags = xp.stack([xp.stack([xp.number(float(kind == k)) for k in range(3)]) for kind in kinds])
        self.radius = xp.max(xp.norm(i.patterns))
        rest = xp.log(i.noop) if mass else 0
        ratio = xp.log(self.radius) - xp.log(i.ball)
        low = rest - ratio - (xp.log(xp.number(float(len(kinds)))) if tokens else 0)
        high = rest + ratio + xp.log(xp.number(on))
        scores = xp.stack([xp.stack([low, low, low]), xp.stack([low, low, low]), xp.stack([low, high, low])])
        self._model = Dynamics(self._flags @ scores.T, xp.number(1.0), i.noop, xp)

    def answer(self, place: int) -> Any:
        """Return what the head gives the token at a place."""
        return self._model.weights(self._flags[place]) @ self.contents

    def slot(self, place: int) -> Any:
        """Return the weight of the slot for the token at a place."""
        return self._model.noop_weight(self._flags[place])


def _can_be_built(i: Instance) -> list[Any]:
    """Return the slacks of ``n > 0`` and ``0 < R < m``."""
    radius = i.xp.max(i.xp.norm(i.patterns))
    return [i.noop, i.ball / (radius + i.ball), (radius - i.ball) / (radius + i.ball)]


def _idle(i: Instance, share: float = 1.0, **variant: Any) -> Any:
    built = _Built(i, **variant)
    # the last of the contents, as if it also saw the trigger
    return (share * i.ball - i.xp.norm(built.answer(-2))) / (built.radius + i.ball)


def _rejected(i: Instance) -> Any:
    built = _Built(i)
    return -i.xp.abs(built.slot(-2) - built.radius / (built.radius + i.ball))


def _averaged(i: Instance, first: bool = False, **variant: Any) -> Any:
    built = _Built(i, **variant)
    mean = i.patterns.T.sum(-1) / (len(i.patterns) + first)
    return (i.ball - i.xp.norm(built.answer(-1) - mean)) / (built.radius + i.ball)


def _biased(i: Instance, sign: float = -1.0, scaled: bool = True) -> Any:
    """Return minus the change of the weights by a key bias, less that by ``n e^{−β⟨b, x⟩}`` in place of n."""
    xp, d, x = i.xp, i.dynamics, i.query
    shift = i.other @ x * (i.beta if scaled else 1)
    keys = d.scores(x) + i.beta * (i.other @ x)
    biased = xp.exp(keys - xp.log_sum_exp(keys, i.noop))
    scores = d.scores(x)
    whole = xp.log_sum_exp(xp.rows(scores, xp.stack([xp.log(i.noop) + sign * shift])), 0 * i.noop)
    return -xp.max(xp.abs(biased - xp.exp(scores - whole)))


STATEMENTS = (
    Statement(
        name="T22",
        title="An idle head needs a sink or the slot",
        claim=(
            "Let the patterns be the values of a head, and on a unit vector v let all but the first have components "
            "of at least a > 0, the first −b. Then p_0 a + p_1(a + b) ≥ a − ‖T_n(x)‖: where the answer is near 0, the"
            " weight is on the slot or on the first token. For a trigger y with ⟨T_n(y), v⟩ > 0, and A the largest "
            "component, A‖T_n(x)‖ ≥ ⟨T_n(y), v⟩(a − p_0 a − p_1(a + b)). Conversely, for n > 0 and 0 < R < m one head"
            " on T tokens gives idle ones an answer within R of 0 and the slot the weight p_0 ≥ m/(m + R), and a "
            "trigger an answer within R of the mean of the contents: a trigger's scores of contents are log(nm/R), "
            "all others log(nR/(mT))."
        ),
        formula=r"p_0a+p_1(a+b)\ge a-\|T_n(x)\|",
        source=f"derived for this project; {_TASK}",
        proof="proved here",
        why=(
            "⟨T_n(x), v⟩ ≥ a(1 − p_0 − p_1) − b p_1, and ⟨T_n(y), v⟩ ≤ A. In the head an idle token sees the mass S = "
            "nR/m, a trigger at least nm/R of contents and at most n(1 + R/m) of all else, with the slot."
        ),
        proved_in="docs/retrieval-proofs.md#t22-a-head-with-nothing-to-do",
        parts=(
            Implication("slot or sink", _somewhere, has_one_side, uses=TWO, min_patterns=2),
            Implication("by both answers", _by_both_answers, _triggered, uses=_TRIGGERED, min_patterns=2),
            Implication("the head, idle", _idle, _can_be_built, uses=_BUILT),
            Implication("the head's slot", _rejected, _can_be_built, uses=_BUILT),
            Implication("the head, at a trigger", _averaged, _can_be_built, uses=_BUILT),
        ),
        near_misses=(
            Implication("p₀ left out", partial(_somewhere, slot=0.0), has_one_side, uses=TWO, min_patterns=2),
            Implication(
                "p_1 a twentieth smaller", partial(_somewhere, first=0.95), has_one_side, uses=TWO, min_patterns=2
            ),
            Implication("b left out", partial(_somewhere, value=0.0), has_one_side, uses=TWO, min_patterns=2),
            Implication(
                "a for A", partial(_by_both_answers, largest=False), _triggered, uses=_TRIGGERED, min_patterns=2
            ),
            Implication("idle, log n left out", partial(_idle, mass=False), _can_be_built, uses=_BUILT),
            Implication("T left out", partial(_idle, tokens=False), _can_be_built, uses=_BUILT),
            Implication("trigger, log n left out", partial(_averaged, mass=False), _can_be_built, uses=_BUILT),
            Implication("m a twentieth smaller", partial(_averaged, on=0.95), _can_be_built, uses=_BUILT),
            Implication("the first token counted", partial(_averaged, first=True), _can_be_built, uses=_BUILT),
        ),
        derivation=derivations.sink,
        experiment="sinks",
        figure="sinks",
    ),
    Statement(
        name="T23",
        title="A key bias is a no-op mass",
        claim=(
            "With a bias b added to all keys the weights are those of the no-op mass n e^{−β⟨b, x⟩} without it: each "
            "query has a mass of its own. For n = 0 the bias cancels."
        ),
        formula=(
            r"\frac{e^{\beta\langle\xi_\mu+b,x\rangle}}{n+\sum_\nu e^{\beta\langle\xi_\nu+b,x\rangle}}="
            r"\frac{e^{\beta\langle\xi_\mu,x\rangle}}{ne^{-\beta\langle b,x\rangle}"
            r"+\sum_\nu e^{\beta\langle\xi_\nu,x\rangle}}"
        ),
        source="derived for this project",
        proof="proved here",
        why="All scores grow by β⟨b, x⟩: divide numerator and denominator by e^{β⟨b, x⟩}.",
        parts=(Implication("weights", _biased, uses=TWO),),
        near_misses=(
            Implication("the other sign", partial(_biased, sign=1.0), uses=TWO),
            Implication("β left out", partial(_biased, scaled=False), uses=TWO),
            Implication("it cancels for every n", partial(_biased, sign=0.0), uses=TWO),
        ),
        derivation=derivations.key_bias,
        experiment="sink_conditions",
        figure="sink_conditions",
    ),
)
