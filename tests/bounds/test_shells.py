"""C10's shells: what a pair does to a state, what the limits of a case imply, and planted mistakes."""

import dataclasses
import itertools
import math
from functools import cache

import numpy as np
import pytest
from flint import arb, ctx

from hopfield_theory.bounds import RandomMemory, _directional_proof, _shell_proof, _shell_search, directional, sphere
from hopfield_theory.bounds._directional_search import plain_witness
from hopfield_theory.bounds._neighbour import Neighbour
from hopfield_theory.bounds._shell_proof import Box, Shell
from hopfield_theory.verification import _neighbour_balls
from hopfield_theory.verification.capacity_enclosures import directional_enclosure

# these search for the same witnesses as other files
pytestmark = pytest.mark.xdist_group("witnesses")

MEMORY = RandomMemory(8, 40.0)
LOW, HIGH, CAP = 3.0 / 40, 3.1 / 40, 8.0 / 40
TURN = _shell_search.pair_turn(40.0, LOW)


@cache
def shell():
    case = _shell_search.limited(MEMORY, 0.14, CAP, math.log(12), 2.0, LOW, HIGH, TURN)
    assert case is not None
    return case


def unit(rng, shape):
    x = rng.normal(size=shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


# --- what the pair does ---


def pair(dim, u, turn):
    """Return the two patterns, the axis being the first coordinate and the second pointing to the neighbour."""
    angle = math.acos(1 - u)
    return np.array([[math.cos(x), math.sin(x), *[0.0] * (dim - 2)] for x in (-turn, angle - turn)])


def in_cell(rng, low, high, side, count, dim):
    """Return states of a cell about the axis, most of them on its rims."""
    y = side * unit(rng, (count, dim - 1))
    y[:2] = np.outer((side, -side), np.eye(dim - 1)[0])
    s = rng.choice([low, high], size=count)
    s[:4] = low, low, high, high
    y[2:4] = y[:2]
    return np.column_stack([1 + y[:, 0], s, y[:, 1:]])


@pytest.mark.parametrize("seed", range(16))
def test_bounds_on_the_pair_hold_for_every_height_and_state(seed):
    """Weights, mean and variances of the pair are what they are; a rim of the cell nearly attains each."""
    rng, dim = np.random.default_rng(seed), 5
    kappa = rng.uniform(5.0, 200.0)
    low = min(rng.uniform(2.0, 6.0) / kappa, 0.7)
    high = low * rng.uniform(1.0001, 1.1)
    turn = rng.uniform(0.05, 0.5) * math.acos(1 - low)
    neighbour = Neighbour(kappa, low, high, turn)
    assert neighbour.between
    start, side = rng.uniform(-4, 4) / kappa, rng.uniform(0.1, 3) / kappa
    end = start + rng.uniform(0.1, 2) / kappa
    bound = neighbour.pull(*(np.array([x]) for x in (start, end, side)))
    seen = []
    for u in (low, high, rng.uniform(low, high)):
        patterns = pair(dim, u, turn)
        logits = kappa * (states := in_cell(rng, start, end, side, 100, dim)) @ patterns.T
        total = np.logaddexp(*logits.T)
        p = np.exp(logits - total[:, None])
        mean = p @ patterns
        both = p.prod(axis=1)
        towards = patterns[1] - patterns[0]
        gain = np.exp(kappa * states[:, 0] - total).max()
        seen.append(
            (
                gain,
                (1 - mean[:, 0]).max(),
                mean[:, 1].min(),
                mean[:, 1].max(),
                (both * towards[1] ** 2).max(),
                (both * towards[0] ** 2).max(),
            )
        )
    gain, along, left, right, spread, lift = (x[0] for x in dataclasses.astuple(bound))
    most, least = np.max(seen, axis=0), np.min(seen, axis=0)
    rounding = 1 + 1e-9
    assert 0.5 * gain < most[0] <= gain * rounding
    assert 0.5 * along < most[1] <= along * rounding
    assert left - 1e-12 <= least[2]
    assert most[3] <= right + 1e-12
    assert right - left < 2.0 * (most[3] - least[2])
    assert 0.5 * spread < most[4] <= spread * rounding
    assert most[5] <= lift * rounding
    with ctx.workprec(128):
        balls = _neighbour_balls.Neighbour(kappa, low, high, turn)
        enclosed = balls.pull(arb(start), arb(end), arb(side))
        numbers = [float(getattr(enclosed, field.name).mid()) for field in dataclasses.fields(enclosed)]
        assert numbers == pytest.approx([gain, along, left, right, spread, lift], rel=1e-9, abs=1e-15)
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
        x = np.array([1 - within, *(math.sqrt(within * (2 - within)) * np.array(point))])
        most = max(most, np.linalg.norm(x - patterns[0]))
    assert 0.99 * math.sqrt(2 * LOW) < most < math.sqrt(2 * LOW)


# --- what the limits imply ---


def sums_of(kappa, crowd, reach):
    """Return the sums that a shell limits, written anew for a crowd; the axis is the first coordinate."""
    from_axis = crowd - np.eye(crowd.shape[1])[0]
    w = np.linalg.norm(from_axis, axis=1)
    h = np.exp(kappa * from_axis[:, 0])

    def slope(radius, vectors):
        return kappa * np.einsum("n,ni,nj->ij", h * np.exp(kappa * w * radius), vectors, vectors)

    return (
        -(h @ from_axis[:, 0]),
        np.linalg.norm(h @ from_axis[:, 1:]),
        *(np.linalg.eigvalsh(slope(r, from_axis))[-1] for r in (0.0, reach)),
        abs(h @ from_axis[:, 1]),
        *(slope(r, from_axis[:, 1:2]).item() for r in (0.0, reach)),
    )


def weights_of(memory, states, patterns):
    logits = memory.kappa * (states @ patterns.T - 1)
    p = np.exp(logits)
    return p / (math.exp(memory.log_noop - memory.kappa) + p.sum(axis=1, keepdims=True))


def box_of(states):
    """Return the smallest box about the axis that holds the states."""
    return Box(
        states[:, 1].min(), states[:, 1].max(), np.hypot(states[:, 0] - 1, np.linalg.norm(states[:, 2:], axis=1)).max()
    )


def in_box(rng, box, count, dim):
    return np.concatenate([in_cell(rng, s, s, box.side, count, dim) for s in np.linspace(box.low, box.high, 9)])


def given(rng, alone):
    """Return a memory with its patterns, and a shell whose limits its own sums nearly attain."""
    dim, kappa = int(rng.integers(3, 9)), rng.uniform(20.0, 120.0)
    memory = RandomMemory(dim, kappa, rng.choice([-math.inf, 0.0, 0.7 * kappa]))
    low = rng.uniform(2.3, 5.0) / kappa
    high, turn = low * 1.02, _shell_search.pair_turn(kappa, low)
    size, nearest = int(rng.integers(1, 40)), rng.uniform(3.0, 7.0) / kappa
    angle = rng.uniform(math.acos(1 - nearest), 2.0 * math.acos(1 - nearest), size=size)
    crowd = np.column_stack([np.cos(angle), np.sin(angle)[:, None] * unit(rng, (size, dim - 1))])
    ball = rng.uniform(0.3, 0.5) * math.sqrt(2 * (nearest if alone else low))
    shift = 0.0 if alone else 2 * math.sin(turn / 2)
    sums = sums_of(kappa, crowd, ball + shift)
    if alone:
        patterns = np.concatenate([np.eye(dim)[:1], crowd])
        rims = {}
    else:
        patterns = np.concatenate([pair(dim, rng.uniform(low, high), turn), crowd])
        rims = {"low": low, "high": high, "turn": turn}
    limits = tuple(1.001 * x for x in sums[: 4 if alone else 7])
    return memory, patterns, Shell(nearest, ball, (ball + shift) * (1 + 1e-12), limits, (0.0,) * len(limits), **rims)


@pytest.mark.parametrize("alone", [True, False])
def test_where_the_limits_are_met_all_states_of_the_ball_end_at_one_point_in_it(alone):
    """Images stay in their boxes, the last box is contracted, and iterates of the ball meet inside it."""
    rng, met, refused, tight, steep = np.random.default_rng(0), 0, 0, 0.0, 0.0
    for _ in range(300):
        memory, patterns, case = given(rng, alone)
        with ctx.workprec(128):
            assert _neighbour_balls.stored(memory, case) is _shell_proof.stored(memory, case)
        if not _shell_proof.stored(memory, case):
            refused += 1
            continue
        met += 1
        states = patterns[0] + case.ball * np.concatenate(
            [unit(rng, (200, memory.dim)), np.eye(memory.dim), -np.eye(memory.dim)]
        )
        images = weights_of(memory, states, patterns) @ patterns
        if alone:
            assert np.linalg.norm(images - patterns[0], axis=1).max() <= case.ball
            steepest = states
        else:
            update = _shell_proof.Update(memory, case)
            box, contracted = update.of_ball(), False
            assert box_of(images).within(box)
            while not contracted:
                states = in_box(rng, box, 8, memory.dim)
                after, contracted = update.of_box(box)
                reached = box_of(weights_of(memory, states, patterns) @ patterns)
                assert reached.within(after)
                tight = max(tight, reached.side / after.side, reached.high / max(after.high, 1e-9))
                contracted &= after.within(box) and update.in_ball(box)
                steepest, box = states, after
        for p in weights_of(memory, steepest, patterns)[::7]:
            centre = p @ patterns
            spread = (patterns * p[:, None]).T @ patterns - np.outer(centre, centre)
            steep = max(steep, memory.kappa * np.linalg.eigvalsh(spread)[-1])
        for _ in range(400):
            images = weights_of(memory, images, patterns) @ patterns
        assert np.ptp(images, axis=0).max() < 1e-6
        assert np.linalg.norm(images[0] - patterns[0]) < case.ball
    assert met > 20
    assert refused > 20
    assert steep < 1.0
    if not alone:
        assert tight > 0.8
        assert steep > 0.5


def near_the_axis(slope, slope_e):
    """Return what the limits tell about an update where a crowd pulls nowhere, but changes its pull with the state."""
    limits = (1e-12, 1e-12, slope, slope * (1 + 1e-9), 1e-12, slope_e, slope_e * (1 + 1e-9))
    return _shell_proof.Update(MEMORY, dataclasses.replace(shell(), limits=limits))


def test_a_crowd_may_change_its_pull_across_the_neighbour_as_much_as_the_pair_leaves():
    box = Box(-1e-5, 1e-5, 1e-5)
    pull = Neighbour(MEMORY.kappa, LOW, HIGH, TURN).pull(*(np.array([x]) for x in (box.low, box.high, box.side)))
    along_e = MEMORY.kappa * (pull.spread + np.maximum(-pull.left, pull.right) ** 2).item()
    along_c = MEMORY.kappa * (pull.lift + pull.along**2).item()
    # the matrix with these on its diagonal, and the root of their product beside it, has an eigenvalue of 1
    most = (1 - along_e * along_c / (1 - along_e) - along_c) / pull.gain.item()
    assert most > 0.1
    for slope, contracts in ((0.999 * most, True), (1.001 * most, False)):
        assert near_the_axis(slope, 1e-12).of_box(box)[1] is contracts


def test_what_moves_along_the_neighbour_moves_the_crowd_across_it_by_the_mixed_slope():
    slope, slope_e, low = 0.3, 1e-6, 1e-2
    image, _ = near_the_axis(slope, slope_e).of_box(Box(-low, low, 0.0))
    still, _ = near_the_axis(slope, 1e-18).of_box(Box(-low, low, 0.0))
    gain = Neighbour(MEMORY.kappa, LOW, HIGH, TURN).pull(*(np.array([x]) for x in (0.9 * low, low, 0.0))).gain.item()
    assert image.side - still.side == pytest.approx(gain * math.sqrt(slope * slope_e) * low, rel=0.05)


@pytest.mark.parametrize(("kind", "index"), [("whole", 3), ("component", 4), ("square", 6)])
def test_limits_bound_how_often_the_sums_of_a_shell_exceed_them(kind, index):
    rng, memory, size, level, cap, reach = np.random.default_rng(0), RandomMemory(6, 20.0), 60, 2.0, 0.1, 0.05
    crowd = _shell_proof.crowd_of(memory, cap)
    rate = crowd.shell_rates(reach)[index]
    limit, log_tilt = crowd.limit(kind, rate, math.log(size), level)
    tail = crowd.event(kind, rate, limit, log_tilt).log_tail(math.log(size))
    assert -level - 0.01 < tail < -level + 0.01
    trials, exceeded = 4000, 0
    for _ in range(trials):
        patterns = unit(rng, (size, memory.dim))
        exceeded += sums_of(memory.kappa, patterns[patterns[:, 0] < 1 - cap], reach)[index] > limit
    assert 0 < exceeded < trials * math.exp(tail)


@pytest.mark.parametrize("kind", ["whole", "component", "square"])
def test_mean_exponentials_of_the_sums_of_a_shell_are_bounded(kind):
    """The bound on ``M E[exp(t f) - 1]`` against directions drawn: exact for a component, above for the others."""
    rng, memory, cap, log_tilt = np.random.default_rng(0), RandomMemory(6, 20.0), 0.3, 0.0
    crowd, count = _shell_proof.crowd_of(memory, cap), 400_000
    patterns = unit(rng, (count, 6))
    patterns[patterns[:, 0] > 1 - cap] = np.nan
    height, side = 1 - patterns[:, 0], np.linalg.norm(patterns[:, 1:], axis=1)
    rates = {"whole": np.log(height), "component": np.log(side), "square": 2 * np.log(side)}
    nodes = {"whole": crowd._height, "component": crowd._side, "square": crowd._side**2}[kind]
    event = crowd.event(kind, np.log(nodes), 1.0, log_tilt)
    k = math.exp(log_tilt) * np.exp(rates[kind])
    if kind == "whole":
        along = 0.5 * height
        drawn = max(np.nansum(np.expm1(k) * x) for x in (along, (1 - along) / 5)) / count
    else:
        cosine = patterns[:, 1] / side
        drawn = np.nansum(np.expm1(k * (cosine if kind == "component" else cosine**2))) / count
    ratio = drawn / math.exp(event.log_mean)
    assert (0.99 if kind == "component" else 0.6) < ratio < 1.01


# --- the probability ---

ROW, ROW_CAP = RandomMemory(20, 171.0), 5.0 / 171
RIMS = 3.4 / 171, 3.5 / 171


@cache
def of_row():
    """Return the lone case and a shell at 1e11 patterns, and what fills the heights between the shell and the cap."""
    found = [
        _shell_search.limited(ROW, 3.6 / 171, ROW_CAP, math.log(1e11), 4.0, *rims)
        for rims in ((), (*RIMS, _shell_search.pair_turn(171.0, RIMS[0])))
    ]
    return (*found, dataclasses.replace(found[1], low=RIMS[1], high=ROW_CAP, limits=(1.0,) * 7))


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


def mistakes():
    case = shell()

    def limits(index, factor):
        return dataclasses.replace(
            case, limits=tuple(x * (factor if k == index else 1.0) for k, x in enumerate(case.limits))
        )

    yield "a shell too near", dataclasses.replace(case, low=0.8 * LOW)
    yield "a shell too near for its ball", dataclasses.replace(case, low=1.99 * case.ball**2)
    yield "a ball above half the distance", dataclasses.replace(case, ball=0.501 * math.sqrt(2 * LOW))
    yield "an axis turned away", dataclasses.replace(case, turn=-case.turn)
    yield "an axis beyond the middle", dataclasses.replace(case, turn=0.51 * math.acos(1 - LOW))
    yield "a turn without a neighbour", dataclasses.replace(case, low=math.inf, high=math.inf)
    yield "limits of a lone pattern", dataclasses.replace(case, limits=case.limits[:4], log_tilts=case.log_tilts[:4])
    yield "limits that reach less far than the ball", dataclasses.replace(case, reach=case.reach * (1 - 1e-9))
    yield "a reach beyond the centre", dataclasses.replace(case, reach=1.01)
    yield "a ball in which the pair does not end", dataclasses.replace(case, ball=0.2 * case.ball)
    yield "much along the axis", limits(0, 2000.0)
    yield "much across the axis", limits(1, 800.0)
    yield "slopes that fall", limits(2, 1000.0)
    yield "slopes of 1 at the reach", limits(3, 30.0)
    yield "much along the neighbour", limits(4, 300.0)
    yield "no slope along the neighbour", limits(5, 0.0)
    yield "a wide shell", dataclasses.replace(case, high=1.3 * LOW)
    yield "the shell turned over", dataclasses.replace(case, low=HIGH, high=LOW)


@pytest.mark.parametrize("index", range(18))
def test_a_shell_that_implies_nothing_proves_nothing(index):
    name, case = list(mistakes())[index]
    assert _shell_proof.stored(MEMORY, shell())
    assert not _shell_proof.stored(MEMORY, case), name
    with ctx.workprec(128):
        assert _neighbour_balls.stored(MEMORY, shell()) is True
        assert _neighbour_balls.stored(MEMORY, case) is False, name


def test_a_lone_ball_reaches_half_way_to_the_nearest_pattern_at_most():
    lone = of_row()[0]
    for room, expected in ((2.01, True), (1.99, False)):
        assert _shell_proof.stored(ROW, dataclasses.replace(lone, crowd_cap=room * lone.ball**2)) == expected


def test_every_mistake_is_tried():
    assert len(list(mistakes())) == 18


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
def test_shells_prove_more_than_one_cap(monkeypatch):
    memory, searched = RandomMemory.of(20, 1.0, 3.0), []
    monkeypatch.setattr(
        directional, "plain_witness", lambda *given: searched.append(plain_witness(*given)) or searched[0]
    )
    found = directional.directional_witness.__wrapped__(memory, 1e-3, "typical")
    [plain] = searched
    assert 1.0e12 < math.exp(found.log_patterns) < 1.06e12
    assert found.log_patterns > plain.log_patterns + 1.5
    assert found.shells
    assert [a.high == b.low for a, b in itertools.pairwise(found.shells)] == [True] * (len(found.shells) - 1)
    assert directional_enclosure(memory, found, found.log_patterns - 1e-8, 1e-3, "typical").decided is True
    assert directional_enclosure(memory, found, found.log_patterns + 1e-6, 1e-3, "typical").decided is False
