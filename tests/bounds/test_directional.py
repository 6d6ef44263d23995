"""C10: its witnesses against integrals by QUADPACK, against memories drawn, and against its neighbours C3 and C7."""

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
from scipy import integrate, special

from hopfield_theory.bounds import RandomMemory, _crowd, _directional_proof, chernoff, crowding, directional
from hopfield_theory.bounds.directional import Case, Cell, Side, Stage, Witness

# these search for the same witnesses as other files
pytestmark = pytest.mark.xdist_group("witnesses")

SMALL, P = RandomMemory(24, 12.0), 0.2
ROW = RandomMemory.of(75, 1.0, 1.0)


@cache
def found(memory=SMALL, p=P, quantifier="typical"):
    return directional.directional_witness(memory, p, quantifier)


def alone(case, log_patterns=0.0):
    """Return the witness of one case without shells."""
    return Witness(log_patterns, case.crowd_cap, case)


def log_failure(witness, log_patterns=None, quantifier="typical", memory=SMALL):
    at = witness.log_patterns if log_patterns is None else log_patterns
    return directional.log_failure(memory, witness, at, quantifier)


def test_a_witness_reproduces_its_probability():
    witness = found()
    assert log_failure(witness) == pytest.approx(math.log(P), abs=1e-9)
    assert log_failure(witness, witness.log_patterns + 1e-3) > math.log(P)
    assert directional.directional(SMALL, P, "typical") == witness.log_patterns


@pytest.mark.parametrize("quantifier", ["all", "typical"])
def test_the_failure_bound_grows_with_the_number_of_patterns(quantifier):
    witness = found()
    bounds = [log_failure(witness, x, quantifier) for x in np.linspace(0.0, witness.log_patterns + 3.0, 6)]
    assert bounds == sorted(bounds)
    for log_patterns in (0.0, witness.log_patterns):
        typical, every = (log_failure(witness, log_patterns, q) for q in ("typical", "all"))
        assert typical + log_patterns - math.log(2.0) <= every <= typical + log_patterns


@pytest.mark.slow
def test_it_lies_between_c3_and_the_ceiling_of_its_own_ball():
    witness = found()
    assert chernoff.chernoff(SMALL, P, "typical") + 0.3 < witness.log_patterns
    assert witness.log_patterns < crowding.ceiling(SMALL, P, "typical", witness.ball)


@pytest.mark.slow
def test_so_many_are_proved_to_be_stored():
    one, every = (found(ROW, 1e-3, quantifier) for quantifier in ("typical", "all"))
    for witness, size in ((one, 4.1e18), (every, 3.1e18)):
        assert size < math.exp(witness.log_patterns) < 1.05 * size
    # that many of a given one, and so no more of all
    chernoffs = chernoff.chernoff(ROW, 1e-3, "typical")
    assert one.log_patterns > chernoffs + math.log(5.0)
    assert every.log_patterns > chernoffs + math.log(3.5)
    ceiling = crowding.ceiling(ROW, 1e-3, "typical", one.ball)
    assert one.log_patterns < ceiling < one.log_patterns + 0.4


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "kappa", "quantifier"), [(10_000, 1e4, "all"), (3, 1e9, "all")])
def test_no_overflow_at_the_extremes(dim, kappa, quantifier):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        memory = RandomMemory(dim, kappa, -math.inf)
        witness = found(memory, 1e-3, quantifier)
        assert 0.0 < witness.log_patterns < crowding.ceiling(memory, 1e-3, "typical", witness.ball)
        assert log_failure(witness, None, quantifier, memory) <= math.log(1e-3)


@pytest.mark.parametrize("memory", [RandomMemory(8, 0.99), RandomMemory(8, 8.0, 20.0), RandomMemory(2, 8.0)])
def test_where_nothing_is_stored_nothing_is_found(memory):
    assert directional.directional_witness(memory, 1e-3) is None
    assert directional.directional(memory, 1e-3) == -math.inf


def test_unknown_quantifiers_and_bad_probabilities_are_named():
    with pytest.raises(ValueError, match="quantifier"):
        directional.directional(SMALL, P, "some")
    with pytest.raises(ValueError, match="failure_probability"):
        directional.directional(SMALL, 1.0)


# --- the bound written anew ---


def mean(function, low, dim):
    norm = math.exp(special.gammaln(dim / 2) - special.gammaln((dim - 1) / 2)) / math.sqrt(math.pi)
    first = math.acos(1.0 - low)

    def integrand(theta):
        return norm * math.sin(theta) ** (dim - 2) * function(1.0 - math.cos(theta))

    points = np.linspace(first, math.pi, 9)[1:-1]
    return integrate.quad(integrand, first, math.pi, points=points, epsabs=0.0, epsrel=1e-9, limit=400)[0]


def log_psi(x, dim):
    term, total = 1.0, 0.0
    for k in range(1, 200):
        term *= x * x / 4 / (k * (dim / 2 + k - 1))
        total += term
    return math.log1p(total)


def phi(k, s):
    """Return the rest of the exponential series after k terms, over s^k."""
    term, total = 1.0 / math.factorial(k), 0.0
    for j in range(120):
        total, term = total + term, term * s / (j + k + 1)
    return total


def sums_of(memory, case):
    """Yield kind, size of a summand as a function of its height, limit and log tilt of every sum of a case."""
    kappa = memory.kappa

    def across(u):
        return np.sqrt(u * (2 - u))

    def h(u, y):
        return np.exp(-kappa * u * (1 - y))

    def cell_sums(cell, factor):
        sizes = (
            lambda u: factor(u) * h(u, cell.high),
            lambda u: factor(u) * h(u, cell.high) * across(u),
            lambda u: factor(u) * h(u, cell.high) * across(u) ** 2 * phi(2, kappa * cell.across * across(u)),
        )
        yield from zip(("number", "vector", "matrix"), sizes, cell.limits, cell.log_tilts, strict=True)

    def side_sums(side):
        def change(u):
            return h(u, side.high) - h(u, side.low)

        sizes = (
            lambda u: h(u, side.high) * across(u),
            change,
            lambda u: change(u) * across(u) ** 2,
            lambda u: h(u, side.high) * across(u) ** 2 * phi(1, kappa * side.across * across(u)),
        )
        yield from zip(("vector", "number", "matrix", "matrix"), sizes, side.limits, side.log_tilts, strict=True)

    for stage in case.stages:
        for cell in stage.cells:
            yield from cell_sums(cell, lambda u, z=stage.target: np.maximum(u - z, 0.0))
        for side in stage.sides:
            yield from side_sums(side)
    last = case.contraction
    yield from cell_sums(last, lambda u: np.maximum(kappa * (u - last.high) ** 2 - 1, 0.0))

    def stretch(u):
        return kappa * h(u, last.high) * np.exp(kappa * last.across * across(u)) * across(u) ** 2

    yield "matrix", stretch, case.stretch, case.stretch_log_tilt


def hand_made():
    """Return a memory and a witness of one stage with round numbers."""
    memory, rho, limit = RandomMemory(9, 30.0, 12.0), 0.05, 1e-3
    cells = (Cell(0.0, 0.05, (0.01, limit, limit), (4.0, 5.0, 6.0)), Cell(0.06, 0.05, (0.01, limit, limit), (4.0,) * 3))
    sides = (Side(-0.05, 0.05, 0.05, (0.005, 1e-4, 1e-3, 1e-3), (5.0, 9.0, 6.0, 6.0)),)
    last = Cell(0.04, 0.02, (0.2, limit, limit), (3.0, 4.0, 5.0))
    return memory, alone(Case(0.2, rho, (Stage(0.035, 0.01, cells, sides),), last, 0.1, 3.0))


def test_the_failure_bound_written_anew():
    memory, witness = hand_made()
    dim, near = memory.dim - 1, 1.0 - mean(lambda u: 1.0, witness.cap, memory.dim)
    grown = []
    for kind, summand, limit, log_tilt in sums_of(memory, witness.lone):
        t, count = math.exp(log_tilt), dim if kind == "matrix" else 1

        def exponent(x, kind=kind, t=t):
            return log_psi(t * x, dim) if kind == "vector" else t * x

        moment = mean(lambda u, k=summand, e=exponent: math.expm1(e(k(u))), witness.cap, memory.dim)
        grown.append((count, moment / count, exponent(limit)))
    for size in (3.0, 60.0):
        tails = [min(0.0, math.log(count) + size * moment - gain) for count, moment, gain in grown]
        expected = np.logaddexp.reduce([math.log(size * near), *tails])
        assert directional.log_failure(memory, witness, math.log(size), "typical") == pytest.approx(expected, rel=1e-6)
        assert min(tails) < -0.5


# --- what limits imply, and how often they are exceeded ---


def drawn(rng, memory, size):
    patterns = rng.normal(size=(size, memory.dim))
    patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    heights = 1.0 - patterns[1:] @ patterns[0]
    across = patterns[1:] - (1.0 - heights)[:, None] * patterns[0]
    return patterns, heights, across / np.linalg.norm(across, axis=1, keepdims=True)


def size_of(kind, summand, heights, directions):
    k = summand(heights)
    if kind == "number":
        return k.sum()
    if kind == "vector":
        return np.linalg.norm(k @ directions)
    return np.linalg.eigvalsh((directions * k[:, None]).T @ directions)[-1]


def on_cylinder(rng, axis, low, high, across, count):
    side = rng.normal(size=(count, len(axis)))
    side -= np.outer(side @ axis, axis)
    side *= across / np.linalg.norm(side, axis=1, keepdims=True)
    return (1.0 - rng.choice([low, high, high], size=count))[:, None] * axis + side


def test_memories_within_the_limits_store_their_pattern():
    """The images of ball and cylinders, and the slope in the last one, are where the witness says."""
    rng, witness, kappa = np.random.default_rng(0), found(), SMALL.kappa
    size, met, tight = int(math.exp(witness.log_patterns)), 0, 0.0
    sums = list(sums_of(SMALL, witness.lone))
    for _ in range(12):
        patterns, heights, directions = drawn(rng, SMALL, size)
        if heights.min() < witness.cap or any(size_of(k, f, heights, directions) > g for k, f, g, _ in sums):
            continue
        met += 1
        ends = rng.normal(size=(60, SMALL.dim))
        ends[:10] = patterns[0] * -1.0 + 0.2 * ends[:10]
        states = patterns[0] + witness.ball * ends / np.linalg.norm(ends, axis=1, keepdims=True)
        for stage in witness.lone.stages:
            weights = np.exp(kappa * (states @ patterns.T - 1.0))
            weights /= math.exp(SMALL.log_noop - kappa) + weights.sum(axis=1, keepdims=True)
            images = weights @ patterns
            along = 1.0 - images @ patterns[0]
            aside = np.linalg.norm(images - np.outer(1.0 - along, patterns[0]), axis=1)
            assert along.min() >= 0.0
            assert along.max() <= stage.target
            assert aside.max() <= stage.width
            tight = max(tight, along.max() / stage.target)
            states = on_cylinder(rng, patterns[0], 0.0, stage.target, stage.width, 60)
        for p in weights:
            centre = p @ patterns
            spread = (patterns * p[:, None]).T @ patterns - np.outer(centre, centre)
            assert kappa * np.linalg.eigvalsh(spread)[-1] < 1.0
    assert met > 6
    assert tight > 0.5


@pytest.mark.parametrize("kind", ["scalar", "vector", "matrix"])
def test_limits_bound_how_often_sums_exceed_them(kind):
    rng, memory, size, level = np.random.default_rng(0), RandomMemory(6, 20.0), 60, 2.0
    crowd = _crowd.Crowd(memory, 0.1, 0.0)
    rates = crowd.cell_rates(crowd.excess(0.0), 0.02, 0.05)
    limit, log_tilt = crowd.limit(kind, rates[0], math.log(size), level)
    tail = crowd.event(kind, rates[0], limit, log_tilt).log_tail(math.log(size))
    assert -level - 0.01 < tail < -level + 0.01
    trials, exceeded = 4000, 0
    for _ in range(trials):
        _, heights, directions = drawn(rng, memory, size)
        k = np.where(heights > 0.1, heights * np.exp(-20.0 * 0.98 * heights), 0.0)
        value = {"scalar": k.sum, "vector": lambda k=k, w=directions: np.linalg.norm(k @ w)}.get(
            kind, lambda k=k, w=directions: np.linalg.eigvalsh((w * k[:, None]).T @ w)[-1]
        )()
        exceeded += value > limit
    assert 0 < exceeded < trials * math.exp(tail)


@pytest.mark.slow
def test_in_many_dimensions_all_patterns_are_stored_where_one_is():
    """Beside them single patterns would weigh far more than typical ones: tilts may lie e^300 apart."""
    memory = RandomMemory.of_lambda(10_000, 1.0)
    every, one = (directional.directional(memory, 1e-3, quantifier) for quantifier in ("all", "typical"))
    assert every > one - 0.01


def test_the_functions_of_the_series_increase_and_join():
    s = np.concatenate([np.linspace(0.0, 1.0, 41), np.linspace(1.5, 30.0, 20)])
    for k, function in ((1, _crowd._log_growth), (2, _crowd._log_curvature)):
        assert np.exp(function(s)) == pytest.approx(phi(k, s), rel=1e-12)
        assert function(np.array([1e30])) == pytest.approx(1e30)


def test_limits_take_the_room_that_the_proof_gives_them():
    """Inequalities (3), (4) and the slope of the proof, written anew: the search makes equalities of them."""
    witness, kappa, slot = found(), SMALL.kappa, math.exp(SMALL.log_noop)

    def pulled(cell):
        reach = kappa * cell.across
        return cell.limits[0] + reach * cell.limits[1] + reach**2 * cell.limits[2]

    for stage in witness.lone.stages:
        z, widths = stage.target, []
        for cell in stage.cells:
            taken = pulled(cell) + (1 - z) * slot * math.exp(-kappa * (1 - cell.high))
            assert taken == pytest.approx(z, rel=1e-10)
            assert min(cell.limits) > 1e-7 * z
        for side in stage.sides:
            drift, change, spread, growth = side.limits
            widths.append(drift + math.sqrt(change * spread) + kappa * side.across * growth)
            assert min(drift, math.sqrt(change * spread), growth) > 1e-7 * stage.width
        assert widths == pytest.approx([stage.width] * len(widths), rel=1e-10)
    last = witness.lone.contraction
    a = last.high
    slope = kappa * a * a + (kappa * (1 - a) ** 2 - 1) * slot * math.exp(-kappa * (1 - a)) + pulled(last)
    assert slope + witness.lone.stretch == pytest.approx(1.0, rel=1e-10)
    assert witness.lone.stretch > 1e-3


def test_the_last_cylinder_lies_in_the_ball_and_in_the_one_before():
    def ends(*sizes, ball=0.1):
        return _directional_proof.ends_within([Stage(target, width, (), ()) for target, width in sizes], ball)

    assert ends((0.06, 0.079))
    assert not ends((0.06, 0.081))
    assert ends((0.2, 0.2), (0.06, 0.079))
    assert not ends((0.05, 0.2), (0.06, 0.079))
    assert not ends((0.2, 0.07), (0.06, 0.079))


# --- planted mistakes ---


def changed(case, index, **changes):
    stages = list(case.stages)
    stages[index] = dataclasses.replace(stages[index], **changes)
    return dataclasses.replace(case, stages=tuple(stages))


def mistakes():
    witness = found().lone
    first, second, last = witness.stages[0], witness.stages[1], witness.stages[-1]
    cells, sides = first.cells, first.sides
    yield "ball too large for the cap", dataclasses.replace(witness, crowd_cap=1.99 * witness.ball**2)
    yield "ball larger than its cells", dataclasses.replace(witness, ball=witness.ball * (1 + 1e-9))
    yield "ball smaller than the last cylinder", dataclasses.replace(witness, ball=0.99 * last.target)
    yield "the first cell left out", changed(witness, 0, cells=cells[1:])
    yield "the last cell left out", changed(witness, 0, cells=cells[:-1])
    yield "a cell in between left out", changed(witness, 0, cells=cells[:3] + cells[4:])
    yield (
        "a thin cell",
        changed(witness, 0, cells=(*cells[:-1], dataclasses.replace(cells[-1], across=0.9 * cells[-1].across))),
    )
    yield "a side left out", changed(witness, 0, sides=sides[1:])
    yield (
        "a side with a gap",
        changed(witness, 0, sides=(sides[0], dataclasses.replace(sides[1], low=1e-6), *sides[2:])),
    )
    yield (
        "a thin side",
        changed(witness, 0, sides=(dataclasses.replace(sides[0], across=0.99 * witness.ball), *sides[1:])),
    )
    yield "a target too near", changed(witness, 0, target=0.999 * first.target)
    yield "a width too small", changed(witness, 0, width=0.999 * first.width)
    yield "a cylinder not covered", changed(witness, 0, width=1.001 * first.width)
    yield "a chain cut short", dataclasses.replace(witness, stages=(*witness.stages[:-2], last))
    yield "no way to the second", dataclasses.replace(witness, stages=(first, *witness.stages[2:]))
    yield (
        "a second stage that only begins near",
        changed(witness, 1, cells=(dataclasses.replace(second.cells[0], high=0.9 * second.cells[0].high),)),
    )
    high, stretch = witness.contraction.high, witness.stretch
    yield (
        "a contraction nearer by",
        dataclasses.replace(witness, contraction=dataclasses.replace(witness.contraction, high=0.9 * high)),
    )
    yield (
        "a contraction that is thinner",
        dataclasses.replace(witness, contraction=dataclasses.replace(witness.contraction, across=0.9 * last.width)),
    )
    yield "a slope of 1", dataclasses.replace(witness, stretch=stretch + 1e-6)


@pytest.mark.parametrize("index", range(19))
def test_a_witness_that_implies_nothing_proves_nothing(index):
    planted = dict(enumerate(mistakes()))
    assert len(planted) == 19
    assert log_failure(alone(planted[index][1]), 0.0) >= 0.0, planted[index][0]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_lower_limit_costs_probability(which):
    witness = found()
    cells = list(witness.lone.stages[-1].cells)
    limits = [x * (0.7 if k == which else 1.0) for k, x in enumerate(cells[0].limits)]
    cells[0] = dataclasses.replace(cells[0], limits=tuple(limits))
    assert (
        log_failure(alone(changed(witness.lone, -1, cells=tuple(cells)), witness.log_patterns))
        > log_failure(witness) + 0.01
    )


@pytest.mark.parametrize("dim", [3, 40])
def test_the_mean_exponential_of_a_vector_has_no_jump_where_its_series_begins(dim):
    below, above = _crowd._log_log_mgf(np.array([-20.0 - 1e-9, -20.0 + 1e-9]), dim)
    assert above == pytest.approx(below, abs=1e-6)
