"""Ball arithmetic decides what it can, and says so where it cannot."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from flint import arb, ctx

from hopfield_theory.model.memory import Memory
from hopfield_theory.model.retrieval import retrieve
from hopfield_theory.statements.arithmetic import Floats
from hopfield_theory.statements.dynamics import Dynamics
from hopfield_theory.statements.registry import STATEMENTS
from hopfield_theory.statements.statement import Implication
from hopfield_theory.verification import ball_arithmetic
from hopfield_theory.verification.counterexamples import Counterexample

STRONG = STATEMENTS["P1"].parts[0]
SINGLE = {"patterns": [[1]], "beta": 1, "noop": 1, "query": [0]}


def claim(slack, hypothesis=None):
    return Implication("a claim", slack, (lambda i: [hypothesis(i)]) if hypothesis else lambda _: [])


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "abs", "sum", "max", "min", "norm"])
def test_balls_hold_what_floats_say(name):
    x = torch.tensor([0.5, 2.0, 3.25], dtype=torch.float64)
    balls = np.array([arb(value) for value in x.tolist()], dtype=object)
    of = getattr(ball_arithmetic.BallArithmetic(), name)
    of = np.frompyfunc(of, 1, 1) if name == "sqrt" else of
    expected = np.atleast_1d(getattr(Floats(), name)(x).numpy())
    for ball, value in zip(np.atleast_1d(of(balls)), expected, strict=True):
        assert abs(float(ball) - value) <= 4 * 2**-53 * abs(value)


def test_balls_keep_their_limits():
    balls = ball_arithmetic.BallArithmetic()
    assert balls.exp(balls.log(arb(0))) == 0
    none = np.array([arb(-1000), arb(-2000)], dtype=object)
    assert abs(float(balls.log_sum_exp(none, arb(0))) + 1000) < 1e-9
    either = balls.if_positive(arb(0, 1), arb(1), arb(2))
    assert either.contains(arb(1))
    assert either.contains(arb(2))
    assert balls.sqrt(arb(0, 1e-20)).is_finite()


def test_the_strong_claim_is_false_at_a_single_pattern():
    decision = ball_arithmetic.decide(STRONG, SINGLE)
    assert decision.falsifies
    assert decision.settled
    assert decision.bits == 64
    # dense error 0, the other m p_0 = ½, over the scale √(m² + 1/β) = √2
    assert float(decision.conclusion.low) == pytest.approx(-0.5 / math.sqrt(2), abs=1e-11)


def test_a_hypothesis_that_fails_is_no_counterexample():
    decision = ball_arithmetic.decide(STRONG, {**SINGLE, "noop": 0})
    assert not decision.falsifies
    assert decision.hypotheses[0].met is False


def test_numbers_enter_exactly():
    third = claim(lambda i: i.query[0] * 3 - 1)
    assert ball_arithmetic.decide(third, {**SINGLE, "query": ["1/3"]}).conclusion.met is None
    assert ball_arithmetic.decide(third, {**SINGLE, "query": [1 / 3]}).conclusion.met is False
    assert (
        ball_arithmetic.decide(claim(lambda i: i.query[0] * 10 - 1), {**SINGLE, "query": [0.1]}).conclusion.met is True
    )
    assert (
        ball_arithmetic.decide(claim(lambda i: i.query[0] * 10 - 1), {**SINGLE, "query": ["0.1"]}).conclusion.met
        is None
    )


def test_precision_is_raised_until_the_sign_is_decided():
    tiny = claim(lambda i: (i.xp.exp(i.query[0]) - 1 - i.query[0]) - i.query[0] * i.query[0] / 2)
    decision = ball_arithmetic.decide(tiny, {**SINGLE, "query": [2.0**-200]})
    assert decision.conclusion.met is True
    assert decision.bits > 400
    assert ball_arithmetic.decide(tiny, {**SINGLE, "query": [-(2.0**-200)]}).conclusion.met is False
    assert ball_arithmetic.decide(tiny, {**SINGLE, "query": [2.0**-200]}, 256).conclusion.met is None


def test_an_identity_is_never_decided_true_and_a_broken_one_is_decided_false():
    gate = STATEMENTS["T8"].parts[0]
    values = {"patterns": [[1, 2], [0.5, -1]], "beta": 2, "noop": 3, "query": [0.3, 0.1]}
    decision = ball_arithmetic.decide(gate, values, 256)
    assert decision.conclusion.met is None
    assert abs(float(decision.conclusion.low)) < 1e-70
    broken = dataclasses.replace(gate, conclusion=lambda i: gate.conclusion(i) - 1e-60)
    assert ball_arithmetic.decide(broken, values, 256).falsifies


def test_a_limit_is_enclosed_and_a_saddle_is_not():
    patterns = np.array([[arb(1), arb(0)], [arb(0), arb(1)]], dtype=object)
    balls = ball_arithmetic.BallArithmetic()
    from hopfield_theory.statements.dynamics import Dynamics

    with ctx.workprec(128):
        dynamics = Dynamics(patterns, arb(8), arb(1), balls)
        limit = dynamics.fixed_point(patterns[0])
        again = dynamics.update(limit)
        assert all(a.overlaps(b) for a, b in zip(limit, again, strict=True))
        assert max(float(x.rad()) for x in limit) < 1e-15
        # a repelling point would be a fixed point too, but no limit
        saddle = Dynamics(np.array([[arb(1)], [arb(-1)]], dtype=object), arb(8), arb(0), balls)
        with pytest.raises(ball_arithmetic.UndecidedError):
            saddle.fixed_point(np.array([arb(0)], dtype=object))


def test_a_counterexample_is_shrunk_and_stays_one():
    torch.manual_seed(0)
    values = {
        "patterns": torch.randn(5, 3, dtype=torch.float64).tolist(),
        "beta": 3.7,
        "noop": 0.83,
        "query": torch.randn(3, dtype=torch.float64).tolist(),
    }
    assert ball_arithmetic.decide(STRONG, values).falsifies
    found = Counterexample.shrunk(STATEMENTS["P1"], STRONG, values)
    assert found.values == {"patterns": [["1"]], "beta": "1", "noop": "1", "query": ["0"]}
    assert found.decision == ball_arithmetic.decide(STRONG, found.values)
    assert found.data()["decision"]["conclusion"]["met"] is False
    with pytest.raises(ValueError, match="no counterexample"):
        Counterexample.shrunk(STATEMENTS["P1"], STRONG, {**SINGLE, "noop": 0})


# --- what must never be called false ---


def test_an_undecided_hypothesis_is_not_a_met_one():
    astride = claim(lambda i: -i.beta, lambda i: i.query[0] * 3 - 1)
    decision = ball_arithmetic.decide(astride, {**SINGLE, "query": ["1/3"]}, 128)
    assert decision.hypotheses[0].met is None
    assert decision.conclusion.met is False
    assert not decision.falsifies


def test_nothing_is_refined_once_a_hypothesis_is_false():
    hopeless = claim(lambda i: i.query[0] * 3 - 1, lambda i: -i.beta)
    assert ball_arithmetic.decide(hopeless, {**SINGLE, "query": ["1/3"]}).bits == 64


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [("beta", -1, "above 0"), ("beta", "0", "above 0"), ("noop", "-0.5", "at least 0"), ("ball", -1, "at least 0")],
)
def test_numbers_outside_the_domain_are_refused(name, value, least):
    with pytest.raises(ValueError, match=f"{name} is {value}: it must be {least}"):
        ball_arithmetic.decide(STRONG, {**SINGLE, name: value})


def test_shrinking_stays_in_the_domain():
    statement = dataclasses.replace(STATEMENTS["P1"], parts=(claim(lambda i: i.query[0] - 1),))
    found = Counterexample.shrunk(statement, statement.parts[0], {**SINGLE, "beta": 0.3})
    assert float(found.values["beta"]) > 0
    assert found.values["query"] == ["0"]


def test_a_counterexample_that_only_a_binary_fraction_is_stays_one():
    """0.1 as a float is no decimal 0.1, where this claim is astride of zero for ever."""
    part = claim(lambda i: -i.xp.abs(10 * i.query[0] - 1), lambda i: i.xp.number(1e-10) - i.xp.abs(10 * i.query[0] - 1))
    found = Counterexample.shrunk(STATEMENTS["P1"], part, {**SINGLE, "query": [0.1]})
    assert found.decision.falsifies
    assert ball_arithmetic.decide(part, found.values).falsifies


def test_ends_of_an_enclosure_are_rounded_outward():
    third = ball_arithmetic.decide(claim(lambda i: i.query[0]), {**SINGLE, "query": ["1/3"]}).conclusion
    assert Fraction(third.low) < Fraction(1, 3) < Fraction(third.high)
    minus = ball_arithmetic.decide(claim(lambda i: -i.query[0]), {**SINGLE, "query": ["1/3"]}).conclusion
    assert Fraction(minus.low) < -Fraction(1, 3) < Fraction(minus.high)


def test_ends_beyond_all_exponents_are_still_ends():
    """An attack found a slack of order exp(exp(45)): its ends cannot be printed, and must not end the check."""
    for exponent in ("1e13", "-1e13", "1e30", "-1e30"):
        size = ball_arithmetic.decide(claim(lambda i: i.xp.exp(i.query[0])), {**SINGLE, "query": [exponent]}, 64)
        low, high = float(size.conclusion.low), float(size.conclusion.high)
        assert low <= (0.0 if exponent.startswith("-") else math.inf)
        assert high >= 0.0 if exponent.startswith("-") else high == math.inf
        minus = ball_arithmetic.decide(claim(lambda i: -i.xp.exp(i.query[0])), {**SINGLE, "query": [exponent]}, 64)
        assert float(minus.conclusion.low) == -high
    assert (
        ball_arithmetic.decide(claim(lambda i: i.xp.exp(i.query[0])), {**SINGLE, "query": ["1e13"]}).conclusion.met
        is True
    )


# --- limits ---


def test_a_fixed_point_that_attracts_at_once_is_enclosed():
    """With one pattern and no slot the Jacobian is zero, and its enclosure a ball around zero."""
    alone = Dynamics(np.array([[arb(1)]], dtype=object), arb(1), arb(0), ball_arithmetic.BallArithmetic())
    assert alone.fixed_point(np.array([arb(3)], dtype=object))[0].contains(1)


def linear(rate, shift=0.0):
    """An update in one dimension, and its Jacobian."""
    return (
        lambda x: np.array([rate * x[0] + shift], dtype=object),
        lambda x: np.array([[arb(rate) + 0 * x[0]]], dtype=object),
    )


def test_limits_of_linear_updates():
    balls = ball_arithmetic.BallArithmetic()
    start = np.array([arb(1)], dtype=object)
    with ctx.workprec(128):
        assert abs(float(balls.fixed_point(*linear(0.5, 1.0), start)[0]) - 2) < 1e-15
        for rate in (1.5, -1.5, 1.0):
            with pytest.raises(ball_arithmetic.UndecidedError):
                balls.fixed_point(*linear(rate, 1.0), start)


def test_a_jacobian_below_one_at_the_centre_alone_proves_nothing():
    def jacobian(x):
        # at the fixed point 0 it is ½, and at every other state 2
        return np.array([[arb(0.5) if x[0] == 0 else arb(2)]], dtype=object)

    with ctx.workprec(128), pytest.raises(ball_arithmetic.UndecidedError):
        ball_arithmetic.BallArithmetic().fixed_point(
            lambda x: x / 2 + arb(2) ** -70, jacobian, np.array([arb(1)], dtype=object)
        )


def test_a_spectral_norm_is_bounded_from_above_and_not_by_much():
    for matrix, norm in (([[3, 0], [0, 1]], 3.0), ([[2, 1], [1, 2]], 3.0), ([[0.5]], 0.5)):
        bound = float(ball_arithmetic._spectral_norm(np.array([[arb(x) for x in row] for row in matrix], dtype=object)))
        assert norm <= bound * (1 + 1e-15)
        assert bound <= norm * 2 ** (1 / 32)


BOTTLENECK = {
    "patterns": [
        [-0.07885876663711677, -0.9968857983362351],
        [-0.8740350261435141, 0.48586291592825476],
        [0.9683671613464576, -0.2495296391729924],
        [0.5003274179124348, -0.8658362864220208],
    ],
    "beta": 11.06086149854374,
    "noop": 0,
}


def test_newton_s_method_does_not_leap_to_another_limit():
    """Here an orbit lingers for hundreds of updates, and Newton steps from its 40th state end elsewhere."""
    from hopfield_theory.statements.dynamics import Dynamics

    memory = Memory(torch.tensor(BOTTLENECK["patterns"], dtype=torch.float64), BOTTLENECK["beta"], 0.0)
    own = retrieve(memory, memory.patterns[0], 1e-13, 100_000).state
    numbers = [torch.tensor(x, dtype=torch.float64) for x in (BOTTLENECK["patterns"], BOTTLENECK["beta"], 0.0)]
    floats = Dynamics(*numbers, Floats()).fixed_point(memory.patterns[0])
    assert floats.isnan().all() or torch.allclose(floats, own, atol=1e-9)
    elsewhere = claim(lambda i: 1e-3 - i.xp.norm(i.dynamics.fixed_point(i.patterns[0]) - i.query))
    assert not ball_arithmetic.decide(elsewhere, {**BOTTLENECK, "query": own.tolist()}, 256).falsifies


@pytest.mark.parametrize(
    ("rows", "largest"),
    [
        ([[3, 0], [0, 4]], arb(4)),
        ([[1, 1], [1, 1]], arb(2)),
        ([[2, 1, 0], [1, 2, 1], [0, 1, 2]], arb(2) + arb(2).sqrt()),
        ([[0, 0], [0, 0]], arb(0)),
    ],
)
def test_the_largest_eigenvalue_is_enclosed(rows, largest):
    matrix = np.array([[arb(x) for x in row] for row in rows], dtype=object)
    with ctx.workprec(64):
        ball = ball_arithmetic.BallArithmetic().largest_eigenvalue(matrix)
        assert ball.lower() <= largest.mid() <= ball.upper()
        assert ball.rad() <= arb(1e-8)
