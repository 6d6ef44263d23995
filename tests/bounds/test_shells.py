"""C10's shells: what a pair does to a state, what the limits of a case imply, and planted mistakes."""

import dataclasses
import itertools
import math
from functools import cache

import numpy as np
import pytest
from flint import arb, ctx

from hopfield_theory.bounds import RandomMemory, _directional_proof, _quadrature, _shell_search, directional, sphere
from hopfield_theory.bounds._directional_search import plain_witness
from hopfield_theory.bounds._neighbour import Neighbour, Pull
from hopfield_theory.verification import _neighbour_balls, capacity_enclosures
from hopfield_theory.verification.capacity_enclosures import directional_enclosure

MEMORY = RandomMemory(8, 40.0)
SIZE, LEVEL = 12, 2.0
LOW, HIGH, CAP = 3.0 / 40, 3.1 / 40, 8.0 / 40
TURN = _shell_search.pair_turn(40.0, LOW)


@cache
def shell():
    case = _shell_search.ShellChain(MEMORY, 0.14, CAP, math.log(SIZE), LEVEL, LOW, HIGH, TURN).built()
    assert case is not None
    return case


def across(u):
    return np.sqrt(u * (2 - u))


# --- what the pair does ---


def pair(dim, u, turn):
    """Return the two patterns, the axis being the first coordinate and the second pointing to the neighbour."""
    angle = math.acos(1 - u)
    return np.array([[math.cos(x), math.sin(x), *[0.0] * (dim - 2)] for x in (-turn, angle - turn)])


def unit(rng, shape):
    x = rng.normal(size=shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("where", ["ball", "cylinder"])
def test_bounds_on_the_pair_hold_for_every_height_and_state(where, seed):
    """Weights, mean and variance of the pair are what they are; an end of the set in the plane nearly attains each."""
    rng, dim, count = np.random.default_rng(seed), 5, 300
    kappa = rng.uniform(5.0, 200.0)
    low = min(rng.uniform(2.0, 6.0) / kappa, 0.7)
    high = low * rng.uniform(1.0001, 1.1)
    turn = rng.uniform(0.0, 0.5) * math.acos(1 - low)
    neighbour = Neighbour(kappa, low, high, turn)
    assert neighbour.between
    ball, target, width = rng.uniform(0.1, 0.5) * math.sqrt(2 * low), rng.uniform(0, 0.1), rng.uniform(0, 3) / kappa
    bound = neighbour.in_ball(ball) if where == "ball" else neighbour.in_cylinder(target, width)
    met = np.zeros(4)
    for u in (low, high, rng.uniform(low, high)):
        patterns = pair(dim, u, turn)
        towards = patterns[1] - patterns[0]
        if where == "ball":
            ends = unit(rng, (count, dim))
            ends[:2] = np.outer((1, -1), towards / np.linalg.norm(towards))
            ends[2] = np.eye(dim)[0] - patterns[0] + 1e-9
            states = patterns[0] + ball * ends / np.linalg.norm(ends, axis=1, keepdims=True)
        else:
            v = unit(rng, (count, dim - 1))
            v[:4] = np.outer((1, -1, 1, -1), np.eye(dim - 1)[0])
            a = rng.choice([0.0, target], size=count)
            a[:4] = [0, 0, target, target]
            states = np.column_stack([1 - a, width * v])
        logits = kappa * states @ patterns.T
        total = np.logaddexp(*logits.T)
        p = np.exp(logits - total[:, None])
        mean = p @ patterns
        variance = p.prod(axis=1) * 2 * u
        seen = (
            np.exp(kappa * states[:, 0] - total).max(),
            (1 - mean[:, 0]).max(),
            np.linalg.norm(mean[:, 1:], axis=1).max(),
            variance.max(),
        )
        met = np.maximum(met, seen)
    bounds = np.array(dataclasses.astuple(bound))
    assert (met <= bounds * (1 + 1e-9)).all()
    assert (met >= 0.4 * bounds).all()
    with ctx.workprec(128):
        balls = _neighbour_balls.Neighbour(kappa, low, high, turn)
        enclosed = balls.in_ball(arb(ball)) if where == "ball" else balls.in_cylinder(arb(target), arb(width))
        numbers = [float(x.mid()) for x in (enclosed.gain, enclosed.along, enclosed.across, enclosed.spread)]
        assert numbers == pytest.approx(bounds, rel=1e-9)
        assert float(balls.within.mid()) == pytest.approx(neighbour.within, rel=1e-9)


def test_an_axis_beyond_the_middle_is_not_between():
    angle = math.acos(1 - LOW)
    for turn, there in ((0.4999, True), (0.5001, False), (-0.01, False), (1.2, False)):
        assert Neighbour(40.0, LOW, HIGH, turn * angle).between is there, turn
    assert not Neighbour(40.0, LOW, LOW, 0.0).between


def test_points_within_are_nearer_to_the_pattern_than_the_neighbour():
    rng, patterns = np.random.default_rng(0), pair(4, LOW, TURN)
    within, most = Neighbour(40.0, LOW, HIGH, TURN).within, 0.0
    for point in [[0.0, 1.0, 0.0], *unit(rng, (200, 3))]:
        x = np.array([1 - within, *(across(within) * np.array(point))])
        most = max(most, np.linalg.norm(x - patterns[0]))
    assert 0.99 * math.sqrt(2 * LOW) < most < math.sqrt(2 * LOW)


def test_without_a_neighbour_the_axis_is_the_pattern():
    nobody = Neighbour(40.0, math.inf, math.inf, 0.0)
    assert nobody.shift == 0.0
    assert nobody.in_ball(0.1) == nobody.in_cylinder(0.1, 0.2) == Pull(1.0, 0.0, 0.0, 0.0)


# --- what the limits imply ---


def within(case, heights, directions):
    """Whether all sums of a case, written anew, are within their limits."""
    kappa, t = MEMORY.kappa, across(heights)

    def h(a):
        return np.exp(-kappa * heights * (1 - a))

    def top(k):
        return np.linalg.eigvalsh((directions * k[:, None]).T @ directions)[-1]

    def cell(piece, c):
        s = kappa * piece.across * t
        k = c * h(piece.high)
        sums = (k.sum(), np.linalg.norm((k * t) @ directions), top(k * t**2 * (np.expm1(s) - s) / s**2))
        return all(x <= g for x, g in zip(sums, piece.limits, strict=True))

    def side(piece):
        s = kappa * piece.across * t
        k, change = h(piece.high) * t, h(piece.high) - h(piece.low)
        growth = h(piece.high) * t**2 * np.expm1(s) / s
        sums = (np.linalg.norm(k @ directions), change.sum(), top(change * t**2), top(growth))
        return all(x <= g for x, g in zip(sums, piece.limits, strict=True))

    last = case.contraction
    stretch = kappa * h(last.high) * np.exp(kappa * last.across * t) * t**2
    return (
        all(cell(c, np.maximum(heights - stage.target, 0)) for stage in case.stages for c in stage.cells)
        and all(side(s) for stage in case.stages for s in stage.sides)
        and cell(last, np.maximum(kappa * (heights - last.high) ** 2 - 1, 0))
        and top(stretch) <= case.stretch
    )


def states_of(rng, case, stage, pattern, count=60):
    """Return states of the set in which a stage begins, the axis being the first coordinate."""
    if stage == 0:
        ends = unit(rng, (count, MEMORY.dim))
        ends[: count // 3, 1] += 5.0
        return pattern + case.ball * ends / np.linalg.norm(ends, axis=1, keepdims=True)
    before = case.stages[stage - 1]
    v = unit(rng, (count, MEMORY.dim - 1))
    v[: count // 2, 0] *= 5.0
    v *= before.width / np.linalg.norm(v, axis=1, keepdims=True)
    return np.column_stack([1 - rng.choice([0.0, before.target], size=count), v])


def test_memories_within_the_limits_store_their_pattern_beside_a_neighbour():
    rng, case, kappa = np.random.default_rng(1), shell(), MEMORY.kappa
    met, tight = 0, 0.0
    for _ in range(60):
        patterns = np.concatenate([pair(MEMORY.dim, rng.uniform(LOW, HIGH), TURN), unit(rng, (SIZE, MEMORY.dim))])
        heights = 1 - patterns[2:, 0]
        directions = patterns[2:, 1:] / np.linalg.norm(patterns[2:, 1:], axis=1, keepdims=True)
        if heights.min() < CAP or not within(case, heights, directions):
            continue
        met += 1
        for index, stage in enumerate((*case.stages, None)):
            states = states_of(rng, case, index, patterns[0])
            weights = np.exp(kappa * (states @ patterns.T - 1))
            weights /= math.exp(MEMORY.log_noop - kappa) + weights.sum(axis=1, keepdims=True)
            if stage is None:
                assert np.linalg.norm(states - patterns[0], axis=1).max() < case.ball
                for p in weights:
                    centre = p @ patterns
                    spread = (patterns * p[:, None]).T @ patterns - np.outer(centre, centre)
                    assert kappa * np.linalg.eigvalsh(spread)[-1] < 1
                break
            images = weights @ patterns
            aside = np.linalg.norm(images[:, 1:], axis=1)
            assert (1 - images[:, 0]).max() <= stage.target
            assert aside.max() <= stage.width
            tight = max(tight, aside.max() / stage.width)
    assert met > 10
    assert tight > 0.5


# --- the probability ---

ROW, ROW_CAP = RandomMemory(20, 171.0), 5.0 / 171
RIMS = 3.4 / 171, 3.5 / 171


@cache
def of_row():
    """Return the lone case and a shell at 1e11 patterns, and what fills the heights between the shell and the cap."""
    found = [
        _shell_search.ShellChain(ROW, 3.6 / 171, ROW_CAP, math.log(1e11), 4.0, *rims).built()
        for rims in ((), (*RIMS, _shell_search.pair_turn(171.0, RIMS[0])))
    ]
    return (*found, dataclasses.replace(found[1], low=RIMS[1], high=ROW_CAP, stretch=1.0))


def witness(*shells, cap=RIMS[0]):
    """Return a witness whose lone case begins where the shells end."""
    return directional.Witness(0.0, cap, of_row()[0], tuple(shells))


@pytest.mark.parametrize("quantifier", ["all", "typical"])
def test_the_failure_bound_of_shells_written_anew(quantifier):
    lone, near, far = of_row()
    size = 1e11
    # what is so near to the axis is nearer to the pattern than its neighbour
    inner = 0.5 * (math.sqrt(2 * RIMS[0]) - 2 * math.sin(near.turn / 2)) ** 2
    low, high, cap, nearest = (math.exp(x) for x in sphere.log_cap(np.array([*RIMS, ROW_CAP, inner]), ROW.dim))
    tails = [
        sum(math.exp(x) for x in _directional_proof.CaseFailure(ROW, c).tails(math.log(size))) for c in (lone, near)
    ]
    given = size * (cap - nearest) + tails[1]
    assert given < 1.0
    # what is between proves nothing: all of its pairs count as lost
    total = (0.5 if quantifier == "all" else 1.0) * size * low + size * (high - low) * given + size * (cap - high)
    expected = math.log(total + tails[0]) + (math.log(size) if quantifier == "all" else 0.0)
    assert directional.log_failure(ROW, witness(near, far), math.log(size), quantifier) == pytest.approx(
        expected, rel=1e-9
    )
    enclosed = directional_enclosure(ROW, witness(near, far), math.log(size), 0.5, quantifier)
    assert enclosed.low == pytest.approx(expected, abs=1e-9)
    assert enclosed.high - enclosed.low < 1e-9


def changed(index, **changes):
    stages = list(shell().stages)
    stages[index] = dataclasses.replace(stages[index], **changes)
    return dataclasses.replace(shell(), stages=tuple(stages))


def mistakes():
    case = shell()
    first, last = case.stages[0], case.stages[-1]
    yield "a shell too near", dataclasses.replace(case, low=0.9 * LOW)
    yield "a shell too near for its ball", dataclasses.replace(case, low=1.99 * case.ball**2)
    yield "a ball above half the distance", dataclasses.replace(case, ball=0.501 * math.sqrt(2 * LOW))
    yield "an axis at the pattern", dataclasses.replace(case, turn=0.0)
    yield "an axis turned away", dataclasses.replace(case, turn=-case.turn)
    yield "an axis beyond the middle", dataclasses.replace(case, turn=0.51 * math.acos(1 - LOW))
    yield "a turn without a neighbour", dataclasses.replace(case, low=math.inf, high=math.inf)
    yield "a ball that the cells do not cover", dataclasses.replace(case, ball=case.ball * (1 + 1e-9))
    yield "a width without the neighbour's pull", changed(0, width=0.999 * first.width)
    yield "a target without the neighbour", changed(0, target=0.99 * first.target)
    yield "the last width too large for the ball", changed(-1, width=case.ball - 0.99 * case.turn)
    yield "no stretch left", dataclasses.replace(case, stretch=1.0)
    yield (
        "a contraction that is thinner",
        dataclasses.replace(case, contraction=dataclasses.replace(case.contraction, across=0.99 * last.width)),
    )
    yield "a wide shell", dataclasses.replace(case, high=1.3 * LOW)
    yield "the shell turned over", dataclasses.replace(case, low=HIGH, high=LOW)


@pytest.mark.parametrize("index", range(15))
def test_a_shell_that_implies_nothing_proves_nothing(index):
    name, case = list(mistakes())[index]
    assert _directional_proof.sound(MEMORY, shell())
    assert not _directional_proof.sound(MEMORY, case), name
    with ctx.workprec(128):
        assert capacity_enclosures._stored_within_limits(MEMORY, shell()) is True
        assert capacity_enclosures._stored_within_limits(MEMORY, case) is False, name


def test_every_mistake_is_tried():
    assert len(list(mistakes())) == 15


def test_shells_with_a_gap_prove_nothing():
    _, near, far = of_row()
    good = witness(near, far)
    assert directional.log_failure(ROW, good, 0.0, "typical") < 0.0
    for bad in (
        witness(near),
        witness(near, far, cap=0.99 * RIMS[0]),
        witness(far, near),
        dataclasses.replace(good, lone=near),
    ):
        assert directional.log_failure(ROW, bad, 0.0, "typical") >= 0.0
        assert directional_enclosure(ROW, bad, 1e-9, 0.5, "typical").decided is False


def test_the_third_pattern_is_counted():
    _, near, _ = of_row()
    inner = 0.5 * (math.sqrt(2 * RIMS[0]) - 2 * math.sin(near.turn / 2)) ** 2
    for cap in (ROW_CAP, 1.2 * ROW_CAP):
        third = 1e10 * np.diff(np.exp(sphere.log_cap(np.array([inner, cap]), ROW.dim)))[0]
        tails = _directional_proof.CaseFailure(ROW, dataclasses.replace(near, crowd_cap=cap))
        expected = third + np.exp(tails.tails(math.log(1e10))).sum()
        assert math.exp(tails.given(math.log(1e10))) == pytest.approx(expected, rel=1e-9)
        assert third > 1e-3


@pytest.mark.slow
def test_shells_prove_more_than_one_cap():
    memory = RandomMemory.of(20, 1.0, 3.0)
    found = directional.directional_witness(memory, 1e-3, "typical")
    plain = plain_witness(memory, math.log(1e-3), "typical")
    assert plain is not None
    assert 4.8e11 < math.exp(found.log_patterns) < 5.1e11
    assert found.log_patterns > plain.log_patterns + 0.5
    assert found.shells
    assert [a.high == b.low for a, b in itertools.pairwise(found.shells)] == [True] * (len(found.shells) - 1)
    # two of the shells, as all are enclosed at great expense
    two = dataclasses.replace(found, shells=found.shells[-2:], cap=found.shells[-2].low)
    failure = _directional_proof.Failure(memory, two, "typical")
    most = _quadrature.largest(lambda x: failure(x) <= math.log(1e-3), 0.0, found.log_patterns)
    assert directional_enclosure(memory, two, most - 1e-8, 1e-3, "typical").decided is True
