from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from flint import arb, ctx
from mpmath import mp

from hopfield_theory.bounds import RandomMemory, chernoff, crowding, directional, merging, union
from hopfield_theory.bounds.chernoff import Case, Witness
from hopfield_theory.bounds.merging import PairWitness
from hopfield_theory.verification import _chernoff_balls, _crowding_balls, _merging_balls, capacity_enclosures
from hopfield_theory.verification.capacity_enclosures import (
    Enclosure,
    by_direction,
    chernoff_enclosure,
    directional_enclosure,
    pairs_enclosure,
    pairwise_enclosure,
    sandwich,
    typical_enclosure,
)

# these search for the same witnesses as other files
pytestmark = pytest.mark.xdist_group("witnesses")

P = 1e-3
ROWS = [(20, 1.0, 3.0), (75, 1.0, 1.0), (30, 1.0, 2.0)]
ROW = ROWS[0]
STEP = 1e-8
Row = tuple[int, float, float]


@cache
def stored(row: Row, quantifier: str) -> Witness:
    return chernoff.chernoff_witness(RandomMemory.of(*row), P, quantifier)


@cache
def pairs(row: Row) -> PairWitness:
    return merging.pair_witness(RandomMemory.of(*row), P)


@cache
def lost(row: Row) -> crowding.TypicalWitness:
    return crowding.typical_witness(RandomMemory.of(*row), P)


def agrees(enclosure: Enclosure, value: float, slack: float = 1e-9) -> bool:
    return enclosure.low <= enclosure.high and max(abs(enclosure.low - value), abs(enclosure.high - value)) < slack


@pytest.mark.parametrize("row", [ROWS[0], pytest.param(ROWS[1], marks=pytest.mark.slow)])
def test_every_bound_that_the_floats_find_is_confirmed(row):
    found = sandwich(RandomMemory.of(*row), P)
    statements = [("C2", "all"), ("C3", "all"), ("C3", "typical"), ("C6", "all"), ("C7", "typical")]
    # At d = 75 the floats find no pairs that merge.
    expected = [s for s in statements if s[0] != "C6" or row[0] != 75]
    assert [(e.statement, e.quantifier) for e in found] == expected
    assert all(e.decided is True for e in found)
    assert all(e.high - e.low < 1e-12 for e in found)


@pytest.mark.parametrize(
    ("row", "quantifier"),
    [
        (ROWS[0], "all"),
        *((row, "typical") for row in ROWS),
        *(pytest.param(row, "all", marks=pytest.mark.slow) for row in ROWS[1:]),
    ],
)
def test_stored_patterns_agree_with_the_floats(row, quantifier):
    memory, witness = RandomMemory.of(*row), stored(row, quantifier)
    at = witness.log_patterns - STEP
    found = chernoff_enclosure(memory, witness, at, P, quantifier)
    assert agrees(found, chernoff.log_failure(memory, witness, at, quantifier))
    assert found.decided is True
    assert chernoff_enclosure(memory, witness, witness.log_patterns + 1e-2, P, quantifier).decided is False


def test_a_strong_noop_slot_next_to_a_close_neighbour_agrees_with_the_floats():
    # The leak takes a hundredth of what the neighbour leaves.
    memory = RandomMemory(20, 171.0, 155.0)
    witness = chernoff.chernoff_witness(memory, P)
    at = witness.log_patterns - STEP
    found = chernoff_enclosure(memory, witness, at, P, "all")
    assert witness.shells
    assert agrees(found, chernoff.log_failure(memory, witness, at, "all"))
    assert found.decided is True


@pytest.mark.parametrize("row", [ROWS[0], ROWS[2]])
def test_pairs_agree_with_the_floats(row):
    memory, witness = RandomMemory.of(*row), pairs(row)
    at = witness.log_patterns + STEP
    found = pairs_enclosure(memory, witness, at, P)
    assert agrees(found, merging.log_pair_failure(memory, witness, at))
    assert found.decided is True
    assert pairs_enclosure(memory, witness, witness.log_patterns - 1e-2, P).decided is False


def test_a_strong_noop_slot_next_to_a_pair_agrees_with_the_floats():
    memory = RandomMemory(20, 171.0, 160.0)
    witness = merging.pair_witness(memory, P)
    at = witness.log_patterns + STEP
    found = pairs_enclosure(memory, witness, at, P)
    assert agrees(found, merging.log_pair_failure(memory, witness, at))
    assert found.decided is True


@pytest.mark.parametrize("row", [ROWS[0], pytest.param(ROWS[2], marks=pytest.mark.slow)])
def test_lost_patterns_agree_with_the_floats(row):
    memory, witness = RandomMemory.of(*row), lost(row)
    at = witness.log_patterns + STEP
    found = typical_enclosure(memory, witness, at, P)
    assert agrees(found, crowding.log_typical_survival(memory, witness, at))
    assert found.decided is True
    assert typical_enclosure(memory, witness, witness.log_patterns - 1e-2, P).decided is False


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("noop", [0.0, 1.0, 1e6])
def test_the_union_bound_over_pairs_turns_where_the_floats_say(row, noop):
    memory = RandomMemory.of(*row, noop=noop)
    at = union.pairwise(memory, P)
    assert pairwise_enclosure(memory, at - STEP, P).decided is True
    assert pairwise_enclosure(memory, at + STEP, P).decided is False


def test_a_leak_that_moves_a_pattern_too_far_is_not_proved():
    assert pairwise_enclosure(RandomMemory(20, 4.0, 10.0), 1.0, P).decided is False


@pytest.mark.parametrize(("row", "digits"), [(ROWS[0], "3.1546"), (ROWS[1], "1.3718")])
def test_the_published_bases_are_enclosed(row, digits):
    memory = RandomMemory.of(*row)
    with ctx.workprec(200):
        kappa, others = arb(memory.kappa), memory.dim - 1
        b = 2 * kappa / others / 5
        base = b / ((2 * (1 + (2 * kappa * P).log()) / others).exp() * b).lambertw()
        assert base.rel_accuracy_bits() > 150
        assert math.exp(union.published_base(memory, P)) == pytest.approx(float(base), rel=1e-13)
        assert base.str(8, radius=False).startswith(digits)


def cap(height: float, dim: int):
    u = mp.mpf(height)
    return mp.betainc(mp.mpf(dim - 1) / 2, mp.mpf(1) / 2, 0, u * (2 - u), regularized=True) / 2


def mean(dim: int, function, points: list):
    def integrand(theta):
        return function(theta) * mp.sin(theta) ** (dim - 2)

    def panels(low, high):
        return [low * (high / low) ** (mp.mpf(k) / 16) for k in range(17)] if low > 0 else mp.linspace(low, high, 5)

    total = sum(mp.quad(integrand, panels(low, high)) for low, high in pairwise(points))
    return total / mp.beta(mp.mpf(dim - 1) / 2, mp.mpf(1) / 2)


def test_a_plain_chernoff_bound_agrees_with_another_integrator():
    dim, kappa, noop, rho, height, log_patterns = 7, 20.0, 3.0, 0.06, 0.02, 2.0
    tilts = (0.75, 1.75)
    witness = Witness(0.0, height, Case(math.inf, math.inf, height, rho, *tilts))
    with mp.workdps(20):
        patterns, start = mp.exp(log_patterns), 2 * mp.asin(mp.sqrt(mp.mpf(height) / 2))
        leak = noop * mp.exp(-kappa * (1 - mp.mpf(rho)))

        def weight(theta):
            return mp.exp(-kappa * (1 - mp.cos(theta) - 2 * rho * mp.sin(theta / 2)))

        def displaced(theta):
            rate = (2 * mp.sin(theta / 2) - rho) / (rho - (1 - mp.mpf(rho)) * leak)
            return mp.expm1(mp.exp(tilts[0]) * rate * weight(theta))

        def stretched(theta):
            rate = max(kappa * 4 * mp.sin(theta / 2) ** 2 - 1, mp.mpf(0)) / (1 - (kappa - 1) * leak)
            return mp.expm1(mp.exp(tilts[1]) * rate * weight(theta))

        # Where κ w² = 1 the second summand begins; the cap is smaller.
        points = [start, 2 * mp.asin(1 / (2 * mp.sqrt(kappa))), mp.pi]
        assert points == sorted(points)
        tails = [
            mp.exp(patterns * mean(dim, f, points) - mp.exp(t))
            for f, t in zip((displaced, stretched), tilts, strict=True)
        ]
        assert max(tails) < 0.5
        expected = mp.log(patterns * cap(height, dim) + sum(tails))
    found = chernoff_enclosure(RandomMemory(dim, kappa, math.log(noop)), witness, log_patterns, 0.5, "typical")
    assert agrees(found, float(expected), 1e-12)


@pytest.mark.parametrize(("dim", "kappa"), [(2, 1e5), (3, 250.0), (12, 250.0)])
def test_a_bound_on_pairs_agrees_with_another_integrator(dim, kappa):
    height, s = 1.0 / kappa, 4.0 / kappa
    with mp.workdps(20):
        h, c, half = mp.sqrt(mp.mpf(height) / 2), mp.sqrt(1 - mp.mpf(height) / 2), mp.mpf(dim - 1) / 2
        leak = mp.exp(-kappa * c * (c - s)) / 2
        allowances = (s - (1 - mp.mpf(s)) * leak, 1 - kappa * h**2 - (kappa - 1) * leak)

        def disturbance(theta):
            u, x = 2 * mp.sin(theta / 2) ** 2, kappa * h * mp.sin(theta)
            w = max(mp.sqrt(2 * u), mp.sqrt((1 - c) ** 2 + 2 * c * u))
            two_sided = 2 * mp.besseli(half - 1, x) * mp.gamma(half) * (2 / x) ** (half - 1) if x > 0.5 else mp.inf
            y = mp.exp(kappa * (c * (1 - u - c) + s * w)) * min(mp.exp(x), two_sided) / 2
            return y * (max(w - s, mp.mpf(0)) / allowances[0] + max(kappa * w**2 - 1, mp.mpf(0)) / allowances[1])

        # The crossing of the two distances, and where they pass s and κ^(-1/2).
        kinks = [(1 - c) / 2] + [(w2 - (1 - c) ** 2) / (2 * c) for w2 in (mp.mpf(s) ** 2, 1 / mp.mpf(kappa))]
        kinks = [mp.acos(1 - u) for u in (*kinks, 1 / (2 * mp.mpf(kappa)))]
        if dim > 2:
            turn = mp.findroot(lambda x: x - mp.log(2 * mp.hyp0f1(half, x**2 / 4)), 1)
            kinks += [mp.asin(turn / (kappa * h)), mp.pi - mp.asin(turn / (kappa * h))]
        loudness = mean(dim, disturbance, [mp.mpf(0), *sorted(kinks), mp.pi])
        log_patterns = float(mp.log(mp.mpf("0.3") / loudness))
        patterns = mp.exp(log_patterns)
        quiet, x = 1 - patterns * loudness, patterns * (patterns - 1) / 2 * cap(height, dim)
        expected = max(x * (quiet - x / 2), x * quiet**2 / (quiet + x))
    found = pairs_enclosure(RandomMemory(dim, kappa), PairWitness(0.0, height, s), log_patterns, P)
    assert agrees(found, float(mp.log(expected)), 1e-12)


def test_the_bound_across_a_direction_is_whole_and_that_of_the_floats():
    memory = RandomMemory(12, 250.0)
    with ctx.workprec(100):
        h = arb(0.04)
        pieces = _merging_balls.amplifications(memory, h)
        rims = [arb(0), *(piece.end for piece in pieces)]
        assert all((piece.start - rim).contains(0) for piece, rim in zip(pieces, rims, strict=False))
        assert (rims[-1] - arb.pi() / 2).contains(0)
        for piece in pieces:
            phi = piece.start + (piece.end - piece.start) * 0.7
            x = float(2 * memory.kappa * h * phi.sin() * phi.cos())
            bound = float(piece.values(phi.sin(), phi.cos()).log())
            assert bound == pytest.approx(float(merging._log_two_sided(np.array(x), 12)), abs=1e-12)
    assert len(pieces) == 3


def test_a_strip_agrees_with_another_integrator():
    dim, kappa, log_patterns = 6, 40.0, 10.0
    strip = crowding.Strip(0.0, 0.02, slack=0.5, log_tilt=4.0, side_log_tilt=7.0)
    witness = crowding.TypicalWitness(0.0, 0.02, 0.05, (strip,))
    with mp.workdps(20):
        others, z, high = mp.exp(log_patterns) - 1, mp.mpf(strip.slack), mp.mpf(strip.high)
        tilt, side = mp.exp(4), mp.exp(7)
        enough = (high - (1 - high) * mp.exp(-kappa)) * mp.exp(z)
        points = [mp.acos(1 - mp.mpf(witness.cap)), mp.pi]

        def pull(theta):
            return (1 - mp.cos(theta) - high) * mp.exp(-kappa * (1 - mp.cos(theta)))

        kept = mean(dim, lambda theta: mp.expm1(-tilt * pull(theta)), points)
        grown = mean(dim, lambda theta: mp.expm1((side * pull(theta) * mp.sin(theta)) ** 2 / (2 * dim - 2)), points)
        direction = side * enough * z / (kappa * high)
        moment = mean(dim - 1, lambda theta: mp.exp(direction * mp.cos(theta)), [mp.mpf(0), mp.pi])
        weak, strong = mp.exp(tilt * enough + others * kept), mp.exp(others * grown) / moment
        assert max(weak, strong) < 1
        expected = mp.log(others * cap(witness.error, dim) + weak + strong)
    found = typical_enclosure(RandomMemory(dim, kappa), witness, log_patterns, P)
    assert agrees(found, float(expected), 1e-12)


def not_stored(witness: Witness, quantifier: str = "all") -> bool | None:
    return chernoff_enclosure(
        RandomMemory.of(*ROW), witness, stored(ROW, quantifier).log_patterns - STEP, P, quantifier
    ).decided


# So high a dimension that hardly anyone is near: the tails are tiny for every ball that the proof admits.
SPARSE = RandomMemory(200, 171.0)
CLOSE = 0.0145


def test_a_ball_beyond_half_way_to_its_neighbour_is_not_proved():
    half_way = math.sqrt(0.5 * CLOSE)
    for ball, decided in ((half_way * (1 - 1e-12), True), (half_way * (1 + 1e-12), False)):
        witness = Witness(0.0, CLOSE, Case(math.inf, math.inf, CLOSE, ball, 3.0, 3.0))
        assert chernoff_enclosure(SPARSE, witness, 1.0, P, "typical").decided is decided


def test_a_ball_beyond_half_way_to_a_single_neighbour_makes_its_tail_1():
    near, far = CLOSE, 1.05 * CLOSE
    lone = Case(math.inf, math.inf, far, 0.2 * math.sqrt(2.0 * near), 4.4, 4.4)

    def log_bound(share_of_the_way: float, tilts: tuple[float, float]) -> float:
        shell = Case(near, far, far, share_of_the_way * math.sqrt(2.0 * near), *tilts)
        return chernoff_enclosure(RandomMemory(60, 171.0), Witness(0.0, near, lone, (shell,)), 30.0, P, "typical").low

    tilts, void = (1.5, -2.0), (-math.inf, -math.inf)
    # Beyond half way the neighbour may outweigh the pattern, and its pull rises with the distance again.
    alone = log_bound(0.2, void)
    assert log_bound(0.9, tilts) == alone
    assert log_bound(0.2, tilts) < alone - 0.05


@pytest.mark.parametrize("index", [0, 7, -1])
def test_shells_with_a_gap_are_not_proved(index):
    witness = stored(ROW, "all")
    shells = list(witness.shells)
    for rim in (
        {"low": math.nextafter(shells[index].low, math.inf)},
        {"high": math.nextafter(shells[index].high, 0.0)},
    ):
        gap = shells.copy()
        gap[index] = replace(shells[index], **rim)
        assert not_stored(replace(witness, shells=tuple(gap))) is False
    assert (
        not_stored(replace(witness, shells=tuple(shells[:index] + shells[index + 1 :] if index else shells[1:])))
        is False
    )


def test_shells_that_fold_back_are_not_proved():
    witness = stored(ROW, "all")
    rim, last = witness.lone.crowd_cap, witness.shells[-1]
    there = replace(last, low=rim, high=2 * rim)
    back = replace(last, low=2 * rim, high=rim, self_map_log_tilt=-math.inf)
    assert not_stored(replace(witness, shells=(*witness.shells, there, back))) is False


def test_a_crowd_that_begins_within_its_shell_makes_its_tail_1():
    # A hundred patterns lie below the shell: taken off as third patterns, they would outweigh the tail.
    memory, near, far = RandomMemory(3, 1e4), 0.035, 0.036
    lone = Case(math.inf, math.inf, far, 0.03, 3.0, 3.0)

    def log_bound(crowd_cap: float, log_tilt: float) -> float:
        shell = Case(near, far, crowd_cap, 0.03, log_tilt, log_tilt)
        return chernoff_enclosure(memory, Witness(0.0, near, lone, (shell,)), 9.0, P, "typical").low

    # as it is where the tilt is void
    assert log_bound((1.0 - 1e-15) * far, 3.0) == log_bound(far, -math.inf)


@cache
def nearest() -> Case:
    """The shell next to the height 2/κ, of those that prove the most."""
    return stored(ROW, "all").shells[0]


def tail(shell: Case) -> float:
    """Return the upper end of the probability that the crowd exceeds an allowance, for the patterns of the witness."""
    memory, patterns = RandomMemory.of(*ROW), capacity_enclosures._patterns(stored(ROW, "all").log_patterns)
    found = _chernoff_balls.case_tails(memory, shell, _chernoff_balls.with_neighbour(memory, shell), patterns)
    return float(found.upper())


@pytest.mark.parametrize(("name", "index"), [("self_map_log_tilt", 0), ("contraction_log_tilt", 1)])
def test_a_tilt_beyond_the_pole_of_a_direction_makes_the_tail_1(name, index):
    summands = chernoff._summands(RandomMemory.of(*ROW), nearest(), np.array([nearest().crowd_cap]))
    assert summands is not None
    pole = -float((summands[index].log_factor + np.log(summands[index].spread)).item())
    # V is largest at the cap
    assert tail(replace(nearest(), **{name: pole + 1e-9})) == 1.0
    assert tail(replace(nearest(), **{name: -math.inf})) == 1.0
    assert tail(nearest()) < 0.9


def test_a_shell_with_less_room_along_the_neighbour_is_not_proved():
    # balls in which the two pull each other out, or stretch, by a hair
    half_way = math.sqrt(0.5 * nearest().low)
    assert all(tail(replace(nearest(), ball=(1.0 - lean) * half_way)) == 1.0 for lean in (0.0, 0.5))


def test_a_third_pattern_that_is_let_in_is_not_proved():
    # Without the term for the third pattern the caps could be as high as the sphere.
    witness = stored(ROW, "all")
    shells = tuple(replace(shell, crowd_cap=1.0) for shell in witness.shells)
    assert not_stored(replace(witness, shells=shells)) is False


def test_a_crowd_that_begins_beyond_the_cap_is_not_proved():
    witness = stored(ROW, "typical")
    lone = replace(witness.lone, crowd_cap=1.0001 * witness.cap)
    assert not_stored(replace(witness, lone=lone), "typical") is False


@pytest.mark.parametrize("name", ["self_map_log_tilt", "contraction_log_tilt"])
def test_a_tilt_of_the_wrong_sign_is_not_proved(name):
    witness = stored(ROW, "typical")
    for log_tilt in (-getattr(witness.lone, name), -math.inf):
        assert not_stored(replace(witness, lone=replace(witness.lone, **{name: log_tilt})), "typical") is False


def test_pairs_too_far_apart_or_too_loose_a_tube_are_not_proved():
    memory, witness = RandomMemory.of(*ROW), pairs(ROW)
    for changes in ({"height": 2.0001 / 171}, {"tube": 0.9999}, {"tube": -witness.tube}, {"height": 1.5}):
        planted = replace(witness, **changes)
        assert pairs_enclosure(memory, planted, witness.log_patterns + STEP, P).decided is False


def still_near(changes: dict, index: int | None = None) -> bool | None:
    witness = lost(ROW)
    if index is None:
        planted = replace(witness, **changes)
    else:
        strips = list(witness.strips)
        strips[index] = replace(strips[index], **changes)
        planted = replace(witness, strips=tuple(strips))
    return typical_enclosure(RandomMemory.of(*ROW), planted, witness.log_patterns + STEP, P).decided


def test_strips_with_a_gap_are_not_proved():
    strips = lost(ROW).strips
    assert still_near({"strips": strips[1:]}) is False
    assert still_near({"strips": strips[:-1]}) is False
    assert still_near({"strips": strips[:20] + strips[21:]}) is False
    assert still_near({"low": math.nextafter(strips[20].low, 1.0)}, 20) is False
    assert still_near({"high": math.nextafter(strips[-1].high, 0.0)}, -1) is False


def test_strips_that_reach_beyond_the_cap_begin_their_crowd_themselves():
    memory, witness = RandomMemory.of(*ROW), lost(ROW)
    at = witness.log_patterns + STEP
    planted = replace(witness, cap=0.5 * witness.error)
    found = typical_enclosure(memory, planted, at, P)
    assert agrees(found, crowding.log_typical_survival(memory, planted, at))
    # in the last strip nearly nothing is between the cap and the rim, in the first ones much is
    assert found.low > typical_enclosure(memory, witness, at, P).high


def test_strips_beyond_the_floor_that_do_not_say_what_is_inside_are_not_proved():
    witness = lost(ROW)
    assert still_near({"floor": witness.error}) is True
    assert still_near({"floor": math.nextafter(witness.error, 0.0)}) is False
    assert still_near({"floor": 1e-3 * witness.error}) is False
    memory = RandomMemory.of(*ROW)
    planted = replace(witness, floor=0.5 * witness.error)
    assert crowding.log_typical_survival(memory, planted, witness.log_patterns) == 0.0


INSIDE = RandomMemory.of_lambda(12, 0.5, 0.0)


@cache
def inside() -> crowding.TypicalWitness:
    return crowding.typical_witness(INSIDE, 0.5, 0.5)


def test_a_crowd_with_patterns_inside_agrees_with_the_floats():
    witness = inside()
    at = witness.log_patterns + STEP
    assert 0.0 < witness.floor < witness.error
    found = typical_enclosure(INSIDE, witness, at, 0.5)
    assert agrees(found, crowding.log_typical_survival(INSIDE, witness, at))
    assert found.decided is True
    assert typical_enclosure(INSIDE, witness, witness.log_patterns - 0.05, 0.5).decided is False


def strip_tail(strip: crowding.Strip) -> float:
    witness = inside()
    with ctx.workprec(128):
        others = arb(witness.log_patterns).exp() - 1
        return float(_crowding_balls.strip_tails(INSIDE, witness, strip, others).upper())


@pytest.mark.parametrize(
    "changes",
    [
        {"allowance": lambda given: 0.5 * given},
        {"allowance": lambda _: 0.0},
        {"allowance": lambda given: -given},
        {"log_tilt": lambda given: given - 1.0},
        {"log_tilt": lambda given: given + 1.0},
        {"cosine": lambda _: 0.0},
        {"cosine": lambda _: 1.0},
        {"cosine": lambda _: 0.9999},
        None,
    ],
)
def test_what_is_inside_is_not_forgotten(changes):
    strip = inside().strips[-8]
    assert strip_tail(strip) < 0.2
    given = strip.inside
    planted = changes and replace(given, **{name: change(getattr(given, name)) for name, change in changes.items()})
    assert strip_tail(replace(strip, inside=planted)) > 0.5


def test_what_is_inside_agrees_with_another_integrator():
    dim, kappa, floor, reach, log_others = 3, 12.0, 0.1, 0.2, 1.0
    given = crowding.Inside(0.6, 1.2, 0.6)
    with mp.workdps(20):
        rim, tilt = mp.acos(mp.mpf(given.cosine)), mp.exp(given.log_tilt)
        share, mean_cosine = rim / mp.pi, mp.sin(rim) / rim

        def moment(theta):
            u = 1 - mp.cos(theta)
            pull = tilt * (mp.mpf(0.3) - u) * mp.exp(-kappa * u * (1 - mp.mpf(0.3)))
            across = kappa * reach / mean_cosine * mp.sin(theta)
            powers = [pull**j / mp.factorial(j) for j in range(8)]
            rest = mp.exp(pull * mp.exp(across)) - sum(p * mp.exp(j * across) for j, p in enumerate(powers))
            terms = [p * mp.besseli(0, j * across) for j, p in enumerate(powers)][1:]
            return sum(terms) + rest * mp.besseli(0, 8 * across) * mp.exp(-8 * across)

        points = [mp.acos(1 - mp.mpf(height)) for height in (floor, 0.3)]
        expected = mp.exp(log_others) * mean(dim, moment, points) - tilt * mp.mpf(0.6) - mp.log(share)
    assert -3.0 < expected < -0.3
    with ctx.workprec(128):
        others = arb(log_others).exp()
        tail = _crowding_balls.inner_tail(RandomMemory(dim, kappa), floor, 0.3, arb(reach), given, others)
        assert float(tail.log()) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.slow
def test_a_slack_of_the_wrong_sign_is_not_proved_however_much_room_there_is():
    # Here the bound lies some three hundred powers of e below what it has to prove.
    memory, witness = RandomMemory.of(200, 1.0, 1.0), lost((200, 1.0, 1.0))
    first = replace(witness.strips[0], slack=-witness.strips[0].slack)
    assert typical_enclosure(memory, witness, witness.log_patterns, P).high < -100.0
    planted = replace(witness, strips=(first, *witness.strips[1:]))
    assert typical_enclosure(memory, planted, witness.log_patterns, P).decided is False


@pytest.mark.parametrize("changes", [{"log_tilt": -18.0}, {"side_log_tilt": -11.0}])
def test_a_strip_with_a_tilt_of_the_wrong_sign_is_not_proved(changes):
    assert still_near(changes, 0) is False


def test_a_thin_strip_in_a_wide_error_agrees_with_the_floats():
    # Where a (2 - a) is less than the square of the error, it is what bounds the part across the pattern.
    memory, rims, log_patterns = RandomMemory(75, 74.0), (0.0, 0.004, 0.1), 43.0
    tilts = ((0.0016, 32.0, 16.7), (1e-4, 0.0, 17.0))
    strips = tuple(crowding.Strip(*rim, *tilt) for rim, tilt in zip(pairwise(rims), tilts, strict=True))
    witness = crowding.TypicalWitness(0.0, 0.1, 0.15, strips)
    found = typical_enclosure(memory, witness, log_patterns, P)
    assert agrees(found, crowding.log_typical_survival(memory, witness, log_patterns))


def test_strips_that_the_noop_slot_empties_need_no_crowd():
    witness = replace(lost(ROW), log_patterns=20.0)
    found = typical_enclosure(RandomMemory(20, 171.0, 200.0), witness, 20.0, P)
    with mp.workdps(20):
        assert agrees(found, float(mp.log((mp.exp(20) - 1) * cap(witness.error, 20))), 1e-12)
    assert found.decided is True


def test_coarse_balls_leave_the_answer_open(monkeypatch):
    memory, witness = RandomMemory.of(*ROW), pairs(ROW)
    at = witness.log_patterns + STEP
    fine = pairs_enclosure(memory, witness, at, P)
    monkeypatch.setattr(capacity_enclosures, "_PRECISION", 24)
    coarse = pairs_enclosure(memory, witness, at, P)
    assert coarse.decided is None
    assert coarse.low < fine.low < fine.high < coarse.high


def test_the_caller_keeps_its_precision():
    with ctx.workprec(77):
        pairwise_enclosure(RandomMemory.of(*ROW), 1.0, P)
        with pytest.raises(ValueError, match="log_patterns"):
            pairwise_enclosure(RandomMemory.of(*ROW), -1.0, P)
        assert ctx.prec == 77


def test_a_quantifier_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="quantifier"):
        chernoff_enclosure(RandomMemory.of(*ROW), stored(ROW, "all"), 1.0, P, "some")


@pytest.mark.parametrize(("log_patterns", "p"), [(0.0, P), (math.inf, P), (1.0, 0.0), (1.0, 1.0), (math.nan, P)])
def test_what_is_no_number_of_patterns_or_probability_is_refused(log_patterns, p):
    with pytest.raises(ValueError, match="it must"):
        pairwise_enclosure(RandomMemory.of(*ROW), log_patterns, p)


@pytest.mark.slow
def test_shells_reach_the_crowd_cap_to_the_last_bit():
    """Here their sum once fell one rounding short of the cap, which left a gap in the proof."""
    memory = RandomMemory.of(8, 2.0, 4.0, noop=1000.0)
    witness = chernoff.chernoff_witness(memory, 1e-6)
    assert witness.shells
    assert witness.shells[-1].high == witness.lone.crowd_cap
    assert chernoff_enclosure(memory, witness, witness.log_patterns - 1e-8, 1e-6, "all").decided is True


@pytest.mark.parametrize(("dim", "beta", "scale", "noop"), [(3, 8.0, 4.0, 0.0), (6, 8.0, 2.0, 1.0), (8, 2.0, 4.0, 1e3)])
def test_kinks_of_the_merging_bound_cost_no_digits(dim, beta, scale, noop):
    """Small dimensions spread the integrand over its kinks: a smooth rule alone lost up to ten digits here."""
    memory = RandomMemory.of(dim, beta, scale, noop=noop)
    witness = merging.pair_witness(memory, 1e-3)
    enclosure = pairs_enclosure(memory, witness, witness.log_patterns + 1e-8, 1e-3)
    assert enclosure.decided is True
    assert merging.log_pair_failure(memory, witness, enclosure.log_patterns) == pytest.approx(enclosure.low, abs=1e-12)


# --- by direction ---

AROUND = RandomMemory(40, 12.0)


@cache
def around() -> directional.Witness:
    witness = directional.directional_witness(AROUND, 0.1, "typical")
    assert witness is not None
    return witness


def by_limits(witness: directional.Witness, log_patterns: float, quantifier: str = "typical") -> Enclosure:
    return directional_enclosure(AROUND, witness, log_patterns, 0.1, quantifier)


def test_bounds_by_direction_agree_with_the_floats():
    witness = around()
    at = witness.log_patterns - STEP
    for quantifier, decided in (("typical", True), ("all", False)):
        found = by_limits(witness, at, quantifier)
        assert agrees(found, directional.log_failure(AROUND, witness, at, quantifier))
        assert found.decided is decided
    assert by_limits(witness, witness.log_patterns + 1e-2).decided is False


@pytest.mark.slow
def test_every_bound_by_direction_that_the_floats_find_is_confirmed():
    found = by_direction(AROUND, 0.1)
    assert [(e.quantifier, e.decided) for e in found] == [("all", True), ("typical", True)]
    assert all(e.high - e.low < 1e-12 for e in found)


def staged(case: directional.Case, index: int, **changes) -> directional.Case:
    stages = list(case.stages)
    stages[index] = replace(stages[index], **changes)
    return replace(case, stages=tuple(stages))


def alone(case: directional.Case) -> directional.Witness:
    return directional.Witness(0.0, case.crowd_cap, case)


@pytest.mark.parametrize(
    "planted",
    [
        lambda w: replace(w, crowd_cap=1.99 * w.ball**2),
        lambda w: replace(w, ball=w.ball * (1 + 1e-9)),
        lambda w: replace(w, ball=0.99 * w.stages[-1].target),
        lambda w: staged(w, 0, cells=w.stages[0].cells[:-1]),
        lambda w: staged(w, 0, cells=w.stages[0].cells[:3] + w.stages[0].cells[4:]),
        lambda w: staged(w, 0, sides=w.stages[0].sides[1:]),
        lambda w: staged(w, 0, sides=w.stages[0].sides[:-1]),
        lambda w: staged(w, 0, target=0.999 * w.stages[0].target),
        lambda w: staged(w, 0, width=0.999 * w.stages[0].width),
        lambda w: staged(w, 0, width=1.001 * w.stages[0].width),
        lambda w: staged(w, -1, target=1.001 * w.stages[-2].target),
        lambda w: replace(w, stages=(w.stages[0], *w.stages[2:])),
        lambda w: replace(w, contraction=replace(w.contraction, high=0.999 * w.contraction.high)),
        lambda w: replace(w, contraction=replace(w.contraction, across=0.999 * w.contraction.across)),
        lambda w: replace(w, stretch=w.stretch + 1e-9),
    ],
)
def test_a_witness_by_direction_that_implies_nothing_is_not_proved(planted):
    found = by_limits(alone(planted(around().lone)), 1e-6)
    assert agrees(found, 0.0, 1e-300)
    assert found.decided is False


@pytest.mark.parametrize("kind", ["cells", "sides"])
def test_a_tilt_of_the_wrong_sign_is_not_proved_by_direction(kind):
    witness = around()
    (first, *rest) = getattr(witness.lone.stages[-1], kind)
    wrong = replace(first, log_tilts=tuple(-5.0 for _ in first.log_tilts))
    assert (
        by_limits(alone(staged(witness.lone, -1, **{kind: (wrong, *rest)})), witness.log_patterns - STEP).decided
        is False
    )
