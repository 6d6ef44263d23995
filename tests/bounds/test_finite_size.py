"""C9, term by term: a second way to each, computer algebra, simulation of one term alone, measured capacities."""

import math
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sympy as sp
from scipy import optimize, special

from hopfield_theory.bounds import RandomMemory, mean_field, sphere
from hopfield_theory.bounds._pulled_across import Branch
from hopfield_theory.bounds.finite_size import branch_end, law

RESULTS = Path(__file__).parents[2] / "results"
MEMORIES = [(16, 1.0, 0.0), (20, 0.5, 10.0), (20, 1.0, 1e5), (32, 0.5, 0.0)]


def memory(dim, lam, noop=0.0):
    return RandomMemory.of_lambda(dim, lam, noop)


# --- a second way to the same numbers ---


class ByDefinition:
    """Every number from its definition at a state x = q ξ + y: means over the overlap with ξ and with the side y."""

    def __init__(self, about):
        self.about, self.kappa, self.noop = about, about.kappa, math.exp(about.log_noop)
        along, first = special.roots_gegenbauer(160, 0.5 * about.dim - 1.0)
        side, second = special.roots_gegenbauer(120, 0.5 * about.dim - 1.5)
        self.c, self.t = along[:, None], side * np.sqrt(1.0 - along[:, None] ** 2)
        self.share = first[:, None] / first.sum() * second / second.sum()

    def mean(self, values):
        return float((self.share * values).sum())

    def weight(self, q, y):
        """Return W/T at every node: the weight relative to the target's."""
        return np.exp(self.kappa * (q * (self.c - 1.0) + y * self.t))

    def pull(self, q, y):
        return (q - self.c) * self.weight(q, y)

    def loud(self, q, y):
        squares = (1.0 - self.c**2) * self.weight(q, y) ** 2
        return squares / self.mean(squares)

    def log_size(self, q, y):
        target = 1.0 - q - q * self.noop * math.exp(-self.kappa * q)
        return math.log(target / self.mean(self.pull(q, y)))

    def missed(self, q, y, more=0.0, along=0.0):
        squares = (1.0 - self.c**2) * self.weight(q, y) ** 2
        return self.log_size(q, y) - along + more + math.log(q**2 * self.mean(squares)) - 2.0 * math.log(y)

    def side(self, q, near, more=0.0, along=0.0):
        """Solve for |y| at an overlap, with e^more times the crowd's squared pull across and e^along times its pull."""
        return optimize.brentq(lambda y: self.missed(q, y, more, along), 0.8 * near, 1.2 * near, xtol=1e-14, rtol=1e-13)

    def end(self, q, near):
        found = optimize.minimize_scalar(
            lambda q: -self.log_size(q, self.side(q, near)), bounds=(q - 2e-3, q + 2e-3), options={"xatol": 1e-9}
        )
        return found.x, self.side(found.x, near)

    def terms(self, q, y):
        kappa, c = self.kappa, self.c
        w, g, across = self.weight(q, y), self.pull(q, y), 1.0 - c**2
        size = math.exp(self.log_size(q, y))
        grown = [self.log_size(q, self.side(q, y, more)) for more in (-1e-3, 1e-3)]
        gain = (grown[0] - grown[1]) / 2e-3
        rest = self.about.dim - 1
        louder = kappa * q * self.mean(across * w * g) / self.mean(g)
        turned = 4.0 * (kappa * y) ** 2 * self.mean(across**2 * w**2) / self.mean(across * w**2) / rest
        wider = 2.0 * kappa * q * self.mean(across**2 * w**3) / self.mean(across * w**2) + turned
        step = 2e-4 * (1.0 - q)
        sides = [self.side(q + k * step, y) for k in (-1, 0, 1)]
        sizes = [self.log_size(q + k * step, at) for k, at in zip((-1, 0, 1), sides, strict=True)]
        bend = (2.0 * sizes[1] - sizes[0] - sizes[2]) / step**2

        def total(q, y):
            pull = self.pull(q, y)
            return (1.0 - gain) * pull / self.mean(pull) + gain * self.loud(q, y)

        own = kappa * q * across * w
        along = (1.0 - gain) * g / self.mean(g) / (1.0 + louder)
        felt = along * (1.0 + own) + gain * self.loud(q, y) * (1.0 + 2.0 * own + turned) / (1.0 + wider)
        turn = gain + (1.0 - gain) * louder / (1.0 + louder)
        here = total(q, y)
        change = (total(q + step, sides[2]) - total(q - step, sides[0])) / (2.0 * step)
        spread = self.mean(here**2) - self.mean(here) ** 2
        third = self.mean((felt - self.mean(felt)) ** 3) / size**2 + 8.0 * turn**3 / rest**2
        variance = self.mean((felt - self.mean(felt)) ** 2) / size + 2.0 * turn**2 / rest
        choice = (self.mean(change**2) - self.mean(change * here) ** 2 / spread) / (2.0 * size * bend)
        return {
            "echo": -(1.0 - gain) * math.log1p(louder),
            "echo_across": -gain * math.log1p(wider),
            "choice": choice,
            "width": math.sqrt(variance),
            "skew": third / variance**1.5,
        }


@pytest.mark.parametrize("parameters", [*MEMORIES, (12, 1.0, 0.0), (12, 1.5, 1.0)])
def test_terms_are_what_their_formulas_say(parameters):
    about = memory(*parameters)
    found, direct = law(about), ByDefinition(about)
    q, y = direct.end(found.end.overlap, found.across)
    assert found.end.overlap == pytest.approx(q, abs=1e-4)
    assert found.across == pytest.approx(y, rel=1e-3)
    assert found.end.log_patterns == pytest.approx(direct.log_size(q, y), abs=1e-6)
    expected = direct.terms(found.end.overlap, found.across)
    # a pattern's part along y is taken at its mean in what is itself of first order; the choice neglects |y|² beside 1
    for name, value in expected.items():
        far = found.across > 0.1
        near = {"choice": 0.2, "skew": 0.4 if far else 0.25, "width": 0.15 if far else 0.05}.get(name, 0.03)
        beside = {"choice": 0.5 * found.across**2, "skew": 2.0 * found.across**2}.get(name, 2e-4)
        assert getattr(found, name) == pytest.approx(value, rel=near, abs=beside), name


@pytest.mark.parametrize("parameters", [*MEMORIES, (12, 1.0, 0.0), (12, 1.5, 1.0)])
def test_a_crowd_that_is_louder_in_both_parts_is_a_larger_crowd(parameters):
    """The coefficients of its parts along and across: they add up to 1, and the one along is 1 - γ."""
    about = memory(*parameters)
    end, direct, more = Branch(about, 0.5).end(), ByDefinition(about), 1e-4
    here = direct.log_size(end.overlap, direct.side(end.overlap, end.across))

    def moved(across, along):
        return direct.log_size(end.overlap, direct.side(end.overlap, end.across, across, along)) - along - here

    assert moved(more, more) == pytest.approx(-more, rel=1e-6)
    assert moved(0.0, more) == pytest.approx(-(1.0 - end.gain) * more, rel=1e-2)
    assert moved(more, 0.0) == pytest.approx(-end.gain * more, rel=1e-2)


@pytest.mark.parametrize("lam", [0.3, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("dim", [6, 14, 30])
def test_states_are_the_first_that_balance(dim, lam):
    """Brute force: the smallest |y|² at which the pull across is as large as it is said to be, by a scan."""
    branch = Branch(memory(dim, lam, 1.0), 0.5)
    q = np.linspace(0.55, 0.99, 12)
    log_size, found = branch.solve(q)
    v = np.linspace(-40.0, 2.0 * math.log(0.5), 10_001)
    for at, size, root in zip(q, log_size, found, strict=True):
        place = np.full_like(v, at)
        # below these the crowd's mean needs no target
        missed = np.where(np.exp(v) > branch._held**2 - at**2, branch.log_size(place, v), np.inf)
        missed = missed + branch.log_noise(place, v) - v
        roots = np.flatnonzero((missed[:-1] > 0.0) & (missed[1:] <= 0.0))
        inside = roots.size and (1.0 - at) ** 2 + math.exp(v[roots[0] + 1]) <= 0.25
        assert inside or size == -math.inf, at
        # not every state is found where two are about to meet, beyond the end of the branch
        assert math.isfinite(size) or not inside or at < branch.end().overlap, at
        if math.isfinite(size):
            assert v[roots[0]] <= root + 1e-9, at
            assert root <= v[roots[0] + 1] + 1e-9, at


@pytest.mark.parametrize("parameters", [*MEMORIES, (12, 1.0, 0.0), (12, 2.0, 1.0)])
def test_iterates_from_the_target_arrive_up_to_the_end(parameters):
    """A second way to the end: the mean-field iteration from ξ, which solves for nothing."""
    branch = Branch(memory(*parameters), 0.5)
    end = branch.end()
    # near its end the branch attracts slowly: after N steps as one does that is nearer by about 1/N²
    assert branch.basin(end, 0.0) == pytest.approx(end.log_patterns, abs=1e-3)


def test_choice_by_algebra():
    """Maximise −½ a t² − log(1 + ε(u + v t)) over t: to order ε² the best t adds v²/2a to its value at t = 0."""
    e, u, v, t = sp.symbols("epsilon u v t", real=True)
    a = sp.symbols("a", positive=True)
    value = -a * t**2 / 2 - sp.log(1 + e * (u + v * t))
    best = -e * v / a
    gain = sp.series((value.subs(t, best) - value.subs(t, 0)), e, 0, 3).removeO()
    assert sp.simplify(gain - e**2 * v**2 / (2 * a)) == 0
    # no other t does better to that order
    other = (
        sp.series(value.subs(t, best + e * t), e, 0, 3).removeO() - sp.series(value.subs(t, best), e, 0, 3).removeO()
    )
    assert sp.simplify(other + a * e**2 * t**2 / 2) == 0


def test_the_median_of_a_sum_by_algebra():
    """Of a variable of order ε plus one of order ε², the median moves by the mean of the latter where the former is 0.

    So neither ½δ² of log(1 + δ) moves it, nor the part of δ' that goes with δ. Checked on log(1 + δ) + ε² (b z + r)²/2
    for independent normal z and r, δ = εz: the chance of being at most ε² m is ½ to order ε for m = E r²/2 alone.
    """
    e, r, b, m, k = sp.symbols("epsilon r b m k", real=True)
    edge = e * k
    total = sp.series(sp.log(1 + e * edge) + e**2 * (b * edge + r) ** 2 / 2 - e**2 * m, e, 0, 3).removeO()
    [root] = sp.solve(sp.Eq(total.coeff(e, 2), 0), k)
    density = sp.exp(-(r**2) / 2) / sp.sqrt(2 * sp.pi)
    shift = sp.integrate(root * density, (r, -sp.oo, sp.oo))
    assert sp.simplify(shift - (m - sp.Rational(1, 2))) == 0


# --- one term alone, simulated ---


def overlaps(rng, shape, dim):
    return 2.0 * rng.beta(0.5 * (dim - 1), 0.5 * (dim - 1), size=shape) - 1.0


@cache
def crowds():
    """Log of the crowd's pull over its mean, at overlaps about the fold: shape (overlaps, memories)."""
    about = memory(24, 0.5)
    end, kappa = mean_field.fold(about), about.kappa
    size, rng = round(math.exp(end.log_patterns)), np.random.default_rng(0)
    places = end.overlap + 0.02 * np.arange(-4, 5)
    found = []
    for _ in range(40):
        c = overlaps(rng, (250, size), 24)
        w = [np.exp(kappa * q * (c - 1.0)) for q in places]
        found.append([((q - c) * each).sum(1) for q, each in zip(places, w, strict=True)])
    expected = np.exp(-mean_field.log_branch(places, about)) * (1.0 - places)
    return places, np.log(np.concatenate(found, axis=1)) - np.log(size * expected)[:, None]


def test_width_and_skew_are_those_of_the_crowds_pull():
    found = law(memory(24, 0.5))
    pull = np.exp(crowds()[1][4])
    # 10 000 memories: the deviation is known to 0.7%, the skewness to sqrt(6/10 000)
    assert pull.mean() == pytest.approx(1.0, abs=4 * found.width / 100)
    # each pattern is louder where it has itself pulled the state: that is simulated with the state, below
    assert 0.98 * pull.std() < found.width < 1.12 * pull.std()
    deviations = (pull - pull.mean()) / pull.std()
    assert (deviations**3).mean() == pytest.approx(found.skew, abs=0.1)


def test_choice_is_what_a_memory_gains_by_its_own_overlap():
    about = memory(24, 0.5)
    found, (places, louder) = law(about), crowds()
    room = mean_field.log_branch(places, about)[:, None] - louder
    # vertex of the parabola through the best overlap and its neighbours
    best = np.clip(room.argmax(0), 1, len(places) - 2)
    low, middle, high = (room[best + side, np.arange(room.shape[1])] for side in (-1, 0, 1))
    top = middle - (high - low) ** 2 / (8.0 * (low - 2.0 * middle + high))
    gain = top - room[4]
    near = np.abs(louder[4]) < 0.25 * found.width
    # as many gains of relative deviation √2 are known to 3%; the next order adds about the relative width, 7%
    assert near.sum() > 1500
    assert gain[near].mean() == pytest.approx(found.choice, rel=0.25)
    # over all memories it is larger, by what goes with the crowd's pull
    assert gain.mean() > 2.0 * found.choice


def test_the_pulled_state_and_what_it_adds_are_as_they_should():
    """Solve the equation across at the overlap of the end, and weigh the crowd there: its own, and another one."""
    about = memory(22, 0.5)
    found, branch, kappa, rng = law(about), Branch(about, 0.5), about.kappa, np.random.default_rng(1)
    q, size = found.end.overlap, round(math.exp(found.end.log_patterns))
    own, others, squares, means = [], [], [], []
    for _ in range(100):
        patterns = rng.standard_normal((16, size, 22))
        patterns /= np.linalg.norm(patterns, axis=2, keepdims=True)
        c, rest = patterns[:, :, 0], patterns[:, :, 1:]
        w = np.exp(kappa * q * (c - 1.0))
        y = np.zeros((16, 21))
        for _ in range(12):
            loud = w * np.exp(kappa * np.einsum("bmi,bi->bm", rest, y))
            y = np.einsum("bm,bmi->bi", loud, rest) / (1.0 + loud.sum(1))[:, None]
        g, score = (q - c) * w, kappa * np.einsum("bmi,bi->bm", rest, y)
        own += (np.exp(score) * g).sum(1).tolist()
        # another crowd: the first of a batch at the state of the second, and so on
        score = kappa * np.einsum("bmi,bi->bm", rest, np.roll(y, 1, axis=0))
        others += (np.exp(score) * g).sum(1).tolist()
        v = np.log((np.roll(y, 1, axis=0) ** 2).sum(1))
        squares += np.exp(v).tolist()
        means += (size * (1.0 - q) * np.exp(-branch.log_size(np.full_like(v, q), v))).tolist()
    own, others, means, squares = map(np.array, (own, others, means, squares))
    gain = branch.end().gain

    def apart(values, expected, near):
        error = values.std() / math.sqrt(len(values))
        assert error < near
        assert values.mean() == pytest.approx(expected, abs=4.0 * error + near)

    # a state that another crowd has pulled meets the mean of this one
    apart(others / means, 1.0, 0.005)
    # the next order is about the shift itself, relatively
    apart((own - others) / means, math.expm1(-found.echo / (1.0 - gain)), 0.15 * abs(found.echo))
    # 1 600 memories: the deviation is known to 2%
    assert (1.0 - gain) * (own / own.mean()).std() == pytest.approx(found.width, rel=0.08)
    wider = math.expm1(-found.echo_across / gain)
    assert wider > 0.1
    apart(squares / found.across**2, 1.0 + wider, 0.3 * wider)


def test_a_pulled_state_is_as_far_across_as_echo_and_turning_say():
    """Solve ``y = p Σ (Wξ - E Wξ)`` across, at a weak pull p: the mean square to first order beyond ``p² M E[s² W²]``.

    Of the six terms κ² y² E[s⁴ W²]/((d - 1) E[s² W²]) two are the growth of E[s² W²] with y, four the turning.
    """
    dim, size, kappa, q, rng = 10, 500, 3.0, 0.7, np.random.default_rng(2)
    nodes, share = special.roots_gegenbauer(80, 0.5 * dim - 1.0)
    loud, across = np.exp(kappa * q * nodes), 1.0 - nodes**2

    def mean(values):
        return float(share @ values / share.sum())

    second, fourth = mean(across * loud**2), mean(across**2 * loud**2)
    start = 0.01 * (dim - 1) * second / fourth / kappa**2
    pull = math.sqrt(start / (size * second))
    own, six = 2.0 * kappa * pull * mean(across**2 * loud**3) / second, 6.0 * 0.01
    squares = []
    for _ in range(40):
        patterns = rng.standard_normal((250, size, dim))
        patterns /= np.linalg.norm(patterns, axis=2, keepdims=True)
        w, rest = np.exp(kappa * q * patterns[:, :, 0]), patterns[:, :, 1:]
        y = np.zeros((250, dim - 1))
        for _ in range(12):
            weights = w * np.exp(kappa * np.einsum("bmi,bi->bm", rest, y))
            r = np.sqrt(q**2 + (y**2).sum(1))
            mean_pull = size * np.exp(sphere.log_mgf(kappa * r, dim)) * sphere.bessel_ratio(kappa * r, dim) / r
            y = pull * (np.einsum("bm,bmi->bi", weights, rest) - mean_pull[:, None] * y)
        squares += ((y**2).sum(1) / start).tolist()
    found, error = np.mean(squares), np.std(squares) / math.sqrt(len(squares))
    assert error < 0.006
    # the next order is about the square of this one
    assert found == pytest.approx(1.0 + own + six, abs=3.0 * error + 2.0 * (own + six) ** 2)


# --- the law ---


@pytest.mark.parametrize("parameters", MEMORIES)
def test_the_rate_falls_from_one_to_zero_and_is_half_at_the_law(parameters):
    found = law(memory(*parameters))
    at = np.concatenate([[0.0], found.log_patterns + np.linspace(-2.0, 8.0, 400), [700.0]])
    rate = found.rate(at)
    assert rate[0] == 1.0
    assert rate[-1] < 1e-9
    assert (np.diff(rate) <= 0.0).all()
    assert float(found.rate(found.log_patterns)) == pytest.approx(0.5, abs=1e-9)
    # a normal law of this width, up to the skewness and the change of the width with M
    middle = found.rate(found.log_patterns + found.width * np.array([-1.0, 1.0]))
    np.testing.assert_allclose(middle, [0.841, 0.159], atol=0.1 * abs(found.skew) + 0.5 * found.width)


def test_the_law_becomes_the_fold_and_a_step_as_the_dimension_grows():
    shifts = []
    for dim in (16, 32, 64, 100, 1000, 100_000):
        found = law(memory(dim, 1.0, 1.0))
        shifts.append((abs(found.log_patterns - mean_field.fold(memory(dim, 1.0, 1.0)).log_patterns), found.width))
        inside = found.rate(found.log_patterns * np.array([0.9, 1.1]))
        assert inside[0] == pytest.approx(1.0, abs=0.01)
        assert inside[1] == pytest.approx(0.0, abs=0.01)
    shift, width = np.array(shifts).T
    assert (np.diff(width) < 0.0)[:-1].all()
    assert shift[2] < 1e-4
    assert width[-1] == 0.0


def test_the_branch_ends_also_where_the_mean_field_curve_has_no_fold():
    for dim, lam in ((12, 1.0), (16, 1.5), (10, 0.5)):
        about = memory(dim, lam)
        assert mean_field.fold(about) is None
        assert law(about) is not None
    # at λ = 2 the curve has no end within m/2 at all
    assert mean_field.predicted(memory(16, 2.0)) == math.inf


def test_no_law_where_nothing_is_stored_or_its_shifts_are_large():
    assert law(RandomMemory(50, 50.0, 60.0)) is None
    assert law(memory(8, 2.0)) is None
    for dim in (2, 4, 8, 11, 16):
        for lam in (0.1, 0.5, 0.95, 1.5, 3.0):
            found = law(memory(dim, lam))
            assert found is None or max(abs(found.echo + found.echo_across + found.choice), found.width) <= 0.5
    # a dozen patterns, one of which decides
    assert law(memory(10, 0.2), 0.95) is None


@pytest.mark.parametrize(("dim", "lam"), [(20, 1.0), (20, 1.46), (20, 1.47), (12, 1.5), (8, 0.5)])
def test_the_branch_ends_where_it_is_largest_in_the_ball(dim, lam):
    branch = Branch(memory(dim, lam), 0.5)
    sizes, _ = branch.solve(1.0 - np.geomspace(1e-4, 0.5, 3000))
    end = branch.end()
    # on the rim a finer scan finds more
    assert -1e-6 < end.log_patterns - sizes[np.isfinite(sizes)].max() < 1e-3
    assert (1.0 - end.overlap) ** 2 + end.across**2 <= 0.25 + 1e-9


def test_a_branch_that_the_crowd_holds_ends_beyond_the_fold_or_in_none():
    """At λ > 1 the largest M is a narrow peak beside what the crowd's mean holds, in the end too narrow for floats."""
    ends = [branch_end(memory(dim, 1.5)) for dim in (20, 30, 50, 56, 60, 64, 80, 200, 1000)]
    sizes = [end.log_patterns for end in ends[:5]]
    assert (np.diff(sizes) > 0.0).all()
    for size, dim in zip(sizes[1:], (30, 50, 56, 60), strict=True):
        assert size > mean_field.fold(memory(dim, 1.5)).log_patterns + 0.5
    assert ends[5:] == [None] * 4
    assert law(memory(64, 1.5)) is None


def test_the_law_changes_with_its_memory_little_by_little():
    """Between these λ the first maximum of the branch vanishes, a fold that is not its largest value."""
    logs = [law(memory(20, lam)).log_patterns for lam in np.linspace(1.45, 1.48, 7)]
    assert (np.abs(np.diff(logs)) < 0.05).all()


def test_a_query_from_afar_reaches_the_branch_for_fewer_patterns():
    about = memory(24, 1.0, 1.0)
    basins = [law(about, distance=distance).basin for distance in (0.0, 0.3, 0.5, 0.7)]
    assert basins[0] == basins[1] == law(about).end.log_patterns
    assert basins[1] > basins[2] + 0.05 > basins[3]
    found = law(about, distance=0.7)
    assert found.log_patterns - law(about).log_patterns == pytest.approx(basins[3] - basins[0], abs=0.01)
    # in few dimensions half the radius costs nothing
    assert law(memory(14, 1.0), distance=0.5).log_patterns == law(memory(14, 1.0)).log_patterns


def test_what_is_stored_closer_is_fewer():
    about = memory(16, 1.0)
    logs = [law(about, error).log_patterns for error in (0.05, 0.1, 0.2, 0.3, 0.5)]
    assert (np.diff(logs) > -1e-6).all()
    # a fold within the ball ends the branch whatever the ball
    assert logs[-1] == pytest.approx(logs[-2], abs=1e-6)
    assert logs[0] < logs[-1] - 0.2
    assert law(about, 0.1).end.log_patterns == pytest.approx(mean_field.predicted(about, 0.1), abs=0.05)


@pytest.mark.parametrize("dim", [*enumerate([3, 11, 60, 10_000])], ids="{0[1]}".format)
@pytest.mark.parametrize("kappa", [*enumerate([0.5, 8.0, 60.0, 1e4])], ids="{0[1]:g}".format)
def test_no_overflow_at_the_extremes(dim, kappa):
    """A Latin square: each pair of d, κ and n once."""
    (row, dim), (column, kappa) = dim, kappa
    log_noop = [-math.inf, 0.0, 7.0, 300.0][(row + column) % 4]
    found = law(RandomMemory(dim, kappa, log_noop), distance=1.0)
    if found is not None:
        assert math.isfinite(found.log_patterns)
        assert found.width >= 0.0
        rate = found.rate([0.0, found.log_patterns, 1e300])
        assert rate[0] == 1.0
        assert rate[2] < 1e-3


@pytest.mark.parametrize(
    ("dim", "kappa", "error"),
    [(290, 795.7249879334705, 0.5), (509, 2444.111721977739, 0.13844549969701603), (374, 1026.874082778622, 0.99998)],
)
def test_where_the_crowd_alone_holds_a_state_a_missing_root_is_no_overflow(dim, kappa, error):
    assert law(RandomMemory(dim, kappa, -math.inf), error) is None


def test_the_rate_far_from_a_law_as_narrow_as_a_step():
    found = law(RandomMemory(400, 390.0, -math.inf))
    assert 0.0 < found.width < 1e-15
    assert found.rate([0.0, *np.geomspace(1e-6, 0.99 * found.log_patterns, 50)]).tolist() == [1.0] * 51
    # up to where the place in units of the width is no float any more
    assert not found.rate(found.log_patterns + np.linspace(1.0, 2000.0, 1000)).any()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"log_patterns holds -1\.0: it must"):
        law(memory(16, 1.0)).rate(-1.0)
    with pytest.raises(ValueError, match=r"error is 1\.0: it must"):
        law(memory(16, 1.0), 1.0)
    with pytest.raises(ValueError, match=r"distance is -0\.1: it must"):
        law(memory(16, 1.0), distance=-0.1)


# --- against the measured folds ---


def test_most_of_what_is_left_at_half_is_the_second_order_of_a_patterns_own_pull():
    """``W = W₀ exp(u W/W₀)`` is ``W₀ (1 + u + 3u²/2 + …)``."""
    table = pd.read_csv(RESULTS / "capacity_law.csv")
    orders = []
    for dim in (12, 14, 16, 18, 20):
        about = memory(dim, 0.5)
        end, direct = Branch(about, 0.5).end(), ByDefinition(about)
        w, g = direct.weight(end.overlap, end.across), direct.pull(end.overlap, end.across)
        own = about.kappa * end.overlap * (1.0 - direct.c**2) * w
        first, second = (direct.mean(x * g) / direct.mean(g) for x in (own, 1.5 * own**2))
        orders.append((1.0 - end.gain) * second / (1.0 + first))
        rates = table.query("dim == @dim and lam == 0.5 and noop == 0")
        middle = np.interp(-0.5, -rates["rate"], np.log(rates["num_patterns"]))
        # the measured middle is known to a fifth of that
        assert 0.4 < orders[-1] / (law(about).log_patterns - middle) < 1.2
    # as docs/results.md has them
    assert orders == pytest.approx([0.061, 0.037, 0.023, 0.014, 0.008], abs=5e-4)


def test_the_branch_has_no_end_where_nothing_is_stored():
    assert branch_end(RandomMemory(50, 50.0, 60.0)) is None
    with pytest.raises(ValueError, match="error is 1"):
        branch_end(memory(12, 2.0), 1.0)


def test_measured_basins_lie_near_the_law():
    table = pd.read_csv(RESULTS / "capacity.csv")
    rows = table[(table["kind"] == "crossing") & (table["rule"] == "from noise")].drop_duplicates(
        ["dim", "lam", "noop"]
    )
    rows = rows[np.isfinite(rows["log_patterns"])]
    assert len(rows) == 3
    for row in rows.itertuples():
        predicted = law(memory(int(row.dim), row.lam, row.noop), distance=0.5).log_patterns
        assert abs(row.log_patterns - predicted) <= row.log_high - row.log_low
