"""C10's shells: the neighbour's terms, the sums beside it, what their limits imply, and planted mistakes."""

import dataclasses
import itertools
import math
from functools import cache

import numpy as np
import pytest
from flint import ctx

from hopfield_theory.bounds import (
    RandomMemory,
    _crowd,
    _directional_proof,
    _shell_search,
    chernoff,
    directional,
    sphere,
)
from hopfield_theory.bounds._directional_search import plain_witness
from hopfield_theory.bounds._neighbour import Neighbour
from hopfield_theory.verification import capacity_enclosures
from hopfield_theory.verification.capacity_enclosures import directional_enclosure

MEMORY = RandomMemory(8, 40.0)
SIZE, LEVEL = 12, 2.0
LOW, HIGH, CAP = 3.0 / 40, 3.1 / 40, 8.0 / 40


@cache
def shell():
    neighbour = Neighbour(MEMORY.kappa, LOW, HIGH)
    case = _shell_search.ShellChain(MEMORY, 0.16, CAP, math.log(SIZE), LEVEL, neighbour).built()
    assert case is not None
    return case


def across(u):
    return np.sqrt(u * (2 - u))


# --- the neighbour's terms ---


@pytest.mark.parametrize("seed", range(5))
def test_the_neighbours_terms_bound_every_height_of_the_shell(seed):
    """Each worst case over a shell is at least the term at all of its heights, and is met at the near rim or nearly."""
    rng = np.random.default_rng(seed)
    kappa = rng.uniform(5.0, 200.0)
    low = rng.uniform(2.0, 6.0) / kappa
    high = low * rng.uniform(1.001, 1.2)
    neighbour, u = Neighbour(kappa, low, high), np.linspace(low, high, 400)
    reach, a, target = rng.uniform(0.0, 0.3) * np.sqrt(2 * low), rng.uniform(0.0, 0.1), rng.uniform(0.0, 0.7) * low
    ball, crowd = rng.uniform(0.1, 0.5) * np.sqrt(2 * low), rng.uniform(0.0, 0.5) * across(low)
    cylinder, ratio = neighbour.in_cylinder(a, reach), np.exp(-kappa * u * (1 - a) + kappa * reach * across(u))
    round_ball, in_ball = neighbour.in_ball(ball), np.exp(-kappa * (u - ball * np.sqrt(2 * u)))
    share = ratio / (1 + ratio)
    for bound, exact in (
        (neighbour.along([cylinder], target), (u - target) * ratio),
        (neighbour.along([round_ball], target), (u - target) * in_ball),
        (neighbour.across([cylinder], crowd), (crowd + ratio * across(u)) / (1 + ratio)),
        (neighbour.share(cylinder), share),
        (neighbour.spread(cylinder), kappa * share * (1 - share) * 2 * u),
    ):
        assert exact.max() <= bound * (1 + 1e-12)
        if ratio.max() <= 1:
            assert bound < math.inf
    thin = Neighbour(kappa, low, low * (1 + 1e-9))
    assert thin.along([cylinder], target) == pytest.approx((low - target) * ratio[0], rel=1e-6)
    assert neighbour.along([cylinder, round_ball], target) == min(
        neighbour.along([cylinder], target), neighbour.along([round_ball], target)
    )


def test_a_neighbour_that_may_outweigh_the_pattern_proves_nothing():
    neighbour = Neighbour(40.0, LOW, HIGH)
    heavy = neighbour.in_cylinder(0.0, 0.5 * math.sqrt(2 * HIGH) * 1.1)
    assert neighbour.spread(heavy) == math.inf
    assert neighbour.across([heavy], 1.01 * across(LOW)) == math.inf


def test_without_a_neighbour_nothing_is_added():
    nobody = Neighbour(40.0, math.inf, math.inf)
    ratio = nobody.in_cylinder(0.1, 0.2)
    assert nobody.along([ratio], 0.1) == nobody.share(ratio) == nobody.spread(ratio) == 0.0
    assert nobody.across([ratio], 0.3) == 0.3


@pytest.mark.parametrize("kind", ["component", "square"])
def test_sums_along_a_direction_rarely_exceed_their_limits(kind):
    rng, size, level = np.random.default_rng(0), 60, 2.0
    crowd = _crowd.Crowd(MEMORY, 0.1, 0.0)
    rates = crowd.side_rates(0.0, 0.02, 0.05)
    rate = rates[0] if kind == "component" else rates[-1]
    limit, log_tilt = crowd.limit(kind, rate, math.log(size), level)
    tail = crowd.event(kind, rate, limit, log_tilt).log_tail(math.log(size))
    assert -level - 0.01 < tail < -level + 0.01
    trials, exceeded = 4000, 0
    for _ in range(trials):
        heights, directions = drawn_crowd(rng, size)
        s = 40.0 * 0.05 * across(heights)
        k = np.exp(-40.0 * 0.98 * heights) * across(heights) * (heights > 0.1)
        value = abs(k @ directions[:, 0])
        if kind == "square":
            value = (k * across(heights) * np.expm1(s) / s) @ directions[:, 0] ** 2
        exceeded += value > limit
    assert 0 < exceeded < trials * math.exp(tail)


# --- what the limits imply ---


def drawn_crowd(rng, size):
    """Return heights over the first axis, and directions across it, of uniform patterns."""
    patterns = rng.normal(size=(size, MEMORY.dim))
    patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    return 1 - patterns[:, 0], patterns[:, 1:] / np.linalg.norm(patterns[:, 1:], axis=1, keepdims=True)


def within(case, heights, directions, e):
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
        if e is not None:
            sums = (*sums, abs(k @ directions @ e), growth @ (directions @ e) ** 2)
        return all(x <= g for x, g in zip(sums, piece.limits, strict=True))

    last, end = case.contraction, case.stages[-1]
    ratio = math.exp(-kappa * LOW * (1 - last.high) + kappa * end.reach * across(LOW))
    centre, shift = (last.high, 0.0) if e is None else (0.0, kappa * (ratio / (1 + ratio) * across(HIGH)) ** 2)
    stretch = kappa * h(last.high) * np.exp(kappa * last.across * t) * t**2
    return (
        all(cell(c, np.maximum(heights - stage.target, 0)) for stage in case.stages for c in stage.cells)
        and all(side(s) for stage in case.stages for s in stage.sides)
        and cell(last, np.maximum(kappa * (heights - centre) ** 2 + shift - 1, 0))
        and top(stretch) <= case.stretch
        and (e is None or stretch @ (directions @ e) ** 2 <= case.stretch_along)
    )


def states_of(rng, case, stage, e, count=60):
    """Return states, as pairs of a and v, of the set in which a stage begins."""
    dim = MEMORY.dim
    if stage == 0:
        ends = rng.normal(size=(count, dim))
        ends[: count // 3, 1:] = e * 5 + 0.3 * ends[: count // 3, 1:]
        ends *= case.ball / np.linalg.norm(ends, axis=1, keepdims=True)
        return -ends[:, 0], ends[:, 1:]
    before = case.stages[stage - 1]
    v = rng.normal(size=(count, dim - 1))
    v -= np.outer(v @ e, e)
    v *= before.width / np.linalg.norm(v, axis=1, keepdims=True)
    return rng.choice([0.0, before.target], size=count), v + np.outer(
        rng.choice([-1, 1, 1], size=count), before.reach * e
    )


def test_memories_within_the_limits_store_their_pattern_beside_a_neighbour():
    rng, case, kappa = np.random.default_rng(1), shell(), MEMORY.kappa
    met, tight = 0, 0.0
    for _ in range(40):
        heights, directions = drawn_crowd(rng, SIZE)
        e, u = directions[0], rng.uniform(LOW, HIGH)
        heights, directions = heights[1:], directions[1:]
        if heights.min() < CAP or not within(case, heights, directions, e):
            continue
        met += 1
        patterns = np.zeros((SIZE + 1, MEMORY.dim))
        patterns[0, 0] = 1
        patterns[1] = [1 - u, *(across(u) * e)]
        patterns[2:] = np.column_stack([1 - heights, across(heights)[:, None] * directions])
        for index, stage in enumerate((*case.stages, None)):
            a, v = states_of(rng, case, index, e)
            logits = kappa * (np.column_stack([1 - a, v]) @ patterns.T - 1)
            weights = np.exp(logits)
            weights /= math.exp(MEMORY.log_noop - kappa) + weights.sum(axis=1, keepdims=True)
            if stage is None:
                for p in weights:
                    centre = p @ patterns
                    spread = (patterns * p[:, None]).T @ patterns - np.outer(centre, centre)
                    assert kappa * np.linalg.eigvalsh(spread)[-1] < 1
                break
            images = weights @ patterns
            along = images[:, 1:] @ e
            assert (1 - images[:, 0]).max() <= stage.target
            assert np.abs(along).max() <= stage.reach
            assert np.linalg.norm(images[:, 1:] - np.outer(along, e), axis=1).max() <= stage.width
            tight = max(tight, np.abs(along).max() / stage.reach)
    assert met > 10
    assert tight > 0.5


# --- the probability ---

ROW, ROW_CAP = RandomMemory(20, 171.0), 5.0 / 171
RIMS = 3.4 / 171, 3.5 / 171


@cache
def of_row():
    """Return the lone case and a shell at 1e11 patterns, and what fills the heights between the shell and the cap."""
    found = [
        _shell_search.ShellChain(ROW, 3.6 / 171, ROW_CAP, math.log(1e11), 4.0, Neighbour(171.0, *rims)).built()
        for rims in ((math.inf, math.inf), RIMS)
    ]
    return (*found, dataclasses.replace(found[1], low=RIMS[1], high=ROW_CAP, stretch=1.0))


def witness(*shells, cap=RIMS[0]):
    """Return a witness whose lone case begins where the shells end."""
    return directional.Witness(0.0, cap, of_row()[0], tuple(shells))


@pytest.mark.parametrize("quantifier", ["all", "typical"])
def test_the_failure_bound_of_shells_written_anew(quantifier):
    lone, near, far = of_row()
    size = 1e11
    low, high, cap = (math.exp(float(x)) for x in sphere.log_cap(np.array([*RIMS, ROW_CAP]), ROW.dim))
    tails = [
        sum(math.exp(x) for x in _directional_proof.CaseFailure(ROW, c).tails(math.log(size))) for c in (lone, near)
    ]
    given = size * (cap - 0.5 * (low + high)) + tails[1]
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
    yield "a third pattern in the shell", dataclasses.replace(case, crowd_cap=0.999 * HIGH)
    yield "a ball above half the distance", dataclasses.replace(case, ball=0.501 * math.sqrt(2 * LOW))
    yield "a reach without the neighbour's pull", changed(0, reach=0.999 * first.reach)
    yield "a reach of nothing", changed(0, reach=0.0)
    yield "a width too small", changed(0, width=0.999 * first.width)
    yield "a target without the neighbour", changed(0, target=0.99 * first.target)
    yield "the last reach too large for the ball", changed(-1, reach=case.ball)
    yield (
        "sides without the limits along",
        changed(
            -1, sides=tuple(dataclasses.replace(s, limits=s.limits[:4], log_tilts=s.log_tilts[:4]) for s in last.sides)
        ),
    )
    yield "no stretch left", dataclasses.replace(case, stretch=1.0)
    yield (
        "a contraction that is thinner",
        dataclasses.replace(case, contraction=dataclasses.replace(case.contraction, across=0.99 * last.across)),
    )
    yield "a wide shell", dataclasses.replace(case, high=1.3 * LOW, crowd_cap=CAP)
    yield "the shell turned over", dataclasses.replace(case, low=HIGH, high=LOW)


@pytest.mark.parametrize("index", range(14))
def test_a_shell_that_implies_nothing_proves_nothing(index):
    name, case = list(mistakes())[index]
    assert _directional_proof.sound(MEMORY, shell())
    assert not _directional_proof.sound(MEMORY, case), name
    with ctx.workprec(128):
        assert capacity_enclosures._stored_within_limits(MEMORY, shell()) is True
        assert capacity_enclosures._stored_within_limits(MEMORY, case) is False, name


def test_every_mistake_is_tried():
    assert len(list(mistakes())) == 14


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
    farther = dataclasses.replace(near, crowd_cap=1.2 * ROW_CAP)
    thirds = [chernoff.log_shares(ROW.dim, case.low, case.high, case.crowd_cap)[1] for case in (near, farther)]
    assert thirds[1] > thirds[0] + 1.0
    for case, third in zip((near, farther), thirds, strict=True):
        given = _directional_proof.CaseFailure(ROW, case).given(math.log(1e10))
        assert math.log(1e10) + third < given < 0.0


@pytest.mark.slow
def test_shells_prove_more_than_one_cap():
    memory = RandomMemory.of(20, 1.0, 3.0)
    found = directional.directional_witness(memory, 1e-3, "typical")
    plain = plain_witness(memory, math.log(1e-3), "typical")
    assert plain is not None
    assert 4.2e11 < math.exp(found.log_patterns) < 4.4e11
    assert found.log_patterns > plain.log_patterns + 0.5
    assert found.shells
    assert [a.high == b.low for a, b in itertools.pairwise(found.shells)] == [True] * (len(found.shells) - 1)
    enclosed = directional_enclosure(memory, found, found.log_patterns - 1e-8, 1e-3, "typical")
    assert enclosed.decided is True
