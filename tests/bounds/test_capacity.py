import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from hopfield_theory.bounds import (
    RandomMemory,
    chernoff,
    crowding,
    directional,
    mean_field,
    merging,
    one_update,
    sphere,
    table,
    union,
)

# these search for the same witnesses as other files
pytestmark = pytest.mark.xdist_group("witnesses")

ROWS = [(20, 3.0), (75, 1.0), (30, 2.0)]
P = 1e-3
COLD = RandomMemory(20, 171.0)


def of(dim, scale, noop=1.0):
    return RandomMemory.of(dim, 1.0, scale, noop)


@cache
def stored_witness(quantifier="all"):
    return chernoff.chernoff_witness(COLD, P, quantifier)


@cache
def merging_pair():
    return merging.pair_witness(COLD, P)


@pytest.mark.parametrize(("dim", "scale", "base"), [(20, 3.0, 3.1546), (75, 1.0, 1.3718)])
def test_published_constants_as_printed(dim, scale, base):
    assert math.floor(1e4 * math.exp(union.published_base(of(dim, scale), P))) / 1e4 == base


@pytest.mark.parametrize(("row", "size"), list(zip(ROWS, [7.41, 10.97, 8.50], strict=True)))
def test_published_capacity(row, size):
    assert math.exp(union.published(of(*row), P)) == pytest.approx(size, abs=5e-3)


@pytest.mark.parametrize("dim", [2, 3, 100, 10_000])
@pytest.mark.parametrize("kappa", [1e-6, 1.0, 1e3, 1e6])
def test_published_base_against_ball_arithmetic(dim, kappa):
    ctx.prec = 300
    beta = arb(kappa / (dim - 1))
    a = 2 / arb(dim - 1) * (1 + (2 * beta * arb(0.001) * (dim - 1)).log())
    b = 2 * beta / 5
    reference = (b / (a + b.log()).exp().lambertw()).log()
    value = union.published_base(RandomMemory(dim, kappa), P)
    agrees = bool(abs(arb(value) - reference) < arb(1e-10) * abs(reference) + arb(1e-13))
    ctx.prec = 53
    assert agrees


def test_published_bound_contradicts_the_single_fixed_point_of_a_cool_memory():
    # Below κ = 1 the update contracts the whole space, so no two patterns are stored; the formula promises hundreds.
    memory = RandomMemory(2, 1e-6)
    assert math.exp(union.published(memory, P)) > 400
    assert union.packing(memory) == 0.0


@pytest.mark.parametrize(("row", "size"), list(zip(ROWS, [861, 353_005, 3824], strict=True)))
@pytest.mark.parametrize("noop", [0.0, 1.0])
def test_pairwise_table(row, size, noop):
    assert math.floor(math.exp(union.pairwise(of(*row, noop), P))) == size


def test_pairwise_solves_its_own_equation():
    dim, scale = 20, 3.0
    log_m = union.pairwise(of(dim, scale), P)
    gap = one_update.least_gap(log_patterns=log_m, beta=1.0, radius=math.sqrt(171.0))
    pairs = log_m + math.log(math.expm1(log_m)) - math.log(2.0)
    assert pairs + float(sphere.log_cap(gap / 171.0, dim)) == pytest.approx(math.log(1e-3), rel=1e-9)


@pytest.mark.parametrize(("quantifier", "size"), [("all", 8.446e6), ("typical", 1.461e11)])
def test_so_many_are_proved_to_be_stored(quantifier, size):
    """The other rows of the table stand in the documents, which a test holds to these functions."""
    found = stored_witness(quantifier).log_patterns
    assert math.exp(found) == pytest.approx(size, rel=2e-3)
    assert union.pairwise(COLD, P) < found


@pytest.mark.parametrize(("row", "size"), [(ROWS[0], 8.61e6), (ROWS[2], 7.35e9)])
def test_pair_ceiling_is_just_above_the_merging_of_isolated_pairs(row, size):
    dim, scale = row
    found = merging.pair_witness(of(dim, scale), P)
    kappa = scale**2 * (dim - 1)
    isolated = 0.5 * (math.log(2e-3) - float(sphere.log_cap(2.0 / kappa, dim)))
    assert isolated < found.log_patterns < isolated + 0.06
    assert math.exp(found.log_patterns) == pytest.approx(size, rel=2e-3)


@pytest.mark.parametrize(
    ("row", "error", "size"),
    [
        (ROWS[1], 0.1, 4.56e18),
        pytest.param(ROWS[2], 0.02, 5.42e14, marks=pytest.mark.slow),
    ],
)
def test_typical_ceiling_comes_down_to_the_mean_field_curve(row, error, size):
    found = crowding.typical_witness(of(*row), P, error).log_patterns
    curve = mean_field.predicted(of(*row), error)
    assert curve < found < curve + 0.07
    assert math.exp(found) == pytest.approx(size, rel=5e-3)


def test_witnesses_reproduce_their_bounds():
    stored = stored_witness()
    assert stored.shells
    assert chernoff.log_failure(COLD, stored, stored.log_patterns, "all") == pytest.approx(math.log(1e-3), abs=1e-6)
    pair = merging_pair()
    assert merging.log_pair_failure(COLD, pair, pair.log_patterns) == pytest.approx(math.log(1e-3), abs=1e-6)
    typical = crowding.typical_witness(COLD, P, 0.01)
    for fewer, proved in ((0.0, True), (1e-5, False)):
        log_survival = crowding.log_typical_survival(COLD, typical, typical.log_patterns - fewer)
        assert (log_survival <= math.log(0.999)) is proved
    # Strips cover the overlaps without a gap.
    assert typical.strips[0].low == 0.0
    assert typical.strips[-1].high == typical.error
    assert all(a.high == b.low for a, b in zip(typical.strips[:-1], typical.strips[1:], strict=True))


@pytest.mark.parametrize("log_noop", [288.0, 293.0])
def test_the_search_finds_the_small_balls_that_a_heavy_slot_leaves(log_noop):
    memory = RandomMemory(12, 300.0, log_noop)
    assert chernoff.chernoff(memory, 1e-6) > union.pairwise(memory, 1e-6) > math.log(5)


@pytest.mark.parametrize("quantifier", ["all", "typical"])
def test_failure_bound_grows_with_the_number_of_patterns(quantifier):
    witness = stored_witness(quantifier)
    values = [
        chernoff.log_failure(COLD, witness, x, quantifier) for x in np.linspace(0.0, witness.log_patterns + 3, 40)
    ]
    assert values == sorted(values)


def test_all_stored_comes_close_to_the_merging_of_pairs():
    assert 0.0 < merging_pair().log_patterns - stored_witness().log_patterns < 0.02


# what C3 proved with one cap for all shells, and with the square of the crowd's distance twice in the contraction
ONE_CAP = [
    (RandomMemory(2, 1e6, -math.inf), 1e-3, 0.51127),
    (RandomMemory(16, 60.0), 1e-6, 3.99808),
]


@pytest.mark.slow
@pytest.mark.parametrize(("memory", "p", "before"), ONE_CAP, ids=str)
def test_a_cap_for_each_shell_is_better_than_one_for_all(memory, p, before):
    witness = chernoff.chernoff_witness(memory, p)
    assert before < witness.log_patterns < crowding.ceiling(memory, p)
    together = tuple(replace(shell, crowd_cap=witness.lone.crowd_cap) for shell in witness.shells)
    one = chernoff.log_failure(memory, replace(witness, shells=together), witness.log_patterns, "all")
    assert one > math.log(p) + 1e-3


def test_a_shell_costs_no_more_than_its_pairs():
    witness = stored_witness()
    at = witness.log_patterns
    first, *rest = witness.shells
    without = chernoff.log_failure(COLD, replace(witness, shells=tuple(rest)), at, "all")
    low, high = np.exp(sphere.log_cap(np.array([first.low, first.high]), 20))
    for changes in ({"ball": 0.9 * math.sqrt(2.0 * first.low)}, {"crowd_cap": 0.9 * first.high}, {"crowd_cap": 1.0}):
        void = replace(witness, shells=(replace(first, **changes), *rest))
        cost = math.exp(chernoff.log_failure(COLD, void, at, "all")) - math.exp(without)
        assert cost == pytest.approx(math.exp(2.0 * at) * (high - low), rel=1e-6)


def test_void_allowances_prove_nothing():
    witness = stored_witness()
    no_room = replace(witness.shells[0], ball=1e-9)
    assert chernoff.log_failure(COLD, replace(witness, shells=(no_room,)), 10.0, "all") > chernoff.log_failure(
        COLD, replace(witness, shells=(witness.shells[0],)), 10.0, "all"
    )
    assert merging.log_pair_failure(COLD, merging.PairWitness(0.0, 2.0 / 171.0, 0.01), 15.0) == -math.inf
    assert merging.log_pair_failure(COLD, merging.PairWitness(0.0, 1.9 / 171.0, 0.9), 15.0) == -math.inf


@pytest.mark.slow
@settings(max_examples=3)
@given(st.integers(3, 60), st.floats(0.5, 3.0), st.sampled_from([0.0, 1.0, 100.0]))
def test_orders_that_must_hold(dim, log10_kappa, noop):
    memory = RandomMemory.of_lambda(dim, 10.0**log10_kappa / dim, noop)
    plain, every = union.pairwise(memory, P), chernoff.chernoff(memory, P)
    if plain > math.log(2.0):
        assert every > plain
    assert every < merging.pair_witness(memory, P).log_patterns
    assert every <= union.packing(memory) + 1e-9


@pytest.mark.parametrize(("dim", "kappa"), [(300, 400.0), (1000, 3000.0)])
def test_in_many_dimensions_all_patterns_are_stored_where_one_is(dim, kappa):
    """The crowd hardly fluctuates there, and nobody has a near neighbour."""
    memory = RandomMemory(dim, kappa)
    assert chernoff.chernoff(memory, P, "all") > chernoff.chernoff(memory, P, "typical") - 0.01


@pytest.mark.slow
def test_exponent_of_both_bounds_tends_to_the_threshold():
    alpha = float(mean_field.threshold(1.0))
    low, high = [], []
    for dim in (100, 2000):
        memory = RandomMemory.of_lambda(dim, 1.0)
        low.append(chernoff.chernoff(memory, P, "typical") / (alpha * dim))
        high.append(crowding.typical_witness(memory, P, 0.5 / dim).log_patterns / (alpha * dim))
    assert all(a < b < 1.0 for a, b in zip(low, high, strict=True))
    assert low == sorted(low)
    assert high == sorted(high)
    assert low[-1] > 0.992


def test_noop_mass_matters_only_beyond_lambda():
    base, same = (chernoff.chernoff(RandomMemory(60, 60.0, log_n), P, "typical") for log_n in (-math.inf, 30.0))
    assert same == pytest.approx(base, rel=1e-6)
    assert chernoff.chernoff(RandomMemory(60, 60.0, 80.0), P, "typical") == -math.inf
    assert union.pairwise(RandomMemory(60, 60.0, 80.0), P) == -math.inf


@pytest.mark.parametrize("dim", [10**6, 10**7, 10**9])
def test_what_needs_integrals_is_left_out_in_very_many_dimensions(dim):
    memory = RandomMemory.of(dim, 1.0, 3.0)
    rows = {row.statement: row for row in table.capacity_table(memory, P)}
    assert {row.how for row in rows.values()} == {"published", "proved", "heuristic"}
    left_out = {name for name, row in rows.items() if math.isnan(row.log_patterns)}
    assert left_out == {"C3", "C10", "C6", "C3 typical", "C10 typical", "C7", "C9"}
    assert all(rows[name].meaning == "left out: not evaluated above d = 100000" for name in left_out)
    logs = [rows[name].log_patterns for name in ("C1", "C2", "C5", "C4", "C8")]
    assert logs == sorted(logs)
    for evaluate in (chernoff.chernoff, crowding.ceiling, directional.directional, merging.pair_witness):
        with pytest.raises(ValueError, match=f"dim is {dim}: it must be an integer in \\[2, 100000\\]"):
            evaluate(memory, P)


def test_dimensions_beyond_all_bounds_are_refused_and_a_cool_memory_is_not():
    with pytest.raises(ValueError, match="dim is 10000000000: it must be an integer in"):
        table.capacity_table(RandomMemory(10**10, 1e10), P)
    with pytest.raises(
        ValueError, match="kappa is 1e\\+15: the bounds are evaluated for κ = β m² from 1e-07 to 1e\\+13"
    ):
        table.capacity_table(RandomMemory(100_000, 1e15), P)
    rows = {row.statement: row for row in table.capacity_table(RandomMemory(10**6, 0.5), P)}
    assert rows["C6"].log_patterns == math.log(2.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dim", "kappa", "quantifier"),
    [(2, 1e-6, "all"), (10_000, 1e-6, "all"), (10_000, 1e6, "typical")],
)
def test_no_overflow_at_the_extremes(dim, kappa, quantifier):
    memory = RandomMemory(dim, kappa, -math.inf)
    assert 0.0 <= chernoff.chernoff(memory, P, quantifier) <= crowding.ceiling(memory, P, quantifier)


def run(patterns, x, beta, n, steps=3000):
    for _ in range(steps):
        z = beta * x @ patterns.T
        top = np.maximum(z.max(axis=1, keepdims=True), math.log(n) if n else -math.inf)
        weights = np.exp(z - top)
        new = weights @ patterns / (weights.sum(axis=1, keepdims=True) + (n * np.exp(-top) if n else 0.0))
        if np.abs(new - x).max() < 1e-12:
            break
        x = new
    return x


def sphere_points(rng, count, dim, radius):
    points = rng.normal(size=(count, dim))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


def test_pairs_below_the_ceiling_merge_and_above_the_shells_do_not():
    rng = np.random.default_rng(11)
    dim, kappa = 20, 171.0
    height = merging_pair().height
    first = stored_witness().shells[0]
    for u, merges in [(0.98 * height, True), (first.low, False)]:
        patterns = sphere_points(rng, 400, dim, 1.0)
        side = rng.normal(size=dim)
        side -= (side @ patterns[0]) * patterns[0]
        patterns[1] = (1 - u) * patterns[0] + math.sqrt(u * (2 - u)) * side / np.linalg.norm(side)
        ends = run(patterns, patterns[:2], kappa, 1.0)
        assert (np.linalg.norm(ends[0] - ends[1]) < 1e-6) == merges
        if not merges:
            assert np.linalg.norm(ends - patterns[:2], axis=1).max() <= first.ball


@pytest.mark.slow
def test_simulation_lies_between_the_typical_bounds():
    # d = 16, κ = 16: the bounds at p = ½, and the success of one pattern at sizes below and above.
    rng = np.random.default_rng(5)
    dim, kappa, trials = 16, 16.0, 40
    memory = RandomMemory(dim, kappa, -math.inf)
    witness = chernoff.chernoff_witness(memory, 0.5, "typical")
    limit = crowding.ceiling(memory, 0.5, "typical", 0.1)
    successes = []
    for log_m in (witness.log_patterns, limit):
        hits = 0
        for _ in range(trials):
            patterns = sphere_points(rng, round(math.exp(log_m)), dim, 1.0)
            end = run(patterns, patterns[:1], kappa, 0.0, steps=200)
            hits += bool(np.linalg.norm(end - patterns[:1]) <= (witness.lone.ball if not successes else 0.1))
        successes.append(hits / trials)
    assert successes[0] > 0.5
    assert successes[1] < 0.5


@pytest.mark.parametrize("dim", [12, pytest.param(16, marks=pytest.mark.slow)])
def test_above_the_ceiling_with_patterns_inside_fewer_than_half_have_a_fixed_point_within_half_the_radius(dim):
    """Fixed points are looked for from the pattern and from random states of the ball around it."""
    rng, memory = np.random.default_rng(dim), RandomMemory.of_lambda(dim, 0.5, 0.0)
    witness = crowding.typical_witness(memory, 0.5, 0.5)
    size, near, crowded = math.ceil(math.exp(witness.log_patterns)), 0, 0
    for _ in range(60):
        patterns = sphere_points(rng, size, dim, 1.0)
        starts = patterns[0] + sphere_points(rng, 20, dim, 0.5) * rng.uniform(size=(20, 1)) ** (1 / dim)
        ends = run(patterns, np.concatenate([patterns[:1], starts]), memory.kappa, 0.0, steps=500)
        near += bool(np.linalg.norm(ends - patterns[0], axis=1).min() <= 0.5)
        crowded += bool((1 - patterns[1:] @ patterns[0]).min() < 0.5)
    assert near < 30
    # nearly every ball has patterns in the part that they were kept out of before
    assert crowded > 30


def test_patterns_are_let_in_only_where_that_proves_more():
    today = crowding.typical_witness(COLD, P)
    assert today.floor is None
    assert all(strip.inside is None for strip in today.strips)
    assert today.least_height == today.error
    # so many are needed here that one would be nearer than any float
    assert crowding.typical_witness(RandomMemory(3, 200.0), P).log_patterns == math.inf
    # without patterns inside nothing was proved here, and in two dimensions nothing is
    wide = crowding.typical_witness(RandomMemory.of_lambda(16, 1.0), 0.5, 0.35)
    assert wide.floor < wide.error
    assert all((strip.inside is not None) == (strip.high > wide.floor) for strip in wide.strips)
    assert mean_field.predicted(RandomMemory.of_lambda(16, 1.0), 0.35) < wide.log_patterns < 9.6
    assert crowding.typical_witness(RandomMemory.of_lambda(2, 1.0), 0.5, 0.5).log_patterns == math.inf


PROOFS = Path(__file__).parents[2] / "docs" / "bounds-proofs.md"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "lam", "dim"), [("½", 0.5, 32), ("1", 1.0, 16)])
def test_the_table_of_ceilings_with_patterns_inside(name, lam, dim):
    memory = RandomMemory.of_lambda(dim, lam)
    found = re.search(rf"^\| {name} \| {dim} \| (.*) \|$", PROOFS.read_text(encoding="utf-8"), re.MULTILINE)
    *ceilings, fold = map(float, found.group(1).split(" | "))
    assert mean_field.fold(memory).log_patterns == pytest.approx(fold, abs=5.1e-3)
    for error, printed in zip((0.25, 0.35, 0.5), ceilings, strict=True):
        # numbers are rounded up, and the search stops within a thousandth
        ceiling = crowding.ceiling(memory, 0.5, "typical", error)
        assert printed - 0.0115 < ceiling <= printed


def test_floors_are_rare_heights_or_the_edges_right_above():
    memory, edges = RandomMemory(12, 6.0), [0.0, 0.1, 0.2, 0.3]
    log_share = float(sphere.log_cap(0.15, 12))
    assert crowding._floor(memory, 0.0, log_share, edges) == pytest.approx(0.15, rel=2e-11)
    for height, floor in ((0.2 * (1 - 1e-7), 0.2), (0.2 * (1 + 1e-7), 0.2 * (1 + 1e-7)), (0.9, 0.3)):
        log_share = float(sphere.log_cap(height, 12))
        assert crowding._floor(memory, 0.0, log_share, edges) == pytest.approx(floor, rel=2e-11)


def test_forced_distance_holds_for_pairs_and_comes_down_to_one_over_beta_m():
    for radius in (1.01, 2.0, 10.0, 1e3):
        # An isolated pair splits at β D² = 4, that is at D = 2/sqrt(β), with m >= D/2.
        assert 1.0 / radius < union.forced_distance(beta=1.0, radius=radius) < 2.0
    assert union.forced_distance(beta=1.0, radius=1e3) == pytest.approx(1e-3, rel=1e-6)
    assert union.forced_distance(beta=1.0, radius=1.0) == math.inf


def test_circle_of_attractors_keeps_the_forced_distance():
    # Equally spaced patterns on a circle, closer than β D² = 4 yet all attractors.
    count = 13
    angles = 2 * math.pi * np.arange(count) / count
    patterns = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    gap = 2 * math.sin(math.pi / count)
    for beta in (40.0, 20.0, 10.0):
        ends = run(patterns, patterns, beta, 0.0)
        apart = np.linalg.norm(ends[0] - ends[1])
        if apart > 0.5 * gap and np.linalg.norm(ends[0] - patterns[0]) < 0.5 * gap:
            assert gap >= union.forced_distance(beta=beta, radius=1.0)
    assert union.packing(RandomMemory(2, 10.0)) >= math.log(count)


def test_packing_is_the_code_bound_at_the_forced_distance():
    angle = math.acos(1.0 - 0.5 * (union.forced_distance(beta=1.0, radius=4.0) / 4.0) ** 2)
    cap = float(sphere.log_cap(1.0 - math.cos(0.5 * angle), 17))
    assert union.packing(RandomMemory(17, 16.0)) == pytest.approx(-cap, rel=1e-6)


def test_packing_allows_one_pattern_only_where_memory_is_cool():
    assert union.packing(RandomMemory.of(5, 0.05, 1.0)) == 0.0
    sizes = [union.packing(RandomMemory.of(5, b, 1.0)) for b in (0.1, 0.3, 1.0, 10.0, 1e5)]
    assert sizes == sorted(sizes)


BOUNDS = [
    union.published_base,
    union.published,
    union.pairwise,
    chernoff.chernoff,
    chernoff.chernoff_witness,
    merging.pair_witness,
    crowding.ceiling,
    crowding.typical_witness,
    table.capacity_table,
]


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("p", [0.0, 1.0, math.nan])
@pytest.mark.parametrize("kappa", [0.5, 171.0])
def test_bad_probabilities_are_named(bound, p, kappa):
    with pytest.raises(ValueError, match=f"^failure_probability is {p}: it must lie strictly between 0 and 1"):
        bound(RandomMemory(20, kappa), p)


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        *((make, "dim", value) for make in ("of", "of_lambda", "plain") for value in (1, math.nan, 2.5)),
        *(("of", name, value) for name in ("beta", "scale") for value in (0.0, -1.0, math.nan, math.inf)),
        *(("of_lambda", "lam", value) for value in (0.0, -1.0, math.nan, math.inf)),
        *((make, "noop", value) for make in ("of", "of_lambda") for value in (-1.0, math.nan, math.inf)),
        *(("plain", "kappa", value) for value in (0.0, -1.0, math.nan, math.inf)),
        *(("plain", "log_noop", value) for value in (math.nan, math.inf)),
    ],
)
def test_memories_that_cannot_be_are_refused_by_name(make, name, value):
    good = {
        "of": (RandomMemory.of, {"dim": 5, "beta": 1.0, "scale": 1.0}),
        "of_lambda": (RandomMemory.of_lambda, {"dim": 5, "lam": 1.0}),
        "plain": (RandomMemory, {"dim": 5, "kappa": 1.0}),
    }
    function, arguments = good[make]
    with pytest.raises(ValueError, match=f"^{name} is {value}: it must"):
        function(**arguments | {name: value})


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomMemory.of(5, 1.0, 1e200),
        lambda: RandomMemory.of_norm(5, 1.0, 1e200),
        lambda: one_update.least_gap(log_patterns=1.0, beta=1.0, radius=1e200),
    ],
)
def test_norms_whose_square_overflows_are_refused(make):
    with pytest.raises(ValueError, match=r"^kappa is inf: it must"):
        make()


def test_one_memory_by_three_ways():
    memory = RandomMemory.of(20, 2.0, 3.0, 7.0)
    assert memory == RandomMemory(20, 342.0, math.log(7.0)) == RandomMemory.of_lambda(20, 17.1, 7.0)
    assert (memory.lam, memory.noop) == (17.1, pytest.approx(7.0))
    assert (
        RandomMemory.of(20, 2.0, 3.0).noop == RandomMemory.of_lambda(20, 1.0).noop == RandomMemory(20, 1.0).noop == 1.0
    )
    assert [type(x) for x in (RandomMemory(20.0, 3, 1).dim, RandomMemory(20, 3, 1).kappa)] == [int, float]
    assert type(RandomMemory(20, 3, 1).log_noop) is float
    assert (RandomMemory(2, 1.0, -math.inf).noop, RandomMemory(2, 1.0, 1e4).noop) == (0.0, math.inf)


@pytest.mark.parametrize("bound", [chernoff.chernoff, chernoff.chernoff_witness, crowding.ceiling])
def test_unknown_quantifiers_are_named(bound):
    with pytest.raises(ValueError, match="quantifier is 'most': it must be one of 'all', 'typical'"):
        bound(COLD, P, "most")


@pytest.mark.parametrize("error", [0.0, 1.0, 1.5])
@pytest.mark.parametrize("kappa", [0.5, 171.0])
def test_bad_errors_are_named_wherever_they_are_given(error, kappa):
    memory = RandomMemory(20, kappa)
    for quantifier in ("all", "typical"):
        with pytest.raises(ValueError, match=f"^error is {error}: it must lie strictly between 0 and 1"):
            crowding.ceiling(memory, P, quantifier, error)
    with pytest.raises(ValueError, match=f"^error is {error}: it must"):
        crowding.typical_witness(memory, P, error)


def test_a_bad_radius_is_named():
    with pytest.raises(ValueError, match=r"radius is 0\.0"):
        union.forced_distance(beta=1.0, radius=0.0)


def test_the_published_bound_is_void_below_two_patterns():
    for scale, size in ((2.0, 1.46), (2.5, 3.36), (2.25, 2.22)):
        formula = 0.5 * math.log(1e-3) + 0.25 * 19 * union.published_base(of(20, scale), P)
        assert math.exp(formula) == pytest.approx(size, abs=5e-3)
        assert union.published(of(20, scale), P) == (formula if size >= 2.0 else -math.inf)


def test_a_cool_memory_stores_no_two_patterns():
    cool, warm = RandomMemory(5, 1.0 - 1e-9), RandomMemory(5, 1.0)
    assert crowding.ceiling(cool, P) == math.log(2.0)
    assert crowding.ceiling(cool, P, "typical") > 1.0
    assert crowding.ceiling(warm, P) > 1.0


def test_a_single_pattern_stays_where_the_slot_leaves_it_a_ball():
    alone = chernoff.chernoff_witness(RandomMemory(2, 1e-6), P)
    assert (alone.log_patterns, alone.cap, alone.lone.crowd_cap, alone.shells) == (0.0, 2.0, 2.0, ())
    lost = chernoff.chernoff_witness(RandomMemory(60, 60.0, 80.0), P)
    assert (lost.log_patterns, lost.cap, lost.lone.crowd_cap, lost.shells) == (-math.inf, 2.0, 2.0, ())
    held = chernoff._single(RandomMemory(5, 9.0, 3.0))
    assert held.log_patterns == 0.0
    # the ball is mapped into itself and contracted with no other pattern about
    leak = math.exp(3.0 - 9.0 * (1.0 - held.lone.ball))
    assert (1.0 - held.lone.ball) * leak < held.lone.ball
    assert 8.0 * leak < 1.0


def test_the_ceiling_for_all_is_the_smaller_of_the_two(monkeypatch):
    for typical, pair in ((9.0, 8.0), (7.0, 8.0)):
        monkeypatch.setattr(crowding, "typical_witness", lambda *_, typical=typical: merging.PairWitness(typical, 0, 0))
        monkeypatch.setattr(crowding, "pair_witness", lambda *_, pair=pair: merging.PairWitness(pair, 0, 0))
        assert crowding.ceiling(COLD, P) == min(typical, pair)
        assert crowding.ceiling(COLD, P, "typical") == typical


@pytest.mark.parametrize(
    ("log_patterns", "ball", "error"),
    [(5.0, 0.2, 0.2), (5.0, 1e-3, 1 / 171), (5.0, 0.7, 0.5), (0.0, 0.2, 1 / 171), (-math.inf, 0.2, 1 / 171)],
)
def test_the_default_error_of_the_typical_ceiling(monkeypatch, log_patterns, ball, error):
    """The ball of C3 where it stores anything, at least 1/κ and at most ½."""
    lone = chernoff.Case(math.inf, math.inf, 0.1, ball)
    monkeypatch.setattr(crowding, "chernoff_witness", lambda *_: chernoff.Witness(log_patterns, 0.1, lone))
    for search in ("_typical_solved", "_solved_with_patterns_inside"):
        monkeypatch.setattr(crowding, search, lambda memory, best, *_: best)
    found = crowding.typical_witness.__wrapped__(COLD, P)
    assert (found.error, found.log_patterns, found.strips) == (error, math.inf, ())


def test_c7_excludes_survival_however_rare_it_is_to_be():
    """Its strips once provided for four deviations of the crowd's direction, whatever the chance: none at 1e-6."""
    memory, survival = RandomMemory.of(12, 12 / 11, 1.0), 1e-6
    witness = crowding.typical_witness(memory, 1 - survival, 0.01)
    assert witness.log_patterns < math.log(400)
    assert crowding.log_typical_survival(memory, witness, witness.log_patterns) <= math.log(survival) + 1e-9
